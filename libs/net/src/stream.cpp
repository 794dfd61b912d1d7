#include "tapir/net/stream.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sockets.hpp"
#include "tapir/world/system_error.hpp"
#include "tls_stream.hpp"

namespace tapir::net {

namespace {

// A connection on a socket that somebody else closes.
class SocketStream : public ByteStream {
public:
    SocketStream(int fd, const PeerAddress& peer) : receiver_(fd), peer_(peer) {}

    Result<std::size_t> read(std::span<std::byte> into) override { return receiver_.receive(into); }
    bool has_input() const override { return receiver_.has_input(); }
    Result<void> write(ByteView bytes) override { return send_all(receiver_.fd(), bytes); }
    void end_writing() override { ::shutdown(receiver_.fd(), SHUT_WR); }
    void shut_down() override { ::shutdown(receiver_.fd(), SHUT_RDWR); }
    void limit_reads(const ReadLimits& limits) override { receiver_.limit(limits); }
    const PeerAddress& peer() const override { return peer_; }

private:
    Receiver receiver_;
    PeerAddress peer_;
};

class OwnSocketStream final : public SocketStream {
public:
    OwnSocketStream(Fd fd, const PeerAddress& peer)
        : SocketStream(fd.get(), peer), owned_(std::move(fd)) {}

private:
    Fd owned_;
};

// Which file a path is: to remove a socket of ours, and not what somebody has put in its place.
struct FileId {
    dev_t device = 0;
    ino_t number = 0;
    friend bool operator==(const FileId&, const FileId&) = default;

    static std::optional<FileId> of(const std::string& path) {
        struct stat status{};
        if (::lstat(path.c_str(), &status) != 0) {
            return std::nullopt;
        }
        return FileId{status.st_dev, status.st_ino};
    }
};

class SystemStreamServer final : public StreamServer {
public:
    SystemStreamServer(const StreamServerSettings& settings, Fd listener, std::uint16_t port,
                       std::unique_ptr<TlsFiles> tls, Handler handler, const Log& log,
                       Counters& counters)
        : settings_(settings),
          port_(port),
          tls_(std::move(tls)),
          handler_(std::move(handler)),
          log_(log),
          accepted_(counters.counter("tapir_stream_connections_total", "Connections accepted.",
                                     {{"server", settings.name}})),
          open_(counters.gauge("tapir_stream_connections", "Connections open now.",
                               {{"server", settings.name}})),
          too_many_(refused(counters, "connections")),
          other_peers_(refused(counters, "peer")),
          no_tls_(refused(counters, "tls")),
          slow_tls_(refused(counters, "tls_slow")),
          loop_(
              std::move(listener), settings.connections_max,
              [this](int fd, const PeerAddress& peer) { serve(fd, peer); },
              [this] {
                  too_many_.add();
                  log_.warn("net", "too many connections", {{"server", settings_.name}});
              },
              [this](const PeerAddress& peer) { return admits(peer); }) {
        if (!settings_.inherited && settings_.listen.is_unix()) {
            file_ = FileId::of(settings_.listen.path());
        }
    }
    SystemStreamServer(const SystemStreamServer&) = delete;
    SystemStreamServer& operator=(const SystemStreamServer&) = delete;
    ~SystemStreamServer() override { stop(); }

    std::uint16_t port() const override { return port_; }
    std::size_t connections() const override { return loop_.connections(); }
    void stop() override {
        loop_.stop();
        std::call_once(removed_, [this] {
            if (file_ && file_ == FileId::of(settings_.listen.path())) {
                ::unlink(settings_.listen.path().c_str());
            }
        });
    }

private:
    Counter& refused(Counters& counters, const char* reason) const {
        return counters.counter("tapir_stream_refused_total", "Connections refused.",
                                {{"server", settings_.name}, {"reason", reason}});
    }

    bool admits(const PeerAddress& peer) {
        if (peer.is_unix() || settings_.peers.contains(peer)) {
            return true;
        }
        other_peers_.add();
        log_.warn("net", "a peer that may not connect",
                  {{"server", settings_.name}, {"peer", peer.to_string()}});
        return false;
    }

    void serve(int fd, const PeerAddress& peer) {
        const auto pause = settings_.write_pause_max.count();
        const timeval time{.tv_sec = pause / 1000,
                           .tv_usec = static_cast<suseconds_t>(pause % 1000 * 1000)};
        ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
        if (!peer.is_unix()) {
            // A peer that vanished without a word is noticed, within hours.
            const int on = 1;
            ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        }
        if (!tls_) {
            SocketStream stream(fd, peer);
            handle(stream);
            return;
        }
        const auto stream = accept_tls(fd, peer, tls_->current(), settings_.tls_handshake_max);
        if (stream) {
            handle(**stream);
            return;
        }
        (stream.error().code() == Code::exhausted ? slow_tls_ : no_tls_).add();
        log_.warn("net", "a connection refused",
                  {{"server", settings_.name},
                   {"peer", peer.to_string()},
                   {"reason", stream.error().what()}});
    }

    void handle(ByteStream& stream) {
        accepted_.add();
        open_.add(1);
        handler_(stream);
        open_.add(-1);
    }

    const StreamServerSettings settings_;
    std::uint16_t port_;
    std::unique_ptr<TlsFiles> tls_;
    Handler handler_;
    const Log& log_;
    Counter& accepted_;
    Gauge& open_;
    Counter& too_many_;
    Counter& other_peers_;
    Counter& no_tls_;
    Counter& slow_tls_;
    std::optional<FileId> file_;  // the unix socket that we made
    std::once_flag removed_;
    AcceptLoop loop_;  // last: its thread uses all of the above
};

// One direction of a connection in memory.
class MemoryPipe {
public:
    explicit MemoryPipe(std::size_t size_max) : size_max_(size_max) {}

    Result<std::size_t> read(std::span<std::byte> into) {
        std::unique_lock lock(mutex_);
        const auto is_there = [&] { return is_ended_ || !buffer_.empty(); };
        auto until = deadline_;
        if (limits_.pause_max.count() > 0) {
            const auto pause = std::chrono::steady_clock::now() + limits_.pause_max;
            until = until ? std::min(*until, pause) : pause;
        }
        if (!until) {
            changed_.wait(lock, is_there);
        } else if (!changed_.wait_until(lock, *until, is_there)) {
            return fail(Code::exhausted, "reading: nothing came in time");
        }
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
    bool has_input() const {
        const std::lock_guard lock(mutex_);
        return is_ended_ || !buffer_.empty();
    }
    void limit(const ReadLimits& limits) {
        const std::lock_guard lock(mutex_);
        limits_ = limits;
        deadline_.reset();
        if (limits.whole_max.count() > 0) {
            deadline_ = std::chrono::steady_clock::now() + limits.whole_max;
        }
    }
    void end() {
        const std::lock_guard lock(mutex_);
        is_ended_ = true;
        changed_.notify_all();
    }

private:
    std::size_t size_max_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::byte> buffer_;
    bool is_ended_ = false;
    ReadLimits limits_;
    std::optional<SteadyTime> deadline_;
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
    bool has_input() const override { return in_->has_input(); }
    Result<void> write(ByteView bytes) override { return out_->write(bytes); }
    void end_writing() override { out_->end(); }
    void shut_down() override {
        in_->end();
        out_->end();
    }
    void limit_reads(const ReadLimits& limits) override { in_->limit(limits); }
    const PeerAddress& peer() const override { return peer_; }

private:
    std::shared_ptr<MemoryPipe> in_;
    std::shared_ptr<MemoryPipe> out_;
    PeerAddress peer_;
};

Result<Fd> listener_of(const StreamServerSettings& settings) {
    if (!settings.inherited) {
        return listen_on(settings.listen, settings.socket_mode, settings.socket_group);
    }
    // One of our own: the inherited one may be taken over again.
    Fd copy(::fcntl(settings.inherited->fd(), F_DUPFD_CLOEXEC, 3));
    if (!copy.is_open()) {
        return world::fail_errno(settings.inherited->at().to_string());
    }
    return copy;
}

}  // namespace

Result<std::unique_ptr<StreamServer>> StreamServer::start(const StreamServerSettings& settings,
                                                          Handler handler, const Log& log,
                                                          Counters& counters) {
    std::unique_ptr<TlsFiles> tls;
    if (settings.tls) {
        tls = TRY(TlsFiles::open(*settings.tls, settings.name, log, counters));
    }
    Fd listener = TRY(listener_of(settings));
    const std::uint16_t port = TRY(bound_port(listener.get()));
    // Connections inherit it. A larger one than the system allows becomes the largest.
    const auto size = static_cast<int>(settings.receive_buffer_size);
    ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return std::unique_ptr<StreamServer>(std::make_unique<SystemStreamServer>(
        settings, std::move(listener), port, std::move(tls), std::move(handler), log, counters));
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
