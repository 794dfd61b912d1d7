#include "traffic.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"
#include "tapir/dns/message_writer.hpp"
#include "tapir/dnstap/testing.hpp"

namespace tapir::sim {
namespace {

constexpr std::string_view secret_start = "qz";
constexpr std::size_t word_size = 12;
constexpr unsigned networks = 8;     // of the steady clients
constexpr double busiest_hour = 15;  // of a day that begins with second 0
constexpr std::string_view ipv6_start = "\xfd\x7a\x6c\x61";

// Client `i` of `networks`: 10.77.N.C.
Bytes ipv4_client(unsigned i, unsigned network_count) {
    return {std::byte{10}, std::byte{77}, static_cast<std::byte>(i % network_count),
            static_cast<std::byte>(1 + i / network_count)};
}

// Client `i` of `networks`: each its own /56, each network its own /40.
Bytes ipv6_client(unsigned i, unsigned network_count) {
    Bytes out(16);
    std::transform(ipv6_start.begin(), ipv6_start.end(), out.begin(),
                   [](char c) { return static_cast<std::byte>(c); });
    out[4] = static_cast<std::byte>(i % network_count);
    out[6] = static_cast<std::byte>(1 + i / network_count);
    out[15] = std::byte{1};
    return out;
}

std::vector<Bytes> clients(unsigned count, unsigned network_count, bool ipv6) {
    std::vector<Bytes> out;
    out.reserve(count);
    for (unsigned i = 0; i < count; ++i) {
        out.push_back(ipv6 ? ipv6_client(i, network_count) : ipv4_client(i, network_count));
    }
    return out;
}

std::vector<Bytes> few_clients() {
    std::vector<Bytes> out = clients(9, 4, false);
    const std::vector<Bytes> more = clients(9, 4, true);
    out.insert(out.end(), more.begin(), more.end());
    return out;
}

std::uint64_t mixed(std::uint64_t x) {
    x += 0x9e37'79b9'7f4a'7c15U;
    x = (x ^ (x >> 30U)) * 0xbf58'476d'1ce4'e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d0'49bb'1331'11ebU;
    return x ^ (x >> 31U);
}

void add_letters(std::string& out, std::uint64_t from, std::size_t count) {
    for (; count > 0; --count, from /= 26) {
        out += static_cast<char>('a' + from % 26);
    }
}

// A word that is no secret: one has no q.
std::string word(std::string_view start, std::uint64_t number) {
    std::string out(start);
    add_letters(out, mixed(number), word_size - out.size());
    std::replace(out.begin(), out.end(), 'q', 'a');
    return out;
}

void seal(std::string& out) {
    std::uint64_t sum = 0;
    for (const char c : out) {
        sum = mixed(sum + static_cast<unsigned char>(c));
    }
    add_letters(out, sum, word_size - out.size());
}

std::string secret(std::uint64_t number) {
    std::string out(secret_start);
    add_letters(out, mixed(number), word_size - 4 - out.size());
    seal(out);
    return out;
}

bool is_secret(std::string_view text) {
    if (text.size() < word_size) {
        return false;
    }
    std::string again(text.substr(0, word_size - 4));
    seal(again);
    return again == text.substr(0, word_size);
}

// Names that are no secrets and hold most of one. They stand around it, as rows are sorted: so
// Snappy writes the secret as a copy and a rest, and who does not unpack does not find it. (The one
// behind is there because the last octets of a page are never a copy.)
std::vector<std::string> decoys_of(const std::string& name) {
    const auto around = [&name](std::string_view start) {
        return fmt::format("{}{}{}{}", start, name.substr(0, word_size - 4), start,
                           name.substr(word_size));
    };
    return {around("aa"), around("zz")};
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// An IPv4 address of ours as text, or the start of an IPv6 address, as text or as octets.
std::optional<std::string> address_in(std::string_view octets) {
    for (std::size_t at = octets.find("10.77."); at != std::string_view::npos;
         at = octets.find("10.77.", at + 1)) {
        const std::string_view rest = octets.substr(at + 6, 7);
        const std::size_t dot = rest.find('.');
        if (dot != std::string_view::npos && dot > 0 && dot <= 3 && dot + 1 < rest.size() &&
            is_digit(rest[0]) && is_digit(rest[dot + 1])) {
            return std::string(octets.substr(at, 12));
        }
    }
    for (const std::string_view start : {ipv6_start, std::string_view("fd7a:6c61")}) {
        if (octets.find(start) != std::string_view::npos) {
            return std::string("an IPv6 address");
        }
    }
    return std::nullopt;
}

Bytes frame_of(const std::string& asked, const Bytes& client, std::uint64_t qtype, UtcTime now) {
    dns::MessageWriter writer({.id = 7, .flags = 0x8580});
    const auto name = dns::Name::from_text(asked + ".");
    TAPIR_ASSERT(name.has_value());
    TAPIR_ASSERT(writer.add_question(*name, static_cast<dns::RrType>(qtype), dns::RrClass::in));
    dnstap::testing::Fields fields;
    fields.family = client.size() == 16 ? 2 : 1;
    fields.protocol = 1;
    fields.query_address = client;
    fields.response_time_s = static_cast<std::uint64_t>(now.seconds());
    fields.response_message = to_bytes(writer.view());
    return dnstap::testing::encode(fields);
}

}  // namespace

Traffic::Traffic(Dice& dice, const TrafficPlan& plan) : plan_(plan), salt_(dice.seed()) {
    const auto start = [&] {
        return static_cast<std::int64_t>(
            dice.between(0, static_cast<std::uint64_t>(plan.seconds * 3 / 4)));
    };
    for (unsigned i = 0; i < plan.popular; ++i) {
        const bool ipv6 = dice.one_in(4);
        popular_.push_back(word("p", dice.seed()) + ".com");
        ask(dice, popular_.back(), clients(60, 6, ipv6), start(),
            static_cast<std::int64_t>(dice.between(20, 300)), true);
    }
    for (unsigned i = 0; i < plan.rare; ++i) {
        const bool leaks = plan.rare_name_leaks && i == 0;
        const auto who = leaks        ? clients(60, 6, false)
                         : i % 3 == 2 ? clients(40, 2, false)
                                      : few_clients();
        rare_name_ = secret(dice.seed()) + ".com";
        ask(dice, rare_name_, who, start(), 300, true);
    }
    for (unsigned i = 0; i < plan.listed; ++i) {
        const bool rare = i % 2 == 1;
        const std::string name = (rare ? secret(dice.seed()) : word("w", dice.seed())) + ".org";
        well_known_ += name + "\n";
        if (rare && !plan.listed_name_leaks) {
            ask(dice, name, few_clients(), 0, plan.seconds, false);
            continue;
        }
        if (!rare) {
            popular_listed_.push_back(name);
        }
        // Each time within what the clock calls a minute.
        for (unsigned m = 0; m < 4; ++m) {
            const std::int64_t at = (start() / 60 + 1) * 60 - std::int64_t{plan.second};
            ask(dice, name, clients(60, 6, m % 2 == 1), at, 50, false);
            for (const std::string& decoy : rare ? decoys_of(name) : std::vector<std::string>()) {
                ask(dice, decoy, clients(60, 6, m % 2 == 1), at, 50, false);
            }
        }
        for (const std::string& decoy : rare ? decoys_of(name) : std::vector<std::string>()) {
            well_known_ += decoy + "\n";
        }
    }
    for (unsigned i = 0; i < plan.noise; ++i) {
        ask(dice, secret(dice.seed()) + ".net", clients(1, 1, dice.one_in(4)), start(), 1, false);
    }
    for (unsigned i = 0; i < plan.steady_listed; ++i) {
        well_known_ += word("w", salt_ + i) + ".org\n";
    }
}

void Traffic::ask(Dice& dice, const std::string& name, const std::vector<Bytes>& who,
                  std::int64_t start, std::int64_t length, bool under_hosts) {
    for (const Bytes& client : who) {
        const auto at = std::min<std::int64_t>(
            start +
                static_cast<std::int64_t>(dice.between(0, static_cast<std::uint64_t>(length - 1))),
            plan_.seconds - 1);
        std::string asked = name;
        if (under_hosts && dice.one_in(8)) {
            asked = secret(dice.seed()) + "." + name;
        }
        queries_[at].push_back(
            {.name = std::move(asked), .client = client, .qtype = dice.one_in(3) ? 28U : 1U});
    }
}

// What all clients together ask for in one second of the day; the same whenever it is asked for.
void Traffic::add_steady(std::int64_t second, std::vector<Query>& queries) const {
    const double hour = static_cast<double>(second) / 3600.0;
    const double busy = 0.55 + 0.45 * std::cos((hour - busiest_hour) * 2 * std::numbers::pi / 24);
    const auto count = static_cast<unsigned>(plan_.steady_frames * busy);
    Dice dice(salt_ + static_cast<std::uint64_t>(second) * 1'000);
    for (unsigned i = 0; i < count; ++i) {
        const auto who = static_cast<unsigned>(dice.between(0, plan_.steady_clients - 1));
        const bool ipv6 = who % 4 == 3;
        Query query{.name = {},
                    .client = ipv6 ? ipv6_client(who, networks) : ipv4_client(who, networks),
                    .qtype = dice.one_in(3) ? 28U : 1U};
        const std::uint64_t kind = dice.between(0, 99);
        if (kind < 70) {
            // Some names are asked for much more than others.
            const std::uint64_t rank =
                dice.between(0, dice.between(0, dice.between(1, plan_.steady_listed) - 1));
            query.name = word("w", salt_ + rank) + ".org";
        } else if (kind < 90) {
            const auto quarter = static_cast<std::uint64_t>(second / 900);
            const std::uint64_t fresh = quarter * 4 + dice.between(0, 3);
            query.name = "www." + word("p", salt_ + 1'000'000 + fresh) + ".com";
        } else {
            query.name = secret(salt_ + 2'000'000 + dice.seed()) + ".net";
        }
        queries.push_back(std::move(query));
    }
}

std::vector<Bytes> Traffic::frames(std::int64_t second, UtcTime now) const {
    std::vector<Query> queries;
    if (const auto found = queries_.find(second); found != queries_.end()) {
        queries = found->second;
    }
    if (plan_.steady_clients != 0) {
        add_steady(second, queries);
    }
    std::vector<Bytes> out;
    out.reserve(queries.size());
    for (const Query& query : queries) {
        out.push_back(frame_of(query.name, query.client, query.qtype, now));
    }
    return out;
}

std::string_view Traffic::public_suffixes() {
    return "// ===BEGIN ICANN DOMAINS===\ncom\nnet\norg\n// ===END ICANN DOMAINS===\n"
           "// ===BEGIN PRIVATE DOMAINS===\n// ===END PRIVATE DOMAINS===\n";
}

std::optional<std::string> Traffic::secret_in(std::string_view octets) const {
    for (std::size_t at = octets.find(secret_start); at != std::string_view::npos;
         at = octets.find(secret_start, at + 1)) {
        if (is_secret(octets.substr(at))) {
            return std::string(octets.substr(at, word_size));
        }
    }
    return address_in(octets);
}

}  // namespace tapir::sim
