#include "rows.hpp"

#include <algorithm>
#include <utility>

namespace tapir::edge {
namespace {

constexpr std::size_t first_slots = 64;

std::size_t mix(std::uint32_t index) {
    return static_cast<std::size_t>((index * 0x9E3779B97F4A7C15ULL) >> 32U);
}

}  // namespace

void NetworkSample::add(std::uint64_t tag) {
    for (std::uint64_t& known : tags_) {
        if (tag == known || tag == 0) {
            return;
        }
        if (known == 0 || tag < known) {
            std::swap(tag, known);
        }
    }
}

void NetworkSample::merge(const NetworkSample& other) {
    for (const std::uint64_t tag : other.tags_) {
        add(tag);
    }
}

unsigned NetworkSample::count() const {
    return static_cast<unsigned>(
        std::ranges::count_if(tags_, [](std::uint64_t tag) { return tag != 0; }));
}

void Row::count(unsigned rcode, unsigned qclass, unsigned qtype) {
    const auto add = [this](RowCounter counter) {
        ++counters.at(static_cast<std::size_t>(counter));
    };
    switch (rcode) {
        case 0:
            add(RowCounter::ok);
            break;
        case 2:
            add(RowCounter::fail);
            break;
        case 3:
            add(RowCounter::nx);
            break;
        default:
            add(RowCounter::other_rcode);
    }
    if (qclass != 1) {
        add(RowCounter::non_in);
        return;
    }
    switch (qtype) {
        case 1:
            add(RowCounter::a);
            break;
        case 2:
            add(RowCounter::ns);
            break;
        case 15:
            add(RowCounter::mx);
            break;
        case 28:
            add(RowCounter::aaaa);
            break;
        default:
            add(RowCounter::other_type);
    }
}

void Row::merge(const Row& other) {
    for (std::size_t i = 0; i < counters.size(); ++i) {
        counters.at(i) += other.counters.at(i);
    }
    v4.clients.merge(other.v4.clients);
    v4.networks.merge(other.v4.networks);
    v6.clients.merge(other.v6.clients);
    v6.networks.merge(other.v6.networks);
}

std::size_t RowTable::slot_of(std::uint32_t index) const {
    std::size_t slot = mix(index) & (slots_.size() - 1);
    while (slots_[slot] != 0 && rows_[slots_[slot] - 1].index != index) {
        slot = (slot + 1) & (slots_.size() - 1);
    }
    return slot;
}

Row& RowTable::row(std::uint32_t index) {
    if (2 * (rows_.size() + 1) > slots_.size()) {
        grow();
    }
    const std::size_t slot = slot_of(index);
    if (slots_[slot] == 0) {
        rows_.emplace_back(index, settings_);
        slots_[slot] = static_cast<std::uint32_t>(rows_.size());
    }
    return rows_[slots_[slot] - 1];
}

const Row* RowTable::find(std::uint32_t index) const {
    if (slots_.empty()) {
        return nullptr;
    }
    const std::size_t slot = slot_of(index);
    return slots_[slot] == 0 ? nullptr : &rows_[slots_[slot] - 1];
}

void RowTable::grow() {
    slots_.assign(slots_.empty() ? first_slots : slots_.size() * 2, 0);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        slots_[slot_of(rows_[i].index)] = static_cast<std::uint32_t>(i + 1);
    }
}

void RowTable::merge(RowTable&& other) {
    if (rows_.empty()) {
        *this = std::move(other);
        return;
    }
    for (const Row& theirs : other.rows_) {
        row(theirs.index).merge(theirs);
    }
    other = RowTable(settings_);
}

}  // namespace tapir::edge
