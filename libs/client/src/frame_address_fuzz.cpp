// The client's address in a frame, which is sealed: what both readers of dnstap took for it is, by
// its form and its hash, what protozero finds. The mutator changes fields and keeps the lengths
// right.
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <protozero/pbf_reader.hpp>

#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/client/address.hpp"
#include "tapir/dnstap/fuzzing.hpp"
#include "tapir/dnstap/message.hpp"
#include "tapir/sketch/murmur.hpp"

namespace {

using namespace tapir;
using client::AddressForm;

struct Addresses {
    ByteView query;
    ByteView response;
};

ByteView octets_of(protozero::data_view view) {
    return as_bytes(std::string_view(view.data(), view.size()));
}

// What protozero finds in a frame; nothing if it gives up (at a group, which it does not read).
std::optional<Addresses> by_protozero(ByteView frame) {
    using enum protozero::pbf_wire_type;
    using protozero::tag_and_type;
    Addresses found;
    try {
        protozero::pbf_reader outer(as_text(frame).data(), frame.size());
        while (outer.next()) {
            if (outer.tag_and_type() !=
                tag_and_type(dnstap::fuzzing::message_field, length_delimited)) {
                outer.skip();
                continue;
            }
            protozero::pbf_reader inner = outer.get_message();
            while (inner.next()) {
                if (inner.tag_and_type() == tag_and_type(4, length_delimited)) {
                    found.query = octets_of(inner.get_view());
                } else if (inner.tag_and_type() == tag_and_type(5, length_delimited)) {
                    found.response = octets_of(inner.get_view());
                } else {
                    inner.skip();
                }
            }
        }
    } catch (const protozero::exception&) {
        return std::nullopt;
    }
    return found;
}

AddressForm form_by_hand(ByteView octets) {
    using namespace std::string_view_literals;
    constexpr std::string_view mapped = "\0\0\0\0\0\0\0\0\0\0\xFF\xFF"sv;
    switch (octets.size()) {
        case 0:
            return AddressForm::absent;
        case 4:
            return AddressForm::ipv4;
        case 16:
            return as_text(octets).starts_with(mapped) ? AddressForm::ipv4_mapped
                                                       : AddressForm::ipv6;
        default:
            return AddressForm::malformed;
    }
}

void check(dnstap::ClientAddress address, ByteView octets) {
    const AddressForm form = form_by_hand(octets);
    TAPIR_ASSERT(client::form_of(address) == form);
    const bool is_whole = form != AddressForm::absent && form != AddressForm::malformed;
    const auto family = client::family_of(address);
    TAPIR_ASSERT(family.has_value() == is_whole);
    TAPIR_ASSERT(!is_whole || (*family == client::Family::ipv6) == (form == AddressForm::ipv6));
    const auto hash = client::murmur_of(address);
    TAPIR_ASSERT(hash.has_value() == is_whole);
    TAPIR_ASSERT(!hash || *hash == sketch::murmur3_x64_128(octets).h1);
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, dnstap::fuzzing::change_frame);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView frame = std::as_bytes(std::span(data, size));
    const auto message = dnstap::Message::parse(frame);
    const auto fields = dnstap::ResponseFields::parse(frame);
    TAPIR_ASSERT(message.has_value() == fields.has_value());
    const auto found = by_protozero(frame);
    if (!message || !found) {
        return 0;
    }
    check(message->query_address, found->query);
    check(message->response_address, found->response);
    check(fields->query_address, found->query);
    return 0;
}
