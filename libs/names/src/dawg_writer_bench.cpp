// A list compiled to a DAWG file and to an index, against the plain way: a set of sorted words, and
// a map from what a node holds to its number. Nodes and words are compared first.
//
//     names_dawg_writer_bench                        20 000 names, quick
//     TAPIR_BENCH_NAMES=1000000 names_dawg_writer_bench
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "tapir/base/assert.hpp"
#include "tapir/names/dawg.hpp"
#include "tapir/names/dawg_writer.hpp"
#include "tapir/names/list.hpp"

namespace {

using namespace tapir;
using namespace tapir::names;

std::size_t name_count() {
    const char* const given = std::getenv("TAPIR_BENCH_NAMES");
    return given != nullptr ? std::strtoul(given, nullptr, 10) : 20'000;
}

// Syllables, so that names share beginnings and endings as real ones do.
std::string random_name(std::mt19937_64& random) {
    constexpr std::string_view consonants = "bdfgklmnprstvz";
    constexpr std::string_view vowels = "aeiou";
    const std::vector<std::string> tops = {"com", "net", "org", "se", "co.uk", "info"};
    std::string name = random() % 3 == 0 ? "." : "";
    for (std::size_t syllables = 2 + random() % 4; syllables > 0; --syllables) {
        name += consonants[random() % consonants.size()];
        name += vowels[random() % vowels.size()];
    }
    return name + "." + tops[random() % tops.size()] + ".";
}

const std::string& list() {
    static const std::string made = [] {
        std::string out;
        std::mt19937_64 random(20261126);
        for (std::size_t i = 0; i < name_count(); ++i) {
            out += random_name(random) + "\n";
        }
        return out;
    }();
    return made;
}

// The plain way. A node is whether a word ends there, and its edges by character.
class PlainMinimiser {
public:
    explicit PlainMinimiser(std::string_view text) {
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = text.find('\n', at);
            words_.emplace(text.substr(at, end - at));
            at = end + 1;
        }
        build(words_.begin(), words_.end(), 0);
    }
    std::size_t word_count() const { return words_.size(); }
    std::size_t node_count() const { return nodes_.size(); }

private:
    using Words = std::set<std::string>;
    struct Node {
        bool is_final = false;
        std::vector<std::pair<char, std::size_t>> edges;
        friend auto operator<=>(const Node&, const Node&) = default;
    };
    std::size_t build(Words::const_iterator first, Words::const_iterator last, std::size_t depth) {
        Node node;
        if (first != last && first->size() == depth) {
            node.is_final = true;
            ++first;
        }
        while (first != last) {
            const char c = (*first)[depth];
            auto next = first;
            while (next != last && (*next)[depth] == c) {
                ++next;
            }
            node.edges.emplace_back(c, build(first, next, depth + 1));
            first = next;
        }
        return nodes_.try_emplace(std::move(node), nodes_.size()).first->second;
    }

    Words words_;
    std::map<Node, std::size_t> nodes_;
};

std::size_t nodes_of(const Bytes& file) {
    ByteReader in(file);
    in.bytes(6);
    std::size_t value = 0;
    for (int numbers = 0; numbers < 2; ++numbers) {
        value = 0;
        for (unsigned octet = 0x80; (octet & 0x80U) != 0;) {
            octet = in.u8();
            value = value << 7U | (octet & 0x7FU);
        }
    }
    return value;
}

Bytes compiled() {
    ListReport report;
    return write_dawg(read_words(list(), "bench", ListFormat::text, report).value()).value();
}

void count(benchmark::State& state, std::size_t octets) {
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(name_count()));
    state.counters["octets/name"] = static_cast<double>(octets) / static_cast<double>(name_count());
}

void plain_minimiser(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(PlainMinimiser(list()).node_count());
    }
    count(state, 0);
}
BENCHMARK(plain_minimiser)->Unit(benchmark::kMillisecond);

void to_dawg(benchmark::State& state) {
    const Bytes file = compiled();
    const PlainMinimiser plain(list());
    TAPIR_ASSERT(Dawg::open(file).value().size() == plain.word_count());
    TAPIR_ASSERT(nodes_of(file) == plain.node_count());
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(compiled().data());
    }
    count(state, file.size());
}
BENCHMARK(to_dawg)->Unit(benchmark::kMillisecond);

void to_index(benchmark::State& state) {
    std::size_t octets = 0;
    for ([[maybe_unused]] auto _ : state) {
        ListReport report;
        octets = compile_list(list(), "bench", ListFormat::text, report).value().bytes().size();
    }
    count(state, octets);
}
BENCHMARK(to_index)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
