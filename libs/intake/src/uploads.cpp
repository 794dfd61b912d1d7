#include "uploads.hpp"

#include <array>
#include <charconv>

#include "tapir/crypto/digest.hpp"
#include "tapir/products/histogram.hpp"

namespace tapir::intake {

namespace {

constexpr std::string_view post_path = "/api/v1/aggregate/";
constexpr std::string_view get_path = "/api/v1/aggregates/";
constexpr std::array<std::string_view, 3> types = {"histogram", "vector", "test"};
constexpr std::array<std::string_view, 2> content_types = {"application/vnd.apache.parquet",
                                                           "application/binary"};
constexpr std::size_t recorded_size_max = 1024;  // octets of a header that is kept

template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
    for (const auto word : words) {
        if (text == word) {
            return true;
        }
    }
    return false;
}

// The header fields without which nothing else is looked at.
struct Needed {
    std::string content_type;
    std::string interval;
    std::string length;
};

Result<std::string, Refusal> needed_field(const net::HttpRequest& request, std::string_view name) {
    auto value = TRY(single_field(request, name));
    if (!value) {
        return fail(Refusal{.status = 422,
                            .reason = "field_missing",
                            .detail = fmt::format("{}: field required", name)});
    }
    return *std::move(value);
}

Result<Needed, Refusal> needed_fields(const net::HttpRequest& request) {
    Needed needed;
    needed.content_type = TRY(needed_field(request, "Content-Type"));
    needed.interval = TRY(needed_field(request, "Aggregate-Interval"));
    needed.length = TRY(needed_field(request, "Content-Length"));
    TRY(needed_field(request, "Content-Digest"));
    TRY(needed_field(request, "Signature"));
    TRY(needed_field(request, "Signature-Input"));
    if (!is_one_of(needed.content_type, content_types)) {
        return fail(Refusal{.status = 422,
                            .reason = "content_type",
                            .detail = "content type: expected application/vnd.apache.parquet"});
    }
    return needed;
}

bool says(std::string_view text, std::size_t size) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && value == size;
}

std::string recorded(const net::HttpRequest& request, std::string_view name) {
    return std::string(request.fields.find(name).value_or("").substr(0, recorded_size_max));
}

}  // namespace

Uploads::Uploads(const IntakeSettings& settings, const IntakeParts& parts, Journal& journal)
    : settings_(settings),
      parts_(parts),
      journal_(journal),
      fates_(parts.counters, "tapir_core_aggregates_total", "Aggregates by what became of them.") {}

net::HttpResponse Uploads::post(const net::HttpRequest& request) {
    const auto added = take(request);
    if (!added) {
        const Refusal& refusal = added.error();
        fates_.reject(refusal.reason);
        parts_.log.warn("intake", "an aggregate was refused",
                        {{"reason", refusal.reason},
                         {"detail", refusal.detail},
                         {"peer", request.peer.to_string()},
                         {"certificate", request.client_name}});
        return refuse(refusal);
    }
    fates_.count(added->is_duplicate ? "duplicate" : "accepted");
    net::HttpResponse answer;
    answer.status = 201;
    answer.fields.add("Location", fmt::format("{}{}", get_path, added->id));
    return answer;
}

// The order of the checks is the existing receiver's: who depends on its answers gets the same.
Result<Journal::Added, Refusal> Uploads::take(const net::HttpRequest& request) {
    const std::string_view type = std::string_view(request.path).substr(post_path.size());
    if (!is_one_of(type, types)) {
        return fail(Refusal{.status = 422,
                            .reason = "aggregate_type",
                            .detail = "aggregate type: expected histogram, vector or test"});
    }
    const Needed needed = TRY(needed_fields(request));
    const UtcTime now = parts_.clock.now();
    const auto keys = parts_.keys.current();
    const std::string edge = TRY(signer_of(request, *keys, now, settings_.certificates));
    TRY(check_profile(request, settings_.accept_compatible));
    if (!says(needed.length, request.body.size())) {
        return fail(Refusal{.status = 400,
                            .reason = "content_length",
                            .detail = "Content-Length is not the size of the body"});
    }
    return keep({.edge = edge,
                 .type = std::string(type),
                 .digest = to_hex(crypto::sha256(request.body)),
                 .interval = std::nullopt,
                 .content_type = needed.content_type,
                 .content_encoding = recorded(request, "Content-Encoding"),
                 .user_agent = recorded(request, "User-Agent"),
                 .received = now},
                needed.interval, request.body);
}

Result<Journal::Added, Refusal> Uploads::keep(Aggregate aggregate, std::string_view interval,
                                              ByteView payload) {
    const auto out_of_order = [&](const Error& error) {
        parts_.log.error("intake", "an aggregate could not be stored", {{"reason", error.what()}});
        return fail(trouble(error));
    };
    const auto parsed = products::parse_aggregate_interval(interval);
    if (!parsed) {
        // A duplicate is one whatever its interval says now: it was taken, and that is the answer.
        const auto found = journal_.find(aggregate, true);
        if (!found) {
            return out_of_order(found.error());
        }
        if (const auto& known = *found) {
            return Journal::Added{*known, true};
        }
        return fail(Refusal{.status = 422, .reason = "interval", .detail = parsed.error().what()});
    }
    aggregate.interval = *parsed;
    auto added = journal_.add(aggregate, payload);
    if (!added) {
        return out_of_order(added.error());
    }
    return *std::move(added);
}

net::HttpResponse Uploads::get(const net::HttpRequest& request) {
    const auto found = journal_.metadata(std::string_view(request.path).substr(get_path.size()));
    if (!found) {
        return refuse(trouble(found.error()));
    }
    const auto& json = *found;
    // What is another's is not there: ids are no secret, and no question about them is answered.
    if (!json ||
        (settings_.certificates && json->string("creator").value_or("") != request.client_name)) {
        return net::HttpResponse::error(404);
    }
    return json_answer(200, *json);
}

}  // namespace tapir::intake
