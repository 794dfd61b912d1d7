#include "tapir/dns/edns.hpp"

namespace tapir::dns {

std::optional<Edns> edns_of(const Message& message) {
    constexpr std::uint32_t dnssec_ok_bit = 0x8000;
    std::optional<Edns> found;
    RecordReader records(message);
    while (records.next()) {
        const Record& record = records.record();
        if (record.section == Section::additional && record.type == RrType::opt) {
            found = Edns{.udp_size = static_cast<std::uint16_t>(record.rr_class),
                         .version = static_cast<std::uint8_t>(record.ttl_s >> 16U),
                         .dnssec_ok = (record.ttl_s & dnssec_ok_bit) != 0,
                         .options = record.rdata};
        }
    }
    return found;
}

std::optional<OptionReader::Option> OptionReader::next() {
    ByteReader in(rest_);
    const auto code = static_cast<EdnsOption>(in.u16());
    const ByteView data = in.bytes(in.u16());
    if (in.failed()) {
        return std::nullopt;
    }
    rest_ = in.rest();
    return Option{code, data};
}

}  // namespace tapir::dns
