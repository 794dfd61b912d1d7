// Labels outside ASCII as the A-labels that stand on the wire (RFC 3492, RFC 5890).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tapir::dns {

// "公司" -> "xn--55qx5d"; an ASCII label comes back as it is. Nothing if `label` is not UTF-8 or is
// longer than 63 octets. No mapping: the list that we read this for is in lower case and normal
// form already.
std::optional<std::string> to_a_label(std::string_view label);

}  // namespace tapir::dns
