#include "tapir/privacy/pending.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "tapir/base/assert.hpp"

namespace tapir::privacy {
namespace {

constexpr std::size_t cells_in_set = 8;  // one cache line
constexpr std::size_t names_in_set = 4;
constexpr std::size_t start_counters = 1U << 16U;  // in each of two rows
constexpr unsigned bitmap_mask = 511;
constexpr std::uint64_t tag_mask = 0xFFFF;

// The two families of one name are two entries.
std::uint64_t key_of(const Sighting& sighting) {
    std::uint64_t key = static_cast<std::uint64_t>(sighting.name);
    if (sighting.family == Family::ipv6) {
        key = std::rotl(key, 32) ^ 0x9E3779B97F4A7C15ULL;
    }
    return key == 0 ? 1 : key;
}

std::size_t sets_for(std::size_t wanted, std::size_t max, std::size_t in_set) {
    return std::bit_ceil(std::clamp<std::size_t>(wanted, 8, max)) / in_set;
}

}  // namespace

Pending::Pending(const PendingLimits& limits, unsigned networks_min)
    : networks_min_(networks_min),
      starts_max_(
          std::min<unsigned>(limits.starts_an_hour_max, std::numeric_limits<std::uint8_t>::max())),
      cells_(limits.cell_count == 0
                 ? 0
                 : sets_for(limits.cell_count, pending_cell_count_max, cells_in_set) *
                       cells_in_set),
      names_(sets_for(limits.name_count, pending_name_count_max, names_in_set) * names_in_set),
      starts_(2 * start_counters) {
    TAPIR_ASSERT(networks_min <= 3);
}

// The low bits choose the set, the high 48 are kept: together all 64 unless there are more than
// 2^16 sets, which only means that fewer bits are said twice. The number of sets is a power of two.
std::size_t Pending::first_cell(std::uint64_t key) const {
    return (key & (cells_.size() / cells_in_set - 1)) * cells_in_set;
}

std::size_t Pending::first_name(std::uint64_t key) const {
    return (key & (names_.size() / names_in_set - 1)) * names_in_set;
}

void Pending::prefetch(const Sighting& sighting) const {
    const std::uint64_t key = key_of(sighting);
    if (!cells_.empty()) {
        __builtin_prefetch(&cells_[first_cell(key)], 1);
    }
    const Name* const set = &names_[first_name(key)];
    for (std::size_t i = 0; i < names_in_set; ++i) {
        __builtin_prefetch(&set[i].key);
    }
}

Pending::Seen Pending::see(const Sighting& sighting) {
    const std::uint64_t key = key_of(sighting);
    if (const auto number = find_name(key)) {
        return count_in(names_[*number], sighting);
    }
    if (cells_.empty()) {
        if (!may_start(sighting.client_day)) {
            return {.outcome = PendingOutcome::capped};
        }
        Seen seen = count_in(new_name(key), sighting);
        seen.outcome = PendingOutcome::first_client;
        return seen;
    }
    std::uint64_t* const set = &cells_[first_cell(key)];
    const std::uint64_t prefix = key & ~tag_mask;
    const std::uint64_t tag = sighting.client & tag_mask;
    for (std::size_t i = 0; i < cells_in_set; ++i) {
        if (set[i] == 0 || (set[i] & ~tag_mask) != prefix) {
            continue;
        }
        const std::uint64_t first_tag = set[i] & tag_mask;
        if (first_tag == tag) {
            return {.outcome = PendingOutcome::waiting};
        }
        std::copy(set + i + 1, set + cells_in_set, set + i);
        set[cells_in_set - 1] = 0;
        --cells_used_;
        Name& name = new_name(key);
        name.bits[(first_tag & bitmap_mask) / 64] |= std::uint64_t{1} << (first_tag % 64);
        return count_in(name, sighting);
    }
    if (!may_start(sighting.client_day)) {
        return {.outcome = PendingOutcome::capped};
    }
    ++(set[cells_in_set - 1] != 0 ? cells_evicted_ : cells_used_);
    std::copy_backward(set, set + cells_in_set - 1, set + cells_in_set);
    set[0] = prefix | tag;
    if (set[0] == 0) {
        set[0] = 1;  // not "free"; it costs one tag in 2^64
    }
    return {.outcome = PendingOutcome::first_client, .is_news = true};
}

Pending::Progress Pending::progress_of(const Name& name) {
    Progress progress;
    for (const std::uint64_t word : name.bits) {
        progress.clients += static_cast<unsigned>(std::popcount(word));
    }
    progress.networks = static_cast<unsigned>(
        std::ranges::count_if(name.networks, [](std::uint32_t n) { return n != 0; }));
    return progress;
}

Pending::Progress Pending::progress_of(const Sighting& sighting) const {
    const std::uint64_t key = key_of(sighting);
    if (const auto number = find_name(key)) {
        return progress_of(names_[*number]);
    }
    if (cells_.empty()) {
        return {};
    }
    const std::uint64_t* const set = &cells_[first_cell(key)];
    const bool has_cell = std::any_of(set, set + cells_in_set, [key](std::uint64_t cell) {
        return cell != 0 && (cell & ~tag_mask) == (key & ~tag_mask);
    });
    return {.clients = has_cell ? 1U : 0U, .networks = 0};
}

std::optional<std::size_t> Pending::find_name(std::uint64_t key) const {
    const std::size_t first = first_name(key);
    for (std::size_t i = first; i < first + names_in_set; ++i) {
        if (names_[i].key == key) {
            return i;
        }
    }
    return std::nullopt;
}

Pending::Name& Pending::new_name(std::uint64_t key) {
    Name* const set = &names_[first_name(key)];
    Name* chosen = set;
    for (std::size_t i = 0; i < names_in_set && chosen->key != 0; ++i) {
        if (set[i].key == 0 || set[i].started < chosen->started) {
            chosen = &set[i];
        }
    }
    ++(chosen->key != 0 ? names_evicted_ : names_used_);
    *chosen = Name{};
    chosen->key = key;
    chosen->started = ++arrivals_;
    return *chosen;
}

Pending::Seen Pending::count_in(Name& name, const Sighting& sighting) {
    if (name.is_done) {
        return {.outcome = PendingOutcome::done};
    }
    const std::uint64_t number = sighting.client & bitmap_mask;
    const std::uint64_t bit = std::uint64_t{1} << (number % 64);
    bool is_news = (name.bits[number / 64] & bit) == 0;
    name.bits[number / 64] |= bit;
    const auto low = static_cast<std::uint32_t>(sighting.network);
    const std::uint32_t network = low == 0 ? 1 : low;
    for (std::uint32_t& known : name.networks) {
        if (known == network) {
            break;
        }
        if (known == 0) {
            known = network;
            is_news = true;
            break;
        }
    }
    const Progress progress = progress_of(name);
    return {.outcome = PendingOutcome::waiting,
            .name = &name,
            .clients = progress.clients,
            .networks = progress.networks,
            .is_news = is_news};
}

PendingOutcome Pending::decide(const Seen& seen, unsigned threshold) {
    TAPIR_ASSERT(threshold >= 2 && threshold <= 256);
    if (seen.clients < threshold) {
        return PendingOutcome::waiting;
    }
    seen.name->is_done = true;
    return PendingOutcome::reached;
}

bool Pending::may_start(std::uint64_t client_day) {
    if (starts_max_ == 0) {
        return true;
    }
    // Two rows: a client is capped only if it shares both its counters with busy ones.
    std::uint8_t& a = starts_[client_day % start_counters];
    std::uint8_t& b = starts_[start_counters + (client_day >> 32U) % start_counters];
    if (std::min(a, b) >= starts_max_) {
        return false;
    }
    a = static_cast<std::uint8_t>(a + (a < starts_max_ ? 1 : 0));
    b = static_cast<std::uint8_t>(b + (b < starts_max_ ? 1 : 0));
    return true;
}

void Pending::start_hour() {
    std::ranges::fill(starts_, std::uint8_t{0});
}

void Pending::start_day() {
    start_hour();
    std::ranges::fill(cells_, 0);
    std::ranges::fill(names_, Name{});
    arrivals_ = 0;
    cells_used_ = 0;
    names_used_ = 0;
}

std::size_t Pending::memory_size() const {
    return cells_.size() * sizeof(std::uint64_t) + names_.size() * sizeof(Name) + starts_.size();
}

}  // namespace tapir::privacy
