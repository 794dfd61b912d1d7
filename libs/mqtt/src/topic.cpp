#include "topic.hpp"

#include <algorithm>

#include "tapir/mqtt/memory_broker.hpp"
#include "tapir/mqtt/mqtt.hpp"

namespace tapir::mqtt {
namespace {

// Cuts the first level off `rest`; `is_last` says whether nothing, not even a slash, followed it.
struct Level {
    std::string_view text;
    bool is_last;
};
Level take_level(std::string_view& rest) {
    const std::size_t slash = rest.find('/');
    const std::string_view text = rest.substr(0, slash);
    if (slash == std::string_view::npos) {
        rest = {};
        return {text, true};
    }
    rest.remove_prefix(slash + 1);
    return {text, false};
}

bool is_sound(std::string_view text) {
    return !text.empty() && text.size() <= topic_size_max && !text.starts_with('$') &&
           text.find('\0') == std::string_view::npos;
}

}  // namespace

bool is_topic(std::string_view text) {
    return is_sound(text) && text.find_first_of("+#") == std::string_view::npos;
}

bool is_topic_level(std::string_view text) {
    return is_topic(text) && text.find('/') == std::string_view::npos;
}

bool is_filter(std::string_view text) {
    if (!is_sound(text)) {
        return false;
    }
    std::string_view rest = text;
    for (bool is_last = false; !is_last;) {
        const Level level = take_level(rest);
        is_last = level.is_last;
        const bool has_wildcard = level.text.find_first_of("+#") != std::string_view::npos;
        if (has_wildcard && level.text != "+" && !(level.text == "#" && is_last)) {
            return false;
        }
    }
    return true;
}

bool matches(std::string_view filter, std::string_view topic) {
    // The broker's own topics are for filters that name them (§4.7.2).
    if (topic.starts_with('$') && !filter.starts_with('$')) {
        return false;
    }
    for (;;) {
        if (filter == "#") {
            return true;
        }
        const Level wanted = take_level(filter);
        const Level level = take_level(topic);
        if (wanted.text != "+" && wanted.text != level.text) {
            return false;
        }
        if (level.is_last) {
            // "a/#" is for "a" too.
            return wanted.is_last || filter == "#";
        }
        if (wanted.is_last) {
            return false;
        }
    }
}

}  // namespace tapir::mqtt
