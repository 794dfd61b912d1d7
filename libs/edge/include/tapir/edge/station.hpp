// One edge as steps on ports that are passed in. edge.hpp puts real ports and threads around them;
// the simulator and tests call them one by one.
//
//     auto station = TRY(Station::open(settings, "0.1.0", ports, {}));
//     TRY(station->begin());                   // lists and keys are read: counting begins
//     station->add(frame);                     // as frames come
//     if (!station->tick()) { ... }            // each second; false: end() and begin() anew
//     const Duration pause = station->send();  // what is due; how long until something is
//     station->end();                          // what is counted is in the outbox
//
// Between begin() and end() any thread may add() and flush(); tick() is for one thread, send() for
// one, and cancel() for any. Without `writes_in_background`, and with the setting `workers` at 0,
// nothing here starts a thread, and everything is done when a step returns.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/edge/settings.hpp"
#include "tapir/privacy/pending.hpp"
#include "tapir/store/store.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace tapir::net {
class HttpClient;
}
namespace tapir::mqtt {
class Publisher;
}

namespace tapir::edge {

class Pipeline;

// What a Station works with; all must outlive it.
struct StationPorts {
    const world::Clock& clock;
    world::Files& files;
    world::Chance& chance;
    store::Store& store;  // with the families of store_families()
    // Towards the core. Null: one of its own, as the settings say. Only the outlet sees it.
    net::HttpClient* http_client = nullptr;
    // The same towards a broker, where mqtt.url is set.
    mqtt::Publisher* publisher = nullptr;
    // The same towards an aggregator, where aggregation.url is set.
    net::HttpClient* group_client = nullptr;
    const Log& log;
    Counters& counters;
};

struct StationOptions {
    bool writes_in_background = false;  // a thread writes batches: a slow disk delays no counting
    std::function<void()> on_batch{};   // a batch was written; may come from that thread
    privacy::PendingLimits pending{};   // how much memory for names that few have asked for
    SettingsSource source{};            // what reload() reads; lists are watched without it too
};

// The families of the store that this service owns.
std::vector<std::string> store_families();

class Station {
public:
    // The keys are read, ledger and outbox are opened as they lie in state.dir, which is there.
    // Errors name file, line and setting. `settings` must outlive it.
    static Result<std::unique_ptr<Station>> open(const text::Settings& settings,
                                                 std::string version, const StationPorts& ports,
                                                 StationOptions options);
    ~Station();  // ends
    Station(const Station&) = delete;
    Station& operator=(const Station&) = delete;

    Result<void> begin();
    // Copies the frame.
    void add(ByteView frame);
    // What was added is counted, though a batch of frames may not be full.
    void flush();
    // Follows the clock: ends minutes, cuts batches, tidies. False: the consent to the profile has
    // lapsed, or the clock was set back.
    bool tick();
    // Reads settings and lists again, soon, whether or not they have changed. From any thread.
    void reload();
    // All that was counted is put into the outbox. Again: does nothing.
    void end();

    Duration send();
    // Where aggregation.url is set: what is due is told to the aggregator; how long until something
    // is. In a thread of its own, or in that of send().
    Duration aggregate();
    // Ends a send() or aggregate() that waits, and all sending, for good.
    void cancel();
    // Of what is counted now: "standard". Between begin() and end().
    std::string_view profile() const;
    // Batches that the core does not have yet.
    std::size_t waiting() const;

    // What an operator is shown, as JSON; of the last tick(). Any thread, any time.
    std::string status() const;

    // For inputs. Between begin() and end().
    Pipeline& pipeline();

private:
    struct Impl;
    explicit Station(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::edge
