#include "tapir/analysis/analysis.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "tapir/products/new_qname.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/text/json.hpp"
#include "verdicts.hpp"

namespace tapir::analysis {

namespace {

constexpr std::size_t events_at_once_max = 1024;
constexpr std::size_t expire_at_once_max = 1024;
constexpr std::size_t publish_at_once_max = 1024;
constexpr std::size_t event_queue_max = 4096;

// One message of the subject events.new_qname.
struct Arrival {
    std::uint64_t sequence = 0;
    std::string edge;
    products::NewQname event;
    dns::Name name;
    std::string text;  // lower case, no final dot
};

std::string text_of(dns::NameView name) {
    std::string text = dns::to_text(name, dns::Case::lower);
    text.pop_back();
    return text;
}

Result<Arrival> parse_arrival(std::string_view message) {
    const auto json = TRY(text::Json::parse(message));
    Arrival arrival;
    const std::int64_t sequence = TRY(json.integer("sequence"));
    if (sequence < 0) {
        return fail(Code::invalid, "member 'sequence': expected none below 0");
    }
    arrival.sequence = static_cast<std::uint64_t>(sequence);
    arrival.edge = TRY(json.string("edge"));
    arrival.event = TRY(products::NewQname::parse(TRY(json.string("event"))));
    arrival.name = TRY(dns::Name::from_text(arrival.event.qname));
    arrival.text = text_of(arrival.name);
    return arrival;
}

}  // namespace

struct Analysis::Impl {
    Impl(AnalysisSettings s, std::vector<std::unique_ptr<Analyser>> a, AnalysisParts p)
        : settings(std::move(s)),
          analysers(std::move(a)),
          parts(p),
          pause(p.clock),
          verdicts(p.store, settings.ttl, settings.creator),
          taken(p.counters.counter("tapir_core_analysed_total", "Events that were analysed.")),
          bad(p.counters.counter("tapir_core_bus_messages_bad_total",
                                 "Messages on the bus that could not be read.")),
          issued(p.counters.counter("tapir_core_observations_total",
                                    "Observations issued, removals included.")) {}

    Result<void> take(const bus::Message& message);
    Result<void> publish();
    void read_acknowledgements();
    void trouble(const Error& error);

    const AnalysisSettings settings;
    const std::vector<std::unique_ptr<Analyser>> analysers;
    const AnalysisParts parts;
    world::Waiter pause;
    std::mutex mutex;  // withdraw() comes from other threads
    Verdicts verdicts;
    std::unique_ptr<bus::Subscription> events;
    std::unique_ptr<bus::Subscription> done;
    std::uint64_t acknowledged_event = 0;
    std::uint64_t published_id = 0;
    std::vector<bus::Message> untaken;  // by trouble; before anything newer
    Counter& taken;
    Counter& bad;
    Counter& issued;
};

std::vector<std::string> store_families() {
    std::vector<std::string> families = Verdicts::families();
    families.emplace_back("analysis_seen");
    return families;
}

Analysis::Analysis(AnalysisSettings settings, std::vector<std::unique_ptr<Analyser>> analysers,
                   AnalysisParts parts)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(analysers), parts)) {}

Analysis::~Analysis() = default;

Result<void> Analysis::open() {
    TRY(impl_->verdicts.open());
    impl_->events = TRY(impl_->parts.bus.subscribe(
        events_subject, {.queue_max = event_queue_max, .when_full = bus::WhenFull::refuse}));
    impl_->done = TRY(impl_->parts.bus.subscribe(
        observations_done_subject, {.queue_max = 64, .when_full = bus::WhenFull::drop_oldest}));
    return {};
}

void Analysis::Impl::trouble(const Error& error) {
    parts.counters
        .counter("tapir_core_trouble_total", "Work that failed and is tried again.",
                 {{"part", "analysis"}, {"code", std::string(to_string(error.code()))}})
        .add();
    parts.log.error("analysis", "work failed, and is tried again", {{"reason", error.what()}});
}

Result<void> Analysis::Impl::take(const bus::Message& message) {
    const auto arrival = parse_arrival(as_text(*message.body));
    if (!arrival) {
        bad.add();
        parts.log.error("analysis", "a message on the bus could not be read",
                        {{"reason", arrival.error().what()}});
        return {};
    }
    if (arrival->sequence <= verdicts.last_event()) {
        return {};  // taken before a restart
    }
    const Sighting sighting{.name = arrival->name,
                            .text = arrival->text,
                            .edge = arrival->edge,
                            .now = parts.clock.now()};
    store::Batch batch;
    std::uint32_t mask = 0;
    for (const auto& analyser : analysers) {
        const std::uint32_t flag = TRY(analyser->look(sighting, parts.store, batch));
        if (flag != 0) {
            parts.counters
                .counter("tapir_core_evidence_total", "Evidence by analyser.",
                         {{"analyser", std::string(analyser->label())}})
                .add();
        }
        mask |= flag;
    }
    TRY(verdicts.take(arrival->sequence, arrival->text, mask, sighting.now, batch));
    taken.add();
    return {};
}

void Analysis::Impl::read_acknowledgements() {
    std::uint64_t last = 0;
    while (const auto message = done->next(Duration(0))) {
        const auto json = text::Json::parse(as_text(*message->body));
        const auto id = json ? json->integer("id") : Result<std::int64_t>(0);
        last = std::max(last, static_cast<std::uint64_t>(std::max<std::int64_t>(id ? *id : 0, 0)));
    }
    if (last > 0) {
        if (const auto acknowledged = verdicts.acknowledge(last); !acknowledged) {
            trouble(acknowledged.error());
        }
    }
}

// What was decided is put on the disk first, then out, then acknowledged.
Result<void> Analysis::Impl::publish() {
    const auto outgoing = TRY(verdicts.outgoing(published_id, publish_at_once_max));
    if (outgoing.empty() && acknowledged_event == verdicts.last_event()) {
        return {};
    }
    TRY(verdicts.sync());
    for (const auto& message : outgoing) {
        if (!parts.bus.publish(observations_subject, message.message)) {
            break;  // the feeds are behind: the rest stays where it is
        }
        published_id = message.id;
        issued.add();
    }
    if (acknowledged_event != verdicts.last_event()) {
        const std::string text =
            text::Json::object({{"sequence", verdicts.last_event()}}).to_string();
        TRY(parts.bus.publish(events_done_subject, to_bytes(text)));
        acknowledged_event = verdicts.last_event();
    }
    return {};
}

void Analysis::work(Duration wait_at_most) {
    std::vector<bus::Message> messages = std::exchange(impl_->untaken, {});
    if (!messages.empty()) {
        impl_->pause.wait_for(wait_at_most);  // it failed just now
    } else {
        if (auto first = impl_->events->next(wait_at_most)) {
            messages.push_back(*std::move(first));
        }
        while (messages.size() < events_at_once_max) {
            auto next = messages.empty() ? std::nullopt : impl_->events->next(Duration(0));
            if (!next) {
                break;
            }
            messages.push_back(*std::move(next));
        }
    }
    const std::lock_guard lock(impl_->mutex);
    for (std::size_t i = 0; i < messages.size(); ++i) {
        if (const auto taken = impl_->take(messages[i]); !taken) {
            impl_->trouble(taken.error());
            impl_->untaken.assign(messages.begin() + static_cast<std::ptrdiff_t>(i),
                                  messages.end());
            break;
        }
    }
    const auto over = impl_->verdicts.expire(impl_->parts.clock.now(), expire_at_once_max);
    if (!over) {
        impl_->trouble(over.error());
    }
    impl_->read_acknowledgements();
    if (const auto published = impl_->publish(); !published) {
        impl_->trouble(published.error());
    }
}

Result<void> Analysis::withdraw(std::string_view name, std::string_view why) {
    const dns::Name parsed = TRY(dns::Name::from_text(name));
    const std::lock_guard lock(impl_->mutex);
    TRY(impl_->verdicts.withdraw(text_of(parsed), why, impl_->parts.clock.now()));
    return impl_->publish();
}

void Analysis::close() {
    impl_->events->close();
    impl_->pause.notify();
}

}  // namespace tapir::analysis
