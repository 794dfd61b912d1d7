#include "tapir/rpz/trigger.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"

namespace tapir::rpz {
namespace {

constexpr std::size_t label_size_max = 63;    // octets, RFC 1035 §2.3.4
constexpr std::size_t text_size_max = 1'024;  // four characters an octet is the longest escape

char folded(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// From labels, leftmost first, to a key; the one place where a trigger is checked.
Result<std::string, TriggerError> key_of(const std::vector<std::string>& labels) {
    if (labels.empty()) {
        return fail(TriggerError::empty);
    }
    std::string key;
    for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
        if (label->empty() || label->size() > label_size_max) {
            return fail(TriggerError::bad_label);
        }
        if (label->find('\0') != std::string::npos) {
            return fail(TriggerError::nul);
        }
        key.append(*label).push_back('\0');
    }
    if (key.size() + 1 > owner_size_max) {
        return fail(TriggerError::too_long);
    }
    return key;
}

// The octet after a backslash: three digits or one character. Moves `at` behind it.
std::optional<char> unescape(std::string_view text, std::size_t& at) {
    const auto digit = [&](std::size_t i) {
        return i < text.size() && text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : -1;
    };
    if (at >= text.size()) {
        return std::nullopt;
    }
    if (digit(at) < 0) {
        return text[at++];
    }
    if (digit(at + 1) < 0 || digit(at + 2) < 0) {
        return std::nullopt;
    }
    const int octet = digit(at) * 100 + digit(at + 1) * 10 + digit(at + 2);
    at += 3;
    return octet <= 255 ? std::optional(static_cast<char>(octet)) : std::nullopt;
}

}  // namespace

std::string_view to_string(TriggerError error) {
    switch (error) {
        case TriggerError::empty:
            return "empty";
        case TriggerError::bad_label:
            return "bad_label";
        case TriggerError::too_long:
            return "too_long";
        case TriggerError::nul:
            return "nul";
        case TriggerError::bad_escape:
            return "bad_escape";
    }
    return "bad_label";
}

Error to_error(TriggerError error) {
    return {Code::invalid, fmt::format("not a name to act on: {}", to_string(error))};
}

Result<Trigger, TriggerError> Trigger::parse(std::string_view text) {
    if (text.empty() || text == ".") {
        return fail(TriggerError::empty);
    }
    if (text.size() > text_size_max) {
        return fail(TriggerError::too_long);
    }
    std::vector<std::string> labels(1);
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at++];
        if (c == '.') {
            if (at < text.size()) {
                labels.emplace_back();
            }
        } else if (c == '\\') {
            const auto octet = unescape(text, at);
            if (!octet) {
                return fail(TriggerError::bad_escape);
            }
            labels.back().push_back(folded(*octet));
        } else {
            labels.back().push_back(folded(c));
        }
    }
    return Trigger(TRY(key_of(labels)));
}

Result<Trigger, TriggerError> Trigger::from_wire(ByteView wire) {
    ByteReader in(wire);
    std::vector<std::string> labels;
    for (;;) {
        const std::size_t size = in.u8();
        if (in.failed() || size > label_size_max || in.position() > owner_size_max) {
            return fail(TriggerError::bad_label);
        }
        if (size == 0) {
            return Trigger(TRY(key_of(labels)));
        }
        std::string label(as_text(in.bytes(size)));
        std::ranges::transform(label, label.begin(), folded);
        labels.push_back(std::move(label));
    }
}

Trigger Trigger::from_key(std::string_view key) {
    TAPIR_ASSERT(key.size() >= 2 && key.back() == '\0' && key.size() < owner_size_max);
    return Trigger(std::string(key));
}

std::string Trigger::to_text() const {
    return key_to_text(key_);
}

bool Trigger::is_wildcard() const {
    return key_is_wildcard(key_);
}

Trigger Trigger::wildcard_below() const {
    return Trigger(key_ + std::string("*\0", 2));
}

bool is_key(std::string_view octets) {
    if (octets.empty() || octets.back() != '\0' || octets.size() + 1 > owner_size_max) {
        return false;
    }
    std::size_t label_size = 0;
    for (const char c : octets) {
        if (c != '\0') {
            ++label_size;
        } else if (label_size == 0 || label_size > label_size_max) {
            return false;
        } else {
            label_size = 0;
        }
    }
    return std::ranges::none_of(octets, [](char c) { return c != folded(c); });
}

bool key_is_wildcard(std::string_view key) {
    return key.size() - key_parent(key).size() == 2 && key[key.size() - 2] == '*';
}

std::string_view key_parent(std::string_view key) {
    if (key.size() < 2) {
        return {};
    }
    const std::size_t before = key.rfind('\0', key.size() - 2);
    return before == std::string_view::npos ? std::string_view() : key.substr(0, before + 1);
}

void append_labels(std::string_view key, Bytes& out) {
    while (!key.empty()) {
        const std::string_view parent = key_parent(key);
        const std::string_view label = key.substr(parent.size(), key.size() - parent.size() - 1);
        append_u8(out, static_cast<std::uint8_t>(label.size()));
        append(out, label);
        key = parent;
    }
}

std::string key_to_text(std::string_view key) {
    std::string out;
    while (!key.empty()) {
        const std::string_view parent = key_parent(key);
        for (const char c : key.substr(parent.size(), key.size() - parent.size() - 1)) {
            const auto octet = static_cast<unsigned char>(c);
            if (octet <= 0x20 || octet >= 0x7f) {
                out += fmt::format("\\{:03}", octet);
            } else if (std::string_view(".\\\";()@$").find(c) != std::string_view::npos) {
                out.push_back('\\');
                out.push_back(c);
            } else {
                out.push_back(c);
            }
        }
        key = parent;
        if (!key.empty()) {
            out.push_back('.');
        }
    }
    return out;
}

}  // namespace tapir::rpz
