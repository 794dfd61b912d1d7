#include "tapir/dns/rr.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace tapir::dns {

namespace {

using TypeName = std::pair<RrType, std::string_view>;
constexpr auto type_names = std::to_array<TypeName>({
    {RrType::a, "A"},           {RrType::ns, "NS"},       {RrType::cname, "CNAME"},
    {RrType::soa, "SOA"},       {RrType::ptr, "PTR"},     {RrType::hinfo, "HINFO"},
    {RrType::mx, "MX"},         {RrType::txt, "TXT"},     {RrType::aaaa, "AAAA"},
    {RrType::loc, "LOC"},       {RrType::srv, "SRV"},     {RrType::naptr, "NAPTR"},
    {RrType::dname, "DNAME"},   {RrType::opt, "OPT"},     {RrType::ds, "DS"},
    {RrType::sshfp, "SSHFP"},   {RrType::rrsig, "RRSIG"}, {RrType::nsec, "NSEC"},
    {RrType::dnskey, "DNSKEY"}, {RrType::nsec3, "NSEC3"}, {RrType::nsec3param, "NSEC3PARAM"},
    {RrType::tlsa, "TLSA"},     {RrType::cds, "CDS"},     {RrType::cdnskey, "CDNSKEY"},
    {RrType::svcb, "SVCB"},     {RrType::https, "HTTPS"}, {RrType::spf, "SPF"},
    {RrType::tkey, "TKEY"},     {RrType::tsig, "TSIG"},   {RrType::ixfr, "IXFR"},
    {RrType::axfr, "AXFR"},     {RrType::any, "ANY"},     {RrType::uri, "URI"},
    {RrType::caa, "CAA"},
});

bool same_word(std::string_view a, std::string_view b) {
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return upper(x) == upper(y); });
}

}  // namespace

std::string to_text(RrType type) {
    for (const auto& [value, name] : type_names) {
        if (value == type) {
            return std::string(name);
        }
    }
    return fmt::format("TYPE{}", static_cast<unsigned>(type));
}

std::optional<RrType> rr_type_from_text(std::string_view text) {
    for (const auto& [value, name] : type_names) {
        if (same_word(name, text)) {
            return value;
        }
    }
    if (text.size() <= 4 || !same_word(text.substr(0, 4), "TYPE")) {
        return std::nullopt;
    }
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(text.data() + 4, text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return static_cast<RrType>(number);
}

std::string to_text(RrClass rr_class) {
    switch (rr_class) {
        case RrClass::in:
            return "IN";
        case RrClass::ch:
            return "CH";
        case RrClass::hs:
            return "HS";
        case RrClass::none:
            return "NONE";
        case RrClass::any:
            return "ANY";
    }
    return fmt::format("CLASS{}", static_cast<unsigned>(rr_class));
}

std::string to_text(Rcode rcode) {
    constexpr std::array<std::string_view, 24> names = {
        "NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",   "REFUSED",
        "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE",  "DSOTYPENI",
        "",         "",        "",         "",         "BADVERS",  "BADKEY",
        "BADTIME",  "BADMODE", "BADNAME",  "BADALG",   "BADTRUNC", "BADCOOKIE"};
    const auto number = static_cast<std::size_t>(rcode);
    if (number < names.size() && !names[number].empty()) {
        return std::string(names[number]);
    }
    return fmt::format("RCODE{}", number);
}

}  // namespace tapir::dns
