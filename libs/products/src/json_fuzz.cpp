// Events and observations, and an interval in each of its forms: what is taken is printed and read
// back as the same.
#include "tapir/base/assert.hpp"
#include "tapir/products/histogram.hpp"
#include "tapir/products/new_qname.hpp"
#include "tapir/products/observation.hpp"

namespace {

using namespace tapir;

void check_interval(std::string_view text) {
    const auto interval = products::parse_aggregate_interval(text);
    if (!interval || !*interval) {
        return;
    }
    TAPIR_ASSERT((*interval)->start <= (*interval)->stop);
    const auto again = products::parse_aggregate_interval(products::aggregate_interval(**interval));
    TAPIR_ASSERT(again && *again);
    // A start is printed in whole seconds.
    if ((*interval)->start == (*interval)->start.second()) {
        TAPIR_ASSERT(**again == **interval);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    if (const auto event = products::NewQname::parse(text)) {
        const auto again = products::NewQname::parse(event->to_json());
        TAPIR_ASSERT(again && *again == *event);
    }
    if (const auto message = products::Observation::parse(text)) {
        const std::string printed = message->to_json();
        if (printed.size() <= products::observation_size_max) {
            const auto again = products::Observation::parse(printed);
            auto expected = *message;
            expected.timestamp = message->timestamp.value_or(UtcTime());  // always printed
            TAPIR_ASSERT(again && *again == expected);
        }
    }
    check_interval(text);
    if (const auto interval = products::parse_histogram_file_name(text)) {
        TAPIR_ASSERT(products::histogram_file_name(*interval) == text);
    }
    if (const auto bit = products::flag_named(text)) {
        TAPIR_ASSERT(products::flag_names(*bit) == text);
    }
    return 0;
}
