#include "tapir/jose/http_signature.hpp"

#include <map>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "structured_field.hpp"
#include "tapir/crypto/base64.hpp"
#include "test_files.hpp"

namespace tapir::jose {
namespace {

// The day of the recording; `created` is within seconds of it.
constexpr UtcTime recorded = UtcTime::from_seconds(1'795'447'142);

// A request out of the octets as they were sent.
struct Recorded {
    std::string octets;
    std::vector<FieldView> fields;
    RequestView view;

    explicit Recorded(std::string text) : octets(std::move(text)) {
        const std::string_view all(octets);
        const std::size_t end = all.find("\r\n\r\n");
        std::string_view head = all.substr(0, end);
        const std::string_view line = head.substr(0, head.find("\r\n"));
        view.method = line.substr(0, line.find(' '));
        const std::string_view target = line.substr(line.find(' ') + 1);
        view.path = target.substr(0, target.find(' '));
        view.body = as_bytes(all.substr(end + 4));
        while (head.find("\r\n") != std::string_view::npos) {
            head.remove_prefix(head.find("\r\n") + 2);
            const std::string_view field = head.substr(0, head.find("\r\n"));
            const std::size_t colon = field.find(':');
            fields.push_back({field.substr(0, colon), field.substr(colon + 1)});
        }
        view.fields = fields;
    }
    Recorded(const Recorded&) = delete;
    Recorded& operator=(const Recorded&) = delete;
};

KeySet clients() {
    KeySet keys;
    for (const char* kid : {"ed25519", "p256", "rsa"}) {
        const std::string file = fmt::format("{}.edge.tapir.example.pem", kid);
        EXPECT_TRUE(keys.add(key_from_file(file, golden("http/clients/" + file)).value()));
    }
    // Of kinds that cannot upload, there as here.
    for (const char* kid : {"ed448", "p384"}) {
        const std::string file = fmt::format("{}.edge.tapir.example.pem", kid);
        EXPECT_FALSE(key_from_file(file, golden("http/clients/" + file)));
    }
    return keys;
}

// Why each is refused; all others verify. The numbers are what the existing receiver answered.
const std::map<std::string, HttpSignatureError>& refusals() {
    using enum HttpSignatureError;
    static const std::map<std::string, HttpSignatureError> table{
        {"043-bad-digest", digest_mismatch},                           // 401
        {"044-altered-body", digest_mismatch},                         // 401
        {"045-bad-signature", bad_signature},                          // 401
        {"046-bad-signature-p256", bad_signature},                     // 401
        {"047-wrong-key", bad_signature},                              // 401
        {"048-unknown-key", unknown_key},                              // 401
        {"049-keyid-bad-characters", key_id_malformed},                // 400
        {"050-keyid-missing", key_id_missing},                         // 401
        {"051-keyid-empty", key_id_malformed},                         // 400
        {"052-alg-missing", algorithm_missing},                        // 500
        {"053-alg-unknown", algorithm_unknown},                        // 500
        {"054-alg-other-than-key", algorithm_not_of_key},              // 400
        {"055-alg-hmac", algorithm_refused},                           // 401
        {"056-ed448", algorithm_unknown},                              // 500
        {"057-p384", algorithm_unknown},                               // 500
        {"058-created-missing", created_missing},                      // 401
        {"059-created-future", created_in_future},                     // 401
        {"060-created-old", created_too_old},                          // 401
        {"061-expires-past", expired},                                 // 401
        {"062-unknown-param", parameter_unknown},                      // 401
        {"063-digest-not-covered", digest_not_covered},                // 401
        {"064-nothing-covered", digest_not_covered},                   // 401
        {"065-digest-unsupported", digest_unsupported},                // 401
        {"066-digest-malformed", digest_malformed},                    // 500
        {"067-component-absent", component_absent},                    // 401
        {"068-component-twice", component_twice},                      // 401
        {"069-component-upper-case", component_malformed},             // 401
        {"070-two-signatures", several_signatures},                    // 401
        {"071-label-mismatch", label_mismatch},                        // 401
        {"072-signature-input-malformed", signature_input_malformed},  // 500
        {"073-signature-malformed", signature_malformed},              // 401
        {"074-signature-empty", signature_malformed},                  // 401
    };
    return table;
}

TEST(HttpSignature, GoldenUploadsVerifyOrAreRefusedForTheirFault) {
    const KeySet keys = clients();
    std::size_t refused = 0;
    for (const std::string& name : golden_names("http", ".request")) {
        const Recorded request(golden("http/" + name + ".request"));
        const auto verified =
            verify_request(request.view, keys, recorded, SignaturePolicy::interoperable());
        const auto expected = refusals().find(name);
        if (expected == refusals().end()) {
            EXPECT_TRUE(verified) << name << ": " << to_string(verified.error());
        } else {
            ++refused;
            ASSERT_FALSE(verified) << name;
            EXPECT_EQ(to_string(verified.error()), to_string(expected->second)) << name;
        }
    }
    EXPECT_EQ(refused, refusals().size());
}

TEST(HttpSignature, GoldenSignatureBasesAreTheSame) {
    // No base is made of what is refused before: a component that is not there, twice, or no name.
    const std::set<std::string> no_base{"067-component-absent", "068-component-twice",
                                        "069-component-upper-case", "070-two-signatures",
                                        "062-unknown-param"};
    int same = 0;
    for (const std::string& name : golden_names("http", ".sigbase")) {
        const Recorded request(golden("http/" + name + ".request"));
        const auto base = signature_base(request.view);
        if (no_base.contains(name)) {
            EXPECT_FALSE(base) << name;
            continue;
        }
        ASSERT_TRUE(base) << name << ": " << to_string(base.error());
        EXPECT_EQ(*base, golden("http/" + name + ".sigbase")) << name;
        ++same;
    }
    EXPECT_GE(same, 50);
}

TEST(HttpSignature, GoldenUploadsOfTheExistingEdgeAreSignedAlike) {
    const PrivateJwk key =
        PrivateJwk::parse(golden("http/keys/ed25519.edge.tapir.example.json")).value();
    for (const char* name : {"005-edm-histogram", "009-ed25519"}) {
        const Recorded request(golden(fmt::format("http/{}.request", name)));
        const auto verified =
            verify_request(request.view, clients(), recorded, SignaturePolicy::interoperable());
        ASSERT_TRUE(verified);
        const SignatureFields again =
            sign_request(key, request.view, verified->created, Coverage::edm).value();
        EXPECT_NE(request.octets.find("Signature-Input: " + again.signature_input + "\r\n"),
                  std::string::npos);
        EXPECT_NE(request.octets.find("Signature: " + again.signature + "\r\n"), std::string::npos);
        EXPECT_NE(request.octets.find("Content-Digest: " + content_digest(request.view.body)),
                  std::string::npos);
    }
}

// A request of ours, that can be changed after it was signed.
struct Ours {
    PrivateJwk key = PrivateJwk::parse(golden("edm/signing-key.jwk")).value();
    KeySet keys;
    std::string digest = content_digest(as_bytes("body"));
    SignatureFields signature;
    std::vector<FieldView> fields{{"Content-Type", " application/jose+json"},
                                  {"CONTENT-LENGTH", "4"},
                                  {"Content-Digest", digest},
                                  {"Aggregate-Interval", "2026-11-23T15:00:00Z/PT1M"}};
    RequestView view{.method = "POST",
                     .path = "/api/v1/aggregate/histogram",
                     .query = "",
                     .fields = {},
                     .body = as_bytes("body")};

    explicit Ours(Coverage coverage) {
        EXPECT_TRUE(keys.add(key.public_jwk()));
        view.fields = fields;
        signature = sign_request(key, view, recorded, coverage).value();
        fields.push_back({"Signature-Input", signature.signature_input});
        fields.push_back({"Signature", signature.signature});
        view.fields = fields;
    }
    Ours(const Ours&) = delete;
    Ours& operator=(const Ours&) = delete;

    std::string verdict(const SignaturePolicy& policy = SignaturePolicy::strict(),
                        UtcTime now = recorded) const {
        const auto verified = verify_request(view, keys, now, policy);
        return verified ? "verified" : std::string(to_string(verified.error()));
    }
};

TEST(HttpSignature, OursCoversWhatOurCoreDemands) {
    const Ours request(Coverage::core);
    EXPECT_EQ(request.verdict(), "verified");
    EXPECT_EQ(request.signature.signature_input,
              fmt::format(R"(sig1=("content-type" "content-length" "content-digest" )"
                          R"("aggregate-interval" "@method" "@path");created={};alg="ed25519";)"
                          R"(keyid="edge-1.test.example")",
                          recorded.seconds()));
    const Ours edm(Coverage::edm);
    EXPECT_EQ(edm.verdict(), "not_covered");
    EXPECT_EQ(edm.verdict(SignaturePolicy::interoperable()), "verified");
}

TEST(HttpSignature, EachChangeOfWhatIsCoveredIsFound) {
    Ours request(Coverage::core);
    request.view.method = "PUT";
    EXPECT_EQ(request.verdict(), "bad_signature");
    request.view.method = "POST";
    request.view.path = "/api/v1/aggregate/vector";
    EXPECT_EQ(request.verdict(), "bad_signature");
    request.view.path = "/api/v1/aggregate/histogram";
    request.view.body = as_bytes("bodY");
    EXPECT_EQ(request.verdict(), "digest_mismatch");
    request.view.body = as_bytes("body");
    request.fields[3].value = "2026-11-23T15:00:00Z/PT2M";
    EXPECT_EQ(request.verdict(), "bad_signature");
    request.fields[3].value = "2026-11-23T15:00:00Z/PT1M";
    EXPECT_EQ(request.verdict(), "verified");
    // A second field of a covered name makes another value.
    request.fields.push_back({"aggregate-interval", "2026-11-23T15:00:00Z/PT1M"});
    request.view.fields = request.fields;
    EXPECT_EQ(request.verdict(), "bad_signature");
}

TEST(HttpSignature, TimeIsHeldToTheSecond) {
    const Ours request(Coverage::core);
    using std::chrono::seconds;
    const SignaturePolicy policy = SignaturePolicy::strict();
    EXPECT_EQ(request.verdict(policy, recorded + seconds(86'400)), "verified");
    EXPECT_EQ(request.verdict(policy, recorded + seconds(86'401)), "created_too_old");
    EXPECT_EQ(request.verdict(policy, recorded - seconds(5)), "verified");
    EXPECT_EQ(request.verdict(policy, recorded - seconds(6)), "created_in_future");
}

TEST(HttpSignature, NamesWhatIsMissing) {
    Ours request(Coverage::core);
    request.view.fields = std::span(request.fields).first(4);
    EXPECT_EQ(request.verdict(), "signature_missing");
    request.view.fields = std::span(request.fields).first(2);
    EXPECT_EQ(request.verdict(), "digest_missing");
    EXPECT_FALSE(sign_request(request.key, request.view, recorded, Coverage::edm));
    request.fields[4].name = "x";
    request.view.fields = request.fields;
    EXPECT_EQ(request.verdict(), "signature_input_missing");
}

TEST(HttpSignature, NumbersOfTheSenderDoNotOverflow) {
    Ours request(Coverage::core);
    for (const auto& [created, expected] :
         std::map<std::string, std::string>{{"999999999999999", "created_in_future"},
                                            {"-999999999999999", "created_too_old"},
                                            {"9999999999999999", "signature_input_malformed"},
                                            {"1.5", "signature_input_malformed"},
                                            {"\"1\"", "signature_input_malformed"}}) {
        const std::string input = fmt::format(
            R"(sig1=("content-digest");created={};alg="ed25519";keyid="edge-1.test.example")",
            created);
        request.fields[4].value = input;
        EXPECT_EQ(request.verdict(SignaturePolicy::interoperable()), expected) << created;
    }
}

TEST(HttpSignature, ErrorsHaveNamesOfTheirOwn) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < http_signature_error_count; ++i) {
        names.insert(to_string(static_cast<HttpSignatureError>(i)));
    }
    EXPECT_EQ(names.size(), http_signature_error_count);
    EXPECT_EQ(to_string(HttpSignatureError::bad_signature), "bad_signature");
    EXPECT_EQ(to_string(HttpSignatureError::created_missing), "created_missing");
    EXPECT_EQ(to_string(HttpSignatureError::label_mismatch), "label_mismatch");
}

TEST(StructuredField, ReadsADictionary) {
    const auto members =
        parse_dictionary(R"(a=1, b=("x" "y\"z";p);created=-5;t=tok/en, c=:AQI=:,d,e;q=?0 ,f=1.25)");
    ASSERT_TRUE(members);
    ASSERT_EQ(members->size(), 6U);
    EXPECT_EQ(std::get<std::int64_t>((*members)[0].items[0].value), 1);
    EXPECT_TRUE((*members)[1].is_list);
    EXPECT_EQ(std::get<std::string>((*members)[1].items[1].value), "y\"z");
    EXPECT_EQ(std::get<bool>(*find((*members)[1].items[1].parameters, "p")), true);
    EXPECT_EQ(std::get<std::int64_t>(*find((*members)[1].parameters, "created")), -5);
    EXPECT_EQ(std::get<Token>(*find((*members)[1].parameters, "t")).text, "tok/en");
    EXPECT_EQ((*members)[1].text, R"(("x" "y\"z";p);created=-5;t=tok/en)");
    EXPECT_EQ(std::get<Bytes>((*members)[2].items[0].value).size(), 2U);
    EXPECT_EQ(std::get<bool>((*members)[3].items[0].value), true);
    EXPECT_EQ(std::get<bool>(*find((*members)[4].items[0].parameters, "q")), false);
    EXPECT_EQ(std::get<Decimal>((*members)[5].items[0].value).text, "1.25");
    EXPECT_EQ(parse_dictionary("")->size(), 0U);
    EXPECT_EQ(std::get<std::int64_t>(parse_dictionary("a=1,b=2,a=3")->at(0).items[0].value), 3);
}

TEST(StructuredField, RefusesWhatIsNone) {
    for (const char* text : {"a=1,",
                             ",a=1",
                             "A=1",
                             "a=",
                             "a=(",
                             "a=(1",
                             "a=(1\"x\")",
                             "a=\"x",
                             "a=\"\\x\"",
                             "a=:A:",
                             "a=:AQI=",
                             "a=?2",
                             "a=1.",
                             "a=1.2345",
                             "a=-",
                             "a=1 b=2",
                             "a=1;",
                             "a=1;B",
                             "a=\"\xc3\xa5\"",
                             "a=1234567890123456",
                             "a=((1))",
                             "1",
                             "\"",
                             "a=(\"x\",\"y\")"}) {
        EXPECT_FALSE(parse_dictionary(text)) << text;
    }
    EXPECT_FALSE(parse_dictionary(std::string(signature_field_size_max + 1, 'a')));
    std::string many;
    for (std::size_t i = 0; i <= structured_members_max; ++i) {
        many += fmt::format("{}k{}", i == 0 ? "" : ",", i);
    }
    EXPECT_FALSE(parse_dictionary(many));
}

}  // namespace
}  // namespace tapir::jose
