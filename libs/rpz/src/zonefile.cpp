#include "tapir/rpz/zonefile.hpp"

#include <fmt/format.h>

#include "tapir/rpz/trigger.hpp"

namespace tapir::rpz {
namespace {

constexpr std::size_t piece_size = 64 << 10;

std::string name_text(ByteView wire) {
    const auto name = Trigger::from_wire(wire);
    return name ? name->to_text() + "." : ".";
}

}  // namespace

void write_zonefile(const Apex& apex, const Zone& zone, Serial serial,
                    const std::function<void(std::string_view)>& write) {
    const std::string origin = name_text(apex.zone);
    std::string piece = fmt::format("{} {} IN SOA {} {} {} {} {} {} {}\n", origin, apex.ttl_s,
                                    name_text(apex.mname), name_text(apex.rname), serial.value(),
                                    apex.refresh_s, apex.retry_s, apex.expire_s, apex.minimum_s);
    for (const Bytes& ns : apex.ns) {
        piece += fmt::format("{} {} IN NS {}\n", origin, apex.ttl_s, name_text(ns));
    }
    auto cursor = zone.begin();
    while (const auto record = cursor.next()) {
        piece += fmt::format("{}.{} {} IN CNAME {}\n", key_to_text(record->key), origin, apex.ttl_s,
                             target_text(record->action));
        if (piece.size() >= piece_size) {
            write(piece);
            piece.clear();
        }
    }
    write(piece);
}

}  // namespace tapir::rpz
