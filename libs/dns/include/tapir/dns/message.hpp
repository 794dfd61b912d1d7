// A DNS message (RFC 1035 §4), read without a copy and without an allocation.
//
//     NameBuffer scratch;                                        // one for each place in a batch
//     const auto message = Message::parse(wire, Depth::standard, scratch);
//     if (message && message->question_count > 0) { use(message->question.name, message->rcode); }
//
//     QuestionReader questions(*message);                        // all of them, where one can
//     matter while (const auto question = questions.next(scratch)) { ... }
//
//     RecordReader records(*message);                            // every resource record
//     while (records.next()) { use(records.record()); }
//     if (records.error()) { ... }
//
// Views point into `wire` or into the scratch buffer, which must outlive them. Tolerated at either
// depth: octets after the message; counts larger than what is there, when the message ends where a
// record would start; a last question that ends after its name or its type (what is missing is 0);
// a message that is its header alone (no question, whatever the counts say).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/dns/name.hpp"
#include "tapir/dns/rr.hpp"

namespace tapir::dns {

inline constexpr std::size_t header_size = 12;           // octets
inline constexpr std::size_t message_size_max = 65'535;  // octets that a 16-bit length can say

// Why a message was refused. Each value names a counter.
enum class MessageError : std::uint8_t {
    truncated_header,    // fewer than 12 octets
    truncated_question,  // a question is counted and not there, or cut inside type or class
    truncated_record,    // cut between a record's name and its RDATA
    truncated_rdata,     // RDLENGTH goes past the end
    name_truncated,      // the octets end before a name does
    name_label_type,     // a reserved label type
    name_pointer,        // a compression pointer that does not go backwards
    name_pointer_count,  // too many compression pointers
    name_too_long,       // a name of more than 255 octets
};
inline constexpr std::size_t message_error_count = 9;
std::string_view to_string(MessageError error);
Error to_error(MessageError error);

// How much of a message must be right.
enum class Depth : std::uint8_t {
    standard,    // header and questions; broken records only leave the extended rcode unknown
    compatible,  // also name, fixed part and RDLENGTH of every record; RDATA is not judged.
                 // Pointers may point anywhere: what the existing minimiser refuses, and nothing
                 // else
};

struct Question {
    NameView name;
    RrType qtype{};
    RrClass qclass{};
};

struct Message {
    // `scratch` is written only if the first question's name is compressed.
    static Result<Message, MessageError> parse(ByteView wire, Depth depth, NameBuffer& scratch);
    // The same into this one, which is worth nothing after a failure: for the hot path.
    Result<void, MessageError> assign(ByteView octets, Depth depth, NameBuffer& scratch);

    ByteView wire;
    std::uint16_t id = 0;
    std::uint16_t flags = 0;           // the header's second word as it came
    Rcode rcode{};                     // with the upper bits of the last OPT, if there is one
    std::uint16_t question_count = 0;  // questions that are there
    Question question;                 // the first; the root with type and class 0 if there is none
    std::array<std::uint16_t, 3> record_counts = {};  // by Section, as the header claims
    std::uint32_t records_offset = 0;                 // where the first record starts, or the end
    bool records_broken = false;                      // at depth standard only
    Pointers pointers = Pointers::backwards;          // what readers of this message allow
};

// The questions of a parsed message, the first included.
class QuestionReader {
public:
    explicit QuestionReader(const Message& message)
        : wire_(message.wire), left_(message.question_count), pointers_(message.pointers) {}
    // The next question, or nothing. Its name is valid until `scratch` is used again.
    std::optional<Question> next(NameBuffer& scratch);

private:
    ByteView wire_;
    std::size_t offset_ = header_size;
    std::size_t left_;
    Pointers pointers_;
};

struct Record {
    NameView name;
    RrType type{};
    RrClass rr_class{};
    std::uint32_t ttl_s = 0;
    ByteView rdata;
    std::size_t rdata_offset = 0;  // in the message: for read_name, where RDATA holds names
    Section section = Section::answer;
};

// The resource records of a parsed message, in order. Names are decompressed, RDATA is not.
class RecordReader {
public:
    explicit RecordReader(const Message& message);
    // Goes to the next record; false at the end and at the first fault.
    bool next();
    // Valid after a next() that returned true, until the one after it.
    const Record& record() const { return record_; }
    std::optional<MessageError> error() const { return error_; }
    // Where the record that next() went to starts.
    std::size_t record_offset() const { return record_offset_; }

private:
    ByteView wire_;
    std::size_t offset_;
    std::size_t record_offset_ = 0;
    std::array<std::uint16_t, 3> left_;
    std::size_t section_ = 0;
    Pointers pointers_;
    Record record_;
    std::optional<MessageError> error_;
    NameBuffer name_;
};

}  // namespace tapir::dns
