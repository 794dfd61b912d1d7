// Dictionaries of structured fields (RFC 8941): members lie inside the text, and what was read,
// printed by the standard's rules, is read again as the same.
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "structured_field.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/jose/http_signature.hpp"

namespace {

using namespace tapir;
using namespace tapir::jose;

// RFC 8941 §4.1.3.
struct BarePrinter {
    std::string operator()(std::int64_t number) const { return std::to_string(number); }
    std::string operator()(const Decimal& number) const { return number.text; }
    std::string operator()(const Token& token) const { return token.text; }
    std::string operator()(const Bytes& octets) const { return ":" + crypto::base64(octets) + ":"; }
    std::string operator()(bool value) const { return value ? "?1" : "?0"; }
    std::string operator()(const std::string& text) const {
        std::string out = "\"";
        for (const char c : text) {
            out += c == '"' || c == '\\' ? "\\" : "";
            out += c;
        }
        return out + "\"";
    }
};

std::string print(const Parameters& parameters) {
    std::string out;
    for (const Parameter& parameter : parameters) {
        out += ";" + parameter.key;
        if (parameter.value != BareItem(true)) {
            out += "=" + std::visit(BarePrinter(), parameter.value);
        }
    }
    return out;
}

std::string print(const Item& item) {
    return std::visit(BarePrinter(), item.value) + print(item.parameters);
}

std::string print(const std::vector<Member>& members) {
    std::string out;
    for (const Member& member : members) {
        out += (out.empty() ? "" : ", ") + member.key + "=";
        if (member.is_list) {
            std::string list;
            for (const Item& item : member.items) {
                list += (list.empty() ? "" : " ") + print(item);
            }
            out += "(" + list + ")" + print(member.parameters);
        } else {
            out += print(member.items.at(0));
        }
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    const auto members = parse_dictionary(text);
    if (!members) {
        return 0;
    }
    TAPIR_ASSERT(members->size() <= structured_members_max);
    const std::less_equal<> not_behind;
    for (const Member& member : *members) {
        TAPIR_ASSERT(
            not_behind(text.data(), member.text.data()) &&
            not_behind(member.text.data() + member.text.size(), text.data() + text.size()));
        TAPIR_ASSERT(member.is_list || member.items.size() == 1);
    }
    const std::string printed = print(*members);
    if (printed.size() > signature_field_size_max) {
        return 0;  // what may be left out is printed
    }
    const auto again = parse_dictionary(printed);
    TAPIR_ASSERT(again && print(*again) == printed);
    return 0;
}
