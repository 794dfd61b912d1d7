#include "explanation.hpp"

#include <set>

#include <fmt/format.h>

namespace tapir::policy {
namespace {

using text::Json;

constexpr std::string_view wildcard_label{"*\0", 2};

// The rule that a resolver applies to this name: the name's own, else that of the nearest wildcard.
std::string rule_for(const rpz::Zone& zone, std::string_view key) {
    if (zone.find(key) != rpz::Action::none) {
        return std::string(key);
    }
    for (auto above = rpz::key_parent(key); !above.empty(); above = rpz::key_parent(above)) {
        std::string wildcard = std::string(above).append(wildcard_label);
        if (zone.find(wildcard) != rpz::Action::none) {
            return wildcard;
        }
    }
    return {};
}

Json tags_json(std::uint32_t mask) {
    Json tags = Json::array();
    for (unsigned bit = 0; bit < rpz::tag_count; ++bit) {
        if ((mask >> bit & 1U) != 0) {
            tags.push(rpz::tag_name(bit));
        }
    }
    return tags;
}

// What is said of the name itself and of the rule that covers it may be the same entry.
void add_words(Json& sources, std::set<std::string>& said,
               const std::vector<rpz::Book::Word>& words) {
    for (const auto& word : words) {
        if (!said.insert(fmt::format("{} {} {}", word.kind, word.source, word.entry)).second) {
            continue;
        }
        Json source =
            Json::object({{"kind", word.kind}, {"source", word.source}, {"entry", word.entry}});
        if (word.expires && word.time_added) {
            source.set("tags", tags_json(word.tags));
            source.set("tag_mask", word.tags);
            source.set("time_added", word.time_added->to_string());
            source.set("expires", word.expires->to_string());
        }
        sources.push(std::move(source));
    }
}

}  // namespace

Result<Json> explain_name(const rpz::Book& book, const rpz::Apex& apex,
                          const rpz::Snapshot& snapshot, std::string_view name) {
    const rpz::Trigger trigger = TRY(rpz::Trigger::parse(name));
    const std::string owner = rule_for(snapshot.zone, trigger.key());
    const std::string& decided = owner.empty() ? trigger.key() : owner;
    const rpz::Decision decision = book.decide_for(decided);
    const auto zone_name = rpz::Trigger::from_wire(apex.zone);
    const std::string zone_text = zone_name->to_text() + ".";

    Json out = Json::object();
    out.set("name", trigger.to_text());
    out.set("mode", book.rules().mode == rpz::Mode::enforce ? "enforce" : "shadow");
    out.set("action", to_string(owner.empty() ? rpz::Action::none : snapshot.zone.find(owner)));
    out.set("would_be", to_string(decision.would_be));
    out.set("rule", to_string(decision.rule));
    if (decision.rule == rpz::Rule::tag) {
        out.set("tag", rpz::tag_name(decision.tag));
    }
    if (decided != trigger.key()) {
        out.set("via", rpz::key_to_text(decided));
    }
    Json zone = Json::object(
        {{"name", zone_text}, {"serial", snapshot.serial.value()}, {"record", Json()}});
    if (!owner.empty()) {
        zone.set("record", fmt::format("{}.{} {} IN CNAME {}", rpz::key_to_text(owner), zone_text,
                                       apex.ttl_s, target_text(snapshot.zone.find(owner))));
    }
    out.set("zone", std::move(zone));
    Json sources = Json::array();
    std::set<std::string> said;
    add_words(sources, said, book.words(trigger.key()));
    if (decided != trigger.key()) {
        add_words(sources, said, book.words(decided));
    }
    out.set("sources", std::move(sources));
    return out;
}

}  // namespace tapir::policy
