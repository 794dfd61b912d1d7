// A message that is not verified has no payload that one could read.
// expect: no member named .*payload
#include "tapir/jose/jws.hpp"

std::size_t size_of(const tapir::jose::UnverifiedJws& message, const tapir::jose::KeySet& keys) {
#ifdef REJECT
    static_cast<void>(keys);
    return message.payload().size();
#else
    const auto verified = message.verify(keys);
    return verified ? verified->payload().size() : 0;
#endif
}
