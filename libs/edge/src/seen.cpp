#include "seen.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "tapir/world/chance.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t day_s = 86'400;
constexpr std::uint8_t value_version = 1;
constexpr std::size_t value_size = 5;  // octets
// What goes at a time, so that it does not have to begin again at once: a twentieth.
constexpr std::uint64_t slack_divisor = 20;

}  // namespace

text::SettingTable seen_settings_table() {
    using text::Setting;
    return {
        Setting::duration("seen.age_max", 0h, 0h, 3650 * 24h,
                          "How long a released name is remembered; then it is new again. 0: for "
                          "good."),
        Setting::integer("seen.names_max", 20'000'000, 1'000, 1'000'000'000, "names",
                         "Released names that are remembered; then the oldest are forgotten, "
                         "counted."),
    };
}

SeenSettings seen_settings(const text::Settings& settings) {
    SeenSettings seen;
    seen.age_max = settings.duration("seen.age_max");
    seen.names_max = static_cast<std::uint64_t>(settings.integer("seen.names_max"));
    return seen;
}

std::optional<std::uint32_t> seen_day(ByteView value) {
    if (value.size() != value_size || value[0] != std::byte{value_version}) {
        return std::nullopt;
    }
    return ByteReader(value.subspan(1)).u32();
}

Bytes seen_value(std::uint32_t day) {
    Bytes value;
    append_u8(value, value_version);
    append_u32(value, day);
    return value;
}

Seen::Seen(store::Store& store, const SeenSettings& settings, const Log& log, Counters& counters)
    : store_(store),
      settings_(settings),
      log_(log),
      errors_(counters.counter("tapir_edge_store_errors_total",
                               "Reads and writes of the store of released names that failed.")),
      forgotten_old_(counters.counter("tapir_edge_seen_forgotten_total",
                                      "Released names forgotten, by reason.", {{"reason", "age"}})),
      forgotten_many_(counters.counter("tapir_edge_seen_forgotten_total",
                                       "Released names forgotten, by reason.",
                                       {{"reason", "names_max"}})),
      imported_(counters.counter("tapir_edge_seen_imported_total",
                                 "Names marked as released before, from lists.")),
      names_shown_(counters.gauge("tapir_edge_seen_names",
                                  "Released names that are remembered, as last counted.")),
      hash_{{world::SystemChance().u64(), world::SystemChance().u64()}},
      lately_(0, hash_) {}

bool Seen::add(const std::string& name) {
    return add_if(name, std::numeric_limits<std::size_t>::max()) == Offered::is_new;
}

Seen::Offered Seen::offer(const std::string& name) {
    return add_if(name, settings_.under_way_max);
}

Seen::Offered Seen::add_if(const std::string& name, std::size_t under_way_max) {
    const std::lock_guard lock(mutex_);
    const std::size_t under_way = lately_.size() - kept_lately_;
    const auto [known, is_new] = lately_.try_emplace(name, State::under_way);
    if (!is_new) {
        return Offered::known;
    }
    if (is_stored(name)) {
        keep(known);
        return Offered::known;
    }
    if (under_way >= under_way_max) {
        lately_.erase(known);
        return Offered::no_room;
    }
    return Offered::is_new;
}

Seen::State Seen::state_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (const auto known = lately_.find(name); known != lately_.end()) {
        return known->second;
    }
    return is_stored(name) ? State::kept : State::unknown;
}

bool Seen::is_stored(const std::string& name) {
    if (is_stored_known_ && stored_ && !stored_->may_have(hash_(name))) {
        return false;
    }
    const auto found = store_.get(seen_family, as_bytes(name));
    if (!found) {
        errors_.add();
        log_.error("seen", "cannot read the store of released names",
                   {{"reason", found.error().what()}});
        return false;
    }
    return found->has_value();
}

void Seen::note(std::string_view name) {
    if (stored_) {
        stored_->add(hash_(name));
    }
}

void Seen::keep(States::iterator known) {
    if (std::exchange(known->second, State::kept) != State::kept &&
        ++kept_lately_ > seen_cache_max) {
        forget_kept();
    }
}

void Seen::forget_kept() {
    boost::unordered::erase_if(lately_,
                               [](const auto& known) { return known.second == State::kept; });
    kept_lately_ = 0;
}

// Written without the lock: many names take the store seconds, in which others are asked for.
// Until they are there they are under way, which is as good as being there.
void Seen::settle(std::span<const std::string> names, Settle how) {
    if (how == Settle::kept) {
        write(names);
    }
    const std::lock_guard lock(mutex_);
    for (const std::string& name : names) {
        const auto known = lately_.try_emplace(name, State::under_way).first;
        if (how == Settle::kept) {
            keep(known);
            note(name);
        } else if (known->second == State::under_way) {
            lately_.erase(known);
        }
    }
}

void Seen::write(std::span<const std::string> names) {
    store::Batch batch;
    const Bytes value = seen_value(today_);
    for (const std::string& name : names) {
        batch.put(seen_family, as_bytes(name), value);
    }
    if (batch.empty()) {
        return;
    }
    if (const auto stored = store_.write(batch, store::Durability::buffered); !stored) {
        errors_.add();
        log_.error("seen", "cannot write the store of released names",
                   {{"reason", stored.error().what()}});
    } else {
        names_ += batch.changes().size();
    }
}

Result<std::uint64_t> Seen::import(std::span<const std::string> names) {
    store::Batch batch;
    const Bytes value = seen_value(today_);
    for (const std::string& name : names) {
        if (!TRY(store_.get(seen_family, as_bytes(name)))) {
            batch.put(seen_family, as_bytes(name), value);
        }
    }
    if (!batch.empty()) {
        TRY(store_.write(batch, store::Durability::buffered));
        // After it: a walk that began before has not seen them all, and one that begins later will.
        const std::lock_guard lock(mutex_);
        std::ranges::for_each(names, [this](const std::string& name) { note(name); });
    }
    imported_.add(batch.changes().size());
    names_ += batch.changes().size();
    return batch.changes().size();
}

void Seen::tidy(UtcTime now) {
    today_ = static_cast<std::uint32_t>(std::max<std::int64_t>(0, now.seconds() / day_s));
    if (walk_ == Walk::none && (surveyed_ != today_.load() || names_ > settings_.names_max)) {
        begin(Walk::survey);
    }
    if (walk_ != Walk::none) {
        step();
    }
}

void Seen::begin(Walk walk) {
    walk_ = walk;
    from_.clear();
    erased_ = 0;
    if (walk == Walk::survey) {
        survey_ = {};
        surveyed_ = today_.load();
        const std::lock_guard lock(mutex_);
        is_stored_known_ = false;
        stored_.emplace(seen_filter_size);
    }
}

// The cursor does not outlive a step: it would hold on to what was there when it began.
void Seen::step() {
    store::Batch batch;
    bool is_over = false;
    {
        auto cursor = store_.scan(seen_family, {}, from_);
        if (!cursor) {
            return fail_walk(cursor.error());
        }
        for (std::size_t i = 0; i < settings_.steps && (*cursor)->valid(); ++i) {
            look_at((*cursor)->key(), (*cursor)->value(), batch);
            (*cursor)->next();
        }
        is_over = !(*cursor)->valid();
        if (is_over) {
            if (auto status = (*cursor)->status(); !status) {
                return fail_walk(status.error());
            }
        } else {
            from_ = to_bytes((*cursor)->key());
        }
    }
    if (!batch.empty()) {
        if (auto written = store_.write(batch, store::Durability::buffered); !written) {
            return fail_walk(written.error());
        }
    }
    if (is_over) {
        walk_ == Walk::survey ? end_survey() : end_erase();
    }
}

void Seen::fail_walk(const Error& error) {
    walk_ = Walk::none;
    errors_.add();
    log_.error("seen", "cannot tidy the store of released names: tomorrow again",
               {{"reason", error.what()}});
}

void Seen::look_at(ByteView name, ByteView value, store::Batch& batch) {
    const auto day = seen_day(value);
    if (walk_ == Walk::survey) {
        if (!day && value.empty()) {
            // Of a version that did not write days: nobody knows when it was, so it is today.
            batch.put(seen_family, name, seen_value(today_));
        }
        ++survey_.names;
        ++survey_.by_day[day.value_or(today_)];
        const std::lock_guard lock(mutex_);
        note(as_text(name));
        return;
    }
    if (!day || *day > cut_.day || (*day == cut_.day && cut_.of_day == 0)) {
        return;
    }
    cut_.of_day -= *day == cut_.day ? 1 : 0;
    batch.erase(seen_family, name);
    ++erased_;
    const std::lock_guard lock(mutex_);
    const auto known = lately_.find(std::string(as_text(name)));
    if (known != lately_.end() && known->second == State::kept) {
        lately_.erase(known);
        --kept_lately_;
    }
}

void Seen::end_survey() {
    walk_ = Walk::none;
    {
        const std::lock_guard lock(mutex_);
        is_stored_known_ = true;
    }
    names_ = survey_.names;
    names_shown_.set(static_cast<std::int64_t>(survey_.names));
    const std::int64_t age_days = settings_.age_max / (day_s * 1s);
    std::uint64_t too_old = 0;
    std::uint64_t left = survey_.names;
    cut_ = {};
    if (settings_.age_max > 0s) {
        for (const auto& [day, count] : survey_.by_day) {
            if (std::int64_t{today_} - std::int64_t{day} > age_days) {
                too_old += count;
                left -= count;
                cut_ = {.day = day, .of_day = count};
            }
        }
    }
    if (left > settings_.names_max) {
        const std::uint64_t kept = settings_.names_max - settings_.names_max / slack_divisor;
        for (const auto& [day, count] : survey_.by_day) {
            if (day <= cut_.day && cut_.of_day > 0) {
                continue;  // goes already
            }
            cut_ = {.day = day, .of_day = std::min(count, left - kept)};
            left -= cut_.of_day;
            if (left <= kept) {
                break;
            }
        }
    }
    cut_.too_old = too_old;
    if (cut_.of_day > 0) {
        begin(Walk::erase);
    }
}

void Seen::end_erase() {
    walk_ = Walk::none;
    const std::uint64_t by_age = std::min(erased_, cut_.too_old);
    forgotten_old_.add(by_age);
    forgotten_many_.add(erased_ - by_age);
    names_ -= std::min(names_.load(), erased_);
    names_shown_.set(static_cast<std::int64_t>(names_.load()));
    log_.info("seen", "released names are forgotten: if they are asked for, they are new",
              {{"too_old", by_age}, {"too_many", erased_ - by_age}});
}

}  // namespace tapir::edge
