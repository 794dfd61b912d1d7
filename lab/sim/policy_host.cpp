#include <chrono>
#include <utility>

#include "hosts.hpp"
#include "tapir/policy/config.hpp"
#include "tapir/policy/engine.hpp"
#include "tapir/text/json.hpp"

namespace tapir::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view list = "/lists/deny.txt";
constexpr std::string_view settings_text = R"(
[core]
trusted_keys = "/keys/core.jwk"

[lists]
deny = ["/lists/deny.txt"]

[policy]
mode = "enforce"
rules = { globally_new = "nxdomain" }
subdomains = true

[state]
dir = "/policy"
)";

// Nobody is notified in the simulator.
class NoResolver final : public net::DnsClient {
public:
    Result<Bytes> query_udp(const net::Endpoint& /*to*/, ByteView /*message*/,
                            const net::UdpTry& /*how*/) override {
        return fail(Code::unavailable, "no resolver");
    }
    Result<std::unique_ptr<net::DnsConnection>> connect_tcp(
        const net::Endpoint& /*to*/, std::chrono::milliseconds /*time_max*/) override {
        return fail(Code::unavailable, "no resolver");
    }
};

}  // namespace

std::vector<std::string> PolicyHost::families() {
    return policy::store_families();
}

PolicyHost::PolicyHost(const HostParts& parts, const jose::PrivateJwk& core_key)
    : Host(parts, "policy", families()), dns_(std::make_unique<NoResolver>()) {
    world::MemoryFiles& disk = machine().disk;
    for (const char* folder : {"/lists", "/keys", "/policy"}) {
        TAPIR_ASSERT(disk.make_directories(folder).has_value());
    }
    const std::string json = core_key.public_jwk().to_json();
    TAPIR_ASSERT(disk.write_atomically("/keys/core.jwk", as_bytes(json)).has_value());
    deny("always.example");
    machine().store_disk.lie_about_sync(parts.lie == Lie::policy_store_not_synced);
}

PolicyHost::~PolicyHost() {
    close();
}

void PolicyHost::connect(Network& network, Post* post, bool has_core, Witness& witness) {
    std::vector<std::string> sets;
    if (post != nullptr) {
        sets = {"feed.transport=mqtt", "mqtt.url=mqtt://127.0.0.1:1883",
                "mqtt.client_id=policy.example-tapir"};
    }
    if (has_core) {
        sets.emplace_back("core.url=https://core.example");
    }
    auto settings =
        text::Settings::parse(settings_text, "policy.toml", policy::setting_table(), sets);
    TAPIR_ASSERT(settings.has_value());
    settings_ = *std::move(settings);
    network_ = &network;
    post_ = post;
    witness_ = &witness;
}

// The witness sees what is handed over.
Result<std::unique_ptr<mqtt::Subscriber>> PolicyHost::subscribe(world::Fuse& fuse,
                                                                const mqtt::Handlers& handlers) {
    mqtt::Handlers seen;
    seen.session_lost = handlers.session_lost;
    seen.keep = [this, keep = handlers.keep](std::span<const mqtt::Message> messages) {
        for (const mqtt::Message& message : messages) {
            witness_->delivered("", as_text(message.payload));
        }
        return keep(messages);
    };
    return post_->subscriber(
        {.client_id = "policy.example-tapir", .topics = {std::string(feeds::broadcast_topic)}},
        fuse, std::move(seen));
}

Result<void> PolicyHost::open(Ports& ports) {
    client_ = network_->client(
        "policy.example", ports.fuse,
        {.leaves = {}, .answered = {}, .event = [this](const net::SseEvent& event) {
             if (event.event != "reset") {
                 witness_->delivered(event.id, event.data);
             }
         }});
    TAPIR_ASSERT(settings_.has_value());
    policy::Config config = TRY(policy::read_config(*settings_, ports.files));
    service_ = TRY(policy::Service::open(
        std::move(config), {.store = *ports.store,
                            .files = ports.files,
                            .clock = machine().clock,
                            .chance = ports.chance,
                            .dns_client = *dns_,
                            .http_client = client_.get(),
                            .open_subscriber =
                                [this, &ports](const mqtt::Handlers& handlers) {
                                    return subscribe(ports.fuse, handlers);
                                },
                            .file_stamp = [this](const std::string& /*path*/) { return stamp_; },
                            .log = machine().log,
                            .counters = ports.counters}));
    // What it serves before it has heard of anything.
    show();
    TRY(service_->begin());
    show();
    return {};
}

void PolicyHost::close() {
    service_.reset();
    client_.reset();
}

void PolicyHost::show() {
    if (!service_) {
        return;
    }
    auto now = service_->snapshot();
    if (now == shown_) {
        return;
    }
    if (lie() == Lie::policy_changes_no_serial && shown_ && dice().one_in(4)) {
        rpz::Snapshot lying = *now;
        lying.serial = shown_->serial;
        witness_->served(lying);
    }
    witness_->served(*now);
    shown_ = std::move(now);
}

Duration PolicyHost::work() {
    if (!is_up()) {
        return 60s;
    }
    const Duration pause = service_->work();
    show();
    return pause;
}

Duration PolicyHost::follow() {
    return is_up() ? service_->follow() : Duration(60s);
}

void PolicyHost::deny(const std::string& name) {
    denied_.insert(name);
    std::string text;
    for (const std::string& each : denied_) {
        text += each + "\n";
    }
    // The operator edits in place; a full disk is his trouble as well, so the list stays then.
    if (!machine().disk.write_atomically(std::string(list), as_bytes(text))) {
        denied_.erase(name);
        return;
    }
    ++stamp_;
}

std::shared_ptr<const rpz::Snapshot> PolicyHost::zone() const {
    auto now = service_ ? service_->snapshot() : nullptr;
    const bool lies = lie() == Lie::policy_drops_rule || lie() == Lie::policy_weakens_rule;
    auto all = now ? now->zone.begin() : rpz::Zone().begin();
    const auto first = lies ? all.next() : std::nullopt;
    if (!first) {
        return now;
    }
    rpz::Delta delta;
    delta.removed.push_back({std::string(first->key), first->action});
    if (lie() == Lie::policy_weakens_rule) {
        delta.added.push_back({std::string(first->key), rpz::Action::passthru});
    }
    rpz::Snapshot lying = *now;
    lying.zone = now->zone.apply(delta);
    return std::make_shared<const rpz::Snapshot>(std::move(lying));
}

}  // namespace tapir::sim
