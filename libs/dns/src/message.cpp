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

struct ReadQuestion {
    Question question;
    std::size_t end = 0;
};

Result<ReadQuestion, MessageError> read_question(ByteView wire, std::size_t at, Pointers pointers,
                                                 NameBuffer& scratch) {
    if (at == wire.size()) {
        return fail(MessageError::truncated_question);
    }
    const auto name = read_name(wire, at, scratch, pointers);
    if (!name) {
        return fail(from_name(name.error()));
    }
    ReadQuestion read{.question = {.name = name->name}, .end = name->end};
    const std::size_t left = wire.size() - name->end;
    if (left == 1 || left == 3) {
        return fail(MessageError::truncated_question);
    }
    if (left >= 2) {
        read.question.qtype = static_cast<RrType>(u16_at(wire, name->end));
        read.end += 2;
    }
    if (left >= 4) {
        read.question.qclass = static_cast<RrClass>(u16_at(wire, name->end + 2));
        read.end += 2;
    }
    return read;
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

// Walks all records without looking at more than their shape. Where `check_names`, names behind
// pointers are looked at too.
ReadRecords walk_records(const Message& message, bool check_names) {
    ReadRecords read;
    NameBuffer buffer;
    const ByteView wire = message.wire;
    std::size_t at = message.records_offset;
    for (std::size_t section = 0; section < message.record_counts.size(); ++section) {
        for (unsigned i = 0; i < message.record_counts[section]; ++i) {
            if (at == wire.size()) {
                return read;
            }
            std::size_t end = 0;
            if (check_names) {
                const auto name = read_name(wire, at, buffer, message.pointers);
                if (!name) {
                    read.error = from_name(name.error());
                    return read;
                }
                end = name->end;
            } else {
                const auto skipped = skip_name(wire, at);
                if (!skipped) {
                    read.error = from_name(skipped.error());
                    return read;
                }
                end = *skipped;
            }
            // An owner name alone at the very end: the fixed part is missing, a fault.
            const auto fixed = read_fixed(wire, end);
            if (!fixed) {
                read.error = fixed.error();
                return read;
            }
            const bool is_additional = section == static_cast<std::size_t>(Section::additional);
            if (is_additional && static_cast<RrType>(u16_at(wire, end)) == RrType::opt) {
                read.extended_rcode = u32_at(wire, end + 4) >> 24U;
            }
            at = end + record_fixed_size + fixed->rdata_size;
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
    if (wire.size() < header_size) {
        return fail(MessageError::truncated_header);
    }
    Message message;
    message.wire = wire;
    message.id = u16_at(wire, 0);
    message.flags = u16_at(wire, 2);
    message.rcode = static_cast<Rcode>(message.flags & flag::rcode_mask);
    message.pointers = depth == Depth::compatible ? Pointers::anywhere : Pointers::backwards;
    message.records_offset = header_size;
    if (wire.size() == header_size) {
        return message;
    }
    const std::uint16_t questions = u16_at(wire, 4);
    NameBuffer other;
    std::size_t at = header_size;
    for (unsigned i = 0; i < questions; ++i) {
        const auto read = read_question(wire, at, message.pointers, i == 0 ? scratch : other);
        if (!read) {
            return fail(read.error());
        }
        if (i == 0) {
            message.question = read->question;
        }
        at = read->end;
        ++message.question_count;
    }
    message.records_offset = static_cast<std::uint32_t>(at);
    for (std::size_t section = 0; section < message.record_counts.size(); ++section) {
        message.record_counts[section] = u16_at(wire, 6 + 2 * section);
    }
    const ReadRecords records = walk_records(message, depth == Depth::compatible);
    if (records.error && depth == Depth::compatible) {
        return fail(*records.error);
    }
    message.records_broken = records.error.has_value();
    message.rcode =
        static_cast<Rcode>(records.extended_rcode << 4U | (message.flags & flag::rcode_mask));
    return message;
}

std::optional<Question> QuestionReader::next(NameBuffer& scratch) {
    if (left_ == 0) {
        return std::nullopt;
    }
    const auto read = read_question(wire_, offset_, pointers_, scratch);
    TAPIR_ASSERT(read.has_value());  // parse() has read it before
    --left_;
    offset_ = read->end;
    return read->question;
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
