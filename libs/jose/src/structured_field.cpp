#include "structured_field.hpp"

#include <algorithm>
#include <utility>

#include "tapir/crypto/base64.hpp"
#include "tapir/jose/http_signature.hpp"

namespace tapir::jose {
namespace {

constexpr std::size_t integer_digits_max = 15;  // RFC 8941 §3.3.1
constexpr std::size_t decimal_digits_max = 12;  // before the point; 3 behind it

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_alpha(char c) {
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}
bool is_token_char(char c) {
    return is_alpha(c) || is_digit(c) ||
           std::string_view("!#$%&'*+-.^_`|~:/").find(c) != std::string_view::npos;
}
bool is_key_char(char c) {
    return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}

// Reads from the front. Each function returns false, and then the whole text is refused.
class FieldReader {
public:
    explicit FieldReader(std::string_view text) : text_(text) {}

    bool dictionary(std::vector<Member>& members) {
        skip(" ");
        while (!at_end()) {
            Member member;
            if (!this->member(member) || members.size() == structured_members_max) {
                return false;
            }
            put(members, std::move(member));
            skip(" \t");
            if (at_end()) {
                return true;
            }
            if (!take(',')) {
                return false;
            }
            skip(" \t");
            if (at_end()) {
                return false;  // a comma at the end
            }
        }
        return true;
    }

private:
    bool at_end() const { return at_ == text_.size(); }
    char peek() const { return at_end() ? '\0' : text_[at_]; }
    bool take(char c) {
        if (at_end() || text_[at_] != c) {
            return false;
        }
        ++at_;
        return true;
    }
    void skip(std::string_view what) {
        while (!at_end() && what.find(text_[at_]) != std::string_view::npos) {
            ++at_;
        }
    }

    static void put(std::vector<Member>& members, Member member) {
        const auto same = std::ranges::find(members, member.key, &Member::key);
        if (same != members.end()) {
            *same = std::move(member);
        } else {
            members.push_back(std::move(member));
        }
    }

    bool member(Member& member) {
        if (!key(member.key)) {
            return false;
        }
        if (!take('=')) {  // the key alone means "true"
            const std::size_t start = at_;
            Item item{.value = true, .parameters = {}};
            if (!parameters(item.parameters)) {
                return false;
            }
            member.items.push_back(std::move(item));
            member.text = text_.substr(start, at_ - start);
            return true;
        }
        const std::size_t start = at_;
        member.is_list = peek() == '(';
        if (member.is_list) {
            if (!inner_list(member.items) || !parameters(member.parameters)) {
                return false;
            }
        } else {
            Item item;
            if (!this->item(item)) {
                return false;
            }
            member.items.push_back(std::move(item));
        }
        member.text = text_.substr(start, at_ - start);
        return true;
    }

    bool inner_list(std::vector<Item>& items) {
        take('(');
        while (!at_end()) {
            skip(" ");
            if (take(')')) {
                return true;
            }
            Item item;
            if (items.size() == structured_members_max || !this->item(item)) {
                return false;
            }
            items.push_back(std::move(item));
            if (peek() != ' ' && peek() != ')') {
                return false;
            }
        }
        return false;
    }

    bool item(Item& item) { return bare_item(item.value) && parameters(item.parameters); }

    bool parameters(Parameters& out) {
        while (take(';')) {
            skip(" ");
            Parameter parameter{.key = {}, .value = true};
            if (!key(parameter.key) || (take('=') && !bare_item(parameter.value)) ||
                out.size() == structured_members_max) {
                return false;
            }
            const auto same = std::ranges::find(out, parameter.key, &Parameter::key);
            if (same != out.end()) {
                same->value = std::move(parameter.value);
            } else {
                out.push_back(std::move(parameter));
            }
        }
        return true;
    }

    bool key(std::string& key) {
        if (!is_lower(peek()) && peek() != '*') {
            return false;
        }
        const std::size_t start = at_;
        while (is_key_char(peek())) {
            ++at_;
        }
        key = text_.substr(start, at_ - start);
        return true;
    }

    bool bare_item(BareItem& value) {
        const char c = peek();
        if (c == '"') {
            return string(value);
        }
        if (c == ':') {
            return octets(value);
        }
        if (c == '?') {
            return boolean(value);
        }
        if (c == '-' || is_digit(c)) {
            return number(value);
        }
        return (is_alpha(c) || c == '*') && token(value);
    }

    bool string(BareItem& value) {
        std::string text;
        ++at_;
        while (!at_end()) {
            char c = text_[at_++];
            if (c == '"') {
                value = std::move(text);
                return true;
            }
            if (c == '\\') {
                if (peek() != '"' && peek() != '\\') {
                    return false;
                }
                c = text_[at_++];
            } else if (c < 0x20 || c > 0x7e) {
                return false;
            }
            text.push_back(c);
        }
        return false;
    }

    bool octets(BareItem& value) {
        const std::size_t end = text_.find(':', ++at_);
        if (end == std::string_view::npos) {
            return false;
        }
        auto decoded = crypto::parse_base64(text_.substr(at_, end - at_));
        if (!decoded) {
            return false;
        }
        value = *std::move(decoded);
        at_ = end + 1;
        return true;
    }

    bool boolean(BareItem& value) {
        ++at_;
        const bool is_true = take('1');
        if (!is_true && !take('0')) {
            return false;
        }
        value = is_true;
        return true;
    }

    bool number(BareItem& value) {
        const std::size_t start = at_;
        const bool is_negative = take('-');
        const std::size_t first = at_;
        std::int64_t integer = 0;
        while (is_digit(peek())) {
            if (at_ - first == integer_digits_max) {
                return false;
            }
            integer = integer * 10 + (text_[at_++] - '0');
        }
        const std::size_t digits = at_ - first;
        if (digits == 0) {
            return false;
        }
        if (!take('.')) {
            value = is_negative ? -integer : integer;
            return true;
        }
        const std::size_t fraction = at_;
        while (is_digit(peek())) {
            ++at_;
        }
        if (digits > decimal_digits_max || at_ == fraction || at_ - fraction > 3) {
            return false;
        }
        value = Decimal{std::string(text_.substr(start, at_ - start))};
        return true;
    }

    bool token(BareItem& value) {
        const std::size_t start = at_;
        while (!at_end() && is_token_char(text_[at_])) {
            ++at_;
        }
        value = Token{std::string(text_.substr(start, at_ - start))};
        return true;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

std::optional<std::vector<Member>> parse_dictionary(std::string_view text) {
    if (text.size() > signature_field_size_max) {
        return std::nullopt;
    }
    while (text.ends_with(' ')) {
        text.remove_suffix(1);
    }
    std::vector<Member> members;
    if (!FieldReader(text).dictionary(members)) {
        return std::nullopt;
    }
    return members;
}

const BareItem* find(const Parameters& parameters, std::string_view key) {
    const auto found = std::ranges::find(parameters, key, &Parameter::key);
    return found == parameters.end() ? nullptr : &found->value;
}

}  // namespace tapir::jose
