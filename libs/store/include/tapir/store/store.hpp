// Keys and values that survive: named families, atomic batches, consistent snapshots.
//
//     auto store = TRY(open_rocksdb("/var/lib/tapir/core/state", {"seen", "outbox"}));
//     Batch batch;
//     batch.put("seen", key, value);
//     batch.erase("outbox", id);
//     TRY(store->write(batch, Durability::synced));     // both or neither, and on the disk
//     auto cursor = TRY(store->scan("outbox", prefix));
//     for (; cursor->valid(); cursor->next()) { use(cursor->key(), cursor->value()); }
//     TRY(cursor->status());
//
// Keys are compared octet by octet as unsigned numbers. Each family belongs to one service.
// Errors: exhausted (no space), corrupt, unavailable (busy, or opened by another process), invalid
// (no such family), internal. Threads may share a Store and a Snapshot; not a Batch or a Cursor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::store {

// A number as key or value: eight octets, which sort as the numbers do.
Bytes number(std::uint64_t value);
// 0 if there are fewer octets: for what one wrote oneself just now.
std::uint64_t number_of(ByteView octets);

// What is on the disk, looked at first: `corrupt` if it is not what number() gives for a number of
// at most `max`.
inline constexpr std::uint64_t number_max = std::numeric_limits<std::int64_t>::max();
Result<std::uint64_t> parse_number(ByteView octets, std::uint64_t max = number_max);
// A number of at most number_max and what stands behind it; `corrupt` if there is none. `rest`
// points into `octets`.
struct Numbered {
    std::uint64_t number = 0;
    ByteView rest;
};
Result<Numbered> parse_numbered(ByteView octets);

// Whether a write that returned survives a power cut, or only a crash of this process.
enum class Durability : std::uint8_t { buffered, synced };

// Changes that happen together. Applied in the order in which they were added.
class Batch {
public:
    struct Change {
        std::string family;
        Bytes key;
        std::optional<Bytes> value;  // nothing: erase
    };

    void put(std::string_view family, ByteView key, ByteView value);
    void erase(std::string_view family, ByteView key);
    void clear() { changes_.clear(); }
    bool empty() const { return changes_.empty(); }
    const std::vector<Change>& changes() const { return changes_; }

private:
    std::vector<Change> changes_;
};

// A walk over keys in order, over what was there when it began.
class Cursor {
public:
    virtual ~Cursor() = default;
    virtual bool valid() const = 0;
    virtual void next() = 0;             // only if valid()
    virtual ByteView key() const = 0;    // only if valid(); until next()
    virtual ByteView value() const = 0;  // only if valid(); until next()
    // Why it is no longer valid: success at the end of the range, else the error.
    virtual Result<void> status() const = 0;
};

// What can be read, at one instant.
class Reader {
public:
    virtual ~Reader() = default;
    virtual Result<std::optional<Bytes>> get(std::string_view family, ByteView key) const = 0;
    // All keys that begin with `prefix`, in order, from `from` on (or all, if it is empty).
    // `from` is a whole key, not a suffix of the prefix. The Reader must outlive the cursor.
    virtual Result<std::unique_ptr<Cursor>> scan(std::string_view family, ByteView prefix = {},
                                                 ByteView from = {}) const = 0;
};

class Store : public Reader {
public:
    // What is there now, unchanged by later writes. Must not outlive the Store; holds disk space
    // while it lives, so keep it short.
    virtual std::unique_ptr<Reader> snapshot() const = 0;

    virtual Result<void> write(const Batch& batch, Durability durability) = 0;
    Result<void> put(std::string_view family, ByteView key, ByteView value, Durability durability);
    Result<void> erase(std::string_view family, ByteView key, Durability durability);
};

struct RocksOptions {
    std::size_t cache_size_max = 32U << 20U;         // octets, over all families
    std::size_t write_buffer_size_max = 16U << 20U;  // octets, over all families
};

// Opens or creates a store in the folder `path`. Families that are not there yet are made; all that
// are there must be named (`invalid` otherwise, so that no service's state is overlooked).
Result<std::unique_ptr<Store>> open_rocksdb(const std::string& path,
                                            const std::vector<std::string>& families,
                                            RocksOptions options = {});

// A store in memory, for tests and the simulator.
std::unique_ptr<Store> open_memory(const std::vector<std::string>& families);

}  // namespace tapir::store
