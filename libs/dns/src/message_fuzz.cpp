// Messages from hostile octets: the walker and the readers agree, what is written again says the
// same, and what is right as a whole at depth standard is right at depth compatible.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/dns/fuzzing.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/dns/message_writer.hpp"

namespace {

using namespace tapir;
using namespace tapir::dns;

void read_all(const Message& message, bool must_be_sound) {
    NameBuffer scratch;
    MessageWriter writer({.id = message.id, .flags = message.flags});
    QuestionReader questions(message);
    std::size_t question_count = 0;
    bool is_whole = true;
    while (const auto question = questions.next(scratch)) {
        TAPIR_ASSERT(question_count > 0 || question->name == message.question.name);
        ++question_count;
        is_whole =
            is_whole && writer.add_question(question->name, question->qtype, question->qclass);
    }
    TAPIR_ASSERT(question_count == message.question_count);
    std::vector<Name> owners;
    std::vector<Record> written_records;
    RecordReader records(message);
    while (records.next() && is_whole) {
        const Record& record = records.record();
        TAPIR_ASSERT(record.rdata_offset + record.rdata.size() <= message.wire.size());
        if (writer.add_record(record.section, record.name, record.type, record.rr_class,
                              record.ttl_s, record.rdata)) {
            owners.emplace_back(record.name);
            written_records.push_back(record);
        } else {
            is_whole = false;
        }
    }
    TAPIR_ASSERT(!must_be_sound || !records.error());
    if (!is_whole) {
        return;  // uncompressed owners can make a message too large to write
    }
    const auto written = Message::parse(writer.view(), Depth::standard, scratch);
    TAPIR_ASSERT(written && written->id == message.id && written->flags == message.flags);
    TAPIR_ASSERT(written->question_count == message.question_count && !written->records_broken);
    TAPIR_ASSERT(message.question_count == 0 || written->question.qtype == message.question.qtype);
    TAPIR_ASSERT(records.error() || written->rcode == message.rcode);
    RecordReader again(*written);
    for (std::size_t i = 0; i < owners.size(); ++i) {
        TAPIR_ASSERT(again.next());
        const Record& a = again.record();
        const Record& b = written_records[i];
        TAPIR_ASSERT(a.name == owners[i].view() && a.type == b.type && a.rr_class == b.rr_class);
        TAPIR_ASSERT(a.ttl_s == b.ttl_s && a.section == b.section);
        TAPIR_ASSERT(as_text(a.rdata) == as_text(b.rdata));
    }
    TAPIR_ASSERT(!again.next() && !again.error());
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return tapir::fuzzing::mutate_by(data, size, size_max, seed, dns::fuzzing::change_message);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView octets = std::as_bytes(std::span(data, size));
    NameBuffer scratch;
    std::optional<Rcode> rcode;  // of what is right as a whole
    if (const auto message = Message::parse(octets, Depth::standard, scratch)) {
        read_all(*message, false);
        RecordReader records(*message);
        while (records.next()) {
        }
        if (!records.error()) {
            TAPIR_ASSERT(!message->records_broken);
            rcode = message->rcode;
        }
    }
    const auto message = Message::parse(octets, Depth::compatible, scratch);
    TAPIR_ASSERT(!rcode || (message && message->rcode == *rcode));
    if (message) {
        read_all(*message, true);
    }
    return 0;
}
