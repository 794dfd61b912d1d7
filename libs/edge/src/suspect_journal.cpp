#include "suspect_journal.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "tapir/text/json.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t day_s = 86'400;
constexpr world::FileMode folder_mode = 0700;
constexpr std::string_view suffix = ".jsonl";
constexpr std::size_t file_size_max = 64U << 20U;  // octets: more than a day's file can have
constexpr Duration say_every = 60s;

// "2026-11-26"
std::string day_of(UtcTime time) {
    return time.second().to_string().substr(0, 10);
}

Counter& dropped(Counters& counters, const char* reason) {
    return counters.counter("tapir_edge_suspects_dropped_total",
                            "Suspects that were not written down, by reason.",
                            {{"reason", reason}});
}

}  // namespace

SuspectJournal::SuspectJournal(world::Files& files, std::string folder,
                               const SuspectJournalLimits& limits, const Log& log,
                               Counters& counters)
    : files_(files),
      folder_(std::move(folder)),
      limits_(limits),
      log_(log),
      full_(dropped(counters, "journal_full")),
      behind_(dropped(counters, "journal_behind")) {}

std::string SuspectJournal::path_of(std::string_view day) const {
    return fmt::format("{}/{}{}", folder_, day, suffix);
}

privacy::ExceptionsBefore SuspectJournal::granted_on(UtcTime now) {
    privacy::ExceptionsBefore before{.day = now.seconds() / day_s, .granted = 0};
    const auto octets = files_.read(path_of(day_of(now)), file_size_max);
    if (!octets) {
        if (octets.error().code() != Code::not_found) {
            log_.error("suspects", "how many left by exception cannot be read: none do today",
                       {{"reason", octets.error().what()}});
            before.granted = std::numeric_limits<std::uint64_t>::max();
        }
        return before;
    }
    std::string_view rest = as_text(*octets);
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        // A torn line was not written down, so its domain has not left.
        if (const auto json = text::Json::parse(line)) {
            const auto leaves = json->boolean("leaves");
            before.granted += leaves && *leaves ? 1 : 0;
        }
    }
    return before;
}

void SuspectJournal::suspect(const Suspect& suspect) {
    Line line{.day = day_of(suspect.hour),
              .text = suspect.to_json() + "\n",
              .exception = suspect.exception};
    const bool is_taken = waiting_.with([&](std::deque<Line>& waiting) {
        if (waiting.size() >= limits_.waiting_max && line.exception == 0) {
            return false;
        }
        waiting.push_back(std::move(line));
        return true;
    });
    if (!is_taken) {
        behind_.add();
    }
}

void SuspectJournal::write(UtcTime now) {
    write_waiting();
    say(now);
    if (const std::string today = day_of(now); tidied_ != today) {
        tidied_ = today;
        remove_old(now);
    }
}

void SuspectJournal::finish() {
    write_waiting();
    say(std::nullopt);
}

void SuspectJournal::write_waiting() {
    auto lines = waiting_.with([](auto& waiting) { return std::exchange(waiting, {}); });
    while (!lines.empty()) {
        const auto written = append_day(lines);
        if (written) {
            is_refused_ = false;
            continue;
        }
        if (!std::exchange(is_refused_, true)) {
            log_.error("suspects", "suspects cannot be written down; it is tried again",
                       {{"reason", written.error().what()}});
        }
        day_.clear();
        // In front again: what leaves by exception is written in the order in which it was granted.
        waiting_.with([&lines](auto& waiting) {
            waiting.insert(waiting.begin(), std::make_move_iterator(lines.begin()),
                           std::make_move_iterator(lines.end()));
        });
        return;
    }
}

// What must stand before new lines: a line feed after a torn line.
Result<std::string> SuspectJournal::begin_of(const std::string& path) {
    day_size_ = 0;
    if (!files_.exists(path)) {
        TRY(files_.make_directories(folder_, folder_mode));
        return std::string();
    }
    day_size_ = TRY(files_.size(path));
    if (day_size_ == 0) {
        return std::string();
    }
    const Bytes last = TRY(files_.read_at(path, day_size_ - 1, 1));
    return std::string(as_text(last) == "\n" ? "" : "\n");
}

Result<void> SuspectJournal::append_day(std::deque<Line>& lines) {
    const std::string day = lines.front().day;
    const std::string path = path_of(day);
    std::string text;
    if (day_ != day) {
        text = TRY(begin_of(path));
        day_ = day;
    }
    const auto end = std::ranges::find_if(lines, [&](const Line& l) { return l.day != day; });
    std::uint64_t exception = 0;
    std::uint64_t left_out = 0;
    for (auto line = lines.begin(); line != end; ++line) {
        if (line->exception == 0 &&
            day_size_ + text.size() + line->text.size() > limits_.day_size_max) {
            ++left_out;
            continue;
        }
        text += line->text;
        exception = std::max(exception, line->exception);
    }
    if (!text.empty()) {
        TRY(files_.append(path, as_bytes(text), world::mode_private));
    }
    day_size_ += text.size();
    full_.add(left_out);
    unsaid_ += static_cast<std::uint64_t>(end - lines.begin());
    written_ = std::max(written_.load(), exception);
    lines.erase(lines.begin(), end);
    return {};
}

void SuspectJournal::say(std::optional<UtcTime> now) {
    if (unsaid_ == 0 || (now && said_ && *now >= *said_ && *now - *said_ < say_every)) {
        return;
    }
    log_.warn("suspects", "clients ask for what detectors hold for threats: see tapir suspects",
              {{"suspects", std::exchange(unsaid_, 0)}});
    said_ = now;
}

void SuspectJournal::remove_old(UtcTime now) {
    const auto entries = files_.list(folder_);
    if (!entries) {
        return;  // there is none
    }
    const std::string oldest =
        day_of(UtcTime::from_seconds(now.seconds() - limits_.days_max * day_s));
    for (const world::DirectoryEntry& entry : *entries) {
        const bool is_ours = !entry.is_directory && entry.name.ends_with(suffix) &&
                             entry.name.size() == oldest.size() + suffix.size();
        if (is_ours && entry.name.substr(0, oldest.size()) < oldest) {
            if (const auto gone = files_.remove(fmt::format("{}/{}", folder_, entry.name)); !gone) {
                log_.error("suspects", "an old file of suspects cannot be removed",
                           {{"reason", gone.error().what()}});
            }
        }
    }
}

}  // namespace tapir::edge
