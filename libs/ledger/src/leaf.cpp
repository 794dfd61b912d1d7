#include "tapir/ledger/leaf.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "tapir/crypto/base64.hpp"
#include "tapir/ledger/log.hpp"

namespace tapir::ledger {
namespace {

using text::Json;

Failure<Error> malformed(std::string_view what) {
    return fail(Code::invalid, fmt::format("leaf: {}", what));
}

template <std::size_t Size>
Result<std::array<std::byte, Size>> octets_of(const Json& json, std::string_view member) {
    const std::string text = TRY(json.string(member));
    const Bytes octets = TRY(crypto::parse_hex(text));
    std::array<std::byte, Size> result{};
    if (octets.size() != Size) {
        return malformed(fmt::format("{}: expected {} octets", member, Size));
    }
    std::ranges::copy(octets, result.begin());
    return result;
}

// The element of that key, made at the end if there is none.
template <class Pairs>
auto& at_key(Pairs& pairs, std::string_view key) {
    const auto found = std::ranges::find(pairs, key, &Pairs::value_type::first);
    return found == pairs.end()
               ? pairs.emplace_back(std::string(key), typename Pairs::value_type::second_type{})
                     .second
               : found->second;
}

Result<LeafPayload> payload_of(const Json& json) {
    LeafPayload payload;
    payload.name = TRY(json.string("name"));
    const std::int64_t size = TRY(json.integer("size"));
    if (size < 0) {
        return malformed("payload: size below 0");
    }
    payload.size = static_cast<std::uint64_t>(size);
    payload.commitment = TRY(octets_of<crypto::sha256_size>(json, "commitment"));
    return payload;
}

}  // namespace

Commitment commit(const Salt& salt, ByteView octets) {
    crypto::Sha256 hash;
    hash.add(salt);
    hash.add(octets);
    return hash.finish();
}

bool verify_commitment(const Commitment& commitment, const Salt& salt, ByteView octets) {
    return commit(salt, octets) == commitment;
}

Salt derive_salt(const crypto::Secret& key, std::string_view batch, std::string_view name) {
    Bytes message = to_bytes(batch);
    append_u8(message, 0);
    append(message, name);
    const crypto::Sha256Digest mac = crypto::hmac_sha256(key.bytes(), message);
    Salt salt;
    std::copy_n(mac.begin(), salt.size(), salt.begin());
    return salt;
}

LeafBuilder::LeafBuilder(std::string_view kind, UtcTime time)
    : members_(
          Json::object({{"kind", kind}, {"time", time.to_string()}, {"version", leaf_version}})),
      payloads_(Json::array()) {}

LeafBuilder& LeafBuilder::set(std::string_view member, Json value) {
    members_.set(std::string(member), std::move(value));
    return *this;
}

LeafBuilder& LeafBuilder::commit(std::string_view name, const Commitment& commitment) {
    at_key(commitments_, name) = commitment;
    return *this;
}

LeafBuilder& LeafBuilder::payload(std::string_view name, std::uint64_t size,
                                  const Commitment& commitment) {
    payloads_.push(
        Json::object({{"commitment", to_hex(commitment)}, {"name", name}, {"size", size}}));
    return *this;
}

LeafBuilder& LeafBuilder::count(std::string_view group, std::string_view name, std::uint64_t n) {
    constexpr std::uint64_t n_max = std::numeric_limits<std::int64_t>::max();
    at_key(at_key(counts_, group), name) = std::min(n, n_max);
    return *this;
}

Result<Bytes> LeafBuilder::build() const {
    Json all = members_;
    if (payloads_.if_array()->size() > leaf_payloads_max) {
        return fail(Code::exhausted, "leaf: too many payloads");
    }
    if (!payloads_.if_array()->empty()) {
        all.set("payloads", payloads_);
    }
    if (!commitments_.empty()) {
        Json commitments = Json::object();
        for (const auto& [name, commitment] : commitments_) {
            commitments.set(name, to_hex(commitment));
        }
        all.set("commitments", std::move(commitments));
    }
    if (!counts_.empty()) {
        Json counts = Json::object();
        for (const auto& [group, names] : counts_) {
            Json of_group = Json::object();
            for (const auto& [name, n] : names) {
                of_group.set(name, n);
            }
            counts.set(group, std::move(of_group));
        }
        all.set("counts", std::move(counts));
    }
    Bytes octets = to_bytes(all.to_canonical());
    if (octets.size() > leaf_size_max) {
        return fail(Code::exhausted, "leaf: too large");
    }
    return octets;
}

Result<Leaf> Leaf::parse(ByteView octets) {
    Leaf leaf;
    leaf.members = TRY(Json::parse(as_text(octets), leaf_size_max));
    if (leaf.members.to_canonical() != as_text(octets)) {
        return malformed("not canonical JSON");
    }
    const std::int64_t version = TRY(leaf.members.integer("version"));
    if (version != leaf_version) {
        return malformed(fmt::format("version {} is not known here", version));
    }
    leaf.kind = TRY(leaf.members.string("kind"));
    const std::string time = TRY(leaf.members.string("time"));
    leaf.time = TRY(UtcTime::parse(time));
    if (leaf.members.find("payloads") != nullptr) {
        const Json::Array payloads = TRY(leaf.members.array_of("payloads"));
        if (payloads.size() > leaf_payloads_max) {
            return malformed("too many payloads");
        }
        for (const Json& json : payloads) {
            LeafPayload payload = TRY(payload_of(json));
            leaf.payloads.push_back(std::move(payload));
        }
    }
    return leaf;
}

Result<Opening> Opening::parse(std::string_view line) {
    const Json json = TRY(Json::parse(line, leaf_size_max));
    Opening opening;
    opening.name = TRY(json.string("name"));
    opening.salt = TRY(octets_of<salt_size>(json, "salt"));
    opening.commitment = TRY(octets_of<crypto::sha256_size>(json, "commitment"));
    return opening;
}

std::string Opening::to_json() const {
    return Json::object(
               {{"commitment", to_hex(commitment)}, {"name", name}, {"salt", to_hex(salt)}})
        .to_canonical();
}

}  // namespace tapir::ledger
