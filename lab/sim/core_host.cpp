#include <utility>

#include "hosts.hpp"
#include "tapir/crypto/digest.hpp"

namespace tapir::sim {
namespace {

constexpr std::string_view state = "/core";
constexpr std::string_view edges = "/edges";

}  // namespace

// A lake that tells the witness, and whose process may die at it.
class CoreHost::MortalLake final : public lake::Lake {
public:
    MortalLake(Witness& witness, world::Fuse& fuse) : witness_(witness), fuse_(fuse) {}

    Result<lake::Verdict> admit(ByteView upload, const lake::UploadInfo& info) override {
        lake::Verdict verdict;
        verdict.path = TRY(lake::path_of(info));
        verdict.rows = {.read = 1, .kept = 1};
        const world::Fuse::Moment moment = fuse_.step();
        if (moment == world::Fuse::Moment::alive ||
            (moment == world::Fuse::Moment::dying && fuse_.chance().below(2) == 0)) {
            witness_.admitted(verdict.path, to_hex(crypto::sha256(upload)));
        }
        return moment == world::Fuse::Moment::alive
                   ? Result<lake::Verdict>(std::move(verdict))
                   : Result<lake::Verdict>(fail(world::Fuse::error()));
    }
    Result<lake::Table> query(std::string_view /*sql*/) override {
        return fail(Code::unavailable, "this lake answers no queries");
    }

private:
    Witness& witness_;
    world::Fuse& fuse_;
};

struct CoreHost::Process {
    Process(Machine& machine, Ports& ports, Witness& witness, const jose::PrivateJwk& key)
        : bus(ports.counters),
          lake(witness, ports.fuse),
          keys(ports.files, std::string(edges), machine.log, ports.counters),
          feeds({}, copy_of(key), {*ports.store, machine.clock, bus, machine.log, ports.counters}),
          analysis({}, analysers(),
                   {*ports.store, machine.clock, bus, machine.log, ports.counters}),
          intake(
              {.directory = std::string(state), .certificates = true, .accept_compatible = false},
              {*ports.store, ports.files, machine.clock, keys, bus, lake, machine.log,
               ports.counters}) {}

    static jose::PrivateJwk copy_of(const jose::PrivateJwk& key) {
        const crypto::Secret json = key.to_json();
        auto copy = jose::PrivateJwk::parse(as_text(json.bytes()));
        TAPIR_ASSERT(copy.has_value());
        return *std::move(copy);
    }
    static std::vector<std::unique_ptr<analysis::Analyser>> analysers() {
        std::vector<std::unique_ptr<analysis::Analyser>> all;
        auto fresh = analysis::globally_new({});
        TAPIR_ASSERT(fresh.has_value());
        all.push_back(*std::move(fresh));
        return all;
    }

    Result<void> open() {
        TRY(keys.refresh());
        events = TRY(bus.subscribe(intake::events_subject,
                                   {.queue_max = 100'000, .when_full = bus::WhenFull::refuse}));
        TRY(feeds.open());
        TRY(analysis.open());
        TRY(intake.open());
        intake.add_routes(routes);
        feeds.add_routes(routes);
        return {};
    }

    bus::MemoryBus bus;
    MortalLake lake;
    intake::KeyDirectory keys;
    feeds::Feeds feeds;
    analysis::Analysis analysis;
    intake::Intake intake;
    net::HttpRoutes routes;
    std::unique_ptr<bus::Subscription> events;  // the witness's
    std::unique_ptr<mqtt::Subscriber> subscriber;
    std::unique_ptr<mqtt::Publisher> publisher;
};

std::vector<std::string> CoreHost::families() {
    std::vector<std::string> all = intake::store_families();
    for (const auto& more : {analysis::store_families(), feeds::store_families()}) {
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

CoreHost::CoreHost(const HostParts& parts, const jose::PrivateJwk& key,
                   const jose::PrivateJwk& edge_key, std::function<void()> on_request)
    : Host(parts, "core", families()), key_(key), on_request_(std::move(on_request)) {
    world::MemoryFiles& disk = machine().disk;
    TAPIR_ASSERT(disk.make_directories(std::string(state)).has_value());
    TAPIR_ASSERT(disk.make_directories(std::string(edges)).has_value());
    const std::string json = edge_key.public_jwk().to_json();
    TAPIR_ASSERT(
        disk.write_atomically(std::string(edges) + "/" + edge_key.kid() + ".jwk", as_bytes(json))
            .has_value());
    machine().store_disk.lie_about_sync(parts.lie == Lie::core_store_not_synced);
}

CoreHost::~CoreHost() {
    close();
}

Result<void> CoreHost::open(Ports& ports) {
    witness_->core_starts();
    process_ = std::make_unique<Process>(machine(), ports, *witness_, key_);
    TRY(process_->open());
    if (events_ != nullptr) {
        mqtt::Handlers handlers;
        handlers.keep = [this](std::span<const mqtt::Message> messages) {
            on_request_();
            return process_->intake.take(messages);
        };
        process_->subscriber = events_->subscriber(
            {.client_id = "core.example-tapir", .topics = {std::string(intake::events_topics)}},
            ports.fuse, std::move(handlers));
    }
    if (observations_ != nullptr) {
        process_->publisher = observations_->publisher("core.example-tapir-feed", ports.fuse, {});
    }
    return {};
}

void CoreHost::close() {
    process_.reset();
}

std::optional<net::HttpResponse> CoreHost::answer(const net::HttpRequest& request) {
    if (!listens()) {
        return std::nullopt;
    }
    on_request_();
    if (auto untrue = lie_to(request)) {
        return untrue;
    }
    auto answer = process_->routes.answer(request);
    switch (machine().ports().fuse.step()) {
        case world::Fuse::Moment::alive:
            return answer;
        case world::Fuse::Moment::dying:
            return dice().one_in(2) ? std::optional(std::move(answer)) : std::nullopt;
        case world::Fuse::Moment::dead:
            return std::nullopt;
    }
    return std::nullopt;
}

std::optional<net::HttpResponse> CoreHost::lie_to(const net::HttpRequest& request) {
    const bool is_histogram = request.path.ends_with("/histogram");
    if (lie() == Lie::core_skips_acknowledged && !is_histogram && dice().one_in(10)) {
        return net::HttpResponse::text(202, "{}");
    }
    if (lie() == Lie::core_skips_aggregates && is_histogram && dice().one_in(10)) {
        return net::HttpResponse::text(201, "");
    }
    return std::nullopt;
}

// Each histogram that waits for the lake, as if two had come.
void CoreHost::journal_twice() {
    const store::Reader& store = machine().store_disk.contents();
    store::Batch batch;
    const auto cursor = store.scan("intake_unsealed");
    for (; cursor && (*cursor)->valid(); (*cursor)->next()) {
        const std::string id(as_text((*cursor)->key()));
        const std::string other = "another-" + id;
        const std::string folder = std::string(state) + "/aggregates/";
        const auto known = store.get("intake_aggregates", as_bytes(id)).value_or(std::nullopt);
        const auto payload = machine().disk.read(folder + id + ".payload", lake::upload_size_max);
        if (!known || !payload || id.starts_with("another-")) {
            continue;
        }
        static_cast<void>(machine().disk.write_atomically(folder + other + ".payload", *payload));
        batch.put("intake_aggregates", as_bytes(other), *known);
        batch.put("intake_unsealed", as_bytes(other), {});
    }
    static_cast<void>(machine().ports().store->write(batch, store::Durability::synced));
}

std::optional<net::HttpResponse> CoreHost::subscribe(
    const net::HttpRequest& request, const std::shared_ptr<net::SseStream>& stream) {
    if (!listens()) {
        return net::HttpResponse::error(502);
    }
    const auto match = process_->routes.find(request.method, request.path);
    if (match.route == nullptr || !match.route->subscribe) {
        return net::HttpResponse::error(match.status);
    }
    return match.route->subscribe(request, stream);
}

void CoreHost::work() {
    if (!listens()) {
        return;
    }
    if (lie() == Lie::core_journals_twice) {
        journal_twice();
    }
    if (lie() == Lie::core_forgets_duplicates && dice().one_in(2)) {
        machine().store_disk.erase_all("intake_events");
        machine().store_disk.erase_all("intake_digests");
    }
    while (process_->intake.seal()) {
    }
    while (process_->intake.publish()) {
    }
    while (const auto message = process_->events->next(Duration(0))) {
        witness_->on_core_bus(as_text(*message->body));
    }
    process_->analysis.work(Duration(0));
    process_->feeds.work(Duration(0));
    while (process_->publisher &&
           process_->feeds.broadcast(*process_->publisher) == feeds::Broadcast::more) {
    }
}

std::string CoreHost::snapshot() {
    if (!is_up()) {
        return {};
    }
    const net::HttpResponse answer = process_->feeds.snapshot({});
    return answer.status == 200 ? std::string(as_text(answer.body)) : std::string();
}

}  // namespace tapir::sim
