// The three daemons on their machines, as steps.
//
//     EdgeHost edge(parts, ...);
//     edge.start(std::nullopt);      // false: it did not come up; the operator tries again
//     edge.tick();                   // steps, as long as it is up
//     if (edge.is_dead()) { edge.bury(power_cut); }
//
// A step may end the process (machine.hpp); whoever calls looks after each.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "machine.hpp"
#include "network.hpp"
#include "post.hpp"
#include "tapir/analysis/analysis.hpp"
#include "tapir/bus/bus.hpp"
#include "tapir/edge/station.hpp"
#include "tapir/feeds/feeds.hpp"
#include "tapir/intake/intake.hpp"
#include "tapir/lake/lake.hpp"
#include "tapir/policy/service.hpp"
#include "traffic.hpp"
#include "witness.hpp"

namespace tapir::sim {

// What all hosts share; all must outlive them.
struct HostParts {
    UtcTime start;
    Dice& dice;
    Tally& tally;
    Lie lie = Lie::none;
    bool logs = false;
};

class Host {
public:
    Host(const HostParts& parts, std::string name, const std::vector<std::string>& families);
    virtual ~Host() = default;
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    // A process on what the disk holds; with `fuse` it ends at that operation. False: it did not
    // come up, or died of it.
    bool start(std::optional<std::uint64_t> fuse);
    bool is_up() const { return is_up_; }
    bool is_dead() { return has_process_ && machine_.ports().fuse.is_burnt(); }
    void bury(bool is_power_cut);
    // The end that an operator asks for.
    void stop();

    Machine& machine() { return machine_; }

protected:
    // Errors are for the log.
    virtual Result<void> open(Ports& ports) = 0;
    // Destroys the process; its ports may be dead.
    virtual void close() = 0;

    Dice& dice() { return parts_.dice; }
    Tally& tally() { return parts_.tally; }
    Lie lie() const { return parts_.lie; }

private:
    const HostParts parts_;
    Machine machine_;
    bool has_process_ = false;
    bool is_up_ = false;
};

struct EdgeOptions {
    std::vector<std::string> settings{};  // KEY=VALUE, besides the usual ones
    bool may_lose = false;  // limits so low that it gives up what it had accepted, counted
    privacy::PendingLimits pending{.cell_count = 4096, .name_count = 1024};
};

class EdgeHost final : public Host {
public:
    static std::vector<std::string> families();
    // `on_batch` is told of batches that were written.
    EdgeHost(const HostParts& parts, const Traffic& traffic, const jose::PrivateJwk& key,
             EdgeOptions options, std::function<void()> on_batch);
    ~EdgeHost() override;
    // Before the first start. With a post, events go there.
    void connect(Network& network, Post* post, Witness& witness);

    void add_frames(std::int64_t second);
    void tick();
    Duration send();
    // Counts no more, also after a restart: what was counted goes into the outbox.
    void end();
    std::size_t waiting() const;
    std::uint64_t frames() const { return frames_; }
    Counters& counters() { return machine().ports().counters; }
    bool may_lose() const { return options_.may_lose; }

private:
    Result<void> open(Ports& ports) override;
    void close() override;
    void observe(net::HttpRequest& request);
    void observe(mqtt::Message& message);
    void know_names();
    void lose_newest_batch();
    template <class Step>
    void on_a_disk_that(bool refuses, const Step& step);
    void damage_ledger();

    const Traffic& traffic_;
    const EdgeOptions options_;
    const std::function<void()> on_batch_;
    std::uint64_t frames_ = 0;
    std::optional<text::Settings> settings_;
    Network* network_ = nullptr;
    Post* post_ = nullptr;
    Witness* witness_ = nullptr;
    bool is_counting_ = false;
    bool has_ended_ = false;
    std::unique_ptr<net::HttpClient> client_;
    std::unique_ptr<mqtt::Publisher> publisher_;
    std::unique_ptr<edge::Station> station_;
};

class CoreHost final : public Host, public Server {
public:
    static std::vector<std::string> families();
    // `on_request` is told when there may be something to do.
    CoreHost(const HostParts& parts, const jose::PrivateJwk& key, const jose::PrivateJwk& edge_key,
             std::function<void()> on_request);
    ~CoreHost() override;
    // Before the first start. With a post for events, they come from there too; with one for
    // observations, they go there too.
    void connect(Post* events, Post* observations, Witness& witness) {
        events_ = events;
        observations_ = observations;
        witness_ = &witness;
    }

    bool listens() override { return is_up() && !is_dead(); }
    std::optional<net::HttpResponse> answer(const net::HttpRequest& request) override;
    std::optional<net::HttpResponse> subscribe(
        const net::HttpRequest& request, const std::shared_ptr<net::SseStream>& stream) override;
    void work() override;

    // As a client would get it; empty if there is none.
    std::string snapshot();

private:
    struct Process;
    class MortalLake;

    Result<void> open(Ports& ports) override;
    void close() override;
    std::optional<net::HttpResponse> lie_to(const net::HttpRequest& request);
    void journal_twice();

    const jose::PrivateJwk& key_;
    const std::function<void()> on_request_;
    Post* events_ = nullptr;
    Post* observations_ = nullptr;
    Witness* witness_ = nullptr;
    std::unique_ptr<Process> process_;
};

class PolicyHost final : public Host {
public:
    static std::vector<std::string> families();
    // `on_input` is told when the feed has brought something.
    PolicyHost(const HostParts& parts, const jose::PrivateJwk& core_key);
    ~PolicyHost() override;
    // Before the first start. With a post, observations come from there; the core is then asked
    // for snapshots, or not.
    void connect(Network& network, Post* post, bool has_core, Witness& witness);

    Duration work();
    Duration follow();
    // Shows the witness what is served now.
    void show();
    // Another name on the operator's own list.
    void deny(const std::string& name);
    const std::set<std::string>& denied() const { return denied_; }
    std::shared_ptr<const rpz::Snapshot> zone() const;

private:
    Result<void> open(Ports& ports) override;
    void close() override;
    Result<std::unique_ptr<mqtt::Subscriber>> subscribe(world::Fuse& fuse,
                                                        const mqtt::Handlers& handlers);

    std::optional<text::Settings> settings_;
    Network* network_ = nullptr;
    Post* post_ = nullptr;
    Witness* witness_ = nullptr;
    std::set<std::string> denied_;
    std::uint64_t stamp_ = 1;
    std::shared_ptr<const rpz::Snapshot> shown_;
    std::unique_ptr<net::HttpClient> client_;
    std::unique_ptr<net::DnsClient> dns_;
    std::unique_ptr<policy::Service> service_;
};

}  // namespace tapir::sim
