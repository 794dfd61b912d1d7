// The zone as text (RFC 1035 §5), for resolvers that read files and for people.
#pragma once

#include <functional>
#include <string_view>

#include "tapir/rpz/answer.hpp"
#include "tapir/rpz/zone.hpp"

namespace tapir::rpz {

// Writes the zone piece by piece: SOA, NS, then a CNAME for each rule in canonical order, absolute
// names, no directives. The same zone and serial give the same octets.
void write_zonefile(const Apex& apex, const Zone& zone, Serial serial,
                    const std::function<void(std::string_view)>& write);

}  // namespace tapir::rpz
