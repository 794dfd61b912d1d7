// A day's key is not copied, and its octets are not taken from a key that is about to be wiped.
// expect: (use of deleted function|call to deleted constructor)
#include <utility>

#include "tapir/client/day_key.hpp"

tapir::client::DayKey pass_on(tapir::client::DayKey& key);
tapir::client::DayKey pass_on(tapir::client::DayKey& key) {
#ifdef REJECT
    return key;
#else
    return std::move(key);
#endif
}
