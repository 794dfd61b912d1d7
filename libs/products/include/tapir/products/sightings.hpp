// What a site tells its aggregator (R10), and what it is told: docs/formats/sightings.md.
//
//     Sightings post{.profile = 0, .day = 20'784, .records = std::move(records)};
//     const Bytes body = post.to_octets();             // sorted, each once, padded
//     const auto read = Sightings::parse(body);        // the aggregator
//     const auto answer = Releases::parse(octets);     // the site
//
// No name and no address is in either: fingerprints and parts of tags under a key that the
// aggregator does not have. Each value has one form: what is not sorted, is there twice or is not
// padded as we pad it is refused, so nothing can be said by the way in which it is said.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::products {

inline constexpr std::size_t sightings_max = 16'384;  // in one post
inline constexpr std::size_t releases_max = 16'384;   // in one answer
inline constexpr std::size_t sightings_step = 4096;   // octets: sizes are multiples of it
inline constexpr std::size_t sightings_size_max = 68 * sightings_step;  // a full post
inline constexpr std::size_t releases_size_max = 40 * sightings_step;   // a full answer

// Why octets were refused. Each value names a counter.
enum class SightingsError : std::uint8_t {
    too_large,
    truncated,   // shorter than what it says of itself
    not_ours,    // another beginning, or another version
    bad_field,   // a reserved field that is not 0
    bad_count,   // more records than there may be
    bad_record,  // a kind that is not known, or a field that its kind does not have
    unsorted,    // not ascending, or twice
    bad_padding,
};
inline constexpr std::size_t sightings_error_count = 8;
std::string_view to_string(SightingsError error);
Error to_error(SightingsError error);

enum class SightingKind : std::uint8_t {
    taken = 1,  // this site has released the name: no threshold, client or network
    ipv4 = 4,   // a client of IPv4 asked for it
    ipv6 = 6,
};

struct SightingRecord {
    std::uint64_t name = 0;  // its fingerprint; never 0
    SightingKind kind = SightingKind::taken;
    std::uint8_t threshold = 0;  // today's, of this name; at least 2
    std::uint16_t client = 0;    // of its tag
    std::uint32_t network = 0;

    friend auto operator<=>(const SightingRecord&, const SightingRecord&) = default;
};

struct Sightings {
    std::uint8_t profile = 0;  // of the gate: thresholds of two profiles do not mix
    std::uint32_t day = 0;     // whose key made the fingerprints; UTC days since 1970-01-01
    std::uint64_t epoch = 0;   // of the answer before; 0: none
    std::uint32_t cursor = 0;  // of the answer before
    std::vector<SightingRecord> records{};

    // At most sightings_max records (asserted); in any order.
    Bytes to_octets() const;
    static Result<Sightings, SightingsError> parse(ByteView octets);
    friend bool operator==(const Sightings&, const Sightings&) = default;
};

enum class ReleaseState : std::uint8_t {
    released = 1,  // the site that sees it next releases it
    taken = 2,     // a site has
};
struct ReleaseRecord {
    std::uint64_t name = 0;
    ReleaseState state = ReleaseState::released;

    friend auto operator<=>(const ReleaseRecord&, const ReleaseRecord&) = default;
};

struct Releases {
    std::uint32_t day = 0;
    std::uint64_t epoch = 0;   // another one: what was said before is said again
    std::uint32_t cursor = 0;  // to be sent with the next post
    std::vector<ReleaseRecord> records{};

    // At most releases_max records (asserted), in any order; of a name that is there twice what is
    // later in ReleaseState.
    Bytes to_octets() const;
    static Result<Releases, SightingsError> parse(ByteView octets);
    friend bool operator==(const Releases&, const Releases&) = default;
};

}  // namespace tapir::products
