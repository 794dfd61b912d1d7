#include "tapir/privacy/table.hpp"

#include <array>

#include "tapir/base/assert.hpp"

namespace tapir::privacy {
namespace {

constexpr Threshold none{};
constexpr Threshold standard{.centre = 20, .min = 10, .max = 40, .epsilon = 0.5, .networks_min = 3};
constexpr Threshold strict{.centre = 40, .min = 20, .max = 80, .epsilon = 0.25, .networks_min = 3};

constexpr std::string_view clients_of_row =
    "distinct clients of one family that asked for the entry";
constexpr std::string_view intervals = "minute, else ten minutes, else hour";
constexpr std::string_view clients_of_name =
    "distinct clients of one family that asked for the form, or below it";

constexpr Threshold from_three_networks{.networks_min = 3};
constexpr std::string_view networks =
    "networks of one family with a client that asked for a suspect's domain, or below it; nothing "
    "if the domain is on a threat list that the operator has pinned";
constexpr std::string_view until_the_hour_ends = "UTC day; leaves in the hour after";
constexpr unsigned exceptions_a_day = 100;

constexpr std::string_view by_person = "nothing: a person decides, and the ledger has why";

constexpr std::string_view by_group =
    "nothing: to the operator's aggregator, and what it answers; the sites count with it";

constexpr std::array<Rule, product_count * profile_count - 2> table{{
    {Product::histogram, Profile::standard, clients_of_row, intervals, standard, Form::list_entry,
     Numbers::floored, false, 60, 4096},
    {Product::histogram, Profile::strict, clients_of_row, intervals, strict, Form::list_entry,
     Numbers::floored, false, 60, 4096},
    {Product::histogram, Profile::compatible, "nothing", "minute", none, Form::list_entry,
     Numbers::exact, true, 60, 1},
    {Product::new_qname, Profile::standard, clients_of_name, "UTC day", standard, Form::ladder,
     Numbers::exact, false, 60, 4096},
    {Product::new_qname, Profile::strict, clients_of_name, "UTC day", strict, Form::ladder,
     Numbers::exact, false, 3600, 4096},
    {Product::new_qname, Profile::compatible, "nothing", "for ever", none, Form::as_asked,
     Numbers::exact, false, 60, 1},
    {Product::by_person, Profile::standard, by_person, "for ever", none, Form::as_given,
     Numbers::exact, false, 60, 4096},
    {Product::by_person, Profile::strict, by_person, "for ever", none, Form::as_given,
     Numbers::exact, false, 3600, 4096},
    {Product::by_person, Profile::compatible, by_person, "for ever", none, Form::as_given,
     Numbers::exact, false, 60, 1},
    {Product::by_exception, Profile::standard, networks, until_the_hour_ends, from_three_networks,
     Form::registered_domain, Numbers::exact, false, 3600, 4096, exceptions_a_day},
    {Product::by_exception, Profile::strict, networks, until_the_hour_ends, from_three_networks,
     Form::registered_domain, Numbers::exact, false, 3600, 4096, exceptions_a_day},
    {Product::by_exception, Profile::compatible, "nothing: there are no suspects", "none", none,
     Form::registered_domain, Numbers::exact, false, 3600, 1, 0},
    {Product::sightings, Profile::standard, by_group, "UTC day", none, Form::keyed, Numbers::exact,
     false, 60, 4096},
    {Product::sightings, Profile::strict, by_group, "UTC day", none, Form::keyed, Numbers::exact,
     false, 60, 4096},
    {Product::releases, Profile::standard, by_group, "UTC day", none, Form::keyed, Numbers::exact,
     false, 60, 4096},
    {Product::releases, Profile::strict, by_group, "UTC day", none, Form::keyed, Numbers::exact,
     false, 60, 4096},
}};

}  // namespace

std::string_view to_string(Profile profile) {
    switch (profile) {
        case Profile::standard:
            return "standard";
        case Profile::strict:
            return "strict";
        case Profile::compatible:
            return "compatible";
    }
    return "unknown";
}

std::optional<Profile> profile_named(std::string_view name) {
    for (const Profile profile : {Profile::standard, Profile::strict, Profile::compatible}) {
        if (to_string(profile) == name) {
            return profile;
        }
    }
    return std::nullopt;
}

std::string_view to_string(Product product) {
    switch (product) {
        case Product::histogram:
            return "histogram";
        case Product::new_qname:
            return "new_qname";
        case Product::by_person:
            return "by_person";
        case Product::by_exception:
            return "by_exception";
        case Product::sightings:
            return "sightings";
        case Product::releases:
            return "releases";
    }
    return "unknown";
}

std::span<const Rule> release_table() {
    return table;
}

const Rule& rule_for(Product product, Profile profile) {
    for (const Rule& rule : table) {
        if (rule.product == product && rule.profile == profile) {
            return rule;
        }
    }
    TAPIR_ASSERT(false);
    return table.front();
}

}  // namespace tapir::privacy
