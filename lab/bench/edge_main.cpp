// One measurement of the edge; lab/bench/edge.py makes the table of them.
//
//     bench_edge --names FILE --frames FILE --state FOLDER [--profile standard] [--workers 1]
//                [--from memory|socket] [--socket PATH] [--stages yes]
//
// Prints one JSON object: frames, CPU and wall time, memory, what became of the frames. From
// memory the file is mapped and split here; from a socket it waits for a sender at PATH. With
// stages everything is done in one thread, and the object has the seconds of each stage.
#include <array>
#include <charconv>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>

#include "edge_rig.hpp"
#include "input.hpp"
#include "stopwatch.hpp"
#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/text/json.hpp"

namespace tapir::bench {
namespace {

// The high-water mark of memory starts anew.
void forget_peak() {
    malloc_trim(0);
    if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w"); file != nullptr) {
        std::fputs("5", file);
        std::fclose(file);
    }
}

// What is known of the frames before anything is timed.
struct Contents {
    std::uint64_t frames = 0;
    std::uint64_t octets = 0;
    std::uint64_t first_minute = 0;  // frames of it
    std::uint64_t warm_up = 0;       // frames of the first minutes, if there are others
};
// As many tables of rows are used in turns: in the first minutes their memory is new.
constexpr std::int64_t warm_up_minutes = edge::RowPool::tables_at_once;

Contents look_at(ByteView file) {
    Contents contents;
    dnstap::FstrmReader reader(file);
    std::optional<std::int64_t> first;
    while (const auto frame = reader.next()) {
        ++contents.frames;
        contents.octets += frame->size();
        const auto message = dnstap::Message::parse(*frame);
        const auto time = message ? message->response_time() : std::nullopt;
        if (!time) {
            continue;
        }
        const std::int64_t minute = time->seconds() / 60;
        first = first.value_or(minute);
        contents.first_minute += minute == *first ? 1 : 0;
        contents.warm_up += minute < *first + warm_up_minutes ? 1 : 0;
    }
    if (contents.warm_up == contents.frames) {
        contents.warm_up = 0;
    }
    return contents;
}

// Splitting alone, and with the walk through dnstap's fields: parts of the first stage.
struct FirstParts {
    double split_s = 0;
    double walk_s = 0;
    std::uint64_t sum = 0;  // so that nothing is left out as unused
};
FirstParts first_parts(ByteView file) {
    FirstParts parts;
    const double start = thread_cpu_s();
    dnstap::FstrmReader splitting(file);
    while (const auto frame = splitting.next()) {
        parts.sum += std::to_integer<std::uint64_t>(frame->front());
    }
    const double split = thread_cpu_s();
    dnstap::FstrmReader walking(file);
    while (const auto frame = walking.next()) {
        parts.sum += dnstap::ResponseFields::parse(*frame) ? 1 : 0;
    }
    parts.split_s = split - start;
    parts.walk_s = thread_cpu_s() - split - parts.split_s;
    return parts;
}

struct Measured {
    Contents contents;
    Times cold;     // counting the first minute
    Times warm;     // the first minutes, all that had left the gate by then signed and on the disk
    Times counted;  // all frames, without what the last minutes do after
    Times written;  // and what had left the gate by then is signed and on the disk
    Times all;      // everything, to the disk
    std::uint64_t anonymous_kib = 0;
};

using Options = std::map<std::string, std::string, std::less<>>;

// Kept out of line and with C linkage: callgrind counts what happens in here.
extern "C" __attribute__((noinline)) void tapir_bench_measured(edge::Pipeline& pipeline,
                                                               dnstap::FstrmReader& reader,
                                                               std::uint64_t frames) {
    std::array<ByteView, 64> some;
    for (std::uint64_t left = frames; left > 0;) {
        const std::size_t count = std::min<std::uint64_t>(left, some.size());
        for (std::size_t i = 0; i < count; ++i) {
            some.at(i) = reader.next().value_or(ByteView());  // as many as were counted
        }
        pipeline.add(std::span(some).first(count));
        left -= count;
    }
    pipeline.flush();
}

extern "C" __attribute__((noinline)) void tapir_bench_finished(EdgeRig& rig) {
    rig.finish();
}

Result<Measured> from_memory(EdgeRig& rig, const Options& options) {
    world::SystemFiles files;
    const auto file = TRY(files.map(options.at("frames")));
    Measured measured;
    measured.contents = look_at(file->bytes());
    const std::uint64_t first = measured.contents.first_minute;
    dnstap::FstrmReader reader(file->bytes());
    rig.begin();
    const Times start = now();
    tapir_bench_measured(rig.pipeline(), reader, first);
    rig.wait_until(first);
    measured.cold = now() - start;
    const std::uint64_t warm_up = std::max(first, measured.contents.warm_up);
    if (warm_up > first) {
        tapir_bench_measured(rig.pipeline(), reader, warm_up - first);
        rig.wait_until(warm_up);
        rig.wait_until_written();
        measured.warm = now() - start;
    }
    tapir_bench_measured(rig.pipeline(), reader, measured.contents.frames - warm_up);
    rig.wait_until(measured.contents.frames);
    measured.counted = now() - start;
    rig.wait_until_written();
    measured.written = now() - start;
    measured.anonymous_kib = status_kib(files, "RssAnon");
    tapir_bench_finished(rig);
    measured.all = now() - start;
    return measured;
}

Result<Measured> from_socket(EdgeRig& rig, const Options& options) {
    world::SystemFiles files;
    Measured measured;
    {
        const auto file = TRY(files.map(options.at("frames")));
        measured.contents = look_at(file->bytes());
    }
    forget_peak();
    auto input = TRY(edge::Input::open("unix:" + options.at("socket"), rig.pipeline(), rig.log(),
                                       rig.counters()));
    std::fputs("listening\n", stderr);
    const Times start = now();
    rig.wait_until(1);
    const Times begun = now();  // the wait for the sender is not the edge's
    rig.wait_until(measured.contents.first_minute);
    measured.cold = now() - begun;
    rig.wait_until(measured.contents.frames);
    measured.counted = now() - begun;
    rig.wait_until_written();
    measured.written = now() - begun;
    measured.anonymous_kib = status_kib(files, "RssAnon");
    input->stop();
    rig.finish();
    measured.all = now() - begun;
    measured.all.cpu_s += begun.cpu_s - start.cpu_s;
    return measured;
}

// Member of the report; nothing without stages.
std::string stages_of(const StageTimes& times, const Options& options) {
    world::SystemFiles files;
    const auto file = files.map(options.at("frames"));
    if (options.at("stages").empty() || !file) {
        return "";
    }
    const FirstParts parts = first_parts((*file)->bytes());
    std::string text = fmt::format("\"split\": {:.6f}, \"dnstap\": {:.6f}", parts.split_s,
                                   parts.sum > 0 ? parts.walk_s : 0);
    for (std::size_t i = 0; i < stage_names.size(); ++i) {
        text += fmt::format(", \"{}\": {:.6f}", stage_names.at(i),
                            times.seconds(static_cast<Stage>(i)));
    }
    return fmt::format(", \"stages\": {{{}}}", text);
}

std::string report(const EdgeRig& rig, const Measured& measured, double load_s,
                   const StageTimes& times, const Options& options) {
    world::SystemFiles files;
    std::string fates;
    for (std::size_t i = 0; i < edge::fate_count; ++i) {
        const auto fate = static_cast<edge::Fate>(i);
        if (const std::uint64_t n = rig.fates().of(fate); n != 0) {
            fates += fmt::format("{}\"{}/{}\": {}", fates.empty() ? "" : ", ", group_of(fate),
                                 to_string(fate), n);
        }
    }
    const edge::Suppressed& kept = rig.suppressed();
    return fmt::format(
        "{{\"profile\": \"{}\", \"from\": \"{}\", \"workers\": {}, \"frames\": {}, \"octets\": {}, "
        "\"first_minute\": {}, \"fates_sum\": {}, \"fates\": {{{}}}, \"rows_released\": {}, "
        "\"rows_withheld\": {}, \"batches\": {}, \"names_remembered\": {}, \"names\": {}, "
        "\"index_octets\": {}, "
        "\"load_cpu_s\": {:.3f}, \"cold_cpu_s\": {:.6f}, \"cold_wall_s\": {:.6f}, "
        "\"minutes_cpu_s\": {:.6f}, \"counted_wall_s\": {:.6f}, \"written_wall_s\": {:.6f}, "
        "\"warm_up\": {}, \"warm_wall_s\": {:.6f}, "
        "\"cpu_s\": {:.6f}, \"wall_s\": {:.6f}, \"anonymous_kib\": {}, \"peak_kib\": {}{}}}",
        options.at("profile"), options.at("from"), options.at("workers"), measured.contents.frames,
        measured.contents.octets, measured.contents.first_minute, rig.fates().sum(), fates,
        kept.rows_released, kept.rows_few_clients + kept.rows_few_networks, rig.batches(),
        rig.names_remembered(), rig.lists().well_known.size(),
        rig.lists().well_known.bytes().size(), load_s, measured.cold.cpu_s, measured.cold.wall_s,
        rig.minutes_cpu_s(), measured.counted.wall_s, measured.written.wall_s,
        measured.contents.warm_up, measured.warm.wall_s, measured.all.cpu_s, measured.all.wall_s,
        measured.anonymous_kib, status_kib(files, "VmHWM"), stages_of(times, options));
}

Result<std::string> measure(const Options& options) {
    EdgeOptions rigging;
    rigging.names = options.at("names");
    rigging.state = options.at("state");
    const auto profile = privacy::profile_named(options.at("profile"));
    if (!profile) {
        return fail(Code::invalid, "--profile: expected standard, strict or compatible");
    }
    rigging.profile = *profile;
    const std::string& workers = options.at("workers");
    std::from_chars(workers.data(), workers.data() + workers.size(), rigging.workers);
    StageTimes times;
    if (!options.at("stages").empty()) {
        rigging.workers = 0;
        rigging.times = &times;
    }
    const Times before = now();
    const auto rig = TRY(EdgeRig::open(rigging));
    const Times loading = now() - before;
    forget_peak();
    const auto measured =
        options.at("from") == "socket" ? from_socket(*rig, options) : from_memory(*rig, options);
    if (!measured) {
        return fail(measured.error());
    }
    // First, as looking takes memory too.
    std::string line = report(*rig, *measured, loading.cpu_s, times, options);
    TRY(rig->check());
    return line;
}

int run(int count, char** words) {
    Options options = {{"profile", "standard"}, {"workers", "1"}, {"from", "memory"},
                       {"names", ""},           {"frames", ""},   {"state", ""},
                       {"socket", ""},          {"stages", ""}};
    for (int i = 1; i < count; i += 2) {
        const std::string_view word = words[i];
        const auto known = word.starts_with("--") ? options.find(word.substr(2)) : options.end();
        if (known == options.end() || i + 1 == count) {
            std::fprintf(stderr, "bench_edge: expected --OPTION VALUE, got '%s'\n", words[i]);
            return 2;
        }
        known->second = words[i + 1];
    }
    const auto line = measure(options);
    if (!line) {
        std::fprintf(stderr, "bench_edge: %s\n", line.error().what().c_str());
        return 1;
    }
    std::puts(line->c_str());
    return 0;
}

}  // namespace
}  // namespace tapir::bench

int main(int count, char** words) {
    return tapir::bench::run(count, words);
}
