#include "tapir/client/network_set.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

#include <arpa/inet.h>

#include "address_key.hpp"

namespace tapir::client {

namespace {

constexpr unsigned v4_bits = 32;
constexpr unsigned v6_bits = 128;
constexpr unsigned mapped_bits = 96;  // ::ffff:0:0/96
constexpr std::size_t word_size_max = 64;
constexpr std::size_t few_ranges = 8;  // looked at one after the other: no jump to guess

std::uint64_t u64_at(ByteView octets, std::size_t position) {
    std::uint64_t value = 0;
    std::memcpy(&value, octets.subspan(position, sizeof value).data(), sizeof value);
    return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}
std::uint32_t u32_at(ByteView octets) {
    std::uint32_t value = 0;
    std::memcpy(&value, octets.first(sizeof value).data(), sizeof value);
    return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
}

// The low `count` bits set, for a count of 0 to 64.
constexpr std::uint64_t low_bits(unsigned count) {
    return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

// A word of a list for a message: short, and without what could upset a terminal.
std::string shown(std::string_view word) {
    std::string out;
    for (const char c : word.substr(0, word_size_max)) {
        out += c >= ' ' && c <= '~' ? c : '?';
    }
    return out;
}

std::string expectation(std::string_view word) {
    return "expected an address or a network such as 192.0.2.0/24 or 2001:db8::/32, got \"" +
           shown(word) + "\"";
}

}  // namespace

NetworkSet NetworkSet::everything() {
    NetworkSet set;
    set.add_v4(0, 0, true);
    set.add_v6({}, 0);
    set.settle();
    return set;
}

Result<NetworkSet> NetworkSet::parse(std::string_view text, std::string_view file) {
    NetworkSet set;
    std::size_t line_number = 0;
    while (!text.empty()) {
        ++line_number;
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (line.empty() || line.front() == '#') {
            continue;
        }
        const auto place = [&] { return std::string(file) + ":" + std::to_string(line_number); };
        if (set.size_ == network_count_max) {
            return fail(Error(Code::exhausted,
                              "expected at most " + std::to_string(network_count_max) + " networks")
                            .at(place()));
        }
        if (!set.add(line)) {
            return fail(Error(Code::invalid, expectation(line)).at(place()));
        }
    }
    set.settle();
    return set;
}

Result<NetworkSet> NetworkSet::from_words(std::span<const std::string> words) {
    NetworkSet set;
    for (const std::string& word : words) {
        if (set.size_ == network_count_max) {
            return fail(Code::exhausted,
                        "expected at most " + std::to_string(network_count_max) + " networks");
        }
        if (!set.add(word)) {
            return fail(Code::invalid, expectation(word));
        }
    }
    set.settle();
    return set;
}

bool NetworkSet::add(std::string_view word) {
    const std::size_t slash = word.find('/');
    const std::string_view address = word.substr(0, slash);
    std::array<char, word_size_max> text{};
    // A NUL inside would end the text early for inet_pton.
    if (address.size() >= text.size() || address.find('\0') != std::string_view::npos) {
        return false;
    }
    std::copy(address.begin(), address.end(), text.begin());
    std::array<std::byte, 16> octets{};
    const bool is_v4 = inet_pton(AF_INET, text.data(), octets.data()) == 1;
    if (!is_v4 && inet_pton(AF_INET6, text.data(), octets.data()) != 1) {
        return false;
    }
    const unsigned bits_max = is_v4 ? v4_bits : v6_bits;
    unsigned bits = bits_max;
    if (slash != std::string_view::npos) {
        const std::string_view length = word.substr(slash + 1);
        const auto [end, error] =
            std::from_chars(length.data(), length.data() + length.size(), bits);
        const bool is_number = error == std::errc() && end == length.data() + length.size();
        if (!is_number || bits > bits_max || (length.size() > 1 && length.front() == '0')) {
            return false;
        }
    }
    ++size_;
    if (is_v4) {
        add_v4(u32_at(octets), bits, true);
    } else {
        add_v6({u64_at(octets, 0), u64_at(octets, 8)}, bits);
    }
    return true;
}

void NetworkSet::add_v4(std::uint32_t address, unsigned bits, bool listed_as_v4) {
    const auto host = static_cast<std::uint32_t>(low_bits(v4_bits - bits));
    const Range<std::uint32_t> range = {address & ~host, address | host};
    v4_unmapped_.push_back(range);
    if (listed_as_v4) {
        v4_.push_back(range);
    }
}

void NetworkSet::add_v6(V6 address, unsigned bits) {
    const std::uint64_t high = bits >= 64 ? 0 : low_bits(64 - bits);
    const std::uint64_t low = bits >= 64 ? low_bits(v6_bits - bits) : low_bits(64);
    v6_.push_back(
        {{address.high & ~high, address.low & ~low}, {address.high | high, address.low | low}});
    if (bits >= mapped_bits && address.high == 0 && address.low >> v4_bits == 0xFFFFU) {
        add_v4(static_cast<std::uint32_t>(address.low), bits - mapped_bits, false);
    }
}

void NetworkSet::settle() {
    merge(v4_);
    merge(v4_unmapped_);
    merge(v6_);
}

template <class T>
void NetworkSet::merge(std::vector<Range<T>>& ranges) {
    std::sort(ranges.begin(), ranges.end(),
              [](const Range<T>& a, const Range<T>& b) { return a.first < b.first; });
    std::vector<Range<T>> merged;
    for (const Range<T>& range : ranges) {
        if (!merged.empty() && range.first <= merged.back().last) {
            merged.back().last = std::max(merged.back().last, range.last);
        } else {
            merged.push_back(range);
        }
    }
    merged.shrink_to_fit();
    ranges = std::move(merged);
}

template <class T>
bool NetworkSet::is_in(const std::vector<Range<T>>& ranges, const T& value) {
    if (ranges.size() <= few_ranges) {
        bool found = false;
        for (const Range<T>& range : ranges) {
            found |= range.first <= value && value <= range.last;
        }
        return found;
    }
    const auto after =
        std::upper_bound(ranges.begin(), ranges.end(), value,
                         [](const T& v, const Range<T>& range) { return v < range.first; });
    return after != ranges.begin() && value <= std::prev(after)->last;
}

bool NetworkSet::contains(dnstap::ClientAddress address, Mapped mapped) const {
    return contains(open_unmapped(address), mapped);
}

bool NetworkSet::contains(const OpenAddress& open, Mapped mapped) const {
    if (!open.is_valid) {
        return false;
    }
    if (open.octets.size() == sizeof(std::uint32_t)) {
        const std::uint32_t v4 = u32_at(open.octets);
        if (mapped == Mapped::as_ipv4) {
            return is_in(v4_unmapped_, v4);
        }
        return open.is_mapped ? is_in(v6_, V6{0, std::uint64_t{0xFFFF} << v4_bits | v4})
                              : is_in(v4_, v4);
    }
    return is_in(v6_, V6{u64_at(open.octets, 0), u64_at(open.octets, 8)});
}

}  // namespace tapir::client
