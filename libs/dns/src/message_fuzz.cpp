// Messages from hostile octets: the walker and the readers agree, and what is right at depth
// compatible with pointers backwards is right at depth standard.
#include <cstddef>
#include <cstdint>
#include <span>

#include "tapir/base/assert.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/dns/message_writer.hpp"

namespace {

using namespace tapir;
using namespace tapir::dns;

void read_all(const Message& message, bool must_be_sound) {
    NameBuffer scratch;
    QuestionReader questions(message);
    std::size_t count = 0;
    while (const auto question = questions.next(scratch)) {
        TAPIR_ASSERT(count > 0 || question->name == message.question.name);
        ++count;
    }
    TAPIR_ASSERT(count == message.question_count);
    RecordReader records(message);
    MessageWriter writer({.id = message.id, .flags = message.flags});
    while (records.next()) {
        const Record& record = records.record();
        TAPIR_ASSERT(record.rdata_offset + record.rdata.size() <= message.wire.size());
        if (!writer.add_record(record.section, record.name, record.type, record.rr_class,
                               record.ttl_s, record.rdata)) {
            break;
        }
    }
    TAPIR_ASSERT(!must_be_sound || !records.error());
    const auto written = Message::parse(writer.view(), Depth::compatible, scratch);
    TAPIR_ASSERT(written.has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView octets = std::as_bytes(std::span(data, size));
    NameBuffer scratch;
    if (const auto message = Message::parse(octets, Depth::standard, scratch)) {
        read_all(*message, false);
    }
    if (const auto message = Message::parse(octets, Depth::compatible, scratch)) {
        read_all(*message, true);
    }
    return 0;
}
