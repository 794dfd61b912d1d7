// Nobody but the gate can make a Released: the key to its constructor is complete in gate.cpp only.
// expect: incomplete type
#include "tapir/privacy/released.hpp"

namespace {
int value_of(const tapir::privacy::Released<int>& released) {
    return released.value();
}
}  // namespace

int released_reject(const tapir::privacy::Released<int>& released) {
#ifdef REJECT
    const tapir::privacy::Released<int> forged(tapir::privacy::Mint{}, 1);
    return value_of(forged);
#endif
    return value_of(released);
}
