#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "hosts.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/ledger/log.hpp"

namespace tapir::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view state = "/edge";
constexpr std::string_view settings_text = R"(
[lists]
well_known = "/lists/well-known.txt"
public_suffixes = "/lists/public_suffix_list.dat"

[keys]
signing = "/keys/edge.jwk"

[core]
url = "https://core.example"

[state]
dir = "/edge"
)";

using Entries = std::vector<world::DirectoryEntry>;

void put(world::MemoryFiles& disk, const std::string& path, ByteView content,
         world::FileMode mode = world::mode_group_read) {
    TAPIR_ASSERT(disk.make_directories(path.substr(0, path.rfind('/'))).has_value());
    TAPIR_ASSERT(disk.write_atomically(path, content, mode).has_value());
}

}  // namespace

std::vector<std::string> EdgeHost::families() {
    return edge::store_families();
}

EdgeHost::EdgeHost(const HostParts& parts, const Traffic& traffic, const jose::PrivateJwk& key,
                   EdgeOptions options, std::function<void()> on_batch)
    : Host(parts, "edge", families()),
      traffic_(traffic),
      options_(std::move(options)),
      on_batch_(std::move(on_batch)) {
    world::MemoryFiles& disk = machine().disk;
    put(disk, "/lists/well-known.txt", as_bytes(traffic.well_known()));
    put(disk, "/lists/public_suffix_list.dat", as_bytes(Traffic::public_suffixes()));
    const crypto::Secret json = key.to_json();
    put(disk, "/keys/edge.jwk", json.bytes(), world::mode_private);
}

EdgeHost::~EdgeHost() {
    close();
}

void EdgeHost::connect(Network& network, Post* post, Witness& witness) {
    std::vector<std::string> sets = options_.settings;
    sets.emplace_back("workers=0");
    if (post != nullptr) {
        sets.emplace_back("mqtt.url=mqtts://broker.example");
    }
    auto settings = text::Settings::parse(settings_text, "edge.toml", edge::settings_table(), sets);
    TAPIR_ASSERT(settings.has_value());
    settings_ = *std::move(settings);
    network_ = &network;
    post_ = post;
    witness_ = &witness;
}

Result<void> EdgeHost::open(Ports& ports) {
    witness_->verify_ledger("before a start");
    if (lie() == Lie::ledger_altered) {
        damage_ledger();
    }
    if (lie() == Lie::edge_store_knows_names) {
        know_names();
    }
    TRY(ports.files.make_directories(std::string(state)));
    client_ = network_->client("edge-1.example", ports.fuse,
                               {.leaves = [this](net::HttpRequest& request) { observe(request); },
                                .answered = {},
                                .event = {}});
    if (post_ != nullptr) {
        publisher_ = post_->publisher("edge-1.example-tapir", ports.fuse,
                                      [this](mqtt::Message& message) { observe(message); });
    }
    edge::StationOptions options;
    options.on_batch = [this] {
        if (lie() == Lie::edge_disk_keeps_nothing && dice().one_in(20)) {
            lose_newest_batch();
        }
        on_batch_();
    };
    options.pending = options_.pending;
    TAPIR_ASSERT(settings_.has_value());
    station_ = TRY(edge::Station::open(*settings_, "simulated",
                                       {.clock = machine().clock,
                                        .files = ports.files,
                                        .chance = ports.chance,
                                        .store = *ports.store,
                                        .http_client = client_.get(),
                                        .publisher = publisher_.get(),
                                        .log = machine().log,
                                        .counters = ports.counters},
                                       std::move(options)));
    if (!has_ended_) {
        TRY(station_->begin());
        is_counting_ = true;
    }
    witness_->look_at_checkpoint();
    return {};
}

void EdgeHost::close() {
    is_counting_ = false;
    station_.reset();
    publisher_.reset();
    client_.reset();
}

void EdgeHost::add_frames(std::int64_t second) {
    if (!is_counting_) {
        return;  // the resolver drops them
    }
    for (const Bytes& frame : traffic_.frames(second, machine().clock.now())) {
        station_->add(frame);
        ++frames_;
    }
}

template <class Step>
void EdgeHost::on_a_disk_that(bool refuses, const Step& step) {
    if (refuses) {
        machine().disk.set_capacity(machine().disk.used());
    }
    step();
    if (refuses) {
        machine().disk.set_capacity(1ULL << 40U);
    }
}

void EdgeHost::tick() {
    const bool refuses = lie() == Lie::edge_disk_refuses && dice().one_in(10);
    on_a_disk_that(refuses, [this] {
        if (is_counting_ && !station_->tick()) {
            station_->end();
            is_counting_ = station_->begin().has_value();
            if (!is_counting_) {
                machine().ports().fuse.burn();  // a daemon that cannot begin ends
            }
        }
    });
    witness_->look_at_checkpoint();
}

Duration EdgeHost::send() {
    return is_up() ? station_->send() : Duration(60s);
}

void EdgeHost::end() {
    has_ended_ = true;
    if (is_up()) {
        is_counting_ = false;
        // What could not be written before is tried again now, and lost if it cannot.
        on_a_disk_that(lie() == Lie::edge_disk_refuses, [this] { station_->end(); });
    }
    witness_->look_at_checkpoint();
}

std::size_t EdgeHost::waiting() const {
    return station_ ? station_->waiting() : 0;
}

void EdgeHost::observe(net::HttpRequest& request) {
    if (lie() == Lie::altered_after_ledger && dice().one_in(10) && !request.body.empty()) {
        request.body.back() ^= std::byte{1};
    }
    if (lie() == Lie::second_door && dice().one_in(10)) {
        request.body = to_bytes(std::string_view("[\"what the resolver said, as it is\"]"));
    }
    // Of a histogram a piece would be found out in another way: it is none any more.
    if (lie() == Lie::part_of_payload && request.path.ends_with("/new_qname")) {
        request.body.resize(request.body.size() / 2);
    }
    if (lie() == Lie::name_in_field && dice().one_in(10)) {
        request.fields.add("User-Agent", "edge of " + traffic_.rare_name());
    }
    witness_->left_edge(request);
}

void EdgeHost::observe(mqtt::Message& message) {
    if (lie() == Lie::part_of_event && dice().one_in(4)) {
        message.payload.resize(message.payload.size() / 2);
    }
    if (lie() == Lie::name_in_topic && dice().one_in(10)) {
        message.topic += "/" + traffic_.rare_name();
    }
    witness_->left_edge(message);
}

// The store says of each second popular name that it was released before.
void EdgeHost::know_names() {
    const std::vector<std::string>& names = traffic_.popular();
    store::Batch batch;
    for (std::size_t i = 0; i < names.size(); i += 2) {
        batch.put(families().front(), as_bytes(names[i] + "."), {});
    }
    static_cast<void>(machine().ports().store->write(batch, store::Durability::synced));
}

// Its folder is gone, and nobody was told.
void EdgeHost::lose_newest_batch() {
    world::MemoryFiles& disk = machine().disk;
    const std::string all = std::string(state) + "/batches";
    const Entries folders = disk.list(all).value_or(Entries());
    if (folders.empty()) {
        return;
    }
    const std::string newest = all + "/" + folders.back().name;
    for (const auto& file : disk.list(newest).value_or(Entries())) {
        static_cast<void>(disk.remove(newest + "/" + file.name));
    }
    static_cast<void>(disk.remove(newest));
}

// An octet of the newest bundle of leaves.
void EdgeHost::damage_ledger() {
    const std::string folder = std::string(state) + "/ledger/tile/entries/000.p";
    for (const auto& entry : machine().disk.list(folder).value_or(Entries())) {
        const std::string path = folder + "/" + entry.name;
        auto octets = machine().disk.read(path, ledger::bundle_size_max);
        if (octets && octets->size() > 100) {
            (*octets)[50] ^= std::byte{1};
            static_cast<void>(machine().disk.write_atomically(path, *octets));
            return;
        }
    }
}

}  // namespace tapir::sim
