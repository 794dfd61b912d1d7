#include "tapir/edge/dry_run.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "batch_leaf.hpp"
#include "edge_ledger.hpp"
#include "setup.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/products/new_qname.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t names_shown_max = 100'000;
constexpr std::string_view events_start = "new_qname";

struct DayFigures {
    std::uint64_t batches = 0;
    std::uint64_t octets = 0;
    std::uint64_t names = 0;
    std::map<std::string, std::uint64_t> counts;  // "group reason"
};

std::uint64_t count_of(const DayFigures& day, const std::string& what) {
    const auto found = day.counts.find(what);
    return found == day.counts.end() ? 0 : found->second;
}

std::uint64_t group_of_day(const DayFigures& day, std::string_view group) {
    std::uint64_t all = 0;
    for (const auto& [what, n] : day.counts) {
        all += what.starts_with(group) && what[group.size()] == ' ' ? n : 0;
    }
    return all;
}

class Report {
public:
    Report(world::Files& files, const std::string& state, const jose::Jwk& key)
        : files_(files), state_(state), key_(key) {}

    Result<void> add(const ledger::Leaf& leaf) {
        if (leaf.kind != "batch") {
            return {};
        }
        DayFigures& day = days_[leaf.time.to_string().substr(0, 10)];
        ++day.batches;
        const text::Json* const counts = leaf.members.find("counts");
        const auto* const groups = counts != nullptr ? counts->if_object() : nullptr;
        for (std::size_t i = 0; groups != nullptr && i < groups->size(); ++i) {
            const auto& [group, reasons] = (*groups)[i];
            if (const auto* const by_reason = reasons.if_object()) {
                for (const auto& [reason, n] : *by_reason) {
                    day.counts[fmt::format("{} {}", group, reason)] +=
                        static_cast<std::uint64_t>(n.if_integer().value_or(0));
                }
            }
        }
        for (const ledger::LeafPayload& payload : leaf.payloads) {
            day.octets += payload.size;
            if (payload.name.substr(payload.name.rfind('/') + 1).starts_with(events_start)) {
                TRY(add_events(payload.name, day));
            }
        }
        return {};
    }

    std::string print() const {
        std::string out =
            "What would have left; nothing was sent.\n\n"
            "day          batches      octets        rows       names    pending"
            "   withheld  rows held\n";
        for (const auto& [date, day] : days_) {
            out += fmt::format("{}  {:>9}  {:>10}  {:>10}  {:>10}  {:>9}  {:>9}  {:>9}\n", date,
                               day.batches, day.octets, count_of(day, "rows released"), day.names,
                               group_of_day(day, "pending"), group_of_day(day, "withheld"),
                               group_of_day(day, "rows") - count_of(day, "rows released"));
        }
        out += fmt::format("\nnames that would have been told of: {}\n",
                           names_.size() + names_left_out_);
        std::vector<std::string> sorted = names_;
        std::ranges::sort(sorted);
        for (const std::string& name : sorted) {
            out += "  " + name + "\n";
        }
        if (names_left_out_ != 0) {
            out += fmt::format("  and {} more\n", names_left_out_);
        }
        if (batches_gone_ != 0) {
            out += fmt::format(
                "\nof {} batches of events the names are not here any more: the outbox was full\n",
                batches_gone_);
        }
        return out;
    }

private:
    Result<void> add_events(const std::string& path, DayFigures& day) {
        const auto octets =
            files_.read(fmt::format("{}/{}", state_, path), privacy::payload_size_max);
        if (!octets) {
            batches_gone_ += octets.error().code() == Code::not_found ? 1 : 0;
            return octets.error().code() == Code::not_found ? Result<void>() : fail(octets.error());
        }
        for (const std::string_view message : TRY(jose::split_batch(as_text(*octets)))) {
            const auto jws = jose::UnverifiedJws::parse(message);
            const auto verified = jws ? std::optional(jws->verify(key_)) : std::nullopt;
            if (!verified || !*verified) {
                return fail(
                    Code::corrupt,
                    fmt::format("{}/{}: an event that this edge did not sign", state_, path));
            }
            const auto event = products::NewQname::parse((*verified)->payload_text());
            if (!event) {
                return fail(to_error(event.error()));
            }
            ++day.names;
            if (names_.size() < names_shown_max) {
                names_.push_back(event->qname);
            } else {
                ++names_left_out_;
            }
        }
        return {};
    }

    world::Files& files_;
    const std::string& state_;
    const jose::Jwk& key_;
    std::map<std::string, DayFigures> days_;
    std::vector<std::string> names_;
    std::uint64_t names_left_out_ = 0;
    std::uint64_t batches_gone_ = 0;
};

}  // namespace

Result<std::string> dry_run_report(world::Files& files, const text::Settings& settings) {
    const jose::PrivateJwk key = TRY(signing_key(files, settings, KeyFiles::guarded));
    const std::string& state = settings.string("state.dir");
    const auto ledger = TRY(EdgeLedger::open(files, state + "/ledger", key));
    const jose::Jwk& verifier = key.public_jwk();
    Report report(files, state, verifier);
    for (std::uint64_t i = 0; i < ledger->size(); ++i) {
        TRY(report.add(TRY(ledger->leaf(i))));
    }
    return report.print();
}

}  // namespace tapir::edge
