#include "group_link.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "setup.hpp"
#include "tapir/crypto/digest.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t day_s = 86'400;
constexpr std::uint32_t rounds_off_max = 5;       // between two attempts
constexpr Duration retry_after_max = 10min;       // whatever the aggregator says
constexpr std::size_t account_size_max = 65'536;  // octets of lines about posts
constexpr Duration idle = 1s;                     // until the clock and the gate have one day

}  // namespace

text::SettingTable aggregation_settings_table() {
    using text::Setting;
    return {
        Setting::string("aggregation.url", "",
                        "Aggregator of this operator, https://HOST:PORT, with which this site "
                        "reaches thresholds together with others; empty: it counts alone."),
        Setting::path("aggregation.ca", "", "The operator's own CA: a PEM file."),
        Setting::path("aggregation.cert", "",
                      "Certificate of this site from that CA; its common name is the site's name."),
        Setting::path("aggregation.key", "", "Key of that certificate: a PEM file."),
        Setting::path("aggregation.group_key", "",
                      "The day's key, which all sites of the group have (tapir-edge "
                      "new-group-key); the edge overwrites it each day."),
    };
}

bool is_in_group(const text::Settings& settings, privacy::Profile profile) {
    return !settings.string("aggregation.url").empty() && profile != privacy::Profile::compatible;
}

std::string day_key_path(const text::Settings& settings) {
    return settings.string("aggregation.url").empty() ? settings.string("state.dir") + "/day.key"
                                                      : settings.string("aggregation.group_key");
}

Result<OutletSettings> read_group_settings(const text::Settings& settings, world::Files& files) {
    OutletSettings to;
    to.url = settings.string("aggregation.url");
    to.ca_file = settings.string("aggregation.ca");
    to.certificate_file = settings.string("aggregation.cert");
    to.key_file = settings.string("aggregation.key");
    if (!to.url.starts_with("https://")) {
        return settings.refuse("aggregation.url", "https://HOST:PORT", to.url);
    }
    for (const std::string_view key : {"aggregation.ca", "aggregation.cert", "aggregation.key"}) {
        if (settings.string(key).empty()) {
            return settings.refuse(key, "a PEM file", "nothing");
        }
    }
    TRY(guarded_key_file(files, settings, "aggregation.key"));
    const std::string& group_key = settings.string("aggregation.group_key");
    if (group_key.empty() || !files.exists(group_key)) {
        // Made by chance, as an edge alone does it, it would agree with nobody's.
        return settings.refuse("aggregation.group_key",
                               "the key file that the other sites have (tapir-edge new-group-key)",
                               group_key.empty() ? "nothing" : "no such file");
    }
    return to;
}

GroupLink::GroupLink(const GroupParts& parts)
    : parts_(parts),
      told_(parts.counters.counter("tapir_edge_group_sightings_total",
                                   "What was seen here for the aggregator, by what became of it.",
                                   {{"outcome", "told"}})),
      released_(parts.counters.counter("tapir_edge_group_released_total",
                                       "Names that reached their threshold together with other "
                                       "sites, and were seen here next.")),
      not_kept_(parts.counters.counter("tapir_edge_group_not_kept_total",
                                       "Released names of other sites for which there was no "
                                       "room: here they count as pending.")),
      bad_answers_(parts.counters.counter("tapir_edge_group_bad_answers_total",
                                          "Answers of the aggregator that are not in our form.")),
      waiting_shown_(parts.counters.gauge("tapir_edge_group_waiting",
                                          "What waits to be told to the aggregator.")),
      known_shown_(parts.counters.gauge("tapir_edge_group_known",
                                        "Names that the group has released today.")) {
    for (std::size_t i = 0; i < sent_count; ++i) {
        posts_.at(i) = &parts.counters.counter(
            "tapir_edge_group_posts_total", "Attempts to speak with the aggregator.",
            {{"outcome", std::string(to_string(static_cast<Sent>(i)))}});
    }
    constexpr std::array<std::string_view, 3> reasons{"queue_full", "day_over", "refused"};
    for (std::size_t i = 0; i < reasons.size(); ++i) {
        dropped_.at(i) =
            &parts.counters.counter("tapir_edge_group_sightings_total",
                                    "What was seen here for the aggregator, by what became of it.",
                                    {{"outcome", std::string(reasons.at(i))}});
    }
}

// ------------------------------------------------------------------ the gate's thread

privacy::Group::State GroupLink::state_of(privacy::Fingerprint name) {
    const auto found = known_.find(static_cast<std::uint64_t>(name));
    return found == known_.end() ? State::pending : found->second;
}

void GroupLink::know(std::uint64_t name, State state) {
    const auto found = known_.find(name);
    if (found != known_.end()) {
        // Taken once is taken.
        found->second = found->second == State::taken ? State::taken : state;
    } else if (known_.size() < group_known_max) {
        known_.emplace(name, state);
    } else {
        not_kept_.add();
    }
}

void GroupLink::drop(Shared& shared, Drop reason, std::size_t count) {
    dropped_.at(static_cast<std::size_t>(reason))->add(count);
    shared.account.dropped += count;
}

void GroupLink::enqueue(const products::SightingRecord& record, std::size_t count_max) {
    shared_.with([&](Shared& shared) {
        if (shared.waiting.size() >= count_max) {
            drop(shared, Drop::queue_full, 1);
            return;
        }
        shared.waiting.push_back(record);
    });
}

void GroupLink::saw(const products::SightingRecord& record) {
    enqueue(record, group_waiting_max);
}

void GroupLink::took(privacy::Fingerprint name, bool by_group) {
    const auto number = static_cast<std::uint64_t>(name);
    know(number, State::taken);
    enqueue({.name = number, .kind = products::SightingKind::taken},
            group_waiting_max + group_taken_slack);
    if (by_group) {
        released_.add();
        shared_.with([](Shared& shared) { ++shared.account.released; });
    }
}

void GroupLink::start_day(std::int64_t day) {
    if (day == day_) {
        return;
    }
    day_ = day;
    known_.clear();
    known_shown_.set(0);
    shared_.with([&](Shared& shared) {
        drop(shared, Drop::day_over, shared.waiting.size());
        shared.waiting.clear();
        shared.heard.clear();
        shared.day = day;
    });
}

void GroupLink::refresh() {
    if (!has_heard_.exchange(false)) {
        return;
    }
    const auto heard = shared_.with([](Shared& shared) { return std::exchange(shared.heard, {}); });
    for (const products::ReleaseRecord& record : heard) {
        know(record.name,
             record.state == products::ReleaseState::taken ? State::taken : State::released);
    }
    known_shown_.set(static_cast<std::int64_t>(known_.size()));
}

GroupAccount GroupLink::take_account() {
    return shared_.with([](Shared& shared) { return std::exchange(shared.account, {}); });
}

// ------------------------------------------------------------------ the sender's thread

void GroupLink::cancel() {
    cancelled_ = true;
    parts_.outlet.cancel();
}

Duration GroupLink::until_due() const {
    if (!parts_.second) {
        return std::chrono::seconds(parts_.interval_s);
    }
    const UtcTime now = parts_.clock.now();
    UtcTime due = now.minute() + std::chrono::seconds(parts_.second());
    if (due <= now) {
        due = due + 60s;
    }
    return due - now;
}

Duration GroupLink::work() {
    const Duration now = parts_.clock.monotonic();
    if (!due_) {
        due_ = now + until_due();
    }
    const Duration from = std::max(*due_, again_);
    if (cancelled_ || now < from) {
        return cancelled_ ? Duration(60s) : from - now;
    }
    // At midnight the gate turns a little after the clock: what is told belongs to one day.
    const std::int64_t today = parts_.clock.now().seconds() / day_s;
    if (shared_.with([](const Shared& shared) { return shared.day; }) != today) {
        return idle;
    }
    due_ = now + until_due();
    speak(today);
    return std::max(*due_, again_) - parts_.clock.monotonic();
}

void GroupLink::speak(std::int64_t today) {
    if (cursor_day_ != today) {
        cursor_day_ = today;
        epoch_ = 0;
        cursor_ = 0;
    }
    products::Sightings post{
        .day = static_cast<std::uint32_t>(today), .epoch = epoch_, .cursor = cursor_};
    shared_.with([&](Shared& shared) {
        const std::size_t count = std::min(shared.waiting.size(), products::sightings_max);
        const auto end = shared.waiting.begin() + static_cast<std::ptrdiff_t>(count);
        post.records.assign(shared.waiting.begin(), end);
        shared.waiting.erase(shared.waiting.begin(), end);
        waiting_shown_.set(static_cast<std::int64_t>(shared.waiting.size()));
    });
    const auto released = privacy::release_sightings(parts_.profile, post);
    if (!released) {
        // The gate has drawn these thresholds itself: this is a fault of ours.
        parts_.log.error("group", "sightings are not what may leave, and are dropped",
                         {{"reason", released.error().what()}});
        shared_.with([&](Shared& shared) { drop(shared, Drop::refused, post.records.size()); });
        return;
    }
    const GroupAnswer answer = parts_.outlet.post(*released);
    posts_.at(static_cast<std::size_t>(answer.sent))->add();
    settle(answer, released->value(), std::move(post));
}

void GroupLink::settle(const GroupAnswer& answer, const privacy::Payload& payload,
                       products::Sightings&& post) {
    const std::int64_t day = post.day;
    shared_.with([&](Shared& shared) {
        if (shared.account.posts.size() < account_size_max) {
            shared.account.posts += fmt::format("{} {}\n", to_hex(crypto::sha256(payload.octets)),
                                                payload.octets.size());
        }
        if (answer.sent == Sent::accepted) {
            told_.add(post.records.size());
            shared.account.told += post.records.size();
        } else if (answer.sent == Sent::refused) {
            drop(shared, Drop::refused, post.records.size());
        }
    });
    if (answer.sent == Sent::accepted) {
        if (std::exchange(failures_, 0) > 0) {
            parts_.log.info("group", "the aggregator answers again");
        }
        hear(answer, day);
        return;
    }
    if (answer.sent != Sent::refused) {
        wait_again(std::move(post));
    }
    failed(answer);
}

void GroupLink::hear(const GroupAnswer& answer, std::int64_t day) {
    auto releases = products::Releases::parse(answer.body);
    if (!releases || static_cast<std::int64_t>(releases->day) != day) {
        bad_answers_.add();
        parts_.log.error("group", "the aggregator's answer is not one",
                         {{"reason", releases ? std::string("of another day")
                                              : to_error(releases.error()).what()}});
        return;
    }
    const bool is_kept = shared_.with([&](Shared& shared) {
        if (shared.day != day || shared.heard.size() >= group_known_max) {
            return false;  // told again: the cursor stays
        }
        shared.heard.insert(shared.heard.end(), releases->records.begin(), releases->records.end());
        return true;
    });
    if (is_kept) {
        epoch_ = releases->epoch;
        cursor_ = releases->cursor;
        has_heard_ = true;
    }
}

void GroupLink::wait_again(products::Sightings&& post) {
    shared_.with([&](Shared& shared) {
        if (shared.day != static_cast<std::int64_t>(post.day)) {
            drop(shared, Drop::day_over, post.records.size());
            return;
        }
        const std::size_t room = group_waiting_max + group_taken_slack -
                                 std::min(shared.waiting.size(), group_waiting_max);
        if (post.records.size() > room) {
            drop(shared, Drop::queue_full, post.records.size() - room);
            post.records.resize(room);
        }
        shared.waiting.insert(shared.waiting.begin(), post.records.begin(), post.records.end());
        waiting_shown_.set(static_cast<std::int64_t>(shared.waiting.size()));
    });
}

void GroupLink::failed(const GroupAnswer& answer) {
    if (cancelled_) {
        return;
    }
    if (failures_ == 0) {
        parts_.log.warn("group",
                        answer.sent == Sent::refused
                            ? "the aggregator refuses what is told: is it of our profile, are both "
                              "clocks right?"
                            : "the aggregator does not answer; this site counts alone meanwhile",
                        {{"outcome", to_string(answer.sent)}, {"answer", answer.detail}});
    }
    ++failures_;
    // One round is waited in any case; after more failures some are left out.
    const std::uint32_t rounds = std::min(1U << std::min(failures_ - 1, 3U), rounds_off_max) - 1;
    const Duration pause =
        std::max<Duration>(rounds * std::chrono::seconds(parts_.interval_s),
                           std::clamp<Duration>(answer.retry_after, Duration(), retry_after_max));
    again_ = parts_.clock.monotonic() + pause;
}

}  // namespace tapir::edge
