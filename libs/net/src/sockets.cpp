#include "sockets.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "tapir/world/system_error.hpp"

namespace tapir::net {

using world::fail_errno;

void Fd::reset() {
    if (fd_ >= 0) {
        ::close(fd_);
        fd_ = -1;
    }
}

SocketName to_socket_name(const Endpoint& endpoint) {
    SocketName out;
    if (endpoint.is_unix()) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        TAPIR_ASSERT(endpoint.path().size() <= unix_path_size_max);
        std::memcpy(static_cast<char*>(name.sun_path), endpoint.path().data(),
                    endpoint.path().size());
        std::memcpy(&out.storage, &name, sizeof name);
        out.size = sizeof name;
        return out;
    }
    const auto octets = endpoint.address().octets();
    if (octets.size() == 4) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_port = htons(endpoint.port());
        std::memcpy(&name.sin_addr, octets.data(), 4);
        std::memcpy(&out.storage, &name, sizeof name);
        out.size = sizeof name;
    } else {
        sockaddr_in6 name{};
        name.sin6_family = AF_INET6;
        name.sin6_port = htons(endpoint.port());
        std::memcpy(&name.sin6_addr, octets.data(), octets.size());
        std::memcpy(&out.storage, &name, sizeof name);
        out.size = sizeof name;
    }
    return out;
}

PeerAddress from_socket_name(const SocketName& name) {
    if (name.storage.ss_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &name.storage, sizeof in);
        return PeerAddress::from_octets(reinterpret_cast<const std::byte*>(&in.sin_addr), 4,
                                        ntohs(in.sin_port));
    }
    if (name.storage.ss_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, &name.storage, sizeof in);
        return PeerAddress::from_octets(reinterpret_cast<const std::byte*>(&in.sin6_addr), 16,
                                        ntohs(in.sin6_port));
    }
    return {};
}

std::optional<Endpoint> endpoint_of(const SocketName& name) {
    if (name.storage.ss_family == AF_UNIX) {
        sockaddr_un in{};
        std::memcpy(&in, &name.storage, sizeof in);
        const std::size_t head = offsetof(sockaddr_un, sun_path);
        const std::size_t room = name.size > head ? name.size - head : 0;
        const std::string path(static_cast<const char*>(in.sun_path),
                               ::strnlen(static_cast<const char*>(in.sun_path), room));
        return path.empty() ? std::nullopt : std::optional(Endpoint::unix_socket(path));
    }
    if (name.storage.ss_family != AF_INET && name.storage.ss_family != AF_INET6) {
        return std::nullopt;
    }
    return Endpoint::ip(from_socket_name(name));
}

void Receiver::limit(const ReadLimits& limits) {
    // The kernel times pauses, so that a read costs no second call.
    const auto pause = limits.pause_max.count();
    const timeval time{.tv_sec = pause / 1000,
                       .tv_usec = static_cast<suseconds_t>(pause % 1000 * 1000)};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    deadline_.reset();
    if (limits.whole_max.count() > 0) {
        deadline_ = std::chrono::steady_clock::now() + limits.whole_max;
    }
}

namespace {

Result<std::size_t> receive_with(int fd, std::span<std::byte> into, int flags) {
    TAPIR_ASSERT(!into.empty());
    for (;;) {
        const ssize_t got = ::recv(fd, into.data(), into.size(), flags);
        if (got >= 0) {
            return static_cast<std::size_t>(got);
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return fail(Code::exhausted, "reading: nothing came in time");
        }
        if (errno != EINTR) {
            return fail(Code::unavailable, "reading: " + std::generic_category().message(errno));
        }
    }
}

}  // namespace

Result<std::size_t> Receiver::receive(std::span<std::byte> into) const {
    if (deadline_ && !poll_until(fd_, POLLIN, *deadline_)) {
        return fail(Code::exhausted, "reading: not over in time");
    }
    return receive_with(fd_, into, 0);
}

bool Receiver::has_input() const {
    pollfd what{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&what, 1, 0) != 0;
}

Result<std::size_t> Receiver::receive_now(std::span<std::byte> into) const {
    return receive_with(fd_, into, MSG_DONTWAIT);
}

int poll_ms(SteadyTime until) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX));
}

bool poll_until(int fd, short events, SteadyTime until) {
    for (;;) {
        pollfd waiting{fd, events, 0};
        const int ready = ::poll(&waiting, 1, poll_ms(until));
        if (ready > 0) {
            return true;
        }
        if (std::chrono::steady_clock::now() >= until) {
            return false;
        }
    }
}

namespace {

int family_of(const SocketName& name) {
    return name.storage.ss_family;
}

// Removes a socket that nobody listens on any more, and nothing else.
Result<void> make_room_for(const Endpoint& at) {
    struct stat status{};
    if (::lstat(at.path().c_str(), &status) != 0) {
        return errno == ENOENT ? Result<void>() : Result<void>(fail_errno(at.path()));
    }
    if (!S_ISSOCK(status.st_mode)) {
        return fail(Code::conflict, at.path() + ": there is something else than a socket");
    }
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (probe.get() < 0) {
        return fail_errno(at.path());
    }
    const SocketName name = to_socket_name(at);
    if (::connect(probe.get(), name.get(), name.size) == 0 || errno == EAGAIN) {
        return fail(Code::unavailable, at.path() + ": somebody listens there already");
    }
    if (errno != ECONNREFUSED) {
        return fail_errno(at.path());
    }
    return ::unlink(at.path().c_str()) == 0 ? Result<void>() : Result<void>(fail_errno(at.path()));
}

Failure<Error> fail_bind(const Endpoint& at) {
    if (errno == EADDRINUSE) {
        return fail(Code::unavailable, at.to_string() + ": in use");
    }
    return fail_errno(at.to_string());
}

Result<void> set_group(const std::string& path, const std::string& group) {
    constexpr std::size_t buffer_size_max = 1U << 20U;
    std::vector<char> buffer(1024);
    ::group entry{};
    ::group* found = nullptr;
    int error = 0;
    while ((error = ::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found)) ==
               ERANGE &&
           buffer.size() < buffer_size_max) {
        buffer.resize(2 * buffer.size());
    }
    if (error != 0 || found == nullptr) {
        return fail(Code::not_found, fmt::format("group '{}': expected one of this system", group));
    }
    if (::chown(path.c_str(), static_cast<uid_t>(-1), entry.gr_gid) != 0) {
        return fail_errno(fmt::format("{}: group '{}'", path, group));
    }
    return {};
}

void set_flag(int fd, int level, int option) {
    const int on = 1;
    ::setsockopt(fd, level, option, &on, sizeof on);
}

}  // namespace

Result<Fd> listen_on(const Endpoint& at, std::uint32_t socket_mode,
                     const std::string& socket_group) {
    if (at.is_unix()) {
        TRY(make_room_for(at));
    }
    const SocketName name = to_socket_name(at);
    Fd fd(::socket(family_of(name), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.is_open()) {
        return fail_errno(at.to_string());
    }
    if (!at.is_unix()) {
        set_flag(fd.get(), SOL_SOCKET, SO_REUSEADDR);
    }
    if (::bind(fd.get(), name.get(), name.size) != 0) {
        return fail_bind(at);
    }
    // Nobody can connect before listen(), so nobody sees the group and mode that bind() gave.
    if (at.is_unix() && !socket_group.empty()) {
        if (auto set = set_group(at.path(), socket_group); !set) {
            ::unlink(at.path().c_str());
            return fail(set.error());
        }
    }
    if (at.is_unix() && ::chmod(at.path().c_str(), socket_mode) != 0) {
        return fail_errno(at.to_string());
    }
    if (::listen(fd.get(), 128) != 0) {
        return fail_bind(at);
    }
    return fd;
}

Result<Fd> bind_udp(const Endpoint& at) {
    const SocketName name = to_socket_name(at);
    Fd fd(::socket(family_of(name), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.is_open()) {
        return fail_errno(at.to_string());
    }
    if (::bind(fd.get(), name.get(), name.size) != 0) {
        return fail_bind(at);
    }
    return fd;
}

Result<std::uint16_t> bound_port(int fd) {
    SocketName name;
    if (::getsockname(fd, name.get(), &name.size) != 0) {
        return fail_errno("getsockname");
    }
    return from_socket_name(name).port();
}

Result<Fd> connect_to(const Endpoint& to, std::chrono::milliseconds time_max) {
    const SteadyTime until = std::chrono::steady_clock::now() + time_max;
    const SocketName name = to_socket_name(to);
    Fd fd(::socket(family_of(name), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.is_open()) {
        return fail_errno(to.to_string());
    }
    int error = ::connect(fd.get(), name.get(), name.size) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        if (!poll_until(fd.get(), POLLOUT, until)) {
            return fail(Code::unavailable, to.to_string() + ": no connection in time");
        }
        socklen_t size = sizeof error;
        ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error != 0) {
        return fail(Code::unavailable,
                    to.to_string() + ": " + std::generic_category().message(error));
    }
    ::fcntl(fd.get(), F_SETFL, 0);
    if (!to.is_unix()) {
        set_flag(fd.get(), IPPROTO_TCP, TCP_NODELAY);
    }
    return fd;
}

Result<void> send_all(int fd, ByteView first, ByteView second) {
    while (!first.empty() || !second.empty()) {
        // iovec is for reading and writing; sendmsg only reads.
        std::array<iovec, 2> parts{{{const_cast<std::byte*>(first.data()), first.size()},
                                    {const_cast<std::byte*>(second.data()), second.size()}}};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return fail(Code::unavailable, "sending: " + std::generic_category().message(errno));
        }
        const auto count = static_cast<std::size_t>(sent);
        const auto of_first = std::min(count, first.size());
        first = first.subspan(of_first);
        second = second.subspan(count - of_first);
    }
    return {};
}

AcceptLoop::AcceptLoop(Fd listener, std::size_t connections_max, Serve serve,
                       std::function<void()> refused, Admit admit)
    : listener_(std::move(listener)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      connections_max_(connections_max),
      serve_(std::move(serve)),
      refused_(std::move(refused)),
      admit_(std::move(admit)),
      thread_([this] { run(); }) {}

void AcceptLoop::run() {
    while (!is_stopping_.load()) {
        std::array<pollfd, 2> fds{{{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
        // Without descriptors accept() fails at once, again and again: then wait a little, for a
        // connection to end.
        ::poll(fds.data(), fds.size(), -1);
        if (fds[1].revents != 0) {
            eventfd_t ignored = 0;
            ::eventfd_read(wake_.get(), &ignored);
        }
        reap();
        if (fds[0].revents != 0) {
            accept_one();
        }
    }
}

void AcceptLoop::accept_one() {
    SocketName name;
    Fd socket(::accept4(listener_.get(), name.get(), &name.size, SOCK_CLOEXEC));
    if (!socket.is_open()) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pollfd wake{wake_.get(), POLLIN, 0};
            ::poll(&wake, 1, 100);
        }
        return;
    }
    const PeerAddress peer = from_socket_name(name);
    if (admit_ && !admit_(peer)) {
        return;
    }
    if (open_.load() >= connections_max_) {
        refused_();
        return;
    }
    if (!peer.is_unix()) {
        set_flag(socket.get(), IPPROTO_TCP, TCP_NODELAY);
    }
    ++open_;
    Connection& connection = list_.emplace_back();
    connection.socket = std::move(socket);
    connection.thread = std::thread([this, &connection, peer] {
        serve_(connection.socket.get(), peer);
        // The other side must see the end now, not when the thread is joined.
        ::shutdown(connection.socket.get(), SHUT_RDWR);
        --open_;
        connection.is_done.store(true);
        ::eventfd_write(wake_.get(), 1);
    });
}

void AcceptLoop::reap() {
    for (auto it = list_.begin(); it != list_.end();) {
        if (it->is_done.load()) {
            it->thread.join();
            it = list_.erase(it);
        } else {
            ++it;
        }
    }
}

void AcceptLoop::stop() {
    std::call_once(stopped_, [this] {
        is_stopping_.store(true);
        ::eventfd_write(wake_.get(), 1);
        thread_.join();
        listener_.reset();
        for (const Connection& connection : list_) {
            ::shutdown(connection.socket.get(), SHUT_RDWR);
        }
        for (Connection& connection : list_) {
            connection.thread.join();
        }
        list_.clear();
    });
}

}  // namespace tapir::net
