#include "tapir/privacy/identifier.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace tapir::embedded {
extern const unsigned char given_names[];  // NOLINT(modernize-avoid-c-arrays): as embedded
extern const std::size_t given_names_size;
}  // namespace tapir::embedded

namespace tapir::privacy {
namespace {

constexpr std::size_t number_size_min = 7;        // digits
constexpr std::size_t hex_size_min = 8;           // digits, letters among them
constexpr std::size_t hex_letters_size_min = 16;  // letters alone
constexpr std::size_t opaque_size_min = 10;
constexpr std::size_t random_letters_size_min = 16;
constexpr std::size_t unspoken_size_min = 8;
constexpr std::size_t part_count_max = 32;  // 63 octets make no more

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f');
}
bool is_vowel(char c) {
    return std::string_view("aeiouy").find(c) != std::string_view::npos;
}
// Few in the words of most languages, a quarter of what chance writes.
bool is_rare(char c) {
    return std::string_view("jqvwxz").find(c) != std::string_view::npos;
}
template <class Is>
bool all(std::string_view text, const Is& is) {
    return std::ranges::all_of(text, is);
}
template <class Is>
std::size_t count(std::string_view text, const Is& is) {
    return static_cast<std::size_t>(std::ranges::count_if(text, is));
}

// The runs of letters and digits of a label; everything else stands between them.
class Parts {
public:
    explicit Parts(std::string_view label) {
        std::size_t at = 0;
        while (at < label.size() && count_ < parts_.size()) {
            std::size_t end = at;
            while (end < label.size() && (is_letter(label[end]) || is_digit(label[end]))) {
                ++end;
            }
            if (end > at) {
                parts_[count_++] = label.substr(at, end - at);
            }
            at = end + 1;
        }
    }
    const std::string_view* begin() const { return parts_.data(); }
    const std::string_view* end() const { return parts_.data() + count_; }
    std::size_t size() const { return count_; }
    std::string_view operator[](std::size_t i) const { return parts_[i]; }

private:
    std::array<std::string_view, part_count_max> parts_;
    std::size_t count_ = 0;
};

bool has_uuid(const Parts& parts) {
    constexpr std::array<std::size_t, 5> sizes{8, 4, 4, 4, 12};
    for (std::size_t i = 0; i + sizes.size() <= parts.size(); ++i) {
        bool fits = true;
        for (std::size_t j = 0; j < sizes.size(); ++j) {
            const std::string_view part = parts[i + j];
            // The first may have letters in front of it, the last behind.
            const std::string_view octets = j == 0 && part.size() > sizes[j]
                                                ? part.substr(part.size() - sizes[j])
                                                : part.substr(0, sizes[j]);
            const bool is_end = j == 0 || j + 1 == sizes.size();
            fits = fits && octets.size() == sizes[j] && (is_end || part.size() == sizes[j]) &&
                   all(octets, is_hex);
        }
        if (fits) {
            return true;
        }
    }
    return false;
}

// So many parts in a row that all are `is`.
template <class Is>
std::size_t longest_row(const Parts& parts, const Is& is) {
    std::size_t row = 0;
    std::size_t longest = 0;
    for (const std::string_view part : parts) {
        row = is(part) ? row + 1 : 0;
        longest = std::max(longest, row);
    }
    return longest;
}

bool has_mac(const Parts& parts) {
    return longest_row(parts, [](std::string_view part) {
               return part.size() == 2 && all(part, is_hex);
           }) >= 6;
}

bool is_octet(std::string_view part) {
    if (part.empty() || part.size() > 3 || !all(part, is_digit)) {
        return false;
    }
    int value = 0;
    for (const char c : part) {
        value = value * 10 + (c - '0');
    }
    return value <= 255;
}

bool has_address(std::string_view label, const Parts& parts) {
    if (longest_row(parts, is_octet) >= 4) {
        return true;
    }
    const auto is_group = [](std::string_view part) {
        return part.size() <= 4 && all(part, is_hex);
    };
    const std::size_t groups = longest_row(parts, is_group);
    const bool has_long = std::ranges::any_of(
        parts, [&](std::string_view part) { return is_group(part) && part.size() >= 3; });
    // All eight groups, or some and a gap: 2001-db8--1.
    return groups >= 8 ||
           (has_long && groups >= 2 && label.find("--") != std::string_view::npos &&
            !label.starts_with("xn--") && std::ranges::all_of(parts, is_group)) ||
           (has_long && groups >= 5);
}

bool has_number(const Parts& parts) {
    std::size_t row = 0;  // digits in parts of digits alone, one after the other
    for (const std::string_view part : parts) {
        std::size_t run = 0;
        for (const char c : part) {
            run = is_digit(c) ? run + 1 : 0;
            if (run >= number_size_min) {
                return true;
            }
        }
        row = all(part, is_digit) ? row + part.size() : 0;
        if (row >= number_size_min) {
            return true;
        }
    }
    return false;
}

// Hexadecimal digits in a row, wherever in the part they begin.
bool has_hex(std::string_view part) {
    std::size_t digits = 0;
    std::size_t letters = 0;
    for (const char c : part) {
        if (!is_hex(c)) {
            digits = 0;
            letters = 0;
            continue;
        }
        ++(is_digit(c) ? digits : letters);
        if (digits + letters >= hex_size_min && digits >= 2 && letters >= 1) {
            return true;
        }
        if (letters >= hex_letters_size_min) {
            return true;
        }
    }
    return false;
}

// How often figures and letters take turns.
std::size_t turns_in(std::string_view part) {
    std::size_t turns = 0;
    for (std::size_t i = 1; i < part.size(); ++i) {
        turns += is_digit(part[i]) != is_digit(part[i - 1]) ? 1 : 0;
    }
    return turns;
}

std::size_t longest_without_vowel(std::string_view part) {
    std::size_t run = 0;
    std::size_t longest = 0;
    for (const char c : part) {
        run = is_vowel(c) ? 0 : run + 1;
        longest = std::max(longest, run);
    }
    return longest;
}

// Consonants in a row.
std::size_t longest_unspoken(std::string_view part) {
    std::size_t run = 0;
    std::size_t longest = 0;
    for (const char c : part) {
        run = is_letter(c) && !is_vowel(c) ? run + 1 : 0;
        longest = std::max(longest, run);
    }
    return longest;
}

bool is_opaque(std::string_view part) {
    const std::size_t turns = turns_in(part);
    if (part.size() >= opaque_size_min && turns >= 3) {
        return true;
    }
    if (longest_unspoken(part) >= unspoken_size_min) {
        return true;
    }
    if (part.size() < random_letters_size_min) {
        return false;
    }
    // Words of any language have a vowel in every few letters; and a long string with figures in
    // its middle is none.
    const std::size_t vowels = count(part, is_vowel);
    const std::size_t rare = count(part, is_rare);
    return turns >= 2 || vowels * 5 < part.size() || rare * 5 >= part.size() ||
           longest_without_vowel(part) >= 8;
}

constexpr std::array<std::string_view, 30> devices{
    "chromebook", "desktop", "ereader", "fritzbox", "galaxy",      "handy",   "huawei",  "imac",
    "ipad",       "iphone",  "ipod",    "kindle",   "laptop",      "lenovo",  "macbook", "macmini",
    "nas",        "nokia",   "oneplus", "pc",       "phone",       "printer", "redmi",   "samsung",
    "surface",    "tablet",  "telefon", "thinkpad", "workstation", "xiaomi"};

bool is_device(std::string_view part) {
    return std::ranges::binary_search(devices, part);
}
// "johnsiphone": what stands in front of it is whose it is.
bool ends_in_device(std::string_view part) {
    return std::ranges::any_of(devices, [part](std::string_view device) {
        return device.size() >= 4 && part.size() > device.size() + 1 && part.ends_with(device);
    });
}

std::vector<std::string_view> split_names() {
    std::string_view rest(reinterpret_cast<const char*>(embedded::given_names),
                          embedded::given_names_size);
    std::vector<std::string_view> names;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        names.push_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return names;
}

bool is_given_name(std::string_view part) {
    static const std::vector<std::string_view> names = split_names();
    return std::ranges::binary_search(names, part);
}

}  // namespace

std::string_view to_string(Identifier identifier) {
    return token_of(identifier).substr(4);
}

std::string_view token_of(Identifier identifier) {
    static constexpr std::array<std::string_view, identifier_count> tokens{
        "id--uuid", "id--mac",    "id--address", "id--number",
        "id--hex",  "id--opaque", "id--device",  "id--person"};
    return tokens.at(static_cast<std::size_t>(identifier));
}

std::optional<Identifier> identifier_in(std::string_view label) {
    const Parts parts(label);
    if (has_uuid(parts)) {
        return Identifier::uuid;
    }
    if (has_mac(parts)) {
        return Identifier::mac;
    }
    if (has_address(label, parts)) {
        return Identifier::address;
    }
    if (has_number(parts)) {
        return Identifier::number;
    }
    // Letters outside ASCII make strings that look as if nobody had chosen them.
    const bool is_idn = label.starts_with("xn--");
    for (const std::string_view part : parts) {
        if (!is_idn && has_hex(part)) {
            return Identifier::hex;
        }
    }
    for (const std::string_view part : parts) {
        if (!is_idn && is_opaque(part)) {
            return Identifier::opaque;
        }
    }
    for (const std::string_view part : parts) {
        if ((parts.size() >= 2 && is_device(part)) || ends_in_device(part)) {
            return Identifier::device;
        }
    }
    for (const std::string_view part : parts) {
        if (is_given_name(part)) {
            return Identifier::person;
        }
    }
    return std::nullopt;
}

}  // namespace tapir::privacy
