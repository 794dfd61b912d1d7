#include "pages.hpp"

#include <cstdint>
#include <string_view>

#include <snappy.h>

namespace tapir::sim {
namespace {

constexpr std::string_view magic = "PAR1";
constexpr std::size_t tail_size = 8;  // octets: the footer's size, and the magic

// As Thrift's compact protocol numbers them.
constexpr unsigned type_i32 = 5;
constexpr unsigned type_struct = 12;
constexpr int field_packed_size = 3;  // of a page header

// Takes from the front of what is left.
class Reader {
public:
    explicit Reader(std::string_view octets) : rest_(octets) {}

    bool is_at_end() const { return rest_.empty(); }
    std::optional<std::string_view> take(std::size_t size) {
        if (size > rest_.size()) {
            return std::nullopt;
        }
        const std::string_view out = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return out;
    }
    std::optional<std::uint8_t> octet() {
        const auto one = take(1);
        return one ? std::optional(static_cast<std::uint8_t>(one->front())) : std::nullopt;
    }
    std::optional<std::uint64_t> varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto next = octet();
            if (!next) {
                return std::nullopt;
            }
            value |= std::uint64_t{*next & 0x7fU} << shift;
            if (*next < 0x80) {
                return value;
            }
        }
        return std::nullopt;
    }

private:
    std::string_view rest_;
};

// Of a page, packed; the header holds integers, and structs of integers.
std::optional<std::size_t> read_page_header(Reader& in) {
    std::optional<std::size_t> packed;
    unsigned depth = 1;
    int id = 0;
    while (depth > 0) {
        const auto head = in.octet();
        if (!head) {
            return std::nullopt;
        }
        const unsigned type = *head & 0x0fU;
        id += *head >> 4U;
        if (*head == 0) {
            --depth;
        } else if (type == type_struct && depth == 1) {
            ++depth;
            id = 0;
        } else if (type == type_i32) {
            const auto value = in.varint();
            if (!value || *value % 2 != 0) {
                return std::nullopt;  // zigzag: a negative size
            }
            if (depth == 1 && id == field_packed_size) {
                packed = *value / 2;
            }
        } else {
            return std::nullopt;
        }
    }
    return packed;
}

bool unpack_page(Reader& in, std::string& out) {
    const auto size = read_page_header(in);
    const auto packed = size ? in.take(*size) : std::nullopt;
    std::string page;
    if (!packed || !snappy::Uncompress(packed->data(), packed->size(), &page)) {
        return false;
    }
    out += page;
    return true;
}

}  // namespace

std::optional<std::string> unpacked(ByteView file) {
    const std::string_view octets = as_text(file);
    if (octets.size() < magic.size() + tail_size || !octets.starts_with(magic) ||
        !octets.ends_with(magic)) {
        return std::nullopt;
    }
    std::size_t footer_size = 0;
    for (std::size_t i = 4; i > 0; --i) {
        footer_size = footer_size << 8U |
                      static_cast<std::uint8_t>(octets[octets.size() - tail_size + i - 1]);
    }
    if (footer_size > octets.size() - magic.size() - tail_size) {
        return std::nullopt;
    }
    const std::size_t footer = octets.size() - tail_size - footer_size;
    std::string out;
    Reader pages(octets.substr(magic.size(), footer - magic.size()));
    while (!pages.is_at_end()) {
        if (!unpack_page(pages, out)) {
            return std::nullopt;
        }
    }
    out += octets.substr(footer);
    return out;
}

}  // namespace tapir::sim
