// What parses is printed and parsed again as the same value, in each way of printing.
#include "tapir/text/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using tapir::text::Json;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto json = Json::parse(text, 1 << 16);
    if (json) {
        const std::string canonical = json->to_canonical();
        for (const auto& printed :
             {json->to_string(), json->to_string(tapir::text::JsonEscape::html_safe),
              json->to_pretty(), canonical}) {
            const auto again = Json::parse(printed);
            TAPIR_ASSERT(again && again->to_canonical() == canonical);
        }
    }
    return 0;
}
