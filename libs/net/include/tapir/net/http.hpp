// HTTP messages as they are on the wire, and the routes that answer them. No sockets here: a
// service builds its HttpRoutes, and a server (http_server.hpp), a test or the simulator asks them.
//
//     HttpRoutes routes;
//     routes.add({.method = "POST", .path = "/api/v1/event/new_qname", .body_size_max = 64 << 20,
//                 .handle = [&](const HttpRequest& r) { return intake.events(r); }});
//
// Handlers run on several threads at once. What they capture must outlive the server.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/net/address.hpp"

namespace tapir::net {

inline constexpr std::size_t http_header_size_max = 16U << 10U;  // octets, request line included

// One header field, octets as sent: name in the sender's case, value without outer white space.
struct HttpField {
    std::string name;
    std::string value;
    friend bool operator==(const HttpField&, const HttpField&) = default;
};

// Header fields in the order sent, repeated ones kept apart: signatures are over these octets.
class HttpFields {
public:
    HttpFields() = default;
    HttpFields(std::initializer_list<HttpField> fields) : fields_(fields) {}

    void add(std::string_view name, std::string_view value) {
        fields_.push_back({std::string(name), std::string(value)});
    }
    // The first of this name (case does not count); nothing if there is none.
    std::optional<std::string_view> find(std::string_view name) const&;
    // All of this name, in order.
    std::vector<std::string_view> all(std::string_view name) const&;
    std::size_t count(std::string_view name) const { return all(name).size(); }

    const std::vector<HttpField>& list() const { return fields_; }
    auto begin() const { return fields_.begin(); }
    auto end() const { return fields_.end(); }

private:
    std::vector<HttpField> fields_;
};

struct HttpRequest {
    std::string method;  // as sent: "POST"
    std::string target;  // as sent: "/api/v1/observations?since=5"
    std::string path;    // of the target, up to '?'; not decoded
    std::string query;   // of the target, after '?'; not decoded
    HttpFields fields;
    Bytes body;  // exactly as sent, chunking undone
    PeerAddress peer;
    std::string client_name;  // subject common name of the verified client certificate; else empty

    // A parameter of the query, percent-decoded; nothing if it is absent or malformed.
    std::optional<std::string> parameter(std::string_view name) const;
};

// Content-Length and Connection are added by the server: do not set them. There is no Date: ports
// of octets have no clock.
struct HttpResponse {
    int status = 200;
    HttpFields fields{};
    Bytes body{};

    static HttpResponse text(int status, std::string_view body,
                             std::string_view type = "text/plain; charset=utf-8");
    // The status, with its standard phrase as a line of text.
    static HttpResponse error(int status);
};

// One subscriber of server-sent events. Any thread may call; nothing blocks. Events that are sent
// after the connection ended vanish: ask is_open().
class SseStream {
public:
    virtual ~SseStream() = default;

    // Queues one event. An empty `id` or `event` is left out; `data` may have line breaks. False if
    // the stream is closed, or has just been closed because its queue was full (a slow consumer:
    // it comes back with Last-Event-ID; counted as sse_slow).
    virtual bool send(std::string_view id, std::string_view event, std::string_view data) = 0;
    virtual bool is_open() const = 0;
    // Ends the response after what is queued.
    virtual void close() = 0;
};

// The octets of one event on the wire.
std::string sse_event(std::string_view id, std::string_view event, std::string_view data);

struct HttpRoute {
    using Handle = std::function<HttpResponse(const HttpRequest&)>;
    // Called once for each subscriber. It keeps `stream` and sends from any thread, then and later.
    // An error status refuses: return it and let go of `stream`. Nothing: the stream begins.
    using Subscribe = std::function<std::optional<HttpResponse>(
        const HttpRequest&, const std::shared_ptr<SseStream>& stream)>;

    std::string method = "GET";
    std::string path{};             // whole; with a final "*" a prefix: "/explain/*"
    std::size_t body_size_max = 0;  // octets; more is answered 413 before it is read
    Handle handle{};                // one of these two
    Subscribe subscribe{};
};

class HttpRoutes {
public:
    // Whole paths win over prefixes, longer prefixes over shorter.
    void add(HttpRoute route);

    struct Match {
        const HttpRoute* route = nullptr;
        int status = 404;  // if there is no route: 404, or 405 when only the method is wrong
    };
    Match find(std::string_view method, std::string_view path) const;
    // The answer to a whole request, limits included. A route that subscribes answers 406 here.
    HttpResponse answer(const HttpRequest& request) const;

private:
    std::vector<HttpRoute> routes_;
};

// Splits `target` into path and query; for who makes requests by hand.
void set_target(HttpRequest& request, std::string_view target);

}  // namespace tapir::net
