// What a leaf says: canonical JSON (members sorted, compact), one leaf for each batch that left.
//
//     const Salt salt = derive_salt(ledger_key, "batch-2026-05-28T12:13:00Z", "events");
//     LeafBuilder leaf("batch", batch_time);
//     leaf.set("profile", "standard")
//         .commit("config", commit(salt_of_config, settings.to_canonical()))
//         .payload("events.json", body.size(), commit(salt, body))
//         .count("suppressed", "below_threshold", 17);
//     const Bytes octets = TRY(leaf.build());
//
// A commitment is SHA-256 of a salt of 16 octets and the octets themselves: whoever gets the salt
// can check it, whoever does not can guess nothing (DESIGN.md §3, R8). docs/formats/ledger.md has
// the members and an example.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/crypto/secret.hpp"
#include "tapir/text/json.hpp"

namespace tapir::ledger {

inline constexpr std::size_t salt_size = 16;           // octets
inline constexpr std::size_t leaf_payloads_max = 256;  // payloads of one leaf
inline constexpr int leaf_version = 1;

using Salt = std::array<std::byte, salt_size>;
using Commitment = crypto::Sha256Digest;

Commitment commit(const Salt& salt, ByteView octets);
bool verify_commitment(const Commitment& commitment, const Salt& salt, ByteView octets);

// A salt from a key: the first 16 octets of HMAC-SHA256(key, batch NUL name). Different for each
// batch and name, and repeatable, so that a salt need not be stored: who holds the key can open.
Salt derive_salt(const crypto::Secret& key, std::string_view batch, std::string_view name);

class LeafBuilder {
public:
    // `kind`: what was done ("batch"); `time`: the batch's (R6), never finer.
    LeafBuilder(std::string_view kind, UtcTime time);

    // Any member of one's own. Setting one again replaces it.
    LeafBuilder& set(std::string_view member, text::Json value);
    // {"commitments": {name: hex}}
    LeafBuilder& commit(std::string_view name, const Commitment& commitment);
    // {"payloads": [{"commitment": hex, "name": …, "size": …}]}
    LeafBuilder& payload(std::string_view name, std::uint64_t size, const Commitment& commitment);
    // {"counts": {group: {name: n}}}
    LeafBuilder& count(std::string_view group, std::string_view name, std::uint64_t n);

    // The leaf's octets. Code::exhausted if over leaf_size_max or leaf_payloads_max.
    Result<Bytes> build() const;

private:
    text::Json members_;
    std::vector<std::pair<std::string, Commitment>> commitments_;
    text::Json payloads_;
    std::vector<std::pair<std::string, std::vector<std::pair<std::string, std::uint64_t>>>> counts_;
};

struct LeafPayload {
    std::string name;
    std::uint64_t size = 0;
    Commitment commitment{};
};

// A leaf read back. Unknown members stay in `members`.
struct Leaf {
    std::string kind;
    UtcTime time;
    std::vector<LeafPayload> payloads;
    text::Json members;  // all of them

    // Refused: what is not canonical (one value, one text), of another version, or incomplete.
    static Result<Leaf> parse(ByteView octets);
};

// Which salt opens which commitment: a line of JSON that stays with the operator, and is handed to
// an auditor. {"commitment":hex,"name":…,"salt":hex}
struct Opening {
    std::string name;
    Salt salt{};
    Commitment commitment{};

    static Result<Opening> parse(std::string_view line);
    std::string to_json() const;
};

}  // namespace tapir::ledger
