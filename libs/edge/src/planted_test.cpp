// Ten thousand identifiers are planted in what resolvers send: in names, addresses and EDNS
// options. None of them is in anything that leaves, however it is written there: what is packed is
// unpacked and what is encoded is decoded before it is searched.
#include <algorithm>
#include <array>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "setup.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/dns/message_writer.hpp"
#include "tapir/dnstap/testing.hpp"
#include "testing_frames.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

using namespace testing;

constexpr std::size_t in_names = 6000;
constexpr std::size_t in_addresses = 2000;
constexpr std::size_t in_options = 2000;
constexpr std::size_t domains = 40;        // that many ask for
constexpr std::size_t asked_by_many = 20;  // one of so many identifiers
constexpr unsigned many = 100;             // clients: more than two thresholds together

// Identifiers as they are found in names. Given names are those that the rule knows: one that it
// does not know is behind the threshold like any other label, and leaves when so many ask for it.
class Generator {
public:
    std::string next() {
        switch (count_++ % 8) {
            case 0:
                return fmt::format("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", bits(32), bits(16),
                                   bits(12), bits(12), bits(48));
            case 1:
                return fmt::format("{:02x}-{:02x}-{:02x}-{:02x}-{:02x}-{:02x}", bits(8), bits(8),
                                   bits(8), bits(8), bits(8), bits(8));
            case 2:
                return fmt::format("{:016x}{:016x}", bits(64), bits(64));
            case 3:
                return letters("abcdefghijklmnopqrstuvwxyz234567", 26);
            case 4:
                return fmt::format("467{:08}", bits(26));
            case 5:
                return fmt::format("ip-203-{}-{}-{}", bits(7) + 100, bits(7) + 100, bits(7) + 100);
            case 6:
                return fmt::format("{}s-iphone-{}", given(), bits(20) + 1'000'000);
            default:
                return fmt::format("{}-{}", given(), surname());
        }
    }
    std::uint64_t bits(unsigned count) { return random_() >> (64U - count); }

private:
    std::string_view given() {
        static constexpr std::array<std::string_view, 20> names{
            "anna",      "erik",   "maria",   "lars",  "karin",    "anders", "johan",
            "elisabeth", "mikael", "ingrid",  "peter", "kristina", "thomas", "sofia",
            "daniel",    "emma",   "fredrik", "linda", "andreas",  "helena"};
        return names.at(bits(32) % names.size());
    }
    std::string surname() {
        std::string out;
        for (int syllable = 0; syllable < 3; ++syllable) {
            out += letters("bdfgklmnprst", 1) + letters("aeiou", 1) + letters("lnrst", 1);
        }
        return out;
    }
    std::string letters(std::string_view from, std::size_t size) {
        std::string out;
        while (out.size() < size) {
            out += from[bits(32) % from.size()];
        }
        return out;
    }

    std::mt19937_64 random_{7};
    std::size_t count_ = 0;
};

struct Planted {
    std::vector<std::string> identifiers;
    std::vector<Bytes> frames;
};

struct Asked {
    std::string name;
    Bytes client;
    Bytes option = {};  // its content: what an EDNS client subnet or a cookie holds
    std::uint32_t port = 4711;
    std::uint16_t id = 7;
};

Bytes frame_of(const Asked& asked) {
    dns::MessageWriter writer({.id = asked.id, .flags = 0x8580});
    const auto name = dns::Name::from_text(asked.name);
    EXPECT_TRUE(name.has_value()) << asked.name;
    EXPECT_TRUE(writer.add_question(*name, dns::RrType::a, dns::RrClass::in));
    Bytes options;
    if (!asked.option.empty()) {
        append_u16(options, asked.option.size() == 16 ? 10 : 8);  // COOKIE, CLIENT-SUBNET
        append_u16(options, static_cast<std::uint16_t>(asked.option.size()));
        append(options, asked.option);
        EXPECT_TRUE(writer.add_opt(1232, dns::Rcode::noerror, false, options));
    }
    dnstap::testing::Fields fields;
    fields.family = asked.client.size() == 16 ? 2 : 1;
    fields.protocol = 1;
    fields.query_address = asked.client;
    fields.response_address = v4(10, 250, 0, 53);
    fields.query_port = asked.port;
    fields.response_port = 53;
    fields.query_time_s = static_cast<std::uint64_t>(t0);
    fields.response_time_s = static_cast<std::uint64_t>(t0);
    fields.response_message = to_bytes(writer.view());
    fields.identity = to_bytes("resolver-of-planted-test");
    return dnstap::testing::encode(fields);
}

// 10.A.B.C, each another one.
Bytes numbered_client(std::size_t i) {
    return v4(10, static_cast<unsigned>(100 + i % 100), static_cast<unsigned>(100 + i / 100 % 100),
              static_cast<unsigned>(100 + i / 10'000));
}

std::string dotted(const Bytes& address, char separator) {
    std::string out;
    for (const std::byte octet : address) {
        out += (out.empty() ? "" : std::string(1, separator)) +
               std::to_string(std::to_integer<int>(octet));
    }
    return out;
}

Planted planted() {
    Generator generator;
    Planted all;
    std::size_t clients = 0;
    const auto ask = [&](const Asked& asked) { all.frames.push_back(frame_of(asked)); };
    // Domains that leave, so that hosts below them are counted at all.
    for (std::size_t d = 0; d < domains; ++d) {
        for (unsigned i = 0; i < many; ++i) {
            ask({.name = fmt::format("known-{}.se.", d), .client = client_of(i)});
        }
    }
    for (std::size_t i = 0; i < in_names; ++i) {
        all.identifiers.push_back(generator.next());
        const std::string name = fmt::format("{}.{}known-{}.se.", all.identifiers.back(),
                                             i % 3 == 0 ? "host." : "", i % domains);
        const unsigned by = i % asked_by_many < 8 ? 1 : 0;
        for (unsigned c = 0; c < (i / 8 % asked_by_many == 0 ? many : by + 1); ++c) {
            ask({.name = name, .client = client_of(c)});
        }
    }
    for (std::size_t i = 0; i < in_addresses; ++i) {
        const Bytes client = numbered_client(clients++);
        all.identifiers.push_back(dotted(client, '.'));
        all.identifiers.push_back(dotted(client, '-'));
        ask({.name = fmt::format("known-{}.se.", i % domains), .client = client});
        ask({.name = "listed.se.", .client = client});
    }
    for (std::size_t i = 0; i < in_options; ++i) {
        Bytes option(i % 2 == 0 ? 16 : 11);
        for (std::byte& octet : option) {
            octet = static_cast<std::byte>(generator.bits(8));
        }
        all.identifiers.emplace_back(as_text(option));
        ask({.name = i % 4 < 2 ? "listed.se." : fmt::format("known-{}.se.", i % domains),
             .client = client_of(static_cast<unsigned>(i % many)),
             .option = option,
             .port = static_cast<std::uint32_t>(20'000 + i),
             .id = static_cast<std::uint16_t>(i)});
    }
    all.identifiers.emplace_back("resolver-of-planted-test");
    all.identifiers.emplace_back("10.250.0.53");
    return all;
}

std::string lower_of_text(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

// All that a run wrote, as it is and decoded.
std::vector<std::string> decoded(const std::string& out) {
    std::vector<std::string> texts;
    for (const auto& [path, content] : contents_of(out)) {
        texts.push_back(content);
        if (path.ends_with(".parquet")) {
            Duck duck;
            for (const auto& row : duck.query("SELECT * FROM '" + out + "/" + path + "'")) {
                std::string line;
                for (const std::string& value : row) {
                    line += value + ".";
                }
                texts.push_back(line);
            }
            continue;
        }
        // Whatever in it may be base64url.
        for (std::size_t at = 0; at < content.size();) {
            const std::size_t start = content.find('"', at);
            const std::size_t end =
                start == std::string::npos ? start : content.find('"', start + 1);
            if (end == std::string::npos) {
                break;
            }
            const auto inner = crypto::parse_base64url(content.substr(start + 1, end - start - 1));
            if (inner && inner->size() > 8) {
                texts.emplace_back(as_text(*inner));
            }
            at = start + 1;
        }
    }
    for (std::string& text : texts) {
        text = lower_of_text(text);
    }
    return texts;
}

// What of `identifiers` is in `texts`: as it is, in hexadecimal, or backwards.
std::vector<std::string> found(const std::vector<std::string>& identifiers,
                               const std::vector<std::string>& texts) {
    constexpr std::size_t start_size = 8;
    std::unordered_multimap<std::string_view, std::string_view> starts;
    std::vector<std::string> forms;
    forms.reserve(identifiers.size() * 3);
    for (const std::string& identifier : identifiers) {
        forms.push_back(lower_of_text(identifier));
        forms.push_back(to_hex(as_bytes(identifier)));
        forms.emplace_back(forms[forms.size() - 2].rbegin(), forms[forms.size() - 2].rend());
    }
    for (const std::string& form : forms) {
        EXPECT_GE(form.size(), start_size) << form;
        starts.emplace(std::string_view(form).substr(0, start_size), form);
    }
    std::vector<std::string> all;
    for (const std::string_view text : texts) {
        for (std::size_t at = 0; at + start_size <= text.size(); ++at) {
            const auto [first, last] = starts.equal_range(text.substr(at, start_size));
            for (auto it = first; it != last; ++it) {
                if (text.substr(at).starts_with(it->second)) {
                    all.emplace_back(it->second);
                }
            }
        }
    }
    return all;
}

std::string run_over(const TemporaryFolder& folder, const std::string& name,
                     const std::vector<Bytes>& frames, const std::string& profile) {
    write_text(folder / (name + ".fstrm"), fstrm_of(frames));
    write_text(folder / "list.txt", "listed.se\n");
    run_twin({.captures = {folder / (name + ".fstrm")},
              .out = folder / name,
              .single_interval = false,
              .version = "test"},
             {"lists.well_known=" + folder / "list.txt", "release.profile=" + profile});
    return folder / name;
}

TEST(Planted, IdentifiersAreInNothingThatLeaves) {
    const Planted all = planted();
    EXPECT_GE(all.identifiers.size(), 10'000U);
    const TemporaryFolder folder;
    for (const std::string profile : {"standard", "strict"}) {
        const auto texts = decoded(run_over(folder, profile, all.frames, profile));
        const auto names = found(all.identifiers, texts);
        EXPECT_EQ(names, std::vector<std::string>{}) << profile;
        // What is not anybody's left: the search had something to search.
        EXPECT_FALSE(found({"known-17.se"}, texts).empty());
        EXPECT_FALSE(found({"id--uuid.known-"}, texts).empty());
    }
    // The same search finds them where they do leave.
    const auto exact = decoded(run_over(folder, "compatible", all.frames, "compatible"));
    EXPECT_GT(found(all.identifiers, exact).size(), in_names);
}

// Nothing of a frame but what is counted makes any difference to a single octet that leaves.
TEST(Planted, WhatIsNotCountedMakesNoDifference) {
    const auto frames = [](bool other) {
        std::vector<Bytes> all;
        for (unsigned i = 0; i < 300; ++i) {
            Asked asked{.name = i % 3 == 0 ? "listed.se." : "www.new-one.se.",
                        .client = client_of(i)};
            if (other) {
                asked.option = Bytes(16, static_cast<std::byte>(i));
                asked.port = 1024 + i;
                asked.id = static_cast<std::uint16_t>(i * 7);
            }
            all.push_back(frame_of(asked));
        }
        return all;
    };
    const TemporaryFolder folder;
    const auto one = contents_of(run_over(folder, "one", frames(false), "standard"));
    const auto two = contents_of(run_over(folder, "two", frames(true), "standard"));
    ASSERT_EQ(one.size(), two.size());
    std::size_t compared = 0;
    for (std::size_t i = 0; i < one.size(); ++i) {
        EXPECT_EQ(one[i].first, two[i].first);
        if (one[i].first != "report.json") {  // it names the capture
            ++compared;
            EXPECT_EQ(one[i].second, two[i].second) << one[i].first;
        }
    }
    EXPECT_GE(compared, 5U);
}

}  // namespace
}  // namespace tapir::edge
