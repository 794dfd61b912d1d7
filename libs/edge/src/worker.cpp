#include "worker.hpp"

#include <utility>

#include "tapir/client/address.hpp"
#include "tapir/privacy/form.hpp"

namespace tapir::edge {
namespace {

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
        case privacy::NeverReleased::private_suffix:
            return Fate::name_private_suffix;
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
      slots_(batch_frame_count_max),
      requests_(batch_frame_count_max),
      tags_(batch_frame_count_max) {}

BatchResult Worker::count(const FrameBatch& batch) {
    BatchResult result;
    result.day = batch.day;
    slots_used_ = 0;
    for (const FrameItem& item : batch.items()) {
        Slot& slot = slots_[slots_used_];
        if (const auto fate = decode(item, slot, result)) {
            result.fates.add(*fate);
            continue;
        }
        lists_->well_known.prefetch(slot.folded);
        ++slots_used_;
    }
    for (std::size_t i = 0; i < slots_used_; ++i) {
        lists_->well_known.prefetch_entry(slots_[i].folded);
    }
    for (std::size_t i = 0; i < slots_used_; ++i) {
        slots_[i].match = lists_->well_known.find(slots_[i].folded);
    }
    if (!settings_.is_compatible()) {
        tag_slots(tagger_of(batch.day), *batch.day->gate);
    }
    for (std::size_t i = 0; i < slots_used_; ++i) {
        Slot& slot = slots_[i];
        const auto fate = slot.match
                              ? std::optional(count_row(
                                    slot, static_cast<std::uint32_t>(slot.match->id), *batch.day))
                              : find_name(slot, result);
        if (fate) {
            result.fates.add(*fate);
        }
    }
    return result;
}

std::optional<Fate> Worker::decode(const FrameItem& item, Slot& slot, BatchResult& result) const {
    if (!item.message) {
        return fate_of(item.message.error());
    }
    const dnstap::Message& message = *item.message;
    ++result.types.at(type_slot(message.type));
    if (dnstap::is_query(message.type)) {
        return Fate::query;
    }
    if (!settings_.is_compatible() && message.type != dnstap::MessageType::client_response) {
        return Fate::other_response;
    }
    if (!lists_->ignored_clients.is_empty()) {
        const client::AddressForm form = client::form_of(message.query_address);
        if (form == client::AddressForm::absent || form == client::AddressForm::malformed) {
            return Fate::client_unusable;
        }
        const client::Mapped mapped =
            settings_.is_compatible() ? client::Mapped::as_ipv6 : client::Mapped::as_ipv4;
        if (lists_->ignored_clients.contains(message.query_address, mapped)) {
            return Fate::client_ignored;
        }
    }
    if (!message.response_message) {
        return Fate::dns_missing;
    }
    const dns::Depth depth =
        settings_.is_compatible() ? dns::Depth::compatible : dns::Depth::standard;
    const auto parsed = dns::Message::parse(*message.response_message, depth, slot.buffer);
    if (!parsed) {
        ++result.dns_errors.at(static_cast<std::size_t>(parsed.error()));
        return Fate::dns_malformed;
    }
    if (parsed->question_count == 0) {
        return Fate::dns_no_question;
    }
    slot.item = &item;
    slot.dns = *parsed;
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
    if (!tagger_ || day != day_) {
        day_ = day;
        return tagger_.emplace(day->key, lists_->client_networks);
    }
    return *tagger_;
}

Result<std::size_t, privacy::NeverReleased> Worker::form_of(const dns::FoldedName& name) const {
    if (const auto& suffixes = lists_->suffixes) {
        return privacy::registered_domain_of(name, *suffixes);
    }
    return fail(privacy::NeverReleased::unlisted_suffix);
}

void Worker::tag_slots(client::Tagger& tagger, const privacy::GateKey& gate) {
    for (std::size_t i = 0; i < slots_used_; ++i) {
        Slot& slot = slots_[i];
        slot.form_labels = 0;
        // Tags are made under the day's key, so what stands for the name here only has to be its
        // own: the entry's number will do.
        std::uint64_t name = slot.match ? static_cast<std::uint64_t>(slot.match->id) : 0;
        if (!slot.match) {
            const auto form = form_of(slot.folded);
            if (!form) {
                slot.withheld = fate_of(form.error());
            } else {
                slot.form_labels = *form;
                const dns::NameText text(slot.folded.suffix(*form), dns::Case::lower);
                slot.form_fingerprint = gate.fingerprint(text.view());
                name = static_cast<std::uint64_t>(slot.form_fingerprint);
            }
        }
        requests_[i] = {.name_fingerprint = name, .address = slot.item->message->query_address};
    }
    tagger.tag(std::span(requests_).first(slots_used_), std::span(tags_).first(slots_used_));
    for (std::size_t i = 0; i < slots_used_; ++i) {
        slots_[i].tags = tags_[i];
    }
}

Fate Worker::count_row(const Slot& slot, std::uint32_t entry, const Day& day) {
    const client::Tags& tags = slot.tags;
    if (!settings_.is_compatible() && tags.fate == client::TagFate::outside) {
        return Fate::client_outside;
    }
    Row& row = table_of(slot.item->minute, day).rows.row(entry);
    row.count(static_cast<unsigned>(slot.dns.rcode),
              static_cast<unsigned>(slot.dns.question.qclass),
              static_cast<unsigned>(slot.dns.question.qtype));
    if (settings_.is_compatible()) {
        const dnstap::ClientAddress address = slot.item->message->query_address;
        const auto family = client::family_of(address);
        const auto hash = client::murmur_of(address);
        if (family && hash) {
            (*family == client::Family::ipv4 ? row.v4 : row.v6).clients.add(*hash);
        }
    } else if (tags.fate == client::TagFate::counted) {
        FamilyCount& count = tags.family == client::Family::ipv4 ? row.v4 : row.v6;
        count.clients.add(static_cast<std::uint64_t>(tags.client));
        count.networks.add(static_cast<std::uint64_t>(tags.network));
    }
    return Fate::well_known;
}

std::optional<Fate> Worker::find_name(const Slot& slot, BatchResult& result) const {
    const dns::Question& question = slot.dns.question;
    NameFound found;
    if (settings_.is_compatible()) {
        found.name = dns::to_text(question.name);
        found.key = dns::to_text(question.name, dns::Case::lower);
        const auto time = slot.item->message->response_time();
        found.minute = time ? time->minute() : UtcTime();
    } else {
        if (slot.form_labels == 0) {
            return slot.withheld;
        }
        if (question.qclass != dns::RrClass::in) {
            return Fate::name_other_class;
        }
        if (slot.tags.fate != client::TagFate::counted) {
            return slot.tags.fate == client::TagFate::outside ? Fate::client_outside
                                                              : Fate::client_absent;
        }
        found.name = dns::to_text(slot.folded.suffix(slot.form_labels), dns::Case::lower);
        found.key = found.name;
        found.sighting = {.name = slot.form_fingerprint,
                          .family = slot.tags.family == client::Family::ipv4
                                        ? privacy::Family::ipv4
                                        : privacy::Family::ipv6,
                          .client = static_cast<std::uint64_t>(slot.tags.client),
                          .network = static_cast<std::uint64_t>(slot.tags.network),
                          .client_day = static_cast<std::uint64_t>(slot.tags.client_day)};
        found.minute = start_of(slot.item->minute);
    }
    found.qtype = static_cast<std::uint16_t>(question.qtype);
    found.qclass = static_cast<std::uint16_t>(question.qclass);
    found.flags = slot.dns.flags;
    result.names.push_back(std::move(found));
    return std::nullopt;
}

MinuteTable& Worker::table_of(Minute minute, const Day& day) {
    const auto found = tables_.find(minute);
    if (found != tables_.end()) {
        return found->second;
    }
    return tables_
        .emplace(minute,
                 MinuteTable{.minute = minute, .gate = day.gate, .rows = RowTable(settings_.hll)})
        .first->second;
}

std::optional<MinuteTable> Worker::take(Minute minute) {
    auto node = tables_.extract(minute);
    if (node.empty()) {
        return std::nullopt;
    }
    return std::move(node.mapped());
}

void Worker::adopt(Minute minute) {
    if (auto early = take(0)) {
        early->minute = minute;
        tables_.insert_or_assign(minute, std::move(*early));
    }
}

}  // namespace tapir::edge
