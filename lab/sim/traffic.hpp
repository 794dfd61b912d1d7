// What resolvers deliver: dnstap frames of clients that do not exist, and what of it must never
// leave the edge.
//
//     Traffic traffic(dice, plan);
//     for (const Bytes& frame : traffic.frames(second, now)) { station.add(frame); }
//     if (const auto found = traffic.secret_in(octets)) { ... }
//
// Popular names are asked for by sixty clients from six networks within some minutes, popular
// listed ones within one: an edge that hears them all releases them all. Rare ones are asked for by
// nine clients of each family at most, or by many from two networks: fewer than any threshold of
// `standard` lets pass (DESIGN.md, R2 and R3). Popular names are asked for under host names of
// which each holds an identifier. All that must not leave begins with "qz", or is an address.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "faults.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/base/time.hpp"

namespace tapir::sim {

struct TrafficPlan {
    std::int64_t seconds = 1800;  // how long there is traffic
    unsigned popular = 8;         // names
    unsigned rare = 6;
    unsigned listed = 6;   // on the well-known list; half of them rare
    unsigned noise = 200;  // names that one client asks for, once
    unsigned second = 0;   // of a minute, in which the traffic begins
    bool rare_name_leaks = false;
    bool listed_name_leaks = false;
    // Besides, all day: so many clients, and frames each second when it is busiest. Listed names,
    // new names that many ask for, and names that nobody asks for twice.
    unsigned steady_clients = 0;
    unsigned steady_frames = 0;
    unsigned steady_listed = 0;
};

class Traffic {
public:
    Traffic(Dice& dice, const TrafficPlan& plan);

    // The frames of a second of the plan, with `now` as their time.
    std::vector<Bytes> frames(std::int64_t second, UtcTime now) const;
    // The lists that the edge is given.
    const std::string& well_known() const { return well_known_; }
    static std::string_view public_suffixes();

    // Names that more ask for than any threshold wants, without final dot: listed ones leave in
    // histograms, the others as events.
    const std::vector<std::string>& popular() const { return popular_; }
    const std::vector<std::string>& popular_listed() const { return popular_listed_; }
    // One that must not leave.
    const std::string& rare_name() const { return rare_name_; }

    // What must not leave, if any of it is there; readable.
    std::optional<std::string> secret_in(std::string_view octets) const;

private:
    struct Query {
        std::string name;
        Bytes client;
        std::uint64_t qtype = 1;
    };

    // `clients` ask for `name` within `length` seconds from `start` on.
    void ask(Dice& dice, const std::string& name, const std::vector<Bytes>& clients,
             std::int64_t start, std::int64_t length, bool under_hosts);
    void add_steady(std::int64_t second, std::vector<Query>& queries) const;

    TrafficPlan plan_;
    std::uint64_t salt_;
    std::map<std::int64_t, std::vector<Query>> queries_;  // by second
    std::string well_known_;
    std::vector<std::string> popular_;
    std::vector<std::string> popular_listed_;
    std::string rare_name_;
};

}  // namespace tapir::sim
