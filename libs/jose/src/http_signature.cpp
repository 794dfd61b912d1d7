#include "tapir/jose/http_signature.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "structured_field.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/crypto/digest.hpp"

namespace tapir::jose {
namespace {

using crypto::SignatureAlgorithm;
using Refusal = HttpSignatureError;

constexpr std::array<std::string_view, http_signature_error_count> error_names{
    "signature_missing",
    "signature_input_missing",
    "digest_missing",
    "signature_input_malformed",
    "signature_malformed",
    "several_signatures",
    "label_mismatch",
    "parameter_unknown",
    "component_malformed",
    "component_twice",
    "component_absent",
    "component_unsupported",
    "algorithm_missing",
    "algorithm_unknown",
    "algorithm_refused",
    "algorithm_not_of_key",
    "key_id_missing",
    "key_id_malformed",
    "unknown_key",
    "created_missing",
    "created_in_future",
    "created_too_old",
    "expired",
    "not_covered",
    "digest_not_covered",
    "bad_signature",
    "digest_malformed",
    "digest_unsupported",
    "digest_mismatch"};
static_assert(static_cast<std::size_t>(Refusal::digest_mismatch) + 1 == error_names.size());

struct NamedAlgorithm {
    std::string_view name;
    SignatureAlgorithm algorithm;
};
constexpr std::array<NamedAlgorithm, 4> algorithms{{
    {"ed25519", SignatureAlgorithm::ed25519},
    {"ecdsa-p256-sha256", SignatureAlgorithm::ecdsa_p256_sha256},
    {"rsa-v1_5-sha256", SignatureAlgorithm::rsa_v1_5_sha256},
    {"rsa-pss-sha512", SignatureAlgorithm::rsa_pss_sha512},
}};

constexpr std::array<std::string_view, 6> known_parameters{"created", "expires", "nonce",
                                                           "alg",     "keyid",   "tag"};

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_same_name(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trimmed(std::string_view value) {
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) {
        value.remove_prefix(1);
    }
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) {
        value.remove_suffix(1);
    }
    return value;
}

// All fields of that name as one value (RFC 9421 §2.1); nothing if there is none.
std::optional<std::string> field(const RequestView& request, std::string_view name) {
    std::optional<std::string> joined;
    for (const FieldView& one : request.fields) {
        if (!is_same_name(one.name, name)) {
            continue;
        }
        if (joined) {
            *joined += ", ";
        } else {
            joined.emplace();
        }
        *joined += trimmed(one.value);
    }
    return joined;
}

bool is_field_name(std::string_view name) {
    const auto is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    };
    return !name.empty() && std::ranges::all_of(name, is_allowed);
}

Result<std::string, Refusal> derived_value(const RequestView& request, std::string_view name) {
    std::string path = request.path.empty() ? "/" : std::string(request.path);
    if (name == "@method") {
        return std::string(request.method);
    }
    if (name == "@path") {
        return path;
    }
    if (name == "@query") {
        return "?" + std::string(request.query);
    }
    if (name == "@request-target") {
        return request.query.empty() ? path : path + "?" + std::string(request.query);
    }
    if (name == "@authority") {
        auto host = field(request, "host");
        if (!host) {
            return fail(Refusal::component_absent);
        }
        std::ranges::transform(*host, host->begin(), lower);
        return *std::move(host);
    }
    return fail(Refusal::component_unsupported);
}

Result<std::string, Refusal> component_value(const RequestView& request, std::string_view name) {
    if (name.starts_with('@')) {
        return derived_value(request, name);
    }
    auto value = field(request, name);
    if (!value) {
        return fail(Refusal::component_absent);
    }
    return *std::move(value);
}

Result<std::string, Refusal> base_of(const RequestView& request,
                                     const std::vector<std::string>& components,
                                     std::string_view parameters) {
    std::string base;
    for (const std::string& component : components) {
        const std::string value = TRY(component_value(request, component));
        base += fmt::format("\"{}\": {}\n", component, value);
    }
    base += fmt::format("\"@signature-params\": {}", parameters);
    return base;
}

// What Signature-Input says, checked as far as that goes without the request.
struct Input {
    std::string label;
    std::vector<std::string> components;
    std::string parameters_text;
    std::optional<std::int64_t> created;
    std::optional<std::int64_t> expires;
    std::optional<std::string> algorithm;
    std::optional<std::string> kid;
};

// The value of a parameter if it is of that type; `good` becomes false if it is of another.
template <class T>
std::optional<T> parameter(const Parameters& parameters, std::string_view name, bool& good) {
    const BareItem* const value = find(parameters, name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!std::holds_alternative<T>(*value)) {
        good = false;
        return std::nullopt;
    }
    return std::get<T>(*value);
}

Result<std::vector<std::string>, Refusal> components_of(const std::vector<Item>& items) {
    std::vector<std::string> components;
    if (items.size() > signature_component_count_max) {
        return fail(Refusal::component_malformed);
    }
    for (const Item& item : items) {
        const auto* const name = std::get_if<std::string>(&item.value);
        if (name == nullptr || name->empty() ||
            !is_field_name(name->starts_with('@') ? std::string_view(*name).substr(1) : *name)) {
            return fail(Refusal::component_malformed);
        }
        if (!item.parameters.empty()) {
            return fail(Refusal::component_unsupported);
        }
        if (std::ranges::find(components, *name) != components.end()) {
            return fail(Refusal::component_twice);
        }
        components.push_back(*name);
    }
    return components;
}

Result<Input, Refusal> input_of(const RequestView& request) {
    const auto text = field(request, "signature-input");
    if (!text) {
        return fail(Refusal::signature_input_missing);
    }
    const auto members = parse_dictionary(*text);
    if (!members || members->empty()) {
        return fail(Refusal::signature_input_malformed);
    }
    if (members->size() > 1) {
        return fail(Refusal::several_signatures);
    }
    const Member& member = members->front();
    if (!member.is_list) {
        return fail(Refusal::signature_input_malformed);
    }
    for (const Parameter& one : member.parameters) {
        if (std::ranges::find(known_parameters, one.key) == known_parameters.end()) {
            return fail(Refusal::parameter_unknown);
        }
    }
    bool good = true;
    Input input;
    input.label = member.key;
    input.parameters_text = std::string(member.text);
    input.created = parameter<std::int64_t>(member.parameters, "created", good);
    input.expires = parameter<std::int64_t>(member.parameters, "expires", good);
    input.algorithm = parameter<std::string>(member.parameters, "alg", good);
    input.kid = parameter<std::string>(member.parameters, "keyid", good);
    static_cast<void>(parameter<std::string>(member.parameters, "nonce", good));
    static_cast<void>(parameter<std::string>(member.parameters, "tag", good));
    if (!good) {
        return fail(Refusal::signature_input_malformed);
    }
    input.components = TRY(components_of(member.items));
    return input;
}

Result<Bytes, Refusal> signature_of(const RequestView& request, const Input& input) {
    const auto text = field(request, "signature");
    if (!text) {
        return fail(Refusal::signature_missing);
    }
    const auto members = parse_dictionary(*text);
    if (!members || members->empty()) {
        return fail(Refusal::signature_malformed);
    }
    if (members->size() > 1) {
        return fail(Refusal::several_signatures);
    }
    const Member& member = members->front();
    if (member.key != input.label) {
        return fail(Refusal::label_mismatch);
    }
    const Bytes* const octets =
        member.is_list ? nullptr : std::get_if<Bytes>(&member.items.front().value);
    if (octets == nullptr) {
        return fail(Refusal::signature_malformed);
    }
    return *octets;
}

Result<SignatureAlgorithm, Refusal> algorithm_of(const Input& input) {
    if (!input.algorithm) {
        return fail(Refusal::algorithm_missing);
    }
    if (*input.algorithm == "hmac-sha256") {
        return fail(Refusal::algorithm_refused);
    }
    const auto* const found =
        std::ranges::find(algorithms, std::string_view(*input.algorithm), &NamedAlgorithm::name);
    if (found == algorithms.end()) {
        return fail(Refusal::algorithm_unknown);
    }
    return found->algorithm;
}

Result<const Jwk*, Refusal> key_of(const Input& input, const KeySet& keys,
                                   SignatureAlgorithm algorithm) {
    if (!input.kid) {
        return fail(Refusal::key_id_missing);
    }
    if (!is_key_id(*input.kid)) {
        return fail(Refusal::key_id_malformed);
    }
    const Jwk* const key = keys.find(*input.kid);
    if (key == nullptr) {
        return fail(Refusal::unknown_key);
    }
    if (key->key().type() != crypto::key_type_of(algorithm)) {
        return fail(Refusal::algorithm_not_of_key);
    }
    return key;
}

// In whole seconds: the numbers are the sender's, and as nanoseconds they could overflow.
Result<void, Refusal> check_time(const Input& input, UtcTime now, const SignaturePolicy& policy) {
    const auto seconds = [](Duration duration) {
        return std::chrono::floor<std::chrono::seconds>(duration).count();
    };
    if (!input.created) {
        return fail(Refusal::created_missing);
    }
    if (*input.created > now.seconds() + seconds(policy.ahead_max)) {
        return fail(Refusal::created_in_future);
    }
    if (*input.created < now.seconds() - seconds(policy.age_max)) {
        return fail(Refusal::created_too_old);
    }
    if (input.expires && *input.expires < now.seconds()) {
        return fail(Refusal::expired);
    }
    return {};
}

Result<void, Refusal> check_coverage(const Input& input, const SignaturePolicy& policy) {
    const auto is_covered = [&](std::string_view component) {
        return std::ranges::find(input.components, component) != input.components.end();
    };
    if (!is_covered("content-digest")) {
        return fail(Refusal::digest_not_covered);
    }
    if (!std::ranges::all_of(policy.covered, is_covered)) {
        return fail(Refusal::not_covered);
    }
    return {};
}

// Whether the member is the digest of that size and value.
Result<void, Refusal> compare_digest(const Member& member, ByteView digest) {
    const Bytes* const octets =
        member.is_list ? nullptr : std::get_if<Bytes>(&member.items.front().value);
    if (octets == nullptr) {
        return fail(Refusal::digest_malformed);
    }
    if (!std::ranges::equal(*octets, digest)) {
        return fail(Refusal::digest_mismatch);
    }
    return {};
}

}  // namespace

std::string_view to_string(HttpSignatureError error) {
    return error_names.at(static_cast<std::size_t>(error));
}

Error to_error(HttpSignatureError error) {
    return {Code::denied, fmt::format("HTTP signature: {}", to_string(error))};
}

SignaturePolicy SignaturePolicy::interoperable() {
    return {.age_max = std::chrono::hours(24), .ahead_max = std::chrono::seconds(5), .covered = {}};
}

SignaturePolicy SignaturePolicy::strict() {
    SignaturePolicy policy = interoperable();
    policy.covered = {"content-type", "content-length", "aggregate-interval", "@method", "@path"};
    return policy;
}

std::string content_digest(ByteView body) {
    return fmt::format("sha-256=:{}:", crypto::base64(crypto::sha256(body)));
}

Result<SignatureFields> sign_request(const PrivateJwk& key, const RequestView& request,
                                     UtcTime created, Coverage coverage) {
    std::vector<std::string> components{"content-type", "content-length", "content-digest"};
    if (coverage == Coverage::core) {
        if (field(request, "aggregate-interval")) {
            components.emplace_back("aggregate-interval");
        }
        components.insert(components.end(), {"@method", "@path"});
    }
    std::string list;
    for (const std::string& component : components) {
        list += fmt::format("{}\"{}\"", list.empty() ? "" : " ", component);
    }
    const std::string parameters = fmt::format(R"(({});created={};alg="ed25519";keyid="{}")", list,
                                               created.seconds(), key.kid());
    const auto base = base_of(request, components, parameters);
    if (!base) {
        return fail(Code::invalid, "HTTP signature: a field to be covered is not in the request");
    }
    const crypto::Ed25519Signature signature = key.key().sign(as_bytes(*base));
    return SignatureFields{.signature_input = "sig1=" + parameters,
                           .signature = fmt::format("sig1=:{}:", crypto::base64(signature))};
}

Result<std::string, HttpSignatureError> signature_base(const RequestView& request) {
    const Input input = TRY(input_of(request));
    return base_of(request, input.components, input.parameters_text);
}

Result<void, HttpSignatureError> verify_digest(const RequestView& request) {
    const auto text = field(request, "content-digest");
    if (!text) {
        return fail(Refusal::digest_missing);
    }
    const auto members = parse_dictionary(*text);
    if (!members) {
        return fail(Refusal::digest_malformed);
    }
    for (const Member& member : *members) {
        if (member.key == "sha-256") {
            return compare_digest(member, crypto::sha256(request.body));
        }
    }
    for (const Member& member : *members) {
        if (member.key == "sha-512") {
            return compare_digest(member, crypto::sha512(request.body));
        }
    }
    return fail(Refusal::digest_unsupported);
}

Result<VerifiedRequest, HttpSignatureError> verify_request(const RequestView& request,
                                                           const KeySet& keys, UtcTime now,
                                                           const SignaturePolicy& policy) {
    if (!field(request, "content-digest")) {
        return fail(Refusal::digest_missing);
    }
    if (!field(request, "signature")) {
        return fail(Refusal::signature_missing);
    }
    const Input input = TRY(input_of(request));
    const SignatureAlgorithm algorithm = TRY(algorithm_of(input));
    const Bytes signature = TRY(signature_of(request, input));
    const Jwk* const key = TRY(key_of(input, keys, algorithm));
    TRY(check_time(input, now, policy));
    const std::string base = TRY(base_of(request, input.components, input.parameters_text));
    if (!key->key().verify(algorithm, as_bytes(base), signature)) {
        return fail(Refusal::bad_signature);
    }
    TRY(check_coverage(input, policy));
    TRY(verify_digest(request));
    return VerifiedRequest{.kid = key->kid(),
                           .thumbprint = key->thumbprint(),
                           .label = input.label,
                           .covered = input.components,
                           .created = UtcTime::from_seconds(input.created.value_or(0))};
}

}  // namespace tapir::jose
