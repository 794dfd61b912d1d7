// Observations: what a core says of names, towards edges and partners; the JSON inside the JWS.
//
//     Observation message = Observation::of_core("tapir-core", now);
//     message.added.push_back({.name = "new.example", .time_added = now, .ttl_s = 3600,
//                              .tag_mask = flag::globally_new});
//     const std::string text = message.to_json();
//
// The schema is https://schema.dnstapir.se/v1/core_observation: nine members, always all printed,
// in the order of the existing encoder. Extension members (`reasons`, `confidence` of an item,
// `message_id`) are printed only if set; readers of today pass over them. Names are not validated
// here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/products/new_qname.hpp"

namespace tapir::products {

inline constexpr std::size_t observation_size_max = 48U << 10U;  // octets: fits a JWS of 64 KiB
inline constexpr std::size_t observation_items_max = 4096;       // added and removed together
inline constexpr std::int64_t ttl_s_max = 366L * 86'400;         // longer ones are cut to this
inline constexpr std::size_t extended_tags_max = 64;             // of one item; reasons likewise
inline constexpr std::size_t extended_tag_size_max = 256;        // octets

// The canonical registry of observation flags (bits of tag_mask).
namespace flag {
inline constexpr std::uint32_t globally_new = 1;
inline constexpr std::uint32_t newly_registered = 4;
inline constexpr std::uint32_t registry_investigation = 8;
inline constexpr std::uint32_t looptest = 1024;  // never policy
}  // namespace flag

struct Flag {
    std::uint32_t bit;
    std::string_view name;
    std::string_view meaning;
};
std::span<const Flag> flags();
// "globally_new,looptest"; a bit without a name as "bit11". Empty for 0.
std::string flag_names(std::uint32_t mask);
// The bit of that name; nothing if there is none.
std::optional<std::uint32_t> flag_named(std::string_view name);

enum class ListType : std::uint8_t { allowlist, doubtlist, denylist };
std::string_view to_string(ListType type);

// Why a message was refused. Each value names a counter.
enum class ObservationError : std::uint8_t {
    too_large,
    not_json,  // also what is not UTF-8, or has a member twice
    not_object,
    bad_src_name,   // missing, no string, or empty
    bad_msg_type,   // neither "observation" nor "intel-update"
    bad_list_type,  // none of the three
    bad_timestamp,  // there, and not RFC 3339
    bad_list,       // added or removed is no list
    bad_item,       // no object, or a member of the wrong type or range
    bad_name,       // an item's name: missing, no string, empty or too long
    too_many_items,
    bad_member,  // creator, msg or time_str: no string
};
inline constexpr std::size_t observation_error_count = 12;
std::string_view to_string(ObservationError error);
Error to_error(ObservationError error);

struct ObservationItem {
    std::string name;        // with or without the final dot: the same name
    UtcTime time_added;      // absent: 1970
    std::int64_t ttl_s = 0;  // 0 to ttl_s_max; from time_added
    std::uint32_t tag_mask = 0;
    std::vector<std::string> extended_tags;
    std::vector<std::string> reasons;  // extension
    std::optional<double> confidence;  // extension, 0 to 1

    friend bool operator==(const ObservationItem&, const ObservationItem&) = default;
};

struct Observation {
    std::string src_name;
    std::string creator;
    std::string msg_type = "observation";
    ListType list_type = ListType::doubtlist;
    std::vector<ObservationItem> added;
    std::vector<ObservationItem> removed;
    std::string msg;
    std::optional<UtcTime> timestamp;
    std::string time_str;
    std::string message_id;  // extension: UUID; read: empty if it is no UUID

    // As a core issues it: src_name "dns-tapir", doubtlist, nothing added yet.
    static Observation of_core(std::string creator, UtcTime now);

    // null or absent where a list, a number or a text may be is nothing, zero or empty, as existing
    // receivers have it; one wrong item refuses the whole message.
    static Result<Observation, ObservationError> parse(std::string_view json);
    std::string to_json() const;

    friend bool operator==(const Observation&, const Observation&) = default;
};

// RFC 3339 in UTC with as many digits of the second as it has (0 to 9), as Go prints.
std::string to_rfc3339(UtcTime time);

}  // namespace tapir::products
