// The message parser beside protozero, on frames that dnsdist sent.
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <protozero/pbf_reader.hpp>

#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/dnstap/message.hpp"

namespace {

using namespace tapir;
using namespace tapir::dnstap;

const std::string& file() {
    static const std::string text = [] {
        std::ifstream in(TAPIR_GOLDEN "/dnsdist-1.7.3-client.fstrm", std::ios::binary);
        return std::string((std::istreambuf_iterator<char>(in)), {});
    }();
    return text;
}

std::vector<ByteView> frames() {
    std::vector<ByteView> all;
    FstrmReader reader(as_bytes(file()));
    while (const auto frame = reader.next()) {
        all.push_back(*frame);
    }
    return all;
}

// What Message holds, read by protozero.
struct Fields {
    std::uint32_t type = 0;
    std::array<std::uint64_t, 8> numbers{};
    std::array<protozero::data_view, 6> views{};
    std::array<protozero::data_view, 4> outer{};
};

std::size_t by_protozero(ByteView frame) {
    Fields f;
    protozero::pbf_reader outer(as_text(frame).data(), frame.size());
    while (outer.next()) {
        const auto field = outer.tag();
        if (field == 15) {
            f.type = outer.get_uint32();
        } else if (field <= 3) {
            f.outer[field] = outer.get_view();
        } else if (field == 14) {
            auto inner = outer.get_message();
            while (inner.next()) {
                const auto tag = inner.tag();
                switch (tag) {
                    case 1:
                        f.type = inner.get_uint32();
                        break;
                    case 2:
                    case 3:
                        f.numbers[tag - 2] = inner.get_uint32();
                        break;
                    case 4:
                    case 5:
                        f.views[tag - 4] = inner.get_view();
                        break;
                    case 6:
                    case 7:
                        f.numbers[tag - 4] = inner.get_uint32();
                        break;
                    case 8:
                    case 12:
                        f.numbers[tag / 4 + 2] = inner.get_uint64();
                        break;
                    case 9:
                    case 13:
                        f.numbers[tag / 4 + 4] = inner.get_fixed32();
                        break;
                    case 10:
                    case 11:
                        f.views[tag - 8] = inner.get_view();
                        break;
                    case 14:
                        f.views[4] = inner.get_view();
                        break;
                    default:
                        inner.skip();
                }
            }
        } else {
            outer.skip();
        }
    }
    benchmark::DoNotOptimize(f);
    return f.type + f.views[4].size();
}

std::size_t by_message(ByteView frame) {
    const auto message = Message::parse(frame);
    if (!message) {
        return 0;
    }
    benchmark::DoNotOptimize(message);
    return static_cast<std::size_t>(message->type) +
           message->response_message.value_or(ByteView()).size();
}

template <std::size_t (*parse)(ByteView)>
void parse_frames(benchmark::State& state) {
    const auto all = frames();
    for (const ByteView frame : all) {
        if (by_message(frame) != by_protozero(frame)) {
            state.SkipWithError("the rivals disagree");
            std::exit(1);  // NOLINT(concurrency-mt-unsafe): one thread
        }
    }
    std::size_t octets = 0;
    for (auto _ : state) {
        for (const ByteView frame : all) {
            benchmark::DoNotOptimize(parse(frame));
            octets += frame.size();
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(all.size()) * state.iterations());
    state.SetBytesProcessed(static_cast<std::int64_t>(octets));
}
BENCHMARK(parse_frames<by_message>);
BENCHMARK(parse_frames<by_protozero>);

void split_stream(benchmark::State& state) {
    std::size_t count = 0;
    for (auto _ : state) {
        FrameStreamServer server;
        server.feed(as_bytes(file()));
        while (const auto frame = server.next()) {
            benchmark::DoNotOptimize(frame->data());
            ++count;
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(count));
}
BENCHMARK(split_stream);

}  // namespace

BENCHMARK_MAIN();
