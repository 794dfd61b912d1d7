// The lake: a folder of Parquet files that anything can read, filled through a gate.
//
//     DirectoryLake lake(files, children,
//                        {.directory = "/var/lib/tapir/core/lake", .program = own});
//     const Verdict verdict = TRY(lake.admit(upload, info));  // an Error is our own trouble
//     if (verdict.refusal) { ... }                            // this upload will never get in
//
// Verified input is still hostile: only a child process opens an upload, with limits on memory and
// time, one thread, and nothing else it could open (child.hpp). What comes out of the child is a
// new file; the upload's own bytes never get into the lake. On the way the gate takes away what
// edges of other makes may send and we do not keep: sketches, rows below the threshold, exact
// counts, times finer than the minute.
//
//     product=histogram/date=2026-05-28/hour=12/EDGE-20260528T121300Z-60s-DIGEST.parquet
//
// The same upload gives the same file, so admitting it twice (after a crash) changes nothing.
// Threads may share a Lake.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/process.hpp"

namespace tapir::lake {

inline constexpr std::size_t upload_size_max = 64U << 20U;    // octets
inline constexpr std::uint64_t upload_rows_max = 20'000'000;  // as the upload itself claims
inline constexpr std::size_t edge_size_max = 128;             // octets of an edge's name
inline constexpr std::size_t query_size_max = 64U << 10U;     // octets of SQL
inline constexpr std::size_t query_result_size_max = 64U << 20U;
inline constexpr std::uint64_t child_memory_max = 1U << 30U;  // octets of address space
inline constexpr std::uint32_t child_cpu_s_max = 60;

// Client counts below this are not kept: the lower end of the edge's own threshold (release rule
// R3).
inline constexpr std::uint64_t clients_min = 10;

// Why an upload is not in the lake. Each value names a counter.
enum class Refusal : std::uint8_t {
    too_large,      // more octets than upload_size_max
    not_parquet,    // not a Parquet file, or one that does not hold together
    schema,         // not the columns of a DNS TAPIR histogram
    too_many_rows,  // more than upload_rows_max
    null_value,     // nothing where the schema promises something
    resources,      // the child ran into a limit of memory or time, or died
};
inline constexpr std::array<std::string_view, 6> refusal_names = {
    "too_large", "not_parquet", "schema", "too_many_rows", "null_value", "resources"};
std::string_view to_string(Refusal refusal);

// What is known of an upload without opening it.
struct UploadInfo {
    std::string edge;  // the key id that signed it: 1 to edge_size_max of A-Z a-z 0-9 . _ -
    UtcTime start;     // of the interval
    std::int64_t length_s = 60;
    std::string digest;  // SHA-256 of the upload, 64 hexadecimal digits
};

// What the gate did to the rows. Their fates sum up: read = kept + the three others.
struct Rows {
    std::uint64_t read = 0;
    std::uint64_t kept = 0;
    std::uint64_t below_threshold = 0;  // both families below clients_min
    std::uint64_t bad_name = 0;         // too long, or labels with a gap
    std::uint64_t bad_value = 0;        // a count beyond all reason (over 10^15)
    std::uint64_t sketches = 0;         // sketches taken away; not a fate
    friend bool operator==(const Rows&, const Rows&) = default;
};

struct Verdict {
    std::optional<Refusal> refusal;
    std::string detail;  // a sentence if refused; for the log, never for a decision
    std::string
        path;  // of the new file, below the lake's folder; empty if refused or no row was kept
    Rows rows;
};

struct Table {
    std::vector<std::string> columns;
    std::vector<std::vector<std::optional<std::string>>> rows;  // nothing: NULL
    friend bool operator==(const Table&, const Table&) = default;
};

class Lake {
public:
    virtual ~Lake() = default;

    // Brings a histogram upload into the lake; on the disk when this returns. Errors: `invalid` if
    // `info` is not as it says above, `exhausted` (no space) and others: try again later.
    virtual Result<Verdict> admit(ByteView upload, const UploadInfo& info) = 0;

    // One statement of DuckDB's SQL over the view `histogram`: the 26 columns of the files, `edge`,
    // `interval_s`, and from the folders `product`, `date` and `hour`. `invalid`: the statement
    // fails, or its result is larger than query_result_size_max.
    virtual Result<Table> query(std::string_view sql) = 0;
};

struct DirectoryLakeOptions {
    std::string directory;  // made if it is not there
    std::string program;    // whose main() calls child_main: world::own_program()
};

// The real one. `files` and `children` must outlive it.
class DirectoryLake final : public Lake {
public:
    DirectoryLake(world::Files& files, world::Children& children, DirectoryLakeOptions options)
        : files_(files), children_(children), options_(std::move(options)) {}

    Result<Verdict> admit(ByteView upload, const UploadInfo& info) override;
    Result<Table> query(std::string_view sql) override;

private:
    world::Files& files_;
    world::Children& children_;
    DirectoryLakeOptions options_;
};

// One statement over the view `file`, which is the Parquet file at `path`; in a child process with
// the limits of uploads. For tools that show a file. `program` as in DirectoryLakeOptions.
Result<Table> query_file(world::Children& children, const std::string& program,
                         const std::string& path, std::string_view sql);

// For tests and the simulator: remembers what was admitted, refuses or fails when told to, opens
// nothing. Every upload counts as one row.
class MemoryLake final : public Lake {
public:
    Result<Verdict> admit(ByteView upload, const UploadInfo& info) override;
    Result<Table> query(std::string_view sql) override;  // always `unavailable`

    // What admit() answers from now on; nothing: it admits.
    void refuse(std::optional<Refusal> refusal);
    void fail(std::optional<Error> error);
    // Path to content, by path.
    std::map<std::string, Bytes> admitted() const;

private:
    mutable std::mutex mutex_;
    std::map<std::string, Bytes> admitted_;
    std::optional<Refusal> refusal_;
    std::optional<Error> failure_;
};

// Where an upload lies once admitted. `invalid` if `info` is not as it should be.
Result<std::string> path_of(const UploadInfo& info);

}  // namespace tapir::lake
