#include "mixes.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_set>
#include <utility>

#include "chance.hpp"
#include "protobuf.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/dns/message_writer.hpp"
#include "tapir/dnstap/frame_stream.hpp"

namespace tapir::bench {
namespace {

constexpr std::size_t piece_size = 1U << 20U;  // octets handed over at a time
constexpr std::uint64_t unknown_domains = 200'000;
constexpr std::size_t clients_in_v4_network = 100;  // of a /24
constexpr std::size_t clients_in_v6_network = 250;  // of a /40

constexpr std::array<std::string_view, 40> syllables = {
    "al", "an", "ber", "bo", "ca",  "cor", "da", "del", "en",  "fa", "fin", "ga", "gor", "ha",
    "in", "jo", "ka",  "ki", "la",  "lin", "ma", "mer", "no",  "ny", "or",  "pa", "pix", "ra",
    "ro", "sa", "sol", "ta", "ter", "tu",  "um", "va",  "ver", "wa", "yo",  "zen"};
constexpr std::array<std::string_view, 16> words = {
    "shop", "news", "cloud", "media", "game", "bank",  "travel", "data",
    "soft", "mail", "cdn",   "track", "ads",  "photo", "live",   "web"};
// Weighted: half of all names are below com.
constexpr std::array<std::string_view, 32> tops = {
    "com", "com", "com", "com", "com", "com",    "com", "com",  "com", "com", "com",
    "com", "com", "com", "com", "com", "net",    "net", "org",  "org", "de",  "co.uk",
    "se",  "nl",  "fr",  "it",  "ru",  "com.br", "io",  "info", "eu",  "xyz"};
constexpr std::array<std::string_view, 16> hosts = {"www",  "api", "cdn",    "img",  "m", "app",
                                                    "mail", "ns1", "static", "edge", "a", "login",
                                                    "s3",   "gw",  "assets", "track"};

// Hands over what was put in, in large pieces.
class Output {
public:
    explicit Output(const Sink& sink) : sink_(sink) { held_.reserve(2 * piece_size); }
    void put(ByteView octets) {
        append(held_, octets);
        if (held_.size() >= piece_size) {
            flush();
        }
    }
    void flush() {
        sink_(held_);
        held_.clear();
    }

private:
    const Sink& sink_;
    Bytes held_;
};

std::string domain(Chance& chance) {
    std::string name;
    for (std::uint64_t left = 2 + chance.below(3); left > 0; --left) {
        name += syllables.at(chance.below(syllables.size()));
    }
    if (chance.happens(200)) {
        name += chance.happens(500) ? "-" : "";
        name += words.at(chance.below(words.size()));
    }
    if (chance.happens(100)) {
        name += std::to_string(chance.below(1000));
    }
    name += '.';
    name += tops.at(chance.below(tops.size()));
    return name;
}

Bytes v4_client(std::size_t number) {
    Bytes address;
    const std::size_t network = number / clients_in_v4_network;
    append_u16(address, static_cast<std::uint16_t>(0x0A00U | (network >> 8U)));
    append_u8(address, static_cast<std::uint8_t>(network));
    append_u8(address, static_cast<std::uint8_t>(1 + number % clients_in_v4_network));
    return address;
}
Bytes v6_client(std::size_t number) {
    Bytes address;
    append_u16(address, 0xFD00);
    append_u16(address, static_cast<std::uint16_t>(0x7A00));
    append_u8(address, static_cast<std::uint8_t>(number / clients_in_v6_network));  // the /40
    append_u16(address, static_cast<std::uint16_t>(number));                        // the /56
    append_u8(address, 0);
    append_u64(address, 0x0200'5EFF'FE00'0001 + number);
    return address;
}

struct Resolver {
    Bytes v4{std::byte{10}, std::byte{255}, std::byte{0}, std::byte{53}};
    Bytes v6;
    Resolver() {
        append_u64(v6, 0xFD00'7AFF'0000'0000);
        append_u64(v6, 53);
    }
};

dns::RrType type_by_chance(Chance& chance) {
    const std::uint64_t at = chance.below(100);
    return at < 58   ? dns::RrType::a
           : at < 82 ? dns::RrType::aaaa
           : at < 92 ? dns::RrType::https
           : at < 95 ? dns::RrType::mx
           : at < 97 ? dns::RrType::ns
                     : dns::RrType::txt;
}

Bytes rdata_of(dns::RrType type, Chance& chance) {
    Bytes rdata;
    switch (type) {
        case dns::RrType::a:
            append_u32(rdata, static_cast<std::uint32_t>(chance.next()));
            break;
        case dns::RrType::aaaa:
            append_u64(rdata, 0x2001'0DB8'0000'0000 | chance.below(1U << 31U));
            append_u64(rdata, chance.next());
            break;
        case dns::RrType::mx:
            append_u16(rdata, 10);
            append(rdata, std::string_view("\2mx\xC0\x0C"));
            break;
        case dns::RrType::ns:
            append(rdata, std::string_view("\3ns1\xC0\x0C"));
            break;
        case dns::RrType::https:
            append(rdata, std::string_view("\0\1\0\0\1\0\6\2h2\2h3", 13));
            break;
        default:
            append(rdata, std::string_view("\13v=spf1 -all"));
    }
    return rdata;
}

Bytes answer_to(const dns::Name& qname, Chance& chance) {
    const dns::RrType type = type_by_chance(chance);
    const std::uint64_t fate = chance.below(100);
    const unsigned rcode = fate < 90 ? 0 : fate < 98 ? 3 : 2;
    dns::MessageWriter writer({.id = static_cast<std::uint16_t>(chance.next()),
                               .flags = static_cast<std::uint16_t>(0x8180U | rcode)});
    bool fits = writer.add_question(qname, type, dns::RrClass::in);
    if (rcode == 0) {
        const bool is_address = type == dns::RrType::a || type == dns::RrType::aaaa;
        const std::uint64_t records = is_address ? 1 + chance.below(3) : 1;
        for (std::uint64_t i = 0; i < records; ++i) {
            // One after the other: the order in which arguments are made is the compiler's choice.
            const auto ttl_s = static_cast<std::uint32_t>(60 + chance.below(3000));
            const Bytes rdata = rdata_of(type, chance);
            fits = fits && writer.add_record(dns::Section::answer, qname, type, dns::RrClass::in,
                                             ttl_s, rdata);
        }
    }
    fits = fits && writer.add_opt(1232, dns::Rcode{});
    TAPIR_ASSERT(fits);
    return to_bytes(writer.view());
}

// Which name a frame asks for.
class Questions {
public:
    Questions(const FrameMix& mix, const std::vector<std::string_view>& names, Chance& chance)
        : mix_(mix),
          names_(names),
          order_(shuffled(names.size(), chance)),
          rank_(names.size(), 19, 20) {}

    std::string next(Chance& chance) const {
        std::string name;
        if (chance.happens(mix_.unknown_of_thousand)) {
            name = unknown(chance);
        } else {
            const std::string_view entry = names_[order_[rank_.draw(chance)]];
            if (entry.starts_with('.')) {
                name = hosts.at(chance.below(hosts.size()));
                if (chance.happens(333)) {
                    name.insert(0, ".").insert(0, hosts.at(chance.below(hosts.size())));
                }
            }
            name += entry;
        }
        if (chance.happens(20)) {
            mix_case(name, chance);
        }
        return name;
    }

private:
    // A host never asked for before, below a domain that no list of ours has: their names have no
    // "x--" in them.
    static std::string unknown(Chance& chance) {
        constexpr std::string_view digits = "abcdefghijklmnopqrstuvwxyz234567";
        std::string name;
        std::uint64_t bits = chance.next();
        for (std::uint64_t left = 8 + chance.below(5); left > 0; --left) {
            name += digits[bits % digits.size()];
            bits /= digits.size();
        }
        Chance same(chance.below(unknown_domains));
        name += ".x--";
        name += domain(same);
        return name;
    }
    static void mix_case(std::string& name, Chance& chance) {
        std::uint64_t bits = chance.next();
        for (char& c : name) {
            if ((bits & 1U) != 0 && c >= 'a' && c <= 'z') {
                c = static_cast<char>(c - 'a' + 'A');
            }
            bits = bits >> 1U | bits << 63U;
        }
    }

    const FrameMix& mix_;
    const std::vector<std::string_view>& names_;
    std::vector<std::uint32_t> order_;
    Zipf rank_;
};

}  // namespace

void write_names(const NameMix& mix, const Sink& sink) {
    Chance chance(mix.seed);
    Output out(sink);
    std::unordered_set<std::string> seen;
    seen.reserve(mix.count);
    while (seen.size() < mix.count) {
        std::string name = domain(chance);
        if (chance.happens(250)) {
            name.insert(0, ".").insert(0, hosts.at(chance.below(hosts.size())));
        }
        const bool is_suffix = chance.below(3) == 0;
        if (!seen.insert(name).second) {
            continue;
        }
        out.put(as_bytes((is_suffix ? "." : "") + name + "\n"));
    }
    out.flush();
}

void write_frames(const FrameMix& mix, const std::vector<std::string_view>& names,
                  const Sink& sink) {
    Chance chance(mix.seed);
    Output out(sink);
    dnstap::FrameStreamWriter stream(dnstap::FrameStreamWriter::Form::file);
    const Questions questions(mix, names, chance);
    const Zipf client_rank(mix.clients, 4, 5);
    const std::vector<std::uint32_t> clients = shuffled(mix.clients, chance);
    const Resolver resolver;
    const std::uint64_t span_ns = std::uint64_t{mix.minutes} * 60'000'000'000;
    const std::uint64_t step_ns = span_ns / std::max<std::size_t>(mix.count, 1);
    Bytes inner;
    Bytes outer;
    for (std::size_t i = 0; i < mix.count; ++i) {
        const auto qname = dns::Name::from_text(questions.next(chance));
        TAPIR_ASSERT(qname.has_value());
        const std::size_t client = clients[client_rank.draw(chance)];
        const bool is_v6 = client % 4 == 0;
        const std::uint64_t at_ns = i * step_ns;
        inner.clear();
        put_number(inner, 1, 6);  // CLIENT_RESPONSE
        put_number(inner, 2, is_v6 ? 2 : 1);
        put_number(inner, 3, chance.happens(950) ? 1 : 2);
        put_bytes(inner, 4, is_v6 ? v6_client(client) : v4_client(client));
        put_bytes(inner, 5, is_v6 ? resolver.v6 : resolver.v4);
        put_number(inner, 6, 1024 + chance.below(60'000));
        put_number(inner, 7, 53);
        put_number(inner, 12, static_cast<std::uint64_t>(mix.start_s) + at_ns / 1'000'000'000);
        put_fixed32(inner, 13, static_cast<std::uint32_t>(at_ns % 1'000'000'000));
        put_bytes(inner, 14, answer_to(*qname, chance));
        outer.clear();
        put_bytes(outer, 1, as_bytes("resolver-1"));
        put_bytes(outer, 2, as_bytes("unbound 1.17.1"));
        put_bytes(outer, 14, inner);
        put_number(outer, 15, 1);
        stream.write(outer);
        out.put(stream.take_output());
    }
    stream.stop();
    out.put(stream.take_output());
    out.flush();
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

}  // namespace tapir::bench
