// Posts of sites to the aggregator. The first octet says how many sites there are and how many
// records a post has; then each eight octets are a record, in a world so small that thresholds are
// reached: or the rest is one post as it comes. Nothing crashes; every request is counted once; and
// a name is released only if enough different clients from three networks were told of it.
#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "testing_rig.hpp"

namespace {

using namespace tapir;
using namespace tapir::aggregation;
using products::SightingKind;
using products::SightingRecord;

constexpr std::int64_t today = 20'784;
constexpr std::size_t record_size = 8;  // octets of the input
constexpr std::size_t networks_min = 3;

struct Rig : testing::AggregatorRig {
    Rig() : AggregatorRig(settings(), today * 86'400 + 43'200) {}

    static AggregatorSettings settings() {
        AggregatorSettings out;
        out.limits = {.name_count = 64, .released_count_max = 8};
        out.records_a_minute_max = 4096;
        return out;
    }
    std::uint64_t counted() const {
        std::uint64_t all = 0;
        for (const auto& [labels, value] : counters.values("tapir_aggregator_posts_total")) {
            all += static_cast<std::uint64_t>(value);
        }
        return all;
    }
};

// What was told of a name.
struct Told {
    std::map<SightingKind, std::set<std::uint16_t>> clients;
    std::map<SightingKind, std::set<std::uint32_t>> networks;
    std::uint8_t threshold_min = 255;
    bool is_taken = false;

    void add(const SightingRecord& record) {
        if (record.kind == SightingKind::taken) {
            is_taken = true;
            return;
        }
        clients[record.kind].insert(record.client);
        networks[record.kind].insert(record.network);
        threshold_min = std::min(threshold_min, record.threshold);
    }
    bool may_be_released() const {
        for (const auto& [kind, all] : clients) {
            if (all.size() >= threshold_min && networks.at(kind).size() >= networks_min) {
                return true;
            }
        }
        return false;
    }
};

SightingRecord record_of(ByteView octets) {
    const auto at = [octets](std::size_t i) { return std::to_integer<std::uint8_t>(octets[i]); };
    const auto kind = at(0) % 8 == 0   ? SightingKind::taken
                      : at(0) % 2 == 0 ? SightingKind::ipv4
                                       : SightingKind::ipv6;
    SightingRecord record{.name = 1 + std::uint64_t{at(1)} % 12, .kind = kind};
    if (kind != SightingKind::taken) {
        record.threshold = static_cast<std::uint8_t>(8 + at(2) % 36);  // standard has 10 to 40
        record.client = static_cast<std::uint16_t>(at(3) | (at(4) % 2) << 8U);
        record.network = at(5) % 6;
    }
    return record;
}

void check_answer(const net::HttpResponse& response, const std::map<std::uint64_t, Told>& told) {
    TAPIR_ASSERT(response.status == 200);
    const auto answer = products::Releases::parse(response.body);
    TAPIR_ASSERT(answer.has_value() && answer->day == today);
    for (const auto& record : answer->records) {
        const auto known = told.find(record.name);
        TAPIR_ASSERT(known != told.end());
        TAPIR_ASSERT(record.state == products::ReleaseState::taken
                         ? known->second.is_taken
                         : known->second.may_be_released());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ByteView rest = std::as_bytes(std::span(data, size));
    if (rest.empty()) {
        return 0;
    }
    const auto form = std::to_integer<std::uint8_t>(rest.front());
    rest = rest.subspan(1);
    Rig rig;
    std::uint64_t sent = 0;
    if (form == 0) {
        ++sent;
        const auto response = rig.send("site-0", to_bytes(rest));
        TAPIR_ASSERT(response.status == 200 || response.status == 400 || response.status == 409);
    }
    const std::size_t in_post = 1 + form / 16;
    std::map<std::uint64_t, Told> told;
    for (std::size_t site = 0; form != 0 && rest.size() >= record_size; ++site) {
        products::Sightings post{.day = today};
        bool is_of_profile = true;
        while (post.records.size() < in_post && rest.size() >= record_size) {
            post.records.push_back(record_of(rest));
            const SightingRecord& record = post.records.back();
            is_of_profile = is_of_profile && (record.kind == SightingKind::taken ||
                                              (record.threshold >= 10 && record.threshold <= 40));
            rest = rest.subspan(record_size);
        }
        ++sent;
        const auto response =
            rig.send("site-" + std::to_string(site % (1 + form % 16)), post.to_octets());
        if (!is_of_profile) {
            TAPIR_ASSERT(response.status == 400);
            continue;
        }
        for (const SightingRecord& record : post.records) {
            told[record.name].add(record);
        }
        check_answer(response, told);
    }
    TAPIR_ASSERT(rig.counted() == sent);
    return 0;
}
