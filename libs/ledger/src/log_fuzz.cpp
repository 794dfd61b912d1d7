// The input's first octet says what the others are, and to which log: one of five leaves, or, for
// one in eight, one of 258, which has full tiles. A file of the log: no changed one is taken for
// the log. A note, behind its signature: what is a checkpoint is the one that we print. Leaves,
// behind the digests: they make a log that verifies, opens, and proves each of them. And in any
// case a text: checkpoint, leaf, opening, key.
#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "tapir/base/assert.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/ledger/leaf.hpp"
#include "tapir/ledger/log.hpp"

namespace {

using namespace tapir;
using namespace tapir::ledger;

constexpr std::uint8_t world_choices = 8;

using Files = std::map<std::string, Bytes, std::less<>>;

ReadFile reader_of(const Files& files) {
    return [&files](std::string_view path) -> Result<Bytes> {
        const auto found = files.find(path);
        return found == files.end() ? fail(Code::not_found, std::string(path))
                                    : Result<Bytes>(found->second);
    };
}

void write(Files& files, const LogStep& step) {
    for (const LogFile& file : step.files) {
        files[file.path] = file.octets;
    }
}

struct World {
    crypto::SigningKey key =
        crypto::SigningKey::from_seed(crypto::Secret::copy_of(Bytes(32, std::byte{7}))).value();
    NoteVerifier verifier{"edge-1.example/ledger", key.public_key()};
    std::uint64_t size;  // leaves
    Files files;

    explicit World(std::uint64_t count) : size(count) {
        Log log(verifier.origin);
        std::vector<Bytes> leaves;
        for (std::uint64_t i = 0; i < size; ++i) {
            leaves.push_back(to_bytes("leaf " + std::to_string(i)));
        }
        write(files, log.append(leaves, key).value());
    }
};

void try_as_file(const World& world, std::size_t which, ByteView octets) {
    auto changed = world.files.begin();
    std::advance(changed, which);
    const ReadFile read = [&](std::string_view path) -> Result<Bytes> {
        return path == changed->first ? to_bytes(octets) : reader_of(world.files)(path);
    };
    const bool is_same = to_bytes(octets) == changed->second;
    TAPIR_ASSERT(verify_log(read, world.verifier).has_value() == is_same);
    static_cast<void>(Log::open(read, world.verifier));
    static_cast<void>(prove_inclusion(read, world.size, world.size - 1, world.size));
    static_cast<void>(prove_consistency(read, world.size, world.size / 2, world.size));
}

// The text as the body of a note under a good signature.
void try_as_note(const World& world, std::string_view text) {
    const std::string body = std::string(text.substr(0, checkpoint_size_max / 2)) + "\n";
    Bytes signature;
    append_u32(signature, world.verifier.key_id());
    append(signature, world.key.sign(as_bytes(body)));
    const std::string note =
        body + "\n\u2014 " + world.verifier.origin + " " + crypto::base64(signature) + "\n";
    const auto head = parse_checkpoint(note, world.verifier);
    TAPIR_ASSERT(head || head.error().code() != Code::denied);
    if (head && std::ranges::count(body, '\n') == 3) {
        TAPIR_ASSERT(print_checkpoint(*head, world.verifier.origin, world.key) == note);
    }
}

// The octets, cut up, as the leaves of a log that is written in two steps.
void try_as_leaves(const World& world, ByteView octets) {
    // 6; or 309, but for one size in eight only, for all these digests take milliseconds.
    const std::size_t leaf_count_max =
        octets.size() % world_choices == 0 ? world.size + world.size / 5 : 6;
    std::vector<Bytes> leaves;
    while (!octets.empty() && leaves.size() < leaf_count_max) {
        const std::size_t size =
            std::min<std::size_t>(std::to_integer<std::size_t>(octets[0]) % 8, octets.size() - 1);
        leaves.push_back(to_bytes(octets.subspan(1, size)));
        octets = octets.subspan(1 + size);
    }
    Files files;
    const ReadFile read = reader_of(files);
    const std::size_t half = leaves.size() / 2;
    Log first(world.verifier.origin);
    write(files, first.append(std::span(leaves).first(half), world.key).value());
    auto second = Log::open(read, world.verifier);
    TAPIR_ASSERT(second && second->head() == first.head());
    write(files, second->append(std::span(leaves).subspan(half), world.key).value());
    std::vector<Hash> hashes;
    const auto report = verify_log(read, world.verifier, [&](std::uint64_t index, ByteView leaf) {
        TAPIR_ASSERT(as_text(leaf) == as_text(leaves[index]));
        hashes.push_back(hash_leaf(leaf));
        return Result<void>();
    });
    TAPIR_ASSERT(report && report->head == second->head() && hashes.size() == leaves.size());
    const TreeHead head = report->head;
    TAPIR_ASSERT(head.root == root_of(hashes));
    for (const std::size_t index : {std::size_t{0}, half, leaves.size() - 1}) {
        if (index < leaves.size()) {
            const auto proof = prove_inclusion(read, head.size, index, head.size);
            TAPIR_ASSERT(proof && verify_inclusion(hashes[index], index, head, *proof));
            TAPIR_ASSERT(!verify_inclusion(hashes[index], index + 1, head, *proof) ||
                         (index + 1 < hashes.size() && hashes[index + 1] == hashes[index]));
        }
    }
    const auto growth = prove_consistency(read, head.size, half, head.size);
    TAPIR_ASSERT(growth && verify_consistency(first.head(), head, *growth));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const World small(5);
    static const World large(258);
    const ByteView octets = std::as_bytes(std::span(data, size));
    if (octets.empty()) {
        return 0;
    }
    const std::string_view text = as_text(octets.subspan(1));
    const World& world = data[0] % world_choices == 0 ? large : small;
    const std::size_t file_count = world.files.size();
    const std::size_t kind = data[0] / world_choices % (file_count + 2);
    if (kind < file_count) {
        try_as_file(world, kind, octets.subspan(1));
    } else if (kind == file_count) {
        try_as_leaves(world, octets.subspan(1));
    } else {
        try_as_note(world, text);
    }
    static_cast<void>(parse_checkpoint(text, world.verifier));
    if (const auto leaves = split_bundle(octets.subspan(1))) {
        Bytes again;
        for (const ByteView leaf : *leaves) {
            append_u16(again, static_cast<std::uint16_t>(leaf.size()));
            append(again, leaf);
        }
        TAPIR_ASSERT(as_text(again) == text);
    }
    if (const auto verifier = NoteVerifier::parse(text)) {
        TAPIR_ASSERT(verifier->to_string() == text);
    }
    if (const auto leaf = Leaf::parse(as_bytes(text))) {
        TAPIR_ASSERT(leaf->members.to_canonical() == text);
    }
    if (const auto opening = Opening::parse(text)) {
        const auto again = Opening::parse(opening->to_json());
        TAPIR_ASSERT(again && again->to_json() == opening->to_json());
    }
    return 0;
}
