#include "outbox.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace tapir::edge {
namespace {

constexpr std::size_t small_file_size_max = 1U << 20U;  // octets of a leaf, of its openings
constexpr std::string_view part_suffix = ".part";

std::optional<std::uint64_t> index_of(std::string_view name) {
    std::uint64_t index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    if (error != std::errc() || end != name.data() + name.size()) {
        return std::nullopt;
    }
    return index;
}

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

}  // namespace

Outbox::Outbox(Private /*only_open*/, world::Files& files, std::string directory,
               EdgeLedger& ledger, const OutboxSettings& settings, const Log& log,
               Counters& counters)
    : files_(files),
      directory_(std::move(directory)),
      ledger_(ledger),
      settings_(settings),
      log_(log),
      errors_(counters.counter("tapir_edge_outbox_errors_total",
                               "Reads and writes of the outbox or the ledger that failed.")),
      lost_too_old_(counters.counter("tapir_edge_batches_lost_total", "Batches lost, by reason.",
                                     {{"reason", "too_old"}})),
      lost_no_room_(counters.counter("tapir_edge_batches_lost_total", "Batches lost, by reason.",
                                     {{"reason", "no_room"}})),
      lost_not_written_(counters.counter("tapir_edge_batches_lost_total",
                                         "Batches lost, by reason.", {{"reason", "not_written"}})),
      waiting_(counters.gauge("tapir_edge_outbox_batches", "Batches that wait for the core.")),
      waiting_size_(counters.gauge("tapir_edge_outbox_bytes", "Octets that wait for the core.")),
      oldest_(counters.gauge("tapir_edge_outbox_oldest_timestamp_seconds",
                             "Time of the oldest batch that waits; 0: none does.")) {}

Result<std::unique_ptr<Outbox>> Outbox::open(world::Files& files, std::string directory,
                                             EdgeLedger& ledger, const OutboxSettings& settings,
                                             const Log& log, Counters& counters) {
    TRY(files.make_directories(directory + "/batches"));
    auto outbox = std::make_unique<Outbox>(Private{}, files, std::move(directory), ledger, settings,
                                           log, counters);
    TRY(outbox->load());
    return outbox;
}

std::string Outbox::folder(std::uint64_t index) const {
    return fmt::format("{}/{}", directory_, batch_folder(index));
}

Result<void> Outbox::load() {
    const std::string all = directory_ + "/batches";
    for (const world::DirectoryEntry& found : TRY(files_.list(all))) {
        const auto index = index_of(found.name);
        if (!found.is_directory || !index) {
            // Never whole: nobody was told of it.
            remove_folder(fmt::format("{}/{}", all, found.name));
            continue;
        }
        if (*index >= ledger_.size()) {
            if (*index > ledger_.size() || !bring_in(*index)) {
                log_.error("outbox", "a batch that fits no leaf of the ledger is left out",
                           {{"batch", *index}});
                continue;
            }
        }
        auto entry = read_entry(*index);
        if (!entry) {
            errors_.add();
            log_.error("outbox", "a batch cannot be read and is left out",
                       {{"batch", *index}, {"reason", entry.error().what()}});
            continue;
        }
        entries_.emplace(*index, *entry);
    }
    show();
    return {};
}

Result<Outbox::Entry> Outbox::read_entry(std::uint64_t index) const {
    Entry entry;
    entry.time = TRY(ledger_.leaf(index)).time;
    for (const world::DirectoryEntry& file : TRY(files_.list(folder(index)))) {
        if (file.name == "sent" || file.name == "refused") {
            entry.is_settled = true;
            entry.is_refused = file.name == "refused";
            const auto mark =
                files_.read(fmt::format("{}/{}", folder(index), file.name), small_file_size_max);
            const auto when = UtcTime::parse(mark ? as_text(*mark) : std::string_view());
            entry.settled = when ? *when : entry.time;  // marks were empty once
        }
        entry.size += TRY(files_.size(fmt::format("{}/{}", folder(index), file.name)));
    }
    return entry;
}

// The leaf of a folder that is whole while the ledger does not have it yet.
Result<void> Outbox::bring_in(std::uint64_t index) {
    const Bytes leaf = TRY(files_.read(folder(index) + "/leaf.json", small_file_size_max));
    const Bytes openings = TRY(files_.read(folder(index) + "/openings.jsonl", small_file_size_max));
    return ledger_.append(index, leaf, as_text(openings));
}

Result<void> Outbox::write(std::uint64_t index, const ReadyBatch& batch, const BatchLeaf& leaf) {
    const std::string part = folder(index) + std::string(part_suffix);
    remove_folder(part);
    TRY(files_.make_directories(part));
    for (const auto& released : batch.payloads) {
        TRY(files_.write_atomically(fmt::format("{}/{}", part, released.value().name),
                                    released.value().octets));
    }
    TRY(files_.write_atomically(part + "/leaf.json", leaf.octets));
    TRY(files_.write_atomically(part + "/openings.jsonl", as_bytes(leaf.openings)));
    auto renamed = files_.rename(part, folder(index));
    if (!renamed) {
        // It may stand there and yet not be on the disk for good. Who is told that it is lost must
        // not see it leave.
        remove_folder(folder(index));
    }
    return renamed;
}

// The batch of before that the ledger could not take then.
Result<void> Outbox::bring_in_older(UtcTime time) {
    const std::uint64_t older = ledger_.size();
    if (!files_.exists(folder(older))) {
        return {};
    }
    TRY(bring_in(older));
    // Its leaf is there; what cannot be read of it now only makes its size unknown.
    entries_.emplace(older, read_entry(older).value_or(Entry{.time = time}));
    return {};
}

Result<void> Outbox::note(const BatchLeaf& leaf) {
    const std::lock_guard lock(mutex_);
    TRY(bring_in_older(TRY(ledger::Leaf::parse(leaf.octets)).time));
    return ledger_.append(ledger_.size(), leaf.octets, leaf.openings);
}

Result<void> Outbox::put(const ReadyBatch& batch, const LeafContext& context,
                         const SaltSource& salts) {
    if (batch.payloads.empty()) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    const auto attempt = [&]() -> Result<void> {
        TRY(bring_in_older(batch.time));
        const std::uint64_t index = ledger_.size();
        const auto path = [index](const privacy::Payload& payload) {
            return fmt::format("{}/{}", batch_folder(index), payload.name);
        };
        const BatchLeaf leaf = TRY(leaf_of(batch, context, path, salts));
        TRY(write(index, batch, leaf));
        // From here on it is accepted: if the ledger fails, the next put() or open() brings it in.
        if (auto appended = ledger_.append(index, leaf.octets, leaf.openings); !appended) {
            errors_.add();
            log_.error("outbox", "the ledger cannot be written; the batch waits for it",
                       {{"batch", index}, {"reason", appended.error().what()}});
            return {};
        }
        Entry entry{.time = batch.time, .size = leaf.octets.size() + leaf.openings.size()};
        for (const auto& released : batch.payloads) {
            entry.size += released.value().octets.size();
        }
        entries_.emplace(index, entry);
        return {};
    };
    auto result = attempt();
    if (!result) {
        errors_.add();
        log_.error("outbox", "a batch cannot be written", {{"reason", result.error().what()}});
    }
    show();
    return result;
}

void Outbox::lose(const ReadyBatch& batch) {
    lost_not_written_.add();
    log_.error("outbox", "a batch that could not be written is lost",
               {{"time", batch.time.to_string()}});
}

std::vector<std::uint64_t> Outbox::unsent() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::uint64_t> indexes;
    for (const auto& [index, entry] : entries_) {
        if (!entry.is_settled) {
            indexes.push_back(index);
        }
    }
    return indexes;
}

Result<OutgoingBatch> Outbox::reopen(std::uint64_t index) const {
    const ledger::Leaf leaf = TRY(ledger_.leaf(index));
    const Bytes text = TRY(files_.read(folder(index) + "/openings.jsonl", small_file_size_max));
    const auto openings = TRY(parse_openings(as_text(text)));
    OutgoingBatch batch;
    batch.time = leaf.time;
    const auto profile = leaf.members.string("profile");
    batch.is_compatible = profile && *profile == "compatible";
    for (ledger::LeafPayload known : leaf.payloads) {
        const std::string path = fmt::format("{}/{}", directory_, known.name);
        const auto opening = std::find_if(
            openings.begin(), openings.end(),
            [&known](const ledger::Opening& o) { return o.commitment == known.commitment; });
        known.name = std::string(base_name(known.name));
        const auto product = privacy::product_of_payload(known.name);
        if (opening == openings.end() || !product) {
            return fail(Code::corrupt, fmt::format("{}: no opening, or no product", path));
        }
        Bytes octets = TRY(files_.read(path, privacy::payload_size_max));
        batch.payloads.push_back(TRY(
            privacy::reopen({.product = *product, .name = known.name, .octets = std::move(octets)},
                            opening->salt, std::span(&known, 1))));
    }
    return batch;
}

void Outbox::settle(std::uint64_t index, Settled how, UtcTime now) {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(index);
    if (entry == entries_.end()) {
        return;
    }
    entry->second.is_settled = true;
    entry->second.is_refused = how == Settled::refused;
    entry->second.settled = now;
    const std::string mark = folder(index) + (how == Settled::sent ? "/sent" : "/refused");
    const std::string when = now.to_string();
    if (const auto marked = files_.write_atomically(mark, as_bytes(when)); !marked) {
        // It will be sent again after a restart; the core knows it then.
        errors_.add();
        log_.error("outbox", "cannot note that a batch is settled",
                   {{"batch", index}, {"reason", marked.error().what()}});
    }
    show();
}

void Outbox::tidy(UtcTime now) {
    const std::lock_guard lock(mutex_);
    std::uint64_t waiting = 0;
    for (const auto& [index, entry] : entries_) {
        waiting += entry.is_settled ? 0 : entry.size;
    }
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto& [index, entry] = *at;
        const Duration age = now - entry.time;
        if (entry.is_settled) {
            const Duration kept = entry.is_refused
                                      ? std::max(settings_.age_max, settings_.sent_age_max)
                                      : settings_.sent_age_max;
            if (now - entry.settled <= kept) {
                ++at;
                continue;
            }
            remove_folder(folder(index));
        } else if (age > settings_.age_max) {
            waiting -= entry.size;
            lost_too_old_.add();
            drop(index, entry, "too old");
        } else if (waiting > settings_.size_max) {
            waiting -= entry.size;
            lost_no_room_.add();
            drop(index, entry, "no room");
        } else {
            ++at;
            continue;
        }
        at = entries_.erase(at);
    }
    show();
}

void Outbox::drop(std::uint64_t index, const Entry& entry, std::string_view why) {
    log_.error("outbox", "a batch was dropped before the core had it",
               {{"batch", index}, {"reason", why}, {"octets", entry.size}});
    remove_folder(folder(index));
}

void Outbox::remove_folder(const std::string& path) const {
    // Best effort: what stays is tried again at the next start.
    if (const auto found = files_.list(path)) {
        for (const world::DirectoryEntry& file : *found) {
            static_cast<void>(files_.remove(fmt::format("{}/{}", path, file.name)));
        }
        static_cast<void>(files_.remove(path));
    }
}

void Outbox::show() const {
    std::int64_t count = 0;
    std::uint64_t size = 0;
    std::int64_t oldest_s = 0;
    for (const auto& [index, entry] : entries_) {
        if (!entry.is_settled && (oldest_s == 0 || entry.time.seconds() < oldest_s)) {
            oldest_s = entry.time.seconds();
        }
        count += entry.is_settled ? 0 : 1;
        size += entry.is_settled ? 0 : entry.size;
    }
    waiting_.set(count);
    waiting_size_.set(static_cast<std::int64_t>(size));
    oldest_.set(oldest_s);
}

}  // namespace tapir::edge
