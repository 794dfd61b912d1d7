// A client's address cannot be formatted.
// expect: (formatter|type_is_unformattable|Cannot format)
#include <fmt/format.h>

#include "tapir/dnstap/client_address.hpp"

std::string show(const tapir::dnstap::ClientAddress& address);
std::string show(const tapir::dnstap::ClientAddress& address) {
#ifdef REJECT
    return fmt::format("{}", address);
#else
    return fmt::format("{}", address.is_absent());
#endif
}
