#include "tapir/client/tagger.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <openssl/crypto.h>

#include "address_key.hpp"
#include "aes.hpp"

namespace tapir::client {

namespace {

constexpr std::string_view key_purpose = "client tags";
constexpr std::size_t requests_abreast = 64;
constexpr std::size_t blocks_per_request = 3;
constexpr std::size_t v4_size = 4;
constexpr std::size_t kind_position = 8;
constexpr std::size_t address_position = 9;

// The octet between fingerprint and address: each kind of tag is a domain of its own.
enum class Kind : std::uint8_t {
    client_v4 = 1,
    client_v6 = 2,
    network_v4 = 3,
    network_v6 = 4,
    client_day_v4 = 5,
    client_day_v6 = 6,
};

struct Shape {
    Kind v4;
    Kind v6;
    std::size_t v4_octets;
    std::size_t v6_octets;
};
constexpr Shape client_shape = {Kind::client_v4, Kind::client_v6, 4, 7};     // /32, /56
constexpr Shape network_shape = {Kind::network_v4, Kind::network_v6, 3, 5};  // /24, /40
constexpr Shape client_day_shape = {Kind::client_day_v4, Kind::client_day_v6, 4, 7};

// The same octets on every machine: the most significant one first.
std::uint64_t big_endian(std::uint64_t value) {
    if constexpr (std::endian::native == std::endian::little) {
        value = __builtin_bswap64(value);
    }
    return value;
}

// `shape` is a constant where it is called, and sizes are then too.
template <const Shape& shape>
AesBlock block_of(std::uint64_t fingerprint, ByteView address) {
    AesBlock block{};
    const std::uint64_t name = big_endian(fingerprint);
    std::memcpy(block.data(), &name, sizeof name);
    if (address.size() == v4_size) {
        block[kind_position] = static_cast<std::byte>(shape.v4);
        std::memcpy(block.data() + address_position, address.data(), shape.v4_octets);
    } else {
        block[kind_position] = static_cast<std::byte>(shape.v6);
        std::memcpy(block.data() + address_position, address.data(), shape.v6_octets);
    }
    return block;
}

std::uint64_t tag_of(const AesBlock& block) {
    std::uint64_t tag = 0;
    std::memcpy(&tag, block.data(), sizeof tag);
    tag = big_endian(tag);
    return tag == 0 ? 1 : tag;  // sketches do not count 0
}

}  // namespace

std::string_view to_string(TagFate fate) {
    switch (fate) {
        case TagFate::counted:
            return "counted";
        case TagFate::absent:
            return "absent";
        case TagFate::malformed:
            return "malformed";
        case TagFate::outside:
            return "outside";
    }
    return "unknown";
}

struct Tagger::Impl {
    Aes128 aes;
    std::shared_ptr<const NetworkSet> networks;

    TagFate fate_of(dnstap::ClientAddress address) const {
        switch (form_of(address)) {
            case AddressForm::absent:
                return TagFate::absent;
            case AddressForm::malformed:
                return TagFate::malformed;
            case AddressForm::ipv4:
            case AddressForm::ipv6:
            case AddressForm::ipv4_mapped:
                break;
        }
        return networks->contains(address, Mapped::as_ipv4) ? TagFate::counted : TagFate::outside;
    }

    void tag_some(std::span<const TagRequest> requests, std::span<Tags> tags) {
        std::array<AesBlock, requests_abreast * blocks_per_request> blocks;
        std::size_t count = 0;
        for (std::size_t i = 0; i < requests.size(); ++i) {
            tags[i] = {};
            tags[i].fate = fate_of(requests[i].address);
            if (tags[i].fate != TagFate::counted) {
                continue;
            }
            const ByteView address = open_unmapped(requests[i].address).octets;
            tags[i].family = address.size() == v4_size ? Family::ipv4 : Family::ipv6;
            const std::uint64_t fingerprint = requests[i].name_fingerprint;
            blocks[count++] = block_of<client_shape>(fingerprint, address);
            blocks[count++] = block_of<network_shape>(fingerprint, address);
            blocks[count++] = block_of<client_day_shape>(0, address);
        }
        aes.encrypt(std::span(blocks).first(count));
        std::size_t next = 0;
        for (Tags& tag : tags) {
            if (tag.fate == TagFate::counted) {
                tag.client = ClientTag{tag_of(blocks[next++])};
                tag.network = NetworkTag{tag_of(blocks[next++])};
                tag.client_day = ClientDayTag{tag_of(blocks[next++])};
            }
        }
    }
};

Tagger::Tagger(const DayKey& key, std::shared_ptr<const NetworkSet> client_networks,
               Engine engine) {
    TAPIR_ASSERT(client_networks != nullptr);
    std::array<std::byte, aes_key_size> aes_key{};
    key.derive(key_purpose, aes_key);
    impl_ = std::make_unique<Impl>(
        Impl{Aes128(aes_key, engine == Engine::best), std::move(client_networks)});
    OPENSSL_cleanse(aes_key.data(), aes_key.size());
}

Tagger::Tagger(Tagger&&) noexcept = default;
Tagger& Tagger::operator=(Tagger&&) noexcept = default;
Tagger::~Tagger() = default;

void Tagger::tag(std::span<const TagRequest> requests, std::span<Tags> tags) {
    TAPIR_ASSERT(requests.size() == tags.size());
    for (std::size_t i = 0; i < requests.size(); i += requests_abreast) {
        const std::size_t count = std::min(requests_abreast, requests.size() - i);
        impl_->tag_some(requests.subspan(i, count), tags.subspan(i, count));
    }
}

Tags Tagger::tag(const TagRequest& request) {
    Tags tags;
    impl_->tag_some(std::span(&request, 1), std::span(&tags, 1));
    return tags;
}

}  // namespace tapir::client
