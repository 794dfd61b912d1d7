// A value does not turn into a Released by itself.
// expect: (no matching function|conversion from|could not convert|no viable conversion)
#include "tapir/privacy/released.hpp"

int conversion_reject(const tapir::privacy::Released<int>& released) {
#ifdef REJECT
    const tapir::privacy::Released<int> forged = 1;
    return forged.value();
#endif
    return released.value();
}
