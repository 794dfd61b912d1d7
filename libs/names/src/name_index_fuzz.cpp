// An index file that lies, with the right digest and sizes: look-ups may be wrong, but stay inside.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "tapir/base/assert.hpp"
#include "tapir/names/name_index.hpp"
#include "tapir/names/row_labels.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace tapir;
using namespace tapir::names;

namespace {

constexpr std::size_t header_size = 64;
constexpr std::size_t digest_offset = 56;

void put_u64(Bytes& file, std::size_t at, std::uint64_t value) {
    std::memcpy(file.data() + at, &value, sizeof value);
}

// Makes the header say the truth about the sizes, so that the fuzzer gets past it.
void repair(Bytes& file) {
    std::memcpy(file.data(), "TAPIRNX\n", 8);
    put_u64(file, 8, 1 | std::uint64_t{header_size} << 32U);
    put_u64(file, 16, file.size());
    std::uint64_t entries = std::to_integer<std::uint64_t>(file[24]);
    const std::uint64_t buckets = std::to_integer<std::uint64_t>(file[32]) % 4 + 1;
    const auto fixed = [&] {
        return header_size + buckets * 64 + (entries + 3) / 4 * 4 + (entries + 7) / 8;
    };
    while (fixed() > file.size() && entries > 0) {
        --entries;
    }
    file.resize(std::max<std::size_t>(file.size(), fixed()));
    put_u64(file, 16, file.size());
    put_u64(file, 24, entries);
    put_u64(file, 32, buckets);
    put_u64(file, 40, file.size() - fixed());
    put_u64(file, digest_offset, 0);
    const std::uint64_t seed = XXH3_64bits_withSeed(file.data(), header_size, 1);
    put_u64(file, digest_offset,
            XXH3_64bits_withSeed(file.data() + header_size, file.size() - header_size, seed));
}

void use(const NameIndex& index, ByteView octets) {
    for (std::uint32_t id = 0; id < index.size(); ++id) {
        const Entry entry = index.entry(EntryId{id});
        static_cast<void>(RowLabels(entry).size());
        const dns::FoldedName name(entry.name);
        LookUp look_up = index.start(name);
        index.go_on(look_up, name);
        index.go_on(look_up, name);
        TAPIR_ASSERT(index.finish(look_up, name) == index.find(name));
    }
    if (const auto name = dns::NameView::parse(octets)) {
        static_cast<void>(index.find(dns::FoldedName(*name)));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView octets = std::as_bytes(std::span(data, size));
    if (const auto index = NameIndex::open(octets)) {
        use(*index, octets);
    }
    if (size >= header_size) {
        Bytes file = to_bytes(octets);
        repair(file);
        const auto index = NameIndex::open(file);
        TAPIR_ASSERT(index.has_value());
        use(*index, octets.subspan(header_size));
    }
    return 0;
}
