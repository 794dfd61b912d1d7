// A log's files: the input's first octet says which file it is, the others are as written. Nothing
// crashes, and no changed file of a log is taken for the log.
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "tapir/base/assert.hpp"
#include "tapir/ledger/leaf.hpp"
#include "tapir/ledger/log.hpp"

namespace {

using namespace tapir;
using namespace tapir::ledger;

struct World {
    crypto::SigningKey key =
        crypto::SigningKey::from_seed(crypto::Secret::copy_of(Bytes(32, std::byte{7}))).value();
    NoteVerifier verifier{"edge-1.example/ledger", key.public_key()};
    std::map<std::string, Bytes, std::less<>> files;

    World() {
        Log log(verifier.origin);
        std::vector<Bytes> leaves;
        for (int i = 0; i < 258; ++i) {
            leaves.push_back(to_bytes("leaf " + std::to_string(i)));
        }
        const LogStep step = log.append(leaves, key).value();
        for (const LogFile& file : step.files) {
            files[file.path] = file.octets;
        }
    }
};

void try_as_file(const World& world, std::size_t which, ByteView octets) {
    auto changed = world.files.begin();
    std::advance(changed, which % world.files.size());
    const ReadFile read = [&](std::string_view path) -> Result<Bytes> {
        const auto found = world.files.find(path);
        if (found == world.files.end()) {
            return fail(Code::not_found, std::string(path));
        }
        return found == changed ? to_bytes(octets) : found->second;
    };
    const bool is_same = to_bytes(octets) == changed->second;
    TAPIR_ASSERT(verify_log(read, world.verifier).has_value() == is_same);
    static_cast<void>(Log::open(read, world.verifier));
    static_cast<void>(prove_inclusion(read, 258, 257, 258));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const World world;
    const ByteView octets = std::as_bytes(std::span(data, size));
    if (octets.empty()) {
        return 0;
    }
    try_as_file(world, data[0], octets.subspan(1));
    const std::string_view text = as_text(octets.subspan(1));
    static_cast<void>(parse_checkpoint(text, world.verifier));
    static_cast<void>(split_bundle(octets));
    if (const auto verifier = NoteVerifier::parse(text)) {
        TAPIR_ASSERT(verifier->to_string() == text);
    }
    if (const auto leaf = Leaf::parse(as_bytes(text))) {
        TAPIR_ASSERT(leaf->members.to_canonical() == text);
    }
    if (const auto opening = Opening::parse(text)) {
        TAPIR_ASSERT(Opening::parse(opening->to_json()).has_value());
    }
    return 0;
}
