// Messages, keys, sets and batches: nothing crashes, and what is accepted is accepted again as we
// print it. Nobody's signature verifies by accident under the test key.
#include <cstdint>
#include <span>

#include "tapir/base/assert.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/jose/jws.hpp"

namespace {

using namespace tapir;
using namespace tapir::jose;

const Jwk& test_key() {
    static const Jwk key = Jwk::parse(R"({"kty":"OKP","crv":"Ed25519","kid":"edge-1.test.example",)"
                                      R"("x":"Kq3IpJVXbwNsGs3c1tRG0kDdZgp-jlDOVxt7YnRV9ks"})")
                               .value();
    return key;
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
    static_cast<void>(KeySet::parse(text));
    static_cast<void>(key_from_file("a.jwk", text));
    static_cast<void>(key_from_file("a.pem", text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    try_keys(text);
    if (const auto message = UnverifiedJws::parse(text)) {
        TAPIR_ASSERT(is_key_id(message->claimed_kid()));
        static_cast<void>(message->verify(test_key()));
    }
    if (const auto parts = split_batch(text)) {
        std::vector<std::string> messages(parts->begin(), parts->end());
        const std::string batch = join_batch(messages, 4096);
        const std::size_t first = text.find_first_not_of(" \t\r\n");
        const bool is_list = first != std::string_view::npos && text[first] == '[';
        if (is_list && batch.size() <= batch_size_max) {
            const auto again = split_batch(batch);
            TAPIR_ASSERT(again && again->size() == parts->size());
        }
    }
    return 0;
}
