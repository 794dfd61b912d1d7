// Messages between services by subject, in process; NATS can stand behind the same interface.
//
//     MemoryBus bus(counters);
//     auto events = bus.subscribe("events.>", {.queue_max = 4096, .when_full = WhenFull::refuse});
//     TRY(bus.publish("events.new_qname", body));          // exhausted: a subscriber is behind
//     while (auto message = events->next(1s)) { ... }
//
// A subject is words joined by dots. A subscription is to one subject, or with ".>" at the end to
// all below it. A message reaches each subscription that matches, in the order of publishing by one
// thread. Nothing is kept for who subscribes later. Threads may share Bus and Subscription.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"

namespace tapir::bus {

struct Message {
    std::string subject;
    std::shared_ptr<const Bytes> body;  // shared by all who receive it
};

// What happens when a subscriber does not keep up. Both are counted (tapir_bus_overflow_total by
// subject and action).
enum class WhenFull : std::uint8_t {
    refuse,       // publish() delivers to nobody and says `exhausted`: the publisher slows down
    drop_oldest,  // this subscription loses its oldest message
};

struct Subscribe {
    std::size_t queue_max = 1024;  // messages
    WhenFull when_full = WhenFull::refuse;
};

class Subscription {
public:
    virtual ~Subscription() = default;  // unsubscribes
    // The next message; nothing if none came in time, or if closed and empty.
    virtual std::optional<Message> next(Duration timeout) = 0;
    // No more messages are taken in, whoever waits in next() is woken; those queued can be read.
    virtual void close() = 0;
    virtual bool is_closed() const = 0;
    virtual std::size_t queued() const = 0;
};

class Bus {
public:
    virtual ~Bus() = default;
    // To every matching subscription, or to none. `exhausted` if one that refuses is full.
    virtual Result<void> publish(std::string_view subject, Bytes body) = 0;
    // `pattern` as above; `invalid` if it is none.
    virtual Result<std::unique_ptr<Subscription>> subscribe(std::string_view pattern,
                                                            Subscribe options = {}) = 0;
};

// Within one process. It may end before its subscriptions; they are then closed. `counters` must
// outlive bus and subscriptions.
class MemoryBus final : public Bus {
public:
    explicit MemoryBus(Counters& counters);
    ~MemoryBus() override;

    Result<void> publish(std::string_view subject, Bytes body) override;
    Result<std::unique_ptr<Subscription>> subscribe(std::string_view pattern,
                                                    Subscribe options = {}) override;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

// Whether a message of `subject` goes to a subscription to `pattern`.
bool matches(std::string_view pattern, std::string_view subject);

}  // namespace tapir::bus
