// What parse() accepts it writes back as the same octets, and merging it with itself changes
// nothing.
#include "tapir/sketch/hyperloglog.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using tapir::sketch::HyperLogLog;
    const tapir::ByteView octets = std::as_bytes(std::span(data, size));
    const auto sketch = HyperLogLog::parse(octets);
    if (!sketch) {
        return 0;
    }
    const tapir::Bytes written = sketch->serialise();
    TAPIR_ASSERT(tapir::as_text(written) == tapir::as_text(octets));
    HyperLogLog merged(sketch->settings());
    merged.merge(*sketch);
    const auto estimate = merged.estimate();
    merged.merge(*sketch);
    merged.merge(merged);
    TAPIR_ASSERT(merged.estimate() == estimate);
    merged.add(0x123456789abcdef1U);
    return 0;
}
