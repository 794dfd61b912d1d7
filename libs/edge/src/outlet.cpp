#include "outlet.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "tapir/jose/http_signature.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/products/histogram.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t answer_size_max = 1U << 20U;  // octets
constexpr std::chrono::milliseconds send_time_max{60'000};

struct Route {
    std::string_view path;
    std::string_view type;
    int status;  // that means accepted
};

Route route_of(privacy::Product product) {
    if (product == privacy::Product::histogram) {
        return {"/api/v1/aggregate/histogram", "application/vnd.apache.parquet", 201};
    }
    return {"/api/v1/event/new_qname", "application/jose+json", 202};
}

Sent verdict_of(int status, int accepted) {
    if (status == accepted) {
        return Sent::accepted;
    }
    if (status == 401 || status == 403) {
        return Sent::denied;
    }
    return status == 408 || status == 429 || status >= 500 ? Sent::busy : Sent::refused;
}

class HttpsOutlet final : public Outlet {
public:
    HttpsOutlet(net::HttpClient& client, std::string url, std::string path,
                const jose::PrivateJwk& key)
        : client_(client), url_(std::move(url)), path_(std::move(path)), key_(key) {}

    // The client of this outlet alone.
    void own(std::unique_ptr<net::HttpClient> client) { own_ = std::move(client); }

    SendOutcome send(const privacy::Released<privacy::Payload>& payload,
                     const SendOptions& options) override {
        auto call = prepare(payload.value(), options);
        if (!call) {
            return {Sent::refused, call.error().what()};
        }
        const auto answer = client_.send(*call, &cancel_);
        if (!answer) {
            return {Sent::unavailable, answer.error().what()};
        }
        const Sent sent = verdict_of(answer->status, route_of(payload.value().product).status);
        std::string detail = fmt::format("status {}", answer->status);
        return {sent, std::move(detail)};
    }

    void cancel() override { cancel_.request(); }

private:
    Result<net::HttpCall> prepare(const privacy::Payload& payload, const SendOptions& options) {
        const Route route = route_of(payload.product);
        net::HttpCall call;
        call.method = "POST";
        call.url = url_ + path_ + std::string(route.path);
        call.time_max = send_time_max;
        call.answer_size_max = answer_size_max;
        call.fields.add("Content-Type", route.type);
        call.fields.add("Content-Digest", jose::content_digest(payload.octets));
        if (payload.product == privacy::Product::histogram) {
            const auto interval = TRY(products::parse_histogram_file_name(payload.name));
            call.fields.add("Aggregate-Interval", products::aggregate_interval(interval));
        }
        if (options.is_compatible) {
            call.fields.add("Tapir-Profile", "compatible");
        }
        const std::string length = std::to_string(payload.octets.size());
        std::vector<jose::FieldView> fields{{"content-length", length}};
        for (const net::HttpField& field : call.fields) {
            fields.push_back({field.name, field.value});
        }
        const std::string path = path_ + std::string(route.path);
        const jose::RequestView request{.method = call.method,
                                        .path = path,
                                        .query = {},
                                        .fields = fields,
                                        .body = payload.octets};
        const auto signature =
            TRY(jose::sign_request(key_, request, options.created, jose::Coverage::core));
        call.fields.add("Signature-Input", signature.signature_input);
        call.fields.add("Signature", signature.signature);
        call.body = payload.octets;
        return call;
    }

    std::unique_ptr<net::HttpClient> own_;
    net::HttpClient& client_;
    const std::string url_;   // without path
    const std::string path_;  // before ours; no slash at its end
    const jose::PrivateJwk& key_;
    net::Cancel cancel_;
};

Result<std::unique_ptr<HttpsOutlet>> outlet_over(net::HttpClient& client, const std::string& url,
                                                 const jose::PrivateJwk& key) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string::npos) {
        return fail(Code::invalid, "expected https://HOST:PORT");
    }
    const std::size_t slash = std::min(url.find('/', scheme + 3), url.size());
    std::string path = url.substr(slash);
    while (path.ends_with('/')) {
        path.pop_back();
    }
    return std::make_unique<HttpsOutlet>(client, url.substr(0, slash), std::move(path), key);
}

}  // namespace

std::string_view to_string(Sent sent) {
    static constexpr std::array<std::string_view, sent_count> names{"accepted", "unavailable",
                                                                    "busy", "denied", "refused"};
    return names.at(static_cast<std::size_t>(sent));
}

Result<std::unique_ptr<Outlet>> Outlet::open(const OutletSettings& settings,
                                             const jose::PrivateJwk& key) {
    auto client = TRY(net::open_http_client({.ca_file = settings.ca_file,
                                             .certificate_file = settings.certificate_file,
                                             .key_file = settings.key_file}));
    auto outlet = TRY(outlet_over(*client, settings.url, key));
    outlet->own(std::move(client));
    return std::unique_ptr<Outlet>(std::move(outlet));
}

Result<std::unique_ptr<Outlet>> Outlet::over(net::HttpClient& client,
                                             const OutletSettings& settings,
                                             const jose::PrivateJwk& key) {
    return std::unique_ptr<Outlet>(TRY(outlet_over(client, settings.url, key)));
}

}  // namespace tapir::edge
