// Zeek's dns.log as traffic: what was answered on port 53, once for each record.
//
//     const ZeekLog log = TRY(read_zeek(text, "dns.log"));
//     GivenTraffic source(log.queries);
//
// Tab-separated, with the line "#fields" that names the columns; others than those that are looked
// at may be there. Without a response (no rcode) a resolver's CLIENT_RESPONSE would not be there
// either, so such records are left out, as are those without a name and of other ports (NetBIOS,
// mDNS). The answer's time is the query's and the round trip. Errors name file, line and field.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "query.hpp"
#include "tapir/base/result.hpp"

namespace tapir::utility {

inline constexpr std::size_t zeek_log_size_max = std::size_t{1} << 30U;  // octets

struct ZeekLog {
    std::vector<Query> queries;  // by time
    std::uint64_t records = 0;
    std::uint64_t unanswered = 0;
    std::uint64_t other_ports = 0;
    std::uint64_t without_name = 0;
};

Result<ZeekLog> read_zeek(std::string_view text, std::string_view file);

}  // namespace tapir::utility
