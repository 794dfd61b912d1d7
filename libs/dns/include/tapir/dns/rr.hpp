// The numbers of DNS with the names that the standards give them (IANA, DNS Parameters).
// Every enum is open: any number of its width is a value, only the common ones have names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tapir::dns {

enum class RrType : std::uint16_t {
    a = 1,
    ns = 2,
    cname = 5,
    soa = 6,
    ptr = 12,
    hinfo = 13,
    mx = 15,
    txt = 16,
    aaaa = 28,
    loc = 29,
    srv = 33,
    naptr = 35,
    dname = 39,
    opt = 41,
    ds = 43,
    sshfp = 44,
    rrsig = 46,
    nsec = 47,
    dnskey = 48,
    nsec3 = 50,
    nsec3param = 51,
    tlsa = 52,
    cds = 59,
    cdnskey = 60,
    svcb = 64,
    https = 65,
    spf = 99,
    tkey = 249,
    tsig = 250,
    ixfr = 251,
    axfr = 252,
    any = 255,
    uri = 256,
    caa = 257,
};
// "AAAA"; "TYPE65280" for a number without a name here (RFC 3597).
std::string to_text(RrType type);
// Both forms, any case.
std::optional<RrType> rr_type_from_text(std::string_view text);

enum class RrClass : std::uint16_t { in = 1, ch = 3, hs = 4, none = 254, any = 255 };
// "IN"; "CLASS7" for a number without a name here.
std::string to_text(RrClass rr_class);

enum class Opcode : std::uint8_t {
    query = 0,
    iquery = 1,
    status = 2,
    notify = 4,
    update = 5,
    dso = 6
};

// With the upper bits of EDNS (RFC 6891) and the codes of TSIG (RFC 8945): 12 bits.
enum class Rcode : std::uint16_t {
    noerror = 0,
    formerr = 1,
    servfail = 2,
    nxdomain = 3,
    notimp = 4,
    refused = 5,
    yxdomain = 6,
    yxrrset = 7,
    nxrrset = 8,
    notauth = 9,
    notzone = 10,
    dsotypeni = 11,
    badvers = 16,
    badsig = 16,
    badkey = 17,
    badtime = 18,
    badmode = 19,
    badname = 20,
    badalg = 21,
    badtrunc = 22,
    badcookie = 23,
};
// "NXDOMAIN"; "RCODE12" for a number without a name.
std::string to_text(Rcode rcode);

// The second 16 bits of the header, as one word.
namespace flag {
inline constexpr std::uint16_t qr = 0x8000;
inline constexpr std::uint16_t opcode_mask = 0x7800;
inline constexpr std::uint16_t aa = 0x0400;
inline constexpr std::uint16_t tc = 0x0200;
inline constexpr std::uint16_t rd = 0x0100;
inline constexpr std::uint16_t ra = 0x0080;
inline constexpr std::uint16_t ad = 0x0020;
inline constexpr std::uint16_t cd = 0x0010;
inline constexpr std::uint16_t rcode_mask = 0x000F;
}  // namespace flag

inline Opcode opcode_of(std::uint16_t flags) {
    return static_cast<Opcode>((flags & flag::opcode_mask) >> 11U);
}
inline std::uint16_t flags_of(Opcode opcode) {
    return static_cast<std::uint16_t>(static_cast<unsigned>(opcode) << 11U);
}

enum class Section : std::uint8_t { answer, authority, additional };

}  // namespace tapir::dns
