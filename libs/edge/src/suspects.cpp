#include "suspects.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tapir/text/json.hpp"

namespace tapir::edge {
namespace {

constexpr std::int64_t hour_s = 3600;
constexpr std::int64_t hours_in_day = 24;
constexpr unsigned score_domain = 100;
constexpr unsigned score_other = 60;  // another entry than the domain's own

unsigned network_count(const std::array<std::uint64_t, 3>& networks) {
    return static_cast<unsigned>(
        std::ranges::count_if(networks, [](std::uint64_t tag) { return tag != 0; }));
}

}  // namespace

std::string_view to_string(Detector detector) {
    switch (detector) {
        case Detector::threat_list:
            return "threat_list";
    }
    return "unknown";
}

std::string Suspect::to_json() const {
    text::Json all = text::Json::array();
    for (const std::string& reason : reasons) {
        all.push(reason);
    }
    return text::Json::object({{"detector", to_string(detector)},
                               {"domain", domain},
                               {"hour", hour.to_string()},
                               {"leaves", exception != 0},
                               {"reasons", std::move(all)},
                               {"score", score}})
        .to_canonical();
}

Suspects::Suspects(const SuspectSettings& settings, Seen& seen, Counters& counters,
                   SuspectListener& listener)
    : suspects_max_(settings.suspects_max),
      seen_(seen),
      listener_(listener),
      dropped_(counters.counter("tapir_edge_suspects_dropped_total",
                                "Suspects that were not written down, by reason.",
                                {{"reason", "table_full"}})),
      granted_(counters.counter("tapir_edge_threat_exceptions_total",
                                "Suspects with grounds to leave below their threshold, by outcome.",
                                {{"outcome", "granted"}})),
      over_the_day_(
          counters.counter("tapir_edge_threat_exceptions_total",
                           "Suspects with grounds to leave below their threshold, by outcome.",
                           {{"outcome", "over_the_day"}})) {
    for (std::size_t i = 0; i < detector_count; ++i) {
        found_.at(i) = &counters.counter(
            "tapir_edge_suspects_total", "Registered domains that a detector suspects, each hour.",
            {{"detector", std::string(to_string(static_cast<Detector>(i)))}});
    }
    if (settings.has_exception) {
        exceptions_.emplace(settings.profile, settings.before);
    }
    counters
        .gauge("tapir_edge_threat_exception",
               "1 where suspects may be told of below their threshold.")
        .set(exceptions_ ? 1 : 0);
}

void Suspects::turn(UtcTime time) {
    const std::int64_t hour = time.seconds() / hour_s;
    if (hour_ && hour / hours_in_day != hour_->seconds() / hour_s / hours_in_day) {
        entries_.clear();
    }
    hour_ = UtcTime::from_seconds(hour * hour_s);
    if (exceptions_) {
        exceptions_->turn(time);
    }
}

Suspects::Entry* Suspects::entry_of(std::string_view domain) {
    auto found = entries_.find(domain);
    if (found == entries_.end()) {
        if (entries_.size() >= suspects_max_) {
            return nullptr;
        }
        found = entries_.emplace(std::string(domain), Entry{}).first;
    }
    return &found->second;
}

void Suspects::saw(const SuspectFound& latest, std::string_view latest_domain,
                   const dns::PublicSuffixes& suffixes) {
    if (!hour_) {
        if (early_.size() < suspects_max_) {
            early_.emplace_back(latest, latest_domain);
        } else {
            dropped_.add();
        }
        return;
    }
    const auto look_at = [&, hour = *hour_](const SuspectFound& found, std::string_view domain) {
        Entry* const entry = entry_of(domain);
        if (entry == nullptr) {
            dropped_.add();
            return;
        }
        if (found.network != 0 && found.threat.place != ThreatPlace::below) {
            Networks& networks = entry->networks.at(found.is_ipv6 ? 1 : 0);
            const auto place = std::ranges::find_if(
                networks, [&found](std::uint64_t tag) { return tag == 0 || tag == found.network; });
            if (place != networks.end()) {
                *place = found.network;
            }
        }
        const auto detector = static_cast<std::size_t>(found.detector);
        const std::int64_t number = hour.seconds() / hour_s;
        const bool is_news = std::exchange(entry->hours_told.at(detector), number) != number;
        const bool may_leave =
            exceptions_ && !entry->is_settled && found.threat.place != ThreatPlace::below;
        if (!is_news && !may_leave && !listener_.wants_repeats()) {
            return;
        }
        Suspect suspect{
            .detector = found.detector,
            .domain = std::string(domain),
            .score = found.threat.place == ThreatPlace::domain ? score_domain : score_other,
            .reasons = {fmt::format("threat list {} {}", found.threat.list + 1,
                                    to_string(found.threat.place))},
            .hour = hour};
        if (may_leave) {
            try_exception(found, *entry, suffixes, suspect);
        }
        if (is_news) {
            ++counts_.by_detector.at(detector);
            found_.at(detector)->add();
        }
        if (is_news || suspect.exception != 0 || listener_.wants_repeats()) {
            listener_.suspect(suspect);
        }
    };
    for (const auto& [before, name] : std::exchange(early_, {})) {
        look_at(before, name);
    }
    look_at(latest, latest_domain);
}

void Suspects::try_exception(const SuspectFound& found, Entry& entry,
                             const dns::PublicSuffixes& suffixes, Suspect& suspect) {
    const privacy::ExceptionGrounds grounds{
        .is_pinned = found.threat.is_pinned && found.threat.place == ThreatPlace::domain,
        .networks = std::max(network_count(entry.networks[0]), network_count(entry.networks[1]))};
    if (!exceptions_ || (!grounds.is_pinned && grounds.networks < entry.networks[0].size())) {
        return;  // the gate would say the same; most often it is so
    }
    entry.is_settled = true;
    if (seen_.state_of(suspect.domain) != Seen::State::unknown) {
        suspect.reasons.emplace_back("left before: enough have asked for it");
        return;
    }
    const auto answer = exceptions_->offer(suspect.domain, grounds, suffixes);
    if (answer.outcome == privacy::ExceptionOutcome::granted) {
        suspect.exception = answer.number;
        suspect.reasons.emplace_back(grounds.is_pinned ? "leaves by exception: a pinned list"
                                                       : "leaves by exception: three networks");
        granted_.add();
    } else if (answer.outcome == privacy::ExceptionOutcome::over_the_day) {
        suspect.reasons.emplace_back("stays: the day's exceptions are used up");
        ++counts_.over_the_day;
        over_the_day_.add();
    }
}

std::vector<Suspects::Leaving> Suspects::take(UtcTime batch_time) {
    std::vector<Leaving> out;
    if (!exceptions_) {
        return out;
    }
    for (privacy::Exception& exception : exceptions_->take(batch_time, listener_.written())) {
        const products::NewQname& event = exception.name.value();
        std::string account =
            text::Json::object(
                {{"grounds", exception.grounds.is_pinned ? "pinned list" : "three networks"},
                 {"hour", event.timestamp.value_or(UtcTime()).to_string()},
                 {"name", event.qname}})
                .to_canonical();
        out.push_back({.name = std::move(exception.name), .account = std::move(account)});
    }
    return out;
}

}  // namespace tapir::edge
