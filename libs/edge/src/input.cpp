#include "input.hpp"

#include <array>
#include <span>
#include <utility>

#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/net/stream.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t state_count = 6;

class StreamInput final : public Input {
public:
    StreamInput(Pipeline& pipeline, const Log& log, Counters& counters)
        : pipeline_(pipeline), log_(log) {
        for (std::size_t i = 0; i < state_count; ++i) {
            ended_.at(i) = &counters.counter(
                "tapir_edge_streams_ended_total", "Frame streams that ended, by how.",
                {{"how", std::string(dnstap::to_string(static_cast<dnstap::StreamState>(i)))}});
        }
    }

    Result<void> listen(const std::string& endpoint, const Log& log, Counters& counters) {
        net::StreamServerSettings settings;
        settings.name = "dnstap";
        settings.listen = TRY(net::Endpoint::parse(endpoint));
        server_ = TRY(net::StreamServer::start(
            settings, [this](net::ByteStream& stream) { serve(stream); }, log, counters));
        return {};
    }

    void stop() override { server_->stop(); }

private:
    void serve(net::ByteStream& stream) {
        dnstap::FrameStreamServer frames;
        std::uint64_t oversized = 0;
        while (frames.is_open()) {
            const auto got = stream.read(frames.space());
            if (!got || *got == 0) {
                frames.end();
                break;
            }
            frames.commit(*got);
            pipeline_.add_all(frames);
            // Nothing more to read at once: what there is goes on.
            pipeline_.flush();
            if (frames.frames_oversized() != oversized) {
                pipeline_.add_unread(Fate::frame_oversized, frames.frames_oversized() - oversized);
                oversized = frames.frames_oversized();
                log_.warn("input", "a frame over the size limit was skipped");
            }
            const ByteView reply = frames.to_send();
            if (!reply.empty()) {
                if (!stream.write(reply)) {
                    break;
                }
                frames.sent(reply.size());
            }
        }
        ended_.at(static_cast<std::size_t>(frames.state()))->add();
        if (frames.state() == dnstap::StreamState::truncated) {
            pipeline_.add_unread(Fate::frame_truncated, 1);
            log_.warn("input", "a stream ended inside a frame");
        }
        if (const auto error = frames.error()) {
            log_.warn("input", "a peer does not speak Frame Streams; connection closed",
                      {{"reason", dnstap::to_string(*error)}});
        }
    }

    Pipeline& pipeline_;
    const Log& log_;
    std::array<Counter*, state_count> ended_{};
    std::unique_ptr<net::StreamServer> server_;
};

}  // namespace

Result<std::unique_ptr<Input>> Input::open(const std::string& endpoint, Pipeline& pipeline,
                                           const Log& log, Counters& counters) {
    auto input = std::make_unique<StreamInput>(pipeline, log, counters);
    TRY(input->listen(endpoint, log, counters));
    return std::unique_ptr<Input>(std::move(input));
}

}  // namespace tapir::edge
