#include "tapir/crypto/aes.hpp"

#include "library.hpp"
#include "tapir/base/assert.hpp"

namespace tapir::crypto {

struct Aes128::Impl {
    EvpCipherContext context{EVP_CIPHER_CTX_new()};
};

Aes128::Aes128(const Secret& key) : impl_(std::make_unique<Impl>()) {
    TAPIR_ASSERT(key.size() == aes128_key_size);
    EVP_CIPHER_CTX* const context = impl_->context.get();
    TAPIR_ASSERT(EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), nullptr, in(key.bytes().data()),
                                    nullptr) == 1);
    TAPIR_ASSERT(EVP_CIPHER_CTX_set_padding(context, 0) == 1);
}
Aes128::~Aes128() = default;
Aes128::Aes128(Aes128&&) noexcept = default;
Aes128& Aes128::operator=(Aes128&&) noexcept = default;

AesBlock Aes128::encrypt(const AesBlock& block) {
    AesBlock result;
    encrypt_many({&block, 1}, {&result, 1});
    return result;
}

void Aes128::encrypt_many(std::span<const AesBlock> in_blocks, std::span<AesBlock> out_blocks) {
    TAPIR_ASSERT(in_blocks.size() == out_blocks.size() && in_blocks.size() <= aes_blocks_max);
    if (in_blocks.empty()) {
        return;
    }
    const int size = static_cast<int>(in_blocks.size() * aes_block_size);
    int written = 0;
    TAPIR_ASSERT(EVP_EncryptUpdate(impl_->context.get(), out(out_blocks.front().data()), &written,
                                   in(in_blocks.front().data()), size) == 1);
    TAPIR_ASSERT(written == size);
}

}  // namespace tapir::crypto
