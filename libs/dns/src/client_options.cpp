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

// What of a message is options, and where its last record ends.
struct Layout {
    std::size_t options_offset = 0;
    std::size_t options_size = 0;
    std::size_t end = 0;
    friend bool operator==(const Layout&, const Layout&) = default;
};

// Nothing if the records cannot be told apart, or if there are two OPTs (RFC 6891, 6.1.1: one).
std::optional<Layout> layout_of(std::span<const std::byte> message) {
    NameBuffer scratch;
    const auto parsed = Message::parse(message, Depth::standard, scratch);
    if (!parsed || parsed->records_broken) {
        return std::nullopt;
    }
    Layout layout{.end = parsed->records_offset};
    RecordReader records(*parsed);
    while (records.next()) {
        const Record& record = records.record();
        layout.end = record.rdata_offset + record.rdata.size();
        if (record.type != RrType::opt) {
            continue;
        }
        if (layout.options_offset != 0) {
            return std::nullopt;
        }
        layout.options_offset = record.rdata_offset;
        layout.options_size = record.rdata.size();
    }
    return records.error() ? std::nullopt : std::optional(layout);
}

}  // namespace

std::optional<std::size_t> clear_client_options(std::span<std::byte> message) {
    const auto layout = layout_of(message);
    if (!layout || !clear_options(message.subspan(layout->options_offset, layout->options_size))) {
        return std::nullopt;
    }
    if (layout->options_size == 0 && layout->end == message.size()) {
        return layout->end;
    }
    // A pointer goes backwards, but the label that it leads to may reach into the options or past
    // the last record: then what would be kept is another message than this one, or none.
    return layout_of(message.first(layout->end)) == layout ? std::optional(layout->end)
                                                           : std::nullopt;
}

}  // namespace tapir::dns
