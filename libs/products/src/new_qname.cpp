#include "tapir/products/new_qname.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "json_fields.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/text/json.hpp"

namespace tapir::products {
namespace {

using text::Json;

constexpr std::string_view event_type = "new_qname";

}  // namespace

std::string_view to_string(EventError error) {
    constexpr std::array<std::string_view, event_error_count> names{
        "too_large", "not_json",   "not_object",    "wrong_type", "bad_version",
        "bad_qname", "bad_number", "bad_timestamp", "bad_member"};
    return names.at(static_cast<std::size_t>(error));
}

Error to_error(EventError error) {
    return {error == EventError::too_large ? Code::exhausted : Code::invalid,
            fmt::format("new_qname: {}", to_string(error))};
}

Result<NewQname, EventError> NewQname::parse(std::string_view text) {
    if (text.size() > event_size_max) {
        return fail(EventError::too_large);
    }
    const auto json = Json::parse(text, event_size_max);
    if (!json) {
        return fail(EventError::not_json);
    }
    if (json->if_object() == nullptr) {
        return fail(EventError::not_object);
    }
    NewQname event;
    std::string type;
    if (!read_text(*json, "type", type) || type != event_type) {
        return fail(EventError::wrong_type);
    }
    if (given(*json, "version") == nullptr ||
        !read_integer<std::uint16_t>(*json, "version", event.version)) {
        return fail(EventError::bad_version);
    }
    if (!read_text(*json, "qname", event.qname) || event.qname.empty() ||
        event.qname.size() > name_text_size_max) {
        return fail(EventError::bad_qname);
    }
    event.qclass.reset();
    std::uint16_t rdlength = 0;  // of the schema, without meaning to us
    if (!read_integer<std::uint16_t>(*json, "qtype", event.qtype) ||
        !read_integer<std::uint16_t>(*json, "qclass", event.qclass) ||
        !read_integer<std::uint16_t>(*json, "flags", event.flags) ||
        !read_integer<std::uint16_t>(*json, "rdlength", rdlength)) {
        return fail(EventError::bad_number);
    }
    std::string timestamp;
    if (!read_text(*json, "timestamp", timestamp)) {
        return fail(EventError::bad_timestamp);
    }
    if (given(*json, "timestamp") != nullptr) {
        const auto time = UtcTime::parse(timestamp);
        if (!time) {
            return fail(EventError::bad_timestamp);
        }
        event.timestamp = *time;
    }
    std::string initiator;
    if (!read_text(*json, "message_id", event.message_id) ||
        !read_text(*json, "initiator", initiator)) {
        return fail(EventError::bad_member);
    }
    if (!is_uuid(event.message_id)) {
        event.message_id.clear();
    }
    return event;
}

std::string NewQname::to_json() const {
    Json json = Json::object();
    if (flags) {
        json.set("flags", *flags);
    }
    if (!message_id.empty()) {
        json.set("message_id", message_id);
    }
    if (qclass) {
        json.set("qclass", *qclass);
    }
    json.set("qname", qname);
    if (qtype) {
        json.set("qtype", *qtype);
    }
    if (timestamp) {
        json.set("timestamp", to_rfc3339(*timestamp));
    }
    json.set("type", event_type);
    json.set("version", version);
    return json.to_string(text::JsonEscape::html_safe);
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) {
        return false;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        const char c = text[i];
        const bool is_digit =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (is_dash ? c != '-' : !is_digit) {
            return false;
        }
    }
    return true;
}

std::string message_id(const crypto::Secret& key, ByteView content) {
    crypto::Sha256Digest mac = crypto::hmac_sha256(key.bytes(), content);
    mac[6] = (mac[6] & std::byte{0x0f}) | std::byte{0x80};  // version 8
    mac[8] = (mac[8] & std::byte{0x3f}) | std::byte{0x80};  // variant
    const std::string hex = to_hex(ByteView(mac).first(16));
    const std::string_view view(hex);
    return fmt::format("{}-{}-{}-{}-{}", view.substr(0, 8), view.substr(8, 4), view.substr(12, 4),
                       view.substr(16, 4), view.substr(20));
}

}  // namespace tapir::products
