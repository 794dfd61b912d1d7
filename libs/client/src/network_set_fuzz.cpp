// Whatever a list says: naming everything twice changes nothing, and errors name their place.

#include <string>

#include "tapir/client/network_set.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tapir;
    using namespace tapir::client;
    const ByteView octets = std::as_bytes(std::span(data, size));
    const auto set = NetworkSet::parse(as_text(octets), "list");
    const dnstap::ClientAddress v4(octets.first(size < 4 ? 0 : 4));
    const dnstap::ClientAddress v6(octets.last(size < 16 ? 0 : 16));
    if (!set) {
        TAPIR_ASSERT(set.error().what().starts_with("list:"));
        return 0;
    }
    std::string text(as_text(octets));
    const auto twice = NetworkSet::parse(text + "\n" + text, "list");
    TAPIR_ASSERT(twice.has_value());
    for (const Mapped mapped : {Mapped::as_ipv4, Mapped::as_ipv6}) {
        TAPIR_ASSERT(twice->contains(v4, mapped) == set->contains(v4, mapped));
        TAPIR_ASSERT(twice->contains(v6, mapped) == set->contains(v6, mapped));
    }
    return 0;
}
