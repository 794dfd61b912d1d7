// No octets make the gate fail otherwise than by refusing, and what it lets through it can read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "tapir/lake/child.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto gated = tapir::lake::gate(std::as_bytes(std::span(data, size)), "edge", 60);
    if (!gated || gated->file.empty() != (gated->rows.kept == 0)) {
        std::abort();
    }
    return 0;
}
