// Who sent a request, as far as it can be known from its signature and certificate.
#pragma once

#include <string>
#include <vector>

#include "answer.hpp"
#include "tapir/base/time.hpp"
#include "tapir/intake/key_directory.hpp"
#include "tapir/jose/http_signature.hpp"
#include "tapir/net/http.hpp"

namespace tapir::intake {

// The HTTP status for a signature that does not hold: as the existing receiver has it, and 400
// where that one fails with 500.
int status_of(jose::HttpSignatureError error);

// Verifies the request's signature and body digest, and that the certificate, if there must be
// one, is of the same name. The key id that signed, or why not.
Result<std::string, Refusal> signer_of(const net::HttpRequest& request, const jose::KeySet& keys,
                                       UtcTime now, bool certificates);

// Release rule R9: success unless the request says that it is of the profile `compatible`, and
// that is not wanted here.
Result<void, Refusal> check_profile(const net::HttpRequest& request, bool accept_compatible);

// The one field of that name; nothing if there is none. Two are a refusal: which of them counts?
Result<std::optional<std::string>, Refusal> single_field(const net::HttpRequest& request,
                                                         std::string_view name);

}  // namespace tapir::intake
