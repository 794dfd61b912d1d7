#include "row_gate.hpp"

#include <algorithm>
#include <utility>

#include "tapir/names/list.hpp"
#include "tapir/names/row_labels.hpp"

namespace tapir::edge {
namespace {

constexpr Duration minute_length{60'000'000'000};
constexpr std::int64_t minutes_in_hour = 60;
static_assert(privacy::wider_intervals.back() == minutes_in_hour);

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

// What all workers have counted of it.
MinuteTable merged(std::vector<MinuteTable>&& tables) {
    MinuteTable all = std::move(tables.front());
    for (std::size_t i = 1; i < tables.size(); ++i) {
        all.rows.merge(std::move(tables[i].rows));
    }
    return all;
}

}  // namespace

void Suppressed::add(const Suppressed& other) {
    fates.add(other.fates);
    rows_released += other.rows_released;
    rows_few_clients += other.rows_few_clients;
    rows_few_networks += other.rows_few_networks;
    rows_evicted += other.rows_evicted;
    cells_evicted += other.cells_evicted;
    names_evicted += other.names_evicted;
    parents_evicted += other.parents_evicted;
    suspects.add(other.suspects);
}

RowGate::RowGate(const RowGateSettings& settings, EdgeMetrics& metrics, const Log& log,
                 BatchSink& sink)
    : settings_(settings), metrics_(metrics), log_(log), sink_(sink) {
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

void RowGate::take(RowStep&& step) {
    if (auto* ended = std::get_if<EndedRows>(&step)) {
        end(std::move(*ended));
    } else if (auto* batch = std::get_if<ReadyBatch>(&step)) {
        hand_on(std::move(*batch));
    } else {
        close_wide();
    }
}

void RowGate::hand_on(ReadyBatch&& batch) {
    batch.payloads = std::exchange(payloads_, {});
    batch.suppressed.add(std::exchange(suppressed_, {}));
    totals_.add(batch.suppressed);
    sink_.take(std::move(batch));
}

void RowGate::end(EndedRows&& ended) {
    const Minute minute = ended.minute;
    const std::shared_ptr<const Lists> lists = std::move(ended.lists);
    MinuteTable table = merged(std::move(ended.tables));
    metrics_.clients_left_out(table.rows.clients_left_out());
    if (wide_lists_ && wide_lists_->counting != lists->counting) {
        close_wide();  // their rows are numbered as the list before has it
    }
    wide_lists_ = lists;
    if (hour_) {
        past_hour_ = hour_->begin(minute, table.gate);
        add_to_hour(*hour_, table.rows);
    }
    for (std::size_t width = 0; width < wide_.size(); ++width) {
        if (auto over = wide_[width].begin(minute, table.gate)) {
            gate_rows(std::move(*over), width + 1, *wide_lists_);
        }
    }
    gate_rows(
        {.interval = ended.interval, .rows = std::move(table.rows), .gate = std::move(table.gate)},
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
void RowGate::add_to_hour(WideRows& hour, const RowTable& minute) const {
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
std::vector<privacy::RowCandidate> RowGate::take_hour(const WideRows::Over& of,
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
void RowGate::close_wide() {
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

void RowGate::gate_rows(WideRows::Over&& over, std::size_t width, const Lists& lists) {
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
            "rows", "a histogram could not be written and is lost",
            {{"minute", over.interval.start.to_string()}, {"reason", released.error().what()}});
        return;
    }
    suppressed_.rows_released += released->rows_released;
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

void RowGate::withhold(const WideRows::Over& over, std::size_t width,
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
    suppressed_.rows_few_clients += few_clients.size();
    suppressed_.rows_few_networks += few_networks.size();
    suppressed_.rows_evicted += evicted;
    metrics_.rows_withheld(few_clients.size(), few_networks.size(), evicted);
}

RowQueue::RowQueue(RowSink& behind)
    : behind_(behind), steps_(steps_max), thread_([this] {
          while (auto step = steps_.pop()) {
              behind_.take(std::move(*step));
          }
      }) {}

void RowQueue::finish() {
    steps_.close();
    if (thread_.joinable()) {
        thread_.join();
    }
}

}  // namespace tapir::edge
