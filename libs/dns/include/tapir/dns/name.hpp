// Domain names in wire form (RFC 1035 §3.1): checked once, trusted ever after.
//
//     const NameView name = TRY(NameView::parse(wire));       // a view: `wire` must outlive it
//     if (name.is_under(zone)) { ... }                        // cannot fail, allocates nothing
//     const Name zone = TRY(Name::from_text("example.com"));  // owns its octets
//     FoldedName folded(name);                                // lower case, a hash for each suffix
//
// Which to open: NameView to look at a name in a message, NameBuffer for one that was compressed,
// Name to keep one, FoldedName to look one up. Comparisons ignore ASCII case (RFC 4343).
// None of them changes behind your back; threads may share them.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::dns {

inline constexpr std::size_t name_size_max = 255;        // octets with the root label, RFC 1035
inline constexpr std::size_t label_size_max = 63;        // octets
inline constexpr std::size_t label_count_max = 127;      // without the root label
inline constexpr std::size_t name_text_size_max = 1004;  // 250 octets as \DDD, and 4 dots
inline constexpr std::size_t pointer_count_max = 126;    // compression pointers in one name

// Why a name was refused. Each value names a counter.
enum class NameError : std::uint8_t {
    truncated,       // wire: the octets end before the root label
    label_type,      // wire: a length octet of 64 to 191 (reserved), or a pointer where none may be
    pointer,         // wire: a compression pointer that does not go backwards
    pointer_count,   // wire: more than pointer_count_max pointers
    name_too_long,   // more than 255 octets
    label_too_long,  // text: a label of more than 63 octets
    empty_label,     // text: nothing at all, or two dots in a row
    escape,          // text: a backslash that is not followed by \DDD (at most 255) or one octet
};
inline constexpr std::size_t name_error_count = 8;
std::string_view to_string(NameError error);
Error to_error(NameError error);

inline std::byte to_lower(std::byte octet) {
    const auto c = static_cast<unsigned char>(octet);
    return static_cast<std::byte>(c + (static_cast<unsigned char>(c - 'A') < 26 ? 32 : 0));
}

// The labels of a name from the leftmost on, the root label left out. Made by NameView::labels().
class LabelIterator {
public:
    using value_type = ByteView;
    using difference_type = std::ptrdiff_t;

    LabelIterator() = default;
    explicit LabelIterator(const std::byte* at) : at_(at) {}
    ByteView operator*() const { return {at_ + 1, std::to_integer<std::size_t>(*at_)}; }
    LabelIterator& operator++() {
        at_ += 1 + std::to_integer<std::size_t>(*at_);
        return *this;
    }
    LabelIterator operator++(int) {
        const LabelIterator old = *this;
        ++*this;
        return old;
    }
    friend bool operator==(LabelIterator, LabelIterator) = default;

private:
    const std::byte* at_ = nullptr;
};

struct LabelRange {
    LabelIterator first;
    LabelIterator last;
    LabelIterator begin() const { return first; }
    LabelIterator end() const { return last; }
};

// A checked, uncompressed name somewhere in memory, which must outlive it. Two words, pass by
// value.
class NameView {
public:
    NameView() = default;  // the root

    // Reads one uncompressed name from the front of `wire`. What follows it is not looked at.
    static Result<NameView, NameError> parse(ByteView wire);

    // The wire form in the case that it came in, root label included.
    ByteView wire() const { return {data_, size_}; }
    std::size_t wire_size() const { return size_; }
    // Labels without the root label: 2 for example.com.
    std::size_t label_count() const { return label_count_; }
    bool is_root() const { return label_count_ == 0; }
    LabelRange labels() const { return {LabelIterator(data_), LabelIterator(data_ + size_ - 1)}; }

    // The name without its leftmost label. The root has none: asserts.
    NameView parent() const {
        TAPIR_ASSERT(!is_root());
        const std::size_t skip = 1 + std::to_integer<std::size_t>(*data_);
        return {data_ + skip, size_ - skip, label_count_ - 1U};
    }
    // The name's last `label_count` labels; asserts that it has so many. 0 is the root.
    NameView suffix(std::size_t label_count) const {
        TAPIR_ASSERT(label_count <= label_count_);
        NameView at = *this;
        while (at.label_count_ > label_count) {
            at = at.parent();
        }
        return at;
    }
    // Whether this name is `zone` or lies below it.
    bool is_under(NameView zone) const {
        return zone.label_count_ <= label_count_ && suffix(zone.label_count_) == zone;
    }

    friend bool operator==(NameView a, NameView b) { return a.size_ == b.size_ && same(a, b); }
    // The canonical order of DNS (RFC 4034 §6.1): label by label from the root on.
    friend std::weak_ordering operator<=>(NameView a, NameView b) { return compare(a, b); }

private:
    friend class NameBuffer;
    friend class FoldedName;
    friend class Name;
    NameView(const std::byte* data, std::size_t size, std::size_t label_count)
        : data_(data),
          size_(static_cast<std::uint8_t>(size)),
          label_count_(static_cast<std::uint8_t>(label_count)) {}
    static bool same(NameView a, NameView b);
    static std::weak_ordering compare(NameView a, NameView b);

    static constexpr std::byte root{0};
    const std::byte* data_ = &root;
    std::uint8_t size_ = 1;
    std::uint8_t label_count_ = 0;
};

// Here, as each frame's name is read by it.
inline Result<NameView, NameError> NameView::parse(ByteView wire) {
    std::size_t at = 0;
    std::size_t labels = 0;
    while (at < wire.size()) {
        const auto size = std::to_integer<std::size_t>(wire[at]);
        if (size == 0) {
            return NameView(wire.data(), at + 1, labels);
        }
        if (size > label_size_max) {
            return fail(NameError::label_type);
        }
        at += 1 + size;
        ++labels;
        if (at >= name_size_max) {
            return fail(NameError::name_too_long);
        }
    }
    return fail(NameError::truncated);
}

// Room for any name: where decompressed names are put. Views of it are valid until it is written.
class NameBuffer {
public:
    NameBuffer() { octets_[0] = std::byte{0}; }

    NameView view() const& { return {octets_.data(), size_, label_count_}; }
    NameView view() const&& = delete;

    void assign(NameView name);
    // Appends a label before the root label; false, and nothing changed, if the name would be too
    // long. Asserts 1 to 63 octets.
    bool append(ByteView label);
    void clear() {
        octets_[0] = std::byte{0};
        size_ = 1;
        label_count_ = 0;
    }

private:
    std::array<std::byte, name_size_max> octets_;
    std::uint8_t size_ = 1;
    std::uint8_t label_count_ = 0;
};

// Where a compression pointer may point.
enum class Pointers : std::uint8_t {
    backwards,  // before the octets that are being read (RFC 1035 §4.1.4)
    anywhere,   // as the existing minimiser has it: only their number is limited
};

struct MessageName {
    NameView name;        // in the message, or in the buffer if it was compressed
    std::size_t end = 0;  // offset in the message of what follows the name
};

// Reads the name at `offset` of `message`, compressed or not. `buffer` is written only if the name
// is compressed. At most 255 octets and 126 pointers are looked at.
Result<MessageName, NameError> read_name(ByteView message, std::size_t offset, NameBuffer& buffer,
                                         Pointers pointers = Pointers::backwards);
// The same without the name: the offset of what follows, by the same rules. Where a name ends in a
// pointer, what it points at is not read.
Result<std::size_t, NameError> skip_name(ByteView message, std::size_t offset);

// A name that owns its octets.
class Name {
public:
    Name() : wire_(1, '\0') {}  // the root
    explicit Name(NameView name)
        : wire_(as_text(name.wire())),
          label_count_(static_cast<std::uint8_t>(name.label_count())) {}

    // As NameView::parse.
    static Result<Name, NameError> parse(ByteView wire);
    // Reads presentation form (RFC 1035 §5.1), with or without the final dot; always absolute.
    // Octets that to_text would escape may also stand plain (dots excepted). "." is the root.
    static Result<Name, NameError> from_text(std::string_view text);

    NameView view() const& { return {as_bytes(wire_).data(), wire_.size(), label_count_}; }
    NameView view() const&& = delete;
    // For a call: `f(name)`. The view is valid while this Name lives.
    operator NameView() const& { return view(); }  // NOLINT(google-explicit-constructor)

    friend bool operator==(const Name& a, const Name& b) { return a.view() == b.view(); }
    friend std::weak_ordering operator<=>(const Name& a, const Name& b) {
        return a.view() <=> b.view();
    }

private:
    std::string wire_;
    std::uint8_t label_count_ = 0;
};

enum class Case : std::uint8_t { kept, lower };

// Presentation text as the existing minimiser writes it: inside a label a backslash stands before
// . space ' @ ; ( ) " and \; octets below 0x20 and above 0x7E are \DDD; the final dot is there;
// the root is ".". No allocation.
class NameText {
public:
    explicit NameText(NameView name, Case letter_case = Case::kept);
    std::string_view view() const& { return {text_.data(), size_}; }
    std::string_view view() const&& = delete;

private:
    std::array<char, name_text_size_max> text_;
    std::size_t size_ = 0;
};
std::string to_text(NameView name, Case letter_case = Case::kept);
// The last `label_count` labels of a text of to_text(); all of it if it has no more. 0: nothing.
std::string_view suffix_text(std::string_view text, std::size_t label_count);
// One label in the same form, without a dot; at most 4 * label_size_max octets.
void append_label_text(std::string& out, ByteView label, Case letter_case = Case::kept);

// A name in lower case, with a 64-bit fingerprint of each of its suffixes, made in one pass from
// the root label on: XXH3 of the label with its length octet, seeded with the fingerprint of what
// stands right of it. Equal names have equal fingerprints on every machine (they stand in files);
// who must not be fooled compares the names too. 1.3 KiB: keep one for each place in a batch.
class FoldedName {
public:
    FoldedName() { assign(NameView()); }  // the root
    explicit FoldedName(NameView name) { assign(name); }
    void assign(NameView name);

    NameView view() const& { return {octets_.data(), size_, label_count_}; }
    NameView view() const&& = delete;
    std::size_t label_count() const { return label_count_; }
    // The last `label_count` labels. 0 is the root; at most label_count() (debug assertion).
    NameView suffix(std::size_t label_count) const& {
        TAPIR_DEBUG_ASSERT(label_count <= label_count_);
        const std::size_t start = starts_[label_count];
        return {octets_.data() + start, std::size_t{size_} - start, label_count};
    }
    std::uint64_t fingerprint(std::size_t label_count) const {
        TAPIR_DEBUG_ASSERT(label_count <= label_count_);
        return fingerprints_[label_count];
    }
    std::uint64_t fingerprint() const { return fingerprints_[label_count_]; }

private:
    // Indexed by the number of labels of the suffix.
    static constexpr std::uint64_t root_fingerprint = 0x7461706972303031;  // "tapir001"
    std::uint8_t size_ = 1;
    std::uint8_t label_count_ = 0;
    std::array<std::uint8_t, label_count_max + 1> starts_;  // usually in the same cache line
    std::array<std::uint64_t, label_count_max + 1> fingerprints_;
    std::array<std::byte, name_size_max> octets_;
};

}  // namespace tapir::dns
