#include "notifier.hpp"

#include <algorithm>
#include <utility>

namespace tapir::policy {
namespace {

using namespace std::chrono_literals;

constexpr Duration pause_min = 2s;   // after an attempt that nobody acknowledged
constexpr Duration pause_max = 60s;  // a resolver that is away asks by itself after "refresh"
constexpr Duration idle = 1h;
constexpr net::UdpTry how{.time_max = 300ms, .tries_max = 3};

}  // namespace

Notifier::Notifier(net::Endpoint target, NotifierParts parts)
    : target_(std::move(target)),
      parts_(std::move(parts)),
      waiter_(parts_.clock),
      thread_([this] { run(); }) {}

Notifier::~Notifier() {
    stopping_ = true;
    waiter_.notify();
    thread_.join();
}

void Notifier::wake() {
    waiter_.notify();
}

bool Notifier::attempt() {
    const auto id = static_cast<std::uint16_t>(parts_.chance.below(0x1'0000));
    const Bytes message =
        rpz::notify_message(parts_.apex, parts_.serial(), id, parts_.key, parts_.clock.now());
    const auto reply = parts_.client.query_udp(target_, message, how);
    return reply && rpz::acknowledges_notify(*reply, id);
}

void Notifier::run() {
    // The serial at the start is told too: the resolver may have missed what came before.
    bool has_told = false;
    rpz::Serial told;
    Duration pause = pause_min;
    while (!stopping_) {
        const rpz::Serial serial = parts_.serial();
        if (has_told && told == serial) {
            (void)waiter_.wait_for(idle);
            continue;
        }
        const bool acknowledged = attempt();
        parts_.finished(acknowledged);
        if (acknowledged) {
            has_told = true;
            told = serial;
            pause = pause_min;
        } else {
            const bool woken = !stopping_ && waiter_.wait_for(pause);
            pause = woken ? pause_min : std::min(pause * 2, pause_max);
        }
    }
}

}  // namespace tapir::policy
