// Messages, keys, sets and batches: nothing crashes, and what is accepted is accepted again as we
// print it. A message verifies exactly if its signature is good when checked by hand. The mutator
// changes header and payload behind their base64url, and signs with the test key.
#include <cstdint>
#include <optional>
#include <span>

#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/text/json.hpp"

namespace {

using namespace tapir;
using namespace tapir::jose;
using fuzzing::Dice;
using text::Json;

const PrivateJwk& test_key() {
    static const PrivateJwk key(
        crypto::SigningKey::from_seed(crypto::Secret::copy_of(Bytes(32, std::byte{7}))).value(),
        "edge-1.test.example");
    return key;
}

Bytes decoded(const Json& message, std::string_view member) {
    const auto text = message.string(member);
    const auto octets = text ? crypto::parse_base64url(*text) : fail(Code::invalid, "");
    return octets ? *octets : Bytes();
}

// A flattened message with one part changed and a signature that is good for the whole.
Bytes change(ByteView input, Dice& dice) {
    const auto parsed = Json::parse(as_text(input), jws_size_max);
    Json message = parsed && parsed->if_object() != nullptr ? *parsed : Json::object();
    Bytes header = decoded(message, "protected");
    Bytes payload = decoded(message, "payload");
    if (header.empty() || dice.one_in(8)) {
        header = to_bytes(R"({"alg":"EdDSA","kid":"edge-1.test.example"})");
    }
    if (dice.one_in(2)) {
        fuzzing::mutate_blindly(payload);
    } else {
        fuzzing::mutate_blindly(header);
    }
    const std::string header_text = crypto::base64url(header);
    const std::string payload_text = crypto::base64url(payload);
    const auto signature = test_key().key().sign(as_bytes(header_text + "." + payload_text));
    if (dice.one_in(8)) {
        return to_bytes(header_text + "." + payload_text + "." + crypto::base64url(signature));
    }
    message.set("protected", header_text).set("payload", payload_text);
    message.set("signature", crypto::base64url(signature));
    return to_bytes(message.to_string());
}

void try_keys(std::string_view text) {
    if (const auto key = Jwk::parse(text)) {
        const auto again = Jwk::parse(key->to_json());
        TAPIR_ASSERT(again && again->to_json() == key->to_json());
        TAPIR_ASSERT(again->thumbprint() == key->thumbprint());
    }
    if (const auto key = PrivateJwk::parse(text)) {
        const crypto::Secret printed = key->to_json();
        TAPIR_ASSERT(PrivateJwk::parse(as_text(printed.bytes())).has_value());
    }
    if (const auto set = KeySet::parse(text)) {
        for (const auto& [kid, key] : *set) {
            TAPIR_ASSERT(is_key_id(kid) && key.kid() == kid && set->find(kid) == &key);
        }
    }
    static_cast<void>(key_from_file("a.jwk", text));
    static_cast<void>(key_from_file("a.pem", text));
}

// What a flattened message in the plainest form says, read by hand: the payload if the test key
// signed it. Nothing where the form or the header is not the plainest.
std::optional<Bytes> verified_by_hand(std::string_view text) {
    const auto message = Json::parse(text, jws_size_max);
    if (!message || message->if_object() == nullptr || message->if_object()->size() != 3) {
        return std::nullopt;
    }
    const auto header_text = message->string("protected");
    const auto payload_text = message->string("payload");
    const auto signature_text = message->string("signature");
    if (!header_text || !payload_text || !signature_text) {
        return std::nullopt;
    }
    const auto header_octets = crypto::parse_base64url(*header_text);
    auto payload = crypto::parse_base64url(*payload_text);
    const auto signature = crypto::parse_base64url(*signature_text);
    if (!header_octets || !payload || !signature || header_octets->size() > jws_header_size_max) {
        return std::nullopt;
    }
    const auto header = Json::parse(as_text(*header_octets));
    const bool is_plain = header && header->if_object() != nullptr &&
                          header->find("crit") == nullptr && header->find("b64") == nullptr &&
                          header->string("alg").value_or("") == "EdDSA" &&
                          header->string("kid").value_or("") == test_key().kid();
    const bool is_good = test_key().public_jwk().key().verify(
        crypto::SignatureAlgorithm::ed25519, as_bytes(*header_text + "." + *payload_text),
        *signature);
    return is_plain && is_good ? std::optional(*std::move(payload)) : std::nullopt;
}

void try_message(std::string_view text) {
    const auto by_hand = verified_by_hand(text);
    const auto message = UnverifiedJws::parse(text);
    TAPIR_ASSERT(message || !by_hand);
    if (!message) {
        return;
    }
    TAPIR_ASSERT(is_key_id(message->claimed_kid()));
    const auto verified = message->verify(test_key().public_jwk());
    TAPIR_ASSERT(verified || !by_hand);
    if (!verified) {
        return;
    }
    TAPIR_ASSERT(verified->kid() == test_key().kid());
    TAPIR_ASSERT(!by_hand || as_text(*by_hand) == verified->payload_text());
    if (const auto printed = sign_jws(test_key(), verified->payload())) {
        const auto again = UnverifiedJws::parse(*printed);
        const auto verified_again = again->verify(test_key().public_jwk());
        TAPIR_ASSERT(verified_again && verified_again->payload_text() == verified->payload_text());
    }
}

void try_batch(std::string_view text) {
    const auto parts = split_batch(text);
    if (!parts) {
        return;
    }
    std::vector<std::string> messages(parts->begin(), parts->end());
    const std::string batch = join_batch(messages, 4096);
    TAPIR_ASSERT(batch.size() % 4096 == 0);
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    const bool is_list = first != std::string_view::npos && text[first] == '[';
    if (is_list && batch.size() <= batch_size_max) {
        const auto again = split_batch(batch);
        TAPIR_ASSERT(again && *again == *parts);
    }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, [&](ByteView input, Dice& dice) {
        // Keys and batches are texts that are changed as such.
        return dice.one_in(2) ? Bytes() : change(input, dice);
    });
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    try_keys(text);
    try_message(text);
    try_batch(text);
    return 0;
}
