// The name index against std::unordered_map keyed by text, as the obvious rival: same list, same
// names asked, results compared first. Frames are looked up in batches of 64.
//
//     names_name_index_bench                       100 000 names, quick
//     TAPIR_BENCH_NAMES=1000000 names_name_index_bench
#include <cstdlib>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "tapir/base/assert.hpp"
#include "tapir/dns/testing.hpp"
#include "tapir/names/list.hpp"
#include "tapir/names/name_index.hpp"

namespace {

using namespace tapir;
using namespace tapir::names;

constexpr std::size_t batch_size = 64;
constexpr std::size_t asked_count = 1U << 17U;

std::size_t name_count() {
    const char* const given = std::getenv("TAPIR_BENCH_NAMES");
    return given != nullptr ? std::strtoul(given, nullptr, 10) : 100'000;
}

std::string random_label(std::mt19937_64& random) {
    std::string label;
    for (std::size_t size = 3 + random() % 10; size > 0; --size) {
        label += static_cast<char>('a' + random() % 26);
    }
    return label;
}

struct Input {
    std::vector<std::string> list;  // a third are suffix entries
    std::vector<dns::Name> asked;   // nine of ten are listed, some in upper case
    std::string text;               // the list as a file
};

const Input& input() {
    static const Input made = [] {
        Input out;
        std::mt19937_64 random(20261124);
        const std::vector<std::string> tops = {"com", "net", "org", "se", "co.uk", "info"};
        for (std::size_t i = 0; i < name_count(); ++i) {
            std::string name = i % 3 == 0 ? "." : "";
            name += i % 3 == 1 ? random_label(random) + "." : "";
            name += random_label(random) + "." + tops[random() % tops.size()] + ".";
            out.text += name + "\n";
            out.list.push_back(std::move(name));
        }
        for (std::size_t i = 0; i < asked_count; ++i) {
            std::string name = out.list[random() % out.list.size()];
            if (name[0] == '.') {
                name.insert(0, random_label(random));
            }
            if (i % 10 == 0) {
                name.insert(0, "Absent");
            }
            out.asked.push_back(dns::testing::name(name));
        }
        return out;
    }();
    return made;
}

const NameIndex& index() {
    static const NameIndex made = [] {
        ListReport report;
        return compile_list(input().text, "bench", ListFormat::text, report).value();
    }();
    return made;
}

using Map = std::unordered_map<std::string, std::uint32_t>;

// The rival: the name's text, then its suffixes by text.
std::uint32_t find_in(const Map& map, dns::NameView name) {
    std::string text = dns::to_text(name, dns::Case::lower);
    if (const auto at = map.find(text); at != map.end()) {
        return at->second;
    }
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '.') {
            if (const auto at = map.find(text.substr(i)); at != map.end()) {
                return at->second;
            }
        }
    }
    return UINT32_MAX;
}

const Map& map() {
    static const Map made = [] {
        Map out;
        out.reserve(index().size());
        for (std::uint32_t id = 0; id < index().size(); ++id) {
            out.emplace(to_text(index().entry(EntryId{id})), id);
        }
        for (const auto& name : input().asked) {
            const auto found = index().find(dns::FoldedName(name));
            const std::uint32_t id = found ? static_cast<std::uint32_t>(found->id) : UINT32_MAX;
            TAPIR_ASSERT(id == find_in(out, name));
        }
        return out;
    }();
    return made;
}

void index_find(benchmark::State& state) {
    map();
    const auto& asked = input().asked;
    std::vector<dns::FoldedName> folded(batch_size);
    std::vector<LookUp> look_ups(batch_size);
    std::size_t at = 0;
    std::uint64_t sum = 0;
    for ([[maybe_unused]] auto _ : state) {
        for (std::size_t i = 0; i < batch_size; ++i) {
            folded[i].assign(asked[at + i]);
            index().prefetch(folded[i]);
        }
        for (std::size_t i = 0; i < batch_size; ++i) {
            look_ups[i] = index().start(folded[i]);
        }
        for (int steps = 0; steps < 2; ++steps) {
            for (std::size_t i = 0; i < batch_size; ++i) {
                index().go_on(look_ups[i], folded[i]);
            }
        }
        for (std::size_t i = 0; i < batch_size; ++i) {
            const auto found = index().finish(look_ups[i], folded[i]);
            sum += found ? static_cast<std::uint32_t>(found->id) : 1;
        }
        at = (at + batch_size) % asked_count;
    }
    benchmark::DoNotOptimize(sum);
    state.SetItemsProcessed(state.iterations() * std::int64_t{batch_size});
    state.counters["octets_per_name"] =
        static_cast<double>(index().bytes().size()) / static_cast<double>(index().size());
}
BENCHMARK(index_find);

void unordered_map_find(benchmark::State& state) {
    const Map& rival = map();
    const auto& asked = input().asked;
    std::size_t at = 0;
    std::uint64_t sum = 0;
    for ([[maybe_unused]] auto _ : state) {
        for (std::size_t i = 0; i < batch_size; ++i) {
            sum += find_in(rival, asked[at + i]);
        }
        at = (at + batch_size) % asked_count;
    }
    benchmark::DoNotOptimize(sum);
    state.SetItemsProcessed(state.iterations() * std::int64_t{batch_size});
}
BENCHMARK(unordered_map_find);

void index_build(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
        ListReport report;
        auto made = compile_list(input().text, "bench", ListFormat::text, report);
        benchmark::DoNotOptimize(made);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(name_count()));
}
BENCHMARK(index_build)->Unit(benchmark::kMillisecond);

void index_open(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
        auto opened = NameIndex::open(index().bytes());
        benchmark::DoNotOptimize(opened);
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(
        state.iterations() * static_cast<std::int64_t>(index().bytes().size())));
}
BENCHMARK(index_open)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
