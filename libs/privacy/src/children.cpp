#include "tapir/privacy/children.hpp"

#include <algorithm>
#include <bit>

namespace tapir::privacy {
namespace {

constexpr std::size_t parents_in_set = 4;
constexpr std::size_t bit_count = 1024;
// So many bits do 257 children set on average: 1024 * (1 - (1 - 1/1024)^257).
constexpr std::uint16_t wildcard_bits = 227;

}  // namespace

Children::Children(std::size_t parent_count)
    : parents_(std::bit_ceil(std::clamp<std::size_t>(parent_count, 8, parent_count_max))) {}

const Children::Parent* Children::set_of(Fingerprint parent) const {
    const std::size_t sets = parents_.size() / parents_in_set;
    return &parents_[(static_cast<std::uint64_t>(parent) & (sets - 1)) * parents_in_set];
}

Children::Parent* Children::find(Fingerprint parent) {
    const std::size_t first = static_cast<std::size_t>(set_of(parent) - parents_.data());
    for (std::size_t i = first; i < first + parents_in_set; ++i) {
        if (parents_[i].key == parent) {
            return &parents_[i];
        }
    }
    return nullptr;
}

bool Children::is_wildcard(Fingerprint parent) const {
    const Parent* const set = set_of(parent);
    return std::any_of(set, set + parents_in_set, [parent](const Parent& known) {
        return known.key == parent && known.is_wildcard;
    });
}

Children::Parent& Children::start(Fingerprint parent) {
    const std::size_t first = static_cast<std::size_t>(set_of(parent) - parents_.data());
    std::size_t chosen = first;
    const auto rank = [this](std::size_t i) {
        return parents_[i].key == Fingerprint{} ? -1
               : parents_[i].is_wildcard        ? int{bit_count}
                                                : int{parents_[i].count};
    };
    for (std::size_t i = first + 1; i < first + parents_in_set; ++i) {
        chosen = rank(i) < rank(chosen) ? i : chosen;
    }
    Parent& place = parents_[chosen];
    evicted_ += place.key != Fingerprint{} ? 1 : 0;
    place = Parent{};
    place.key = parent;
    return place;
}

ParentKind Children::count(Parent& parent, Fingerprint child) {
    const std::uint64_t bit = (static_cast<std::uint64_t>(child) >> 20U) % bit_count;
    std::uint64_t& word = parent.bits[bit / 64];
    const std::uint64_t mask = std::uint64_t{1} << (bit % 64);
    if ((word & mask) != 0) {
        return ParentKind::plain;
    }
    word |= mask;
    ++parent.count;
    if (parent.count < wildcard_bits) {
        return ParentKind::plain;
    }
    parent.is_wildcard = true;
    return ParentKind::became_wildcard;
}

void Children::start_day() {
    std::ranges::fill(parents_, Parent{});
}

}  // namespace tapir::privacy
