// Writes a DNS message, octet by octet in the order of the wire.
//
//     MessageWriter writer({.id = query.id, .flags = flag::qr | flag::aa});
//     writer.add_question(zone, RrType::axfr, RrClass::in);
//     if (!writer.add_record(Section::answer, owner, RrType::cname, RrClass::in, 3600, rdata)) {
//         send(writer.view());         // full: nothing of this record was written
//         writer.reset(header);        // the memory is kept
//     }
//
// Owner names are compressed (RFC 1035 §4.1.4) against names already written, unless told not to;
// RDATA is written as given. Sections must come in the order of the wire (asserted). One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tapir/base/bytes.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/dns/name.hpp"
#include "tapir/dns/rr.hpp"

namespace tapir::dns {

struct Header {
    std::uint16_t id = 0;
    std::uint16_t flags = 0;
};

enum class Compression : std::uint8_t { off, owners };

class MessageWriter {
public:
    // No message of this writer becomes larger than `size_max` (header_size to message_size_max).
    explicit MessageWriter(Header header, std::size_t size_max = message_size_max,
                           Compression compression = Compression::owners);

    // Starts a new message in the same memory.
    void reset(Header header);

    // Each returns false, and has written nothing, if it would not fit.
    [[nodiscard]] bool add_question(NameView name, RrType qtype, RrClass qclass);
    [[nodiscard]] bool add_record(Section section, NameView owner, RrType type, RrClass rr_class,
                                  std::uint32_t ttl_s, ByteView rdata);
    // An OPT (RFC 6891) with the upper bits of `rcode`; the lower bits belong into the flags.
    [[nodiscard]] bool add_opt(std::uint16_t udp_size, Rcode rcode, bool dnssec_ok = false,
                               ByteView options = {});
    // Replaces the header's second word, such as for a late rcode or TC.
    void set_flags(std::uint16_t flags);

    // The message so far, counts filled in. Valid until the next call that writes.
    ByteView view() const& { return octets_; }
    ByteView view() const&& = delete;
    std::size_t size() const { return octets_.size(); }

private:
    static constexpr std::size_t slot_count =
        256;  // 2^n; what is lost is only a chance to compress

    void append_name(NameView name);
    void count(std::size_t field);

    std::size_t size_max_;
    Compression compression_;
    std::size_t field_ = 0;  // 0 questions, 1 to 3 the record sections
    Bytes octets_;
    std::array<std::uint16_t, slot_count> slots_ = {};  // offsets of names written; 0: none
};

// RDATA that more than one of us writes.
Bytes soa_rdata(NameView mname, NameView rname, std::uint32_t serial, std::uint32_t refresh_s,
                std::uint32_t retry_s, std::uint32_t expire_s, std::uint32_t minimum_s);

}  // namespace tapir::dns
