// Addresses and endpoints from settings and people: what is read is printed and read again as the
// same, and inet_pton agrees about what an address is. Paths and queries of requests likewise.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include <arpa/inet.h>

#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/net/address.hpp"
#include "tapir/net/http.hpp"

namespace {

using namespace tapir;
using namespace tapir::net;

void check_address(std::string_view text) {
    const std::string word(text);
    std::array<std::byte, 16> octets{};
    const bool has_nul = text.find('\0') != std::string_view::npos;
    const bool is_v4 = !has_nul && inet_pton(AF_INET, word.c_str(), octets.data()) == 1;
    const bool is_v6 = !has_nul && !is_v4 && inet_pton(AF_INET6, word.c_str(), octets.data()) == 1;
    const auto address = PeerAddress::parse(text, 53);
    TAPIR_ASSERT(address.has_value() == (is_v4 || is_v6));
    if (address) {
        const auto again = PeerAddress::parse(address->ip(), 53);
        TAPIR_ASSERT(again && *again == *address);
        const auto same = PeerAddress::from_octets(octets.data(), is_v4 ? 4 : 16, 53);
        TAPIR_ASSERT(same == *address);
        const auto endpoint = Endpoint::parse(address->to_string());
        TAPIR_ASSERT(endpoint && endpoint->address() == *address);
    }
}

void check_request(std::string_view target) {
    HttpRequest request;
    set_target(request, target);
    TAPIR_ASSERT(request.path.size() + request.query.size() <= request.target.size());
    for (const std::string_view name : {"a", "since", ""}) {
        if (const auto value = request.parameter(name)) {
            TAPIR_ASSERT(value->size() <= request.query.size());
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    check_address(text);
    if (const auto endpoint = Endpoint::parse(text)) {
        const auto again = Endpoint::parse(endpoint->to_string());
        TAPIR_ASSERT(again && *again == *endpoint);
        TAPIR_ASSERT(!endpoint->is_unix() || endpoint->path().size() <= unix_path_size_max);
    }
    check_request(text);
    return 0;
}
