// A DAWG file from hostile octets: it ends, it stays inside, and where a word is read, looking it
// up gives no crash either. What is read whole is written anew, and holds the same words then. The
// mutator keeps the file's size, which stands in front, right.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/names/dawg.hpp"
#include "tapir/names/dawg_writer.hpp"

using namespace tapir;
using namespace tapir::names;

namespace {

// The octets behind the size changed blindly, and the size put in front.
Bytes change(ByteView input, fuzzing::Dice& /*dice*/) {
    constexpr std::size_t size_octets = 4;
    Bytes body = to_bytes(input.subspan(std::min(size_octets, input.size())));
    fuzzing::mutate_blindly(body);
    Bytes out;
    append_u32(out, static_cast<std::uint32_t>(size_octets + body.size()));
    append(out, body);
    return out;
}

void check_written(const WordList& words) {
    const auto octets = write_dawg(words);
    TAPIR_ASSERT(octets.has_value());
    const auto dawg = Dawg::open(*octets);
    TAPIR_ASSERT(dawg.has_value() && dawg->size() == words.size());
    DawgReader reader(*dawg);
    for (std::uint32_t i = 0; i < words.size(); ++i) {
        const auto word = reader.next();
        TAPIR_ASSERT(word && *word && **word == words[i]);
        const auto found = dawg->find(words[i]);
        TAPIR_ASSERT(found && *found == i);
    }
    const auto end = reader.next();
    TAPIR_ASSERT(end && !*end);
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, change);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr int words_max = 64;  // a small file can say very many words, each of them slowly
    const auto dawg = Dawg::open(std::as_bytes(std::span(data, size)));
    if (!dawg) {
        return 0;
    }
    DawgReader reader(*dawg);
    WordList words;
    for (int i = 0; i < words_max; ++i) {
        const auto word = reader.next();
        if (!word) {
            break;
        }
        if (!*word) {
            words.settle();
            check_written(words);
            break;
        }
        TAPIR_ASSERT(words.add(**word).has_value());
        const auto index = dawg->find(**word);
        if (index && *index) {
            TAPIR_ASSERT(**index < dawg->size());
            static_cast<void>(dawg->word(**index));
        }
    }
    return 0;
}
