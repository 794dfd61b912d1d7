// Events and observations: what is taken is printed and read back as the same.
#include <cstdlib>

#include "tapir/products/histogram.hpp"
#include "tapir/products/new_qname.hpp"
#include "tapir/products/observation.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tapir;
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    if (const auto event = products::NewQname::parse(text)) {
        if (*products::NewQname::parse(event->to_json()) != *event) {
            std::abort();
        }
    }
    if (const auto message = products::Observation::parse(text)) {
        (void)products::Observation::parse(message->to_json());
    }
    (void)products::parse_aggregate_interval(text);
    (void)products::parse_histogram_file_name(text);
    return 0;
}
