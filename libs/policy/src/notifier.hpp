// Tells one resolver of new serials: at once, again until it acknowledges, the newest only.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "tapir/net/address.hpp"
#include "tapir/net/dns_transport.hpp"
#include "tapir/rpz/answer.hpp"
#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"

namespace tapir::policy {

struct NotifierParts {
    const rpz::Apex& apex;
    const rpz::TsigKey* key = nullptr;  // signs, if there is one
    net::DnsClient& client;
    world::Chance& chance;
    const world::Clock& clock;
    std::function<rpz::Serial()> serial;              // the one being served
    std::function<void(bool acknowledged)> finished;  // after each attempt; any thread
};

class Notifier {
public:
    Notifier(net::Endpoint target, NotifierParts parts);
    ~Notifier();  // stops; waits for the attempt that is under way
    Notifier(const Notifier&) = delete;
    Notifier& operator=(const Notifier&) = delete;

    // There is a new serial. Returns at once.
    void wake();

private:
    void run();
    bool attempt();

    net::Endpoint target_;
    NotifierParts parts_;
    world::Waiter waiter_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace tapir::policy
