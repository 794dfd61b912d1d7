#include "wildcards.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "tapir/crypto/digest.hpp"

namespace tapir::edge {
namespace {

constexpr std::string_view key_name = "key";  // in the store; entries begin with "w"
constexpr std::byte entry_start{'w'};
constexpr std::size_t fingerprint_size = 16;
constexpr std::size_t key_size = 32;

}  // namespace

Result<Wildcards> Wildcards::open(store::Store& store, world::Chance& chance, const Log& log,
                                  Counters& counters) {
    if (auto stored = TRY(store.get(wildcard_family, as_bytes(key_name)))) {
        if (stored->size() == key_size) {
            return Wildcards(store, crypto::Secret::taken_from(*std::move(stored)), log, counters);
        }
        log.warn("wildcards", "the key of remembered wildcards is damaged: they are found anew");
    }
    auto octets = chance.bytes<key_size>();
    TRY(store.put(wildcard_family, as_bytes(key_name), octets, store::Durability::buffered));
    auto key = crypto::Secret::copy_of(octets);
    crypto::wipe(octets);
    return Wildcards(store, std::move(key), log, counters);
}

Wildcards::Wildcards(store::Store& store, crypto::Secret key, const Log& log, Counters& counters)
    : store_(&store),
      key_(std::move(key)),
      log_(&log),
      errors_(
          &counters.counter("tapir_edge_wildcard_errors_total",
                            "Reads and writes of the store of remembered wildcards that failed.")),
      forgotten_(&counters.counter("tapir_edge_wildcards_not_remembered_total",
                                   "Wildcards found when no more could be remembered.")) {}

void Wildcards::start_day(std::uint64_t day) {
    if (day_ == day) {
        return;
    }
    day_ = day;
    if (const auto tidied = tidy(); !tidied) {
        failed(tidied.error());
    }
}

// Also counts: what is there may be damaged, or of a clock that was wrong.
Result<void> Wildcards::tidy() {
    store::Batch gone;
    std::size_t count = 0;
    const auto cursor = TRY(store_->scan(wildcard_family, ByteView(&entry_start, 1)));
    for (; cursor->valid(); cursor->next()) {
        const auto since = store::parse_number(cursor->value());
        if (!since || *since > day_ || day_ - *since >= wildcard_days) {
            gone.erase(wildcard_family, cursor->key());
        } else {
            ++count;
        }
    }
    TRY(cursor->status());
    count_ = count;
    return gone.empty() ? Result<void>() : store_->write(gone, store::Durability::buffered);
}

bool Wildcards::was_wildcard(std::string_view name) {
    const auto stored = store_->get(wildcard_family, key_of(name));
    if (!stored) {
        failed(stored.error());
        return false;
    }
    const std::optional<Bytes>& value = *stored;
    if (!value) {
        return false;
    }
    const auto since = store::parse_number(*value);
    return since && *since <= day_ && day_ - *since < wildcard_days;
}

void Wildcards::became_wildcard(std::string_view name) {
    if (count_ >= wildcard_count_max) {
        forgotten_->add();
        return;
    }
    const auto written = store_->put(wildcard_family, key_of(name), store::number(day_),
                                     store::Durability::buffered);
    if (!written) {
        failed(written.error());
        return;
    }
    ++count_;
}

Bytes Wildcards::key_of(std::string_view name) const {
    const auto digest = crypto::hmac_sha256(key_.bytes(), as_bytes(name));
    Bytes out(1 + fingerprint_size);
    out.front() = entry_start;
    std::copy_n(digest.begin(), fingerprint_size, out.begin() + 1);
    return out;
}

void Wildcards::failed(const Error& error) {
    errors_->add();
    log_->error("wildcards", "the store of remembered wildcards fails", {{"reason", error.what()}});
}

}  // namespace tapir::edge
