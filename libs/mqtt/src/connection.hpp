// One connection to a broker over libmosquitto: made, used by one thread, thrown away. It never
// connects again by itself, so nothing of it can turn up in the next one.
//
//     auto connection = Connection::start(broker, address, options, sink, clock);
//     while (connection->wait(waker, 1s), connection->is_open()) {    // else: ended(), detail()
//         connection->read();     // calls `sink`; answers are queued, and not yet written
//         ...                     // keep what came
//         connection->write();    // only now do acknowledgements leave
//     }
//
// Invariant: nothing is written but in write() and close(). libmosquitto queues the acknowledgement
// of a message before it hands the message over, and would write it at once; told that it is
// threaded (mosquitto_threaded_set) it leaves all writing to the loop, and the loop is ours.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "address.hpp"
#include "tapir/mqtt/mqtt.hpp"

struct mosquitto;

namespace tapir::mqtt {

// Why a connection ended. Each value names a counter.
enum class Ended : std::uint8_t {
    closed,       // by us
    unreachable,  // no connection to the host
    tls,          // certificate, key or version
    refused,      // by the broker, when we said who we are
    denied,       // a subscription
    timeout,      // no answer in time
    not_kept,     // what came could not be kept: dropped without an acknowledgement
    lost,         // anything else
};
inline constexpr std::size_t ended_count = 8;
std::string_view to_string(Ended ended);

// What happens inside read(). All are called in the caller's thread.
class Sink {
public:
    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    virtual ~Sink() = default;
    // The broker has accepted us; no subscription stands yet unless the session has it.
    virtual void connected(bool /*has_session*/) {}
    // All topics are granted.
    virtual void subscribed() {}
    virtual void came(std::string_view /*topic*/, ByteView /*payload*/, bool /*is_retained*/) {}
    virtual void acknowledged(int /*message_id*/, int /*reason*/) {}
};

struct ConnectionOptions {
    std::string client_id;
    std::uint16_t keepalive_s = 30;
    std::uint32_t session_expiry_s = 0;  // 0: a session that ends with the connection
    std::uint16_t inflight_max = 256;    // in either direction
    std::vector<std::string> topics{};   // subscribed to as soon as connected
};

// An eventfd: how another thread ends a wait().
class Waker {
public:
    Waker();
    ~Waker();
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;
    void wake() const;
    int fd() const { return fd_; }

private:
    int fd_;
};

class Connection {
    struct Private {};

public:
    static std::unique_ptr<Connection> start(const Broker& broker, const Address& address,
                                             ConnectionOptions options, Sink& sink,
                                             const world::Clock& clock);
    Connection(Private /*only_start*/, ConnectionOptions options, Sink& sink,
               const world::Clock& clock);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    // Until there is something to do, `waker` wakes, or `time_max` (rounded up to milliseconds).
    void wait(const Waker& waker, Duration time_max);
    // Takes what came, at most about batch_size_max messages.
    void read();
    // Sends what is queued, and pings when it is time.
    void write();
    // Queues a message; its id, or what became of it at once.
    Result<int, Published> publish(const Message& message);

    // Says goodbye; what is queued goes out first.
    void close();
    // Drops the connection; what is queued never goes out.
    void cut(Ended why);

    bool is_open() const { return is_open_; }
    // The broker has accepted us, and our subscriptions.
    bool is_ready() const { return is_ready_; }
    Ended ended() const { return ended_; }
    const std::string& detail() const { return detail_; }

private:
    struct Callbacks;
    void connect(const Broker& broker, const Address& address);
    void set_up_tls(const Broker& broker);
    void finish_tcp();
    bool is_readable() const;
    // After each call into the library: whether the connection still stands; if not it is ended.
    bool check(int code);
    void end(Ended why, std::string detail);

    const ConnectionOptions options_;
    Sink& sink_;
    const world::Clock& clock_;
    mosquitto* library_ = nullptr;
    Duration deadline_{};  // by which it must be ready
    std::string error_;    // what the library said was wrong
    std::string detail_;
    Ended ended_ = Ended::lost;
    std::size_t taken_ = 0;  // messages in this read()
    bool is_open_ = true;
    bool is_tcp_ = false;       // the TCP connection stands
    bool is_reset_ = false;     // as the last wait() saw it
    bool is_accepted_ = false;  // by the broker
    bool is_ready_ = false;
};

}  // namespace tapir::mqtt
