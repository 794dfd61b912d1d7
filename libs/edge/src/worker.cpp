#include "worker.hpp"

#include <algorithm>
#include <utility>

#include "tapir/client/address.hpp"
#include "tapir/privacy/form.hpp"

namespace tapir::edge {
namespace {

constexpr std::size_t items_ahead = 4;  // whose DNS messages are asked for
constexpr std::size_t cache_line = 64;

Fate fate_of(dnstap::MessageError error) {
    switch (error) {
        case dnstap::MessageError::undecodable:
            return Fate::frame_undecodable;
        case dnstap::MessageError::type_missing:
            return Fate::frame_type_missing;
        case dnstap::MessageError::message_missing:
            return Fate::frame_message_missing;
        case dnstap::MessageError::message_type_missing:
            return Fate::frame_message_type_missing;
    }
    return Fate::frame_undecodable;
}

Fate fate_of(privacy::NeverReleased reason) {
    switch (reason) {
        case privacy::NeverReleased::single_label:
            return Fate::name_single_label;
        case privacy::NeverReleased::reverse:
            return Fate::name_reverse;
        case privacy::NeverReleased::special_use:
            return Fate::name_special_use;
        case privacy::NeverReleased::unlisted_suffix:
            return Fate::name_unlisted_suffix;
        case privacy::NeverReleased::is_suffix:
            return Fate::name_is_suffix;
    }
    return Fate::name_special_use;
}

std::size_t type_slot(dnstap::MessageType type) {
    const auto number = static_cast<std::uint32_t>(type);
    return number <= dnstap::message_type_max ? number : 0;
}

}  // namespace

Worker::Worker(const WorkerSettings& settings, std::shared_ptr<const Lists> lists)
    : settings_(settings),
      lists_(std::move(lists)),
      rows_(std::make_shared<RowPool>(settings.rows_memory_max)),
      groups_(stage_count) {
    if (settings_.sessions) {
        sessions_ = std::make_unique<SessionMaker>(settings_.sessions);
    }
}

BatchResult Worker::count(const FrameBatch& batch) {
    BatchResult result;
    result.day = batch.day;
    std::span<const FrameItem> rest(batch.items());
    while (!rest.empty()) {
        const std::size_t some = count_of_same_lists(rest);
        const bool is_former = former_ && rest.front().minute < since_;
        if (is_former) {
            lists_.swap(former_);
        }
        count_some(rest.first(some), batch, result);
        if (is_former) {
            lists_.swap(former_);
        }
        rest = rest.subspan(some);
    }
    if (sessions_) {
        result.sessions = sessions_->take();
    }
    return result;
}

std::size_t Worker::count_of_same_lists(std::span<const FrameItem> items) const {
    if (!former_) {
        return items.size();
    }
    const bool is_former = items.front().minute < since_;
    const auto other = std::ranges::find_if(items, [this, is_former](const FrameItem& item) {
        return (item.minute < since_) != is_former;
    });
    return static_cast<std::size_t>(other - items.begin());
}

void Worker::change_lists(std::shared_ptr<const Lists> lists, Minute since) {
    former_ = std::exchange(lists_, std::move(lists));
    since_ = since;
}

void Worker::count_some(std::span<const FrameItem> items, const FrameBatch& batch,
                        BatchResult& result) {
    const std::size_t groups = (items.size() + group_size - 1) / group_size;
    for (std::size_t turn = 0; turn < groups + stage_count - 1; ++turn) {
        reached(WorkerStage::start);
        decode_group(items, turn * group_size, group_of(turn, 0), result);
        reached(WorkerStage::decoded);
        start_look_ups(group_of(turn, 1));
        go_on_with_look_ups(group_of(turn, 2));
        go_on_with_look_ups(group_of(turn, 3));
        finish_look_ups(group_of(turn, 4));
        reached(WorkerStage::looked_up);
        tag_group(batch, group_of(turn, 4), result);
        reached(WorkerStage::tagged);
        find_tables(*batch.day, group_of(turn, 4));
        find_rows(group_of(turn, 5));
        find_families(group_of(turn, 6));
        count_group(batch, group_of(turn, 7), result);
        reached(WorkerStage::counted);
    }
}

void Worker::decode_group(std::span<const FrameItem> items, std::size_t first, Group& group,
                          BatchResult& result) const {
    TAPIR_DEBUG_ASSERT(group.used == 0);
    const std::size_t end = std::min(first + group_size, items.size());
    for (std::size_t i = first; i < end; ++i) {
        if (i + items_ahead < items.size()) {
            const std::byte* response = items[i + items_ahead].response.data();
            __builtin_prefetch(response);
            __builtin_prefetch(response + cache_line);
        }
        if (const auto fate = decode(items[i], group.slots[group.used], result)) {
            result.fates.add(*fate);
        } else {
            ++group.used;
        }
    }
    for (const Slot& slot : group.frames()) {
        lists_->well_known.prefetch(slot.folded);
    }
}

// Every response whose name is not listed, whatever became of it.
void Worker::record_sessions(const FrameBatch& batch, Group& group) {
    for (const Slot& slot : group.frames()) {
        if (!slot.match) {
            sessions_->add(batch.frame_of(*slot.item), *slot.item, slot.dns.question.name);
        }
    }
}

void Worker::start_look_ups(Group& group) const {
    for (Slot& slot : group.frames()) {
        slot.look_up = lists_->well_known.start(slot.folded);
    }
}

void Worker::go_on_with_look_ups(Group& group) const {
    for (Slot& slot : group.frames()) {
        lists_->well_known.go_on(slot.look_up, slot.folded);
    }
}

void Worker::finish_look_ups(Group& group) const {
    for (Slot& slot : group.frames()) {
        slot.match = lists_->well_known.finish(slot.look_up, slot.folded);
    }
}

std::optional<Fate> Worker::decode(const FrameItem& item, Slot& slot, BatchResult& result) const {
    if (item.error) {
        return fate_of(*item.error);
    }
    ++result.types.at(type_slot(item.type));
    if (dnstap::is_query(item.type)) {
        return Fate::query;
    }
    if (!settings_.is_compatible() && item.type != dnstap::MessageType::client_response) {
        return Fate::other_response;
    }
    ++result.transports.at(static_cast<std::size_t>(item.transport));
    if (!lists_->ignored_clients.is_empty()) {
        const client::AddressForm form = client::form_of(item.client);
        if (form == client::AddressForm::absent || form == client::AddressForm::malformed) {
            return Fate::client_unusable;
        }
        const client::Mapped mapped =
            settings_.is_compatible() ? client::Mapped::as_ipv6 : client::Mapped::as_ipv4;
        if (lists_->ignored_clients.contains(item.client, mapped)) {
            return Fate::client_ignored;
        }
    }
    if (!item.has_response) {
        return Fate::dns_missing;
    }
    const dns::Depth depth =
        settings_.is_compatible() ? dns::Depth::compatible : dns::Depth::standard;
    const auto parsed = slot.dns.assign(item.response, depth, slot.buffer);
    if (!parsed) {
        ++result.dns_errors.at(static_cast<std::size_t>(parsed.error()));
        return Fate::dns_malformed;
    }
    if (slot.dns.question_count == 0) {
        return Fate::dns_no_question;
    }
    slot.item = &item;
    slot.folded.assign(slot.dns.question.name);
    if (is_name_ignored(slot)) {
        return Fate::name_ignored;
    }
    return std::nullopt;
}

bool Worker::is_name_ignored(Slot& slot) const {
    const names::NameIndex& ignored = lists_->ignored_names;
    if (ignored.empty()) {
        return false;
    }
    if (ignored.find(slot.folded)) {
        return true;
    }
    if (slot.dns.question_count == 1) {
        return false;
    }
    dns::QuestionReader questions(slot.dns);
    dns::NameBuffer buffer;
    while (const auto question = questions.next(buffer)) {
        if (ignored.find(dns::FoldedName(question->name))) {
            return true;
        }
    }
    return false;
}

client::Tagger& Worker::tagger_of(const std::shared_ptr<const Day>& day) {
    if (!tagger_ || day != day_ || tagger_networks_ != lists_->client_networks) {
        day_ = day;
        tagger_networks_ = lists_->client_networks;
        return tagger_.emplace(day->key, lists_->client_networks);
    }
    return *tagger_;
}

Result<std::size_t, privacy::NeverReleased> Worker::registered_domain_of(
    const dns::FoldedName& name) const {
    if (const auto& suffixes = lists_->suffixes) {
        return privacy::registered_domain_of(name, *suffixes);
    }
    return fail(privacy::NeverReleased::unlisted_suffix);
}

void Worker::write_text(Slot& slot, const dns::NameText& text, BatchResult& result) {
    slot.text_start = static_cast<std::uint32_t>(result.text.size());
    slot.text_size = static_cast<std::uint16_t>(text.view().size());
    result.text += text.view();
}

void Worker::tag_group(const FrameBatch& batch, Group& group, BatchResult& result) {
    if (settings_.is_compatible()) {
        hash_group(group);
        return;
    }
    for (std::size_t i = 0; i < group.used; ++i) {
        Slot& slot = group.slots[i];
        slot.withheld.reset();
        std::uint64_t name = slot.match ? entry_fingerprint(slot.match->id, slot.item->minute) : 0;
        if (!slot.match) {
            const auto form = registered_domain_of(slot.folded);
            if (!form) {
                slot.withheld = fate_of(form.error());
            } else {
                const dns::NameText text(slot.folded.view(), dns::Case::lower);
                write_text(slot, text, result);
                const std::string_view domain = dns::suffix_text(text.view(), *form);
                slot.domain_start = static_cast<std::uint16_t>(text.view().size() - domain.size());
                slot.domain_labels = static_cast<std::uint8_t>(*form);
                if (!lists_->threats.empty()) {
                    prefetch_threat(lists_->threats, slot.folded, *form);
                }
                slot.domain_fingerprint = batch.day->gate->fingerprint(domain);
                name = static_cast<std::uint64_t>(slot.domain_fingerprint);
            }
        }
        // One by one: put together elsewhere and copied, the copy would wait for its parts.
        requests_[i].name_fingerprint = name;
        requests_[i].address = slot.item->client;
        requests_[i].with_day = !slot.match;
    }
    tagger_of(batch.day).tag(std::span(requests_).first(group.used),
                             std::span(tags_).first(group.used));
    for (std::size_t i = 0; i < group.used; ++i) {
        group.slots[i].tags = tags_[i];
    }
    if (settings_.hourly_tags) {
        forget_early_clients(group);
    }
}

// Tags are made under the day's key, so what stands for the entry here only has to be its own: its
// number will do, and the hour beside it.
std::uint64_t Worker::entry_fingerprint(names::EntryId entry, Minute minute) const {
    static_assert(sizeof(names::EntryId) == sizeof(std::uint32_t));
    const auto number = static_cast<std::uint64_t>(entry);
    if (!settings_.hourly_tags) {
        return number;
    }
    constexpr std::int64_t minutes_in_hour = 60;
    return static_cast<std::uint64_t>(minute / minutes_in_hour) << 32U | number;
}

// Frames of before the clock has started will be of a minute that is not known yet. Their clients
// would be counted again when they ask in that minute, so they are not counted.
void Worker::forget_early_clients(Group& group) {
    for (Slot& slot : group.frames()) {
        if (slot.match && slot.item->minute == 0) {
            slot.tags.client = {};
        }
    }
}

// Under `compatible` a hash of the address stands for the client.
void Worker::hash_group(Group& group) {
    for (Slot& slot : group.frames()) {
        const dnstap::ClientAddress address = slot.item->client;
        const auto family = client::family_of(address);
        const auto hash = client::murmur_of(address);
        slot.tags = {};
        if (family && hash) {
            slot.tags.client = client::ClientTag{*hash};
            slot.tags.family = *family;
            slot.tags.fate = client::TagFate::counted;
        }
    }
}

void Worker::find_tables(const Day& day, Group& group) {
    for (Slot& slot : group.frames()) {
        const bool counts = slot.match && slot.tags.fate != client::TagFate::outside;
        slot.table = counts ? &table_of(slot.item->minute, day).rows : nullptr;
        if (counts) {
            slot.table->prefetch(static_cast<std::uint32_t>(slot.match->id));
        }
    }
}

void Worker::find_rows(Group& group) {
    for (Slot& slot : group.frames()) {
        if (slot.match && slot.table != nullptr) {
            slot.row = slot.table->row_within_limit(static_cast<std::uint32_t>(slot.match->id));
        }
    }
}

void Worker::find_families(Group& group) {
    for (Slot& slot : group.frames()) {
        if (slot.table != nullptr && slot.row != nullptr) {
            slot.family = slot.tags.family == client::Family::ipv4 ? &slot.row->v4 : &slot.row->v6;
            slot.table->prefetch_clients(*slot.family,
                                         static_cast<std::uint64_t>(slot.tags.client));
        }
    }
}

void Worker::count_group(const FrameBatch& batch, Group& group, BatchResult& result) {
    for (Slot& slot : group.frames()) {
        const auto fate = slot.match ? std::optional(count_row(slot)) : find_name(slot, result);
        if (fate) {
            result.fates.add(*fate);
        }
    }
    if (sessions_) {
        record_sessions(batch, group);
    }
    group.used = 0;
}

Fate Worker::count_row(const Slot& slot) {
    if (slot.table == nullptr) {
        return Fate::client_outside;
    }
    if (slot.row == nullptr) {
        return Fate::dropped_row;
    }
    slot.row->count(static_cast<unsigned>(slot.dns.rcode),
                    static_cast<unsigned>(slot.dns.question.qclass),
                    static_cast<unsigned>(slot.dns.question.qtype));
    if (slot.tags.fate == client::TagFate::counted) {
        slot.table->add(*slot.family, static_cast<std::uint64_t>(slot.tags.client),
                        static_cast<std::uint64_t>(slot.tags.network));
    }
    return Fate::well_known;
}

std::optional<Fate> Worker::find_name(Slot& slot, BatchResult& result) const {
    const dns::Question& question = slot.dns.question;
    NameFound found;
    if (settings_.is_compatible()) {
        write_text(slot, dns::NameText(question.name), result);
        found.minute = slot.item->response_minute;
    } else {
        if (slot.withheld) {
            return slot.withheld;
        }
        if (question.qclass != dns::RrClass::in) {
            return Fate::name_other_class;
        }
        if (!lists_->threats.empty() && slot.tags.fate != client::TagFate::outside) {
            find_suspect(slot, result);
        }
        if (slot.tags.fate != client::TagFate::counted) {
            return slot.tags.fate == client::TagFate::outside ? Fate::client_outside
                                                              : Fate::client_absent;
        }
        found.domain_start = slot.domain_start;
        found.sighting = {.name = slot.domain_fingerprint,
                          .family = slot.tags.family == client::Family::ipv4
                                        ? privacy::Family::ipv4
                                        : privacy::Family::ipv6,
                          .client = static_cast<std::uint64_t>(slot.tags.client),
                          .network = static_cast<std::uint64_t>(slot.tags.network),
                          .client_day = static_cast<std::uint64_t>(slot.tags.client_day)};
        found.minute = start_of(slot.item->minute);
    }
    found.text_start = slot.text_start;
    found.text_size = slot.text_size;
    found.qtype = static_cast<std::uint16_t>(question.qtype);
    found.qclass = static_cast<std::uint16_t>(question.qclass);
    found.flags = slot.dns.flags;
    result.names.push_back(found);
    return std::nullopt;
}

// Of what is on the well-known list nobody is told: it has its row, and the operator's word.
void Worker::find_suspect(const Slot& slot, BatchResult& result) const {
    const auto match = find_threat(lists_->threats, slot.folded, slot.domain_labels);
    if (!match) {
        return;
    }
    const bool is_counted = slot.tags.fate == client::TagFate::counted;
    result.suspects.push_back(
        {.detector = Detector::threat_list,
         .threat = *match,
         .domain_start = slot.text_start + slot.domain_start,
         .domain_size = static_cast<std::uint16_t>(slot.text_size - slot.domain_start),
         .is_ipv6 = slot.tags.family == client::Family::ipv6,
         .network = is_counted ? static_cast<std::uint64_t>(slot.tags.network) : 0});
}

MinuteTable& Worker::table_of(Minute minute, const Day& day) {
    if (table_ != nullptr && table_->minute == minute) {
        return *table_;
    }
    auto found = tables_.find(minute);
    if (found == tables_.end()) {
        found = tables_
                    .emplace(minute, MinuteTable{.minute = minute,
                                                 .gate = day.gate,
                                                 .rows = RowTable(settings_.hll, rows_),
                                                 .lists = lists_})
                    .first;
    }
    table_ = &found->second;
    return *table_;
}

std::optional<MinuteTable> Worker::take(Minute minute) {
    table_ = nullptr;
    if (former_ && minute + 1 >= since_) {
        former_.reset();  // no frame of that minute comes any more
    }
    auto node = tables_.extract(minute);
    if (node.empty()) {
        return std::nullopt;
    }
    return std::move(node.mapped());
}

std::size_t Worker::open_rows() const {
    std::size_t rows = 0;
    for (const auto& [minute, table] : tables_) {
        rows += table.rows.size();
    }
    return rows;
}

void Worker::adopt(Minute minute) {
    if (auto early = take(0)) {
        early->minute = minute;
        tables_.insert_or_assign(minute, std::move(*early));
    }
}

}  // namespace tapir::edge
