#include "tapir/products/observation.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include <fmt/format.h>

#include "json_fields.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/text/json.hpp"

namespace tapir::products {
namespace {

using text::Json;
using Refusal = ObservationError;

constexpr std::array<Flag, 4> registry{{
    {flag::globally_new, "globally_new", "no edge has reported the name before"},
    {flag::newly_registered, "newly_registered", "the registered domain is new at its registry"},
    {flag::registry_investigation, "registry_investigation",
     "the registry is looking into the registered domain"},
    {flag::looptest, "looptest", "a test of the loop itself; never policy"},
}};

constexpr std::array<std::string_view, 3> list_types{"allowlist", "doubtlist", "denylist"};

// A list of texts; null and absent are none.
bool read_texts(const Json& json, std::string_view member, std::vector<std::string>& out) {
    const Json* const value = given(json, member);
    if (value == nullptr) {
        return true;
    }
    const Json::Array* const elements = value->if_array();
    if (elements == nullptr || elements->size() > extended_tags_max) {
        return false;
    }
    for (const Json& element : *elements) {
        const std::string* const text = element.if_string();
        if (text == nullptr || text->size() > extended_tag_size_max) {
            return false;
        }
        out.push_back(*text);
    }
    return true;
}

bool read_confidence(const Json& json, std::optional<double>& out) {
    const Json* const value = given(json, "confidence");
    if (value == nullptr) {
        return true;
    }
    out = value->if_number();
    return out && *out >= 0 && *out <= 1;
}

Result<ObservationItem, Refusal> item_of(const Json& json) {
    if (json.if_object() == nullptr) {
        return fail(Refusal::bad_item);
    }
    ObservationItem item;
    if (!read_text(json, "name", item.name) || item.name.empty() ||
        item.name.size() > name_text_size_max) {
        return fail(Refusal::bad_name);
    }
    std::string time;
    std::int64_t ttl_s = 0;
    if (!read_text(json, "time_added", time) || !read_integer<std::int64_t>(json, "ttl", ttl_s) ||
        !read_integer<std::uint32_t>(json, "tag_mask", item.tag_mask) ||
        !read_texts(json, "extended_tags", item.extended_tags) ||
        !read_texts(json, "reasons", item.reasons) || !read_confidence(json, item.confidence)) {
        return fail(Refusal::bad_item);
    }
    item.ttl_s = std::clamp<std::int64_t>(ttl_s, 0, ttl_s_max);
    if (given(json, "time_added") != nullptr) {
        const auto parsed = UtcTime::parse(time);
        if (!parsed) {
            return fail(Refusal::bad_item);
        }
        item.time_added = *parsed;
    }
    return item;
}

Result<std::vector<ObservationItem>, Refusal> items_of(const Json& json, std::string_view member) {
    std::vector<ObservationItem> items;
    const Json* const value = given(json, member);
    if (value == nullptr) {
        return items;
    }
    if (value->if_array() == nullptr) {
        return fail(Refusal::bad_list);
    }
    if (value->if_array()->size() > observation_items_max) {
        return fail(Refusal::too_many_items);
    }
    for (const Json& element : *value->if_array()) {
        ObservationItem item = TRY(item_of(element));
        items.push_back(std::move(item));
    }
    return items;
}

Json to_list(const std::vector<std::string>& texts) {
    Json list = Json::array();
    for (const std::string& text : texts) {
        list.push(text);
    }
    return list;
}

Json to_list(const std::vector<ObservationItem>& items) {
    Json list = Json::array();
    for (const ObservationItem& item : items) {
        Json json = Json::object({{"name", item.name},
                                  {"time_added", to_rfc3339(item.time_added)},
                                  {"ttl", item.ttl_s},
                                  {"tag_mask", item.tag_mask},
                                  {"extended_tags", to_list(item.extended_tags)}});
        if (!item.reasons.empty()) {
            json.set("reasons", to_list(item.reasons));
        }
        if (item.confidence) {
            json.set("confidence", *item.confidence);
        }
        list.push(std::move(json));
    }
    return list;
}

Result<Observation, Refusal> head_of(const Json& json) {
    Observation message;
    if (!read_text(json, "src_name", message.src_name) || message.src_name.empty()) {
        return fail(Refusal::bad_src_name);
    }
    message.msg_type.clear();
    if (!read_text(json, "msg_type", message.msg_type) ||
        (message.msg_type != "observation" && message.msg_type != "intel-update")) {
        return fail(Refusal::bad_msg_type);
    }
    std::string list_type;
    if (!read_text(json, "list_type", list_type)) {
        return fail(Refusal::bad_list_type);
    }
    const auto* const type = std::ranges::find(list_types, list_type);
    if (type == list_types.end()) {
        return fail(Refusal::bad_list_type);
    }
    message.list_type = static_cast<ListType>(type - list_types.begin());
    if (!read_text(json, "creator", message.creator) || !read_text(json, "msg", message.msg) ||
        !read_text(json, "time_str", message.time_str) ||
        !read_text(json, "message_id", message.message_id)) {
        return fail(Refusal::bad_member);
    }
    if (!is_uuid(message.message_id)) {
        message.message_id.clear();
    }
    std::string timestamp;
    if (!read_text(json, "timestamp", timestamp)) {
        return fail(Refusal::bad_timestamp);
    }
    if (given(json, "timestamp") != nullptr) {
        const auto time = UtcTime::parse(timestamp);
        if (!time) {
            return fail(Refusal::bad_timestamp);
        }
        message.timestamp = *time;
    }
    return message;
}

}  // namespace

std::span<const Flag> flags() {
    return registry;
}

std::string flag_names(std::uint32_t mask) {
    std::string names;
    for (unsigned bit = 0; bit < 32; ++bit) {
        const std::uint32_t value = std::uint32_t{1} << bit;
        if ((mask & value) == 0) {
            continue;
        }
        const auto* const known = std::ranges::find(registry, value, &Flag::bit);
        names += names.empty() ? "" : ",";
        names += known == registry.end() ? fmt::format("bit{}", bit) : std::string(known->name);
    }
    return names;
}

std::optional<std::uint32_t> flag_named(std::string_view name) {
    const auto* const known = std::ranges::find(registry, name, &Flag::name);
    return known == registry.end() ? std::nullopt : std::optional(known->bit);
}

std::string_view to_string(ListType type) {
    return list_types.at(static_cast<std::size_t>(type));
}

std::string_view to_string(ObservationError error) {
    constexpr std::array<std::string_view, observation_error_count> names{
        "too_large",    "not_json",      "not_object",     "bad_src_name",
        "bad_msg_type", "bad_list_type", "bad_timestamp",  "bad_list",
        "bad_item",     "bad_name",      "too_many_items", "bad_member"};
    return names.at(static_cast<std::size_t>(error));
}

Error to_error(ObservationError error) {
    const bool is_size = error == Refusal::too_large || error == Refusal::too_many_items;
    return {is_size ? Code::exhausted : Code::invalid,
            fmt::format("observation: {}", to_string(error))};
}

Observation Observation::of_core(std::string creator, UtcTime now) {
    Observation message;
    message.src_name = "dns-tapir";
    message.creator = std::move(creator);
    message.timestamp = now;
    return message;
}

Result<Observation, ObservationError> Observation::parse(std::string_view text) {
    if (text.size() > observation_size_max) {
        return fail(Refusal::too_large);
    }
    const auto json = Json::parse(text, observation_size_max);
    if (!json) {
        return fail(Refusal::not_json);
    }
    if (json->if_object() == nullptr) {
        return fail(Refusal::not_object);
    }
    Observation message = TRY(head_of(*json));
    message.added = TRY(items_of(*json, "added"));
    message.removed = TRY(items_of(*json, "removed"));
    if (message.added.size() + message.removed.size() > observation_items_max) {
        return fail(Refusal::too_many_items);
    }
    return message;
}

std::string Observation::to_json() const {
    Json json = Json::object({{"src_name", src_name},
                              {"creator", creator},
                              {"msg_type", msg_type},
                              {"list_type", to_string(list_type)},
                              {"added", to_list(added)},
                              {"removed", to_list(removed)},
                              {"msg", msg},
                              {"timestamp", to_rfc3339(timestamp.value_or(UtcTime{}))},
                              {"time_str", time_str}});
    if (!message_id.empty()) {
        json.set("message_id", message_id);
    }
    return json.to_string(text::JsonEscape::html_safe);
}

std::string to_rfc3339(UtcTime time) {
    if (time == time.second()) {
        return time.to_string();
    }
    std::string text = time.to_string_ns();
    text.pop_back();  // Z
    while (text.ends_with('0')) {
        text.pop_back();
    }
    return text + "Z";
}

}  // namespace tapir::products
