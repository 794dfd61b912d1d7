#include "collector.hpp"

#include <algorithm>
#include <utility>

namespace tapir::edge {
namespace {

constexpr Duration minute_length{60'000'000'000};

Fate fate_of(privacy::PendingOutcome outcome) {
    switch (outcome) {
        case privacy::PendingOutcome::first_client:
            return Fate::pending_first_client;
        case privacy::PendingOutcome::waiting:
            return Fate::pending_waiting;
        case privacy::PendingOutcome::reached:
            return Fate::released;
        case privacy::PendingOutcome::done:
            return Fate::released_before;
        case privacy::PendingOutcome::capped:
            return Fate::pending_capped;
    }
    return Fate::pending_waiting;
}

// What "seen" is about: a name's text in lower case. Escapes have no letters in them.
std::string lower_of(std::string_view name) {
    std::string lower(name);
    for (char& c : lower) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return lower;
}

std::string joined(const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& text : texts) {
        out += text;
    }
    return out;
}

privacy::GateSettings gate_settings(const CollectorSettings& settings) {
    privacy::GateSettings gate = settings.gate;
    gate.group = settings.group;
    return gate;
}

}  // namespace

Collector::Collector(const CollectorSettings& settings, std::shared_ptr<const Lists> lists,
                     Seen& seen, Wildcards& wildcards, EdgeMetrics& metrics, RowSink& rows)
    : settings_(settings),
      lists_(std::move(lists)),
      seen_(seen),
      wildcards_(wildcards),
      metrics_(metrics),
      rows_(rows),
      names_(gate_settings(settings), &wildcards) {
    note(*lists_);
}

void Collector::on_lists(const std::shared_ptr<const Lists>& lists) {
    lists_ = lists;
    note(*lists_);
}

void Collector::note(const Lists& lists) {
    const auto add = [](std::vector<std::string>& used, const std::string& text) {
        if (std::ranges::find(used, text) == used.end()) {
            used.push_back(text);
        }
    };
    add(lists_used_, lists.digests);
    add(settings_used_, lists.shaping);
}

void Collector::on_batch(BatchResult&& result) {
    day_ = result.day;
    fates_.add(result.fates);
    suppressed_.fates.add(result.fates);
    metrics_.add(result);
    if (settings_.group != nullptr) {
        settings_.group->refresh();
    }
    for (const NameFound& found : result.names) {
        names_.prefetch(found.sighting);
    }
    for (const NameFound& found : result.names) {
        offer(found, result.text_of(found), *day_->gate);
    }
    const auto& suffixes = lists_->suffixes;
    if (settings_.suspects != nullptr && suffixes) {
        for (const SuspectFound& found : result.suspects) {
            settings_.suspects->saw(found, result.domain_of(found), *suffixes);
        }
    }
    metrics_.names_ready(released_.size());
}

void Collector::count(Fate fate) {
    fates_.add(fate);
    suppressed_.fates.add(fate);
    metrics_.add(fate);
}

void Collector::offer(const NameFound& found, std::string_view name, const privacy::GateKey& key) {
    const bool is_compatible = settings_.gate.profile == privacy::Profile::compatible;
    const privacy::NameCandidate candidate{.name = name,
                                           .domain_start = found.domain_start,
                                           .sighting = found.sighting,
                                           .qtype = found.qtype,
                                           .qclass = found.qclass,
                                           .flags = found.flags,
                                           .minute = found.minute};
    auto offer = names_.offer(candidate, key);
    if (offer.released.empty()) {
        count(fate_of(offer.outcome));
        return;
    }
    bool is_new = false;
    bool is_dropped = false;
    for (auto& released : offer.released) {
        std::string known_as = lower_of(released.value().qname);
        const Seen::Offered seen = seen_.offer(known_as);
        if (seen != Seen::Offered::is_new) {
            is_dropped = is_dropped || seen == Seen::Offered::no_room;
            continue;
        }
        is_new = true;
        metrics_.released(privacy::Product::new_qname, 1);
        if (offer.is_old) {
            metrics_.released_domain(*offer.is_old);
        }
        if (settings_.board != nullptr) {
            settings_.board->released(name.substr(found.domain_start));
        }
        released_.push_back(std::move(released));
        released_names_.push_back(std::move(known_as));
    }
    if (is_dropped) {
        count(Fate::dropped_name);
    } else if (is_new) {
        count(is_compatible ? Fate::name_new : Fate::released);
    } else {
        count(is_compatible ? Fate::name_seen : Fate::released_before);
    }
}

void Collector::on_minute_begin(Minute minute, const std::shared_ptr<const Day>& day) {
    const UtcTime start = start_of(minute);
    const UtcTime interval =
        UtcTime::from_seconds(start.seconds() / settings_.interval_s * settings_.interval_s);
    if (settings_.cuts_by_data && interval_ != interval) {
        if (interval_) {
            cut(*interval_);
        }
        interval_ = interval;
    }
    day_ = day;
    wildcards_.start_day(static_cast<std::uint64_t>(day->number));
    names_.turn(start, *day->gate);
    if (settings_.suspects != nullptr) {
        settings_.suspects->turn(start);
    }
    metrics_.pending_fill(names_.pending(), names_.children());
}

void Collector::on_minute_end(Minute minute, std::vector<MinuteTable>&& tables) {
    if (settings_.single_interval) {
        single_ = std::move(tables);
        return;
    }
    const UtcTime start = start_of(minute);
    end_rows(minute, {.start = start, .stop = start + minute_length}, std::move(tables));
}

// A minute without rows is told like any other, except where the rule tells only rows.
void Collector::end_rows(Minute minute, const products::Interval& interval,
                         std::vector<MinuteTable>&& tables) {
    if (tables.empty()) {
        if (!day_) {
            return;
        }
        tables.push_back(MinuteTable{
            .minute = minute, .gate = day_->gate, .rows = RowTable(sketch::HllSettings{})});
    }
    const std::shared_ptr<const Lists>& counted = tables.front().lists;
    const std::shared_ptr<const Lists> lists = counted ? counted : lists_;
    note(*lists);
    rows_.take(EndedRows{
        .minute = minute, .interval = interval, .tables = std::move(tables), .lists = lists});
}

void Collector::add(PersonRelease&& release) {
    requests_.with([&release](auto& requests) { requests.push_back(std::move(release)); });
}

void Collector::take_requests(ReadyBatch& batch) {
    auto requests = requests_.with([](auto& all) { return std::exchange(all, {}); });
    for (PersonRelease& request : requests) {
        metrics_.released(privacy::Product::by_person, 1);
        batch.by_person += request.account + "\n";
        released_names_.push_back(request.name.value().qname);
        released_.push_back(std::move(request.name));
    }
}

void Collector::take_exceptions(ReadyBatch& batch) {
    if (settings_.suspects == nullptr) {
        return;
    }
    for (Suspects::Leaving& leaving : settings_.suspects->take(batch.time)) {
        std::string name = leaving.name.value().qname;
        if (!seen_.add(name)) {
            continue;  // enough have asked for it since
        }
        metrics_.released(privacy::Product::by_exception, 1);
        batch.by_exception += leaving.account + "\n";
        released_names_.push_back(std::move(name));
        released_.push_back(std::move(leaving.name));
    }
    const SuspectCounts counts = settings_.suspects->take_counts();
    suppressed_.suspects.add(counts);
}

void Collector::on_cut(UtcTime time) {
    cut(time);
}

void Collector::cut(UtcTime time) {
    if (!day_) {
        return;  // nothing has ever come
    }
    ReadyBatch batch;
    batch.time = time;
    batch.key = day_->gate;
    take_requests(batch);
    take_exceptions(batch);
    if (settings_.group != nullptr) {
        settings_.group->refresh();  // also where no frame comes
        batch.group = settings_.group->take_account();
    }
    batch.released = std::exchange(released_, {});
    metrics_.names_ready(0);
    batch.names = std::exchange(released_names_, {});
    batch.suppressed = std::exchange(suppressed_, {});
    batch.lists = joined(std::exchange(lists_used_, {}));
    batch.settings = joined(std::exchange(settings_used_, {}));
    note(*lists_);
    const privacy::Pending& pending = names_.pending();
    const auto since = [](std::uint64_t& before, std::uint64_t now) {
        return now - std::exchange(before, now);
    };
    batch.suppressed.cells_evicted = since(cells_evicted_, pending.cells_evicted());
    batch.suppressed.names_evicted = since(names_evicted_, pending.names_evicted());
    batch.suppressed.parents_evicted = since(parents_evicted_, names_.children().evicted());
    metrics_.pending_evicted(batch.suppressed.cells_evicted, batch.suppressed.names_evicted,
                             batch.suppressed.parents_evicted);
    rows_.take(std::move(batch));
}

void Collector::finish(std::optional<DataClock::Bounds> bounds, UtcTime time) {
    if (settings_.single_interval) {
        const DataClock::Bounds span = bounds.value_or(DataClock::Bounds{.first = 0, .end = 1});
        const products::Interval interval{.start = start_of(span.first),
                                          .stop = start_of(span.end)};
        interval_ = interval.start;
        end_rows(0, interval, std::exchange(single_, {}));
    }
    rows_.take(EndOfRows{});
    cut(interval_.value_or(time));
}

}  // namespace tapir::edge
