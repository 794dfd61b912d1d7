// Tags in batches and one by one, by the processor's instructions and by OpenSSL.
#include <cstdlib>
#include <vector>

#include <benchmark/benchmark.h>

#include "tapir/client/tagger.hpp"

namespace {

using namespace tapir;
using namespace tapir::client;

Tagger make(Tagger::Engine engine) {
    const std::array<std::byte, day_key_size> octets{};
    const std::vector<std::string> words = {"10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32"};
    return {DayKey::from(octets),
            std::make_shared<const NetworkSet>(*NetworkSet::from_words(words)), engine};
}

template <Tagger::Engine engine>
void tag_batches(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    Bytes addresses;
    for (std::size_t i = 0; i < size; ++i) {
        append_u32(addresses, 0x0A000000U + static_cast<std::uint32_t>(i * 77));
    }
    std::vector<TagRequest> requests;
    for (std::size_t i = 0; i < size; ++i) {
        requests.push_back({i, dnstap::ClientAddress(ByteView(addresses).subspan(4 * i, 4))});
    }
    std::vector<Tags> tags(size);
    Tagger tagger = make(engine);
    Tagger rival = make(Tagger::Engine::openssl);
    tagger.tag(requests, tags);
    for (std::size_t i = 0; i < size; ++i) {
        if (tags[i].client != rival.tag(requests[i]).client) {
            std::exit(1);  // NOLINT(concurrency-mt-unsafe): one thread
        }
    }
    for (auto _ : state) {
        tagger.tag(requests, tags);
        benchmark::DoNotOptimize(tags.data());
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(size) * state.iterations());
}
BENCHMARK(tag_batches<Tagger::Engine::best>)->Arg(1)->Arg(64)->Arg(1024);
BENCHMARK(tag_batches<Tagger::Engine::openssl>)->Arg(1)->Arg(64)->Arg(1024);

}  // namespace

BENCHMARK_MAIN();
