// A DAWG file from hostile octets: it ends, it stays inside, and where a word is read, looking it
// up gives no crash either.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tapir/base/assert.hpp"
#include "tapir/names/dawg.hpp"

using namespace tapir;
using namespace tapir::names;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr int words_max = 1000;  // a small file can say very many words, each of them slowly
    const auto dawg = Dawg::open(std::as_bytes(std::span(data, size)));
    if (!dawg) {
        return 0;
    }
    DawgReader reader(*dawg);
    for (int i = 0; i < words_max; ++i) {
        const auto word = reader.next();
        if (!word || !*word) {
            break;
        }
        const auto index = dawg->find(**word);
        if (index && *index) {
            TAPIR_ASSERT(**index < dawg->size());
            static_cast<void>(dawg->word(**index));
        }
    }
    return 0;
}
