// One worker: decodes frames, looks names up, and counts into tables of its own.
//
//     BatchResult result = worker.count(batch);          // fates, and names that are not listed
//     auto table = worker.take(minute);                  // the rows of a minute that is over
//
// The order of decisions is that of the existing minimiser (reference: "Decision path of one
// frame"). Used by one thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fate.hpp"
#include "frame_batch.hpp"
#include "lists.hpp"
#include "rows.hpp"
#include "session_rows.hpp"
#include "suspects.hpp"
#include "tapir/client/tagger.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/privacy/form.hpp"
#include "tapir/privacy/gate.hpp"

namespace tapir::edge {

// What a worker does with some frames, one after the other.
enum class WorkerStage : std::uint8_t {
    start,
    decoded,    // DNS parsed, name folded and hashed, ignored ones left out
    looked_up,  // in the well-known list
    tagged,     // clients; under `compatible` nothing
    counted,    // in rows, and names found
};
inline constexpr std::size_t worker_stage_count = 5;

// Told when a stage is over: for measuring. Called in the worker's thread.
class StageWatch {
public:
    virtual ~StageWatch() = default;
    virtual void reached(WorkerStage stage) = 0;
};

struct WorkerSettings {
    privacy::Profile profile = privacy::Profile::standard;
    sketch::HllSettings hll;
    StageWatch* watch = nullptr;
    std::shared_ptr<const SessionSource> sessions = nullptr;  // null: none are recorded
    std::optional<std::size_t> rows_memory_max{};             // octets, each worker's
    bool hourly_tags = false;  // a client is another one to each entry in each hour

    bool is_compatible() const { return profile == privacy::Profile::compatible; }
};

// A name that is not on the list: in lower case, but under `compatible` as it was asked.
struct NameFound {
    std::uint32_t text_start = 0;  // in BatchResult::text
    std::uint16_t text_size = 0;
    std::uint16_t domain_start = 0;  // in the text: of the registered domain
    std::uint16_t qtype = 0;
    std::uint16_t qclass = 0;
    std::uint16_t flags = 0;
    UtcTime minute;  // of the response; 1970 if the frame has no time
    privacy::Sighting sighting;
};

struct BatchResult {
    FateCounts fates;  // of all frames but those in `names`
    std::array<std::uint64_t, dns::message_error_count> dns_errors{};
    std::array<std::uint64_t, dnstap::message_type_max + 1> types{};  // 0: numbers not listed
    TransportCounts transports{};                                     // of the responses that count
    std::vector<NameFound> names;                                     // in the order of frames
    std::string text;                                                 // of the names
    std::string_view text_of(const NameFound& name) const {
        return std::string_view(text).substr(name.text_start, name.text_size);
    }
    std::vector<SuspectFound> suspects;  // by frame, whatever their fate
    std::string_view domain_of(const SuspectFound& found) const {
        return std::string_view(text).substr(found.domain_start, found.domain_size);
    }
    std::shared_ptr<const Day> day;
    std::vector<SessionRows> sessions;  // of names that are not listed
};

struct MinuteTable {
    Minute minute = 0;
    std::shared_ptr<const privacy::GateKey> gate;
    RowTable rows;
    std::shared_ptr<const Lists> lists{};  // that the rows' numbers belong to; null without rows
};

class Worker {
public:
    Worker(const WorkerSettings& settings, std::shared_ptr<const Lists> lists);

    BatchResult count(const FrameBatch& batch);
    // The table of a minute, if anything was counted in it.
    std::optional<MinuteTable> take(Minute minute);
    // What was counted before the first time was seen belongs to `minute`.
    void adopt(Minute minute);
    // Rows of all minutes that are open.
    std::size_t open_rows() const;
    // Frames of `since` and later are counted by `lists`; those of the minute before that come late
    // by the ones before, until that minute is taken.
    void change_lists(std::shared_ptr<const Lists> lists, Minute since);

private:
    // One frame on its way through the stages.
    struct Slot {
        dns::NameBuffer buffer;
        dns::FoldedName folded;
        dns::Message dns;
        const FrameItem* item = nullptr;
        names::LookUp look_up;
        std::optional<names::Match> match;
        RowTable* table = nullptr;  // where it counts, if it is listed and counts
        Row* row = nullptr;
        FamilyCount* family = nullptr;  // of the row
        std::optional<Fate> withheld;   // a name that may not be released
        std::uint32_t text_start = 0;   // of one that may, in the result
        std::uint16_t text_size = 0;
        std::uint16_t domain_start = 0;
        std::uint8_t domain_labels = 0;
        privacy::Fingerprint domain_fingerprint{};
        client::Tags tags;
    };
    // A few frames that go through the stages together.
    static constexpr std::size_t group_size = 8;
    struct Group {
        std::array<Slot, group_size> slots;
        std::size_t used = 0;
        std::span<Slot> frames() { return std::span(slots).first(used); }
    };
    // Stages of one turn; each is done for another group.
    static constexpr std::size_t stage_count = 8;

    // Of the first of `items`, how many are counted by the same lists.
    std::size_t count_of_same_lists(std::span<const FrameItem> items) const;
    // The fate if it is decided; nothing if the frame goes on.
    std::optional<Fate> decode(const FrameItem& item, Slot& slot, BatchResult& result) const;
    bool is_name_ignored(Slot& slot) const;
    // The tagger of a day.
    client::Tagger& tagger_of(const std::shared_ptr<const Day>& day);
    // How many labels of a name are its registered domain.
    Result<std::size_t, privacy::NeverReleased> registered_domain_of(
        const dns::FoldedName& name) const;
    // Frames of `batch` that are counted by the same lists. In each turn one group is decoded while
    // those before it are looked up, tagged and counted: between two stages of a group there is
    // other work for as long as memory takes, which was asked for in the first of them.
    void count_some(std::span<const FrameItem> items, const FrameBatch& batch, BatchResult& result);
    // The group that began `turns` turns ago.
    Group& group_of(std::size_t turn, std::size_t turns) {
        return groups_[(turn + stage_count - turns) % stage_count];
    }
    void decode_group(std::span<const FrameItem> items, std::size_t first, Group& group,
                      BatchResult& result) const;
    void reached(WorkerStage stage) const {
        if (settings_.watch != nullptr) {
            settings_.watch->reached(stage);
        }
    }
    void start_look_ups(Group& group) const;
    void go_on_with_look_ups(Group& group) const;
    void finish_look_ups(Group& group) const;
    void tag_group(const FrameBatch& batch, Group& group, BatchResult& result);
    std::uint64_t entry_fingerprint(names::EntryId entry, Minute minute) const;
    static void forget_early_clients(Group& group);
    static void hash_group(Group& group);
    void find_tables(const Day& day, Group& group);
    static void find_rows(Group& group);
    static void find_families(Group& group);
    void count_group(const FrameBatch& batch, Group& group, BatchResult& result);
    static Fate count_row(const Slot& slot);
    std::optional<Fate> find_name(Slot& slot, BatchResult& result) const;
    void find_suspect(const Slot& slot, BatchResult& result) const;
    static void write_text(Slot& slot, const dns::NameText& text, BatchResult& result);
    MinuteTable& table_of(Minute minute, const Day& day);
    void record_sessions(const FrameBatch& batch, Group& group);

    WorkerSettings settings_;
    std::shared_ptr<const Lists> lists_;
    std::shared_ptr<const Lists> former_;  // of the minute before since_, while it is open
    Minute since_ = 0;
    std::shared_ptr<RowPool> rows_;
    std::map<Minute, MinuteTable> tables_;
    MinuteTable* table_ = nullptr;    // of tables_, the one used last
    std::shared_ptr<const Day> day_;  // whose Tagger it is
    std::shared_ptr<const client::NetworkSet> tagger_networks_;
    std::optional<client::Tagger> tagger_;
    std::vector<Group> groups_;
    std::array<client::TagRequest, group_size> requests_;
    std::array<client::Tags, group_size> tags_;
    std::unique_ptr<SessionMaker> sessions_;  // null: none are recorded
};

}  // namespace tapir::edge
