// Between the machines: HTTP requests and event streams that get lost, doubled, late, or cut off.
//
//     Network network(agenda, dice, tally, server);
//     auto client = network.client("edge-1.example", fuse, observer);   // a net::HttpClient
//     network.set_faults({.lost = 10, ...});                            // in percent
//
// A sender learns nothing of a request that is delayed: it has given up when the request arrives.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agenda.hpp"
#include "faults.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/world/fuse.hpp"

namespace tapir::sim {

// Who answers.
class Server {
public:
    virtual ~Server() = default;
    // Whether a connection can be made.
    virtual bool listens() = 0;
    // Nothing: no connection, or it died before its answer left.
    virtual std::optional<net::HttpResponse> answer(const net::HttpRequest& request) = 0;
    // An answer refuses; nothing and no connection is 502.
    virtual std::optional<net::HttpResponse> subscribe(
        const net::HttpRequest& request, const std::shared_ptr<net::SseStream>& stream) = 0;
    // What it does meanwhile.
    virtual void work() = 0;
};

// In percent.
struct NetworkFaults {
    unsigned lost = 0;
    unsigned answer_lost = 0;
    unsigned doubled = 0;
    unsigned delayed = 0;
    unsigned stream_cut = 0;
};

// Who sees what one client sends and gets. Each may be empty.
struct Observer {
    // May change the request: for ports that lie.
    std::function<void(net::HttpRequest&)> leaves{};
    std::function<void(const net::HttpResponse&)> answered{};
    std::function<void(const net::SseEvent&)> event{};
};

class Network {
public:
    Network(Agenda& agenda, Dice& dice, Tally& tally, Server& server)
        : agenda_(agenda), dice_(dice), tally_(tally), server_(server) {}

    void set_faults(const NetworkFaults& faults) { faults_ = faults; }
    // From one to the other nobody reaches the server; such times may overlap.
    void begin_outage() { outages_.begin(); }
    void end_outage() { outages_.end(); }
    // No faults and no outage from now on.
    void mend() {
        faults_ = {};
        outages_.end_all();
    }
    // Requests that are still on their way.
    std::size_t under_way() const { return under_way_; }
    // Events of streams are sent again under another id: a lie.
    void repeat_events(bool repeats) { repeats_ = repeats; }

    // The fuse and this must outlive it.
    std::unique_ptr<net::HttpClient> client(std::string name, world::Fuse& fuse, Observer observer);

private:
    friend class SimClient;

    // Whether somebody could take what is sent now.
    bool is_open();
    Result<net::HttpResponse> carry(const net::HttpRequest& request);
    void deliver_later(const net::HttpRequest& request, Fault fault);

    Agenda& agenda_;
    Dice& dice_;
    Tally& tally_;
    Server& server_;
    NetworkFaults faults_;
    Outages outages_;
    bool repeats_ = false;
    std::size_t under_way_ = 0;
};

}  // namespace tapir::sim
