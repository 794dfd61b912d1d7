#include "http_connection.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "http_request_parser.hpp"

namespace tapir::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using ErrorCode = beast::error_code;

HttpCounters::HttpCounters(Counters& all, const std::string& name)
    : counters(all),
      server(name),
      bad_request(refused("bad_request")),
      header_too_large(refused("header_too_large")),
      body_too_large(refused("body_too_large")),
      tls(refused("tls")),
      timeout(refused("timeout")),
      connections(refused("connections")),
      sse_slow(refused("sse_slow")) {}

Counter& HttpCounters::refused(const char* reason) const {
    return counters.counter("tapir_http_refused_total", "Connections and requests refused.",
                            {{"server", server}, {"reason", reason}});
}

Counter& HttpCounters::response(int status) const {
    return counters.counter("tapir_http_responses_total", "Answers by status.",
                            {{"server", server}, {"code", std::to_string(status)}});
}

// ---- SseQueue ----------------------------------------------------------------------------------

bool SseQueue::send(std::string_view id, std::string_view event, std::string_view data) {
    const std::lock_guard lock(mutex_);
    if (!is_open_) {
        return false;
    }
    const std::string octets = sse_event(id, event, data);
    if (octets.size() + octets_.size() + in_flight_ > size_max_) {
        is_open_ = false;
        is_slow_ = true;
        octets_.clear();
        slow_.add();
    } else {
        octets_ += octets;
    }
    wake_locked();
    return is_open_;
}

bool SseQueue::is_open() const {
    const std::lock_guard lock(mutex_);
    return is_open_;
}

void SseQueue::close() {
    const std::lock_guard lock(mutex_);
    is_open_ = false;
    wake_locked();
}

void SseQueue::begin(std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
}

void SseQueue::end() {
    const std::lock_guard lock(mutex_);
    is_open_ = false;
    octets_.clear();
    wake_ = nullptr;
}

SseQueue::Taken SseQueue::take() {
    const std::lock_guard lock(mutex_);
    Taken out{std::exchange(octets_, {}), !is_open_, is_slow_};
    in_flight_ = out.octets.size();
    return out;
}

void SseQueue::written() {
    const std::lock_guard lock(mutex_);
    in_flight_ = 0;
}

void SseQueue::wake_locked() {
    if (wake_) {
        wake_();
    }
}

namespace {

// The one common name of the client's verified certificate; empty if there is none, or several.
std::string common_name(SSL* ssl) {
    X509* certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) {
        return {};
    }
    X509_NAME* subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) {
        return {};
    }
    unsigned char* octets = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&octets, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size < 0) {
        return {};
    }
    const ByteView name(reinterpret_cast<const std::byte*>(octets), static_cast<std::size_t>(size));
    std::string out(as_text(name));
    OPENSSL_free(octets);
    if (out.find('\0') != std::string::npos) {
        out.clear();
    }
    return out;
}

// A handler that put a line break into a field would write a second one: it becomes a space.
std::string one_line(std::string_view text) {
    std::string out(text);
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
    return out;
}

std::string header_of(const HttpResponse& response, bool keep_alive, bool is_stream) {
    const auto phrase =
        http::obsolete_reason(http::int_to_status(static_cast<unsigned>(response.status)));
    std::string out = fmt::format("HTTP/1.1 {} {}\r\n", response.status,
                                  std::string_view(phrase.data(), phrase.size()));
    for (const auto& [name, value] : response.fields) {
        out += fmt::format("{}: {}\r\n", one_line(name), one_line(value));
    }
    if (!is_stream && response.status != 204 && response.status != 304) {
        out += fmt::format("Content-Length: {}\r\n", response.body.size());
    }
    return out + (keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
}

constexpr std::size_t linger_size_max = 1U << 20U;  // octets read and forgotten before closing
constexpr std::chrono::seconds linger_time_max{2};

// The order of events: start, handshake (TLS), then for each request header, body, handler (in the
// pool), answer; or header, handler, and events to the end. Whichever step schedules nothing more
// ends the connection: the last handler's pointer keeps it alive.
template <class Stream>
class Connection final : public HttpConnection,
                         public std::enable_shared_from_this<Connection<Stream>> {
    static constexpr bool is_tls = !std::is_same_v<Stream, beast::tcp_stream>;

public:
    Connection(HttpShared& shared, asio::ip::tcp::socket socket, PeerAddress peer)
        requires(!is_tls)
        : shared_(shared), peer_(peer), stream_(std::move(socket)), keep_alive_timer_(shared.io) {}

    Connection(HttpShared& shared, asio::ip::tcp::socket socket, PeerAddress peer,
               std::shared_ptr<asio::ssl::context> tls)
        requires is_tls
        : shared_(shared),
          peer_(peer),
          tls_(std::move(tls)),
          stream_(std::move(socket), *tls_),
          keep_alive_timer_(shared.io) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() override {
        if (events_) {
            events_->end();
        }
        shared_.on_end(this);
    }

    void start() override {
        is_idle_ = true;
        if constexpr (is_tls) {
            lowest().expires_after(shared_.settings.header_time_max);
            stream_.async_handshake(asio::ssl::stream_base::server,
                                    on(&Connection::handshake_done));
        } else {
            read_request(shared_.settings.header_time_max);
        }
    }

    void finish() override {
        is_finishing_ = true;
        if (events_) {
            events_->close();
        } else if (is_idle_) {
            close();
        }
    }

    void detach() override {
        if (events_) {
            events_->end();
        }
    }

private:
    beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }

    // `member` as a handler that keeps this connection alive.
    template <class Member>
    auto on(Member member) {
        return beast::bind_front_handler(member, this->shared_from_this());
    }

    void close() {
        ErrorCode ignored;
        lowest().socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
        lowest().close();
    }

    void handshake_done(ErrorCode error) {
        if (error) {
            (error == beast::error::timeout ? shared_.counters.timeout : shared_.counters.tls)
                .add();
            shared_.log.info("net", "TLS handshake failed",
                             {{"server", shared_.settings.name},
                              {"peer", peer_.to_string()},
                              {"reason", error.message()}});
            return;
        }
        if constexpr (is_tls) {
            client_name_ = common_name(stream_.native_handle());
        }
        read_request(shared_.settings.header_time_max);
    }

    void read_request(std::chrono::milliseconds time_max) {
        if (is_finishing_ || shared_.is_stopping.load()) {
            shut_down();
            return;
        }
        parser_ = std::make_unique<HttpRequestParser>();
        is_idle_ = true;
        lowest().expires_after(time_max);
        http::async_read_header(stream_, buffer_, *parser_, on(&Connection::header_done));
    }

    void header_done(ErrorCode error, std::size_t /*size*/) {
        is_idle_ = false;
        if (error) {
            refuse_input(error);
            return;
        }
        HttpRequest& request = parser_->request();
        request.peer = peer_;
        request.client_name = client_name_;
        if (!request.path.starts_with('/')) {
            shared_.counters.bad_request.add();
            refuse(400);
            return;
        }
        const auto match = shared_.routes.find(request.method, request.path);
        if (match.route == nullptr) {
            refuse(match.status);
            return;
        }
        route_ = match.route;
        if (parser_->content_length().value_or(0) > route_->body_size_max) {
            shared_.counters.body_too_large.add();
            refuse(413);
            return;
        }
        parser_->set_body_size_max(route_->body_size_max);
        if (parser_->is_done()) {
            handle();
        } else if (const auto expect = request.fields.find("Expect");
                   expect && buffer_.size() == 0) {
            send_continue();
        } else {
            read_body();
        }
    }

    void send_continue() {
        lowest().expires_after(shared_.settings.body_time_max);
        header_ = "HTTP/1.1 100 Continue\r\n\r\n";
        asio::async_write(stream_, asio::buffer(header_), on(&Connection::continue_sent));
    }
    void continue_sent(ErrorCode error, std::size_t /*size*/) {
        if (!error) {
            read_body();
        }
    }

    void read_body() {
        lowest().expires_after(shared_.settings.body_time_max);
        http::async_read(stream_, buffer_, *parser_, on(&Connection::body_done));
    }
    void body_done(ErrorCode error, std::size_t /*size*/) {
        if (error) {
            refuse_input(error);
            return;
        }
        handle();
    }

    void refuse_input(ErrorCode error) {
        if (error == http::error::header_limit || error == http::error::buffer_overflow) {
            shared_.counters.header_too_large.add();
            refuse(431);
        } else if (error == http::error::body_limit) {
            shared_.counters.body_too_large.add();
            refuse(413);
        } else if (error == http::error::end_of_stream) {
            shut_down();
        } else if (error == beast::error::timeout) {
            shared_.counters.timeout.add();
        } else if (error.category() == make_error_code(http::error::bad_method).category() &&
                   error != http::error::partial_message) {
            shared_.counters.bad_request.add();
            refuse(400);
        }
        // Else the connection broke: there is nobody to tell.
    }

    // Answers without having read the whole request, so the connection cannot be used again.
    void refuse(int status) {
        is_finishing_ = true;
        has_unread_ = true;
        answer(HttpResponse::error(status));
    }

    // ---- The handler, in the pool ----

    void handle() {
        lowest().expires_never();
        asio::post(shared_.pool, [self = this->shared_from_this()]() mutable {
            HttpShared& shared = self->shared_;
            std::optional<HttpResponse> response;
            std::shared_ptr<SseQueue> queue;
            const HttpRequest& request = self->parser_->request();
            if (self->route_->subscribe) {
                queue = std::make_shared<SseQueue>(shared.settings.sse_queue_size_max,
                                                   shared.counters.sse_slow);
                response = self->route_->subscribe(request, queue);
            } else {
                response = self->route_->handle(request);
            }
            // Moved, so that the last pointer is never this thread's.
            asio::post(shared.io, [self = std::move(self), response = std::move(response),
                                   queue = std::move(queue)]() mutable {
                if (response) {
                    if (queue) {
                        queue->close();
                    }
                    self->answer(*std::move(response));
                } else {
                    self->begin_events(std::move(queue));
                }
            });
        });
    }

    void answer(HttpResponse response) {
        // A parser that has refused a header cannot say whether it wanted to be kept.
        is_finishing_ = is_finishing_ || !parser_->keep_alive() || shared_.is_stopping.load();
        response_ = std::move(response);
        header_ = header_of(response_, !is_finishing_, false);
        shared_.counters.response(response_.status).add();
        lowest().expires_after(shared_.settings.body_time_max);
        // Not an array of two: Asio keeps its first part when that is written, with size 0, and
        // Beast's ssl_stream (1.81) then takes the whole for empty.
        const std::vector<asio::const_buffer> parts{
            asio::buffer(header_), asio::buffer(response_.body.data(), response_.body.size())};
        asio::async_write(stream_, parts, on(&Connection::answer_sent));
    }
    void answer_sent(ErrorCode error, std::size_t /*size*/) {
        if (error) {
            if (error == beast::error::timeout) {
                shared_.counters.timeout.add();
            }
            return;
        }
        response_ = {};
        if (is_finishing_) {
            shut_down();
        } else {
            read_request(shared_.settings.idle_time_max);
        }
    }

    // ---- The end ----

    void shut_down() {
        lowest().expires_after(linger_time_max);
        if constexpr (is_tls) {
            stream_.async_shutdown(on(&Connection::tls_ended));
        } else {
            linger();
        }
    }
    void tls_ended(ErrorCode /*error*/) { linger(); }

    // Closing a socket with unread input resets the connection, and the client may lose our answer:
    // so what it still sends is read, within limits, and forgotten.
    void linger() {
        ErrorCode error;
        lowest().socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
        if (error || !has_unread_) {
            close();
            return;
        }
        lowest().expires_after(linger_time_max);
        lingered_ = 0;
        linger_on({}, 0);
    }
    void linger_on(ErrorCode error, std::size_t size) {
        lingered_ += size;
        if (error || lingered_ > linger_size_max) {
            close();
            return;
        }
        lowest().async_read_some(asio::buffer(scratch_), on(&Connection::linger_on));
    }

    // ---- Event streams ----

    void begin_events(std::shared_ptr<SseQueue> queue) {
        events_ = std::move(queue);
        is_finishing_ = true;
        HttpResponse start;
        start.fields.add("Content-Type", "text/event-stream");
        start.fields.add("Cache-Control", "no-store");
        header_ = header_of(start, false, true);
        shared_.counters.response(200).add();
        // The reader sees when the client goes; it must not speak any more.
        lowest().expires_never();
        stream_.async_read_some(asio::buffer(scratch_), on(&Connection::client_spoke));
        events_->begin([&io = shared_.io, weak = this->weak_from_this()] {
            asio::post(io, [weak] {
                if (const auto self = weak.lock()) {
                    self->write_events();
                }
            });
        });
        if (shared_.is_stopping.load()) {
            events_->close();
        }
        write(std::exchange(header_, {}));
        keep_alive();
    }

    void client_spoke(ErrorCode /*error*/, std::size_t /*size*/) { end_events(); }

    void write(std::string octets) {
        writing_ = std::move(octets);
        is_writing_ = true;
        // Applies to the write alone: the read above is under way and has no limit.
        lowest().expires_after(shared_.settings.body_time_max);
        asio::async_write(stream_, asio::buffer(writing_), on(&Connection::events_written));
    }
    void events_written(ErrorCode error, std::size_t /*size*/) {
        is_writing_ = false;
        events_->written();
        if (error) {
            if (error == beast::error::timeout) {
                shared_.counters.timeout.add();
            }
            end_events();
            return;
        }
        write_events();
    }

    void write_events() {
        if (is_writing_ || is_over_) {
            return;
        }
        auto next = events_->take();
        if (!next.octets.empty()) {
            write(std::move(next.octets));
        } else if (next.is_slow) {
            end_events();
        } else if (next.is_last) {
            end_events_well();
        }
    }

    void keep_alive() {
        keep_alive_timer_.expires_after(shared_.settings.sse_keep_alive);
        keep_alive_timer_.async_wait([weak = this->weak_from_this()](ErrorCode error) {
            const auto self = weak.lock();
            if (error || !self || self->is_over_) {
                return;
            }
            if (!self->is_writing_) {
                self->write(":\n\n");
            }
            self->keep_alive();
        });
    }

    // Tells the client that this is the end, and not a broken connection. The reader is under way
    // without a limit, so the limit is the timer's.
    void end_events_well() {
        is_over_ = true;
        events_->end();
        keep_alive_timer_.expires_after(linger_time_max);
        keep_alive_timer_.async_wait([weak = this->weak_from_this()](ErrorCode error) {
            if (const auto self = weak.lock(); self && !error) {
                self->close();
            }
        });
        if constexpr (is_tls) {
            stream_.async_shutdown(on(&Connection::events_ended));
        } else {
            ErrorCode ignored;
            lowest().socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
        }
    }
    void events_ended(ErrorCode /*error*/) { close(); }

    void end_events() {
        if (is_over_) {
            return;
        }
        is_over_ = true;
        events_->end();
        keep_alive_timer_.cancel();
        close();
    }

    HttpShared& shared_;
    PeerAddress peer_;
    std::shared_ptr<asio::ssl::context> tls_;
    Stream stream_;
    std::string client_name_;
    // As large as a header and a piece of body may be; more is header_too_large.
    beast::flat_buffer buffer_{http_header_size_max + (64U << 10U)};
    std::unique_ptr<HttpRequestParser> parser_;  // made anew for each request
    const HttpRoute* route_ = nullptr;
    HttpResponse response_;
    std::string header_;
    bool is_idle_ = false;       // waits for a handshake or a request
    bool is_finishing_ = false;  // closes after the answer that is being made
    bool has_unread_ = false;    // the client may still be sending
    std::array<char, 4096> scratch_{};
    std::size_t lingered_ = 0;

    std::shared_ptr<SseQueue> events_;
    asio::steady_timer keep_alive_timer_;
    std::string writing_;
    bool is_writing_ = false;
    bool is_over_ = false;
};

}  // namespace

std::shared_ptr<HttpConnection> new_http_connection(HttpShared& shared,
                                                    asio::ip::tcp::socket socket,
                                                    std::shared_ptr<asio::ssl::context> tls) {
    ErrorCode error;
    // Without it the connection is only slower.
    (void)socket.set_option(asio::ip::tcp::no_delay(true), error);
    PeerAddress peer;
    if (const auto remote = socket.remote_endpoint(error); !error) {
        peer =
            PeerAddress::parse(remote.address().to_string(), remote.port()).value_or(PeerAddress());
    }
    if (tls) {
        return std::make_shared<Connection<beast::ssl_stream<beast::tcp_stream>>>(
            shared, std::move(socket), peer, std::move(tls));
    }
    return std::make_shared<Connection<beast::tcp_stream>>(shared, std::move(socket), peer);
}

}  // namespace tapir::net
