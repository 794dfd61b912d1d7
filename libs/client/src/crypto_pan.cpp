#include "tapir/client/crypto_pan.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "address_key.hpp"
#include "aes.hpp"
#include "locked.hpp"
#include "tapir/client/address.hpp"
#include "tapir/crypto/argon2.hpp"
#include "tapir/crypto/digest.hpp"

namespace tapir::client {
namespace {

constexpr crypto::Argon2Cost key_cost = {.passes = 1, .memory_kib = 65'536, .lanes = 4};
constexpr std::string_view id_purpose = "tapir crypto-pan key id";
constexpr std::size_t id_size = 8;  // octets
constexpr std::size_t v4_size = 4;
constexpr std::size_t v4_bits = 32;
constexpr std::size_t v6_bits = 128;

// A block as two numbers, the first octet the highest.
struct Wide {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
};

std::uint64_t big_endian(std::uint64_t value) {
    if constexpr (std::endian::native == std::endian::little) {
        value = __builtin_bswap64(value);
    }
    return value;
}

// The first `bits` bits, 0 to 127.
constexpr Wide mask_of(std::size_t bits) {
    constexpr std::uint64_t ones = ~std::uint64_t{0};
    if (bits == 0) {
        return {};
    }
    if (bits <= 64) {
        return {.high = ones << (64 - bits), .low = 0};
    }
    return {.high = ones, .low = ones << (128 - bits)};
}

constexpr std::array<Wide, v6_bits> masks = [] {
    std::array<Wide, v6_bits> all{};
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i] = mask_of(i);
    }
    return all;
}();

void store(AesBlock& block, const Wide& value) {
    const std::array<std::uint64_t, 2> octets = {big_endian(value.high), big_endian(value.low)};
    std::memcpy(block.data(), octets.data(), block.size());
}

Wide load(ByteView octets) {
    AesBlock block{};
    std::copy(octets.begin(), octets.end(), block.begin());
    std::array<std::uint64_t, 2> numbers{};
    std::memcpy(numbers.data(), block.data(), block.size());
    return {.high = big_endian(numbers[0]), .low = big_endian(numbers[1])};
}

}  // namespace

Result<CryptoPanKey> CryptoPanKey::derive(ByteView words, ByteView salt) {
    return from(TRY(crypto::argon2id(words, salt, key_cost, crypto_pan_key_size)));
}

Result<CryptoPanKey> CryptoPanKey::from(crypto::Secret octets) {
    if (octets.size() != crypto_pan_key_size) {
        return fail(Code::invalid, fmt::format("expected a key of {} octets, got {}",
                                               crypto_pan_key_size, octets.size()));
    }
    return CryptoPanKey(std::move(octets));
}

std::string CryptoPanKey::id() const {
    const auto digest = crypto::hmac_sha256(secret_.bytes(), as_bytes(id_purpose));
    return to_hex(ByteView(digest).first(id_size));
}

struct CryptoPan::Impl {
    Impl(ByteView key, bool use_instructions)
        : aes(std::span<const std::byte, aes_key_size>(key.first(aes_key_size)), use_instructions),
          pad(make_locked<Wide>()) {
        AesBlock block{};
        std::copy_n(key.begin() + aes_key_size, block.size(), block.begin());
        aes.encrypt(std::span(&block, 1));
        *pad = load(block);
        OPENSSL_cleanse(block.data(), block.size());
    }

    // The bits that hide the first `bits` of an address: each is the first bit of one block, which
    // is the padding with its first bits replaced by those of the address.
    Wide bits_for(const Wide& address, std::size_t bits) {
        std::array<AesBlock, v6_bits> blocks;
        const Wide differs = {pad->high ^ address.high, pad->low ^ address.low};
        for (std::size_t i = 0; i < bits; ++i) {
            store(blocks[i], {.high = pad->high ^ (differs.high & masks[i].high),
                              .low = pad->low ^ (differs.low & masks[i].low)});
        }
        aes.encrypt(std::span(blocks).first(bits));
        Wide out;
        for (std::size_t i = 0; i < bits; ++i) {
            const std::uint64_t bit = std::to_integer<std::uint64_t>(blocks[i][0] >> 7U);
            (i < 64 ? out.high : out.low) |= bit << (63 - i % 64);
        }
        return out;
    }

    Aes128 aes;
    Locked<Wide> pad;
};

CryptoPan::CryptoPan(const CryptoPanKey& key, Engine engine)
    : impl_(std::make_unique<Impl>(key.secret().bytes(), engine == Engine::best)) {}
CryptoPan::CryptoPan(CryptoPan&&) noexcept = default;
CryptoPan& CryptoPan::operator=(CryptoPan&&) noexcept = default;
CryptoPan::~CryptoPan() = default;

Pseudonym CryptoPan::make(Impl& impl, dnstap::ClientAddress address) {
    switch (form_of(address)) {
        case AddressForm::absent:
            return {};
        case AddressForm::malformed:
            return {Pseudonym::Kind::malformed, 0, 0};
        case AddressForm::ipv4:
        case AddressForm::ipv6:
        case AddressForm::ipv4_mapped:
            break;
    }
    const ByteView octets = open_unmapped(address).octets;
    const Wide clear = load(octets);
    if (octets.size() == v4_size) {
        const Wide bits = impl.bits_for(clear, v4_bits);
        return {Pseudonym::Kind::ipv4, 0, (clear.high ^ bits.high) >> 32U};
    }
    const Wide bits = impl.bits_for(clear, v6_bits);
    return {Pseudonym::Kind::ipv6, clear.high ^ bits.high, clear.low ^ bits.low};
}

void CryptoPan::pseudonymise(std::span<const dnstap::ClientAddress> addresses,
                             std::span<Pseudonym> out) {
    TAPIR_ASSERT(addresses.size() == out.size());
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        out[i] = make(*impl_, addresses[i]);
    }
}

}  // namespace tapir::client
