#include "tapir/privacy/gate_key.hpp"

#include <bit>
#include <utility>

#include "tapir/products/new_qname.hpp"

namespace tapir::privacy {
namespace {

std::uint64_t little_endian(ByteView octets) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < octets.size() && i < 8; ++i) {
        value |= std::to_integer<std::uint64_t>(octets[i]) << (8 * i);
    }
    return value;
}

struct SipState {
    std::uint64_t v0;
    std::uint64_t v1;
    std::uint64_t v2;
    std::uint64_t v3;

    void rounds(int count) {
        for (int i = 0; i < count; ++i) {
            v0 += v1;
            v1 = std::rotl(v1, 13) ^ v0;
            v0 = std::rotl(v0, 32);
            v2 += v3;
            v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3;
            v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1;
            v1 = std::rotl(v1, 17) ^ v2;
            v2 = std::rotl(v2, 32);
        }
    }
};

// Which of the keys is whose.
constexpr std::size_t pending_key = 0;
constexpr std::size_t draw_key = 1;
constexpr std::size_t identity_offset = 32;

}  // namespace

std::uint64_t siphash_2_4(std::uint64_t k0, std::uint64_t k1, ByteView message) {
    SipState s{k0 ^ 0x736F6D6570736575ULL, k1 ^ 0x646F72616E646F6DULL, k0 ^ 0x6C7967656E657261ULL,
               k1 ^ 0x7465646279746573ULL};
    const std::uint64_t length = message.size();
    while (message.size() >= 8) {
        const std::uint64_t word = little_endian(message.first(8));
        s.v3 ^= word;
        s.rounds(2);
        s.v0 ^= word;
        message = message.subspan(8);
    }
    const std::uint64_t last = little_endian(message) | (length << 56U);
    s.v3 ^= last;
    s.rounds(2);
    s.v0 ^= last;
    s.v2 ^= 0xFF;
    s.rounds(4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

GateKey::GateKey(std::span<const std::byte, gate_key_size> octets)
    : identity_(crypto::Secret::copy_of(octets.subspan(identity_offset))) {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
        keys_.at(i) = {little_endian(octets.subspan(16 * i, 8)),
                       little_endian(octets.subspan(16 * i + 8, 8))};
    }
}

GateKey::GateKey(GateKey&& other) noexcept
    : keys_(other.keys_), identity_(std::move(other.identity_)) {
    other.wipe();
}

GateKey& GateKey::operator=(GateKey&& other) noexcept {
    if (this != &other) {
        keys_ = other.keys_;
        identity_ = std::move(other.identity_);
        other.wipe();
    }
    return *this;
}

GateKey::~GateKey() {
    wipe();
}

void GateKey::wipe() {
    // Through volatile references: a plain store to what is about to go may be left out.
    for (Half& half : keys_) {
        for (volatile std::uint64_t& word : half) {
            word = 0;
        }
    }
}

Fingerprint GateKey::fingerprint(std::string_view name) const {
    const Half& key = keys_.at(pending_key);
    const std::uint64_t hash = siphash_2_4(key[0], key[1], as_bytes(name));
    return Fingerprint{hash == 0 ? 1 : hash};
}

std::uint64_t GateKey::draw(Product product, std::string_view name) const {
    Bytes message = to_bytes(to_string(product));
    append_u8(message, 0);
    append(message, name);
    const Half& key = keys_.at(draw_key);
    return siphash_2_4(key[0], key[1], message);
}

std::uint64_t GateKey::bound(Fingerprint form, std::uint64_t tag) const {
    // Never what draw() hashes: no product is called so.
    Bytes message = to_bytes(std::string_view("tag"));
    append_u8(message, 0);
    append_u64(message, static_cast<std::uint64_t>(form));
    append_u64(message, tag);
    const Half& key = keys_.at(draw_key);
    return siphash_2_4(key[0], key[1], message);
}

std::string GateKey::message_id(std::string_view content) const {
    return products::message_id(identity_, as_bytes(content));
}

unsigned GateKey::batch_second() const {
    const Half& key = keys_.at(draw_key);
    return static_cast<unsigned>(siphash_2_4(key[0], key[1], as_bytes("batch second")) % 60);
}

unsigned GateKey::group_second(std::string_view site) const {
    Bytes message = to_bytes(std::string_view("group second"));
    append_u8(message, 0);
    append(message, site);
    const Half& key = keys_.at(draw_key);
    return static_cast<unsigned>(siphash_2_4(key[0], key[1], message) % 60);
}

}  // namespace tapir::privacy
