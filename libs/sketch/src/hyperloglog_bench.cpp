// Adding to sketches as rows do: few clients, some, many; and merging what workers counted.
#include <vector>

#include <benchmark/benchmark.h>

#include "tapir/sketch/hyperloglog.hpp"
#include "tapir/sketch/murmur.hpp"

namespace {

using namespace tapir;
using namespace tapir::sketch;

std::uint64_t hash_of(std::size_t i) {
    Bytes octets;
    append_u64(octets, i);
    return murmur3_x64_128(octets).h1;
}

// Hashes of `clients` clients, each seen several times, in a sketch exact up to 128.
void add(benchmark::State& state) {
    const auto clients = static_cast<std::size_t>(state.range(0));
    std::vector<std::uint64_t> hashes;
    for (std::size_t i = 0; i < clients * 4; ++i) {
        hashes.push_back(hash_of(i * 7 % clients));
    }
    HllSettings settings;
    settings.explicit_threshold = 128;
    std::size_t heap = 0;
    for (auto _ : state) {
        HyperLogLog sketch(settings);
        for (const auto hash : hashes) {
            sketch.add(hash);
        }
        heap = sketch.heap_size();
        benchmark::DoNotOptimize(sketch);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(hashes.size()) * state.iterations());
    state.counters["heap"] = static_cast<double>(heap);
}
BENCHMARK(add)->Arg(1)->Arg(4)->Arg(20)->Arg(128)->Arg(2000);

void merge(benchmark::State& state) {
    HyperLogLog a;
    HyperLogLog b;
    for (std::size_t i = 0; i < static_cast<std::size_t>(state.range(0)); ++i) {
        a.add(hash_of(i));
        b.add(hash_of(i + 10));
    }
    for (auto _ : state) {
        HyperLogLog sum = a;
        sum.merge(b);
        benchmark::DoNotOptimize(sum.estimate());
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(merge)->Arg(10)->Arg(100)->Arg(5000);

}  // namespace

BENCHMARK_MAIN();
