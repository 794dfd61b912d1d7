#include "tapir/jose/jws.hpp"

#include <map>
#include <type_traits>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/crypto/base64.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/text/json.hpp"
#include "test_files.hpp"

namespace tapir::jose {
namespace {

using text::Json;

// RFC 8037, appendix A: an Ed25519 key, its thumbprint, and a signature by it.
constexpr std::string_view rfc_private =
    R"({"kty":"OKP","crv":"Ed25519","kid":"rfc","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",)"
    R"("x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";
constexpr std::string_view rfc_compact =
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

PrivateJwk test_key() {
    return PrivateJwk::parse(rfc_private).value();
}

std::string outcome(std::string_view text, const KeySet& keys) {
    const auto message = UnverifiedJws::parse(text);
    if (!message) {
        return std::string(to_string(message.error()));
    }
    const auto verified = message->verify(keys);
    return verified ? "verified" : std::string(to_string(verified.error()));
}

// The payload if the message verifies.
std::string payload_of(std::string_view text, const KeySet& keys) {
    const auto message = UnverifiedJws::parse(text);
    if (!message) {
        return "?";
    }
    const auto verified = message->verify(keys);
    return verified ? std::string(verified->payload_text()) : "?";
}

KeySet set_of(const std::vector<std::string>& files) {
    KeySet keys;
    for (const std::string& file : files) {
        EXPECT_TRUE(keys.add(Jwk::parse(golden(file)).value()));
    }
    return keys;
}

TEST(Jwk, HasTheThumbprintOfRfc8037) {
    EXPECT_EQ(test_key().public_jwk().thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

TEST(Jwk, ReadsBackWhatItWrites) {
    const PrivateJwk key = test_key();
    const Jwk again = Jwk::parse(key.public_jwk().to_json()).value();
    EXPECT_EQ(again.to_json(), key.public_jwk().to_json());
    EXPECT_EQ(again.to_json(),
              R"({"alg":"EdDSA","crv":"Ed25519","kid":"rfc","kty":"OKP","use":"sig",)"
              R"("x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})");
    const crypto::Secret text = key.to_json();
    const PrivateJwk same = PrivateJwk::parse(as_text(text.bytes())).value();
    EXPECT_TRUE(same.key().seed() == key.key().seed());
    for (const char* file : {"es256.edge.tapir.example", "rs256.edge.tapir.example"}) {
        const Jwk jwk =
            Jwk::parse(golden(std::string("observations/keys/") + file + ".json")).value();
        EXPECT_EQ(Jwk::parse(jwk.to_json()).value().thumbprint(), jwk.thumbprint());
        EXPECT_EQ(jwk.to_json().find("\"d\""), std::string::npos);
    }
}

TEST(Jwk, APublicKeyCannotSign) {
    const auto key = PrivateJwk::parse(test_key().public_jwk().to_json());
    ASSERT_FALSE(key);
    EXPECT_NE(key.error().what().find("public"), std::string::npos);
    static_assert(!std::is_convertible_v<Jwk, PrivateJwk>);
}

TEST(Jwk, RefusesWhatDoesNotFitTogether) {
    const Json good = Json::parse(rfc_private).value();
    const auto with = [&](const char* member, Json value) {
        Json changed = good;
        changed.set(member, std::move(value));
        return changed.to_string();
    };
    EXPECT_TRUE(PrivateJwk::parse(with("alg", "EdDSA")));
    EXPECT_TRUE(PrivateJwk::parse(with("use", "sig")));
    EXPECT_TRUE(PrivateJwk::parse(with("other", 1)));
    for (const auto& text :
         {with("alg", "ES256"), with("alg", 1), with("alg", "none"), with("use", "enc"),
          with("kid", "../x"), with("kid", ""), with("kid", 1), with("kty", "EC"),
          with("kty", "oct"), with("crv", "Ed448"), with("x", "AAAA"), with("x", "!"),
          with("d", "AAAA"), with("d", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
          std::string("[]"), std::string("{}"), std::string(jwk_size_max + 1, ' ')}) {
        EXPECT_FALSE(PrivateJwk::parse(text)) << text;
    }
}

TEST(Jwk, KeyIdsAreSafeAsFileNamesAndTopics) {
    for (const char* good : {"a", "edge-1.test.example", "core_1", "-x", "A.b."}) {
        EXPECT_TRUE(is_key_id(good)) << good;
    }
    for (const char* bad :
         {"", ".", "..", ".a", "a/b", "a b", "a+b", "a#", "../node/x", "\xc3\xa5"}) {
        EXPECT_FALSE(is_key_id(bad)) << bad;
    }
    EXPECT_TRUE(is_key_id(std::string(255, 'a')));
    EXPECT_FALSE(is_key_id(std::string(256, 'a')));
    EXPECT_FALSE(is_key_id(std::string_view("a\0b", 3)));
}

TEST(KeySet, SkipsUnknownKindsAndRefusesDoubtfulOnes) {
    const std::string rfc(rfc_private);
    const std::string other = R"({"kty":"oct","kid":"o","k":"AA"},{"kid":"p","tags":[]},)"
                              R"({"kty":"OKP","crv":"Ed448","kid":"q","x":"AA"})";
    const KeySet keys = KeySet::parse(R"({"keys":[)" + other + "," + rfc + "]}").value();
    EXPECT_EQ(keys.size(), 1U);
    EXPECT_EQ(keys.skipped(), 3U);
    EXPECT_NE(keys.find("rfc"), nullptr);
    EXPECT_EQ(keys.find("o"), nullptr);
    EXPECT_EQ(KeySet::parse(rfc).value().size(), 1U);
    const auto twice = KeySet::parse(R"({"keys":[)" + rfc + "," + rfc + "]}");
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().code(), Code::conflict);
    EXPECT_FALSE(KeySet::parse(R"({"keys":{}})"));
    EXPECT_FALSE(KeySet::parse(R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"A"}]})"));
}

TEST(KeySet, TakesTheKidFromTheFileName) {
    const std::string text = test_key().public_jwk().to_json();
    EXPECT_EQ(key_from_file("rfc.jwk", text).value().kid(), "rfc");
    EXPECT_FALSE(key_from_file("other.jwk", text));
    EXPECT_FALSE(key_from_file("..jwk", text));
    EXPECT_EQ(key_from_file("README.txt", text).error().code(), Code::not_found);
    const std::string pem = golden("http/clients/p256.edge.tapir.example.pem");
    const Jwk key = key_from_file("p256.edge.tapir.example.pem", pem).value();
    EXPECT_EQ(key.kid(), "p256.edge.tapir.example");
    EXPECT_EQ(key.algorithm(), JwsAlgorithm::es256);
    EXPECT_FALSE(key_from_file("a.pem", text));
    EXPECT_FALSE(key_from_file("a.jwk", pem));
}

TEST(Jws, KnowsTheSignatureOfRfc8037) {
    // The published message has no kid, so ours is refused; the signature itself is the key's.
    EXPECT_EQ(UnverifiedJws::parse(rfc_compact).error(), JwsError::key_id_missing);
    const std::size_t dot = rfc_compact.rfind('.');
    const Bytes signature = crypto::parse_base64url(rfc_compact.substr(dot + 1)).value();
    const PrivateJwk key = test_key();
    EXPECT_TRUE(key.public_jwk().key().verify(crypto::SignatureAlgorithm::ed25519,
                                              as_bytes(rfc_compact.substr(0, dot)), signature));
}

RC_GTEST_PROP(Jws, VerifiesItsOwnInAllForms, ()) {
    const PrivateJwk key = test_key();
    KeySet keys;
    RC_ASSERT(keys.add(key.public_jwk()).has_value());
    const auto payload = *rc::gen::arbitrary<std::string>();
    const std::string text = sign_jws(key, as_bytes(payload)).value();
    RC_ASSERT(payload_of(text, keys) == payload);
    const Json json = Json::parse(text).value();
    const std::string header = json.string("protected").value();
    const std::string signature = json.string("signature").value();
    const std::string body = json.string("payload").value();
    RC_ASSERT(payload_of(header + "." + body + "." + signature, keys) == payload);
    const Json general = Json::object(
        {{"payload", body},
         {"signatures",
          Json::array({Json::object({{"protected", header}, {"signature", signature}})})}});
    RC_ASSERT(payload_of(general.to_string(), keys) == payload);
}

RC_GTEST_PROP(Jws, AChangedCharacterIsFound, ()) {
    const PrivateJwk key = test_key();
    KeySet keys;
    RC_ASSERT(keys.add(key.public_jwk()).has_value());
    std::string text = sign_jws(key, as_bytes("a payload to be changed")).value();
    const auto place = *rc::gen::inRange<std::size_t>(0, text.size());
    const auto other = *rc::gen::inRange<char>(1, 127);
    RC_PRE(text[place] != other);
    text[place] = other;
    // A space beside the JSON's own signs changes nothing that is signed.
    RC_ASSERT(outcome(text, keys) != "verified" ||
              payload_of(text, keys) == "a payload to be changed");
}

TEST(Jws, IsLimitedInSize) {
    const PrivateJwk key = test_key();
    const auto fits = sign_jws(key, Bytes(48'900));
    ASSERT_TRUE(fits);
    EXPECT_LE(fits->size(), jws_size_max);
    EXPECT_EQ(sign_jws(key, Bytes(49'152)).error().code(), Code::exhausted);
    EXPECT_EQ(sign_jws(key, Bytes(1 << 20)).error().code(), Code::exhausted);
    EXPECT_EQ(UnverifiedJws::parse(std::string(jws_size_max + 1, ' ')).error(),
              JwsError::too_large);
}

TEST(Jws, RefusesFormsThatCouldBeReadInTwoWays) {
    const PrivateJwk key = test_key();
    KeySet keys;
    ASSERT_TRUE(keys.add(key.public_jwk()));
    const std::string text = sign_jws(key, as_bytes("x")).value();
    const Json json = Json::parse(text).value();
    Json both = json;
    both.set("signatures", Json::array({json}));
    EXPECT_EQ(outcome(both.to_string(), keys), "malformed");
    Json none =
        Json::object({{"payload", json.string("payload").value()}, {"signatures", Json::array()}});
    EXPECT_EQ(outcome(none.to_string(), keys), "malformed");
    EXPECT_EQ(outcome("{\"payload\":\"eA\"," + text.substr(1), keys), "malformed");  // twice
    EXPECT_EQ(outcome(text + "x", keys), "malformed");
    EXPECT_EQ(outcome("  " + text + "\n", keys), "verified");
    EXPECT_EQ(outcome(std::string(30'000, '['), keys), "malformed");
    EXPECT_EQ(outcome("{\"a\":" + std::string(30'000, '['), keys), "malformed");
}

TEST(Jws, TheOneExpectedKeyMustBeTheNamedOne) {
    const PrivateJwk key = test_key();
    const auto message = UnverifiedJws::parse(sign_jws(key, as_bytes("x")).value());
    ASSERT_TRUE(message);
    EXPECT_TRUE(message->verify(key.public_jwk()));
    EXPECT_TRUE(message->verify(Jwk(key.public_jwk().key(), "")));
    EXPECT_EQ(message->verify(Jwk(key.public_jwk().key(), "other")).error(), JwsError::unknown_key);
}

// What the existing bridge did with each message, and what we do; where we differ, why.
TEST(Jws, GoldenEventsUpVerifyAsRecordedOrForAReason) {
    const KeySet keys = set_of({"observations/keys/edm.edge.tapir.example.json",
                                "observations/keys/es256.edge.tapir.example.json",
                                "observations/keys/rs256.edge.tapir.example.json",
                                "observations/keys/noalg.edge.tapir.example.json"});
    const std::map<std::string, std::string> refused{
        {"004-general-two-signatures-stranger-first", "unknown_key"},
        {"010-kid-missing", "key_id_missing"},
        {"011-unknown-kid", "unknown_key"},
        {"012-not-enrolled-kid", "unknown_key"},
        {"013-wrong-key", "bad_signature"},
        {"014-tampered", "bad_signature"},
        {"015-path-kid", "key_id_malformed"},
        {"016-path-kid-own-key", "key_id_malformed"},  // forwarded by the bridge: its fault
        {"030-not-jws", "malformed"},
        {"031-empty", "malformed"},
    };
    // Dropped by the bridge for what they say, or (005, 008) for reasons that we do not share.
    const std::map<std::string, std::string> dropped_there{
        {"005-compact-form", "we read this form too"},
        {"008-no-alg", "the key implies it"},
        {"020-wrong-type", "payload"},
        {"021-no-qname", "payload"},
        {"022-version-string", "payload"},
        {"025-negative-qtype", "payload"},
        {"026-payload-not-json", "payload"}};
    int verified = 0;
    for (const std::string& name : golden_names("observations/up", ".mqtt")) {
        const std::string text = golden("observations/up/" + name + ".mqtt");
        const auto expected = refused.find(name);
        EXPECT_EQ(outcome(text, keys), expected == refused.end() ? "verified" : expected->second)
            << name;
        if (expected != refused.end()) {
            continue;
        }
        ++verified;
        const bool forwarded = has_golden("observations/up/" + name + ".nats");
        EXPECT_EQ(forwarded, !dropped_there.contains(name)) << name;
        if (forwarded) {
            const std::string nats = golden("observations/up/" + name + ".nats");
            const std::string payload = payload_of(text, keys);
            EXPECT_NE(nats.find("\r\n\r\n" + payload + "\r\n"), std::string::npos) << name;
            const auto message = UnverifiedJws::parse(text)->verify(keys);
            EXPECT_NE(nats.find("Thumbprint: " + message->thumbprint() + "\r\n"),
                      std::string::npos);
        }
    }
    EXPECT_EQ(verified, 21);
}

TEST(Jws, GoldenObservationsDownVerifyAndAreSignedAlike) {
    const KeySet keys = KeySet::parse(golden("observations/keys/validation-keys.json")).value();
    const PrivateJwk key =
        PrivateJwk::parse(golden("observations/keys/core-signing-key.json")).value();
    for (const std::string& name : golden_names("observations/down", ".json")) {
        const std::string text = golden("observations/down/" + name + ".json");
        EXPECT_EQ(outcome(text, keys), "verified") << name;
        EXPECT_EQ(sign_jws(key, as_bytes(payload_of(text, keys))).value(), text) << name;
    }
}

TEST(Jws, GoldenEventsOfTheExistingEdgeAreSignedAlike) {
    const KeySet keys = KeySet::parse(golden("edm/signing-key.public.jwk")).value();
    const PrivateJwk key = PrivateJwk::parse(golden("edm/signing-key.jwk")).value();
    std::string lines = golden("edm/new_qname.jsonl");
    int count = 0;
    for (std::size_t at = 0; at < lines.size(); ++count) {
        const std::size_t end = lines.find('\n', at);
        const Json line = Json::parse(std::string_view(lines).substr(at, end - at)).value();
        const std::string text = line.string("payload").value();
        EXPECT_EQ(outcome(text, keys), "verified");
        EXPECT_EQ(sign_jws(key, as_bytes(payload_of(text, keys))).value(), text);
        at = end + 1;
    }
    EXPECT_EQ(count, 71);
}

// What POP did is in its steps.jsonl; our outcome, and where it differs why.
TEST(Jws, GoldenSignaturesOfPopVerifyAsOurRulesSay) {
    const KeySet keys = KeySet::parse(golden("pop/validation-keys.json")).value();
    const std::map<std::string, std::string> refused{
        {"06-untrusted-key", "unknown_key"},
        {"07-forged-kid", "bad_signature"},
        {"08-tampered-signature", "bad_signature"},
        {"09-tampered-payload", "bad_signature"},
        {"10-no-kid", "key_id_missing"},
        {"11-kid-unprotected", "key_id_missing"},
        {"12-alg-lie", "algorithm_refused"},        // POP: accepted; alg must be the key's
        {"13-alg-none", "algorithm_refused"},       // POP: accepted; never
        {"14-no-alg-header", "algorithm_refused"},  // POP: accepted; RFC 7515 §4.1.1
        {"15-crit", "critical_extension"},          // POP: accepted; RFC 7515 §4.1.11
        {"17-plain-json", "malformed"},
        {"18-empty", "malformed"},
        {"19-junk", "malformed"},
        {"21-general-unknown-then-good", "unknown_key"},  // the first signature alone counts
        {"22-general-bad-then-good", "bad_signature"},    // POP: accepted; likewise
    };
    // 05-noalg is refused by POP and verifies here: the key implies its algorithm.
    for (const std::string& name : golden_names("pop/signatures", ".jws")) {
        const auto expected = refused.find(name);
        const std::string text = golden("pop/signatures/" + name + ".jws");
        EXPECT_EQ(outcome(text, keys), expected == refused.end() ? "verified" : expected->second)
            << name;
        if (expected == refused.end()) {
            EXPECT_EQ(payload_of(text, keys), golden("pop/signatures/" + name + ".payload.json"));
        }
    }
}

TEST(Jws, GoldenObservationsExpiryAndNamesOfPopVerify) {
    const KeySet keys = KeySet::parse(golden("pop/validation-keys.json")).value();
    for (const char* folder : {"pop/observations/", "pop/expiry/", "pop/names/"}) {
        for (const std::string& name : golden_names(folder, ".jws")) {
            EXPECT_EQ(payload_of(golden(folder + name + ".jws"), keys),
                      golden(folder + name + ".payload.json"))
                << folder << name;
        }
    }
}

TEST(Batch, GivesBackWhatWasJoined) {
    const PrivateJwk key = test_key();
    std::vector<std::string> messages;
    for (int i = 0; i < 3; ++i) {
        const std::string batch = join_batch(messages, 4096);
        EXPECT_EQ(batch.size() % 4096, 0U);
        EXPECT_TRUE(Json::parse(batch));
        const auto parts = split_batch(batch).value();
        EXPECT_EQ(std::vector<std::string>(parts.begin(), parts.end()), messages);
        messages.push_back(sign_jws(key, as_bytes(R"({"qname":"a\"}{[],.example."})")).value());
    }
    EXPECT_EQ(join_batch(std::vector<std::string>{}, 1).size(), 3U);
}

TEST(Batch, OneMessageAloneIsABatchOfOne) {
    const std::string text = sign_jws(test_key(), as_bytes("x")).value();
    EXPECT_EQ(split_batch("\n" + text + " ").value(), std::vector<std::string_view>{text});
}

TEST(Batch, RefusesWhatIsNoListOfMessages) {
    for (const char* text : {"[", "[{}", "[{},", "[{},]", "[{}{}]", "[{}]x", "[]x", "[1]",
                             "[{\"a\"]", "[,{}]", "[{\"}\\\"]"}) {
        EXPECT_EQ(split_batch(text).error(), JwsError::malformed) << text;
    }
    EXPECT_EQ(split_batch("[{\"a\":\"" + std::string(jws_size_max, 'a') + "\"}]").error(),
              JwsError::too_large);
}

}  // namespace
}  // namespace tapir::jose
