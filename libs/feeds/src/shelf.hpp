// Signed observations on the disk: the log for those who come back, the newest for each name.
//
// Families, and what is true after every batch:
//  1. feeds_log: id → when it came, message. Without gaps from the oldest kept to last_id.
//  2. feeds_live: name → when it ends, message; for names whose newest message added them.
//  3. feeds_ends: end, name → nothing; one for each entry of (2).
//  4. feeds_meta: last_id; broadcast_id, the last one that the broker has taken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/products/observation.hpp"
#include "tapir/store/store.hpp"

namespace tapir::feeds {

struct Shelved {
    std::uint64_t id = 0;
    std::string message;
};

class Shelf {
public:
    static const std::vector<std::string>& families();

    explicit Shelf(store::Store& store) : store_(store) {}

    Result<void> open();
    std::uint64_t last_id() const { return last_id_; }

    // `id` is greater than last_id(). On the disk for sure after sync().
    Result<void> add(std::uint64_t id, const products::Observation& observation,
                     std::string_view message, UtcTime now);
    Result<void> sync();

    // The messages after `id`; nothing if some of them are no longer there, `id` is not yet, or
    // they are more than `size_max` octets.
    Result<std::optional<std::vector<Shelved>>> after(std::uint64_t id, std::size_t size_max) const;

    // The newest message of each name that is live at `now`, joined by commas, and the id up to
    // which they tell. `exhausted` beyond `size_max` octets.
    struct Live {
        std::uint64_t last_id = 0;
        std::string messages;
    };
    Result<Live> live(UtcTime now, std::size_t size_max) const;

    // What the broker is owed: messages after the place that it has reached, the first at least,
    // more up to `count_max` messages and `size_max` octets, of those that are on the disk for
    // sure. At the first call ever it begins with the oldest that is still kept.
    struct Owed {
        std::vector<Shelved> messages;
        std::uint64_t first = 0;      // the id with which it goes on
        std::uint64_t forgotten = 0;  // messages that it is owed and that are no longer there
        std::uint64_t waiting = 0;    // all that it is owed
    };
    Result<Owed> owed(std::size_t count_max, std::size_t size_max);
    // The broker has reached `id`. A crash may undo that, and then messages go out again.
    Result<void> taken_up_to(std::uint64_t id);

    // Forgets what came before `oldest`, and names whose time is over; how much, at most
    // `count_max` of each.
    Result<std::size_t> forget(UtcTime oldest, UtcTime now, std::size_t count_max);

private:
    Result<void> unshelve(std::string_view name, store::Batch& batch) const;

    store::Store& store_;
    std::uint64_t last_id_ = 0;
    std::uint64_t synced_id_ = 0;
    std::optional<std::uint64_t> broadcast_id_;
};

}  // namespace tapir::feeds
