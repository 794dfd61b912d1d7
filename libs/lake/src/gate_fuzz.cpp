// No octets make the gate fail otherwise than by refusing, and what it lets through it can read:
// the new file has as many rows as were kept, and each keeps the rules of the lake. The mutator
// changes the footer, which says where everything is, and the pages apart from each other.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <malloc.h>

#include "gate.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"

namespace {

using namespace tapir;
using namespace tapir::lake;
using fuzzing::Dice;

constexpr std::size_t magic_size = 4;
constexpr std::size_t tail_size = 8;  // the footer's size, little endian, and "PAR1"

// One database for all inputs: to start one takes longer than to judge a small file.
Gate& open_gate() {
    static std::unique_ptr<Gate> gate;
    if (!gate || !gate->is_alive()) {
        auto opened = Gate::open(Gate::Uploads::many);
        TAPIR_ASSERT(opened.has_value());
        gate = std::make_unique<Gate>(*std::move(opened));
    }
    return *gate;
}

// Overwrites some octets, so that all others stay where the footer says they are.
void change_in_place(Bytes& octets, Dice& dice) {
    constexpr std::size_t run_max = 8;
    for (std::size_t changes = 1 + dice.below(3); changes > 0 && !octets.empty(); --changes) {
        const std::size_t at = dice.below(octets.size());
        const std::size_t size = std::min(1 + dice.below(run_max), octets.size() - at);
        const auto from = octets.begin() + static_cast<std::ptrdiff_t>(at);
        const auto to = from + static_cast<std::ptrdiff_t>(size);
        Bytes part(from, to);
        fuzzing::mutate_blindly(part, 0);
        part.resize(size);
        std::ranges::copy(part, from);
    }
}

Bytes change(ByteView input, Dice& dice) {
    if (input.size() < magic_size + tail_size) {
        return {};
    }
    std::size_t footer_size = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        const auto octet = std::to_integer<std::size_t>(input[input.size() - tail_size + i]);
        footer_size |= octet << (8 * i);
    }
    const std::size_t room = input.size() - magic_size - tail_size;
    if (footer_size > room) {
        return {};
    }
    Bytes pages = to_bytes(input.subspan(magic_size, room - footer_size));
    Bytes footer = to_bytes(input.subspan(magic_size + pages.size(), footer_size));
    switch (dice.below(4)) {
        case 0:
            fuzzing::mutate_blindly(footer);
            break;
        case 1:
            change_in_place(footer, dice);
            break;
        default:
            change_in_place(pages, dice);
    }
    Bytes out;
    append(out, std::string_view("PAR1"));
    append(out, pages);
    append(out, footer);
    for (std::size_t i = 0; i < 4; ++i) {
        append_u8(out, static_cast<std::uint8_t>(footer.size() >> (8 * i)));
    }
    append(out, std::string_view("PAR1"));
    return out;
}

// How many rows there are, and how many of them no rule lets into the lake.
void check_kept(Gate& gate, const Rows& rows) {
    const auto table = gate.query_kept(fmt::format(
        "count(*), count(*) FILTER (NOT coalesce((v4client_count >= {0} OR v6client_count >= {0}) "
        "AND v4client_count_hll IS NULL AND v6client_count_hll IS NULL AND edge = 'edge' "
        "AND interval_s = 60 AND a_count % 10 = 0 AND second(start_time) = 0 "
        "AND coalesce(label0, '') = lower(coalesce(label0, '')), false))",
        clients_min));
    TAPIR_ASSERT(table && table->rows.size() == 1);
    TAPIR_ASSERT(table->rows[0][0] == std::to_string(rows.kept) && table->rows[0][1] == "0");
}

// What the child's address space does to those who believe a footer that speaks of two hundred
// million names: no memory, for one of them or for all together. Without a limit the sanitizer
// would give gigabytes, or end everything.
std::atomic<std::size_t> octets_given = 0;

void* allocate(std::size_t size) {
    constexpr std::size_t size_max = child_memory_max / 4;
    if (size > size_max || octets_given.load(std::memory_order_relaxed) + size > child_memory_max) {
        return nullptr;
    }
    void* const octets = std::malloc(std::max<std::size_t>(size, 1));
    octets_given.fetch_add(malloc_usable_size(octets), std::memory_order_relaxed);
    return octets;
}

void give_back(void* octets) {
    octets_given.fetch_sub(malloc_usable_size(octets), std::memory_order_relaxed);
    std::free(octets);
}

void* allocate_or_throw(std::size_t size) {
    void* const octets = allocate(size);
    if (octets == nullptr) {
        throw std::bad_alloc();
    }
    return octets;
}

}  // namespace

void* operator new(std::size_t size) {
    return allocate_or_throw(size);
}
void* operator new[](std::size_t size) {
    return allocate_or_throw(size);
}
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
    return allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
    return allocate(size);
}
void operator delete(void* octets) noexcept {
    give_back(octets);
}
void operator delete[](void* octets) noexcept {
    give_back(octets);
}
void operator delete(void* octets, std::size_t /*size*/) noexcept {
    give_back(octets);
}
void operator delete[](void* octets, std::size_t /*size*/) noexcept {
    give_back(octets);
}
void operator delete(void* octets, const std::nothrow_t& /*tag*/) noexcept {
    give_back(octets);
}
void operator delete[](void* octets, const std::nothrow_t& /*tag*/) noexcept {
    give_back(octets);
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, change);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Gate& gate = open_gate();
    const auto gated = gate.pass(std::as_bytes(std::span(data, size)), "edge", 60);
    TAPIR_ASSERT(gated.has_value());
    // What the parent asks of the child's answer.
    const auto decoded = decode_gated(encode(*gated));
    TAPIR_ASSERT(decoded && decoded->refusal == gated->refusal && decoded->file == gated->file);
    if (gated->rows.kept > 0 && !gated->refusal) {
        check_kept(gate, gated->rows);
    }
    return 0;
}
