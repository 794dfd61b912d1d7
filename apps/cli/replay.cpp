#include <array>
#include <chrono>

#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/net/stream.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"

namespace tapir::cli {
namespace {

constexpr std::chrono::milliseconds connect_time_max{5'000};
constexpr std::size_t chunk_size = 64U << 10U;  // octets before they are written to the socket

// A dnstap socket, from the sender's side.
class Sender {
public:
    explicit Sender(net::ByteStream& stream) : stream_(stream) {}

    Result<void> open() {
        return talk_until([this] { return writer_.is_accepting_frames(); });
    }
    Result<void> write(ByteView frame) {
        writer_.write(frame);
        return writer_.output_size() >= chunk_size ? flush() : Result<void>();
    }
    Result<void> flush() { return stream_.write(writer_.take_output()); }
    Result<void> close() {
        writer_.stop();
        return talk_until([this] { return writer_.is_finished(); });
    }

private:
    template <class Done>
    Result<void> talk_until(Done done) {
        TRY(flush());
        std::array<std::byte, 4096> answer{};
        while (!done()) {
            const std::size_t got = TRY(stream_.read(answer));
            if (got == 0) {
                return fail(Code::unavailable, "the other side ended the connection");
            }
            TRY(writer_.receive(ByteView(answer).first(got)));
            TRY(flush());
        }
        return {};
    }

    net::ByteStream& stream_;
    dnstap::FrameStreamWriter writer_{dnstap::FrameStreamWriter::Form::socket};
};

// Holds a rate by waiting every few milliseconds for the time at which the next frames are due.
class Pace {
public:
    Pace(const world::Clock& clock, std::uint64_t rate)
        : clock_(clock), waiter_(clock), rate_(rate), start_(clock.monotonic()) {}

    // Whether the sender must write out what it has, since it will now wait.
    bool must_wait(std::uint64_t sent) const {
        return rate_ != 0 && due(sent) > clock_.monotonic() + std::chrono::milliseconds(2);
    }
    void wait(std::uint64_t sent) { (void)waiter_.wait_until(due(sent)); }

private:
    Duration due(std::uint64_t sent) const {
        return start_ + std::chrono::nanoseconds(sent * 1'000'000'000U / rate_);
    }

    const world::Clock& clock_;
    world::Waiter waiter_;
    std::uint64_t rate_;
    Duration start_;
};

}  // namespace

Result<std::string> replay(const std::string& path, const ReplayOptions& options) {
    world::SystemFiles files;
    const world::SystemClock clock;
    const auto file = TRY(files.map(path));
    const net::Endpoint to = TRY(net::Endpoint::parse(options.to));
    const auto stream = TRY(net::connect_stream(to, connect_time_max));
    Sender sender(*stream);
    TRY(sender.open());
    Pace pace(clock, options.rate);
    const Duration start = clock.monotonic();
    std::uint64_t sent = 0;
    for (std::uint64_t i = 0; i < options.times; ++i) {
        dnstap::FstrmReader frames(file->bytes());
        while (const auto frame = frames.next()) {
            TRY(sender.write(*frame));
            ++sent;
            if (pace.must_wait(sent)) {
                TRY(sender.flush());
                pace.wait(sent);
            }
        }
        if (frames.state() == dnstap::StreamState::failed ||
            frames.state() == dnstap::StreamState::truncated) {
            return fail(Code::invalid, fmt::format("{}: after {} frames: {}", path, sent,
                                                   dnstap::to_string(frames.state())));
        }
    }
    TRY(sender.close());
    const double seconds = std::chrono::duration<double>(clock.monotonic() - start).count();
    return fmt::format("{} frames in {:.3f} s\n", sent, seconds);
}

}  // namespace tapir::cli
