// A secret is moved, never copied.
// expect: (use of deleted function|call to deleted constructor)
#include <utility>

#include "tapir/crypto/secret.hpp"

tapir::crypto::Secret handed_on(tapir::crypto::Secret secret) {
#ifdef REJECT
    const tapir::crypto::Secret copy = secret;
#endif
    tapir::crypto::Secret other = std::move(secret);
    return other;
}
