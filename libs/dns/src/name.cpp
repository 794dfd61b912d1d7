#include "tapir/dns/name.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tapir/base/assert.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tapir::dns {

namespace {

constexpr std::size_t octet_at(ByteView wire, std::size_t i) {
    return std::to_integer<std::size_t>(wire[i]);
}

// Octets in lower case, many at once. Length octets are at most 63, below 'A': so the wire form can
// be folded without looking at its labels.
std::uint64_t lower(std::uint64_t octets) {
    constexpr std::uint64_t ones = 0x0101'0101'0101'0101;
    // Bit 7 of an octet: seven bits of it are at least 'A', or above 'Z'.
    const std::uint64_t seven = octets & (0x7F * ones);
    const std::uint64_t from_a = seven + (0x80 - 'A') * ones;
    const std::uint64_t above_z = seven + (0x7F - 'Z') * ones;
    const std::uint64_t upper = (from_a ^ above_z) & ~octets & (0x80 * ones);
    return octets | upper >> 2U;
}
// Sixteen octets, signed because that is what processors compare.
using Piece = signed char __attribute__((vector_size(16)));
using Unsigned = unsigned char __attribute__((vector_size(16)));
Piece lower(Piece octets) {
    // 'A' to 'Z' become the lowest 26.
    constexpr auto first = static_cast<unsigned char>(0x80 - 'A');
    constexpr auto end = static_cast<signed char>(0x80 + 26);
    constexpr signed char to_lower_case = 0x20;
    const Piece moved = std::bit_cast<Piece>(std::bit_cast<Unsigned>(octets) + first);
    return octets | ((moved < end) & to_lower_case);
}

template <class T>
T load(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// Copies pieces of T, the last of them over the one before, so that no octet around is touched and
// no size takes longer to choose a way for. `size` is at least that of a T. Everything at `to` may
// be at `from` too, or begin before it.
template <class T>
void copy_lower_by(std::byte* to, const std::byte* from, std::size_t size) {
    const T last = lower(load<T>(from + size - sizeof(T)));
    for (std::size_t at = 0; at + sizeof(T) < size; at += sizeof(T)) {
        const T piece = lower(load<T>(from + at));
        std::memcpy(to + at, &piece, sizeof piece);
    }
    std::memcpy(to + size - sizeof(T), &last, sizeof last);
}

void copy_lower(std::byte* to, const std::byte* from, std::size_t size) {
    if (size >= sizeof(Piece)) {
        copy_lower_by<Piece>(to, from, size);
    } else if (size >= sizeof(std::uint64_t)) {
        copy_lower_by<std::uint64_t>(to, from, size);
    } else {
        for (std::size_t i = 0; i < size; ++i) {
            to[i] = to_lower(from[i]);
        }
    }
}

bool is_escaped_with_backslash(unsigned char c) {
    switch (c) {
        case '.':
        case ' ':
        case '\'':
        case '@':
        case ';':
        case '(':
        case ')':
        case '"':
        case '\\':
            return true;
        default:
            return false;
    }
}

// Writes one octet's text to `to`; returns how many characters (1 to 4).
std::size_t write_octet_text(char* to, unsigned char c) {
    if (c < 0x20 || c > 0x7E) {
        to[0] = '\\';
        to[1] = static_cast<char>('0' + c / 100);
        to[2] = static_cast<char>('0' + c / 10 % 10);
        to[3] = static_cast<char>('0' + c % 10);
        return 4;
    }
    std::size_t size = 0;
    if (is_escaped_with_backslash(c)) {
        to[size++] = '\\';
    }
    to[size++] = static_cast<char>(c);
    return size;
}

std::size_t write_label_text(char* to, ByteView label, Case letter_case) {
    std::size_t size = 0;
    for (const std::byte octet : label) {
        const std::byte shown = letter_case == Case::lower ? to_lower(octet) : octet;
        size += write_octet_text(to + size, std::to_integer<unsigned char>(shown));
    }
    return size;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Reads an escape whose backslash is at text[at]; moves `at` behind it.
Result<std::byte, NameError> read_escape(std::string_view text, std::size_t& at) {
    if (at + 1 >= text.size()) {
        return fail(NameError::escape);
    }
    if (!is_digit(text[at + 1])) {
        at += 2;
        return static_cast<std::byte>(text[at - 1]);
    }
    if (at + 3 >= text.size() || !is_digit(text[at + 2]) || !is_digit(text[at + 3])) {
        return fail(NameError::escape);
    }
    const int value = (text[at + 1] - '0') * 100 + (text[at + 2] - '0') * 10 + (text[at + 3] - '0');
    if (value > 255) {
        return fail(NameError::escape);
    }
    at += 4;
    return static_cast<std::byte>(value);
}

}  // namespace

std::string_view to_string(NameError error) {
    switch (error) {
        case NameError::truncated:
            return "truncated";
        case NameError::label_type:
            return "label_type";
        case NameError::pointer:
            return "pointer";
        case NameError::pointer_count:
            return "pointer_count";
        case NameError::name_too_long:
            return "name_too_long";
        case NameError::label_too_long:
            return "label_too_long";
        case NameError::empty_label:
            return "empty_label";
        case NameError::escape:
            return "escape";
    }
    return "unknown";
}

Error to_error(NameError error) {
    switch (error) {
        case NameError::truncated:
            return {Code::invalid, "expected a domain name, got octets that end before it does"};
        case NameError::label_type:
            return {Code::invalid, "expected a label of 0 to 63 octets, got a reserved label type"};
        case NameError::pointer:
            return {Code::invalid, "expected a compression pointer that goes backwards"};
        case NameError::pointer_count:
            return {Code::invalid, "expected at most 126 compression pointers"};
        case NameError::name_too_long:
            return {Code::invalid, "expected a name of at most 255 octets, got a longer one"};
        case NameError::label_too_long:
            return {Code::invalid, "expected labels of at most 63 octets, got a longer one"};
        case NameError::empty_label:
            return {Code::invalid, "expected a name without empty labels, got an empty one"};
        case NameError::escape:
            return {Code::invalid, "expected \\DDD (at most 255) or an octet after a backslash"};
    }
    return {Code::internal, "unknown name error"};
}

bool NameView::same(NameView a, NameView b) {
    return std::equal(a.data_, a.data_ + a.size_, b.data_,
                      [](std::byte x, std::byte y) { return to_lower(x) == to_lower(y); });
}

std::weak_ordering NameView::compare(NameView a, NameView b) {
    const std::size_t common = std::min(a.label_count_, b.label_count_);
    for (std::size_t labels = 1; labels <= common; ++labels) {
        const ByteView x = *a.suffix(labels).labels().begin();
        const ByteView y = *b.suffix(labels).labels().begin();
        const auto order = std::lexicographical_compare_three_way(
            x.begin(), x.end(), y.begin(), y.end(), [](std::byte p, std::byte q) {
                return std::to_integer<int>(to_lower(p)) <=> std::to_integer<int>(to_lower(q));
            });
        if (order != 0) {
            return order;
        }
    }
    return a.label_count_ <=> b.label_count_;
}

void NameBuffer::assign(NameView name) {
    std::copy(name.data_, name.data_ + name.size_, octets_.begin());
    size_ = name.size_;
    label_count_ = name.label_count_;
}

bool NameBuffer::append(ByteView label) {
    TAPIR_ASSERT(!label.empty() && label.size() <= label_size_max);
    if (size_ + 1 + label.size() > name_size_max) {
        return false;
    }
    std::byte* at = octets_.data() + size_ - 1;
    *at = static_cast<std::byte>(label.size());
    at = std::copy(label.begin(), label.end(), at + 1);
    *at = std::byte{0};
    size_ = static_cast<std::uint8_t>(size_ + 1 + label.size());
    ++label_count_;
    return true;
}

namespace {

// Follows the pointers from `at`, which holds the first of them, and adds the labels to `buffer`.
// `start`: where the run of labels before that pointer began; a pointer must go before it.
Result<void, NameError> follow(ByteView message, std::size_t start, std::size_t at,
                               NameBuffer& buffer, Pointers pointers) {
    std::size_t pointer_count = 0;
    while (at < message.size()) {
        const std::size_t size = octet_at(message, at);
        if (size == 0) {
            return {};
        }
        if (size <= label_size_max) {
            if (message.size() - at - 1 < size) {
                return fail(NameError::truncated);
            }
            if (!buffer.append(message.subspan(at + 1, size))) {
                return fail(NameError::name_too_long);
            }
            at += 1 + size;
            continue;
        }
        if (size < 0xC0) {
            return fail(NameError::label_type);
        }
        if (message.size() - at < 2) {
            return fail(NameError::truncated);
        }
        const std::size_t target = (size & 0x3FU) << 8U | octet_at(message, at + 1);
        if (++pointer_count > pointer_count_max) {
            return fail(NameError::pointer_count);
        }
        if (pointers == Pointers::backwards && target >= start) {
            return fail(NameError::pointer);
        }
        start = target;
        at = target;
    }
    return fail(NameError::truncated);
}

}  // namespace

Result<MessageName, NameError> read_name(ByteView message, std::size_t offset, NameBuffer& buffer,
                                         Pointers pointers) {
    if (offset >= message.size()) {
        return fail(NameError::truncated);
    }
    const auto plain = NameView::parse(message.subspan(offset));
    if (plain) {
        return MessageName{*plain, offset + plain->wire_size()};
    }
    if (plain.error() != NameError::label_type) {
        return fail(plain.error());
    }
    std::size_t at = offset;
    while (at < message.size()) {
        const std::size_t size = octet_at(message, at);
        if (size >= 0xC0) {
            buffer.clear();
            const auto followed = follow(message, offset, offset, buffer, pointers);
            if (!followed) {
                return fail(followed.error());
            }
            return MessageName{buffer.view(), at + 2};
        }
        if (size > label_size_max) {
            return fail(NameError::label_type);
        }
        at += 1 + size;
        if (at - offset >= name_size_max) {
            return fail(NameError::name_too_long);
        }
    }
    return fail(NameError::truncated);
}

Result<std::size_t, NameError> skip_name(ByteView message, std::size_t offset) {
    std::size_t at = offset;
    while (at < message.size()) {
        const std::size_t size = octet_at(message, at);
        if (size == 0) {
            return at + 1;
        }
        if (size >= 0xC0) {
            if (message.size() - at < 2) {
                return fail(NameError::truncated);
            }
            return at + 2;
        }
        if (size > label_size_max) {
            return fail(NameError::label_type);
        }
        at += 1 + size;
        if (at - offset >= name_size_max) {
            return fail(NameError::name_too_long);
        }
    }
    return fail(NameError::truncated);
}

Result<Name, NameError> Name::parse(ByteView wire) {
    const auto view = NameView::parse(wire);
    if (!view) {
        return fail(view.error());
    }
    return Name(*view);
}

Result<Name, NameError> Name::from_text(std::string_view text) {
    if (text == ".") {
        return Name();
    }
    NameBuffer name;
    std::array<std::byte, label_size_max> label;
    std::size_t at = 0;
    do {
        std::size_t size = 0;
        while (at < text.size() && text[at] != '.') {
            auto octet = static_cast<std::byte>(text[at]);
            if (text[at] == '\\') {
                const auto escaped = read_escape(text, at);
                if (!escaped) {
                    return fail(escaped.error());
                }
                octet = *escaped;
            } else {
                ++at;
            }
            if (size == label_size_max) {
                return fail(NameError::label_too_long);
            }
            label[size++] = octet;
        }
        ++at;  // the dot
        if (size == 0) {
            return fail(NameError::empty_label);
        }
        if (!name.append(ByteView(label.data(), size))) {
            return fail(NameError::name_too_long);
        }
    } while (at < text.size());
    return Name(name.view());
}

NameText::NameText(NameView name, Case letter_case) {
    for (const ByteView label : name.labels()) {
        size_ += write_label_text(text_.data() + size_, label, letter_case);
        text_[size_++] = '.';
    }
    if (name.is_root()) {
        text_[size_++] = '.';
    }
}

std::string to_text(NameView name, Case letter_case) {
    const NameText text(name, letter_case);
    return std::string(text.view());
}

std::string_view suffix_text(std::string_view text, std::size_t label_count) {
    // A dot that ends a label has an even number of backslashes in front of it.
    const auto is_escaped = [text](std::size_t dot) {
        std::size_t slashes = 0;
        while (slashes < dot && text[dot - 1 - slashes] == '\\') {
            ++slashes;
        }
        return slashes % 2 != 0;
    };
    std::size_t start = text.size();
    for (; label_count > 0 && start > 0; --label_count) {
        std::size_t dot = start - 1;  // the one that ends the label
        do {
            dot = dot == 0 ? std::string_view::npos : text.rfind('.', dot - 1);
        } while (dot != std::string_view::npos && is_escaped(dot));
        start = dot == std::string_view::npos ? 0 : dot + 1;
    }
    return text.substr(start);
}

void append_label_text(std::string& out, ByteView label, Case letter_case) {
    TAPIR_ASSERT(label.size() <= label_size_max);
    std::array<char, label_size_max * 4> text;
    out.append(text.data(), write_label_text(text.data(), label, letter_case));
}

void FoldedName::assign(NameView name) {
    size_ = name.size_;
    label_count_ = name.label_count_;
    // It may be a view of these very octets.
    copy_lower(octets_.data(), name.data_, name.size_);
    std::size_t at = 0;
    for (std::size_t labels = label_count_; labels > 0; --labels) {
        starts_[labels] = static_cast<std::uint8_t>(at);
        at += 1 + std::to_integer<std::size_t>(octets_[at]);
    }
    starts_[0] = static_cast<std::uint8_t>(at);
    std::uint64_t fingerprint = root_fingerprint;
    fingerprints_[0] = fingerprint;
    for (std::size_t labels = 1; labels <= label_count_; ++labels) {
        const std::size_t start = starts_[labels];
        fingerprint =
            XXH3_64bits_withSeed(octets_.data() + start, starts_[labels - 1] - start, fingerprint);
        fingerprints_[labels] = fingerprint;
    }
}

}  // namespace tapir::dns
