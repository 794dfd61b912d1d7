// Who sees everything and believes nobody: the invariants of a run.
//
//     Witness witness(traffic, edge_disk, edge_key, core_key);
//     witness.left_edge(request);           // during the run
//     witness.finish({...});                // after calm
//     for (const std::string& line : witness.broken()) { ... }
//
//  1. What the edge's outbox accepted, and did not count as lost, is at the core, exactly once. An
//     edge that was left alone (no kill, full disk or clock step of its own) accepts every name
//     that is popular; any edge that lives and has room writes every batch.
//  2. No aggregate, event or observation is there twice; what the core has, an edge had accepted.
//     An aggregate comes into the lake again only if the core died before it could note the first
//     time: the lake promises that the same upload is the same file.
//  3. What left the edge is octet for octet what a leaf of its ledger commits to: the body of a
//     request is one whole payload, a message one whole event. Neither that (unpacked and decoded)
//     nor what is around it holds a client's address or a name that too few asked for.
//  4. The serial served never goes back, and one serial is one zone.
//  5. The ledger verifies, and extends each checkpoint that was ever seen.
//  6. After calm the policy's zone is what the core's snapshot and its own list say, and blocks it.
//     An entry whose time is over within the most that two clocks were apart may be gone already:
//     it ends by the clock of who took it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/ledger/checkpoint.hpp"
#include "tapir/ledger/leaf.hpp"
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/net/http.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/rpz/zone.hpp"
#include "tapir/store/store.hpp"
#include "tapir/world/files.hpp"
#include "traffic.hpp"

namespace tapir::sim {

// How far the clocks of core and policy are set wrong.
inline constexpr Duration clock_error_max = std::chrono::seconds(100);

// What is where after calm.
struct Rest {
    world::Files& core_disk;
    const store::Reader& core_store;
    std::string_view snapshot;  // the core's, as served; empty if it did not answer
    std::shared_ptr<const rpz::Snapshot> zone;
    const std::set<std::string>& denied;  // names on the policy's own list
    UtcTime now;
    bool edge_heard_all;  // it was left alone, on one day: what is popular it knows
};

// How much there was to lose.
struct Figures {
    std::uint64_t batches = 0;  // accepted by the outbox
    std::uint64_t histograms = 0;
    std::uint64_t rows = 0;  // of histograms, that the gate let pass
    std::uint64_t events = 0;
    std::uint64_t observations = 0;
    std::uint64_t messages = 0;  // that left the edge
    std::uint64_t serials = 0;
    std::uint64_t edges_alone = 0;  // that had to know all that is popular
    Figures& operator+=(const Figures& other);
};

class Witness {
public:
    Witness(const Traffic& traffic, world::Files& edge_disk, const jose::PrivateJwk& edge_key,
            const jose::PrivateJwk& core_key);

    // What was sent, whether it arrived or not.
    void left_edge(const net::HttpRequest& request);
    void left_edge(const mqtt::Message& message);
    // A core begins: what the one before it brought into the lake last it may not have noted.
    void core_starts();
    void admitted(const std::string& path, const std::string& digest);
    // An observation of the core as the policy got it; over MQTT it has no id.
    void delivered(std::string_view id, std::string_view jws);
    void on_core_bus(std::string_view message);
    void served(const rpz::Snapshot& snapshot);
    // The checkpoint on the edge's disk, if there is a new one, and the batches that it accepts.
    void look_at_checkpoint();
    // The whole log, and each checkpoint seen so far in it.
    void verify_ledger(std::string_view when);
    void finish(const Rest& rest);

    const std::vector<std::string>& broken() const { return broken_; }
    const Figures& figures() const { return figures_; }
    // Octets of memory that it takes, about.
    std::uint64_t memory_size() const;
    // So far.
    std::uint64_t ledger_size() const { return head_.size; }
    std::uint64_t accepted_events() const { return figures_.events; }
    void add_rows(std::uint64_t rows) { figures_.rows += rows; }
    void breaks(int invariant, const std::string& what);

private:
    // What was accepted.
    struct Expected {
        std::set<std::string> histograms;  // their paths in the lake
        std::set<std::string> identities;  // of events: edge and message_id
        std::set<std::string> names;
        std::set<std::string> listed;  // popular ones, that are in a histogram
    };
    // What of a payload may leave by itself.
    enum class Piece : std::uint8_t { payload, event };

    void expect_committed(ByteView octets, Piece piece);
    bool is_committed(ByteView octets, Piece piece, std::uint64_t index);
    Result<ledger::Leaf> leaf(std::uint64_t index) const;
    // The payload of a message that is good under this key; remembered, for many come again.
    std::optional<std::string> payload_of(std::string_view jws, const jose::PrivateJwk& key);
    Result<Bytes> ledger_file(std::string_view path) const;
    void look_for_secrets(std::string_view octets);
    void look_into(ByteView octets);
    void expect_batches(std::uint64_t size);
    void expect_batch(std::uint64_t index);
    void expect_histogram(std::string_view name, ByteView content);
    void expect_event(std::string_view jws);
    void compare_traffic();
    void compare_outbox();
    void compare_journal(const Rest& rest);
    void compare_histograms(const Rest& rest);
    void compare_events();
    void compare_observations(const Rest& rest);
    void compare_zone(const Rest& rest);
    std::optional<products::Observation> observation_of(std::string_view jws);

    const Traffic& traffic_;
    world::Files& edge_disk_;
    const jose::PrivateJwk& edge_key_;
    const jose::PrivateJwk& core_key_;
    const ledger::NoteVerifier verifier_;
    std::vector<std::string> broken_;
    Figures figures_;
    std::uint64_t settled_ = 0;   // batches before this are settled
    Expected expected_;           // of the batches so far
    std::uint64_t accepted_ = 0;  // how many those are
    std::map<std::uint64_t, ledger::Hash> checkpoints_;
    Bytes last_checkpoint_;
    ledger::TreeHead head_;  // that of it
    std::map<std::string, std::optional<std::string>, std::less<>> payloads_;
    std::map<std::string, std::string> lake_;         // path to SHA-256
    std::string last_admitted_;                       // by the core that runs
    std::set<std::string> unnoted_;                   // may come into the lake again, once each
    std::map<std::string, std::string> by_id_;        // observations
    std::map<std::string, std::string> text_of_;      // by name
    std::map<std::string, std::string> id_of_;        // by name
    std::map<std::string, std::uint64_t> sequences_;  // of events on the core's bus
    std::map<std::uint32_t, std::string> zones_;      // by serial
    std::optional<rpz::Serial> serial_;
};

}  // namespace tapir::sim
