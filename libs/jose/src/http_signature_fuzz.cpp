// The fields of a signed request: the input's lines are Signature-Input, Signature, Content-Digest
// and the rest is the body. Nothing crashes. What verifies has a signature that is good when
// checked by hand; what we sign ourselves in the plain form, and completely, verifies. The mutator
// signs what it made with the test key.
#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/jose/http_signature.hpp"

namespace {

using namespace tapir;
using namespace tapir::jose;
using fuzzing::Dice;

constexpr std::int64_t now_s = 1'795'447'142;
const UtcTime now = UtcTime::from_seconds(now_s);

const PrivateJwk& test_key() {
    static const PrivateJwk key(
        crypto::SigningKey::from_seed(crypto::Secret::copy_of(Bytes(32, std::byte{7}))).value(),
        "ed25519.edge.tapir.example");
    return key;
}

const KeySet& test_keys() {
    static const KeySet keys = [] {
        KeySet set;
        TAPIR_ASSERT(set.add(test_key().public_jwk()).has_value());
        return set;
    }();
    return keys;
}

struct Input {
    std::string signature_input;
    std::string signature;
    std::string digest;
    std::string body;

    static Input read(std::string_view text) {
        const auto take_line = [&text] {
            const std::string_view line = text.substr(0, text.find('\n'));
            text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
            return std::string(line);
        };
        Input input;
        input.signature_input = take_line();
        input.signature = take_line();
        input.digest = take_line();
        input.body = text;
        return input;
    }
    std::string text() const {
        return signature_input + "\n" + signature + "\n" + digest + "\n" + body;
    }
};

// The request that the input stands for; what it points to is in here.
struct Request {
    explicit Request(const Input& in)
        : input(in),
          length(std::to_string(input.body.size())),
          fields{{{"signature-input", input.signature_input},
                  {"signature", input.signature},
                  {"content-digest", input.digest},
                  {"content-type", "application/vnd.apache.parquet"},
                  {"content-length", length},
                  {"aggregate-interval", "2026-05-28T12:13:00Z/PT1M"},
                  {"host", "core.example"}}} {}
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;

    RequestView view() const {
        return {.method = "POST",
                .path = "/api/v1/aggregate/histogram",
                .query = "",
                .fields = fields,
                .body = as_bytes(input.body)};
    }

    const Input& input;
    std::string length;
    std::array<FieldView, 7> fields;
};

// A new signature over what Signature-Input covers, under its label; nothing if that cannot be.
std::string sign_by_hand(const Input& input) {
    const auto base = signature_base(Request(input).view());
    const std::size_t end = input.signature_input.find('=');
    if (!base || end == std::string::npos) {
        return {};
    }
    const auto signature = test_key().key().sign(as_bytes(*base));
    return input.signature_input.substr(0, end) + "=:" + crypto::base64(signature) + ":";
}

Bytes change(ByteView octets, Dice& dice) {
    Input input = Input::read(as_text(octets));
    const std::array<std::string*, 3> parts = {&input.signature_input, &input.digest, &input.body};
    std::string& part = *parts[dice.below(parts.size())];
    Bytes changed = to_bytes(part);
    fuzzing::mutate_blindly(changed);
    part = as_text(changed);
    for (std::string* line : {&input.signature_input, &input.digest}) {
        std::ranges::replace(*line, '\n', ' ');
    }
    if (!dice.one_in(8)) {
        input.digest = content_digest(as_bytes(input.body));
    }
    std::string signature = sign_by_hand(input);
    if (!signature.empty() && !dice.one_in(8)) {
        input.signature = std::move(signature);
    }
    return to_bytes(input.text());
}

// Whether one of the octet sequences that stand between colons in `signature` is the test key's
// over `base`.
bool is_signed(std::string_view signature, std::string_view base) {
    while (signature.find(':') != std::string_view::npos) {
        signature.remove_prefix(signature.find(':') + 1);
        const auto octets = crypto::parse_base64(signature.substr(0, signature.find(':')));
        if (octets && test_key().public_jwk().key().verify(crypto::SignatureAlgorithm::ed25519,
                                                           as_bytes(base), *octets)) {
            return true;
        }
    }
    return false;
}

// A Signature-Input in the form in which we write it ourselves, read by hand.
struct Plain {
    std::vector<std::string> components;
    std::int64_t created = 0;
    std::string parameters;  // all behind "sig1="
};

bool take(std::string_view& text, std::string_view what) {
    const bool is_there = text.starts_with(what);
    text.remove_prefix(is_there ? what.size() : 0);
    return is_there;
}

std::optional<Plain> plain_input(std::string_view text) {
    constexpr std::size_t digits_max = 12;
    if (!take(text, "sig1=")) {
        return std::nullopt;
    }
    Plain plain{.components = {}, .parameters = std::string(text)};
    for (std::string_view before = "("; take(text, before); before = " ") {
        const bool is_quoted = take(text, "\"");
        const std::string_view name = text.substr(0, text.find('"'));
        if (!is_quoted || name.size() == text.size()) {
            return std::nullopt;
        }
        text.remove_prefix(name.size() + 1);
        plain.components.emplace_back(name);
    }
    if (!take(text, ");created=")) {
        return std::nullopt;
    }
    std::size_t digits = 0;
    for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), ++digits) {
        if (digits == digits_max) {
            return std::nullopt;
        }
        plain.created = plain.created * 10 + (text[0] - '0');
    }
    const bool is_plain = digits > 0 && take(text, ";alg=\"ed25519\";keyid=\"") &&
                          take(text, test_key().kid()) && text == "\"";
    return is_plain ? std::optional(std::move(plain)) : std::nullopt;
}

std::string_view trimmed(std::string_view value) {
    constexpr std::string_view blanks = " \t";
    value.remove_prefix(std::min(value.find_first_not_of(blanks), value.size()));
    return value.substr(0, value.find_last_not_of(blanks) + 1);
}

// The signature base (RFC 9421 §2.5) of a plain input; nothing if it covers what there is not, or
// something twice.
std::optional<std::string> base_by_hand(const Plain& plain, const Request& request) {
    std::map<std::string, std::string, std::less<>> values = {
        {"@method", "POST"},
        {"@path", "/api/v1/aggregate/histogram"},
        {"@query", "?"},
        {"@request-target", "/api/v1/aggregate/histogram"},
        {"@authority", "core.example"}};
    for (const FieldView& field : request.fields) {
        values.emplace(field.name, trimmed(field.value));
    }
    std::string base;
    for (const std::string& component : plain.components) {
        const auto value = values.extract(component);
        if (!value) {
            return std::nullopt;
        }
        base.append("\"").append(component).append("\": ").append(value.mapped()).append("\n");
    }
    return base + "\"@signature-params\": " + plain.parameters;
}

// Whether the request has all that a policy asks, and our signature over it.
bool is_complete(const Plain& plain, const Request& request, const SignaturePolicy& policy) {
    const auto covers = [&](std::string_view name) {
        return std::ranges::find(plain.components, name) != plain.components.end();
    };
    const auto base = base_by_hand(plain, request);
    const std::string ours =
        base ? "sig1=:" + crypto::base64(test_key().key().sign(as_bytes(*base))) + ":" : "";
    return base && plain.components.size() <= signature_component_count_max &&
           plain.parameters.size() + sizeof("sig1=") <= signature_field_size_max &&
           plain.created <= (now + policy.ahead_max).seconds() &&
           plain.created >= (now - policy.age_max).seconds() && covers("content-digest") &&
           std::ranges::all_of(policy.covered, covers) && request.input.signature == ours &&
           request.input.digest == content_digest(as_bytes(request.input.body));
}

void check_policy(const Request& request, const std::optional<Plain>& plain,
                  const SignaturePolicy& policy) {
    const auto verified = verify_request(request.view(), test_keys(), now, policy);
    TAPIR_ASSERT(verified || !plain || !is_complete(*plain, request, policy));
    if (!verified) {
        return;
    }
    const auto base = signature_base(request.view());
    TAPIR_ASSERT(base && is_signed(request.input.signature, *base));
    TAPIR_ASSERT(!plain || base_by_hand(*plain, request) == *base);
    TAPIR_ASSERT(verify_digest(request.view()) && verified->created <= now + policy.ahead_max);
    TAPIR_ASSERT(std::ranges::count(verified->covered, "content-digest") == 1);
    for (const std::string& component : policy.covered) {
        TAPIR_ASSERT(std::ranges::count(verified->covered, component) == 1);
    }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, change);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Input input = Input::read(as_text(std::as_bytes(std::span(data, size))));
    const Request request(input);
    const auto digest = verify_digest(request.view());
    TAPIR_ASSERT(digest || input.digest != content_digest(as_bytes(input.body)));
    const auto plain = plain_input(input.signature_input);
    check_policy(request, plain, SignaturePolicy::strict());
    check_policy(request, plain, SignaturePolicy::interoperable());
    // A signature of ours is never called bad, in whatever form the input is.
    const auto verified =
        verify_request(request.view(), test_keys(), now, SignaturePolicy::interoperable());
    if (!verified && verified.error() == HttpSignatureError::bad_signature) {
        TAPIR_ASSERT(input.signature.empty() || input.signature != sign_by_hand(input));
    }
    return 0;
}
