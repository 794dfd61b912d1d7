// The operator's commands. Each does one thing and returns what to print, or an error for people;
// main() parses the words, prints and sets the exit status.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/ledger/checkpoint.hpp"
#include "tapir/world/files.hpp"

namespace tapir::cli {

// keys new: FOLDER/KID.jwk (private, 0600) and FOLDER/KID.public.jwk. Nothing is overwritten.
Result<std::string> new_key(const std::string& kid, const std::string& folder);
// keys show: what a key file holds, without its secret.
Result<std::string> show_key(const std::string& path);

struct ListOptions {
    std::string format;       // of what is read; empty: as the file says
    std::string to;           // of what is written: index, dawg, text, csv; empty: by its name
    bool is_summary = false;  // of a difference: how many only
};
// list compile, list convert: a list in another form, written as a whole or not at all.
Result<std::string> make_list(const ListOptions& options, const std::string& list,
                              const std::string& out);
// list diff: the entries that are in one of two lists only.
Result<std::string> diff_lists(const ListOptions& options, const std::string& before,
                               const std::string& after);
// list stat: what a list holds, and its version (SHA-256, as `lists.pin` and sha256sum have it).
Result<std::string> stat_list(const ListOptions& options, const std::string& path);
// list lookup: which entry each name falls under, as the edge sees it, and the entry's place.
Result<std::string> lookup(const ListOptions& options, const std::string& path,
                           const std::vector<std::string>& names);

struct ReplayOptions {
    std::string to;           // a dnstap socket: path, unix:PATH or ADDRESS:PORT
    std::uint64_t rate = 0;   // frames a second; 0: as fast as it is taken
    std::uint64_t times = 1;  // how often the file is sent
};
// replay: the frames of a .fstrm file to a dnstap socket.
Result<std::string> replay(const std::string& path, const ReplayOptions& options);

// show: a histogram, JWS messages, a batch, a checkpoint, a ledger entry bundle, readable.
Result<std::string> show(const std::string& path, std::uint64_t rows);

struct VerifyOptions {
    std::string verifier;  // "ORIGIN+ID+KEY"; empty: the file `verifier` of the ledger
    std::string sent;      // folder with the files that were sent; empty: the one above the ledger
};
// The key to verify with that lies beside a log.
Result<ledger::NoteVerifier> read_verifier(world::Files& files, const std::string& folder);
// ledger verify: every leaf, tile and checkpoint, and the files that were sent.
Result<std::string> verify_ledger(const std::string& folder, const VerifyOptions& options);

struct ReleaseOptions {
    std::string why;
    std::string state = "/var/lib/tapir/edge";
    std::uint64_t wait_s = 90;  // for the edge's answer
};
// release: a person's decision to tell of a name that too few have asked for (R7).
Result<std::string> release(const std::string& name, const ReleaseOptions& options);

struct SuspectOptions {
    std::string state = "/var/lib/tapir/edge";
    std::string day;       // one day's, as 2026-11-26; empty: all that are kept
    bool is_json = false;  // the lines as the edge wrote them
};
// suspects: registered domains that a detector of the edge holds for threats (R7), by the hour.
Result<std::string> suspects(const SuspectOptions& options);

struct DecryptOptions {
    std::string key;  // the day's key file; empty: where the edge keeps it
    std::string out;  // empty: beside the file, without ".sealed"
};
// session decrypt: a sealed session file as Parquet, for its owner alone (0600). All or nothing.
Result<std::string> decrypt_session(const std::string& path, const DecryptOptions& options);
// session list: the days in a folder of sessions, and whether they can still be read.
Result<std::string> list_sessions(const std::string& folder);

// explain: what the policy says of a name, and why. `url` is the policy's metrics address.
Result<std::string> explain(const std::string& url, const std::string& name);

}  // namespace tapir::cli
