// A client's address cannot be written to a stream.
// expect: (use of deleted function|overload resolution selected deleted operator)
#include <ostream>

#include "tapir/dnstap/client_address.hpp"

void print(std::ostream& out, const tapir::dnstap::ClientAddress& address);
void print(std::ostream& out, const tapir::dnstap::ClientAddress& address) {
#ifdef REJECT
    out << address;
#else
    out << address.is_absent();
#endif
}
