// Lists of released names from hostile octets: the input's first octet says how the file is called,
// the others are its content. What is marked are names in the form in which they are asked for; the
// same list again, in steps of another size, marks nothing; no line is lost without a count. Beside
// it: the values of the store.
#include <cstdint>
#include <span>
#include <string>

#include "seen_import.hpp"
#include "tapir/base/assert.hpp"

namespace {

using namespace tapir;
using namespace tapir::edge;

struct Imported {
    bool is_whole = false;
    SeenReport report;
};

Imported import(world::Files& files, const std::string& path, std::size_t lines, Seen& seen) {
    static const dns::PublicSuffixes suffixes =
        dns::PublicSuffixes::parse(
            "// ===BEGIN ICANN DOMAINS===\nse\ncom\n*.ck\n// ===END ICANN DOMAINS===\n", "list")
            .take();
    SeenImport one(files, path, &suffixes, seen);
    auto goes_on = one.step(lines);
    while (goes_on && *goes_on) {
        goes_on = one.step(lines);
    }
    return {.is_whole = goes_on.has_value(), .report = one.report()};
}

void check_marks(const store::Store& store) {
    for (auto cursor = store.scan(seen_family).value(); cursor->valid(); cursor->next()) {
        const std::string text(as_text(cursor->key()));
        const auto name = dns::Name::from_text(text);
        TAPIR_ASSERT(name && dns::to_text(*name, dns::Case::lower) == text);
        TAPIR_ASSERT(seen_day(cursor->value()).has_value());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    constexpr const char* names[] = {"/l/a.txt", "/l/a.csv", "/l/a.dawg"};
    const std::string path = names[data[0] % 3];
    const ByteView octets = std::as_bytes(std::span(data, size)).subspan(1);
    if (const auto day = seen_day(octets)) {
        TAPIR_ASSERT(seen_value(*day) == to_bytes(octets));
    }
    world::MemoryFiles files;
    TAPIR_ASSERT(files.make_directories("/l").has_value());
    TAPIR_ASSERT(files.write_atomically(path, octets).has_value());
    const auto store = store::open_memory({std::string(seen_family)});
    const Log log = Log::to_nowhere();
    Counters counters;
    Seen seen(*store, {}, log, counters);
    const Imported first = import(files, path, 3, seen);
    check_marks(*store);
    const Imported again = import(files, path, 1'000, seen);
    TAPIR_ASSERT(again.is_whole == first.is_whole);
    if (first.is_whole) {
        TAPIR_ASSERT(again.report.marked == 0 && again.report.names == first.report.names);
        TAPIR_ASSERT(again.report.malformed == first.report.malformed);
        TAPIR_ASSERT(again.report.first_malformed == first.report.first_malformed);
        TAPIR_ASSERT(first.report.malformed == 0 || !first.report.first_malformed.empty());
    }
    return 0;
}
