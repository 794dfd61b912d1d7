#include "collector.hpp"

#include <algorithm>
#include <utility>

#include "tapir/names/list.hpp"
#include "tapir/names/row_labels.hpp"

namespace tapir::edge {
namespace {

constexpr Duration minute_length{60'000'000'000};
constexpr std::int64_t minutes_in_hour = 60;
static_assert(privacy::wider_intervals.back() == minutes_in_hour);

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

privacy::RowCandidate candidate_of(const names::NameIndex& index, const RowTable& table,
                                   std::uint32_t number) {
    const Row& row = table[number];
    const names::Entry entry = index.entry(names::EntryId{row.index});
    privacy::RowCandidate candidate;
    candidate.number = number;
    candidate.entry = names::to_text(entry);
    const names::RowLabels labels(entry);
    products::HistogramRow& out = candidate.row;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        out.labels.at(i) = std::string(labels[i]);
    }
    const auto counter = [&row](RowCounter which) { return std::uint64_t{row.counter(which)}; };
    out.a_count = counter(RowCounter::a);
    out.aaaa_count = counter(RowCounter::aaaa);
    out.mx_count = counter(RowCounter::mx);
    out.ns_count = counter(RowCounter::ns);
    out.other_type_count = counter(RowCounter::other_type);
    out.non_in_count = counter(RowCounter::non_in);
    out.ok_count = counter(RowCounter::ok);
    out.nx_count = counter(RowCounter::nx);
    out.fail_count = counter(RowCounter::fail);
    out.other_rcode_count = counter(RowCounter::other_rcode);
    out.edm_status_bits = entry.kind == names::EntryKind::suffix ? products::edm_status::suffix
                                                                 : products::edm_status::exact;
    out.v4client_count = table.estimate(row.v4);
    out.v6client_count = table.estimate(row.v6);
    out.v4client_count_hll = table.sketch(row.v4);
    out.v6client_count_hll = table.sketch(row.v6);
    candidate.v4_networks = table.network_count(row.v4);
    candidate.v6_networks = table.network_count(row.v6);
    return candidate;
}

// Some rows of a table, for the gate.
class SomeRows final : public privacy::RowSource {
public:
    SomeRows(const names::NameIndex& index, const RowTable& table,
             std::vector<std::uint32_t>&& numbers)
        : index_(index), table_(table), numbers_(std::move(numbers)) {}

    std::size_t size() const override { return numbers_.size(); }
    std::string entry(std::size_t number) const override {
        return names::to_text(index_.entry(names::EntryId{table_[numbers_[number]].index}));
    }
    privacy::RowCandidate candidate(std::size_t number) const override {
        return candidate_of(index_, table_, numbers_[number]);
    }

private:
    const names::NameIndex& index_;
    const RowTable& table_;
    const std::vector<std::uint32_t> numbers_;
};

privacy::GateSettings gate_settings(const CollectorSettings& settings) {
    privacy::GateSettings gate = settings.gate;
    gate.group = settings.group;
    return gate;
}

}  // namespace

Collector::Collector(const CollectorSettings& settings, std::shared_ptr<const Lists> lists,
                     Seen& seen, Wildcards& wildcards, EdgeMetrics& metrics, const Log& log,
                     BatchSink& sink)
    : settings_(settings),
      lists_(std::move(lists)),
      seen_(seen),
      wildcards_(wildcards),
      metrics_(metrics),
      log_(log),
      sink_(sink),
      names_(gate_settings(settings), &wildcards) {
    note(*lists_);
    if (privacy::row_clients_min(settings.gate.profile) == 0 || settings.single_interval) {
        return;
    }
    std::int64_t narrower = 1;
    for (const std::int64_t minutes : privacy::wider_intervals) {
        wide_.emplace_back(minutes, std::exchange(narrower, minutes), settings.wide, settings.hll);
    }
    if (settings.gate.hourly_sketches) {
        hour_.emplace(minutes_in_hour, 1, settings.wide, settings.hll);
    }
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

void Collector::on_minute_end(Minute minute, std::optional<MinuteTable>&& table) {
    if (settings_.single_interval) {
        single_ = std::move(table);
        return;
    }
    if (!table) {
        // A minute without rows is told like any other, except where the rule tells only rows.
        if (!day_) {
            return;
        }
        table.emplace(MinuteTable{
            .minute = minute, .gate = day_->gate, .rows = RowTable(sketch::HllSettings{})});
    }
    const std::shared_ptr<const Lists> lists = table->lists ? table->lists : lists_;
    note(*lists);
    metrics_.clients_left_out(table->rows.clients_left_out());
    if (wide_lists_ && wide_lists_->counting != lists->counting) {
        close_wide();  // their rows are numbered as the list before has it
    }
    wide_lists_ = lists;
    if (hour_) {
        past_hour_ = hour_->begin(minute, table->gate);
        add_to_hour(*hour_, table->rows);
    }
    for (std::size_t width = 0; width < wide_.size(); ++width) {
        if (auto over = wide_[width].begin(minute, table->gate)) {
            gate_rows(std::move(*over), width + 1, *wide_lists_);
        }
    }
    const UtcTime start = start_of(minute);
    gate_rows({.interval = {.start = start, .stop = start + minute_length},
               .rows = std::move(table->rows),
               .gate = std::move(table->gate)},
              0, *lists);
    if (hour_) {
        past_hour_ = hour_->end(minute);
    }
    for (std::size_t width = 0; width < wide_.size(); ++width) {
        if (auto over = wide_[width].end(minute)) {
            gate_rows(std::move(*over), width + 1, *wide_lists_);
        }
    }
}

// Of rows with so few clients in the minute that all of an hour would be less than a hundredth of
// what a sketch needs, nothing is kept.
void Collector::add_to_hour(WideRows& hour, const RowTable& minute) const {
    const std::uint64_t enough = privacy::sketch_clients_per_register << settings_.hll.log2m;
    const std::uint64_t least = enough / (minutes_in_hour * 100);
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t i = 0; i < minute.size(); ++i) {
        const Row& row = minute[i];
        if (minute.estimate(row.v4) >= least || minute.estimate(row.v6) >= least) {
            numbers.push_back(i);
        }
    }
    hour.add(minute, std::move(numbers));
}

// What was counted of the same interval as `of`, if it is a whole hour.
std::vector<privacy::RowCandidate> Collector::take_hour(const WideRows::Over& of,
                                                        const Lists& lists) {
    const auto hour = std::exchange(past_hour_, std::nullopt);
    std::vector<privacy::RowCandidate> candidates;
    if (!hour || hour->interval != of.interval ||
        of.interval.stop - of.interval.start != minute_length * minutes_in_hour) {
        return candidates;
    }
    const std::uint64_t enough = privacy::sketch_clients_per_register << settings_.hll.log2m;
    for (std::uint32_t i = 0; i < hour->rows.size(); ++i) {
        const Row& row = hour->rows[i];
        if (hour->rows.estimate(row.v4) >= enough || hour->rows.estimate(row.v6) >= enough) {
            candidates.push_back(candidate_of(lists.well_known, hour->rows, i));
        }
    }
    return candidates;
}

// Early, with their true length.
void Collector::close_wide() {
    if (hour_) {
        hour_->close();  // no whole hour: it has no sketches
        past_hour_.reset();
    }
    for (std::size_t width = 0; width < wide_.size(); ++width) {
        if (auto over = wide_[width].close()) {
            gate_rows(std::move(*over), width + 1, *wide_lists_);
        }
    }
}

void Collector::gate_rows(WideRows::Over&& over, std::size_t width, const Lists& lists) {
    // Most rows have too few clients whatever their threshold is: nothing is made of them.
    const unsigned clients_min =
        settings_.gate.watch != nullptr ? 0 : privacy::row_clients_min(settings_.gate.profile);
    std::vector<std::uint32_t> few_clients;
    std::vector<std::uint32_t> enough;
    for (std::uint32_t i = 0; i < over.rows.size(); ++i) {
        const Row& row = over.rows[i];
        if (over.rows.estimate(row.v4) < clients_min && over.rows.estimate(row.v6) < clients_min) {
            few_clients.push_back(i);
        } else {
            enough.push_back(i);
        }
    }
    const SomeRows rows(lists.well_known, over.rows, std::move(enough));
    auto of_hour = hour_ && width == wide_.size() ? take_hour(over, lists)
                                                  : std::vector<privacy::RowCandidate>();
    auto released = privacy::release_histogram_from(rows, settings_.gate, over.interval, *over.gate,
                                                    std::move(of_hour));
    if (!released) {
        metrics_.lost(privacy::Product::histogram);
        log_.error(
            "collector", "a histogram could not be written and is lost",
            {{"minute", over.interval.start.to_string()}, {"reason", released.error().what()}});
        return;
    }
    for (Suppressed* counts : {&suppressed_, &totals_}) {
        counts->rows_released += released->rows_released;
    }
    metrics_.released(privacy::Product::histogram, released->rows_released);
    few_clients.insert(few_clients.end(), released->few_clients.begin(),
                       released->few_clients.end());
    withhold(over, width, std::move(few_clients), std::move(released->few_networks));
    metrics_.sketches_released(released->sketches);
    const bool is_told = over.is_wider || released->sketches > 0;
    if (auto& payload = released->payload; payload && is_told) {
        payloads_.push_back(std::move(*payload));
    }
}

void Collector::withhold(const WideRows::Over& over, std::size_t width,
                         std::vector<std::uint32_t>&& few_clients,
                         std::vector<std::uint32_t>&& few_networks) {
    std::uint64_t evicted = 0;
    if (width < wide_.size()) {
        WideRows& wider = wide_[width];
        const std::uint64_t before = wider.evicted();
        few_clients.insert(few_clients.end(), few_networks.begin(), few_networks.end());
        wider.add(over.rows, std::exchange(few_clients, {}));
        evicted = wider.evicted() - before;
        few_networks.clear();
    }
    for (Suppressed* counts : {&suppressed_, &totals_}) {
        counts->rows_few_clients += few_clients.size();
        counts->rows_few_networks += few_networks.size();
        counts->rows_evicted += evicted;
    }
    metrics_.rows_withheld(few_clients.size(), few_networks.size(), evicted);
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
    totals_.suspects.add(counts);
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
    batch.payloads = std::exchange(payloads_, {});
    batch.names = std::exchange(released_names_, {});
    batch.suppressed = std::exchange(suppressed_, {});
    batch.lists = joined(std::exchange(lists_used_, {}));
    batch.settings = joined(std::exchange(settings_used_, {}));
    note(*lists_);
    const privacy::Pending& pending = names_.pending();
    batch.suppressed.cells_evicted = pending.cells_evicted() - totals_.cells_evicted;
    batch.suppressed.names_evicted = pending.names_evicted() - totals_.names_evicted;
    totals_.cells_evicted = pending.cells_evicted();
    totals_.names_evicted = pending.names_evicted();
    const std::uint64_t parents = names_.children().evicted();
    batch.suppressed.parents_evicted = parents - totals_.parents_evicted;
    totals_.parents_evicted = parents;
    metrics_.pending_evicted(batch.suppressed.cells_evicted, batch.suppressed.names_evicted,
                             batch.suppressed.parents_evicted);
    sink_.take(std::move(batch));
}

void Collector::finish(std::optional<DataClock::Bounds> bounds, UtcTime time) {
    if (settings_.single_interval) {
        const DataClock::Bounds span = bounds.value_or(DataClock::Bounds{.first = 0, .end = 1});
        const products::Interval interval{.start = start_of(span.first),
                                          .stop = start_of(span.end)};
        interval_ = interval.start;
        if (!single_ && day_) {
            single_.emplace(MinuteTable{
                .minute = 0, .gate = day_->gate, .rows = RowTable(sketch::HllSettings{})});
        }
        if (single_) {
            gate_rows({.interval = interval,
                       .rows = std::move(single_->rows),
                       .gate = std::move(single_->gate)},
                      0, *(single_->lists ? single_->lists : lists_));
            single_.reset();
        }
    }
    close_wide();
    cut(interval_.value_or(time));
}

}  // namespace tapir::edge
