#include "aes.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tapir::client {

namespace {

#if defined(__x86_64__)
#define TAPIR_AES_TARGET __attribute__((target("aes,sse2")))

bool has_instructions() {
    return __builtin_cpu_supports("aes") != 0;
}

TAPIR_AES_TARGET __m128i load(const AesBlock& block) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(block.data()));
}
TAPIR_AES_TARGET void store(AesBlock& block, __m128i value) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(block.data()), value);
}

// One step of the key expansion (FIPS 197 §5.2); the round constant must be an immediate value.
template <int round_constant>
TAPIR_AES_TARGET __m128i expand(__m128i key) {
    const __m128i assist = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, round_constant), 0xFF);
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    return _mm_xor_si128(key, assist);
}

TAPIR_AES_TARGET void expand_key(std::span<const std::byte, aes_key_size> key,
                                 std::array<AesBlock, 11>& out) {
    __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key.data()));
    store(out[0], k);
    store(out[1], k = expand<0x01>(k));
    store(out[2], k = expand<0x02>(k));
    store(out[3], k = expand<0x04>(k));
    store(out[4], k = expand<0x08>(k));
    store(out[5], k = expand<0x10>(k));
    store(out[6], k = expand<0x20>(k));
    store(out[7], k = expand<0x40>(k));
    store(out[8], k = expand<0x80>(k));
    store(out[9], k = expand<0x1B>(k));
    store(out[10], expand<0x36>(k));
}

// `count` blocks abreast, so that the rounds of one overlap with those of the others.
template <std::size_t count>
TAPIR_AES_TARGET void encrypt_abreast(const std::array<AesBlock, 11>& keys, AesBlock* blocks) {
    __m128i state[count];
    const __m128i first = load(keys[0]);
    for (std::size_t i = 0; i < count; ++i) {
        state[i] = _mm_xor_si128(load(blocks[i]), first);
    }
    for (std::size_t round = 1; round < 10; ++round) {
        const __m128i key = load(keys[round]);
        for (std::size_t i = 0; i < count; ++i) {
            state[i] = _mm_aesenc_si128(state[i], key);
        }
    }
    const __m128i last = load(keys[10]);
    for (std::size_t i = 0; i < count; ++i) {
        store(blocks[i], _mm_aesenclast_si128(state[i], last));
    }
}

void encrypt_with_instructions(const std::array<AesBlock, 11>& keys, std::span<AesBlock> blocks) {
    constexpr std::size_t abreast = 8;
    std::size_t i = 0;
    for (; i + abreast <= blocks.size(); i += abreast) {
        encrypt_abreast<abreast>(keys, blocks.data() + i);
    }
    for (; i < blocks.size(); ++i) {
        encrypt_abreast<1>(keys, blocks.data() + i);
    }
}
#else
bool has_instructions() {
    return false;
}
void expand_key(std::span<const std::byte, aes_key_size>, std::array<AesBlock, 11>&) {}
void encrypt_with_instructions(const std::array<AesBlock, 11>&, std::span<AesBlock>) {}
#endif

}  // namespace

Aes128::Aes128(std::span<const std::byte, aes_key_size> key, bool use_instructions) {
    if (use_instructions && has_instructions()) {
        schedule_ = make_locked<Schedule>();
        expand_key(key, schedule_->round_keys);
        return;
    }
    context_.reset(EVP_CIPHER_CTX_new());
    TAPIR_ASSERT(context_ != nullptr);
    TAPIR_ASSERT(EVP_EncryptInit_ex(context_.get(), EVP_aes_128_ecb(), nullptr,
                                    reinterpret_cast<const unsigned char*>(key.data()),
                                    nullptr) == 1);
    TAPIR_ASSERT(EVP_CIPHER_CTX_set_padding(context_.get(), 0) == 1);
}

void Aes128::encrypt(std::span<AesBlock> blocks) {
    if (schedule_) {
        encrypt_with_instructions(schedule_->round_keys, blocks);
        return;
    }
    auto* octets = reinterpret_cast<unsigned char*>(blocks.data());
    int written = 0;
    TAPIR_ASSERT(EVP_EncryptUpdate(context_.get(), octets, &written, octets,
                                   static_cast<int>(blocks.size_bytes())) == 1);
    TAPIR_ASSERT(static_cast<std::size_t>(written) == blocks.size_bytes());
}

}  // namespace tapir::client
