// What the socket ports have in common: descriptors that close themselves, addresses to and from
// the kernel's form, listening, and a loop that accepts and gives each connection a thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <sys/socket.h>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/net/address.hpp"
#include "tapir/net/stream.hpp"

namespace tapir::net {

class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    int get() const { return fd_; }
    bool is_open() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset();

private:
    int fd_ = -1;
};

struct SocketName {
    sockaddr_storage storage{};
    socklen_t size = sizeof(sockaddr_storage);
    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketName to_socket_name(const Endpoint& endpoint);
PeerAddress from_socket_name(const SocketName& name);
// Nothing for families other than unix, IPv4 and IPv6, and for a unix socket without a path.
std::optional<Endpoint> endpoint_of(const SocketName& name);

using SteadyTime = std::chrono::steady_clock::time_point;

// Milliseconds for poll(2) to `until`, rounded up; 0 if it has passed.
int poll_ms(SteadyTime until);
// Waits until one of `events` (or an error) is there; false at the deadline.
bool poll_until(int fd, short events, SteadyTime until);

// Reads from a connected socket within limits. Failing is `exhausted` if time was up, else
// `unavailable`.
class Receiver {
public:
    explicit Receiver(int fd) : fd_(fd) {}
    int fd() const { return fd_; }
    void limit(const ReadLimits& limits);
    Result<std::size_t> receive(std::span<std::byte> into) const;
    // Without waiting: `exhausted` if nothing is there.
    Result<std::size_t> receive_now(std::span<std::byte> into) const;
    // Whether receive() would return at once.
    bool has_input() const;

private:
    int fd_;
    std::optional<SteadyTime> deadline_;
};

// A bound and listening stream socket. Unix: see StreamServer::start.
Result<Fd> listen_on(const Endpoint& at, std::uint32_t socket_mode,
                     const std::string& socket_group = {});
// A bound UDP socket.
Result<Fd> bind_udp(const Endpoint& at);
Result<std::uint16_t> bound_port(int fd);
Result<Fd> connect_to(const Endpoint& to, std::chrono::milliseconds time_max);

// All of two parts in a row, without SIGPIPE.
Result<void> send_all(int fd, ByteView first, ByteView second = {});

// Accepts, with a thread for each connection, up to a limit.
class AcceptLoop {
public:
    // `serve` runs in the connection's thread; the socket is closed after it. `refused` is called
    // for each connection over the limit.
    using Serve = std::function<void(int fd, const PeerAddress& peer)>;
    // Asked first, of each connection; false: it is closed.
    using Admit = std::function<bool(const PeerAddress& peer)>;
    AcceptLoop(Fd listener, std::size_t connections_max, Serve serve, std::function<void()> refused,
               Admit admit = {});
    ~AcceptLoop() { stop(); }
    AcceptLoop(const AcceptLoop&) = delete;
    AcceptLoop& operator=(const AcceptLoop&) = delete;

    std::size_t connections() const { return open_.load(); }
    // Shuts all sockets down and waits for their threads.
    void stop();

private:
    struct Connection {
        Fd socket;
        std::thread thread;
        std::atomic<bool> is_done{false};
    };
    void run();
    void accept_one();
    void reap();

    Fd listener_;
    Fd wake_;  // an eventfd: a connection is done, or stop
    std::size_t connections_max_;
    Serve serve_;
    std::function<void()> refused_;
    Admit admit_;
    std::atomic<bool> is_stopping_{false};
    std::atomic<std::size_t> open_{0};
    std::list<Connection> list_;  // touched by the accepting thread, and by stop() after it ended
    std::once_flag stopped_;
    std::thread thread_;
};

}  // namespace tapir::net
