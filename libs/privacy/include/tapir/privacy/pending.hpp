// Names that few have asked for yet (R3): counted without being held. There is no name here, only
// fingerprints and tags under the day's key, in tables whose size never changes.
//
//     Pending pending(limits, 3);
//     if (pending.count(sighting, threshold) == PendingOutcome::reached) { ... }
//     pending.start_hour();      // at each full hour
//     pending.start_day();       // at 00:00 UTC: the tags mean nothing any more
//
// Stage one is a cell of 8 octets: 48 bits of the fingerprint and 16 of the first client's tag. A
// second client moves the name to stage two: a bitmap of 512 bits, one of them for each client, and
// up to three networks. A set bit may stand for two clients, never two bits for one, and the first
// client's network is not known: so each error is on the side of silence. Where a table is full the
// oldest of its set goes, counted. Families are counted apart. One thread at a time.
//
// Without cells (`cell_count` 0) every name begins in stage two: that costs 96 octets for a name
// that one client asked for, and as long as nothing is evicted the result is the same in whatever
// order sightings come.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace tapir::privacy {

// A keyed hash of a name in the form in which it would leave.
enum class Fingerprint : std::uint64_t {};
enum class Family : std::uint8_t { ipv4, ipv6 };

// One client asked for one name. The tags are `client`'s; they carry no address.
struct Sighting {
    Fingerprint name{};
    Family family = Family::ipv4;
    std::uint64_t client = 0;      // this client under this name, today
    std::uint64_t network = 0;     // its network under this name, today
    std::uint64_t client_day = 0;  // this client whatever it asks for, today
};

// What became of a sighting. Each value names a counter.
enum class PendingOutcome : std::uint8_t {
    first_client,  // the name is new here: a cell
    waiting,       // counted, and short of the threshold
    reached,       // this client reached the threshold: said once a day
    done,          // it was reached before
    capped,        // this client has started too many names this hour: not counted
};
inline constexpr std::size_t pending_outcome_count = 5;

inline constexpr std::size_t pending_cell_count_max = 1U << 26U;
inline constexpr std::size_t pending_name_count_max = 1U << 24U;

struct PendingLimits {
    std::size_t cell_count = 1U << 20U;  // stage one: 8 octets each; rounded up to 2^n, >= 8; or 0
    std::size_t name_count = 1U << 16U;  // stage two: 96 octets each; rounded up to 2^n, >= 8
    unsigned starts_an_hour_max = 200;   // pending names that one client may start (R2); 0: any
};

class Pending {
public:
    // `networks_min`: 0 to 3 (asserted); 0 and 1 ask for no more than the clients themselves.
    Pending(const PendingLimits& limits, unsigned networks_min);

    // `threshold` is the one of this name and day: 2 to 256 (asserted).
    PendingOutcome count(const Sighting& sighting, unsigned threshold) {
        return count(sighting, threshold, [threshold] { return threshold; });
    }
    // The same with a threshold that takes some work to draw: it is asked for only where
    // `threshold_min`, below which it never is, has been reached.
    template <class Draw>
    PendingOutcome count(const Sighting& sighting, unsigned threshold_min, const Draw& draw) {
        const Seen seen = see(sighting);
        was_news_ = seen.is_news;
        if (seen.name == nullptr || seen.clients < threshold_min || seen.networks < networks_min_) {
            return seen.outcome;
        }
        return decide(seen, draw());
    }
    // Whether the sighting counted last said anything new: a client or a network.
    bool was_news() const { return was_news_; }
    // Asks for the memory that count() will read. Purely for speed.
    void prefetch(const Sighting& sighting) const;

    // How far a name has come that is not decided: for explaining.
    struct Progress {
        unsigned clients = 0;
        unsigned networks = 0;  // 0 with one client: it is not kept
    };
    Progress progress_of(const Sighting& sighting) const;

    void start_hour();
    void start_day();

    // Names that fell out of a table before they were decided, since this object was made.
    std::uint64_t cells_evicted() const { return cells_evicted_; }
    std::uint64_t names_evicted() const { return names_evicted_; }
    std::size_t memory_size() const;  // octets, fixed
    // How many places are taken, of how many.
    std::uint64_t cells_used() const { return cells_used_; }
    std::uint64_t names_used() const { return names_used_; }
    std::size_t cell_count() const { return cells_.size(); }
    std::size_t name_count() const { return names_.size(); }

private:
    struct Name {
        std::uint64_t key = 0;  // 0: free
        std::array<std::uint64_t, 8> bits{};
        std::array<std::uint32_t, 3> networks{};  // 0: free
        std::uint32_t started = 0;                // order of arrival in stage two
        bool is_done = false;
    };

    // What is known once a sighting is counted; without a name there is nothing to decide.
    struct Seen {
        PendingOutcome outcome = PendingOutcome::waiting;
        Name* name = nullptr;
        unsigned clients = 0;
        unsigned networks = 0;
        bool is_news = false;
    };

    Seen see(const Sighting& sighting);
    static PendingOutcome decide(const Seen& seen, unsigned threshold);
    static Progress progress_of(const Name& name);
    // Where the set of a key begins.
    std::size_t first_cell(std::uint64_t key) const;
    std::size_t first_name(std::uint64_t key) const;
    std::optional<std::size_t> find_name(std::uint64_t key) const;
    Name& new_name(std::uint64_t key);
    bool may_start(std::uint64_t client_day);
    static Seen count_in(Name& name, const Sighting& sighting);

    unsigned networks_min_;
    unsigned starts_max_;
    std::vector<std::uint64_t> cells_;  // sets of 8, newest first; 0: free
    std::vector<Name> names_;           // sets of 4
    std::vector<std::uint8_t> starts_;  // two rows of counters, each client in both
    std::uint32_t arrivals_ = 0;
    bool was_news_ = false;
    std::uint64_t cells_used_ = 0;
    std::uint64_t names_used_ = 0;
    std::uint64_t cells_evicted_ = 0;
    std::uint64_t names_evicted_ = 0;
};

}  // namespace tapir::privacy
