#include "tapir/names/name_index.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "tapir/base/assert.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

// The layout is docs/formats/name-index.md. Invariants of an open index:
// 1. the sections lie in the file one behind the other and fill it exactly;
// 2. bucket_count_ is at least 1, so that a probe always has a place to start.
// What the sections hold is not believed: each read through them is bounded.
namespace tapir::names {

static_assert(std::endian::native == std::endian::little, "the file is mapped as it stands");

namespace {

constexpr std::array<char, 8> magic = {'T', 'A', 'P', 'I', 'R', 'N', 'X', '\n'};
constexpr std::uint32_t version = 1;
constexpr std::size_t bucket_size = 64;  // octets: a cache line
constexpr std::size_t bucket_slots = 8;
constexpr std::size_t bucket_fill = 6;     // entries for each bucket, on average
constexpr std::size_t block_entries = 4;   // with their names about two cache lines
constexpr std::size_t probes_abreast = 3;  // of a look-up in steps
constexpr std::size_t build_lookahead = 16;
constexpr std::size_t names_size_max = UINT32_MAX - dns::name_size_max;
constexpr std::uint64_t digest_seed = 1;

struct FileHeader {
    std::array<char, 8> magic = {};
    std::uint32_t version = 0;
    std::uint32_t header_size = 0;
    std::uint64_t file_size = 0;
    std::uint64_t entry_count = 0;
    std::uint64_t bucket_count = 0;
    std::uint64_t names_size = 0;
    std::uint64_t suffix_label_counts = 0;
    std::uint64_t digest = 0;
};
static_assert(sizeof(FileHeader) == bucket_size);

// A line of memory that starts at a multiple of its size: a bucket is then one access.
struct alignas(bucket_size) CacheLine {
    std::array<std::byte, bucket_size> octets;
};

struct Sections {
    std::size_t buckets = sizeof(FileHeader);
    std::size_t blocks = 0;
    std::size_t kinds = 0;
    std::size_t names = 0;
    std::size_t end = 0;

    // Arguments within their limits: no sum overflows.
    Sections(std::size_t bucket_count, std::size_t entry_count, std::size_t names_size)
        : blocks(buckets + bucket_count * bucket_size),
          kinds(blocks + (entry_count + block_entries - 1) / block_entries * 4),
          names(kinds + (entry_count + 7) / 8),
          end(names + names_size) {}
};

std::uint64_t load_u64(const std::byte* at) {
    std::uint64_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
}
std::uint32_t load_u32(const std::byte* at) {
    std::uint32_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
}

std::size_t bucket_for(std::uint64_t fingerprint, std::size_t bucket_count) {
    // The upper 32 bits scaled to the number of buckets; the lower ones make the tag.
    return (fingerprint >> 32U) * bucket_count >> 32U;
}

// The upper half of a slot: 30 bits of the fingerprint and the kind, which is never 0. The lower
// half is the entry's id.
std::uint32_t tag_of(std::uint64_t fingerprint, EntryKind kind) {
    return static_cast<std::uint32_t>(fingerprint) << 2U | static_cast<std::uint32_t>(kind);
}

std::uint64_t label_count_bit(std::size_t label_count) {
    return std::uint64_t{1} << std::min<std::size_t>(label_count, 63);
}

// XXH3 over the header, its digest zero, and all that follows.
std::uint64_t digest_of(ByteView octets, FileHeader header) {
    header.digest = 0;
    const std::uint64_t seed = XXH3_64bits_withSeed(&header, sizeof header, digest_seed);
    const ByteView body = octets.subspan(sizeof header);
    return XXH3_64bits_withSeed(body.data(), body.size(), seed);
}

Result<FileHeader> read_header(ByteView octets) {
    FileHeader header;
    if (octets.size() < sizeof header) {
        return fail(Code::corrupt, fmt::format("name index: expected at least {} octets, got {}",
                                               sizeof header, octets.size()));
    }
    std::memcpy(&header, octets.data(), sizeof header);
    if (header.magic != magic) {
        return fail(Code::corrupt, "name index: expected its magic, got another file");
    }
    if (header.version != version || header.header_size != sizeof header) {
        return fail(Code::invalid, fmt::format("name index: expected version {}, got {}: compile "
                                               "the list again",
                                               version, header.version));
    }
    if (header.file_size != octets.size()) {
        return fail(Code::corrupt, fmt::format("name index: expected {} octets, got {}",
                                               header.file_size, octets.size()));
    }
    if (header.entry_count > entry_count_max || header.bucket_count == 0 ||
        header.bucket_count > entry_count_max || header.names_size > names_size_max ||
        Sections(header.bucket_count, header.entry_count, header.names_size).end != octets.size()) {
        return fail(Code::corrupt, "name index: sizes that do not fit together");
    }
    if (digest_of(octets, header) != header.digest) {
        return fail(Code::corrupt, "name index: damaged: the digest is another");
    }
    return header;
}

// Bit i: slot i of a bucket has this tag.
unsigned slots_with(const std::byte* bucket, std::uint32_t tag) {
#if defined(__SSE2__)
    const auto two = [bucket](std::size_t i) {
        return _mm_castsi128_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bucket + 16 * i)));
    };
    // Of each two slots the upper halves: the tags.
    const auto tags = [&two](std::size_t i) {
        return _mm_castps_si128(_mm_shuffle_ps(two(i), two(i + 1), _MM_SHUFFLE(3, 1, 3, 1)));
    };
    const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag));
    const __m128i low = _mm_cmpeq_epi32(tags(0), wanted);
    const __m128i high = _mm_cmpeq_epi32(tags(2), wanted);
    return static_cast<unsigned>(_mm_movemask_ps(_mm_castsi128_ps(low))) |
           static_cast<unsigned>(_mm_movemask_ps(_mm_castsi128_ps(high))) << 4U;
#else
    unsigned found = 0;
    for (std::size_t i = 0; i < bucket_slots; ++i) {
        const bool is_same = load_u32(bucket + 8 * i + 4) == tag;
        found |= static_cast<unsigned>(is_same) << i;
    }
    return found;
#endif
}

// Most names are this long. They are compared in the same few steps, whatever their size: a jump
// that is guessed wrong costs as much as all of them.
bool are_same_octets(const std::byte* a, const std::byte* b, std::size_t size) {
    constexpr std::size_t word = sizeof(std::uint64_t);
    if (size < word || size > 4 * word) {
        return std::memcmp(a, b, size) == 0;
    }
    const std::size_t last = size - word;
    const std::size_t second = std::min(word, last);
    const std::size_t third = last - second;
    const auto differing = [a, b](std::size_t at) { return load_u64(a + at) ^ load_u64(b + at); };
    return (differing(0) | differing(second) | differing(third) | differing(last)) == 0;
}

bool is_stored_as(ByteView stored, dns::NameView folded) {
    return stored.size() == folded.wire_size() &&
           are_same_octets(stored.data(), folded.wire().data(), stored.size());
}

}  // namespace

NameIndex::NameIndex() {
    auto empty = NameIndexBuilder().build();
    TAPIR_ASSERT(empty.has_value());
    *this = *std::move(empty);
}

NameIndex::NameIndex(ByteView octets, std::shared_ptr<const void> keeper, const Layout& layout)
    : keeper_(std::move(keeper)),
      octets_(octets),
      buckets_(octets.data() + layout.buckets),
      blocks_(octets.data() + layout.blocks),
      kinds_(octets.data() + layout.kinds),
      names_(octets.subspan(layout.names)),
      bucket_count_(layout.bucket_count),
      entry_count_(layout.entry_count),
      digest_(layout.digest),
      suffix_label_counts_(layout.suffix_label_counts) {}

Result<NameIndex> NameIndex::open(ByteView octets, std::shared_ptr<const void> keeper) {
    const FileHeader header = TRY(read_header(octets));
    const Sections at(header.bucket_count, header.entry_count, header.names_size);
    return NameIndex(octets, std::move(keeper),
                     Layout{.buckets = at.buckets,
                            .blocks = at.blocks,
                            .kinds = at.kinds,
                            .names = at.names,
                            .bucket_count = header.bucket_count,
                            .entry_count = header.entry_count,
                            .suffix_label_counts = header.suffix_label_counts,
                            .digest = header.digest});
}

bool NameIndex::is_index(ByteView octets) {
    return as_text(octets).starts_with(std::string_view(magic.data(), magic.size()));
}

ByteView NameIndex::stored(std::uint32_t id) const {
    constexpr std::size_t block_size_max = block_entries * (1 + UINT8_MAX);
    std::size_t at = load_u32(blocks_ + id / block_entries * 4);
    if (names_.size() >= block_size_max && at <= names_.size() - block_size_max) [[likely]] {
        // All of a block's names are passed, so that no jump depends on which one is wanted.
        std::array<std::size_t, block_entries> starts;
        for (std::size_t& start : starts) {
            start = at;
            at += 1 + std::to_integer<std::size_t>(names_[at]);
        }
        at = starts[id % block_entries];
        return names_.subspan(at + 1, std::to_integer<std::size_t>(names_[at]));
    }
    for (std::size_t skip = id % block_entries; skip > 0 && at < names_.size(); --skip) {
        at += 1 + std::to_integer<std::size_t>(names_[at]);
    }
    if (at >= names_.size()) {
        return {};
    }
    const std::size_t size = std::to_integer<std::size_t>(names_[at]);
    return names_.size() - at - 1 < size ? ByteView{} : names_.subspan(at + 1, size);
}

std::optional<EntryId> NameIndex::probe(std::uint64_t fingerprint, dns::NameView name,
                                        EntryKind kind) const {
    const std::uint32_t wanted = tag_of(fingerprint, kind);
    std::size_t bucket = bucket_for(fingerprint, bucket_count_);
    for (std::size_t visited = 0; visited < bucket_count_; ++visited) {
        const std::byte* at = buckets_ + bucket * bucket_size;
        for (unsigned found = slots_with(at, wanted); found != 0; found &= found - 1) {
            const auto id = load_u32(at + 8 * static_cast<std::size_t>(std::countr_zero(found)));
            if (id < entry_count_ && is_stored_as(stored(id), name)) {
                return EntryId{id};
            }
        }
        if (load_u64(at + 8 * (bucket_slots - 1)) == 0) {
            return std::nullopt;  // slots are filled from the first on: this one had room
        }
        bucket = bucket + 1 == bucket_count_ ? 0 : bucket + 1;
    }
    return std::nullopt;
}

// What is looked for first: the name itself, and suffix entries of one and of two labels less, if
// there are any so long. What is not asked for stands for the name itself.
struct NameIndex::Probe {
    const std::byte* bucket = nullptr;
    std::uint64_t fingerprint = 0;
    unsigned is_asked = 0;
};

// No jump in it depends on the name: one that is guessed wrong costs more than a probe.
NameIndex::Probe NameIndex::probe_of(const dns::FoldedName& name, std::size_t labels_less) const {
    const std::size_t labels = name.label_count();
    const std::size_t left = labels - std::min(labels_less, labels);
    Probe probe;
    const bool has_suffixes = (suffix_label_counts_ & label_count_bit(left)) != 0;
    probe.is_asked = static_cast<unsigned>(labels_less == 0) |
                     (static_cast<unsigned>(left > 0) & static_cast<unsigned>(has_suffixes));
    const std::size_t asked = labels - (labels_less & (std::size_t{0} - probe.is_asked));
    probe.fingerprint = name.fingerprint(asked);
    probe.bucket = buckets_ + bucket_for(probe.fingerprint, bucket_count_) * bucket_size;
    return probe;
}

void NameIndex::prefetch(const dns::FoldedName& name) const {
    for (std::size_t i = 0; i < probes_abreast; ++i) {
        __builtin_prefetch(probe_of(name, i).bucket);
    }
}

// Looks for a slot with the right tag where the entry would be. The names are not compared yet.
bool NameIndex::offer(std::uint64_t fingerprint, EntryKind kind, LookUp& look_up) const {
    const std::uint32_t wanted = tag_of(fingerprint, kind);
    std::size_t bucket = bucket_for(fingerprint, bucket_count_);
    for (std::size_t visited = 0; visited < bucket_count_; ++visited) {
        const std::byte* at = buckets_ + bucket * bucket_size;
        if (const unsigned found = slots_with(at, wanted); found != 0) {
            look_up.id_ = load_u32(at + 8 * static_cast<std::size_t>(std::countr_zero(found)));
            look_up.kind_ = kind;
            return true;
        }
        if (load_u64(at + 8 * (bucket_slots - 1)) == 0) {
            return false;  // this one had room
        }
        bucket = bucket + 1 == bucket_count_ ? 0 : bucket + 1;
    }
    return false;
}

// All of the first probes at once, then the first of them that found something.
LookUp NameIndex::start(const dns::FoldedName& name) const {
    std::array<const std::byte*, probes_abreast> buckets;
    unsigned found = 0;  // eight slots of each probe
    unsigned full = 0;   // by probe: the entry may be in the next bucket
    for (std::size_t i = 0; i < probes_abreast; ++i) {
        const Probe probe = probe_of(name, i);
        const EntryKind kind = i == 0 ? EntryKind::exact : EntryKind::suffix;
        const unsigned slots = slots_with(probe.bucket, tag_of(probe.fingerprint, kind));
        found |= (slots & (0U - probe.is_asked)) << bucket_slots * i;
        const bool is_full = load_u64(probe.bucket + 8 * (bucket_slots - 1)) != 0;
        full |= (static_cast<unsigned>(is_full) & probe.is_asked) << i;
        buckets[i] = probe.bucket;
    }
    const auto slot =
        static_cast<std::size_t>(std::countr_zero(found | 1U << bucket_slots * probes_abreast));
    const std::size_t probe = slot / bucket_slots;
    const bool is_passed_over = (full & ((1U << probe) - 1)) != 0;
    const bool is_longer = probe == probes_abreast && name.label_count() > probes_abreast;
    LookUp look_up;
    if (is_passed_over || is_longer) [[unlikely]] {
        for (const std::byte* bucket : buckets) {
            // Of the last one, what lies behind it: no harm.
            __builtin_prefetch(bucket + bucket_size);
        }
    } else if (probe < probes_abreast) [[likely]] {
        look_up.id_ = load_u32(buckets[probe] + 8 * (slot % bucket_slots));
        look_up.label_count_ = static_cast<std::uint8_t>(name.label_count() - probe);
        look_up.kind_ = probe == 0 ? EntryKind::exact : EntryKind::suffix;
        look_up.step_ = LookUp::Step::block;
        __builtin_prefetch(blocks_ + look_up.id_ / block_entries * 4);
    } else {
        look_up.step_ = LookUp::Step::none;
    }
    return look_up;
}

void NameIndex::probe_one_by_one(LookUp& look_up, const dns::FoldedName& name) const {
    std::size_t labels = name.label_count();
    bool is_offered = offer(name.fingerprint(), EntryKind::exact, look_up);
    while (!is_offered && labels > 1) {
        --labels;
        is_offered = (suffix_label_counts_ & label_count_bit(labels)) != 0 &&
                     offer(name.fingerprint(labels), EntryKind::suffix, look_up);
    }
    look_up.label_count_ = static_cast<std::uint8_t>(labels);
    look_up.step_ = is_offered ? LookUp::Step::block : LookUp::Step::none;
    if (is_offered) {
        __builtin_prefetch(blocks_ + look_up.id_ / block_entries * 4);
    }
}

void NameIndex::go_on(LookUp& look_up, const dns::FoldedName& name) const {
    if (look_up.step_ == LookUp::Step::block) [[likely]] {
        look_up.step_ = LookUp::Step::compare;
        if (look_up.id_ >= entry_count_) {
            return;
        }
        const std::size_t offset = load_u32(blocks_ + look_up.id_ / block_entries * 4);
        if (offset < names_.size()) {
            __builtin_prefetch(names_.data() + offset);
            __builtin_prefetch(names_.data() + std::min(offset + 64, names_.size() - 1));
        }
    } else if (look_up.step_ == LookUp::Step::probe) {
        probe_one_by_one(look_up, name);
    }
}

std::optional<Match> NameIndex::finish(const LookUp& look_up, const dns::FoldedName& name) const {
    if (look_up.step_ == LookUp::Step::none) {
        return std::nullopt;
    }
    if (look_up.step_ != LookUp::Step::probe && look_up.id_ < entry_count_ &&
        is_stored_as(stored(look_up.id_), name.suffix(look_up.label_count_))) {
        return Match{EntryId{look_up.id_}, look_up.kind_};
    }
    return find(name);  // a step was left out, or another name has the same tag
}

std::optional<Match> NameIndex::find(const dns::FoldedName& name) const {
    const std::size_t count = name.label_count();
    if (const auto id = probe(name.fingerprint(count), name.view(), EntryKind::exact)) {
        return Match{*id, EntryKind::exact};
    }
    for (std::size_t labels = count; labels-- > 1;) {
        if ((suffix_label_counts_ & label_count_bit(labels)) == 0) {
            continue;
        }
        if (const auto id =
                probe(name.fingerprint(labels), name.suffix(labels), EntryKind::suffix)) {
            return Match{*id, EntryKind::suffix};
        }
    }
    return std::nullopt;
}

std::optional<EntryId> NameIndex::find_entry(const dns::FoldedName& name, EntryKind kind) const {
    return probe(name.fingerprint(), name.view(), kind);
}

bool NameIndex::has_entry(const dns::FoldedName& name, std::size_t label_count) const {
    const std::uint64_t fingerprint = name.fingerprint(label_count);
    const dns::NameView wanted = name.suffix(label_count);
    return probe(fingerprint, wanted, EntryKind::exact) ||
           probe(fingerprint, wanted, EntryKind::suffix);
}

void NameIndex::prefetch_entry(const dns::FoldedName& name, std::size_t label_count) const {
    __builtin_prefetch(buckets_ +
                       bucket_for(name.fingerprint(label_count), bucket_count_) * bucket_size);
}

Entry NameIndex::entry(EntryId id) const {
    const auto number = static_cast<std::uint32_t>(id);
    TAPIR_ASSERT(number < entry_count_);
    const unsigned kinds = std::to_integer<unsigned>(kinds_[number / 8]);
    // Only in a file that was made to lie, with the right digest, is it no name: then the root.
    const auto name = dns::NameView::parse(stored(number));
    return {.name = name ? *name : dns::NameView(),
            .kind = (kinds >> (number % 8) & 1U) != 0 ? EntryKind::suffix : EntryKind::exact};
}

Result<void> NameIndexBuilder::add(Entry entry) {
    folded_.assign(entry.name);
    const ByteView wire = folded_.view().wire();
    if (size() == entry_count_max || names_.size() + 1 + wire.size() > names_size_max) {
        return fail(Code::exhausted, fmt::format("expected at most {} names in a list, and {} "
                                                 "octets of them",
                                                 entry_count_max, names_size_max));
    }
    if (size() % block_entries == 0) {
        blocks_.push_back(static_cast<std::uint32_t>(names_.size()));
    }
    append_u8(names_, static_cast<std::uint8_t>(wire.size()));
    append(names_, wire);
    fingerprints_.push_back(folded_.fingerprint());
    suffixes_.push_back(entry.kind == EntryKind::suffix);
    if (entry.kind == EntryKind::suffix) {
        suffix_label_counts_ |= label_count_bit(folded_.label_count());
    }
    return {};
}

ByteView NameIndexBuilder::stored(std::size_t id) const {
    std::size_t at = blocks_[id / block_entries];
    for (std::size_t skip = id % block_entries; skip > 0; --skip) {
        at += 1 + std::to_integer<std::size_t>(names_[at]);
    }
    return ByteView(names_).subspan(at + 1, std::to_integer<std::size_t>(names_[at]));
}

std::vector<std::uint32_t> NameIndexBuilder::duplicates() const {
    // A set of ids by fingerprint and kind, then by name.
    const std::size_t mask = std::bit_ceil(2 * size() + 1) - 1;
    std::vector<std::uint32_t> seen(mask + 1, UINT32_MAX);
    std::vector<std::uint32_t> found;
    for (std::size_t id = 0; id < size(); ++id) {
        if (id + build_lookahead < size()) {
            __builtin_prefetch(&seen[fingerprints_[id + build_lookahead] & mask]);
        }
        std::size_t at = fingerprints_[id] & mask;
        while (seen[at] != UINT32_MAX) {
            const std::uint32_t other = seen[at];
            if (fingerprints_[other] == fingerprints_[id] && suffixes_[other] == suffixes_[id] &&
                std::ranges::equal(stored(other), stored(id))) {
                found.push_back(static_cast<std::uint32_t>(id));
                break;
            }
            at = (at + 1) & mask;
        }
        if (seen[at] == UINT32_MAX) {
            seen[at] = static_cast<std::uint32_t>(id);
        }
    }
    return found;
}

void NameIndexBuilder::leave_out(const std::vector<std::uint32_t>& ids) {
    std::size_t kept = 0;
    std::size_t to = 0;
    std::size_t from = 0;
    auto next = ids.begin();
    blocks_.clear();
    for (std::size_t id = 0; id < size(); ++id) {
        const std::size_t record = 1 + std::to_integer<std::size_t>(names_[from]);
        if (next != ids.end() && *next == id) {
            ++next;
            from += record;
            continue;
        }
        if (kept % block_entries == 0) {
            blocks_.push_back(static_cast<std::uint32_t>(to));
        }
        std::memmove(names_.data() + to, names_.data() + from, record);
        fingerprints_[kept] = fingerprints_[id];
        suffixes_[kept] = suffixes_[id];
        ++kept;
        to += record;
        from += record;
    }
    names_.resize(to);
    fingerprints_.resize(kept);
    suffixes_.resize(kept);
}

void NameIndexBuilder::fill_buckets(std::byte* buckets, std::size_t bucket_count) const {
    for (std::size_t id = 0; id < size(); ++id) {
        if (id + build_lookahead < size()) {
            __builtin_prefetch(
                buckets +
                    bucket_for(fingerprints_[id + build_lookahead], bucket_count) * bucket_size,
                1);
        }
        const EntryKind kind = suffixes_[id] ? EntryKind::suffix : EntryKind::exact;
        const std::uint64_t slot =
            std::uint64_t{tag_of(fingerprints_[id], kind)} << 32U | static_cast<std::uint32_t>(id);
        std::size_t bucket = bucket_for(fingerprints_[id], bucket_count);
        std::size_t i = 0;
        while (load_u64(buckets + bucket * bucket_size + 8 * i) != 0) {
            if (++i == bucket_slots) {
                i = 0;
                bucket = bucket + 1 == bucket_count ? 0 : bucket + 1;
            }
        }
        std::memcpy(buckets + bucket * bucket_size + 8 * i, &slot, sizeof slot);
    }
}

Result<NameIndex> NameIndexBuilder::build() && {
    const std::vector<std::uint32_t> doubled = duplicates();
    if (!doubled.empty()) {
        leave_out(doubled);
    }
    const std::size_t bucket_count = size() / bucket_fill + 1;
    const Sections at(bucket_count, size(), names_.size());
    auto lines = std::make_shared<std::vector<CacheLine>>((at.end + bucket_size - 1) / bucket_size);
    std::byte* file = lines->data()->octets.data();
    fill_buckets(file + at.buckets, bucket_count);
    if (!blocks_.empty()) {
        std::memcpy(file + at.blocks, blocks_.data(), blocks_.size() * sizeof blocks_[0]);
        std::memcpy(file + at.names, names_.data(), names_.size());
    }
    for (std::size_t id = 0; id < size(); ++id) {
        if (suffixes_[id]) {
            file[at.kinds + id / 8] |= std::byte{1} << (id % 8);
        }
    }
    const ByteView octets(file, at.end);
    FileHeader header{.magic = magic,
                      .version = version,
                      .header_size = sizeof(FileHeader),
                      .file_size = at.end,
                      .entry_count = size(),
                      .bucket_count = bucket_count,
                      .names_size = names_.size(),
                      .suffix_label_counts = suffix_label_counts_};
    header.digest = digest_of(octets, header);
    std::memcpy(file, &header, sizeof header);
    return NameIndex(octets, std::move(lines),
                     NameIndex::Layout{.buckets = at.buckets,
                                       .blocks = at.blocks,
                                       .kinds = at.kinds,
                                       .names = at.names,
                                       .bucket_count = bucket_count,
                                       .entry_count = size(),
                                       .suffix_label_counts = suffix_label_counts_,
                                       .digest = header.digest});
}

}  // namespace tapir::names
