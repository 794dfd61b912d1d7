#include "explain_name.hpp"

#include <fmt/format.h>

#include "setup.hpp"
#include "tapir/privacy/form.hpp"
#include "tapir/privacy/identifier.hpp"
#include "tapir/products/new_qname.hpp"

namespace tapir::edge {
namespace {

class NameExplainer {
public:
    NameExplainer(const Lists& lists, privacy::Profile profile, const text::Settings& settings,
                  const ExplainPrint& print)
        : lists_(lists),
          profile_(profile),
          single_site_(settings.boolean("single_site")),
          has_exception_(has_threat_exception(settings, profile)),
          print_(print) {}

    void explain(const dns::Name& name) {
        const dns::FoldedName folded(name);
        const std::string text = dns::to_text(name, dns::Case::lower);
        print_(fmt::format("{}\n", dns::to_text(name)));
        if (const auto match = lists_.ignored_names.find(folded)) {
            say("dropped", "operator",
                fmt::format("it falls under the ignored name {}",
                            names::to_text(lists_.ignored_names.entry(match->id))));
            return;
        }
        if (const auto match = lists_.well_known.find(folded)) {
            explain_row(names::to_text(lists_.well_known.entry(match->id)));
            return;
        }
        if (profile_ == privacy::Profile::compatible) {
            say("kept", "R9", "compatible: it leaves as it was asked, the first time");
            print_event(dns::to_text(name));
            return;
        }
        const auto domain = privacy::registered_domain_of(folded, *lists_.suffixes);
        if (!domain) {
            say("dropped", "R4",
                fmt::format("it is released in no form: {}", privacy::to_string(domain.error())));
            return;
        }
        explain_labels(text, *domain);
        explain_threat(folded, *domain, dns::suffix_text(text, *domain));
        explain_rungs(text, *domain);
    }

private:
    void say(std::string_view verdict, std::string_view rule, std::string_view text) {
        print_(fmt::format("  {:<9} {:<8} {}\n", verdict, rule, text));
    }

    std::string clients(privacy::Product product) const {
        const privacy::Threshold& t = privacy::rule_for(product, profile_).threshold;
        return fmt::format(
            "{} to {} clients of one family (most often about {}), {}", t.min, t.max, t.centre,
            single_site_ ? "from any network" : fmt::format("from {} networks", t.networks_min));
    }

    void explain_row(const std::string& entry) {
        const privacy::Rule& rule = privacy::rule_for(privacy::Product::histogram, profile_);
        say("kept", "R5", fmt::format("counted in the row of the list's entry {}", entry));
        if (!rule.threshold.applies()) {
            say("leaves", "R9", "compatible: with exact counts and sketches");
            return;
        }
        say("leaves", "R5",
            fmt::format("in the narrowest of minute, ten minutes and hour in which {} ask; clients "
                        "floored to 10, 20, 50, …, other counts to tens; no sketch",
                        clients(privacy::Product::histogram)));
    }

    void explain_labels(std::string_view text, std::size_t domain) {
        for (std::string_view rest = text;; rest.remove_prefix(rest.find('.') + 1)) {
            if (dns::suffix_text(rest, domain) == rest) {
                say("domain", "R4", fmt::format("{} is its registered domain", rest));
                return;
            }
            const std::string_view label = rest.substr(0, rest.find('.'));
            if (const auto found = privacy::identifier_in(label)) {
                say("coarsened", "R4",
                    fmt::format("{} looks like an identifier ({}): {}", label,
                                privacy::to_string(*found), privacy::token_of(*found)));
            }
        }
    }

    void explain_threat(const dns::FoldedName& name, std::size_t labels, std::string_view domain) {
        const auto match = find_threat(lists_.threats, name, labels);
        if (!match) {
            return;
        }
        say("suspect", "R7",
            fmt::format("{}: threat list {} {}; the operator is told, and a count of suspects "
                        "leaves",
                        domain, match->list + 1, to_string(match->place)));
        if (!has_exception_) {
            return;
        }
        const privacy::Rule& rule = privacy::rule_for(privacy::Product::by_exception, profile_);
        if (match->place == ThreatPlace::below) {
            say("held", "R7", "no exception: the list means something below the domain");
            return;
        }
        const bool is_at_once = match->is_pinned && match->place == ThreatPlace::domain;
        say("leaves", "R7",
            fmt::format("threat_exception: {} as {}, in the hour after, {} a day at most",
                        is_at_once ? std::string("the list is pinned: it leaves")
                                   : fmt::format("from {} networks of one family on a day on, it "
                                                 "leaves",
                                                 rule.threshold.networks_min),
                        domain, rule.a_day_max.value_or(0)));
    }

    // From the domain up, as the gate climbs.
    void explain_rungs(std::string_view text, std::size_t domain) {
        const std::string_view of_domain = dns::suffix_text(text, domain);
        say("held", "R3",
            fmt::format("until on one day {} have asked for it or below it",
                        clients(privacy::Product::new_qname)));
        say("leaves", "R3", fmt::format("as {}", of_domain));
        print_event(of_domain);
        privacy::Ladder ladder(text, text.size() - of_domain.size());
        std::string parent;
        while (!ladder.is_whole()) {
            parent = ladder.name();
            if (!ladder.climb()) {
                say("dropped", "R4", "what is below is too long a name once it is coarsened");
                return;
            }
        }
        if (parent.empty()) {
            return;
        }
        say("held", "R4",
            "what is below the domain: until the same holds for that form, by itself");
        if (parent.size() > of_domain.size()) {
            say("leaves", "R4", fmt::format("as *.{}", parent));
            print_event("*." + parent);
        }
        say("leaves", "R4",
            fmt::format("as {}; or as the *. of a parent with more than 256 children",
                        ladder.name()));
        print_event(ladder.name());
    }

    void print_event(std::string_view form) {
        products::NewQname event;
        event.qname = form;
        event.qtype = 1;
        event.flags = 0x8080;
        print_(fmt::format("    {}\n", event.to_json()));
    }

    const Lists& lists_;
    privacy::Profile profile_;
    bool single_site_;
    bool has_exception_;
    const ExplainPrint& print_;
};

}  // namespace

Result<void> explain_names(const std::vector<std::string>& names, const text::Settings& settings,
                           world::Files& files, const ExplainPrint& print) {
    const privacy::Profile profile = profile_of(settings);
    const auto lists = TRY(load_lists(files, settings, profile));
    NameExplainer explainer(*lists, profile, settings, print);
    for (const std::string& text : names) {
        const auto name = dns::Name::from_text(text);
        if (!name) {
            return fail(Code::invalid,
                        fmt::format("{}: expected the path of a capture or a domain name: {}", text,
                                    to_error(name.error()).what()));
        }
        explainer.explain(*name);
    }
    return {};
}

}  // namespace tapir::edge
