#include "tapir/ledger/merkle.hpp"

#include <bit>

namespace tapir::ledger {
namespace {

constexpr std::byte leaf_mark{0x00};
constexpr std::byte node_mark{0x01};

}  // namespace

Hash hash_leaf(ByteView leaf) {
    crypto::Sha256 hash;
    hash.add({&leaf_mark, 1});
    hash.add(leaf);
    return hash.finish();
}

Hash hash_node(const Hash& left, const Hash& right) {
    crypto::Sha256 hash;
    hash.add({&node_mark, 1});
    hash.add(left);
    hash.add(right);
    return hash.finish();
}

Hash empty_root() {
    return crypto::sha256({});
}

// Pairs on each level, the odd one at the end goes up as it is: the same tree as RFC 6962's split
// at the largest power of two.
Hash root_of(std::span<const Hash> leaf_hashes) {
    if (leaf_hashes.empty()) {
        return empty_root();
    }
    std::vector<Hash> level(leaf_hashes.begin(), leaf_hashes.end());
    while (level.size() > 1) {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < level.size(); i += 2) {
            level[kept++] = i + 1 < level.size() ? hash_node(level[i], level[i + 1]) : level[i];
        }
        level.resize(kept);
    }
    return level.front();
}

// RFC 9162 §2.1.3.2.
bool verify_inclusion(const Hash& leaf_hash, std::uint64_t index, const TreeHead& tree,
                      std::span<const Hash> proof) {
    if (index >= tree.size) {
        return false;
    }
    std::uint64_t node = index;
    std::uint64_t last = tree.size - 1;
    Hash hash = leaf_hash;
    for (const Hash& sibling : proof) {
        if (last == 0) {
            return false;
        }
        if ((node & 1U) != 0 || node == last) {
            hash = hash_node(sibling, hash);
            while ((node & 1U) == 0 && node != 0) {
                node >>= 1U;
                last >>= 1U;
            }
        } else {
            hash = hash_node(hash, sibling);
        }
        node >>= 1U;
        last >>= 1U;
    }
    return last == 0 && hash == tree.root;
}

// RFC 9162 §2.1.4.2.
bool verify_consistency(const TreeHead& older, const TreeHead& newer, std::span<const Hash> proof) {
    if (older.size > newer.size) {
        return false;
    }
    if (older.size == newer.size) {
        return proof.empty() && older.root == newer.root;
    }
    if (older.size == 0) {
        return proof.empty() && older.root == empty_root();
    }
    std::uint64_t node = older.size - 1;
    std::uint64_t last = newer.size - 1;
    while ((node & 1U) != 0) {
        node >>= 1U;
        last >>= 1U;
    }
    Hash old_hash = older.root;  // a whole subtree of the newer one is not in the proof
    if (!std::has_single_bit(older.size)) {
        if (proof.empty()) {
            return false;
        }
        old_hash = proof.front();
        proof = proof.subspan(1);
    }
    Hash new_hash = old_hash;
    for (const Hash& sibling : proof) {
        if (last == 0) {
            return false;
        }
        if ((node & 1U) != 0 || node == last) {
            old_hash = hash_node(sibling, old_hash);
            new_hash = hash_node(sibling, new_hash);
            while ((node & 1U) == 0 && node != 0) {
                node >>= 1U;
                last >>= 1U;
            }
        } else {
            new_hash = hash_node(new_hash, sibling);
        }
        node >>= 1U;
        last >>= 1U;
    }
    return last == 0 && old_hash == older.root && new_hash == newer.root;
}

}  // namespace tapir::ledger
