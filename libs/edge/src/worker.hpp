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
#include <string>
#include <vector>

#include "fate.hpp"
#include "frame_batch.hpp"
#include "lists.hpp"
#include "rows.hpp"
#include "tapir/client/tagger.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/privacy/form.hpp"
#include "tapir/privacy/gate.hpp"

namespace tapir::edge {

struct WorkerSettings {
    privacy::Profile profile = privacy::Profile::standard;
    sketch::HllSettings hll;

    bool is_compatible() const { return profile == privacy::Profile::compatible; }
};

// A name that is not on the list, in the form in which it would leave.
struct NameFound {
    std::string name;
    std::string key;  // lower case: what "seen" is about
    privacy::Sighting sighting;
    std::uint16_t qtype = 0;
    std::uint16_t qclass = 0;
    std::uint16_t flags = 0;
    UtcTime minute;  // of the response; 1970 if the frame has no time
};

struct BatchResult {
    FateCounts fates;  // of all frames but those in `names`
    std::array<std::uint64_t, dns::message_error_count> dns_errors{};
    std::array<std::uint64_t, dnstap::message_type_max + 1> types{};  // 0: numbers not listed
    std::vector<NameFound> names;                                     // in the order of frames
    std::shared_ptr<const Day> day;
};

struct MinuteTable {
    Minute minute = 0;
    std::shared_ptr<const privacy::GateKey> gate;
    RowTable rows;
};

class Worker {
public:
    Worker(const WorkerSettings& settings, std::shared_ptr<const Lists> lists);

    BatchResult count(const FrameBatch& batch);
    // The table of a minute, if anything was counted in it.
    std::optional<MinuteTable> take(Minute minute);
    // What was counted before the first time was seen belongs to `minute`.
    void adopt(Minute minute);

private:
    // One frame on its way through the stages.
    struct Slot {
        dns::NameBuffer buffer;
        dns::FoldedName folded;
        dns::Message dns;
        const FrameItem* item = nullptr;
        std::optional<names::Match> match;
        std::size_t form_labels = 0;   // of a name that may be released
        std::optional<Fate> withheld;  // if it may not
        privacy::Fingerprint form_fingerprint{};
        client::Tags tags;
    };

    // The fate if it is decided; nothing if the frame goes on.
    std::optional<Fate> decode(const FrameItem& item, Slot& slot, BatchResult& result) const;
    bool is_name_ignored(Slot& slot) const;
    // The tagger of a day.
    client::Tagger& tagger_of(const std::shared_ptr<const Day>& day);
    // How many labels of a name may leave.
    Result<std::size_t, privacy::NeverReleased> form_of(const dns::FoldedName& name) const;
    void tag_slots(client::Tagger& tagger, const privacy::GateKey& gate);
    Fate count_row(const Slot& slot, std::uint32_t entry, const Day& day);
    std::optional<Fate> find_name(const Slot& slot, BatchResult& result) const;
    MinuteTable& table_of(Minute minute, const Day& day);

    WorkerSettings settings_;
    std::shared_ptr<const Lists> lists_;
    std::map<Minute, MinuteTable> tables_;
    std::shared_ptr<const Day> day_;  // whose Tagger it is
    std::optional<client::Tagger> tagger_;
    std::vector<Slot> slots_;
    std::size_t slots_used_ = 0;
    std::vector<client::TagRequest> requests_;
    std::vector<client::Tags> tags_;
};

}  // namespace tapir::edge
