#include <array>
#include <atomic>
#include <thread>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#include "dns_stream.hpp"
#include "sockets.hpp"
#include "tapir/net/dns_transport.hpp"
#include "tapir/world/system_error.hpp"

namespace tapir::net {

DnsAnswer DnsAnswer::one(Bytes message) {
    DnsAnswer out;
    out.next_ = [next = std::optional<Bytes>(std::move(message))]() mutable {
        return std::exchange(next, std::nullopt);
    };
    return out;
}

DnsAnswer DnsAnswer::many(Next next) {
    DnsAnswer out;
    out.next_ = std::move(next);
    return out;
}

namespace {

struct DnsCounters {
    DnsCounters(Counters& counters, const std::string& server)
        : udp(queries(counters, server, "udp")),
          tcp(queries(counters, server, "tcp")),
          is_short(refused(counters, server, "short")),
          connections(refused(counters, server, "connections")),
          idle(refused(counters, server, "idle")),
          write(refused(counters, server, "write")),
          oversized(refused(counters, server, "oversized")) {}

    static Counter& queries(Counters& counters, const std::string& server, const char* transport) {
        return counters.counter("tapir_dns_queries_total", "Messages received.",
                                {{"server", server}, {"transport", transport}});
    }
    static Counter& refused(Counters& counters, const std::string& server, const char* reason) {
        return counters.counter("tapir_dns_refused_total",
                                "Messages and connections not served to the end.",
                                {{"server", server}, {"reason", reason}});
    }

    Counter& udp;
    Counter& tcp;
    Counter& is_short;
    Counter& connections;
    Counter& idle;
    Counter& write;
    Counter& oversized;
};

class SystemDnsServer final : public DnsServer {
public:
    SystemDnsServer(const DnsServerSettings& settings, Fd udp, Fd tcp, std::uint16_t port,
                    Handler handler, const Log& log, Counters& counters)
        : settings_(settings),
          port_(port),
          handler_(std::move(handler)),
          counters_(counters, settings.name),
          udp_(std::move(udp)),
          wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
          udp_thread_([this] { run_udp(); }),
          loop_(
              std::move(tcp), settings.connections_max,
              [this](int fd, const PeerAddress& peer) { serve_tcp(fd, peer); },
              [this, &log] {
                  counters_.connections.add();
                  log.warn("net", "too many connections", {{"server", settings_.name}});
              }) {}
    SystemDnsServer(const SystemDnsServer&) = delete;
    SystemDnsServer& operator=(const SystemDnsServer&) = delete;
    ~SystemDnsServer() override { stop(); }

    std::uint16_t port() const override { return port_; }
    void stop() override {
        is_stopping_.store(true);
        ::eventfd_write(wake_.get(), 1);
        loop_.stop();
        std::call_once(joined_, [this] { udp_thread_.join(); });
    }

private:
    void run_udp() {
        Bytes buffer(dns_message_size_max);
        while (!is_stopping_.load()) {
            std::array<pollfd, 2> fds{{{udp_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
            ::poll(fds.data(), fds.size(), -1);
            SocketName from;
            const ssize_t got =
                ::recvfrom(udp_.get(), buffer.data(), buffer.size(), 0, from.get(), &from.size);
            if (got >= 0) {
                answer_udp(ByteView(buffer).first(static_cast<std::size_t>(got)), from);
            }
        }
    }

    void answer_udp(ByteView message, const SocketName& from) {
        counters_.udp.add();
        if (message.size() < dns_header_size) {
            counters_.is_short.add();
            return;
        }
        DnsAnswer answer = handler_({message, from_socket_name(from), DnsTransport::udp});
        const auto out = answer.next();
        if (!out) {
            return;
        }
        const ssize_t sent =
            ::sendto(udp_.get(), out->data(), out->size(), MSG_NOSIGNAL, from.get(), from.size);
        if (sent < 0) {
            (errno == EMSGSIZE ? counters_.oversized : counters_.write).add();
        }
    }

    void serve_tcp(int fd, const PeerAddress& peer) {
        const auto whole =
            std::chrono::duration_cast<std::chrono::microseconds>(settings_.write_time_max);
        const timeval limit{whole.count() / 1'000'000, whole.count() % 1'000'000};
        ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        Bytes message;
        while (!is_stopping_.load()) {
            const auto until = std::chrono::steady_clock::now() + settings_.idle_time_max;
            const auto got = receive_dns_message(fd, until, message);
            if (got == DnsReceived::too_late) {
                counters_.idle.add();
            }
            if (got != DnsReceived::message) {
                return;
            }
            counters_.tcp.add();
            if (message.size() < dns_header_size) {
                counters_.is_short.add();
                return;
            }
            if (!answer_tcp(fd, handler_({message, peer, DnsTransport::tcp}))) {
                return;
            }
        }
    }

    bool answer_tcp(int fd, DnsAnswer answer) {
        while (const auto out = answer.next()) {
            if (out->size() > dns_message_size_max) {
                counters_.oversized.add();
                return false;
            }
            if (!send_dns_message(fd, *out)) {
                counters_.write.add();
                return false;
            }
        }
        return true;
    }

    DnsServerSettings settings_;
    std::uint16_t port_;
    Handler handler_;
    DnsCounters counters_;
    Fd udp_;
    Fd wake_;
    std::atomic<bool> is_stopping_{false};
    std::once_flag joined_;
    std::thread udp_thread_;  // these two last: they use all of the above
    AcceptLoop loop_;
};

}  // namespace

Result<std::unique_ptr<DnsServer>> DnsServer::start(const DnsServerSettings& settings,
                                                    Handler handler, const Log& log,
                                                    Counters& counters) {
    if (settings.listen.is_unix()) {
        return fail(Code::invalid, settings.listen.to_string() + ": expected ADDRESS:PORT");
    }
    // With port 0 the system picks one for TCP that somebody else may have for UDP: pick again.
    constexpr int tries_max = 20;
    for (int left = settings.listen.port() == 0 ? tries_max : 1;; --left) {
        Fd tcp = TRY(listen_on(settings.listen, 0));
        const std::uint16_t port = TRY(bound_port(tcp.get()));
        auto udp = bind_udp(Endpoint::ip(settings.listen.address().with_port(port)));
        if (udp) {
            return std::unique_ptr<DnsServer>(
                std::make_unique<SystemDnsServer>(settings, std::move(*udp), std::move(tcp), port,
                                                  std::move(handler), log, counters));
        }
        if (left <= 1) {
            return fail(std::move(udp).error());
        }
    }
}

}  // namespace tapir::net
