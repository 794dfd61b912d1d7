// Times as text: what is read is printed and read again as the same instant, in the one form that
// we write.
#include <cstdint>
#include <span>

#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/base/time.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tapir;
    const auto time = UtcTime::parse(as_text(std::as_bytes(std::span(data, size))));
    if (!time) {
        return 0;
    }
    const std::string text = time->to_string_ns();
    TAPIR_ASSERT(text.size() == 30 && text.ends_with('Z'));
    const auto again = UtcTime::parse(text);
    TAPIR_ASSERT(again && *again == *time);
    const auto second = UtcTime::parse(time->to_string());
    TAPIR_ASSERT(second && *second == time->second());
    TAPIR_ASSERT(time->day() <= time->minute() && time->minute() <= time->second());
    TAPIR_ASSERT(time->second() <= *time && *time < time->second() + std::chrono::seconds(1));
    return 0;
}
