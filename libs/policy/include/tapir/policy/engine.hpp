// The engine: sources go in, the zone comes out; what is served was stored first.
//
//     auto engine = TRY(Engine::open(settings, store, log, counters, now));
//     engine->set_lists(lists);
//     engine->take(jws, event_id, now);        // verify, parse, take its words
//     engine->expire(now);
//     if (engine->commit(now)) { notify(); }   // evaluate what was touched, store, publish
//
// One thread at a time, except snapshot(), which any thread may call at any time. A message that is
// refused is counted in tapir_policy_messages_total by result, an entry in
// tapir_policy_entries_total. A store that refuses is logged and counted; nothing is lost: the next
// commit() tries again.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/policy/config.hpp"
#include "tapir/rpz/book.hpp"
#include "tapir/rpz/zone.hpp"
#include "tapir/store/store.hpp"
#include "tapir/text/json.hpp"

namespace tapir::policy {

struct EngineSettings {
    rpz::Apex apex;
    rpz::Rules rules;
    FeedRules feed;
    jose::KeySet trusted_keys;
};

// The store's families that this service owns.
std::vector<std::string> store_families();

class Engine {
public:
    // Puts back what was stored. A new store begins with a serial of the time in seconds, so that
    // it is newer than any before.
    static Result<std::unique_ptr<Engine>> open(EngineSettings settings, store::Store& store,
                                                const Log& log, Counters& counters, UtcTime now);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    void set_lists(rpz::Lists lists);
    void set_trusted_keys(jose::KeySet keys);

    // One message of the feed. Whether it was accepted. `feed_id` (may be empty) is remembered as
    // the place in the feed, accepted or not.
    bool take(std::string_view jws, std::string_view feed_id, UtcTime now);
    // All that holds now: entries that are in none of the messages go, and no message that is as
    // old as they are brings them back. If a message is refused, nothing goes. `newer` came while
    // the others were on their way: taken after them, and what it adds stays.
    void take_all(const std::vector<std::string>& messages, std::string_view feed_id, UtcTime now,
                  std::span<const std::string> newer = {});
    const std::string& feed_id() const;

    void expire(UtcTime now);
    std::optional<UtcTime> next_expiry() const;

    // Whether there is something to commit.
    bool is_dirty() const;
    // True if there is a new zone. After success is_dirty() is false.
    bool commit(UtcTime now);
    // The same, and after success all that was ever taken is on the disk, for good: before the
    // sender is told to forget it. (commit() may leave what did not change the zone to the system.)
    // An error: the store refuses.
    Result<bool> commit_synced(UtcTime now);

    // Never null.
    std::shared_ptr<const rpz::Snapshot> snapshot() const;
    std::size_t doubt_count() const;

    // Each source's word on the name, the rule that decided, the record in the zone.
    Result<text::Json> explain(std::string_view name) const;

private:
    struct Impl;
    explicit Engine(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::policy
