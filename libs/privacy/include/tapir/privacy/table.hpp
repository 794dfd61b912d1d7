// The release table: all that may leave an edge, one row for each product and profile. What has
// no row cannot leave; later work adds rows, never doors.
//
//     const Rule& rule = rule_for(Product::histogram, Profile::standard);
//     if (rule.threshold.applies()) { ... }
//
// The rows are data, so that an auditor can read what the gate does without reading the gate.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace tapir::privacy {

// How much may leave (R9).
enum class Profile : std::uint8_t {
    standard,    // the default
    strict,      // wider noise, hourly
    compatible,  // what the existing minimiser sends: no thresholds
};
inline constexpr std::size_t profile_count = 3;
std::string_view to_string(Profile profile);
std::optional<Profile> profile_named(std::string_view name);

enum class Product : std::uint8_t {
    histogram,
    new_qname,
    by_person,     // a name that a person decided to tell of; it leaves among those of new_qname
    by_exception,  // a suspect's registered domain (exceptions.hpp); it leaves among them too
    sightings,     // what a site tells the aggregator of its operator
    releases,      // what the aggregator answers
};
inline constexpr std::size_t product_count = 6;
std::string_view to_string(Product product);

// How many clients, of one address family, must stand behind what leaves (R2, R3): `centre` plus
// two-sided geometric noise of parameter `epsilon`, clipped to [min, max].
struct Threshold {
    unsigned centre = 0;  // 0: no threshold
    unsigned min = 0;
    unsigned max = 0;
    double epsilon = 0;
    unsigned networks_min = 0;  // networks that these clients must come from, unless single_site

    constexpr bool applies() const { return centre != 0; }
};

// The form in which a name may leave (R4).
enum class Form : std::uint8_t {
    list_entry,  // the entry of the well-known list, as the operator loaded it
    // Its registered domain; once that is released, and each from the threshold on: the whole name
    // and "*." with its parent, coarsened. Below a parent that is a wildcard, "*." with that alone.
    ladder,
    as_asked,           // the whole name, in the case in which it was asked
    as_given,           // the whole name, in lower case, if no label of it would be coarsened
    registered_domain,  // nothing else of the name
    keyed,              // no name: a fingerprint under a key that who receives it does not have
};

// What is done to numbers (R5).
enum class Numbers : std::uint8_t {
    exact,
    floored,  // clients to 10, 20, 50, 100, …; the family below its threshold to 0; counters to
              // tens
};

struct Rule {
    Product product;
    Profile profile;
    std::string_view counted;  // what the threshold counts
    std::string_view window;   // over which time
    Threshold threshold;
    Form form;
    Numbers numbers;
    bool sketches;       // whether the columns of sketches are filled
    unsigned time_s;     // no time in the product is finer than this
    unsigned size_step;  // a batch is filled to a multiple of so many octets; 1: not filled
    std::optional<unsigned> a_day_max{};  // in a UTC day; beyond it nothing leaves
};

// The minutes of the intervals after the first (R5): a row short of its threshold in one goes whole
// into the next, and after the last nowhere. Where there is no threshold none is short.
inline constexpr std::array<std::int64_t, 2> wider_intervals{10, 60};

// Of `sightings` and `releases` there is no row for `compatible`: it has no thresholds to reach
// together.
std::span<const Rule> release_table();
const Rule& rule_for(Product product, Profile profile);

}  // namespace tapir::privacy
