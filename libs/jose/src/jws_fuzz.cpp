// Messages, keys, sets and batches: nothing crashes, and what is accepted is accepted again as we
// print it. What verifies has a signature that is good when checked by hand, in each of the three
// forms; what has one and a plain header verifies. The mutator changes header and payload behind
// their base64url, and signs with the test key, or forges.
#include <algorithm>
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

// A message with one part changed and, mostly, a signature that is good for the whole.
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
    auto signature = test_key().key().sign(as_bytes(header_text + "." + payload_text));
    if (dice.one_in(8)) {  // forged
        signature[dice.below(signature.size())] ^= std::byte{1};
    }
    const std::string signature_text = crypto::base64url(signature);
    if (dice.one_in(8)) {
        return to_bytes(header_text + "." + payload_text + "." + signature_text);
    }
    if (dice.one_in(8)) {
        const Json one = Json::object({{"protected", header_text}, {"signature", signature_text}});
        return to_bytes(
            Json::object({{"payload", payload_text}, {"signatures", Json::array({one})}})
                .to_string());
    }
    message.set("protected", header_text).set("payload", payload_text);
    message.set("signature", signature_text);
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

struct Parts {
    std::string protected_header;
    std::string payload;
    std::string signature;
};

// The parts of a message in any of the three forms, as they are written.
std::optional<Parts> parts_by_hand(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    text = text.substr(0, text.find_last_not_of(blanks) + 1);
    if (!text.starts_with('{')) {
        const std::size_t first = text.find('.');
        const std::size_t last = text.rfind('.');
        return first == last
                   ? std::nullopt
                   : std::optional(Parts{std::string(text.substr(0, first)),
                                         std::string(text.substr(first + 1, last - first - 1)),
                                         std::string(text.substr(last + 1))});
    }
    const auto message = Json::parse(text, jws_size_max);
    if (!message) {
        return std::nullopt;
    }
    const Json* signed_part = &*message;
    if (const Json* const list = message->find("signatures")) {
        const bool is_list = list->if_array() != nullptr && !list->if_array()->empty();
        if (!is_list || message->find("signature") != nullptr) {
            return std::nullopt;
        }
        signed_part = &list->if_array()->front();
    }
    const auto header = signed_part->string("protected");
    const auto payload = message->string("payload");
    const auto signature = signed_part->string("signature");
    return header && payload && signature ? std::optional(Parts{*header, *payload, *signature})
                                          : std::nullopt;
}

struct ByHand {
    bool is_good = false;   // the test key signed it
    bool is_plain = false;  // and nothing in the header is a reason to refuse it
    Bytes payload;
};

// What a message says and is worth, read by hand; nothing if its three parts do not decode.
std::optional<ByHand> read_by_hand(std::string_view text) {
    const auto parts = parts_by_hand(text);
    if (!parts) {
        return std::nullopt;
    }
    const auto header_octets = crypto::parse_base64url(parts->protected_header);
    auto payload = crypto::parse_base64url(parts->payload);
    const auto signature = crypto::parse_base64url(parts->signature);
    if (!header_octets || !payload || !signature) {
        return std::nullopt;
    }
    ByHand read;
    read.payload = *std::move(payload);
    read.is_good = test_key().public_jwk().key().verify(
        crypto::SignatureAlgorithm::ed25519,
        as_bytes(parts->protected_header + "." + parts->payload), *signature);
    const auto header = Json::parse(as_text(*header_octets));
    read.is_plain = parts->protected_header.size() <= jws_header_size_max &&
                    text.size() <= jws_size_max && header && header->if_object() != nullptr &&
                    header->find("crit") == nullptr && header->find("b64") == nullptr &&
                    header->string("alg").value_or("") == "EdDSA" &&
                    header->string("kid").value_or("") == test_key().kid();
    return read;
}

void try_message(std::string_view text) {
    const auto by_hand = read_by_hand(text);
    const bool is_ours = by_hand && by_hand->is_good && by_hand->is_plain;
    const auto message = UnverifiedJws::parse(text);
    TAPIR_ASSERT(message || !is_ours);
    if (!message) {
        return;
    }
    TAPIR_ASSERT(by_hand.has_value() && is_key_id(message->claimed_kid()));
    const auto verified = message->verify(test_key().public_jwk());
    TAPIR_ASSERT(verified || !is_ours);
    if (!verified) {
        return;
    }
    TAPIR_ASSERT(by_hand->is_good && as_text(by_hand->payload) == verified->payload_text());
    TAPIR_ASSERT(verified->kid() == test_key().kid());
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
