// UTF-8 (RFC 3629), checked: no overlong forms, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace tapir::text {

// The octets of the character at the front of `text`, which is not empty; 0 if there is none.
std::size_t utf8_size(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace tapir::text
