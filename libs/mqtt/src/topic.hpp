// What may stand as a topic and as a filter (MQTT 5 §4.7).
#pragma once

#include <string_view>

namespace tapir::mqtt {

// A topic to publish on: no wildcard, no NUL, not empty, not the broker's own ($...), of allowed
// size.
bool is_topic(std::string_view text);
// A filter to subscribe to: + is a whole level, # the whole last one. No shared subscriptions.
bool is_filter(std::string_view text);

}  // namespace tapir::mqtt
