// What one frame costs here: parsing a response, and folding its name with all fingerprints.
#include <benchmark/benchmark.h>

#include "tapir/base/assert.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/dns/message_writer.hpp"
#include "tapir/dns/testing.hpp"

namespace {

using namespace tapir;
using namespace tapir::dns;

// A usual answer: a CNAME, two addresses, an OPT.
Bytes response() {
    MessageWriter writer({.id = 1, .flags = flag::qr | flag::rd | flag::ra});
    const Name asked = testing::name("www.Some-Shop.example.com");
    const Name target = testing::name("edge.cdn.example.net");
    const Bytes address(4, std::byte{1});
    bool fits = writer.add_question(asked, RrType::a, RrClass::in);
    fits = fits && writer.add_record(Section::answer, asked, RrType::cname, RrClass::in, 60,
                                     target.view().wire());
    for (int i = 0; i < 2; ++i) {
        fits =
            fits && writer.add_record(Section::answer, target, RrType::a, RrClass::in, 60, address);
    }
    fits = fits && writer.add_opt(1232, Rcode::noerror);
    TAPIR_ASSERT(fits);
    return to_bytes(writer.view());
}

void parse(benchmark::State& state, Depth depth) {
    const Bytes wire = response();
    NameBuffer scratch;
    for ([[maybe_unused]] auto _ : state) {
        auto message = Message::parse(wire, depth, scratch);
        benchmark::DoNotOptimize(message);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(parse, standard, Depth::standard);
BENCHMARK_CAPTURE(parse, compatible, Depth::compatible);

void fold(benchmark::State& state) {
    const Name name = testing::name("www.Some-Shop.example.com");
    FoldedName folded;
    for ([[maybe_unused]] auto _ : state) {
        folded.assign(name);
        benchmark::DoNotOptimize(folded);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(fold);

void write_record(benchmark::State& state) {
    const Name owner = testing::name("bad.example.com.rpz.example");
    const NameView root;
    MessageWriter writer({});
    for ([[maybe_unused]] auto _ : state) {
        if (!writer.add_record(Section::answer, owner, RrType::cname, RrClass::in, 3600,
                               root.wire())) {
            writer.reset({});
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(write_record);

}  // namespace

BENCHMARK_MAIN();
