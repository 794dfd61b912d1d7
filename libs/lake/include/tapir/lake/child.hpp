// The other side of the lake: what runs in the child process that opens uploads and answers
// queries.
//
//     int main(int argc, char** argv) {
//         if (tapir::lake::is_child(argc, argv)) {       // before anything else
//             return tapir::lake::child_main(argc, argv);
//         }
//
// Every program that uses a DirectoryLake begins so. The child reads standard input, writes
// standard output, and ends. It opens no file except what its parent names.
#pragma once

#include <cstdint>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/lake/lake.hpp"

namespace tapir::lake {

inline constexpr std::string_view child_word = "lake-child";

bool is_child(int argc, const char* const* argv);
int child_main(int argc, const char* const* argv);

// What the child does with an upload, here in this process: for tests, fuzzers and the offline
// twin.
struct Gated {
    std::optional<Refusal> refusal;
    std::string detail;
    Rows rows;
    Bytes file;  // the new Parquet file; empty if refused or if no row was kept
};
Result<Gated> gate(ByteView upload, std::string_view edge, std::int64_t interval_s);

// The same for a query over the lake in `directory`, read only.
Result<Table> query_here(const std::string& directory, std::string_view sql);

// The same for one Parquet file, which the statement sees as the view `file`; its times are UTC.
Result<Table> query_file_here(const std::string& path, std::string_view sql);

// How the two talk. Readers of hostile bytes: nothing is believed about sizes.
Bytes encode(const Gated& gated);
Result<Gated> decode_gated(ByteView bytes);
Bytes encode(const Result<Table>& table);
Result<Table> decode_table(ByteView bytes);

}  // namespace tapir::lake
