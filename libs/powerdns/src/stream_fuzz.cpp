// Any message gives one frame, of bounded size, that the reader of dnstap frames accepts or refuses
// as the errors counted say; protozero reads the same type and question from it. The mutator
// changes fields of the message and of its question and response, with the lengths around them
// right.
#include <protozero/pbf_reader.hpp>

#include "tapir/dns/message.hpp"
#include "tapir/dnstap/fuzzing.hpp"
#include "tapir/dnstap/message.hpp"
#include "tapir/powerdns/stream.hpp"

namespace {

using namespace tapir;

Bytes change_message(ByteView message, fuzzing::Dice& dice) {
    const auto blindly = [](dnstap::fuzzing::Field& field) {
        fuzzing::mutate_blindly(field.octets);
    };
    return dnstap::fuzzing::change_fields(message, dice, [&](dnstap::fuzzing::Field& field) {
        if ((field.number == 12 || field.number == 13) && !dice.one_in(16)) {
            field.octets = dnstap::fuzzing::change_fields(field.octets, dice, blindly);
        } else {
            blindly(field);
        }
    });
}

struct Other {
    bool failed = false;
    bool gave_up = false;  // it refuses field numbers that are reserved, where we skip them
    std::uint32_t type = 0;
    bool has_question = false;
};
Other by_protozero(ByteView message) {
    Other other;
    try {
        protozero::pbf_reader in(reinterpret_cast<const char*>(message.data()), message.size());
        while (in.next()) {
            switch (in.tag_and_type()) {
                case protozero::tag_and_type(1, protozero::pbf_wire_type::varint):
                    other.type = in.get_uint32();
                    break;
                case protozero::tag_and_type(12, protozero::pbf_wire_type::length_delimited):
                    in.get_view();
                    other.has_question = true;
                    break;
                default:
                    in.skip();
            }
        }
    } catch (const protozero::invalid_tag_exception&) {
        other.gave_up = true;
    } catch (const protozero::exception&) {
        other.failed = true;
    }
    return other;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, change_message);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using powerdns::MessageError;
    const ByteView message = std::as_bytes(std::span(data, size));
    powerdns::Translator translator;
    const ByteView frame = translator.translate(message);
    TAPIR_ASSERT(frame.size() <= 2 * dnstap::frame_overhead_max);
    const auto read = dnstap::Message::parse(frame);
    const bool is_undecodable = translator.errors(MessageError::undecodable) == 1;
    TAPIR_ASSERT(is_undecodable == (!read && read.error() == dnstap::MessageError::undecodable));
    TAPIR_ASSERT((translator.errors(MessageError::type_missing) == 1) ==
                 (!read && read.error() == dnstap::MessageError::message_type_missing));
    const Other other = by_protozero(message);
    if (is_undecodable || other.gave_up) {
        return 0;  // it reads no further than the outer fields, or not as far
    }
    TAPIR_ASSERT(!other.failed);
    TAPIR_ASSERT((other.type >= 1 && other.type <= 4) == read.has_value());
    if (!read || dnstap::is_query(read->type)) {
        return 0;
    }
    TAPIR_ASSERT(read->response_message.has_value() ==
                 (translator.errors(MessageError::no_answer) == 0));
    if (!read->response_message) {
        return 0;
    }
    dns::NameBuffer scratch;
    const auto dns = dns::Message::parse(*read->response_message, dns::Depth::standard, scratch);
    TAPIR_ASSERT(dns.has_value() == (translator.errors(MessageError::name_malformed) == 0));
    TAPIR_ASSERT(!dns || (dns->question_count == 1) == other.has_question);
    return 0;
}
