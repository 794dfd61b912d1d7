#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/text/json.hpp"

namespace tapir::cli {
namespace {

constexpr std::size_t answer_size_max = 1U << 20U;

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace

Result<std::string> explain(const std::string& url, const std::string& name) {
    const auto client = TRY(net::open_http_client({}));
    net::HttpCall call;
    call.url = fmt::format("{}/explain?name={}", url, percent_encoded(name));
    call.answer_size_max = answer_size_max;
    const net::HttpResponse answer = TRY(client->send(call));
    const std::string_view body = as_text(answer.body);
    if (answer.status != 200) {
        return fail(Code::unavailable, fmt::format("{}: status {}: {}", url, answer.status, body));
    }
    return TRY(text::Json::parse(body)).to_pretty() + "\n";
}

}  // namespace tapir::cli
