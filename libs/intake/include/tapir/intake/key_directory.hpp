// The public keys of edges, from a folder: KID.jwk or KID.pem, one file a key.
//
//     KeyDirectory keys(files, "/etc/tapir/core/edges", log, counters);
//     TRY(keys.refresh());                        // at start, and every few seconds
//     const auto now = keys.current();            // unchanged while it is held
//
// A file that cannot be read as a key is left out, counted and logged (once, until its fault
// changes); if the folder itself cannot be read, all keys stay. Threads may share it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tapir/base/counters.hpp"
#include "tapir/base/guarded.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/world/files.hpp"

namespace tapir::intake {

class KeyDirectory {
public:
    KeyDirectory(world::Files& files, std::string directory, const Log& log, Counters& counters);

    // Reads the folder again. Errors: the folder cannot be listed.
    Result<void> refresh();
    std::shared_ptr<const jose::KeySet> current() const;

private:
    world::Files& files_;
    std::string directory_;
    const Log& log_;
    Counter& bad_files_;
    Gauge& count_;
    std::mutex refreshing_;                      // one at a time: the newest reading stands
    std::map<std::string, std::string> faults_;  // by file; guarded by refreshing_
    Guarded<std::shared_ptr<const jose::KeySet>> keys_;
};

}  // namespace tapir::intake
