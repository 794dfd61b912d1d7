// What a child says is read without belief, and read back as it was written.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "tapir/lake/child.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    if (const auto gated = tapir::lake::decode_gated(bytes)) {
        if (!std::ranges::equal(tapir::lake::encode(*gated), bytes)) {
            std::abort();
        }
    }
    const auto table = tapir::lake::decode_table(bytes);
    if (table && tapir::lake::decode_table(tapir::lake::encode(table)) != table) {
        std::abort();
    }
    return 0;
}
