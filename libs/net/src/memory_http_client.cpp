#include <array>
#include <mutex>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "sockets.hpp"
#include "tapir/net/http_client.hpp"

namespace tapir::net {

namespace {

// Octets from the handler's thread to the subscriber's. The eventfd is readable when there are any.
class MemorySseStream final : public SseStream {
public:
    MemorySseStream() : ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

    bool send(std::string_view id, std::string_view event, std::string_view data) override {
        const std::lock_guard lock(mutex_);
        if (is_open_) {
            octets_ += sse_event(id, event, data);
            ::eventfd_write(ready_.get(), 1);
        }
        return is_open_;
    }
    bool is_open() const override {
        const std::lock_guard lock(mutex_);
        return is_open_;
    }
    void close() override {
        const std::lock_guard lock(mutex_);
        is_open_ = false;
        ::eventfd_write(ready_.get(), 1);
    }
    int fd() const { return ready_.get(); }
    std::string take() {
        const std::lock_guard lock(mutex_);
        eventfd_t ignored = 0;
        ::eventfd_read(ready_.get(), &ignored);
        return std::exchange(octets_, {});
    }

private:
    Fd ready_;
    mutable std::mutex mutex_;
    std::string octets_;
    bool is_open_ = true;
};

class MemoryHttpClient final : public HttpClient {
public:
    MemoryHttpClient(const HttpRoutes& routes, std::string client_name)
        : routes_(routes), client_name_(std::move(client_name)) {}

    Result<HttpResponse> send(const HttpCall& call, const Cancel* cancel) override {
        if (cancel != nullptr && cancel->requested()) {
            return fail(Code::unavailable, call.url + ": cancelled");
        }
        const HttpRequest request = TRY(request_of(call, client_name_));
        HttpResponse out = routes_.answer(request);
        if (out.body.size() > call.answer_size_max) {
            return fail(Code::exhausted, fmt::format("{}: an answer of more than {} octets",
                                                     call.url, call.answer_size_max));
        }
        return out;
    }

    Result<void> subscribe(const HttpCall& call, const Cancel& cancel,
                           const std::function<void(const SseEvent&)>& on_event,
                           const StreamLimits& limits,
                           const std::function<void()>& on_open) override {
        const HttpRequest request = TRY(request_of(call, client_name_));
        const auto match = routes_.find(request.method, request.path);
        int status = match.status;
        const auto stream = std::make_shared<MemorySseStream>();
        if (match.route != nullptr) {
            const auto refusal = match.route->subscribe ? match.route->subscribe(request, stream)
                                                        : HttpResponse::error(406);
            status = refusal ? refusal->status : 200;
        }
        if (status != 200) {
            stream->close();
            return fail(status == 401 || status == 403
                            ? Code::denied
                            : (status == 404 ? Code::not_found : Code::unavailable),
                        fmt::format("{}: status {}", call.url, status));
        }
        if (on_open) {
            on_open();
        }
        auto ended = read(call, cancel, *stream, on_event, limits);
        stream->close();
        return ended;
    }

private:
    static Result<void> read(const HttpCall& call, const Cancel& cancel, MemorySseStream& stream,
                             const std::function<void(const SseEvent&)>& on_event,
                             const StreamLimits& limits) {
        SseParser parser(limits.sse);
        auto until = std::chrono::steady_clock::now() + limits.silence_max;
        while (!cancel.requested()) {
            const bool was_open = stream.is_open();
            const std::string octets = stream.take();
            if (!octets.empty()) {
                until = std::chrono::steady_clock::now() + limits.silence_max;
                TRY(parser.feed(as_bytes(octets), on_event));
                continue;
            }
            if (!was_open) {
                return {};
            }
            std::array<pollfd, 2> fds{{{stream.fd(), POLLIN, 0}, {cancel.fd(), POLLIN, 0}}};
            if (::poll(fds.data(), fds.size(), poll_ms(until)) == 0) {
                return fail(Code::unavailable, call.url + ": silent for too long");
            }
        }
        return fail(Code::unavailable, call.url + ": cancelled");
    }

    const HttpRoutes& routes_;
    std::string client_name_;
};

}  // namespace

Result<HttpRequest> request_of(const HttpCall& call, std::string_view client_name) {
    const auto scheme = call.url.find("://");
    if (scheme == std::string::npos) {
        return fail(Code::invalid, fmt::format("no URL: '{}'", call.url));
    }
    const auto path = call.url.find('/', scheme + 3);
    HttpRequest request;
    request.method = call.method;
    set_target(request, path == std::string::npos ? "/" : call.url.substr(path));
    request.fields.add("Host", call.url.substr(scheme + 3, path - scheme - 3));
    for (const auto& [name, value] : call.fields) {
        request.fields.add(name, value);
    }
    if (!call.body.empty()) {
        request.fields.add("Content-Length", std::to_string(call.body.size()));
    }
    request.body = call.body;
    request.peer = TRY(PeerAddress::parse("127.0.0.1", 1));
    request.client_name = client_name;
    return request;
}

std::unique_ptr<HttpClient> open_memory_http_client(const HttpRoutes& routes,
                                                    std::string client_name) {
    return std::make_unique<MemoryHttpClient>(routes, std::move(client_name));
}

}  // namespace tapir::net
