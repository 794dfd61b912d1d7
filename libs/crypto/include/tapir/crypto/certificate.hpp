// What must be known of one's own certificate without using it: until when it is valid.
//
//     const UtcTime end = TRY(certificate_end(pem));
#pragma once

#include <string_view>

#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"

namespace tapir::crypto {

// Of the first certificate in a PEM text (RFC 5280 §4.1.2.5: notAfter).
Result<UtcTime> certificate_end(std::string_view pem);

}  // namespace tapir::crypto
