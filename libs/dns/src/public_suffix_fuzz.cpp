// A public suffix list from hostile text: refused, or a plain look at every line gives the same
// answer for the name of each rule, for names below it, and for each line that is a name.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "punycode.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/dns/public_suffix.hpp"

using namespace tapir;
using namespace tapir::dns;

namespace {

constexpr std::size_t lines_asked_max = 40;  // each asks several names of all rules

using Labels = std::vector<std::string>;  // in lower case, the leftmost first

enum class Kind : std::uint8_t { normal, wildcard, exception };

struct Rule {
    Kind kind = Kind::normal;
    SuffixSection section = SuffixSection::none;
    Labels labels;  // without the "*." or "!"
};

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    for (std::size_t end = text.find(at); end != std::string_view::npos; end = text.find(at)) {
        parts.push_back(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    parts.push_back(text);
    return parts;
}

// The rules of a list that was accepted, as publicsuffix.org describes the format.
std::vector<Rule> read_rules(std::string_view text) {
    std::vector<Rule> rules;
    SuffixSection section = SuffixSection::none;
    for (const std::string_view line : split(text, '\n')) {
        if (line.find("===BEGIN ICANN DOMAINS===") != std::string_view::npos) {
            section = SuffixSection::icann;
        } else if (line.find("===BEGIN PRIVATE DOMAINS===") != std::string_view::npos) {
            section = SuffixSection::private_domain;
        }
        std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
        if (word.empty() || word.starts_with("//")) {
            continue;
        }
        Rule rule{.kind = Kind::normal, .section = section, .labels = {}};
        if (word.starts_with("!")) {
            rule.kind = Kind::exception;
            word.remove_prefix(1);
        } else if (word.starts_with("*.")) {
            rule.kind = Kind::wildcard;
            word.remove_prefix(2);
        }
        for (const std::string_view label : split(word, '.')) {
            const auto encoded = to_a_label(label);
            TAPIR_ASSERT(encoded.has_value());
            rule.labels.push_back(lower(*encoded));
        }
        rules.push_back(std::move(rule));
    }
    return rules;
}

struct Suffix {
    std::size_t labels = 0;
    SuffixSection section = SuffixSection::none;
};

// How many labels the suffix of `name` has by this rule; 0: it says nothing of the name.
std::size_t suffix_by(const Rule& rule, const Labels& name) {
    const std::size_t size = rule.labels.size();
    if (size > name.size() ||
        !std::equal(rule.labels.rbegin(), rule.labels.rend(), name.rbegin())) {
        return 0;
    }
    switch (rule.kind) {
        case Kind::exception:
            return size - 1;
        case Kind::wildcard:
            return size < name.size() ? size + 1 : 0;
        case Kind::normal:
            break;
    }
    return size;
}

// An exception prevails, the shortest of several; else the rule of most labels. Where two have as
// many, PRIVATE prevails over ICANN, except among exceptions.
Suffix prevailing(const std::vector<Rule>& rules, const Labels& name, bool icann_only) {
    Suffix longest;
    std::optional<Suffix> exception;
    for (const Rule& rule : rules) {
        const std::size_t labels = suffix_by(rule, name);
        if (labels == 0 || (icann_only && rule.section != SuffixSection::icann)) {
            continue;
        }
        if (rule.kind == Kind::exception) {
            if (!exception || labels < exception->labels ||
                (labels == exception->labels && rule.section == SuffixSection::icann)) {
                exception = {labels, rule.section};
            }
        } else if (labels > longest.labels ||
                   (labels == longest.labels && rule.section == SuffixSection::private_domain)) {
            longest = {labels, rule.section};
        }
    }
    return exception.value_or(longest);
}

std::uint8_t registered(const Suffix& suffix, const Labels& name) {
    const bool is_some = suffix.labels > 0 && suffix.labels < name.size();
    return static_cast<std::uint8_t>(is_some ? suffix.labels + 1 : 0);
}

void check(const PublicSuffixes& suffixes, const std::vector<Rule>& rules, const Labels& name) {
    NameBuffer buffer;
    for (const std::string& label : name) {
        if (!buffer.append(as_bytes(label))) {
            return;  // longer than a name may be
        }
    }
    const Suffix all = prevailing(rules, name, false);
    const Suffix icann = prevailing(rules, name, true);
    const RegisteredDomain expected = {.section = all.section,
                                       .suffix_label_count = static_cast<std::uint8_t>(all.labels),
                                       .label_count = registered(all, name),
                                       .icann_label_count = registered(icann, name)};
    TAPIR_ASSERT(suffixes.registered_domain(FoldedName(buffer.view())) == expected);
}

// The name, and three below it.
void check_below(const PublicSuffixes& suffixes, const std::vector<Rule>& rules, Labels name) {
    check(suffixes, rules, name);
    for (const char* const label : {"x", "y", "x"}) {
        name.insert(name.begin(), label);
        check(suffixes, rules, name);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
    const auto suffixes = PublicSuffixes::parse(text, "fuzz");
    if (!suffixes) {
        return 0;
    }
    const std::vector<Rule> rules = read_rules(text);
    TAPIR_ASSERT(rules.size() == suffixes->rule_count());
    const std::size_t step = rules.size() / lines_asked_max + 1;
    for (std::size_t i = 0; i < rules.size(); i += step) {
        check_below(*suffixes, rules, rules[i].labels);
    }
    const std::vector<std::string_view> lines = split(text, '\n');
    for (std::size_t i = 0; i < lines.size(); i += lines.size() / lines_asked_max + 1) {
        if (const auto name = Name::from_text(lines[i])) {
            Labels labels;
            for (const ByteView label : name->view().labels()) {
                labels.push_back(lower(as_text(label)));
            }
            check(*suffixes, rules, labels);
        }
    }
    return 0;
}
