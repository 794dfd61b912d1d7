#include "network.hpp"

#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace tapir::sim {
namespace {

using namespace std::chrono_literals;

constexpr Duration delay_min = 1s;
constexpr Duration delay_max = 400s;
constexpr std::uint64_t other_ids = 1'000'000;

Failure<Error> no_answer(std::string_view why) {
    return fail(Code::unavailable, std::string(why));
}

// What the server sends, until the client takes it.
class SimStream final : public net::SseStream {
public:
    bool send(std::string_view id, std::string_view event, std::string_view data) override {
        if (is_open_) {
            octets_ += net::sse_event(id, event, data);
        }
        return is_open_;
    }
    bool is_open() const override { return is_open_; }
    void close() override { is_open_ = false; }
    std::string take() { return std::exchange(octets_, {}); }

private:
    std::string octets_;
    bool is_open_ = true;
};

}  // namespace

class SimClient final : public net::HttpClient {
public:
    SimClient(Network& network, std::string name, world::Fuse& fuse, Observer observer)
        : network_(network), name_(std::move(name)), fuse_(fuse), observer_(std::move(observer)) {}

    Result<net::HttpResponse> send(const net::HttpCall& call, const net::Cancel* cancel) override {
        if (cancel != nullptr && cancel->requested()) {
            return no_answer("cancelled");
        }
        net::HttpRequest request = TRY(net::request_of(call, name_));
        const world::Fuse::Moment moment = fuse_.step();
        if (moment == world::Fuse::Moment::dead ||
            (moment == world::Fuse::Moment::dying && fuse_.chance().below(2) == 0)) {
            return fail(world::Fuse::error());
        }
        if (observer_.leaves) {
            observer_.leaves(request);
        }
        auto answer = network_.carry(request);
        if (moment == world::Fuse::Moment::dying) {
            return fail(world::Fuse::error());
        }
        if (answer && observer_.answered) {
            observer_.answered(*answer);
        }
        return answer;
    }

    Result<void> subscribe(const net::HttpCall& call, const net::Cancel& cancel,
                           const std::function<void(const net::SseEvent&)>& on_event,
                           const StreamLimits& limits,
                           const std::function<void()>& on_open) override {
        if (cancel.requested() || fuse_.step() != world::Fuse::Moment::alive) {
            return no_answer("cancelled");
        }
        net::HttpRequest request = TRY(net::request_of(call, name_));
        if (observer_.leaves) {
            observer_.leaves(request);
        }
        if (!network_.is_open()) {
            return no_answer("no connection");
        }
        if (network_.dice_.percent(network_.faults_.lost)) {
            network_.tally_.add(Fault::request_lost);
            return no_answer("no connection");
        }
        const auto stream = std::make_shared<SimStream>();
        if (const auto refusal = network_.server_.subscribe(request, stream)) {
            return no_answer(fmt::format("status {}", refusal->status));
        }
        if (on_open) {
            on_open();
        }
        net::SseParser parser(limits.sse);
        const auto take = [&](const net::SseEvent& event) {
            if (observer_.event) {
                observer_.event(event);
            }
            on_event(event);
        };
        auto ended = read(*stream, parser, take);
        stream->close();
        return ended;
    }

private:
    // Some times what has come, and what comes while the server works on.
    Result<void> read(SimStream& stream, net::SseParser& parser,
                      const std::function<void(const net::SseEvent&)>& take) {
        const std::uint64_t rounds = network_.dice_.between(1, 3);
        for (std::uint64_t round = 0; round < rounds; ++round) {
            std::string octets = stream.take();
            const bool is_cut =
                !octets.empty() && network_.dice_.percent(network_.faults_.stream_cut);
            if (is_cut) {
                network_.tally_.add(Fault::stream_cut);
                octets.resize(network_.dice_.between(0, octets.size() - 1));
            }
            TRY(parser.feed(as_bytes(octets), take));
            if (network_.repeats_ && !octets.empty()) {
                repeat(octets, take);
            }
            if (is_cut) {
                return no_answer("connection reset");
            }
            if (!stream.is_open()) {
                return {};
            }
            if (round + 1 < rounds) {
                network_.server_.work();
            }
        }
        return no_answer("silent for too long");
    }

    static void repeat(const std::string& octets,
                       const std::function<void(const net::SseEvent&)>& take) {
        net::SseParser parser;
        static_cast<void>(parser.feed(as_bytes(octets), [&](const net::SseEvent& event) {
            net::SseEvent again = event;
            again.id = std::to_string(std::stoull("0" + event.id) + other_ids);
            take(again);
        }));
    }

    Network& network_;
    const std::string name_;
    world::Fuse& fuse_;
    const Observer observer_;
};

std::unique_ptr<net::HttpClient> Network::client(std::string name, world::Fuse& fuse,
                                                 Observer observer) {
    return std::make_unique<SimClient>(*this, std::move(name), fuse, std::move(observer));
}

bool Network::is_open() {
    if (outages_.is_away() && outages_.feel()) {
        tally_.add(Fault::core_away);
    }
    return !outages_.is_away() && server_.listens();
}

// A fault is counted where it does something: here if the server was there to take it.
void Network::deliver_later(const net::HttpRequest& request, Fault fault) {
    ++under_way_;
    agenda_.after(dice_.time_between(delay_min, delay_max), [this, request, fault] {
        --under_way_;
        if (is_open() && server_.answer(request)) {
            tally_.add(fault);
        }
    });
}

Result<net::HttpResponse> Network::carry(const net::HttpRequest& request) {
    if (!is_open()) {
        return no_answer("no connection");
    }
    if (dice_.percent(faults_.lost)) {
        tally_.add(Fault::request_lost);
        return no_answer("no answer in time");
    }
    if (dice_.percent(faults_.delayed)) {
        deliver_later(request, Fault::delayed);
        return no_answer("no answer in time");
    }
    if (dice_.percent(faults_.doubled)) {
        deliver_later(request, Fault::doubled);
    }
    auto answer = server_.answer(request);
    if (!answer) {
        return no_answer("connection reset");
    }
    if (dice_.percent(faults_.answer_lost)) {
        tally_.add(Fault::answer_lost, answer->status / 100 == 2 ? 1 : 0);
        return no_answer("no answer in time");
    }
    return *std::move(answer);
}

}  // namespace tapir::sim
