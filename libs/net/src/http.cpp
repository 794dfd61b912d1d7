#include "tapir/net/http.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace tapir::net {

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i] == '+' ? ' ' : text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return std::nullopt;
        }
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

std::string_view phrase_of(int status) {
    constexpr std::array<std::pair<int, std::string_view>, 17> phrases{{
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {507, "Insufficient Storage"},
    }};
    for (const auto& [code, phrase] : phrases) {
        if (code == status) {
            return phrase;
        }
    }
    return "Error";
}

bool fits(const HttpRoute& route, std::string_view path) {
    if (route.path.ends_with('*')) {
        return path.starts_with(std::string_view(route.path).substr(0, route.path.size() - 1));
    }
    return route.path == path;
}

// A whole path before every prefix, a longer prefix before a shorter.
std::size_t rank(const HttpRoute& route) {
    return route.path.ends_with('*') ? route.path.size() : SIZE_MAX;
}

}  // namespace

std::optional<std::string_view> HttpFields::find(std::string_view name) const& {
    for (const auto& field : fields_) {
        if (same_name(field.name, name)) {
            return field.value;
        }
    }
    return std::nullopt;
}

std::vector<std::string_view> HttpFields::all(std::string_view name) const& {
    std::vector<std::string_view> out;
    for (const auto& field : fields_) {
        if (same_name(field.name, name)) {
            out.emplace_back(field.value);
        }
    }
    return out;
}

std::optional<std::string> HttpRequest::parameter(std::string_view name) const {
    std::string_view rest = query;
    while (!rest.empty()) {
        const auto pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
        const auto equals = pair.find('=');
        if (percent_decode(pair.substr(0, equals)) == name) {
            return equals == std::string_view::npos ? std::optional<std::string>("")
                                                    : percent_decode(pair.substr(equals + 1));
        }
    }
    return std::nullopt;
}

HttpResponse HttpResponse::text(int status, std::string_view body, std::string_view type) {
    HttpResponse out;
    out.status = status;
    out.fields.add("Content-Type", type);
    out.body = to_bytes(body);
    return out;
}

HttpResponse HttpResponse::error(int status) {
    return text(status, fmt::format("{} {}\n", status, phrase_of(status)));
}

std::string sse_event(std::string_view id, std::string_view event, std::string_view data) {
    // In id and event a line break would begin another field; nobody means that.
    const auto one_line = [](std::string_view text) {
        return text.substr(0, text.find_first_of(std::string_view("\r\n\0", 3)));
    };
    std::string out;
    if (!id.empty()) {
        out += fmt::format("id: {}\n", one_line(id));
    }
    if (!event.empty()) {
        out += fmt::format("event: {}\n", one_line(event));
    }
    for (;;) {
        const auto end = data.find_first_of("\r\n");
        out += "data: ";
        out += data.substr(0, end);
        out += '\n';
        if (end == std::string_view::npos) {
            break;
        }
        data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
    }
    return out + "\n";
}

void HttpRoutes::add(HttpRoute route) {
    TAPIR_ASSERT(route.path.starts_with('/') && !route.handle == !!route.subscribe);
    routes_.push_back(std::move(route));
}

HttpRoutes::Match HttpRoutes::find(std::string_view method, std::string_view path) const {
    Match match;
    bool is_path_known = false;
    for (const auto& route : routes_) {
        if (!fits(route, path)) {
            continue;
        }
        is_path_known = true;
        if (route.method == method &&
            (match.route == nullptr || rank(route) > rank(*match.route))) {
            match.route = &route;
        }
    }
    match.status = match.route != nullptr ? 200 : (is_path_known ? 405 : 404);
    return match;
}

HttpResponse HttpRoutes::answer(const HttpRequest& request) const {
    const Match match = find(request.method, request.path);
    if (match.route == nullptr) {
        return HttpResponse::error(match.status);
    }
    if (request.body.size() > match.route->body_size_max) {
        return HttpResponse::error(413);
    }
    return match.route->handle ? match.route->handle(request) : HttpResponse::error(406);
}

void set_target(HttpRequest& request, std::string_view target) {
    const auto mark = target.find('?');
    request.target = target;
    request.path = target.substr(0, mark);
    request.query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
}

}  // namespace tapir::net
