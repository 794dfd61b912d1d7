#include "tapir/net/stream.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>

#include <unistd.h>

#include "sockets.hpp"
#include "tapir/world/system_error.hpp"

namespace tapir::net {

namespace {

// A connection on a socket that somebody else closes.
class SocketStream : public ByteStream {
public:
    SocketStream(int fd, const PeerAddress& peer) : fd_(fd), peer_(peer) {}

    Result<std::size_t> read(std::span<std::byte> into) override {
        TAPIR_ASSERT(!into.empty());
        for (;;) {
            const ssize_t got = ::recv(fd_, into.data(), into.size(), 0);
            if (got >= 0) {
                return static_cast<std::size_t>(got);
            }
            if (errno != EINTR) {
                return fail(Code::unavailable,
                            "reading: " + std::generic_category().message(errno));
            }
        }
    }
    Result<void> write(ByteView bytes) override { return send_all(fd_, bytes); }
    void end_writing() override { ::shutdown(fd_, SHUT_WR); }
    void shut_down() override { ::shutdown(fd_, SHUT_RDWR); }
    const PeerAddress& peer() const override { return peer_; }

private:
    int fd_;
    PeerAddress peer_;
};

class OwnSocketStream final : public SocketStream {
public:
    OwnSocketStream(Fd fd, const PeerAddress& peer)
        : SocketStream(fd.get(), peer), owned_(std::move(fd)) {}

private:
    Fd owned_;
};

class SystemStreamServer final : public StreamServer {
public:
    SystemStreamServer(const StreamServerSettings& settings, Fd listener, std::uint16_t port,
                       Handler handler, const Log& log, Counters& counters)
        : listen_(settings.listen),
          port_(port),
          handler_(std::move(handler)),
          accepted_(counters.counter("tapir_stream_connections_total", "Connections accepted.",
                                     {{"server", settings.name}})),
          open_(counters.gauge("tapir_stream_connections", "Connections open now.",
                               {{"server", settings.name}})),
          refused_(counters.counter("tapir_stream_refused_total", "Connections refused.",
                                    {{"server", settings.name}, {"reason", "connections"}})),
          loop_(
              std::move(listener), settings.connections_max,
              [this](int fd, const PeerAddress& peer) { serve(fd, peer); },
              [this, &log, name = settings.name] {
                  refused_.add();
                  log.warn("net", "too many connections", {{"server", name}});
              }) {}
    SystemStreamServer(const SystemStreamServer&) = delete;
    SystemStreamServer& operator=(const SystemStreamServer&) = delete;
    ~SystemStreamServer() override { stop(); }

    std::uint16_t port() const override { return port_; }
    std::size_t connections() const override { return loop_.connections(); }
    void stop() override {
        loop_.stop();
        std::call_once(removed_, [this] {
            if (listen_.is_unix()) {
                ::unlink(listen_.path().c_str());
            }
        });
    }

private:
    void serve(int fd, const PeerAddress& peer) {
        accepted_.add();
        open_.add(1);
        SocketStream stream(fd, peer);
        handler_(stream);
        open_.add(-1);
    }

    Endpoint listen_;
    std::uint16_t port_;
    Handler handler_;
    Counter& accepted_;
    Gauge& open_;
    Counter& refused_;
    std::once_flag removed_;
    AcceptLoop loop_;  // last: its thread uses all of the above
};

// One direction of a connection in memory.
class MemoryPipe {
public:
    explicit MemoryPipe(std::size_t size_max) : size_max_(size_max) {}

    std::size_t read(std::span<std::byte> into) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return is_ended_ || !buffer_.empty(); });
        const std::size_t count = std::min(into.size(), buffer_.size());
        const auto end = buffer_.begin() + static_cast<std::ptrdiff_t>(count);
        std::copy(buffer_.begin(), end, into.begin());
        buffer_.erase(buffer_.begin(), end);
        changed_.notify_all();
        return count;
    }
    Result<void> write(ByteView bytes) {
        std::unique_lock lock(mutex_);
        while (!bytes.empty()) {
            changed_.wait(lock, [&] { return is_ended_ || buffer_.size() < size_max_; });
            if (is_ended_) {
                return fail(Code::unavailable, "sending: the other side is gone");
            }
            const auto part = bytes.first(std::min(bytes.size(), size_max_ - buffer_.size()));
            buffer_.insert(buffer_.end(), part.begin(), part.end());
            bytes = bytes.subspan(part.size());
            changed_.notify_all();
        }
        return {};
    }
    void end() {
        const std::lock_guard lock(mutex_);
        is_ended_ = true;
        changed_.notify_all();
    }

private:
    std::size_t size_max_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::byte> buffer_;
    bool is_ended_ = false;
};

class MemoryStream final : public ByteStream {
public:
    MemoryStream(std::shared_ptr<MemoryPipe> in, std::shared_ptr<MemoryPipe> out)
        : in_(std::move(in)), out_(std::move(out)) {}
    MemoryStream(const MemoryStream&) = delete;
    MemoryStream& operator=(const MemoryStream&) = delete;
    ~MemoryStream() override {
        in_->end();
        out_->end();
    }
    Result<std::size_t> read(std::span<std::byte> into) override { return in_->read(into); }
    Result<void> write(ByteView bytes) override { return out_->write(bytes); }
    void end_writing() override { out_->end(); }
    void shut_down() override {
        in_->end();
        out_->end();
    }
    const PeerAddress& peer() const override { return peer_; }

private:
    std::shared_ptr<MemoryPipe> in_;
    std::shared_ptr<MemoryPipe> out_;
    PeerAddress peer_;
};

}  // namespace

Result<std::unique_ptr<StreamServer>> StreamServer::start(const StreamServerSettings& settings,
                                                          Handler handler, const Log& log,
                                                          Counters& counters) {
    Fd listener = TRY(listen_on(settings.listen, settings.socket_mode));
    const std::uint16_t port = TRY(bound_port(listener.get()));
    // Connections inherit it. A larger one than the system allows becomes the largest.
    const auto size = static_cast<int>(settings.receive_buffer_size);
    ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return std::unique_ptr<StreamServer>(std::make_unique<SystemStreamServer>(
        settings, std::move(listener), port, std::move(handler), log, counters));
}

Result<std::unique_ptr<ByteStream>> connect_stream(const Endpoint& to,
                                                   std::chrono::milliseconds time_max) {
    Fd fd = TRY(connect_to(to, time_max));
    return std::unique_ptr<ByteStream>(
        std::make_unique<OwnSocketStream>(std::move(fd), to.address()));
}

std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> memory_streams(
    std::size_t buffer_size_max) {
    const auto there = std::make_shared<MemoryPipe>(buffer_size_max);
    const auto back = std::make_shared<MemoryPipe>(buffer_size_max);
    return {std::make_unique<MemoryStream>(back, there),
            std::make_unique<MemoryStream>(there, back)};
}

}  // namespace tapir::net
