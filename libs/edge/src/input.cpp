#include "input.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/net/inherited.hpp"
#include "tapir/net/stream.hpp"
#include "tapir/powerdns/stream.hpp"
#include "tapir/world/clock.hpp"
#include "upstream_loss.hpp"

namespace tapir::edge {
namespace {

static_assert(frames_abreast <= dnstap::frames_kept);

// What comes in by a socket.
enum class Kind : std::uint8_t { dnstap_unix, dnstap_tcp, dnstap_tls, powerdns };
constexpr std::size_t kind_count = 4;
constexpr std::array<const char*, kind_count> kind_names{"dnstap-unix", "dnstap-tcp", "dnstap-tls",
                                                         "powerdns"};
constexpr std::array<const char*, kind_count> kind_keys{"input.unix", "input.tcp", "input.tls",
                                                        "input.powerdns"};

constexpr std::size_t read_small = 16'384;  // octets
constexpr std::size_t read_wanted = 4'096;
// A socket takes some 200 writes before it says that it is full: at 200 000 a second, what comes in
// a millisecond. (With rests of two, or of half a one at 100 000 a second, unbound dropped some.)
constexpr Duration rest_min = std::chrono::microseconds(250);
constexpr Duration rest_max = std::chrono::milliseconds(1);
constexpr unsigned looks_max = 8;

// Resolvers write frame by frame, or some sixty frames at once. Who waits for it is woken for each
// write, which costs the resolver more than its frame does, and each read wakes a worker and the
// gate, who take the CPU from whom they run beside. So after a little there is a rest, as long as
// it takes until enough has come; and where nothing has, there are some more.
class Rest {
public:
    explicit Rest(const world::Clock& clock) : waiter_(clock) {}
    // Before the next read of `stream`, when the last has given so many octets.
    void after(std::size_t got, const net::ByteStream& stream) {
        set_length(length_ * static_cast<std::int64_t>(read_wanted) /
                   static_cast<std::int64_t>(std::max<std::size_t>(got, 1)));
        if (got >= read_small) {
            return;
        }
        waiter_.wait_for(length_);
        for (unsigned look = 1; look < looks_max && !stream.has_input(); ++look) {
            set_length(2 * length_);
            waiter_.wait_for(length_);
        }
    }

private:
    void set_length(Duration length) { length_ = std::clamp(length, rest_min, rest_max); }

    world::Waiter waiter_;
    Duration length_ = rest_min;
};

struct Limits {
    std::chrono::milliseconds handshake_max{10'000};
    std::chrono::milliseconds idle_max{0};  // 0: none
};

// How a stream ended: as dnstap::StreamState says, or by a limit of ours.
constexpr std::size_t ended_slow = 6;
constexpr std::size_t ended_idle = 7;
constexpr std::size_t ended_count = 8;

// What all inputs count.
struct InputCounters {
    explicit InputCounters(Counters& counters) : loss(counters) {
        for (std::size_t i = 0; i < ended_count; ++i) {
            const std::string how =
                i == ended_slow ? "slow_handshake"
                : i == ended_idle
                    ? "idle"
                    : std::string(dnstap::to_string(static_cast<dnstap::StreamState>(i)));
            ended.at(i) = &counters.counter("tapir_edge_streams_ended_total",
                                            "Frame streams that ended, by how.", {{"how", how}});
        }
        for (std::size_t i = 0; i < errors.size(); ++i) {
            const auto reason = dnstap::to_string(static_cast<dnstap::StreamError>(i));
            errors.at(i) = &counters.counter("tapir_edge_stream_errors_total",
                                             "Frame streams that broke the protocol, by how.",
                                             {{"reason", std::string(reason)}});
        }
        for (std::size_t i = 0; i < powerdns.size(); ++i) {
            const auto reason = powerdns::to_string(static_cast<powerdns::MessageError>(i));
            powerdns.at(i) =
                &counters.counter("tapir_edge_powerdns_errors_total",
                                  "Messages of PowerDNS that are not as they must be, by fault.",
                                  {{"reason", std::string(reason)}});
        }
        skipped = &counters.counter("tapir_edge_stream_controls_skipped_total",
                                    "Control frames inside the data that mean nothing there.");
    }

    std::array<Counter*, ended_count> ended{};
    std::array<Counter*, dnstap::stream_error_count> errors{};
    std::array<Counter*, powerdns::message_error_count> powerdns{};
    Counter* skipped = nullptr;
    UpstreamLoss loss;
};

class StreamInput final : public Input {
public:
    StreamInput(std::string name, Kind kind, const Limits& limits, Pipeline& pipeline,
                const Log& log, Counters& counters)
        : name_(std::move(name)),
          kind_(kind),
          limits_(limits),
          pipeline_(pipeline),
          log_(log),
          counts_(counters),
          frames_(counters.counter("tapir_edge_input_frames_total", "Frames that came, by input.",
                                   {{"input", name_}})) {}

    Result<void> listen(net::StreamServerSettings settings, Counters& counters) {
        settings.name = name_;
        server_ = TRY(net::StreamServer::start(
            settings,
            [this](net::ByteStream& stream) {
                if (kind_ == Kind::powerdns) {
                    serve_powerdns(stream);
                } else {
                    serve_dnstap(stream);
                }
            },
            log_, counters));
        return {};
    }

    void stop() override { server_->stop(); }
    const std::string& name() const { return name_; }
    std::uint16_t port() const { return server_->port(); }

private:
    void serve_dnstap(net::ByteStream& stream) {
        dnstap::FrameStreamServer frames;
        UpstreamLoss::Connection loss(counts_.loss, name_);
        std::uint64_t oversized = 0;
        Rest rest(clock_);
        std::optional<std::size_t> limit;  // of ours, that ended it
        bool is_handshake = true;
        stream.limit_reads({.pause_max = {}, .whole_max = limits_.handshake_max});
        while (frames.is_open()) {
            const auto got = stream.read(frames.space());
            if (!got || *got == 0) {
                if (!got && got.error().code() == Code::exhausted) {
                    limit = is_handshake ? ended_slow : ended_idle;
                }
                frames.end();
                break;
            }
            frames.commit(*got);
            take(frames, loss);
            if (is_handshake && frames.state() != dnstap::StreamState::handshake) {
                is_handshake = false;
                stream.limit_reads({.pause_max = limits_.idle_max, .whole_max = {}});
            }
            if (frames.frames_oversized() != oversized) {
                pipeline_.add_unread(Fate::frame_oversized, frames.frames_oversized() - oversized);
                oversized = frames.frames_oversized();
                log_.warn("input", "a frame over the size limit was skipped", {{"input", name_}});
            }
            const ByteView reply = frames.to_send();
            if (reply.empty() && !is_handshake) {
                rest.after(*got, stream);
            } else if (!reply.empty()) {
                if (!stream.write(reply)) {
                    frames.end();
                    break;
                }
                frames.sent(reply.size());
            }
        }
        counts_.skipped->add(frames.controls_skipped());
        ended(frames.state(), limit);
        if (const auto error = frames.error()) {
            counts_.errors.at(static_cast<std::size_t>(*error))->add();
            log_.warn("input", "a peer does not speak Frame Streams; connection closed",
                      {{"input", name_}, {"reason", dnstap::to_string(*error)}});
        }
    }

    void serve_powerdns(net::ByteStream& stream) {
        powerdns::MessageStream messages;
        UpstreamLoss::Connection loss(counts_.loss, name_);
        std::array<std::uint64_t, powerdns::message_error_count> known{};
        Rest rest(clock_);
        std::optional<std::size_t> limit;
        stream.limit_reads({.pause_max = limits_.idle_max, .whole_max = {}});
        for (;;) {
            const auto got = stream.read(messages.space());
            if (!got || *got == 0) {
                if (!got && got.error().code() == Code::exhausted) {
                    limit = ended_idle;
                }
                break;
            }
            messages.commit(*got);
            take(messages, loss);
            for (std::size_t i = 0; i < known.size(); ++i) {
                const std::uint64_t now =
                    messages.translator().errors(static_cast<powerdns::MessageError>(i));
                counts_.powerdns.at(i)->add(now - std::exchange(known.at(i), now));
            }
            rest.after(*got, stream);
        }
        ended(messages.is_cut() ? dnstap::StreamState::truncated : dnstap::StreamState::cut_off,
              limit);
    }

    template <class Frames>
    void take(Frames& frames, UpstreamLoss::Connection& loss) {
        const Added added = pipeline_.add_all(frames);
        frames_.add(added.frames);
        loss.see(added);
        // Nothing more to read at once: what there is goes on.
        pipeline_.flush();
        loss.show();
    }

    void ended(dnstap::StreamState state, std::optional<std::size_t> limit) {
        counts_.ended.at(limit.value_or(static_cast<std::size_t>(state)))->add();
        if (state == dnstap::StreamState::truncated) {
            pipeline_.add_unread(Fate::frame_truncated, 1);
            log_.warn("input", "a stream ended inside a frame", {{"input", name_}});
        }
        if (limit) {
            log_.warn("input", "a peer said nothing for too long; connection closed",
                      {{"input", name_}});
        }
    }

    const std::string name_;
    const Kind kind_;
    const Limits limits_;
    Pipeline& pipeline_;
    const Log& log_;
    const world::SystemClock clock_;
    InputCounters counts_;
    Counter& frames_;
    std::unique_ptr<net::StreamServer> server_;
};

class TakenInputs final : public InheritedInputs {
public:
    struct Taken {
        std::shared_ptr<const net::InheritedSocket> socket;
        Kind kind;
    };

    Result<void> add(std::shared_ptr<const net::InheritedSocket> socket) {
        const std::string& name = socket->name();
        std::optional<Kind> kind;
        if (name == "powerdns") {
            kind = Kind::powerdns;
        } else if (name == "dnstap-tls") {
            kind = Kind::dnstap_tls;
        } else if (name == "dnstap" || name.ends_with(".socket")) {
            kind = socket->at().is_unix() ? Kind::dnstap_unix : Kind::dnstap_tcp;
        }
        if (!kind) {
            return fail(Code::invalid,
                        "inherited socket at " + socket->at().to_string() +
                            ": expected FileDescriptorName=dnstap, dnstap-tls or powerdns, got '" +
                            name + "'");
        }
        list_.push_back({std::move(socket), *kind});
        return {};
    }
    const std::vector<Taken>& list() const { return list_; }

private:
    std::vector<Taken> list_;
};

std::uint32_t mode_of(const std::string& text) {
    constexpr std::uint32_t mode_max = 0777;
    std::uint32_t mode = 0;
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, mode, 8);
    return read.ec == std::errc() && read.ptr == end && mode <= mode_max ? mode : mode_max + 1;
}

class AllInputs final : public Inputs {
public:
    AllInputs(const text::Settings& settings, Pipeline& pipeline, const Log& log,
              Counters& counters)
        : settings_(settings), pipeline_(pipeline), log_(log), counters_(counters) {}

    Result<void> open(const TakenInputs& inherited) {
        TRY(read_settings());
        for (const auto& [socket, kind] : inherited.list()) {
            net::StreamServerSettings server = usual_;
            server.inherited = socket;
            server.listen = socket->at();
            TRY(open_one(kind, std::move(server)));
        }
        for (std::size_t i = 0; i < kind_count; ++i) {
            for (const std::string& word : settings_.strings(kind_keys.at(i))) {
                TRY(open_configured(static_cast<Kind>(i), word, inherited));
            }
        }
        return {};
    }

    void stop() override {
        for (const auto& input : inputs_) {
            input->stop();
        }
    }
    std::uint16_t port(const std::string& name) const override {
        const auto found = std::ranges::find(inputs_, name, &StreamInput::name);
        return found == inputs_.end() ? std::uint16_t{0} : (*found)->port();
    }

private:
    Result<void> read_settings() {
        usual_.connections_max =
            static_cast<std::size_t>(settings_.integer("input.connections_max"));
        usual_.socket_mode = mode_of(settings_.string("input.socket_mode"));
        if (usual_.socket_mode > 0777) {
            return settings_.refuse("input.socket_mode", "an octal mode, such as 0660",
                                    settings_.string("input.socket_mode"));
        }
        usual_.socket_group = settings_.string("input.socket_group");
        auto peers = net::PeerNetworks::parse(settings_.strings("input.allow"));
        if (!peers) {
            return settings_.refuse("input.allow", "addresses and networks", peers.error().what());
        }
        usual_.peers = std::move(*peers);
        const auto ms = [&](const char* key) {
            return std::chrono::ceil<std::chrono::milliseconds>(settings_.duration(key));
        };
        limits_ = {.handshake_max = ms("input.handshake_max"), .idle_max = ms("input.idle_max")};
        usual_.tls_handshake_max = limits_.handshake_max;
        return {};
    }

    Result<void> open_configured(Kind kind, const std::string& word, const TakenInputs& inherited) {
        auto at = net::Endpoint::parse(word);
        if (!at || at->is_unix() != (kind == Kind::dnstap_unix)) {
            return settings_.refuse(
                kind_keys.at(static_cast<std::size_t>(kind)),
                kind == Kind::dnstap_unix ? "paths of unix sockets" : "addresses with ports", word);
        }
        const bool is_there = std::ranges::any_of(
            inherited.list(), [&](const auto& taken) { return taken.socket->at() == *at; });
        if (is_there) {
            return {};
        }
        if (!at->is_unix() && !at->address().is_loopback() && !settings_.is_given("input.allow")) {
            log_.warn("input", "nobody but this machine may connect: input.allow is not set",
                      {{"listen", word}});
        }
        net::StreamServerSettings server = usual_;
        server.listen = std::move(*at);
        return open_one(kind, std::move(server));
    }

    Result<void> open_one(Kind kind, net::StreamServerSettings server) {
        const auto number = static_cast<std::size_t>(kind);
        if (kind == Kind::dnstap_tls) {
            server.tls =
                net::TlsServerSettings{.certificate_file = settings_.string("input.tls_cert"),
                                       .key_file = settings_.string("input.tls_key"),
                                       .client_ca_file = settings_.string("input.tls_client_ca")};
            for (const char* key : {"input.tls_cert", "input.tls_key"}) {
                if (settings_.string(key).empty()) {
                    return settings_.refuse(key, "a file, for dnstap over TLS", "nothing");
                }
            }
        }
        const std::size_t count = ++counts_[kind];
        std::string name = kind_names.at(number);
        if (count > 1) {
            name += "-" + std::to_string(count);
        }
        auto input = std::make_unique<StreamInput>(std::move(name), kind, limits_, pipeline_, log_,
                                                   counters_);
        if (const auto open = input->listen(std::move(server), counters_); !open) {
            return settings_.refuse(kind_keys.at(number), "a place to listen", open.error().what());
        }
        inputs_.push_back(std::move(input));
        return {};
    }

    const text::Settings& settings_;
    Pipeline& pipeline_;
    const Log& log_;
    Counters& counters_;
    net::StreamServerSettings usual_;
    Limits limits_;
    std::map<Kind, std::size_t> counts_;
    std::vector<std::unique_ptr<StreamInput>> inputs_;
};

}  // namespace

Result<std::unique_ptr<InheritedInputs>> InheritedInputs::take() {
    auto taken = std::make_unique<TakenInputs>();
    const auto sockets = TRY(net::take_inherited_sockets());
    for (const auto& socket : sockets) {
        TRY(taken->add(socket));
    }
    return std::unique_ptr<InheritedInputs>(std::move(taken));
}

std::unique_ptr<InheritedInputs> InheritedInputs::none() {
    return std::make_unique<TakenInputs>();
}

Result<std::unique_ptr<Input>> Input::open(const std::string& endpoint, Pipeline& pipeline,
                                           const Log& log, Counters& counters) {
    net::StreamServerSettings settings;
    settings.listen = TRY(net::Endpoint::parse(endpoint));
    auto input = std::make_unique<StreamInput>("dnstap", Kind::dnstap_unix, Limits{}, pipeline, log,
                                               counters);
    TRY(input->listen(std::move(settings), counters));
    return std::unique_ptr<Input>(std::move(input));
}

Result<std::unique_ptr<Inputs>> Inputs::open(const text::Settings& settings,
                                             const InheritedInputs& inherited, Pipeline& pipeline,
                                             const Log& log, Counters& counters) {
    auto inputs = std::make_unique<AllInputs>(settings, pipeline, log, counters);
    // There is no other kind of InheritedInputs.
    TRY(inputs->open(static_cast<const TakenInputs&>(inherited)));
    return std::unique_ptr<Inputs>(std::move(inputs));
}

}  // namespace tapir::edge
