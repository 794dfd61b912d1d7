#include "connection.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <limits>
#include <mutex>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tapir/base/assert.hpp"

namespace tapir::mqtt {
namespace {

using namespace std::chrono_literals;

constexpr Duration ready_time_max = 10s;
// Beside topic and payload: header, identifier, properties that others may add.
constexpr std::uint32_t packet_overhead_max = 8U << 10U;

// The library counts its users, but not in a way that threads may share.
void init_library() {
    static const int code = mosquitto_lib_init();
    TAPIR_ASSERT(code == MOSQ_ERR_SUCCESS);
}

// Dials, and does not wait for TCP. The first to get so far over TLS sets up what all of the
// library's connections share, again not in a way that threads may share: alone, until one has.
int dial(mosquitto* library, const Address& address, int keepalive_s) {
    static std::mutex mutex;
    static std::atomic<bool> is_set_up{false};
    std::unique_lock lock(mutex, std::defer_lock);
    if (address.is_tls && !is_set_up.load()) {
        lock.lock();
    }
    const int code = mosquitto_connect_bind_async(library, address.host.c_str(), address.port,
                                                  keepalive_s, nullptr);
    if (address.is_tls && mosquitto_socket(library) >= 0) {
        is_set_up.store(true);
    }
    return code;
}

class Properties {
public:
    Properties() = default;
    Properties(const Properties&) = delete;
    Properties& operator=(const Properties&) = delete;
    ~Properties() { mosquitto_property_free_all(&list_); }
    void add(int identifier, std::uint32_t value) {
        TAPIR_ASSERT(mosquitto_property_add_int32(&list_, identifier, value) == MOSQ_ERR_SUCCESS);
    }
    const mosquitto_property* get() const { return list_; }

private:
    mosquitto_property* list_ = nullptr;
};

int to_ms(Duration duration) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
    return static_cast<int>(std::clamp<std::int64_t>(ms, 0, std::numeric_limits<int>::max()));
}

}  // namespace

std::string_view to_string(Ended ended) {
    static constexpr std::array<std::string_view, ended_count> names{
        "closed", "unreachable", "tls", "refused", "denied", "timeout", "not_kept", "lost"};
    return names.at(static_cast<std::size_t>(ended));
}

Waker::Waker() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    TAPIR_ASSERT(fd_ >= 0);
}

Waker::~Waker() {
    ::close(fd_);
}

void Waker::wake() const {
    ::eventfd_write(fd_, 1);
}

// What the library calls, inside read().
struct Connection::Callbacks {
    static Connection& of(void* object) { return *static_cast<Connection*>(object); }

    static void connected(mosquitto* library, void* object, int reason, int flags,
                          const mosquitto_property* /*properties*/) {
        Connection& self = of(object);
        if (reason != MQTT_RC_SUCCESS) {
            self.end(Ended::refused, mosquitto_reason_string(reason));
            return;
        }
        self.is_accepted_ = true;
        self.sink_.connected((flags & 1) != 0);
        const auto& topics = self.options_.topics;
        if (topics.empty()) {
            self.is_ready_ = true;
            return;
        }
        std::vector<char*> filters;
        filters.reserve(topics.size());
        for (const std::string& topic : topics) {
            filters.push_back(const_cast<char*>(topic.c_str()));  // the library only reads them
        }
        const int code = mosquitto_subscribe_multiple(
            library, nullptr, static_cast<int>(filters.size()), filters.data(), 1,
            MQTT_SUB_OPT_SEND_RETAIN_NEVER, nullptr);
        if (code != MOSQ_ERR_SUCCESS) {
            self.end(Ended::lost, mosquitto_strerror(code));
        }
    }

    static void subscribed(mosquitto* /*library*/, void* object, int /*message_id*/, int count,
                           const int* granted, const mosquitto_property* /*properties*/) {
        Connection& self = of(object);
        const auto& topics = self.options_.topics;
        if (count < 0 || static_cast<std::size_t>(count) != topics.size()) {
            // An answer to some other question (MQTT 5 §3.9.3: one code for each filter, in order).
            self.end(Ended::lost, fmt::format("{} answers to {} topics", count, topics.size()));
            return;
        }
        const std::span answers(granted, static_cast<std::size_t>(count));
        const auto bad = std::ranges::find_if(answers, [](int qos) { return qos != 1; });
        if (bad != answers.end()) {
            const auto index = static_cast<std::size_t>(bad - answers.begin());
            self.end(Ended::denied,
                     fmt::format("{}: {}", topics[index],
                                 *bad == 0 ? "not at QoS 1" : mosquitto_reason_string(*bad)));
            return;
        }
        self.is_ready_ = true;
        self.sink_.subscribed();
    }

    static void came(mosquitto* /*library*/, void* object, const mosquitto_message* message,
                     const mosquitto_property* /*properties*/) {
        Connection& self = of(object);
        const auto size = static_cast<std::size_t>(message->payloadlen);
        ++self.taken_;
        self.sink_.came(message->topic,
                        std::as_bytes(std::span(static_cast<const char*>(message->payload), size)),
                        message->retain);
        // For each packet that it queues (here the acknowledgement) the library writes an octet
        // into a socket pair of its own, which only its own loop would empty. Once that is full
        // errno is EAGAIN; the library takes it for that of the connection, and leaves what TLS has
        // already deciphered until something else arrives.
        errno = 0;
    }

    static void acknowledged(mosquitto* /*library*/, void* object, int message_id, int reason,
                             const mosquitto_property* /*properties*/) {
        of(object).sink_.acknowledged(message_id, reason);
    }

    static void ended(mosquitto* /*library*/, void* object, int reason,
                      const mosquitto_property* /*properties*/) {
        Connection& self = of(object);
        if (reason >= MQTT_RC_UNSPECIFIED) {
            self.error_ = mosquitto_reason_string(reason);
        }
    }

    static void logged(mosquitto* /*library*/, void* object, int level, const char* text) {
        // The first says why; what follows only repeats it.
        if (level == MOSQ_LOG_ERR && of(object).error_.empty()) {
            of(object).error_ = text;
        }
    }
};

std::unique_ptr<Connection> Connection::start(const Broker& broker, const Address& address,
                                              ConnectionOptions options, Sink& sink,
                                              const world::Clock& clock) {
    auto out = std::make_unique<Connection>(Private{}, std::move(options), sink, clock);
    out->connect(broker, address);
    return out;
}

Connection::Connection(Private /*only_start*/, ConnectionOptions options, Sink& sink,
                       const world::Clock& clock)
    : options_(std::move(options)), sink_(sink), clock_(clock) {}

Connection::~Connection() {
    if (is_open_) {
        cut(Ended::closed);
    }
    mosquitto_destroy(library_);
}

void Connection::set_up_tls(const Broker& broker) {
    const auto or_null = [](const std::string& path) {
        return path.empty() ? nullptr : path.c_str();
    };
    constexpr int verify_peer = 1;  // SSL_VERIFY_PEER
    int code =
        mosquitto_tls_set(library_, broker.ca_file.c_str(), nullptr,
                          or_null(broker.certificate_file), or_null(broker.key_file), nullptr);
    if (code == MOSQ_ERR_SUCCESS) {
        code = mosquitto_tls_opts_set(library_, verify_peer, "tlsv1.3", nullptr);
    }
    if (code != MOSQ_ERR_SUCCESS) {
        end(Ended::tls, "certificate or key cannot be read");
    }
}

void Connection::connect(const Broker& broker, const Address& address) {
    init_library();
    const bool is_clean = options_.session_expiry_s == 0;
    library_ = mosquitto_new(options_.client_id.c_str(), is_clean, this);
    if (library_ == nullptr) {
        end(Ended::lost, "the library has no memory, or the client id is not UTF-8");
        return;
    }
    mosquitto_threaded_set(library_, true);
    mosquitto_int_option(library_, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(library_, MOSQ_OPT_RECEIVE_MAXIMUM, options_.inflight_max);
    mosquitto_int_option(library_, MOSQ_OPT_SEND_MAXIMUM, options_.inflight_max);
    mosquitto_int_option(library_, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_connect_v5_callback_set(library_, &Callbacks::connected);
    mosquitto_subscribe_v5_callback_set(library_, &Callbacks::subscribed);
    mosquitto_message_v5_callback_set(library_, &Callbacks::came);
    mosquitto_publish_v5_callback_set(library_, &Callbacks::acknowledged);
    mosquitto_disconnect_v5_callback_set(library_, &Callbacks::ended);
    mosquitto_log_callback_set(library_, &Callbacks::logged);
    if (address.is_tls) {
        set_up_tls(broker);
        if (!is_open_) {
            return;
        }
    }
    Properties properties;
    properties.add(
        MQTT_PROP_MAXIMUM_PACKET_SIZE,
        static_cast<std::uint32_t>(topic_size_max + payload_size_max) + packet_overhead_max);
    if (!is_clean) {
        properties.add(MQTT_PROP_SESSION_EXPIRY_INTERVAL, options_.session_expiry_s);
    }
    // The library takes properties only with a call that waits for TCP, which could hold up a stop
    // for minutes. So that call gets an address to which there is no way (port 0, no path), and
    // fails at once; the properties stay, and the next call, which does not wait, sends them.
    mosquitto_connect_bind_v5(library_, "", 0, options_.keepalive_s, nullptr, properties.get());
    error_.clear();
    const int code = dial(library_, address, options_.keepalive_s);
    if (mosquitto_socket(library_) < 0) {
        const bool is_tls = code == MOSQ_ERR_TLS;
        end(is_tls ? Ended::tls : Ended::unreachable, !error_.empty() ? error_
                                                      : code == MOSQ_ERR_ERRNO
                                                          ? std::generic_category().message(errno)
                                                          : mosquitto_strerror(code));
    }
    // From here: looking up the host, which waits, is not the broker's time.
    deadline_ = clock_.monotonic() + ready_time_max;
}

void Connection::end(Ended why, std::string detail) {
    if (std::exchange(is_open_, false)) {
        ended_ = why;
        detail_ = std::move(detail);
        is_ready_ = false;
    }
}

bool Connection::check(int code) {
    if (is_open_ && code == MOSQ_ERR_SUCCESS && mosquitto_socket(library_) >= 0) {
        return true;
    }
    Ended why = Ended::lost;
    if (code == MOSQ_ERR_TLS || (!is_accepted_ && error_.find("SSL") != std::string::npos)) {
        why = Ended::tls;
    } else if (code == MOSQ_ERR_KEEPALIVE) {
        why = Ended::timeout;
    }
    end(why, error_.empty() ? mosquitto_strerror(code) : error_);
    return false;
}

void Connection::wait(const Waker& waker, Duration time_max) {
    const int socket = mosquitto_socket(library_);
    if (!is_open_ || socket < 0) {
        check(MOSQ_ERR_CONN_LOST);
        return;
    }
    const bool wants_write = !is_tcp_ || mosquitto_want_write(library_);
    std::array<pollfd, 2> waiting{
        pollfd{socket, static_cast<short>(wants_write ? POLLIN | POLLOUT : POLLIN), 0},
        pollfd{waker.fd(), POLLIN, 0}};
    ::poll(waiting.data(), waiting.size(), to_ms(time_max));
    if ((waiting[1].revents & POLLIN) != 0) {
        eventfd_t ignored = 0;
        ::eventfd_read(waker.fd(), &ignored);
    }
    if (!is_ready_ && clock_.monotonic() >= deadline_) {
        end(Ended::timeout, "no answer in time");
    }
    is_reset_ = (waiting[0].revents & (POLLERR | POLLHUP)) != 0;
    if (!is_tcp_ && waiting[0].revents != 0) {
        finish_tcp();
    }
}

void Connection::finish_tcp() {
    const int socket = mosquitto_socket(library_);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
    // The library's first attempt at TLS may have taken the error away. What the broker has said
    // before it hung up is read first.
    int waiting = 0;
    ::ioctl(socket, FIONREAD, &waiting);
    is_tcp_ = !is_reset_ || waiting > 0;
    if (!is_tcp_) {
        end(Ended::unreachable, error != 0 ? std::generic_category().message(error)
                                           : "the host does not take the connection");
    }
}

bool Connection::is_readable() const {
    pollfd waiting{mosquitto_socket(library_), POLLIN, 0};
    return waiting.fd >= 0 && ::poll(&waiting, 1, 0) > 0;
}

void Connection::read() {
    taken_ = 0;
    // Once at least: a handshake moves on by reading, also when it waits to write. During it once
    // at most: only wait() sees a connection that was reset.
    while (is_open_ && is_tcp_ && check(mosquitto_loop_read(library_, 1)) && is_accepted_ &&
           taken_ < batch_size_max && is_readable()) {
    }
    if (is_reset_ && !is_accepted_) {
        // During the handshake the library takes a reset for "not yet", and would over and over.
        end(Ended::lost, "the connection was reset before the broker had accepted us");
    }
}

void Connection::write() {
    if (is_open_ && is_tcp_ && check(mosquitto_loop_write(library_, 1)) && is_accepted_) {
        check(mosquitto_loop_misc(library_));
    }
}

Result<int, Published> Connection::publish(const Message& message) {
    int id = 0;
    const int code = mosquitto_publish_v5(library_, &id, message.topic.c_str(),
                                          static_cast<int>(message.payload.size()),
                                          message.payload.data(), 1, false, nullptr);
    switch (code) {
        case MOSQ_ERR_SUCCESS:
            return id;
        case MOSQ_ERR_INVAL:
        case MOSQ_ERR_MALFORMED_UTF8:
        case MOSQ_ERR_PAYLOAD_SIZE:
        case MOSQ_ERR_OVERSIZE_PACKET:
            return fail(Published::refused);
        default:
            return fail(Published::unavailable);
    }
}

void Connection::close() {
    if (is_open_ && is_accepted_) {
        mosquitto_disconnect_v5(library_, MQTT_RC_NORMAL_DISCONNECTION, nullptr);
        mosquitto_loop_write(library_, 1);
    }
    cut(Ended::closed);
}

void Connection::cut(Ended why) {
    const int socket = library_ == nullptr ? -1 : mosquitto_socket(library_);
    if (socket >= 0) {
        // From here on the kernel takes nothing more from us, whatever the library still tries.
        ::shutdown(socket, SHUT_RDWR);
    }
    end(why, {});
}

}  // namespace tapir::mqtt
