#include <algorithm>
#include <array>
#include <deque>

#include <fmt/format.h>
#include <poll.h>

#include "dns_stream.hpp"
#include "sockets.hpp"
#include "tapir/net/dns_transport.hpp"
#include "tapir/world/system_error.hpp"

namespace tapir::net {

namespace {

// Fills `out` from `have` on.
DnsReceived receive_to(int fd, SteadyTime until, Bytes& out, std::size_t size) {
    while (out.size() < size) {
        if (!poll_until(fd, POLLIN, until)) {
            return DnsReceived::too_late;
        }
        const std::size_t had = out.size();
        out.resize(std::min(size, had + 16'384));
        const ssize_t got = ::recv(fd, out.data() + had, out.size() - had, MSG_DONTWAIT);
        out.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return DnsReceived::end;
        }
    }
    return DnsReceived::message;
}

class SocketConnection final : public DnsConnection {
public:
    SocketConnection(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

    Result<void> send(ByteView message) override {
        auto sent = send_dns_message(fd_.get(), message);
        return sent ? Result<void>() : Result<void>(fail(std::move(sent).error().at(name_)));
    }
    Result<Bytes> receive(std::chrono::milliseconds time_max) override {
        Bytes message;
        switch (
            receive_dns_message(fd_.get(), std::chrono::steady_clock::now() + time_max, message)) {
            case DnsReceived::message:
                return message;
            case DnsReceived::end:
                return fail(Code::unavailable, name_ + ": the connection has ended");
            case DnsReceived::too_late:
                break;
        }
        return fail(Code::unavailable, name_ + ": no message in time");
    }

private:
    Fd fd_;
    std::string name_;
};

class HandlerConnection final : public DnsConnection {
public:
    explicit HandlerConnection(DnsServer::Handler handler) : handler_(std::move(handler)) {}

    Result<void> send(ByteView message) override {
        answers_.push_back(handler_({message, loopback(), DnsTransport::tcp}));
        return {};
    }
    Result<Bytes> receive(std::chrono::milliseconds /*time_max*/) override {
        while (!answers_.empty()) {
            if (auto message = answers_.front().next()) {
                return *std::move(message);
            }
            answers_.pop_front();
        }
        return fail(Code::unavailable, "no message");
    }
    static PeerAddress loopback() { return PeerAddress::parse("127.0.0.1", 53).take(); }

private:
    DnsServer::Handler handler_;
    std::deque<DnsAnswer> answers_;
};

bool answers_to(ByteView answer, ByteView query) {
    return answer.size() >= dns_header_size && answer[0] == query[0] && answer[1] == query[1] &&
           (answer[2] & std::byte{0x80}) != std::byte{0};
}

}  // namespace

DnsReceived receive_dns_message(int fd, SteadyTime until, Bytes& message) {
    Bytes prefix;
    if (const auto got = receive_to(fd, until, prefix, 2); got != DnsReceived::message) {
        return got;
    }
    message.clear();
    return receive_to(fd, until, message, ByteReader(prefix).u16());
}

Result<void> send_dns_message(int fd, ByteView message) {
    TAPIR_ASSERT(message.size() <= dns_message_size_max);
    Bytes prefix;
    append_u16(prefix, static_cast<std::uint16_t>(message.size()));
    return send_all(fd, prefix, message);
}

Result<Bytes> DnsClient::query_tcp(const Endpoint& to, ByteView message,
                                   std::chrono::milliseconds time_max) {
    const auto connection = TRY(connect_tcp(to, time_max));
    TRY(connection->send(message));
    return connection->receive(time_max);
}

Result<Bytes> SystemDnsClient::query_udp(const Endpoint& to, ByteView message, const UdpTry& how) {
    TAPIR_ASSERT(message.size() >= dns_header_size && message.size() <= dns_message_size_max);
    if (to.is_unix()) {
        return fail(Code::invalid, to.to_string() + ": expected ADDRESS:PORT");
    }
    const SocketName name = to_socket_name(to);
    const Fd fd(::socket(name.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // Connected: the kernel gives us nothing from other addresses, and picks a port by chance.
    if (!fd.is_open() || ::connect(fd.get(), name.get(), name.size) != 0) {
        return world::fail_errno(to.to_string());
    }
    Bytes answer;
    auto wait = how.time_max;
    for (unsigned left = std::max(how.tries_max, 1U); left > 0; --left, wait *= 2) {
        const auto until = std::chrono::steady_clock::now() + wait;
        // What cannot be sent (nobody listens: told by the answer to the last try) is tried again.
        static_cast<void>(::send(fd.get(), message.data(), message.size(), MSG_NOSIGNAL));
        while (poll_until(fd.get(), POLLIN, until)) {
            answer.resize(dns_message_size_max);
            const ssize_t got = ::recv(fd.get(), answer.data(), answer.size(), 0);
            answer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
            if (answers_to(answer, message)) {
                return answer;
            }
        }
    }
    return fail(Code::unavailable,
                fmt::format("{}: no answer to {} queries", to.to_string(), how.tries_max));
}

Result<std::unique_ptr<DnsConnection>> SystemDnsClient::connect_tcp(
    const Endpoint& to, std::chrono::milliseconds time_max) {
    Fd fd = TRY(connect_to(to, time_max));
    return std::unique_ptr<DnsConnection>(
        std::make_unique<SocketConnection>(std::move(fd), to.to_string()));
}

Result<Bytes> MemoryDnsClient::query_udp(const Endpoint& to, ByteView message,
                                         const UdpTry& /*how*/) {
    auto answer = handler_({message, HandlerConnection::loopback(), DnsTransport::udp});
    if (auto out = answer.next()) {
        return *std::move(out);
    }
    return fail(Code::unavailable, to.to_string() + ": no answer");
}

Result<std::unique_ptr<DnsConnection>> MemoryDnsClient::connect_tcp(
    const Endpoint& /*to*/, std::chrono::milliseconds /*time_max*/) {
    return std::unique_ptr<DnsConnection>(std::make_unique<HandlerConnection>(handler_));
}

}  // namespace tapir::net
