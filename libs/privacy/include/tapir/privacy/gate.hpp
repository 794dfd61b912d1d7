// The release gate: the one place where a Released is made (DESIGN.md §3).
//
//     NameGate names(Profile::standard, {.single_site = false});
//     names.turn(time, key);                                     // before the frames of `time`
//     auto offer = names.offer(candidate, key);                  // a frame's name, not listed
//     for (auto& name : offer.released) { batch.push_back(std::move(name)); }
//
//     auto events = TRY(release_events(Profile::standard, batch, minute, key, signer));
//     auto rows = TRY(release_histogram({...}, std::move(candidates), key));
//     outlet.send(*rows.payload);                                // Released<Payload>
//
//     auto told = TRY(release_sightings(Profile::standard, post));    // to the aggregator (R10)
//
//     auto again = TRY(reopen(payload, salt, unsent_payloads));  // after a restart
//
// Deterministic: time, key and signer are arguments. Tags and counts come in, never addresses.
// A NameGate is used by one thread; the functions are pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/dns/public_suffix.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/ledger/leaf.hpp"
#include "tapir/privacy/children.hpp"
#include "tapir/privacy/gate_key.hpp"
#include "tapir/privacy/group.hpp"
#include "tapir/privacy/pending.hpp"
#include "tapir/privacy/rarity.hpp"
#include "tapir/privacy/released.hpp"
#include "tapir/privacy/table.hpp"
#include "tapir/products/histogram.hpp"
#include "tapir/products/new_qname.hpp"
#include "tapir/products/sightings.hpp"

namespace tapir::privacy {

inline constexpr std::size_t events_in_payload_max = 65'536;  // below the receiver's 64 MiB
inline constexpr std::size_t payload_size_max = 64U << 20U;   // octets, the receiver's limit

// What is sent as one request: the octets and the name that they have on disk and in the ledger.
// The name tells the product: that of a histogram also its interval.
struct Payload {
    Product product = Product::histogram;
    std::string name;
    Bytes octets;
};
// The product that a payload's name tells; nothing if it is none of ours.
std::optional<Product> product_of_payload(std::string_view name);

// What was counted for one entry of the list, exact.
struct RowCandidate {
    std::uint32_t number = 0;    // the caller's: says which rows were not released
    std::string entry;           // the entry's text: what the threshold is drawn for, and sorted by
    products::HistogramRow row;  // start_time is set by the gate
    unsigned v4_networks = 0;    // up to 3
    unsigned v6_networks = 0;
};

// The rows of an interval, by number, in any order. The gate has each made when it is its turn: all
// of them at once would take more memory than counting them did.
class RowSource {
public:
    virtual ~RowSource() = default;
    virtual std::size_t size() const = 0;
    // What candidate() has as `entry`; two rows never have the same.
    virtual std::string entry(std::size_t number) const = 0;
    virtual RowCandidate candidate(std::size_t number) const = 0;
};

// Why a row was released or not.
enum class RowVerdict : std::uint8_t { released, few_clients, few_networks };

// Told of each decision: for explaining. Called in the gate's thread, with what is valid in the
// call.
class GateWatch {
public:
    virtual ~GateWatch() = default;
    // A frame was counted for this form of its name.
    struct Counted {
        std::string_view form;
        PendingOutcome outcome;
        Pending::Progress progress;  // of what is not decided
        unsigned threshold;          // today's
        bool is_ipv6;
    };
    virtual void counted(const Counted& what) = 0;
    // A row: as it leaves if it is released, else as it was counted.
    virtual void row(const products::Interval& interval, const RowCandidate& candidate,
                     RowVerdict verdict) = 0;
};

// A sketch may leave from so many clients on, for each of its registers (R5): what it then tells
// its key's holder about one client is next to nothing.
inline constexpr std::uint64_t sketch_clients_per_register = 72;

struct GateSettings {
    Profile profile = Profile::standard;
    bool single_site = false;  // waives that clients must come from several networks
    // Opt-in of a rule without sketches: those of whole hours leave, of entries with very many
    // clients. Their hashes must be keyed for the entry and the hour.
    bool hourly_sketches = false;
    PendingLimits pending;
    std::size_t parent_count = 1U << 14U;  // of which distinct children are counted
    std::size_t rarity_bits = rarity_bits_usual;
    GateWatch* watch = nullptr;  // must outlive the gate
    Group* group = nullptr;      // the same; null: this site counts alone
};

// A name that a frame asked for.
struct NameCandidate {
    std::string_view name;         // presentation form, final dot; lower case unless `as_asked`
    std::size_t domain_start = 0;  // where in it its registered domain begins
    Sighting sighting;             // of the domain; not looked at if the rule has no threshold
    std::uint16_t qtype = 0;
    std::uint16_t qclass = 0;
    std::uint16_t flags = 0;        // of the header, as it came
    std::optional<UtcTime> minute;  // the frame's; used where the form is `as_asked`
};

// What is known of wildcards from the days before.
class WildcardMemory {
public:
    virtual ~WildcardMemory() = default;
    // `name`: the parent, "cdn.example.com.".
    virtual bool was_wildcard(std::string_view name) = 0;
    virtual void became_wildcard(std::string_view name) = 0;
};

// First-seen names. Those that it releases may have been released on another day: what was
// released, ever, is for the caller to know.
class NameGate {
public:
    // `memory` must outlive it; null: nothing is known.
    explicit NameGate(const GateSettings& settings, WildcardMemory* memory = nullptr);

    // The time of the frames that come; a new hour or UTC day empties what belongs to the old.
    // `key` is the day's.
    void turn(UtcTime time, const GateKey& key);

    struct Offer {
        // Of the most detailed form that was counted.
        PendingOutcome outcome = PendingOutcome::waiting;
        std::vector<Released<products::NewQname>> released;  // two at most
        // Of a registered domain that is released: whether it was asked for before today, by too
        // few. For the operator alone (rarity.hpp).
        std::optional<bool> is_old;
        bool is_by_group = false;  // what is released reached T together with other sites
    };
    Offer offer(const NameCandidate& candidate, const GateKey& key);
    // Asks for the memory that an offer of it will read. Purely for speed.
    void prefetch(const Sighting& sighting) const { pending_.prefetch(sighting); }

    const Pending& pending() const { return pending_; }
    const Children& children() const { return children_; }

private:
    void climb(const NameCandidate& candidate, const GateKey& key, Offer& offer);
    // Counts for one form; releases it if it is reached.
    void count(std::string_view form, const Sighting& sighting, const NameCandidate& candidate,
               const GateKey& key, Offer& offer);
    // What a sighting is, with what the other sites have seen of it.
    PendingOutcome count_in_group(std::string_view form, const Sighting& sighting,
                                  const GateKey& key, Offer& offer);
    ParentKind kind_of(std::string_view parent, Fingerprint fingerprint, Fingerprint child);

    const Rule& rule_;
    GateWatch* const watch_;
    Group* const group_;  // null where there is no threshold
    Pending pending_;
    Children children_;
    Rarity rarity_;
    WildcardMemory* const memory_;
    std::string form_;  // of the moment
    std::optional<std::int64_t> hour_;
};

// What a person of the operator has decided to tell of (R7), as it stands there, in lower case.
// Refused is what may leave in no form, and a name with a label that looks like an identifier.
Result<Released<products::NewQname>> release_by_person(std::string_view name,
                                                       const dns::PublicSuffixes& suffixes);

// Why a suspect's domain may be told of, though too few have asked for it (R7).
struct ExceptionGrounds {
    bool is_pinned = false;  // it is on a threat list that the operator has pinned by its digest
    unsigned networks = 0;   // of one family, that it was asked for from on this UTC day
};
// The domain alone, with the hour of `time`. Refused is what may leave in no form, what is no
// registered domain, and what has not grounds enough. How many a day, `Exceptions` sees to.
Result<Released<products::NewQname>> release_by_exception(Profile profile, std::string_view domain,
                                                          const ExceptionGrounds& grounds,
                                                          const dns::PublicSuffixes& suffixes,
                                                          UtcTime time);

struct ReleasedEvents {
    std::vector<Released<Payload>> payloads;  // one, but for floods
    std::vector<std::string> messages;        // the JWS in the order of release
};
// One batch of names: signed, sorted by hash and padded as the rule says; a batch without names is
// a payload too where sizes are padded. `minute` is the batch's time (R6). Many names are signed in
// so many threads at once; what comes out is the same.
Result<ReleasedEvents> release_events(Profile profile,
                                      std::span<const Released<products::NewQname>> names,
                                      UtcTime minute, const GateKey& key,
                                      const jose::PrivateJwk& signer, std::size_t threads = 1);

// With fewer clients in both families no row is released, whatever its threshold is drawn to be: it
// is one of few_clients, and need not be made a candidate. 0 where nothing is withheld.
unsigned row_clients_min(Profile profile);

struct ReleasedHistogram {
    std::optional<Released<Payload>> payload;  // nothing: no rows, and the rule does not pad
    std::uint64_t rows_released = 0;
    // Numbers of those that were not: short of the threshold in both families, or with enough
    // clients from too few networks. They go whole into the next wider interval, or nowhere (R5).
    std::vector<std::uint32_t> few_clients;
    std::vector<std::uint32_t> few_networks;
    std::uint64_t sketches = 0;  // that leave by the opt-in
};
// `of_hour`: clients and sketches of entries over the whole interval, whatever has left of it by
// the minute. Where the settings let hourly sketches leave, each that may goes with the entry's
// row, or with a row of its own, whose other counts are 0: nothing is told twice. Not looked at
// otherwise.
Result<ReleasedHistogram> release_histogram_from(const RowSource& rows,
                                                 const GateSettings& settings,
                                                 const products::Interval& interval,
                                                 const GateKey& key,
                                                 std::vector<RowCandidate> of_hour = {});
// The same of rows that are there already.
Result<ReleasedHistogram> release_histogram(const GateSettings& settings,
                                            const products::Interval& interval,
                                            const std::vector<RowCandidate>& rows,
                                            const GateKey& key,
                                            std::vector<RowCandidate> of_hour = {});

// What a site tells its aggregator, and what that answers (R10): thresholds are those that the
// profile can draw, `profile` of the post is set. Code::invalid if one is not, and for
// `compatible`.
Result<Released<Payload>> release_sightings(Profile profile, products::Sightings post);
Result<Released<Payload>> release_releases(Profile profile, const products::Releases& answer);
// Whether a post is of this profile, and each of its thresholds one that it can draw.
bool is_of_profile(Profile profile, const products::Sightings& post);

// What lies in the outbox since before a restart, released again: only if it is, octet for octet,
// a payload of a ledger leaf that has not been sent. Code::denied otherwise.
Result<Released<Payload>> reopen(Payload payload, const ledger::Salt& salt,
                                 std::span<const ledger::LeafPayload> unsent);

}  // namespace tapir::privacy
