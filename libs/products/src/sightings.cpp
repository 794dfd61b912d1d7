#include "tapir/products/sightings.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string>

#include "tapir/base/assert.hpp"

namespace tapir::products {
namespace {

constexpr std::string_view post_magic = "TAPS";
constexpr std::string_view answer_magic = "TAPR";
constexpr std::uint8_t version = 1;
constexpr std::size_t header_size = 32;
constexpr std::size_t post_record_size = 16;
constexpr std::size_t answer_record_size = 9;
constexpr std::uint8_t threshold_min = 2;

constexpr std::size_t padded(std::size_t size) {
    return (size + sightings_step - 1) / sightings_step * sightings_step;
}
static_assert(padded(header_size + sightings_max * post_record_size) <= sightings_size_max);
static_assert(padded(header_size + releases_max * answer_record_size) <= releases_size_max);

// What both directions begin with.
struct Header {
    std::uint8_t profile = 0;
    std::uint32_t day = 0;
    std::uint32_t cursor = 0;
    std::uint64_t epoch = 0;
    std::uint32_t count = 0;
};

void append_header(Bytes& out, std::string_view magic, const Header& header) {
    append(out, magic);
    append_u8(out, version);
    append_u8(out, header.profile);
    append_u16(out, 0);
    append_u32(out, header.day);
    append_u32(out, header.cursor);
    append_u64(out, header.epoch);
    append_u32(out, header.count);
    append_u32(out, 0);
}

struct Limits {
    std::string_view magic;
    std::size_t record_size;
    std::size_t count_max;
    std::size_t size_max;
};

// The header; the reader stands at the first record, and all of them are there.
Result<Header, SightingsError> read_header(ByteReader& in, const Limits& limits) {
    const std::size_t size = in.remaining();
    if (size > limits.size_max) {
        return fail(SightingsError::too_large);
    }
    if (size < header_size) {
        return fail(SightingsError::truncated);
    }
    Header header;
    const bool is_ours = as_text(in.bytes(limits.magic.size())) == limits.magic;
    if (!is_ours || in.u8() != version) {
        return fail(SightingsError::not_ours);
    }
    header.profile = in.u8();
    const std::uint16_t reserved = in.u16();
    header.day = in.u32();
    header.cursor = in.u32();
    header.epoch = in.u64();
    header.count = in.u32();
    if (reserved != 0 || in.u32() != 0) {
        return fail(SightingsError::bad_field);
    }
    if (header.count > limits.count_max) {
        return fail(SightingsError::bad_count);
    }
    const std::size_t used = header_size + header.count * limits.record_size;
    if (size < used) {
        return fail(SightingsError::truncated);
    }
    if (size != padded(used)) {
        return fail(SightingsError::bad_padding);
    }
    return header;
}

bool is_padding(ByteView rest) {
    return std::ranges::all_of(rest, [](std::byte octet) { return octet == std::byte{0}; });
}

bool is_valid(const SightingRecord& record) {
    if (record.name == 0) {
        return false;
    }
    switch (record.kind) {
        case SightingKind::taken:
            return record.threshold == 0 && record.client == 0 && record.network == 0;
        case SightingKind::ipv4:
        case SightingKind::ipv6:
            return record.threshold >= threshold_min;
    }
    return false;
}

}  // namespace

std::string_view to_string(SightingsError error) {
    static constexpr std::array<std::string_view, sightings_error_count> names{
        "too_large", "truncated",  "not_ours", "bad_field",
        "bad_count", "bad_record", "unsorted", "bad_padding"};
    return names.at(static_cast<std::size_t>(error));
}

Error to_error(SightingsError error) {
    return {Code::invalid, "sightings: " + std::string(to_string(error))};
}

Bytes Sightings::to_octets() const {
    std::vector<SightingRecord> sorted = records;
    std::ranges::sort(sorted);
    sorted.erase(std::ranges::unique(sorted).begin(), sorted.end());
    TAPIR_ASSERT(sorted.size() <= sightings_max);
    Bytes out;
    out.reserve(padded(header_size + sorted.size() * post_record_size));
    append_header(out, post_magic,
                  {.profile = profile,
                   .day = day,
                   .cursor = cursor,
                   .epoch = epoch,
                   .count = static_cast<std::uint32_t>(sorted.size())});
    for (const SightingRecord& record : sorted) {
        append_u64(out, record.name);
        append_u8(out, static_cast<std::uint8_t>(record.kind));
        append_u8(out, record.threshold);
        append_u16(out, record.client);
        append_u32(out, record.network);
    }
    out.resize(padded(out.size()));
    return out;
}

Result<Sightings, SightingsError> Sightings::parse(ByteView octets) {
    ByteReader in(octets);
    const Header header = TRY(read_header(in, {.magic = post_magic,
                                               .record_size = post_record_size,
                                               .count_max = sightings_max,
                                               .size_max = sightings_size_max}));
    Sightings out{.profile = header.profile,
                  .day = header.day,
                  .epoch = header.epoch,
                  .cursor = header.cursor};
    out.records.reserve(header.count);
    for (std::uint32_t i = 0; i < header.count; ++i) {
        SightingRecord record;
        record.name = in.u64();
        record.kind = static_cast<SightingKind>(in.u8());
        record.threshold = in.u8();
        record.client = in.u16();
        record.network = in.u32();
        if (!is_valid(record)) {
            return fail(SightingsError::bad_record);
        }
        if (!out.records.empty() && out.records.back() >= record) {
            return fail(SightingsError::unsorted);
        }
        out.records.push_back(record);
    }
    if (!is_padding(in.rest())) {
        return fail(SightingsError::bad_padding);
    }
    return out;
}

Bytes Releases::to_octets() const {
    std::vector<ReleaseRecord> sorted = records;
    std::ranges::sort(sorted, std::greater{});
    sorted.erase(std::ranges::unique(sorted, {}, &ReleaseRecord::name).begin(), sorted.end());
    std::ranges::reverse(sorted);
    TAPIR_ASSERT(sorted.size() <= releases_max);
    Bytes out;
    out.reserve(padded(header_size + sorted.size() * answer_record_size));
    append_header(out, answer_magic,
                  {.profile = 0,
                   .day = day,
                   .cursor = cursor,
                   .epoch = epoch,
                   .count = static_cast<std::uint32_t>(sorted.size())});
    for (const ReleaseRecord& record : sorted) {
        append_u64(out, record.name);
        append_u8(out, static_cast<std::uint8_t>(record.state));
    }
    out.resize(padded(out.size()));
    return out;
}

Result<Releases, SightingsError> Releases::parse(ByteView octets) {
    ByteReader in(octets);
    const Header header = TRY(read_header(in, {.magic = answer_magic,
                                               .record_size = answer_record_size,
                                               .count_max = releases_max,
                                               .size_max = releases_size_max}));
    if (header.profile != 0) {
        return fail(SightingsError::bad_field);
    }
    Releases out{.day = header.day, .epoch = header.epoch, .cursor = header.cursor};
    out.records.reserve(header.count);
    for (std::uint32_t i = 0; i < header.count; ++i) {
        ReleaseRecord record;
        record.name = in.u64();
        record.state = static_cast<ReleaseState>(in.u8());
        if (record.name == 0 ||
            (record.state != ReleaseState::released && record.state != ReleaseState::taken)) {
            return fail(SightingsError::bad_record);
        }
        if (!out.records.empty() && out.records.back().name >= record.name) {
            return fail(SightingsError::unsorted);
        }
        out.records.push_back(record);
    }
    if (!is_padding(in.rest())) {
        return fail(SightingsError::bad_padding);
    }
    return out;
}

}  // namespace tapir::products
