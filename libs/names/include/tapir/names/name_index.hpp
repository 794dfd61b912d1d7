// The compiled list of names: which entry does a name fall under?
//
//     NameIndexBuilder builder;
//     builder.add({.name = name, .kind = EntryKind::suffix});
//     const NameIndex index = TRY(std::move(builder).build());
//     write_file(index.bytes());                                    // docs/formats/name-index.md
//     const NameIndex mapped = TRY(NameIndex::open(bytes, keeper));
//
//     if (const auto match = index.find(name)) { ... }
//     index.prefetch(name); ...                // the same in steps, with other work in between:
//     LookUp look_up = index.start(name); ...  // in much less time, where the list is large
//     index.go_on(look_up, name); ...
//     index.go_on(look_up, name); ...
//     const auto match = index.finish(look_up, name);
//
// An exact entry matches its own name; a suffix entry (a leading dot in lists) matches every name
// strictly below its own, at any depth. Exact beats suffix; the longest suffix beats shorter ones.
// A look-up compares the names, so there are no false positives. It allocates nothing.
// Immutable; threads may share it. Copies share the octets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/dns/name.hpp"

namespace tapir::names {

inline constexpr std::size_t entry_count_max = 100'000'000;

enum class EntryKind : std::uint8_t { exact = 1, suffix = 2 };  // also edm_status_bits

// Place of an entry in the order in which entries were added, duplicates left out.
enum class EntryId : std::uint32_t {};

struct Entry {
    dns::NameView name;  // a suffix entry without its leading dot
    EntryKind kind = EntryKind::exact;
};

struct Match {
    EntryId id{};
    EntryKind kind = EntryKind::exact;

    friend bool operator==(const Match&, const Match&) = default;
};

// A look-up on its way: the entry that the name will most likely turn out to be.
class LookUp {
private:
    friend class NameIndex;
    // What comes next.
    enum class Step : std::uint8_t {
        probe,    // where it is was full: the entry may be further on
        block,    // the entry is known: where its name lies
        compare,  // its name
        none,     // no entry matches
    };
    std::uint32_t id_ = 0;
    std::uint8_t label_count_ = 0;  // of the name's suffix that is to be compared
    EntryKind kind_ = EntryKind::exact;
    Step step_ = Step::probe;
};

class NameIndex {
public:
    NameIndex();  // an empty list: nothing matches

    // Octets that NameIndexBuilder made. Checks magic, version, sizes and digest. They must outlive
    // all copies of the index: pass a `keeper` that holds them, or see to it.
    static Result<NameIndex> open(ByteView octets, std::shared_ptr<const void> keeper = nullptr);

    // Whether a file says of itself that it is an index: its first octets.
    static bool is_index(ByteView octets);

    std::size_t size() const { return entry_count_; }
    bool empty() const { return entry_count_ == 0; }

    std::optional<Match> find(const dns::FoldedName& name) const;
    // What find() does, in steps. Each asks for the memory that the next one reads, so that there
    // is no wait for it if other work was done in between. The name must stay the same. A step
    // that is left out costs time and nothing else, but for start(); go_on() has two at most.
    void prefetch(const dns::FoldedName& name) const;
    LookUp start(const dns::FoldedName& name) const;
    void go_on(LookUp& look_up, const dns::FoldedName& name) const;
    std::optional<Match> finish(const LookUp& look_up, const dns::FoldedName& name) const;

    // The entry itself, lower case. The view is into the octets. Asserts that `id` is below size().
    Entry entry(EntryId id) const;
    // Only the exact entry or only the suffix entry of this very name. For tools.
    std::optional<EntryId> find_entry(const dns::FoldedName& name, EntryKind kind) const;

    // Whether the name's last `label_count` labels are an entry, of either kind.
    bool has_entry(const dns::FoldedName& name, std::size_t label_count) const;
    // Asks for the memory that has_entry() will read. Purely for speed.
    void prefetch_entry(const dns::FoldedName& name, std::size_t label_count) const;

    // The index as a file. Valid while this index, or a copy, lives.
    ByteView bytes() const { return octets_; }
    // XXH3-64 over the file's contents: tells versions of a list apart. Not a signature.
    std::uint64_t digest() const { return digest_; }

private:
    friend class NameIndexBuilder;
    // Where the sections lie, and what the header says.
    struct Layout {
        std::size_t buckets = 0;
        std::size_t blocks = 0;
        std::size_t kinds = 0;
        std::size_t names = 0;
        std::size_t bucket_count = 0;
        std::size_t entry_count = 0;
        std::uint64_t suffix_label_counts = 0;
        std::uint64_t digest = 0;
    };
    NameIndex(ByteView octets, std::shared_ptr<const void> keeper, const Layout& layout);
    std::optional<EntryId> probe(std::uint64_t fingerprint, dns::NameView name,
                                 EntryKind kind) const;
    struct Probe;
    Probe probe_of(const dns::FoldedName& name, std::size_t labels_less) const;
    void probe_one_by_one(LookUp& look_up, const dns::FoldedName& name) const;
    bool offer(std::uint64_t fingerprint, EntryKind kind, LookUp& look_up) const;
    // The wire form of an entry's name; empty if the file lies.
    ByteView stored(std::uint32_t id) const;

    std::shared_ptr<const void> keeper_;
    ByteView octets_;
    const std::byte* buckets_ = nullptr;
    const std::byte* blocks_ = nullptr;
    const std::byte* kinds_ = nullptr;
    ByteView names_;
    std::size_t bucket_count_ = 0;
    std::size_t entry_count_ = 0;
    std::uint64_t digest_ = 0;
    // Bit n: there is a suffix entry of n labels (63: of 63 or more).
    std::uint64_t suffix_label_counts_ = 0;
};

class NameIndexBuilder {
public:
    // Copies the name, lower case. Refuses (exhausted) more than entry_count_max entries, and more
    // than 4 GiB of names.
    Result<void> add(Entry entry);
    // Entries added so far, duplicates included.
    std::size_t size() const { return fingerprints_.size(); }

    // Duplicates are left out: there were size() less the index's size() of them.
    Result<NameIndex> build() &&;

private:
    ByteView stored(std::size_t id) const;
    std::vector<std::uint32_t> duplicates() const;
    void leave_out(const std::vector<std::uint32_t>& ids);
    void fill_buckets(std::byte* buckets, std::size_t bucket_count) const;

    dns::FoldedName folded_;             // room to fold into
    Bytes names_;                        // size octet and wire form, one after the other
    std::vector<std::uint32_t> blocks_;  // offset of each block of entries in names_
    std::vector<std::uint64_t> fingerprints_;
    std::vector<bool> suffixes_;
    std::uint64_t suffix_label_counts_ = 0;
};

}  // namespace tapir::names
