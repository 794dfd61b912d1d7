// A post of sightings, and an answer: what is taken is written back as the same octets.
#include <algorithm>

#include "tapir/base/assert.hpp"
#include "tapir/products/sightings.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tapir;
    const ByteView octets = std::as_bytes(std::span(data, size));
    if (const auto post = products::Sightings::parse(octets)) {
        TAPIR_ASSERT(post->records.size() <= products::sightings_max);
        TAPIR_ASSERT(std::ranges::equal(post->to_octets(), octets));
    }
    if (const auto answer = products::Releases::parse(octets)) {
        TAPIR_ASSERT(answer->records.size() <= products::releases_max);
        TAPIR_ASSERT(std::ranges::equal(answer->to_octets(), octets));
    }
    return 0;
}
