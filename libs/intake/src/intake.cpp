#include "tapir/intake/intake.hpp"

#include <algorithm>
#include <utility>

#include "event_desk.hpp"
#include "journal.hpp"
#include "uploads.hpp"

namespace tapir::intake {

namespace {

constexpr std::size_t seal_at_once_max = 64;
constexpr std::size_t publish_at_once_max = 1024;
constexpr std::size_t forget_at_once_max = 10'000;

}  // namespace

struct Intake::Impl {
    Impl(IntakeSettings s, IntakeParts p)
        : settings(std::move(s)),
          parts(p),
          journal(parts.store, parts.files, settings.directory),
          uploads(settings, parts, journal),
          desk(settings, parts, journal),
          seal_waiter(parts.clock),
          publish_waiter(parts.clock) {}

    bool seal_one(const std::string& id);
    bool admit(const std::string& id, ByteView payload, const lake::UploadInfo& info);
    void settle(const std::string& id, AggregateState state, std::string_view detail);
    void quarantine(const std::string& id, std::string_view reason, std::string_view detail);
    void count_rows(const lake::Rows& rows);
    void take_acknowledgements();
    void trouble(std::string_view part, const Error& error);

    const IntakeSettings settings;
    const IntakeParts parts;
    Journal journal;
    Uploads uploads;
    EventDesk desk;
    std::unique_ptr<bus::Subscription> done;
    std::uint64_t published = 0;  // of publish() alone
    world::Waiter seal_waiter;
    world::Waiter publish_waiter;
};

std::vector<std::string> store_families() {
    return Journal::families();
}

Intake::Intake(IntakeSettings settings, IntakeParts parts)
    : impl_(std::make_unique<Impl>(std::move(settings), parts)) {}

Intake::~Intake() = default;

Result<void> Intake::open() {
    TRY(impl_->journal.open());
    impl_->done = TRY(impl_->parts.bus.subscribe(
        events_done_subject, {.queue_max = 64, .when_full = bus::WhenFull::drop_oldest}));
    return {};
}

void Intake::add_routes(net::HttpRoutes& routes) {
    routes.add({.method = "POST",
                .path = "/api/v1/aggregate/*",
                .body_size_max = body_size_max,
                .handle = [this](const net::HttpRequest& request) { return aggregate(request); },
                .subscribe = {}});
    routes.add({.method = "GET",
                .path = "/api/v1/aggregates/*",
                .handle = [this](const net::HttpRequest& request) { return metadata(request); },
                .subscribe = {}});
    routes.add({.method = "POST",
                .path = "/api/v1/event/new_qname",
                .body_size_max = body_size_max,
                .handle = [this](const net::HttpRequest& request) { return events(request); },
                .subscribe = {}});
}

net::HttpResponse Intake::aggregate(const net::HttpRequest& request) {
    auto answer = impl_->uploads.post(request);
    impl_->seal_waiter.notify();
    return answer;
}

net::HttpResponse Intake::metadata(const net::HttpRequest& request) {
    return impl_->uploads.get(request);
}

net::HttpResponse Intake::events(const net::HttpRequest& request) {
    auto answer = impl_->desk.post(request);
    impl_->publish_waiter.notify();
    return answer;
}

Result<void> Intake::take(std::span<const mqtt::Message> messages) {
    auto kept = impl_->desk.take(messages);
    impl_->publish_waiter.notify();
    return kept;
}

void Intake::Impl::trouble(std::string_view part, const Error& error) {
    parts.counters
        .counter("tapir_core_trouble_total", "Work that failed and is tried again.",
                 {{"part", std::string(part)}, {"code", std::string(to_string(error.code()))}})
        .add();
    parts.log.error(part, "work failed, and is tried again", {{"reason", error.what()}});
}

void Intake::Impl::count_rows(const lake::Rows& rows) {
    const std::pair<const char*, std::uint64_t> fates[] = {
        {"kept", rows.kept},
        {"below_threshold", rows.below_threshold},
        {"bad_name", rows.bad_name},
        {"bad_value", rows.bad_value}};
    for (const auto& [fate, count] : fates) {
        parts.counters
            .counter("tapir_core_lake_rows_total", "Histogram rows at the lake's gate, by fate.",
                     {{"outcome", fate}})
            .add(count);
    }
    parts.counters
        .counter("tapir_core_lake_sketches_total", "Sketches taken away at the lake's gate.")
        .add(rows.sketches);
}

void Intake::Impl::settle(const std::string& id, AggregateState state, std::string_view detail) {
    const auto settled = journal.settle(id, state, detail);
    if (!settled) {
        trouble("lake", settled.error());
        return;
    }
    Counters::Labels labels{{"outcome", std::string(to_string(state))}};
    if (state == AggregateState::quarantined) {
        labels.emplace_back("reason", std::string(detail));
    }
    parts.counters
        .counter("tapir_core_lake_uploads_total", "Aggregates after the lake's gate, by outcome.",
                 labels)
        .add();
}

void Intake::Impl::quarantine(const std::string& id, std::string_view reason,
                              std::string_view detail) {
    parts.log.warn("lake", "an aggregate was quarantined",
                   {{"id", id}, {"reason", reason}, {"detail", detail}});
    settle(id, AggregateState::quarantined, reason);
}

// False if it has to be tried again.
bool Intake::Impl::seal_one(const std::string& id) {
    const auto metadata = journal.metadata(id);
    if (!metadata) {
        trouble("lake", metadata.error());
        return false;
    }
    const text::Json json = metadata->value_or(text::Json());
    const auto payload = journal.payload(id);
    if (!payload && payload.error().code() == Code::not_found) {
        // Removed or moved before a crash could be recorded: the rest of settle() is left to do.
        settle(id, AggregateState::sealed, "");
        return true;
    }
    if (!payload) {
        trouble("lake", payload.error());
        return false;
    }
    const std::string type = json.string("aggregate_type").value_or("");
    const auto start = UtcTime::parse(json.string("aggregate_interval_start").value_or(""));
    if (type == "test") {
        settle(id, AggregateState::sealed, "");
    } else if (type != "histogram") {
        quarantine(id, "no_reader", "nothing reads aggregates of this type yet");
    } else if (!start) {
        quarantine(id, "no_interval", "a histogram without an interval");
    } else {
        return admit(id, *payload,
                     {.edge = json.string("creator").value_or(""),
                      .start = *start,
                      .length_s = json.integer("aggregate_interval_duration").value_or(0),
                      .digest = json.string("content_sha256").value_or("")});
    }
    return true;
}

bool Intake::Impl::admit(const std::string& id, ByteView payload, const lake::UploadInfo& info) {
    const auto verdict = parts.lake.admit(payload, info);
    if (!verdict) {
        if (verdict.error().code() != Code::invalid) {
            trouble("lake", verdict.error());
            return false;
        }
        quarantine(id, "bad_interval", verdict.error().what());
        return true;
    }
    if (const auto refusal = verdict->refusal) {
        quarantine(id, lake::to_string(*refusal), verdict->detail);
        return true;
    }
    count_rows(verdict->rows);
    settle(id, AggregateState::sealed, verdict->path);
    return true;
}

bool Intake::seal() {
    const auto ids = impl_->journal.unsealed(seal_at_once_max);
    if (!ids) {
        impl_->trouble("lake", ids.error());
        return false;
    }
    bool all_done = true;
    for (const auto& id : *ids) {
        all_done = impl_->seal_one(id) && all_done;
    }
    return all_done && ids->size() == seal_at_once_max;
}

void Intake::Impl::take_acknowledgements() {
    std::uint64_t last = 0;
    while (const auto message = done->next(Duration(0))) {
        const auto json = text::Json::parse(as_text(*message->body));
        const auto sequence = json ? json->integer("sequence") : Result<std::int64_t>(0);
        last = std::max(
            last, static_cast<std::uint64_t>(std::max<std::int64_t>(sequence ? *sequence : 0, 0)));
    }
    if (last > 0) {
        if (const auto acknowledged = journal.acknowledge(last); !acknowledged) {
            trouble("events", acknowledged.error());
        }
    }
}

bool Intake::publish() {
    impl_->take_acknowledgements();
    const auto now = impl_->parts.clock.now();
    if (const auto forgotten = impl_->journal.forget(now, forget_at_once_max); !forgotten) {
        impl_->trouble("events", forgotten.error());
    }
    auto outgoing = impl_->journal.outgoing(impl_->published, publish_at_once_max);
    if (!outgoing) {
        impl_->trouble("events", outgoing.error());
        return false;
    }
    for (auto& message : *outgoing) {
        const auto sent = impl_->parts.bus.publish(events_subject, std::move(message.message));
        if (!sent) {
            // The analysis is behind: what it has not taken stays where it is, on the disk.
            return false;
        }
        impl_->published = message.sequence;
    }
    return outgoing->size() == publish_at_once_max;
}

void Intake::wait_to_seal(Duration at_most) {
    impl_->seal_waiter.wait_for(at_most);
}

void Intake::wait_to_publish(Duration at_most) {
    impl_->publish_waiter.wait_for(at_most);
}

void Intake::wake() {
    impl_->seal_waiter.notify();
    impl_->publish_waiter.notify();
}

}  // namespace tapir::intake
