#include "tapir/dns/public_suffix.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "punycode.hpp"

namespace tapir::dns {

namespace {

// Bits of Slot::rules. "Below" is a wildcard rule: each name one label longer is a suffix.
constexpr std::uint8_t icann_rule = 1;
constexpr std::uint8_t icann_below = 2;
constexpr std::uint8_t icann_exception = 4;
constexpr unsigned private_shift = 3;
constexpr std::uint8_t section_mask = 7;

constexpr std::size_t slot_count_min = 16;

std::string_view first_word(std::string_view line) {
    return line.substr(0, line.find_first_of(" \t\r"));
}

std::string shown(std::string_view text) {
    constexpr std::size_t shown_max = 80;
    return std::string(text.substr(0, shown_max));
}

// The rule that prevails so far among those of the sections that are looked at.
struct Prevailing {
    SuffixSection section = SuffixSection::none;
    std::size_t suffix_labels = 0;
    bool is_final = false;  // an exception ends the search

    // Equal length: PRIVATE prevails, so that a shared suffix is never taken for a registry's.
    void offer(std::size_t labels, SuffixSection from) {
        if (labels > suffix_labels ||
            (labels == suffix_labels && from == SuffixSection::private_domain)) {
            suffix_labels = labels;
            section = from;
        }
    }
    void apply(std::uint8_t rules, std::size_t labels, std::size_t name_labels,
               SuffixSection from) {
        if (is_final || rules == 0) {
            return;
        }
        if ((rules & icann_exception) != 0) {
            suffix_labels = labels - 1;
            section = from;
            is_final = true;
            return;
        }
        if ((rules & icann_rule) != 0) {
            offer(labels, from);
        }
        if ((rules & icann_below) != 0 && name_labels > labels) {
            offer(labels + 1, from);
        }
    }
    std::uint8_t registered(std::size_t name_labels) const {
        const bool is_some = suffix_labels > 0 && suffix_labels < name_labels;
        return static_cast<std::uint8_t>(is_some ? suffix_labels + 1 : 0);
    }
};

// "公司.cn" as a name; nothing if it is none.
std::optional<Name> rule_name(std::string_view text) {
    NameBuffer name;
    while (true) {
        const std::size_t dot = text.find('.');
        const auto label = to_a_label(text.substr(0, dot));
        if (!label || label->empty() || label->find('*') != std::string::npos ||
            label->find('\0') != std::string::npos || !name.append(as_bytes(*label))) {
            return std::nullopt;
        }
        if (dot == std::string_view::npos) {
            return Name(name.view());
        }
        text.remove_prefix(dot + 1);
    }
}

}  // namespace

std::string_view to_string(SuffixSection section) {
    switch (section) {
        case SuffixSection::none:
            return "none";
        case SuffixSection::icann:
            return "icann";
        case SuffixSection::private_domain:
            return "private";
    }
    return "unknown";
}

PublicSuffixes::PublicSuffixes() : slots_(slot_count_min) {}

std::size_t PublicSuffixes::slot_of(const FoldedName& name, std::size_t label_count) const {
    const std::uint64_t fingerprint = name.fingerprint(label_count);
    const ByteView wire = name.suffix(label_count).wire();
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = fingerprint & mask;
    while (slots_[at].name_size != 0) {
        const Slot& slot = slots_[at];
        if (slot.fingerprint == fingerprint && slot.name_size == wire.size() &&
            std::equal(wire.begin(), wire.end(), names_.begin() + slot.name_offset)) {
            break;
        }
        at = (at + 1) & mask;
    }
    return at;
}

void PublicSuffixes::grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    const std::size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
        if (slot.name_size == 0) {
            continue;
        }
        std::size_t at = slot.fingerprint & mask;
        while (slots_[at].name_size != 0) {
            at = (at + 1) & mask;
        }
        slots_[at] = slot;
    }
}

void PublicSuffixes::add(const FoldedName& name, std::uint8_t rules) {
    for (std::size_t labels = 1; labels <= name.label_count(); ++labels) {
        if (2 * (used_ + 1) > slots_.size()) {
            grow();
        }
        Slot& slot = slots_[slot_of(name, labels)];
        if (slot.name_size == 0) {
            const ByteView wire = name.suffix(labels).wire();
            slot = {.fingerprint = name.fingerprint(labels),
                    .name_offset = static_cast<std::uint32_t>(names_.size()),
                    .name_size = static_cast<std::uint8_t>(wire.size())};
            append(names_, wire);
            ++used_;
        }
        if (labels == name.label_count()) {
            slot.rules |= rules;
        }
    }
    ++rule_count_;
}

Result<PublicSuffixes> PublicSuffixes::parse(std::string_view text, std::string_view file) {
    if (text.size() > suffix_list_size_max) {
        return fail(Code::exhausted, fmt::format("{}: expected at most {} octets, got {}", file,
                                                 suffix_list_size_max, text.size()));
    }
    PublicSuffixes suffixes;
    bool is_in_section = false;
    unsigned shift = 0;
    std::size_t number = 0;
    while (!text.empty()) {
        const std::size_t size = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, size);
        text.remove_prefix(std::min(size + 1, text.size()));
        ++number;
        if (line.find("===BEGIN ICANN DOMAINS===") != std::string_view::npos) {
            is_in_section = true;
            shift = 0;
        } else if (line.find("===BEGIN PRIVATE DOMAINS===") != std::string_view::npos) {
            is_in_section = true;
            shift = private_shift;
        } else if (line.starts_with("//") && line.find("===END ") != std::string_view::npos) {
            is_in_section = false;
        }
        std::string_view rule = first_word(line);
        if (rule.empty() || line.starts_with("//")) {
            continue;
        }
        if (!is_in_section) {
            return fail(Code::invalid,
                        fmt::format("{}:{}: expected rules between the markers of a section, got "
                                    "'{}'",
                                    file, number, shown(rule)));
        }
        std::uint8_t bits = icann_rule;
        if (rule.starts_with('!')) {
            bits = icann_exception;
            rule.remove_prefix(1);
        } else if (rule.starts_with("*.")) {
            bits = icann_below;
            rule.remove_prefix(2);
        }
        const auto name = rule_name(rule);
        if (!name || (bits == icann_exception && name->view().label_count() < 2)) {
            return fail(Code::invalid, fmt::format("{}:{}: expected a rule, got '{}'", file, number,
                                                   shown(first_word(line))));
        }
        if (suffixes.rule_count_ == suffix_rule_count_max) {
            return fail(Code::exhausted, fmt::format("{}:{}: expected at most {} rules", file,
                                                     number, suffix_rule_count_max));
        }
        suffixes.add(FoldedName(*name), static_cast<std::uint8_t>(bits << shift));
    }
    if (suffixes.rule_count_ == 0) {
        return fail(Code::invalid,
                    fmt::format("{}: expected a public suffix list, got no rule", file));
    }
    return suffixes;
}

RegisteredDomain PublicSuffixes::registered_domain(const FoldedName& name) const {
    Prevailing all;
    Prevailing icann;
    const std::size_t count = name.label_count();
    for (std::size_t labels = 1; labels <= count; ++labels) {
        const Slot& slot = slots_[slot_of(name, labels)];
        if (slot.name_size == 0) {
            break;
        }
        const auto of_icann = static_cast<std::uint8_t>(slot.rules & section_mask);
        const auto of_private = static_cast<std::uint8_t>(slot.rules >> private_shift);
        icann.apply(of_icann, labels, count, SuffixSection::icann);
        all.apply(of_icann, labels, count, SuffixSection::icann);
        all.apply(of_private, labels, count, SuffixSection::private_domain);
    }
    return {.section = all.section,
            .suffix_label_count = static_cast<std::uint8_t>(all.suffix_labels),
            .label_count = all.registered(count),
            .icann_label_count = icann.registered(count)};
}

bool is_special_use(NameView name) {
    if (name.label_count() <= 1) {
        return true;
    }
    constexpr std::array<std::string_view, 8> tops = {"arpa",  "test",  "localhost", "invalid",
                                                      "local", "onion", "alt",       "example"};
    const auto is = [](ByteView label, std::string_view word) {
        return std::ranges::equal(label, as_bytes(word),
                                  [](std::byte a, std::byte b) { return to_lower(a) == b; });
    };
    const NameView second = name.suffix(2);
    const ByteView top = *second.parent().labels().begin();
    if (std::ranges::any_of(tops, [&](std::string_view word) { return is(top, word); })) {
        return true;
    }
    return is(*second.labels().begin(), "example") &&
           (is(top, "com") || is(top, "net") || is(top, "org"));
}

}  // namespace tapir::dns
