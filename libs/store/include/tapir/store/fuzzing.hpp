// For fuzzers: the entries of a store as an input. A list of: family (an octet), size of the key,
// key, size of the value, value (two octets for its size).
//
//     const auto store = fuzzing::store_of(families, input);
//     return tapir::fuzzing::mutate_by(data, size, size_max, seed, store::fuzzing::change_store);
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/store/store.hpp"

namespace tapir::store::fuzzing {

using tapir::fuzzing::Dice;

struct Entry {
    std::uint8_t family = 0;
    Bytes key{};
    Bytes value{};
};

inline std::vector<Entry> read_entries(ByteView octets) {
    std::vector<Entry> entries;
    for (ByteReader in(octets); in.remaining() > 0;) {
        Entry entry;
        entry.family = in.u8();
        entry.key = to_bytes(in.bytes(in.u8()));
        entry.value = to_bytes(in.bytes(in.u16()));
        if (in.failed()) {
            break;
        }
        entries.push_back(std::move(entry));
    }
    return entries;
}

inline Bytes write_entries(std::vector<Entry> entries) {
    constexpr std::size_t key_size_max = 0xFF;
    constexpr std::size_t value_size_max = 0xFFFF;
    Bytes out;
    for (Entry& entry : entries) {
        entry.key.resize(std::min(entry.key.size(), key_size_max));
        entry.value.resize(std::min(entry.value.size(), value_size_max));
        append_u8(out, entry.family);
        append_u8(out, static_cast<std::uint8_t>(entry.key.size()));
        append(out, entry.key);
        append_u16(out, static_cast<std::uint16_t>(entry.value.size()));
        append(out, entry.value);
    }
    return out;
}

// One entry changed, moved, doubled or gone. Numbers keep their eight octets more often than not.
inline Bytes change_store(ByteView input, Dice& dice) {
    constexpr std::size_t number_size = 8;
    constexpr std::size_t growth_max = 16;
    std::vector<Entry> entries = read_entries(input);
    tapir::fuzzing::mutate_list(entries, dice, [&](Entry& entry) {
        if (dice.one_in(8)) {
            entry.family = static_cast<std::uint8_t>(dice.below(8));
        }
        Bytes& part = dice.one_in(2) ? entry.key : entry.value;
        if (part.size() < number_size || dice.one_in(4)) {
            tapir::fuzzing::mutate_blindly(part, growth_max);
            return;
        }
        const bool is_number = dice.one_in(2);
        Bytes front(part.begin(), part.begin() + number_size);
        Bytes rest(part.begin() + number_size, part.end());
        tapir::fuzzing::mutate_blindly(is_number ? front : rest, is_number ? 0 : growth_max);
        front.resize(number_size);
        append(front, rest);
        part = std::move(front);
    });
    return write_entries(std::move(entries));
}

inline void add_entries(Batch& batch, const std::vector<std::string>& families, ByteView input) {
    for (const Entry& entry : read_entries(input)) {
        batch.put(families[entry.family % families.size()], entry.key, entry.value);
    }
}

// A store in memory that holds what the input says.
inline std::unique_ptr<Store> store_of(const std::vector<std::string>& families, ByteView input) {
    auto store = open_memory(families);
    Batch batch;
    add_entries(batch, families, input);
    TAPIR_ASSERT(store->write(batch, Durability::buffered).has_value());
    return store;
}

// Success, or a failure that a damaged store explains. The rest would be a fault of ours.
template <typename Outcome>
bool is_explained(const Outcome& outcome) {
    return outcome || outcome.error().code() == Code::corrupt;
}

}  // namespace tapir::store::fuzzing
