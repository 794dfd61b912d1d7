// A sealed file, changed as an attacker without the key could: what differs from what was sealed is
// refused. The input's first octet says how many changes follow; each is a kind, a place and a
// value. Then the input itself as a file: it opens only if sealing it again gives the same octets.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "tapir/base/assert.hpp"
#include "tapir/crypto/sealed.hpp"

namespace {

using namespace tapir;
using namespace tapir::crypto;

constexpr std::size_t chunk = 32;
constexpr std::size_t unit = chunk + sealed_tag_size;  // on the disk
constexpr std::size_t changes_max = 16;

const Secret& key() {
    static const Secret key = Secret::taken_from(Bytes(sealed_key_size, std::byte{0x42}));
    return key;
}

Bytes sealed_file(std::size_t size) {
    Bytes content;
    for (std::size_t i = 0; i < size; ++i) {
        append_u8(content, static_cast<std::uint8_t>(i));
    }
    SealedHeader header{.day = 20'717, .salt = {}, .chunk_size = chunk};
    header.salt.fill(static_cast<std::byte>(size));
    return seal(content, header, key());
}

// Swaps, copies, cuts and flips, whole chunks or single octets.
void change(Bytes& file, const Bytes& other, unsigned kind, std::size_t place, std::uint8_t value) {
    if (file.empty()) {
        return;
    }
    const std::size_t at = place % file.size();
    const std::size_t chunks = (file.size() - std::min(file.size(), sealed_header_size)) / unit;
    switch (kind % 6) {
        case 0:
            file[at] ^= std::byte{value};
            return;
        case 1:
            file.resize(at);
            return;
        case 2:
            file.insert(file.begin() + static_cast<std::ptrdiff_t>(at), std::byte{value});
            return;
        case 3:
            if (chunks > 1) {
                const auto first = file.begin() + sealed_header_size +
                                   static_cast<std::ptrdiff_t>(place % chunks * unit);
                const auto second = file.begin() + sealed_header_size +
                                    static_cast<std::ptrdiff_t>(value % chunks * unit);
                std::swap_ranges(first, first + unit, second);
            }
            return;
        case 4:
            if (chunks > 1) {
                const auto first = file.begin() + sealed_header_size +
                                   static_cast<std::ptrdiff_t>(place % chunks * unit);
                file.erase(first, first + unit);
            }
            return;
        case 5:
            std::copy_n(other.begin(), std::min(at, other.size()), file.begin());
            return;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView octets = std::as_bytes(std::span(data, size));
    if (const auto content = open_sealed(octets, key())) {
        TAPIR_ASSERT(seal(*content, *SealedHeader::parse(octets), key()) == to_bytes(octets));
    }
    ByteReader in(octets);
    const std::size_t changes = std::min<std::size_t>(in.u8() % changes_max, size / 4);
    const Bytes whole = sealed_file(in.u8());
    const Bytes other = sealed_file(in.u8());
    Bytes file = whole;
    for (std::size_t i = 0; i < changes; ++i) {
        const unsigned kind = in.u8();
        const std::size_t place = in.u16();
        change(file, other, kind, place, in.u8());
    }
    const auto opened = open_sealed(file, key());
    TAPIR_ASSERT(opened.has_value() == (file == whole || file == other));
    return 0;
}
