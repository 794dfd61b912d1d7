// No frame makes the parsers read outside it; what they accept has views inside, the two agree, and
// protozero reads the same from it: all fields but the addresses, which are sealed (of them only
// whether they are there; client/frame_address compares what they are). The mutator changes fields
// and keeps the lengths around them right.
#include <optional>
#include <string_view>
#include <vector>

#include <protozero/pbf_reader.hpp>

#include "tapir/base/assert.hpp"
#include "tapir/dnstap/fuzzing.hpp"
#include "tapir/dnstap/message.hpp"

namespace {

using namespace tapir;

std::string_view text_of(const std::optional<ByteView>& octets) {
    return octets ? as_text(*octets) : std::string_view();
}

// What protozero makes of a frame.
struct Other {
    dnstap::Message message;
    bool has_type = false;
    bool has_outer_type = false;
    bool has_message = false;
    bool has_policy = false;
    bool gave_up = false;  // at a group or a reserved number, which it does not read
    bool failed = false;
};

ByteView octets_of(protozero::data_view view) {
    return as_bytes(std::string_view(view.data(), view.size()));
}

void read_inner(protozero::pbf_reader inner, Other& other) {
    using enum protozero::pbf_wire_type;
    using protozero::tag_and_type;
    dnstap::Message& m = other.message;
    while (inner.next()) {
        switch (inner.tag_and_type()) {
            case tag_and_type(1, varint):
                m.type = static_cast<dnstap::MessageType>(inner.get_uint32());
                other.has_type = true;
                break;
            case tag_and_type(2, varint):
                m.family = static_cast<dnstap::SocketFamily>(inner.get_uint32());
                break;
            case tag_and_type(3, varint):
                m.protocol = static_cast<dnstap::SocketProtocol>(inner.get_uint32());
                break;
            case tag_and_type(4, length_delimited):
                m.query_address = dnstap::ClientAddress(octets_of(inner.get_view()));
                break;
            case tag_and_type(5, length_delimited):
                m.response_address = dnstap::ClientAddress(octets_of(inner.get_view()));
                break;
            case tag_and_type(6, varint):
                m.query_port = inner.get_uint32();
                break;
            case tag_and_type(7, varint):
                m.response_port = inner.get_uint32();
                break;
            case tag_and_type(8, varint):
                m.query_time_s = inner.get_uint64();
                break;
            case tag_and_type(9, fixed32):
                m.query_time_ns = inner.get_fixed32();
                break;
            case tag_and_type(10, length_delimited):
                m.query_message = octets_of(inner.get_view());
                break;
            case tag_and_type(11, length_delimited):
                m.query_zone = octets_of(inner.get_view());
                break;
            case tag_and_type(12, varint):
                m.response_time_s = inner.get_uint64();
                break;
            case tag_and_type(13, fixed32):
                m.response_time_ns = inner.get_fixed32();
                break;
            case tag_and_type(14, length_delimited):
                m.response_message = octets_of(inner.get_view());
                break;
            default:
                other.has_policy |= inner.tag() == 15;
                inner.skip();
        }
    }
}

Other by_protozero(ByteView frame) {
    using enum protozero::pbf_wire_type;
    using protozero::tag_and_type;
    Other other;
    try {
        protozero::pbf_reader outer(as_text(frame).data(), frame.size());
        while (outer.next()) {
            switch (outer.tag_and_type()) {
                case tag_and_type(1, length_delimited):
                    other.message.identity = octets_of(outer.get_view());
                    break;
                case tag_and_type(2, length_delimited):
                    other.message.version = octets_of(outer.get_view());
                    break;
                case tag_and_type(3, length_delimited):
                    other.message.extra = octets_of(outer.get_view());
                    break;
                case tag_and_type(dnstap::fuzzing::message_field, length_delimited):
                    other.has_message = true;
                    read_inner(outer.get_message(), other);
                    break;
                case tag_and_type(15, varint):
                    outer.get_uint64();
                    other.has_outer_type = true;
                    break;
                default:
                    outer.skip();
            }
        }
    } catch (const protozero::unknown_pbf_wire_type_exception&) {
        other.gave_up = true;
    } catch (const protozero::invalid_tag_exception&) {
        other.gave_up = true;
    } catch (const protozero::exception&) {
        other.failed = true;
    }
    return other;
}

// Where a number is spelled so long that protozero drops upper bits and we refuse.
bool has_long_number(ByteView frame) {
    int run = 0;
    for (const std::byte octet : frame) {
        run = std::to_integer<unsigned>(octet) < 0x80 ? 0 : run + 1;
        if (run >= 4) {
            return true;
        }
    }
    return false;
}

void check_same(const dnstap::Message& a, const dnstap::Message& b) {
    TAPIR_ASSERT(a.type == b.type && a.family == b.family && a.protocol == b.protocol);
    TAPIR_ASSERT(a.query_address.is_absent() == b.query_address.is_absent());
    TAPIR_ASSERT(a.response_address.is_absent() == b.response_address.is_absent());
    TAPIR_ASSERT(a.query_port == b.query_port && a.response_port == b.response_port);
    TAPIR_ASSERT(a.query_time_s == b.query_time_s && a.query_time_ns == b.query_time_ns);
    TAPIR_ASSERT(a.response_time_s == b.response_time_s);
    TAPIR_ASSERT(a.response_time_ns == b.response_time_ns);
    TAPIR_ASSERT(a.query_message.has_value() == b.query_message.has_value());
    TAPIR_ASSERT(text_of(a.query_message) == text_of(b.query_message));
    TAPIR_ASSERT(a.response_message.has_value() == b.response_message.has_value());
    TAPIR_ASSERT(text_of(a.response_message) == text_of(b.response_message));
    TAPIR_ASSERT(as_text(a.query_zone) == as_text(b.query_zone));
    TAPIR_ASSERT(as_text(a.identity) == as_text(b.identity));
    TAPIR_ASSERT(as_text(a.version) == as_text(b.version) && as_text(a.extra) == as_text(b.extra));
}

// The reader of the hot path accepts what the other does, refuses the rest for the same reason, and
// reads the same: the views are those into the frame.
void check_both(ByteView frame, const Result<dnstap::Message, dnstap::MessageError>& message) {
    const auto fields = dnstap::ResponseFields::parse(frame);
    TAPIR_ASSERT(fields.has_value() == message.has_value());
    if (!fields) {
        TAPIR_ASSERT(fields.error() == message.error());
        return;
    }
    TAPIR_ASSERT(fields->type == message->type);
    TAPIR_ASSERT(fields->response_time_s == message->response_time_s);
    TAPIR_ASSERT(fields->response_time_ns == message->response_time_ns);
    TAPIR_ASSERT(fields->response_time() == message->response_time());
    TAPIR_ASSERT(fields->query_address.is_absent() == message->query_address.is_absent());
    TAPIR_ASSERT(fields->protocol == message->protocol);
    TAPIR_ASSERT(fields->response_address.is_absent() == message->response_address.is_absent());
    TAPIR_ASSERT(fields->response_port == message->response_port);
    const auto& ours = fields->response_message;
    const auto& theirs = message->response_message;
    TAPIR_ASSERT(ours.has_value() == theirs.has_value());
    TAPIR_ASSERT(!ours || (ours->data() == theirs->data() && ours->size() == theirs->size()));
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, dnstap::fuzzing::change_frame);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView frame = std::as_bytes(std::span(data, size));
    const auto message = dnstap::Message::parse(frame);
    check_both(frame, message);
    const Other other = by_protozero(frame);
    if (!message) {
        const bool is_whole = other.has_type && other.has_outer_type && other.has_message;
        const bool is_sure =
            !other.failed && !other.gave_up && !other.has_policy && !has_long_number(frame);
        TAPIR_ASSERT(!(is_whole && is_sure));
        return 0;
    }
    const auto is_inside = [frame](ByteView view) {
        return view.empty() || (view.data() >= frame.data() &&
                                view.data() + view.size() <= frame.data() + frame.size());
    };
    TAPIR_ASSERT(is_inside(message->identity) && is_inside(message->version));
    TAPIR_ASSERT(is_inside(message->query_message.value_or(ByteView())));
    TAPIR_ASSERT(is_inside(message->response_message.value_or(ByteView())));
    TAPIR_ASSERT(!other.failed);
    if (!other.gave_up) {
        check_same(*message, other.message);
    }
    static_cast<void>(message->query_time());
    static_cast<void>(message->response_time());
    return 0;
}
