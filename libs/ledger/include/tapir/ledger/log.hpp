// An append-only log in files (C2SP tlog-tiles, tile height 8): written by one, verified by all.
//
//     Log log = TRY(Log::open(read, verifier));          // or Log(origin) for a new one
//     const LogStep step = TRY(log.append(leaves, key));
//     for (const LogFile& file : step.files) { write durably, in this order }
//     for (const std::string& path : step.superseded) { delete, if you like }
//     ...
//     const LogReport report = TRY(verify_log(read, verifier));
//
// No file access here: paths and octets go out, and come in through `ReadFile`. Each leaf, in each
// entry bundle, is up to 65535 octets. Files are written whole (temporary name, fsync, rename), the
// checkpoint last: whoever stops between two files has the old log, complete, and open() goes on
// from there. If writing fails, drop the Log and open it anew. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/crypto/signature.hpp"
#include "tapir/ledger/checkpoint.hpp"
#include "tapir/ledger/merkle.hpp"

namespace tapir::ledger {

inline constexpr std::size_t tile_width = 256;       // hashes, or leaves, of a full tile
inline constexpr std::size_t leaf_size_max = 65535;  // octets
inline constexpr std::size_t bundle_size_max = tile_width * (leaf_size_max + 2);
inline constexpr unsigned tile_level_max = 7;                           // 256^8 leaves
inline constexpr std::uint64_t log_size_max = std::uint64_t{1} << 48U;  // leaves
inline constexpr std::string_view checkpoint_path = "checkpoint";

// "tile/0/x001/234" or "tile/0/x001/234.p/7"; width 256 is a full tile.
std::string tile_path(unsigned level, std::uint64_t index, std::size_t width);
std::string entries_path(std::uint64_t index, std::size_t width);

// The leaves in an entry bundle: for each a length of two octets, big-endian, and the leaf. Views
// into `bundle`.
Result<std::vector<ByteView>> split_bundle(ByteView bundle);

// The octets of the file at a path; Code::not_found if there is none. A reader should refuse files
// over bundle_size_max.
using ReadFile = std::function<Result<Bytes>(std::string_view path)>;

struct LogFile {
    std::string path;
    Bytes octets;
};

struct LogStep {
    std::vector<LogFile> files;           // to be written in this order: entries, tiles, checkpoint
    std::vector<std::string> superseded;  // partial files that the new ones replace
    TreeHead head;
};

class Log {
public:
    // An empty log. `origin` obeys is_origin (asserted).
    explicit Log(std::string origin);

    // The log as its checkpoint says. Only what is needed to go on is read and checked: the
    // unfinished tiles and bundle. Code::not_found: no checkpoint, so no log.
    static Result<Log> open(const ReadFile& read, const NoteVerifier& verifier);

    // Leaves at the end; the checkpoint is signed by `key`. No leaves: a checkpoint only.
    // Code::exhausted: a leaf over leaf_size_max, or the log is full; then nothing has changed.
    Result<LogStep> append(std::span<const Bytes> leaves, const crypto::SigningKey& key);

    const TreeHead& head() const { return head_; }
    const std::string& origin() const { return origin_; }

private:
    friend struct LogWriter;
    std::string origin_;
    TreeHead head_;
    std::vector<std::vector<Hash>> tiles_;  // the unfinished tile of each level, lowest first
    Bytes bundle_;                          // the unfinished entry bundle
};

// What a verification saw.
struct LogReport {
    TreeHead head;
    std::uint64_t tiles = 0;    // files of hashes compared
    std::uint64_t bundles = 0;  // files of leaves read
};

// Gets each leaf in order; an error ends the verification.
using VisitLeaf = std::function<Result<void>(std::uint64_t index, ByteView leaf)>;

// Reads the whole log and compares everything with everything: checkpoint with key, leaves with
// tiles, tiles with each other and with the root. Any changed octet is found. Code::corrupt names
// the file, and the leaf if it is one: "tile/entries/000.p/3: leaf 2: …"; Code::denied: the
// checkpoint is not the key's.
Result<LogReport> verify_log(const ReadFile& read, const NoteVerifier& verifier,
                             const VisitLeaf& visit = {});

// Proofs, made from the tiles. `size` is at most the log's (its tiles are read).
Result<std::vector<Hash>> prove_inclusion(const ReadFile& read, std::uint64_t log_size,
                                          std::uint64_t index, std::uint64_t size);
Result<std::vector<Hash>> prove_consistency(const ReadFile& read, std::uint64_t log_size,
                                            std::uint64_t older, std::uint64_t newer);

}  // namespace tapir::ledger
