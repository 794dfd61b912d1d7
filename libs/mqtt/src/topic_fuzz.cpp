// Topics and filters: the input's first line is a filter, the rest a topic. Whether they match, a
// plain comparison level by level says too; and a topic is a filter for itself.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/mqtt/memory_broker.hpp"
#include "topic.hpp"

namespace {

using namespace tapir;

std::vector<std::string_view> levels_of(std::string_view text) {
    std::vector<std::string_view> levels;
    for (std::size_t slash = 0; slash != std::string_view::npos;) {
        slash = text.find('/');
        levels.push_back(text.substr(0, slash));
        text.remove_prefix(slash == std::string_view::npos ? text.size() : slash + 1);
    }
    return levels;
}

// MQTT 5 §4.7.1, for sound filters and topics.
bool matches_plainly(std::string_view filter, std::string_view topic) {
    const auto wanted = levels_of(filter);
    const auto levels = levels_of(topic);
    const bool has_rest = wanted.back() == "#";
    const std::size_t fixed = wanted.size() - (has_rest ? 1 : 0);
    if (has_rest ? levels.size() < fixed : levels.size() != fixed) {
        return false;
    }
    for (std::size_t i = 0; i < fixed; ++i) {
        if (wanted[i] != "+" && wanted[i] != levels[i]) {
            return false;
        }
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    const std::string_view filter = text.substr(0, text.find('\n'));
    const std::string_view topic = text.substr(std::min(filter.size() + 1, text.size()));
    if (mqtt::is_topic(topic)) {
        TAPIR_ASSERT(mqtt::is_filter(topic) && mqtt::matches(topic, topic));
        TAPIR_ASSERT(mqtt::matches("#", topic));
        if (mqtt::is_filter(filter)) {
            TAPIR_ASSERT(mqtt::matches(filter, topic) == matches_plainly(filter, topic));
        }
    }
    return 0;
}
