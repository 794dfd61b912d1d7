// For fuzzers: changes to an input that keep its structure whole, so that what lies behind lengths,
// counts, digests and signatures is reached.
//
//     extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
//                                                    std::size_t size_max, unsigned int seed) {
//         return fuzzing::mutate_by(data, size, size_max, seed, [](ByteView input, Dice& dice) {
//             return changed(input, dice);     // Bytes: the new input, its structure repaired
//         });
//     }
//
// A part of all changes stays blind, for broken structure must be tried too. With TAPIR_FUZZ_BLIND
// in the environment all of them are: to see what the structure is worth. Where libFuzzer is not
// (cmake/fuzz_replay.cpp), fuzz_mutate changes nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "tapir/base/bytes.hpp"

// libFuzzer's own change of octets in place; the new size, at most `size_max`.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace tapir::fuzzing {

// Numbers from libFuzzer's seed (splitmix64): the same seed, the same change.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }
    // 0 to count - 1; 0 if there is nothing to choose from.
    std::size_t below(std::size_t count) {
        return count == 0 ? 0 : static_cast<std::size_t>(next() % count);
    }
    bool one_in(std::size_t count) { return below(count) == 0; }

private:
    std::uint64_t state_;
};

// A part of an input changed blindly, by libFuzzer; it grows by at most `growth_max` octets.
inline void mutate_blindly(Bytes& octets, std::size_t growth_max = 64) {
    const std::size_t size = octets.size();
    octets.resize(size + growth_max);
    octets.resize(
        LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(octets.data()), size, octets.size()));
}

// One element of a list changed by `change`, or doubled, dropped, or put elsewhere.
template <typename T, typename Change>
void mutate_list(std::vector<T>& list, Dice& dice, const Change& change) {
    if (list.empty()) {
        list.emplace_back();
        change(list.back());
        return;
    }
    const std::size_t at = dice.below(list.size());
    const auto place = list.begin() + static_cast<std::ptrdiff_t>(at);
    switch (dice.below(8)) {
        case 0: {
            const T copy = list[at];
            list.insert(list.begin() + static_cast<std::ptrdiff_t>(dice.below(list.size() + 1)),
                        copy);
            break;
        }
        case 1:
            list.erase(place);
            break;
        case 2:
            std::swap(list[at], list[dice.below(list.size())]);
            break;
        default:
            change(list[at]);
    }
}

inline bool is_blind() {
    static const bool blind = std::getenv("TAPIR_FUZZ_BLIND") != nullptr;
    return blind;
}

// The body of a custom mutator. What `change` gives that is larger than `size_max` is not used.
template <typename Change>
std::size_t mutate_by(std::uint8_t* data, std::size_t size, std::size_t size_max, unsigned int seed,
                      const Change& change) {
    constexpr std::size_t blind_share = 4;
    Dice dice(seed);
    if (!is_blind() && !dice.one_in(blind_share)) {
        const Bytes changed = change(std::as_bytes(std::span(data, size)), dice);
        if (!changed.empty() && changed.size() <= size_max) {
            std::copy_n(reinterpret_cast<const std::uint8_t*>(changed.data()), changed.size(),
                        data);
            return changed.size();
        }
    }
    return LLVMFuzzerMutate(data, size, size_max);
}

}  // namespace tapir::fuzzing
