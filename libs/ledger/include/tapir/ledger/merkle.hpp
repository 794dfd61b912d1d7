// Merkle trees of transparency logs (RFC 6962 §2.1, RFC 9162): hashes of leaves and nodes, and the
// proofs that a leaf is in a tree and that a tree grew from another.
//
// Pure functions; proofs are lists of hashes, nearest the leaf first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/crypto/digest.hpp"

namespace tapir::ledger {

using Hash = crypto::Sha256Digest;

inline constexpr std::size_t proof_size_max = 64;  // hashes: enough for any tree

struct TreeHead {
    std::uint64_t size = 0;  // leaves
    Hash root{};
    friend bool operator==(const TreeHead&, const TreeHead&) = default;
};

Hash hash_leaf(ByteView leaf);                        // SHA-256(0x00 leaf)
Hash hash_node(const Hash& left, const Hash& right);  // SHA-256(0x01 left right)
Hash empty_root();                                    // SHA-256 of nothing
Hash root_of(std::span<const Hash> leaf_hashes);      // the slow way, for tests and small trees

// Whether `proof` shows that the leaf of that hash is number `index` of the tree.
bool verify_inclusion(const Hash& leaf_hash, std::uint64_t index, const TreeHead& tree,
                      std::span<const Hash> proof);

// Whether `proof` shows that `newer` begins with all of `older`.
bool verify_consistency(const TreeHead& older, const TreeHead& newer, std::span<const Hash> proof);

}  // namespace tapir::ledger
