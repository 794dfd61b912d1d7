// The fields of a signed request: the input's lines are Signature-Input, Signature, Content-Digest
// and the rest is the body. Nothing crashes; no dictionary is read in which a member lies outside
// the text.
#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "structured_field.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/jose/http_signature.hpp"

namespace {

using namespace tapir;
using namespace tapir::jose;

const KeySet& test_keys() {
    static const KeySet keys =
        KeySet::parse(R"({"kty":"OKP","crv":"Ed25519","kid":"edge-1.test.example",)"
                      R"("x":"Kq3IpJVXbwNsGs3c1tRG0kDdZgp-jlDOVxt7YnRV9ks"})")
            .value();
    return keys;
}

std::string_view take_line(std::string_view& text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    return line;
}

void try_dictionary(std::string_view text) {
    const auto members = parse_dictionary(text);
    if (!members) {
        return;
    }
    const std::less_equal<> not_behind;
    for (const Member& member : *members) {
        TAPIR_ASSERT(
            not_behind(text.data(), member.text.data()) &&
            not_behind(member.text.data() + member.text.size(), text.data() + text.size()));
        TAPIR_ASSERT(member.is_list || member.items.size() == 1);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    const std::string_view input = take_line(text);
    const std::string_view signature = take_line(text);
    const std::string_view digest = take_line(text);
    try_dictionary(input);
    try_dictionary(signature);
    try_dictionary(digest);
    const std::array<FieldView, 6> fields{{{"signature-input", input},
                                           {"signature", signature},
                                           {"content-digest", digest},
                                           {"content-type", "application/vnd.apache.parquet"},
                                           {"content-length", "1"},
                                           {"host", "core.example"}}};
    const RequestView request{.method = "POST",
                              .path = "/api/v1/aggregate/histogram",
                              .query = "",
                              .fields = fields,
                              .body = as_bytes(text)};
    static_cast<void>(signature_base(request));
    static_cast<void>(verify_digest(request));
    static_cast<void>(verify_request(request, test_keys(), UtcTime::from_seconds(1'795'447'142),
                                     SignaturePolicy::strict()));
    return 0;
}
