// A list of networks (CIDR) and whether a client is in it.
//
//     const auto ignored = TRY(NetworkSet::parse(text, "ignored-clients.txt"));
//     if (ignored.contains(message.query_address, Mapped::as_ipv4)) { ... }
//
// It never changes, so threads may share it. A look-up takes two binary searches at most and does
// not allocate.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/client/address.hpp"
#include "tapir/dnstap/client_address.hpp"

namespace tapir::client {

struct OpenAddress;

inline constexpr std::size_t network_count_max = 1'000'000;  // in one list

class NetworkSet {
public:
    // Contains nobody.
    NetworkSet() = default;
    // Contains every IPv4 and IPv6 address.
    static NetworkSet everything();

    // One network or bare address a line; LF or CRLF; empty lines and lines that start with `#` are
    // skipped; no blanks around, no zones. Host bits may be set. One bad line refuses the whole:
    // `file:line: expected …`.
    static Result<NetworkSet> parse(std::string_view text, std::string_view file);
    // The same from single words, as a settings file has them. The error names the word.
    static Result<NetworkSet> from_words(std::span<const std::string> words);

    // Whether the address lies in one of the networks. With Mapped::as_ipv6 an IPv4-mapped client
    // is looked for among the IPv6 networks only; with as_ipv4 among the IPv4 networks only, to
    // which listed networks inside ::ffff:0:0/96 then belong. Absent, malformed: in none.
    bool contains(dnstap::ClientAddress address, Mapped mapped) const;
    // The same of one that is open already; only `client` itself can open it.
    bool contains(const OpenAddress& open, Mapped mapped) const;

    // Number of networks listed, repetitions included.
    std::size_t size() const { return size_; }
    bool is_empty() const { return size_ == 0; }

private:
    struct V6 {
        std::uint64_t high = 0;
        std::uint64_t low = 0;
        friend auto operator<=>(const V6&, const V6&) = default;
    };
    template <class T>
    struct Range {
        T first;
        T last;
    };
    template <class T>
    static void merge(std::vector<Range<T>>& ranges);
    template <class T>
    static bool is_in(const std::vector<Range<T>>& ranges, const T& value);
    // False if `word` is no network and no address.
    bool add(std::string_view word);
    void add_v4(std::uint32_t address, unsigned bits, bool listed_as_v4);
    void add_v6(V6 address, unsigned bits);
    void settle();

    // After settle(): ascending and disjoint.
    std::vector<Range<std::uint32_t>> v4_;           // listed as IPv4
    std::vector<Range<std::uint32_t>> v4_unmapped_;  // the same and those listed as ::ffff:…
    std::vector<Range<V6>> v6_;
    std::size_t size_ = 0;
};

}  // namespace tapir::client
