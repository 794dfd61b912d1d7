// Pseudonyms in batches, and the plain way: one block after the other by OpenSSL.
#include <array>
#include <cstdlib>
#include <vector>

#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include "tapir/client/crypto_pan.hpp"

namespace {

using namespace tapir;
using namespace tapir::client;

CryptoPanKey key() {
    return CryptoPanKey::from(crypto::Secret::taken_from(Bytes(crypto_pan_key_size, std::byte{9})))
        .take();
}

// As it is written down: for each bit a block, bit by bit, byte by byte.
class Plain {
public:
    Plain() : context_(EVP_CIPHER_CTX_new()) {
        const Bytes half(16, std::byte{9});
        EVP_EncryptInit_ex(context_, EVP_aes_128_ecb(), nullptr,
                           reinterpret_cast<const unsigned char*>(half.data()), nullptr);
        EVP_CIPHER_CTX_set_padding(context_, 0);
        std::copy(half.begin(), half.end(), pad_.begin());
        encrypt(pad_);
    }
    Plain(const Plain&) = delete;
    Plain& operator=(const Plain&) = delete;
    ~Plain() { EVP_CIPHER_CTX_free(context_); }

    Bytes pseudonym(ByteView address) {
        Bytes out = to_bytes(address);
        for (std::size_t bit = 0; bit < 8 * address.size(); ++bit) {
            auto block = pad_;
            for (std::size_t i = 0; i < bit; ++i) {
                const auto mask = std::byte{0x80} >> (i % 8);
                block[i / 8] = (block[i / 8] & ~mask) | (address[i / 8] & mask);
            }
            encrypt(block);
            out[bit / 8] ^= (block[0] >> 7) << (7 - bit % 8);
        }
        return out;
    }

private:
    void encrypt(std::array<std::byte, 16>& block) {
        int size = 0;
        auto* octets = reinterpret_cast<unsigned char*>(block.data());
        EVP_EncryptUpdate(context_, octets, &size, octets, 16);
    }
    EVP_CIPHER_CTX* context_;
    std::array<std::byte, 16> pad_{};
};

Bytes addresses_of(std::size_t count, std::size_t size) {
    Bytes out;
    for (std::size_t i = 0; i < count * size / 4; ++i) {
        append_u32(out, 0x2A0A'0001U * static_cast<std::uint32_t>(i + 77));
    }
    return out;
}

constexpr std::size_t count = 1024;

template <CryptoPan::Engine engine, std::size_t size>
void batch(benchmark::State& state) {
    const Bytes octets = addresses_of(count, size);
    std::vector<dnstap::ClientAddress> addresses;
    for (std::size_t i = 0; i < count; ++i) {
        addresses.emplace_back(ByteView(octets).subspan(i * size, size));
    }
    std::vector<Pseudonym> out(count);
    CryptoPan pan(key(), engine);
    pan.pseudonymise(addresses, out);
    Plain plain;
    for (std::size_t i = 0; i < count; ++i) {
        Bytes same;
        if (size == 4) {
            append_u32(same, out[i].ipv4());
        } else {
            append_u64(same, out[i].network());
            append_u64(same, out[i].host());
        }
        if (same != plain.pseudonym(ByteView(octets).subspan(i * size, size))) {
            std::exit(1);  // NOLINT(concurrency-mt-unsafe): one thread
        }
    }
    for (auto _ : state) {
        pan.pseudonymise(addresses, out);
        benchmark::DoNotOptimize(out.data());
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(count) * state.iterations());
}

template <std::size_t size>
void plain_one_by_one(benchmark::State& state) {
    const Bytes octets = addresses_of(count, size);
    Plain plain;
    for (auto _ : state) {
        for (std::size_t i = 0; i < count; ++i) {
            benchmark::DoNotOptimize(plain.pseudonym(ByteView(octets).subspan(i * size, size)));
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(count) * state.iterations());
}

BENCHMARK(batch<CryptoPan::Engine::best, 4>);
BENCHMARK(batch<CryptoPan::Engine::openssl, 4>);
BENCHMARK(plain_one_by_one<4>);
BENCHMARK(batch<CryptoPan::Engine::best, 16>);
BENCHMARK(batch<CryptoPan::Engine::openssl, 16>);
BENCHMARK(plain_one_by_one<16>);

}  // namespace

BENCHMARK_MAIN();
