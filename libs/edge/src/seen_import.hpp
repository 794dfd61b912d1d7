// Lists of names that count as released before, so that a new edge does not report the whole world
// as new.
//
//     SeenImport import(files, "names.txt", suffixes, seen);
//     while (TRY(import.step(20'000))) {}                     // lines; false: the list is through
//     import.report().names
//
//     SeenFolder folder(files, "state/import", load, seen, log, counters);
//     folder.tick(now);                                       // live: a part of a list each second
//
// A list is text (a name a line), CSV (rank,name) or a DAWG file, told by its name. For each name
// the forms are marked that the gate would release for it: the name as it is, the name with labels
// that look like identifiers coarsened, and its registered domain. A suffix entry counts as the
// name that it is of. A malformed line is counted, told by number, and left out. The same list
// again marks nothing new.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "seen.hpp"
#include "tapir/base/result.hpp"
#include "tapir/dns/public_suffix.hpp"
#include "tapir/names/dawg.hpp"
#include "tapir/world/files.hpp"

namespace tapir::edge {

struct SeenReport {
    std::uint64_t names = 0;      // read
    std::uint64_t marked = 0;     // forms that were not marked before
    std::uint64_t malformed = 0;  // lines
    std::string first_malformed;  // "names.txt:14: expected …", of the first
};

class SeenImport {
public:
    // `suffixes` may be null: then there are no registered domains. All must outlive it.
    SeenImport(world::Files& files, std::string path, const dns::PublicSuffixes* suffixes,
               Seen& seen);

    // Marks what stands in the next `lines`. False: that was all. An error ends the import; what
    // was marked stays.
    Result<bool> step(std::size_t lines);
    const SeenReport& report() const { return report_; }

private:
    Result<bool> step_text(std::size_t lines);
    Result<bool> step_dawg(std::size_t words);
    Result<names::DawgReader*> dawg_words();  // opened when it is first needed
    Result<bool> fill();
    void take_line(std::string_view line);
    void take_name(std::string_view text);
    void malformed(std::string_view what);
    Result<void> mark();

    world::Files& files_;
    const std::string path_;
    const dns::PublicSuffixes* const suffixes_;
    Seen& seen_;
    SeenReport report_;
    std::vector<std::string> forms_;  // to be marked
    // Of text: what is read and not taken yet.
    std::string buffer_;
    std::uint64_t offset_ = 0;  // of what follows it in the file
    bool is_at_end_ = false;
    std::uint64_t line_ = 0;
    // Of a DAWG file.
    Bytes octets_;
    std::optional<names::Dawg> dawg_;
    std::optional<names::DawgReader> words_;  // of dawg_
};

// A folder whose lists are imported while the edge runs. A list is moved in, not written in place;
// it is renamed when it is through: to NAME.imported, or NAME.refused. What begins with a dot or
// ends in .part or .tmp is not looked at.
class SeenFolder {
public:
    using LoadSuffixes = std::function<Result<dns::PublicSuffixes>()>;

    // `load` is called when there is something to import.
    SeenFolder(world::Files& files, std::string folder, LoadSuffixes load, Seen& seen,
               const Log& log);

    void tick(UtcTime now);

private:
    void look();
    void finish(const Result<bool>& result, const std::string& summary);

    world::Files& files_;
    const std::string folder_;
    const LoadSuffixes load_;
    Seen& seen_;
    const Log& log_;
    std::optional<UtcTime> looked_;
    std::string name_;  // of the list that is under way
    std::optional<dns::PublicSuffixes> suffixes_;
    std::optional<SeenImport> import_;
};

// Marks lists of an edge that is not running, in its own store; what is to be printed comes back.
Result<std::string> import_seen(const text::Settings& settings,
                                const std::vector<std::string>& lists, UtcTime now,
                                world::Files& files, store::Store& store, const Log& log);

}  // namespace tapir::edge
