#include "outlet.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "tapir/jose/http_signature.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/mqtt/broker_settings.hpp"
#include "tapir/mqtt/mqtt.hpp"
#include "tapir/net/http_client.hpp"
#include "tapir/products/histogram.hpp"
#include "tapir/products/sightings.hpp"
#include "tapir/text/json.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t answer_size_max = 1U << 20U;  // octets
constexpr std::chrono::milliseconds send_time_max{60'000};
constexpr std::chrono::milliseconds group_time_max{20'000};  // less than its rhythm
constexpr std::chrono::milliseconds probe_time_max{10'000};

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

// What the core says of the events of a batch: {"accepted":1,"duplicate":0,"rejected":[{"index":1,
// "reason":"in_future"}, …]}. It lists no more than a thousand, so the numbers say how many. An
// answer of another form tells nothing.
void read_rejected(std::string_view answer, const privacy::Payload& payload, SendOutcome& outcome) {
    const auto json = text::Json::parse(answer);
    if (!json) {
        return;
    }
    const auto accepted = json->integer("accepted");
    const auto duplicate = json->integer("duplicate");
    const auto rejected = json->array_of("rejected");
    if (!accepted || !duplicate || !rejected || rejected->empty()) {
        return;
    }
    const auto sent = jose::split_batch(as_text(payload.octets));
    if (!sent) {
        return;
    }
    const auto total = static_cast<std::int64_t>(sent->size());
    const auto listed = static_cast<std::int64_t>(rejected->size());
    if (*accepted < 0 || *duplicate < 0 || *accepted > total || *duplicate > total - *accepted) {
        return;
    }
    outcome.rejected =
        static_cast<std::size_t>(std::max(total - *accepted - *duplicate, std::min(listed, total)));
    outcome.reason = rejected->front().string("reason").value_or("");
}

Sent verdict_of(int status, int accepted) {
    // A conflict is what was sent before and not heard of.
    if (status == accepted || status == 409) {
        return Sent::accepted;
    }
    if (status == 401 || status == 403) {
        return Sent::denied;
    }
    return status == 408 || status == 429 || status >= 500 ? Sent::busy : Sent::refused;
}

// RFC 9110 §10.2.3, in its form with seconds. A date would need a clock that agrees with ours.
Duration retry_after(const net::HttpFields& fields) {
    const std::string_view value = fields.find("Retry-After").value_or("");
    std::uint32_t seconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    return error == std::errc() && end == value.data() + value.size()
               ? std::chrono::seconds(seconds)
               : Duration();
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
        SendOutcome outcome{
            .sent = verdict_of(answer->status, route_of(payload.value().product).status),
            .detail = fmt::format("status {}", answer->status)};
        outcome.retry_after = retry_after(answer->fields);
        if (payload.value().product == privacy::Product::new_qname &&
            (outcome.sent == Sent::accepted || outcome.sent == Sent::refused)) {
            read_rejected(as_text(answer->body), payload.value(), outcome);
        }
        return outcome;
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

// `own`: the client, where it is the outlet's to keep; else null.
Result<std::unique_ptr<Outlet>> outlet_over(net::HttpClient& client,
                                            std::unique_ptr<net::HttpClient> own,
                                            const std::string& url, const jose::PrivateJwk& key) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string::npos) {
        return fail(Code::invalid, "expected https://HOST:PORT");
    }
    const std::size_t slash = std::min(url.find('/', scheme + 3), url.size());
    std::string path = url.substr(slash);
    while (path.ends_with('/')) {
        path.pop_back();
    }
    auto outlet = std::make_unique<HttpsOutlet>(client, url.substr(0, slash), std::move(path), key);
    outlet->own(std::move(own));
    return std::unique_ptr<Outlet>(std::move(outlet));
}

// Messages published together: after each lot it is remembered what the broker has.
constexpr std::size_t lot_size_max = 1024;

bool is_topic_prefix(std::string_view prefix) {
    for (;;) {
        const std::size_t slash = prefix.find('/');
        if (!mqtt::is_topic_level(prefix.substr(0, slash))) {
            return false;
        }
        if (slash == std::string_view::npos) {
            return true;
        }
        prefix.remove_prefix(slash + 1);
    }
}

Result<std::string> topic_of(const MqttSettings& settings, const std::string& kid) {
    if (!mqtt::is_topic_level(kid)) {
        return fail(
            Code::invalid,
            fmt::format("the key id '{}' cannot be part of a topic: expected a name without "
                        "/ + #, and without $ in front",
                        kid));
    }
    if (!is_topic_prefix(settings.topic_prefix)) {
        return fail(Code::invalid, fmt::format("topic prefix '{}': expected words joined by /",
                                               settings.topic_prefix));
    }
    return settings.topic_prefix + "/" + kid + "/new_qname";
}

class MqttOutlet final : public Outlet {
public:
    MqttOutlet(mqtt::Publisher& publisher, std::string topic, std::unique_ptr<Outlet> rest,
               const MqttParts& parts)
        : publisher_(publisher),
          topic_(std::move(topic)),
          rest_(std::move(rest)),
          log_(parts.log) {}

    // The publisher of this outlet alone.
    void own(std::unique_ptr<mqtt::Publisher> publisher) { own_ = std::move(publisher); }

    SendOutcome send(const privacy::Released<privacy::Payload>& payload,
                     const SendOptions& options) override {
        if (payload.value().product == privacy::Product::new_qname) {
            return publish(payload.value());
        }
        if (rest_) {
            return rest_->send(payload, options);
        }
        if (!std::exchange(has_said_unrouted_, true)) {
            log_.warn("outlet", "core.url is not set: histograms stay here", {});
        }
        return {Sent::unrouted, "core.url is not set"};
    }

    void cancel() override {
        publisher_.cancel();
        if (rest_) {
            rest_->cancel();
        }
    }

private:
    SendOutcome publish(const privacy::Payload& payload) {
        const auto messages = jose::split_batch(as_text(payload.octets));
        if (!messages) {
            return {Sent::refused, "the payload is no batch of messages"};
        }
        // Payloads of two batches may have one name.
        if (auto digest = jose::content_digest(payload.octets); begun_ != digest) {
            begun_ = std::move(digest);
            taken_ = 0;
            refused_ = 0;
        }
        while (taken_ < messages->size()) {
            if (auto failed = publish_lot(std::span(*messages).subspan(taken_))) {
                return std::move(*failed);
            }
        }
        begun_.clear();
        if (refused_ > 0) {
            return {Sent::refused, fmt::format("the broker refuses {} of {} messages", refused_,
                                               messages->size())};
        }
        return {Sent::accepted, fmt::format("{} messages", messages->size())};
    }

    // What hinders those that the broker has not taken; nothing if it has them all.
    std::optional<SendOutcome> publish_lot(std::span<const std::string_view> messages) {
        std::vector<mqtt::Message> lot;
        for (const std::string_view message :
             messages.first(std::min(messages.size(), lot_size_max))) {
            lot.push_back({topic_, to_bytes(message)});
        }
        // Those after one that failed go again with it: the core knows an event that comes twice.
        for (const mqtt::Published outcome : publisher_.publish(lot)) {
            switch (outcome) {
                case mqtt::Published::refused:
                    ++refused_;
                    [[fallthrough]];
                case mqtt::Published::accepted:
                    ++taken_;
                    break;
                case mqtt::Published::denied:
                    return SendOutcome{Sent::denied, topic_ + ": the broker does not let us"};
                case mqtt::Published::busy:
                    return SendOutcome{Sent::busy, "the broker is busy"};
                case mqtt::Published::unheard:
                    return SendOutcome{Sent::unavailable, topic_ + ": nobody is subscribed"};
                case mqtt::Published::unavailable:
                    return SendOutcome{Sent::unavailable, "the broker cannot be reached"};
            }
        }
        return {};
    }

    std::unique_ptr<mqtt::Publisher> own_;
    mqtt::Publisher& publisher_;
    const std::string topic_;
    const std::unique_ptr<Outlet> rest_;
    const Log& log_;
    bool has_said_unrouted_ = false;
    // Digest of the payload under way, and how many of its messages are done, from the first on.
    std::string begun_;
    std::size_t taken_ = 0;
    std::size_t refused_ = 0;
};

class HttpsGroupOutlet final : public GroupOutlet {
public:
    HttpsGroupOutlet(net::HttpClient& client, std::string url)
        : client_(client), url_(std::move(url)) {
        while (url_.ends_with('/')) {
            url_.pop_back();
        }
    }

    // The client of this outlet alone.
    void own(std::unique_ptr<net::HttpClient> client) { own_ = std::move(client); }

    GroupAnswer post(const privacy::Released<privacy::Payload>& payload) override {
        net::HttpCall call;
        call.method = "POST";
        call.url = url_ + "/api/v1/sightings";
        call.time_max = group_time_max;
        call.answer_size_max = products::releases_size_max;
        call.fields.add("Content-Type", "application/vnd.tapir.sightings");
        call.body = payload.value().octets;
        auto answer = client_.send(call, &cancel_);
        if (!answer) {
            return {.sent = Sent::unavailable, .detail = answer.error().what()};
        }
        // A conflict is one of days or profiles here, and no sign that it has it already.
        return {.sent = answer->status == 409 ? Sent::refused : verdict_of(answer->status, 200),
                .detail = fmt::format("status {}", answer->status),
                .retry_after = retry_after(answer->fields),
                .body = std::move(answer->body)};
    }

    void cancel() override { cancel_.request(); }

private:
    std::unique_ptr<net::HttpClient> own_;
    net::HttpClient& client_;
    std::string url_;
    net::Cancel cancel_;
};

}  // namespace

Result<std::unique_ptr<GroupOutlet>> GroupOutlet::open(const OutletSettings& settings) {
    auto client = TRY(net::open_http_client({.ca_file = settings.ca_file,
                                             .certificate_file = settings.certificate_file,
                                             .key_file = settings.key_file}));
    auto outlet = std::make_unique<HttpsGroupOutlet>(*client, settings.url);
    outlet->own(std::move(client));
    return std::unique_ptr<GroupOutlet>(std::move(outlet));
}

std::unique_ptr<GroupOutlet> GroupOutlet::over(net::HttpClient& client,
                                               const OutletSettings& settings) {
    return std::make_unique<HttpsGroupOutlet>(client, settings.url);
}

Result<int> probe_core(const OutletSettings& settings) {
    auto client = TRY(net::open_http_client({.ca_file = settings.ca_file,
                                             .certificate_file = settings.certificate_file,
                                             .key_file = settings.key_file}));
    net::HttpCall call;
    call.method = "GET";
    call.url = settings.url;
    call.time_max = probe_time_max;
    call.answer_size_max = answer_size_max;
    const net::Cancel cancel;
    return TRY(client->send(call, &cancel)).status;
}

std::string_view to_string(Sent sent) {
    static constexpr std::array<std::string_view, sent_count> names{
        "accepted", "unavailable", "busy", "denied", "refused", "unrouted"};
    return names.at(static_cast<std::size_t>(sent));
}

text::SettingTable mqtt_settings_table() {
    using text::Setting;
    text::SettingTable table = mqtt::broker_settings();
    table.push_back(Setting::string("mqtt.client_id", "",
                                    "Client identifier at the broker; empty: KID-tapir, with the "
                                    "id of the signing key."));
    table.push_back(Setting::string("mqtt.topic_prefix", "events/up",
                                    "Beginning of the topic; events go to PREFIX/KID/new_qname. "
                                    "Histograms go to core.url in any case; without it they stay "
                                    "here, as long as sent.age_max says."));
    return table;
}

Result<MqttSettings> read_mqtt_settings(const text::Settings& settings, world::Files& files) {
    const mqtt::Broker broker = TRY(mqtt::read_broker(settings, files));
    MqttSettings over;
    over.url = broker.url;
    over.ca_file = broker.ca_file;
    over.certificate_file = broker.certificate_file;
    over.key_file = broker.key_file;
    over.client_id = settings.string("mqtt.client_id");
    over.topic_prefix = settings.string("mqtt.topic_prefix");
    if (!over.url.empty() && !is_topic_prefix(over.topic_prefix)) {
        return settings.refuse("mqtt.topic_prefix", "words joined by /", over.topic_prefix);
    }
    return over;
}

Result<std::unique_ptr<Outlet>> Outlet::open(const OutletSettings& settings,
                                             const jose::PrivateJwk& key) {
    auto client = TRY(net::open_http_client({.ca_file = settings.ca_file,
                                             .certificate_file = settings.certificate_file,
                                             .key_file = settings.key_file}));
    net::HttpClient& its_client = *client;
    return outlet_over(its_client, std::move(client), settings.url, key);
}

Result<std::unique_ptr<Outlet>> Outlet::over(net::HttpClient& client,
                                             const OutletSettings& settings,
                                             const jose::PrivateJwk& key) {
    return outlet_over(client, nullptr, settings.url, key);
}

Result<std::unique_ptr<Outlet>> Outlet::open_mqtt(const MqttSettings& settings,
                                                  const jose::PrivateJwk& key,
                                                  std::unique_ptr<Outlet> rest,
                                                  const MqttParts& parts) {
    auto topic = TRY(topic_of(settings, key.kid()));
    mqtt::PublisherSettings publishing;
    publishing.client_id = settings.client_id.empty() ? key.kid() + "-tapir" : settings.client_id;
    auto publisher = TRY(mqtt::open_publisher({.url = settings.url,
                                               .ca_file = settings.ca_file,
                                               .certificate_file = settings.certificate_file,
                                               .key_file = settings.key_file},
                                              publishing,
                                              {.clock = parts.clock,
                                               .chance = parts.chance,
                                               .log = parts.log,
                                               .counters = parts.counters}));
    auto outlet =
        std::make_unique<MqttOutlet>(*publisher, std::move(topic), std::move(rest), parts);
    outlet->own(std::move(publisher));
    return std::unique_ptr<Outlet>(std::move(outlet));
}

Result<std::unique_ptr<Outlet>> Outlet::over_mqtt(mqtt::Publisher& publisher,
                                                  const MqttSettings& settings,
                                                  const jose::PrivateJwk& key,
                                                  std::unique_ptr<Outlet> rest,
                                                  const MqttParts& parts) {
    auto topic = TRY(topic_of(settings, key.kid()));
    return std::unique_ptr<Outlet>(
        std::make_unique<MqttOutlet>(publisher, std::move(topic), std::move(rest), parts));
}

}  // namespace tapir::edge
