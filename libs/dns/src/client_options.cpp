#include "tapir/dns/client_options.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "tapir/dns/message.hpp"

namespace tapir::dns {
namespace {

constexpr std::size_t option_head_size = 4;  // code and length
constexpr std::uint16_t padding = 12;
// NSID, EXPIRE, edns-tcp-keepalive, Extended DNS Error, Report-Channel, ZONEVERSION.
constexpr std::array<std::uint16_t, 6> of_the_server = {3, 9, 11, 15, 18, 19};

std::size_t u16_at(std::span<const std::byte> octets, std::size_t at) {
    return std::to_integer<std::size_t>(octets[at]) << 8U |
           std::to_integer<std::size_t>(octets[at + 1]);
}

// False if the options do not fill the RDATA.
bool clear_options(std::span<std::byte> rdata) {
    while (!rdata.empty()) {
        if (rdata.size() < option_head_size) {
            return false;
        }
        const std::size_t size = u16_at(rdata, 2);
        if (size > rdata.size() - option_head_size) {
            return false;
        }
        const auto code = static_cast<std::uint16_t>(u16_at(rdata, 0));
        if (std::ranges::find(of_the_server, code) == of_the_server.end()) {
            rdata[0] = std::byte{padding >> 8U};
            rdata[1] = std::byte{padding & 0xFFU};
            std::ranges::fill(rdata.subspan(option_head_size, size), std::byte{0});
        }
        rdata = rdata.subspan(option_head_size + size);
    }
    return true;
}

// Where the last record ends.
std::optional<std::size_t> clear_records(std::span<std::byte> message) {
    NameBuffer scratch;
    const auto parsed = Message::parse(message, Depth::standard, scratch);
    if (!parsed || parsed->records_broken) {
        return std::nullopt;
    }
    std::size_t end = parsed->records_offset;
    RecordReader records(*parsed);
    while (records.next()) {
        const Record& record = records.record();
        end = record.rdata_offset + record.rdata.size();
        if (record.type == RrType::opt &&
            !clear_options(message.subspan(record.rdata_offset, record.rdata.size()))) {
            return std::nullopt;
        }
    }
    if (records.error()) {
        return std::nullopt;
    }
    return end;
}

}  // namespace

std::optional<std::size_t> clear_client_options(std::span<std::byte> message) {
    const auto end = clear_records(message);
    if (!end || *end == message.size()) {
        return end;
    }
    // A pointer goes backwards, but the label that it leads to may reach past the last record: then
    // what would be kept is no message.
    return clear_records(message.first(*end)) == end ? end : std::nullopt;
}

}  // namespace tapir::dns
