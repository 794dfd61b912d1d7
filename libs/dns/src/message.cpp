#include "tapir/dns/message.hpp"

#include <algorithm>

namespace tapir::dns {

namespace {

constexpr std::size_t record_fixed_size = 10;  // type, class, TTL, RDLENGTH

std::uint16_t u16_at(ByteView wire, std::size_t at) {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(wire[at]) << 8U |
                                      std::to_integer<unsigned>(wire[at + 1]));
}

std::uint32_t u32_at(ByteView wire, std::size_t at) {
    return std::uint32_t{u16_at(wire, at)} << 16U | u16_at(wire, at + 2);
}

MessageError from_name(NameError error) {
    switch (error) {
        case NameError::label_type:
            return MessageError::name_label_type;
        case NameError::pointer:
            return MessageError::name_pointer;
        case NameError::pointer_count:
            return MessageError::name_pointer_count;
        case NameError::name_too_long:
            return MessageError::name_too_long;
        case NameError::truncated:
        case NameError::label_too_long:
        case NameError::empty_label:
        case NameError::escape:
            break;
    }
    return MessageError::name_truncated;
}

// Where the question ends. It is written where it is to stand: what was put together elsewhere a
// moment ago would be waited for.
Result<std::size_t, MessageError> read_question(ByteView wire, std::size_t at, Pointers pointers,
                                                NameBuffer& scratch, Question& question) {
    if (at == wire.size()) {
        return fail(MessageError::truncated_question);
    }
    question = {};
    const auto plain = NameView::parse(wire.subspan(at));
    std::size_t end = 0;
    if (plain) [[likely]] {
        question.name = *plain;
        end = at + plain->wire_size();
    } else {
        const auto name = read_name(wire, at, scratch, pointers);
        if (!name) {
            return fail(from_name(name.error()));
        }
        question.name = name->name;
        end = name->end;
    }
    const std::size_t left = wire.size() - end;
    if (left == 1 || left == 3) {
        return fail(MessageError::truncated_question);
    }
    if (left >= 2) {
        question.qtype = static_cast<RrType>(u16_at(wire, end));
        end += 2;
    }
    if (left >= 4) {
        question.qclass = static_cast<RrClass>(u16_at(wire, end));
        end += 2;
    }
    return end;
}

// The first one into the message; where they end.
Result<std::size_t, MessageError> read_questions(Message& message, std::uint16_t count,
                                                 NameBuffer& scratch) {
    if (count == 0) {
        return header_size;
    }
    std::size_t at =
        TRY(read_question(message.wire, header_size, message.pointers, scratch, message.question));
    message.question_count = 1;
    if (count > 1) {
        NameBuffer other;
        Question question;
        for (; message.question_count < count; ++message.question_count) {
            at = TRY(read_question(message.wire, at, message.pointers, other, question));
        }
    }
    return at;
}

// The upper eight bits of the last OPT among the additional records; 0 if there is none.
struct ReadRecords {
    std::uint32_t extended_rcode = 0;
    std::optional<MessageError> error;
};

struct Fixed {
    std::size_t at = 0;  // of the type, after the name
    std::size_t rdata_size = 0;
};

Result<Fixed, MessageError> read_fixed(ByteView wire, std::size_t at) {
    if (wire.size() - at < record_fixed_size) {
        return fail(MessageError::truncated_record);
    }
    const std::size_t rdata_size = u16_at(wire, at + 8);
    if (wire.size() - at - record_fixed_size < rdata_size) {
        return fail(MessageError::truncated_rdata);
    }
    return Fixed{at, rdata_size};
}

// Where the name at `at`, which is inside, ends. Where `check_names`, names behind pointers are
// looked at too.
Result<std::size_t, NameError> end_of_name(const Message& message, std::size_t at, bool check_names,
                                           NameBuffer& buffer) {
    if (!check_names) {
        return skip_name(message.wire, at);
    }
    const auto name = read_name(message.wire, at, buffer, message.pointers);
    if (!name) {
        return fail(name.error());
    }
    return name->end;
}

// The same for what owners usually are: a pointer to the question or to what was not to be looked
// at, or the root. 0: another name.
std::size_t end_of_usual_name(const Message& message, std::size_t at, bool check_names) {
    const unsigned first = std::to_integer<unsigned>(message.wire[at]);
    if (first == 0) {
        return at + 1;
    }
    if (first < 0xC0 || message.wire.size() - at < 2) {
        return 0;
    }
    // The first question's name has been read; without a pointer in it, one more is not too many.
    const bool is_question = u16_at(message.wire, at) == (0xC000U | header_size) &&
                             message.question_count > 0 &&
                             message.question.name.wire().data() == &message.wire[header_size];
    return !check_names || is_question ? at + 2 : 0;
}

// Walks all records without looking at more than their shape.
ReadRecords walk_records(const Message& message, bool check_names) {
    ReadRecords read;
    NameBuffer buffer;
    const ByteView wire = message.wire;
    std::size_t at = message.records_offset;
    for (std::size_t section = 0; section < message.record_counts.size(); ++section) {
        for (unsigned left = message.record_counts[section]; left > 0; --left) {
            if (at == wire.size()) {
                return read;
            }
            std::size_t end = end_of_usual_name(message, at, check_names);
            if (end == 0) [[unlikely]] {
                const auto other = end_of_name(message, at, check_names, buffer);
                if (!other) {
                    read.error = from_name(other.error());
                    return read;
                }
                end = *other;
            }
            // An owner name alone at the very end: the fixed part is missing, a fault.
            if (wire.size() - end < record_fixed_size) [[unlikely]] {
                read.error = MessageError::truncated_record;
                return read;
            }
            const std::size_t rdata_size = u16_at(wire, end + 8);
            if (wire.size() - end - record_fixed_size < rdata_size) [[unlikely]] {
                read.error = MessageError::truncated_rdata;
                return read;
            }
            const bool is_additional = section == static_cast<std::size_t>(Section::additional);
            if (is_additional && static_cast<RrType>(u16_at(wire, end)) == RrType::opt) {
                read.extended_rcode = std::to_integer<std::uint32_t>(wire[end + 4]);
            }
            at = end + record_fixed_size + rdata_size;
        }
    }
    return read;
}

}  // namespace

std::string_view to_string(MessageError error) {
    switch (error) {
        case MessageError::truncated_header:
            return "truncated_header";
        case MessageError::truncated_question:
            return "truncated_question";
        case MessageError::truncated_record:
            return "truncated_record";
        case MessageError::truncated_rdata:
            return "truncated_rdata";
        case MessageError::name_truncated:
            return "name_truncated";
        case MessageError::name_label_type:
            return "name_label_type";
        case MessageError::name_pointer:
            return "name_pointer";
        case MessageError::name_pointer_count:
            return "name_pointer_count";
        case MessageError::name_too_long:
            return "name_too_long";
    }
    return "unknown";
}

Error to_error(MessageError error) {
    return {Code::invalid, std::string("malformed DNS message: ").append(to_string(error))};
}

Result<Message, MessageError> Message::parse(ByteView wire, Depth depth, NameBuffer& scratch) {
    Message message;
    TRY(message.assign(wire, depth, scratch));
    return message;
}

Result<void, MessageError> Message::assign(ByteView octets, Depth depth, NameBuffer& scratch) {
    if (octets.size() < header_size) {
        return fail(MessageError::truncated_header);
    }
    wire = octets;
    id = u16_at(wire, 0);
    flags = u16_at(wire, 2);
    rcode = static_cast<Rcode>(flags & flag::rcode_mask);
    question_count = 0;
    question = {};
    record_counts = {};
    records_offset = header_size;
    records_broken = false;
    pointers = depth == Depth::compatible ? Pointers::anywhere : Pointers::backwards;
    if (wire.size() == header_size) {
        return {};
    }
    const std::size_t end = TRY(read_questions(*this, u16_at(wire, 4), scratch));
    records_offset = static_cast<std::uint32_t>(end);
    for (std::size_t section = 0; section < record_counts.size(); ++section) {
        record_counts[section] = u16_at(wire, 6 + 2 * section);
    }
    const ReadRecords records = walk_records(*this, depth == Depth::compatible);
    if (records.error && depth == Depth::compatible) {
        return fail(*records.error);
    }
    records_broken = records.error.has_value();
    rcode = static_cast<Rcode>(records.extended_rcode << 4U | (flags & flag::rcode_mask));
    return {};
}

std::optional<Question> QuestionReader::next(NameBuffer& scratch) {
    if (left_ == 0) {
        return std::nullopt;
    }
    Question question;
    const auto end = read_question(wire_, offset_, pointers_, scratch, question);
    TAPIR_ASSERT(end.has_value());  // parse() has read it before
    --left_;
    offset_ = *end;
    return question;
}

RecordReader::RecordReader(const Message& message)
    : wire_(message.wire),
      offset_(message.records_offset),
      left_(message.record_counts),
      pointers_(message.pointers) {}

bool RecordReader::next() {
    constexpr std::array sections = {Section::answer, Section::authority, Section::additional};
    while (section_ < left_.size() && left_[section_] == 0) {
        ++section_;
    }
    if (error_ || section_ >= left_.size() || offset_ == wire_.size()) {
        return false;
    }
    const auto name = read_name(wire_, offset_, name_, pointers_);
    if (!name) {
        error_ = from_name(name.error());
        return false;
    }
    const auto fixed = read_fixed(wire_, name->end);
    if (!fixed) {
        error_ = fixed.error();
        return false;
    }
    const std::size_t rdata_offset = fixed->at + record_fixed_size;
    record_ = {.name = name->name,
               .type = static_cast<RrType>(u16_at(wire_, fixed->at)),
               .rr_class = static_cast<RrClass>(u16_at(wire_, fixed->at + 2)),
               .ttl_s = u32_at(wire_, fixed->at + 4),
               .rdata = wire_.subspan(rdata_offset, fixed->rdata_size),
               .rdata_offset = rdata_offset,
               .section = sections[section_]};
    record_offset_ = offset_;
    offset_ = rdata_offset + fixed->rdata_size;
    --left_[section_];
    return true;
}

}  // namespace tapir::dns
