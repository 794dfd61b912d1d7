// The fields of a signed request: the input's lines are Signature-Input, Signature, Content-Digest
// and the rest is the body. Nothing crashes, and a signature or digest that is good when made from
// what the request says is never called bad. The mutator signs what it made with the test key.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>

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
    if (std::string signature = sign_by_hand(input); !signature.empty()) {
        input.signature = std::move(signature);
    }
    return to_bytes(input.text());
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
    for (const SignaturePolicy& policy :
         {SignaturePolicy::strict(), SignaturePolicy::interoperable()}) {
        const auto verified = verify_request(request.view(), test_keys(), now, policy);
        if (verified) {
            TAPIR_ASSERT(digest.has_value() && verified->created <= now + policy.ahead_max);
            TAPIR_ASSERT(std::ranges::count(verified->covered, "content-digest") == 1);
            for (const std::string& component : policy.covered) {
                TAPIR_ASSERT(std::ranges::count(verified->covered, component) == 1);
            }
        }
        const bool is_ours = !input.signature.empty() && input.signature == sign_by_hand(input);
        const bool is_called_bad =
            !verified && verified.error() == HttpSignatureError::bad_signature;
        TAPIR_ASSERT(!(is_ours && is_called_bad));
    }
    return 0;
}
