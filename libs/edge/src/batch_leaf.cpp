#include "batch_leaf.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace tapir::edge {

Result<BatchLeaf> leaf_of(const ReadyBatch& batch, const LeafContext& context,
                          const PayloadPath& path, const SaltSource& salts) {
    BatchLeaf out;
    const std::string id = batch.time.to_string();
    const auto commit = [&](std::string_view name, ByteView octets) {
        ledger::Opening opening{
            .name = std::string(name), .salt = salts(id, name), .commitment = {}};
        opening.commitment = ledger::commit(opening.salt, octets);
        out.openings += opening.to_json() + "\n";
        return opening.commitment;
    };
    ledger::LeafBuilder leaf("batch", batch.time);
    leaf.set("profile", privacy::to_string(context.profile))
        .set("single_site", context.single_site)
        .set("threat_exception", context.threat_exception)
        .set("software", context.version)
        .commit("settings", commit("settings", as_bytes(batch.settings)))
        .commit("lists", commit("lists", as_bytes(batch.lists)));
    if (context.hourly_sketches) {
        leaf.set("sketch", "hourly");
    }
    for (const auto& released : batch.payloads) {
        const privacy::Payload& payload = released.value();
        const std::string name = path(payload);
        leaf.payload(name, payload.octets.size(), commit(name, payload.octets));
    }
    if (!batch.by_person.empty()) {
        leaf.commit("by_person", commit("by_person", as_bytes(batch.by_person)))
            .count("names", "by_person",
                   static_cast<std::uint64_t>(std::ranges::count(batch.by_person, '\n')));
    }
    if (!batch.by_exception.empty()) {
        leaf.commit("by_exception", commit("by_exception", as_bytes(batch.by_exception)))
            .count("names", "by_exception",
                   static_cast<std::uint64_t>(std::ranges::count(batch.by_exception, '\n')));
    }
    if (batch.group) {
        leaf.set("aggregation", true)
            .commit("aggregation",
                    commit("aggregation", as_bytes(context.aggregator + "\n" + batch.group->posts)))
            .count("group", "told", batch.group->told)
            .count("group", "dropped", batch.group->dropped)
            .count("group", "released", batch.group->released);
    }
    const Suppressed& suppressed = batch.suppressed;
    for (std::size_t i = 0; i < detector_count; ++i) {
        if (suppressed.suspects.by_detector.at(i) != 0) {
            leaf.count("suspects", to_string(static_cast<Detector>(i)),
                       suppressed.suspects.by_detector.at(i));
        }
    }
    if (suppressed.suspects.over_the_day != 0) {
        leaf.count("suspects", "over_the_day", suppressed.suspects.over_the_day);
    }
    for (std::size_t i = 0; i < fate_count; ++i) {
        const auto fate = static_cast<Fate>(i);
        if (suppressed.fates.of(fate) != 0) {
            leaf.count(group_of(fate), to_string(fate), suppressed.fates.of(fate));
        }
    }
    leaf.count("rows", "released", suppressed.rows_released)
        .count("rows", "few_clients", suppressed.rows_few_clients)
        .count("rows", "few_networks", suppressed.rows_few_networks)
        .count("rows", "evicted", suppressed.rows_evicted)
        .count("evicted", "stage_one", suppressed.cells_evicted)
        .count("evicted", "stage_two", suppressed.names_evicted)
        .count("evicted", "parents", suppressed.parents_evicted);
    out.octets = TRY(leaf.build());
    return out;
}

Result<std::vector<ledger::Opening>> parse_openings(std::string_view text) {
    std::vector<ledger::Opening> openings;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        openings.push_back(TRY(ledger::Opening::parse(text.substr(0, end))));
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
    return openings;
}

std::string batch_folder(std::uint64_t index) {
    return fmt::format("batches/{:010}", index);
}

}  // namespace tapir::edge
