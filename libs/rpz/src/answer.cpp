#include "tapir/rpz/answer.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <variant>

#include "message.hpp"
#include "query.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/rpz/trigger.hpp"

namespace tapir::rpz {

Result<Apex> Apex::create(std::string_view zone_name) {
    const Trigger zone = TRY(Trigger::parse(zone_name));
    if (zone.is_wildcard() || zone.labels_size() > 200) {
        return fail(Code::invalid, "a zone's name has at most 200 octets and no asterisk");
    }
    Apex apex;
    append_labels(zone.key(), apex.zone);
    append_u8(apex.zone, 0);
    // Nobody asks the servers of a policy zone; names that need no address make it load anywhere.
    apex.mname = to_bytes(std::string_view("\x09localhost\0", 11));
    append(apex.rname, std::string_view("\x0ahostmaster", 11));
    append(apex.rname, apex.zone);
    apex.ns = {apex.mname};
    return apex;
}

bool Apex::fits(std::string_view key) const {
    return key.size() + zone.size() <= owner_size_max;
}

std::string_view to_string(QueryOutcome outcome) {
    static constexpr std::array<std::string_view, 21> words{"soa",
                                                            "other_answer",
                                                            "axfr",
                                                            "ixfr",
                                                            "ixfr_as_axfr",
                                                            "ixfr_current",
                                                            "ixfr_over_udp",
                                                            "notify",
                                                            "ignored_short",
                                                            "ignored_response",
                                                            "malformed",
                                                            "too_large",
                                                            "not_implemented",
                                                            "refused_plain",
                                                            "refused_zone",
                                                            "refused_axfr_over_udp",
                                                            "bad_version",
                                                            "tsig_bad_key",
                                                            "tsig_bad_signature",
                                                            "tsig_bad_time",
                                                            "tsig_malformed"};
    const auto index = static_cast<std::size_t>(outcome);
    TAPIR_ASSERT(index < words.size());
    return words[index];
}

namespace {

// What a transfer consists of, one record at a time.
struct Item {
    enum class Kind : std::uint8_t { soa, ns, rule } kind = Kind::soa;
    Serial serial{};
    std::size_t ns = 0;
    Record rule{};
};

// SOA, NS, all rules, SOA (RFC 5936).
class AxfrItems {
public:
    AxfrItems(const Snapshot& snapshot, std::size_t ns_count)
        : cursor_(snapshot.zone.begin()), serial_(snapshot.serial), ns_count_(ns_count) {}

    std::optional<Item> next() {
        if (position_ == 0) {
            ++position_;
            return Item{.kind = Item::Kind::soa, .serial = serial_};
        }
        if (position_ <= ns_count_) {
            return Item{.kind = Item::Kind::ns, .ns = position_++ - 1};
        }
        if (const auto rule = cursor_.next()) {
            return Item{.kind = Item::Kind::rule, .rule = *rule};
        }
        if (std::exchange(is_over_, true)) {
            return std::nullopt;
        }
        return Item{.kind = Item::Kind::soa, .serial = serial_};
    }

private:
    Zone::Cursor cursor_;
    Serial serial_;
    std::size_t ns_count_;
    std::size_t position_ = 0;
    bool is_over_ = false;
};

// SOA, then for each step SOA, what goes, SOA, what comes; SOA (RFC 1995).
class IxfrItems {
public:
    IxfrItems(Serial current, std::vector<Snapshot::Step> steps)
        : current_(current), steps_(std::move(steps)) {}

    std::optional<Item> next() {
        if (!std::exchange(opened_, true)) {
            return soa(current_);
        }
        while (step_ < steps_.size()) {
            const Snapshot::Step& step = steps_[step_];
            const auto& list = adding_ ? step.delta->added : step.delta->removed;
            if (!std::exchange(announced_, true)) {
                return soa(adding_ ? step.to : step.from);
            }
            if (index_ < list.size()) {
                const auto& change = list[index_++];
                return Item{.kind = Item::Kind::rule, .rule = {change.key, change.action}};
            }
            index_ = 0;
            announced_ = false;
            step_ += adding_ ? 1 : 0;
            adding_ = !adding_;
        }
        return std::exchange(closed_, true) ? std::nullopt : soa(current_);
    }

private:
    static std::optional<Item> soa(Serial serial) {
        return Item{.kind = Item::Kind::soa, .serial = serial};
    }

    Serial current_;
    std::vector<Snapshot::Step> steps_;
    std::size_t step_ = 0;
    std::size_t index_ = 0;
    bool opened_ = false;
    bool announced_ = false;
    bool adding_ = false;
    bool closed_ = false;
};

using Items = std::variant<std::monostate, AxfrItems, IxfrItems>;

std::optional<Item> next_item(Items& items) {
    if (auto* axfr = std::get_if<AxfrItems>(&items)) {
        return axfr->next();
    }
    if (auto* ixfr = std::get_if<IxfrItems>(&items)) {
        return ixfr->next();
    }
    return std::nullopt;
}

std::size_t records_in(const std::vector<Snapshot::Step>& steps) {
    std::size_t count = 0;
    for (const auto& step : steps) {
        count += step.delta->size() + 2;
    }
    return count;
}

}  // namespace

struct Answer::Impl {
    QueryOutcome outcome = QueryOutcome::ignored_short;
    const Apex* apex = nullptr;
    std::shared_ptr<const Snapshot> snapshot;
    Request request;
    Bytes question;
    std::optional<TsigSigner> signer;
    TsigCheck check;
    std::optional<Bytes> ready;  // the one message of an answer that is no transfer
    Items items;
    std::optional<Item> pending;
    bool first = true;

    MessageBuilder start(unsigned rcode) const {
        return {request.id, request.flags, rcode, question, apex->zone};
    }
    void respond(QueryOutcome what, MessageBuilder message) {
        outcome = what;
        if (request.has_opt) {
            message.add_opt(0);
        }
        ready = std::move(message).finish();
    }
    void respond(QueryOutcome what, unsigned rcode) { respond(what, start(rcode)); }

    void begin(QueryOutcome what, Items stream) {
        outcome = what;
        items = std::move(stream);
        pending = next_item(items);
    }
    void add(MessageBuilder& message, const Item& item) const {
        switch (item.kind) {
            case Item::Kind::soa:
                message.add_soa(*apex, item.serial, Section::answer);
                break;
            case Item::Kind::ns:
                message.add_ns(*apex, item.ns, Section::answer);
                break;
            case Item::Kind::rule:
                message.add_rule(item.rule.key, item.rule.action, apex->ttl_s);
                break;
        }
    }
    Bytes next_transfer_message() {
        MessageBuilder message = start(0);
        while (pending && message.size() + record_size_max <= transfer_message_size) {
            add(message, *pending);
            pending = next_item(items);
        }
        if (first && request.has_opt) {
            message.add_opt(0);
        }
        return std::move(message).finish();
    }

    bool refuse_by_header(ByteView query);
    bool refuse_by_tsig(ByteView query, const std::vector<TsigKey>& keys, UtcTime now);
    void handle(Peer peer);
    void handle_apex(Peer peer);
    void handle_ixfr(Peer peer);
    void handle_below();
    void cut_to(std::size_t size_max);
};

bool Answer::Impl::refuse_by_header(ByteView query) {
    const auto header = read_header(query);
    if (!header) {
        return true;
    }
    request = *header;
    if (request.is_response()) {
        outcome = QueryOutcome::ignored_response;
        return true;
    }
    if (query.size() > query_size_max) {
        respond(QueryOutcome::too_large, rcode_formerr);
        return true;
    }
    if (request.opcode() != opcode_query && request.opcode() != opcode_notify) {
        respond(QueryOutcome::not_implemented, rcode_notimp);
        return true;
    }
    auto whole = read_request(query);
    if (!whole) {
        respond(QueryOutcome::malformed, rcode_formerr);
        return true;
    }
    request = std::move(*whole);
    question = to_bytes(query.subspan(header_size, request.question_end - header_size));
    return false;
}

bool Answer::Impl::refuse_by_tsig(ByteView query, const std::vector<TsigKey>& keys, UtcTime now) {
    check = verify_tsig(query, keys, now);
    switch (check.state) {
        case TsigState::absent:
            return false;
        case TsigState::good:
            signer.emplace(*check.key, check.mac);
            return false;
        case TsigState::malformed:
            respond(QueryOutcome::tsig_malformed, rcode_formerr);
            return true;
        case TsigState::bad_time:
            signer.emplace(*check.key, check.mac);
            respond(QueryOutcome::tsig_bad_time, rcode_notauth);
            return true;
        case TsigState::bad_key:
            respond(QueryOutcome::tsig_bad_key, rcode_notauth);
            break;
        case TsigState::bad_signature:
        case TsigState::bad_truncation:
            respond(QueryOutcome::tsig_bad_signature, rcode_notauth);
            break;
    }
    if (auto& refusal = ready) {
        append_tsig_error(*refusal, check, now);
    }
    return true;
}

void Answer::Impl::handle(Peer peer) {
    if (!signer && !peer.plain_allowed) {
        return respond(QueryOutcome::refused_plain, rcode_refused);
    }
    if (request.edns_version > 0) {
        outcome = QueryOutcome::bad_version;
        MessageBuilder message = start(0);
        message.add_opt(1);  // extended rcode 16: BADVERS
        ready = std::move(message).finish();
        return;
    }
    const bool at_apex = request.qname == apex->zone;
    if (request.opcode() == opcode_notify) {
        return respond(QueryOutcome::notify, at_apex ? rcode_noerror : rcode_refused);
    }
    const bool in_zone = at_apex || (request.qname.size() > apex->zone.size() &&
                                     zone_start(request.qname, apex->zone).has_value());
    if (!in_zone || (request.qclass != class_in && request.qclass != class_any)) {
        return respond(QueryOutcome::refused_zone, rcode_refused);
    }
    if (at_apex) {
        return handle_apex(peer);
    }
    return handle_below();
}

void Answer::Impl::handle_apex(Peer peer) {
    MessageBuilder message = start(rcode_noerror);
    const auto add_ns = [&](Section section) {
        for (std::size_t i = 0; i < apex->ns.size(); ++i) {
            message.add_ns(*apex, i, section);
        }
    };
    switch (request.qtype) {
        case type_axfr:
            if (peer.transport == Transport::udp) {
                return respond(QueryOutcome::refused_axfr_over_udp, rcode_refused);
            }
            return begin(QueryOutcome::axfr, AxfrItems(*snapshot, apex->ns.size()));
        case type_ixfr:
            return handle_ixfr(peer);
        case type_soa:
            message.add_soa(*apex, snapshot->serial, Section::answer);
            add_ns(Section::authority);
            return respond(QueryOutcome::soa, std::move(message));
        case type_any:
            message.add_soa(*apex, snapshot->serial, Section::answer);
            [[fallthrough]];
        case type_ns:
            add_ns(Section::answer);
            return respond(QueryOutcome::other_answer, std::move(message));
        default:
            message.add_soa(*apex, snapshot->serial, Section::authority);
            return respond(QueryOutcome::other_answer, std::move(message));
    }
}

void Answer::Impl::handle_ixfr(Peer peer) {
    if (!request.soa_serial) {
        return respond(QueryOutcome::malformed, rcode_formerr);
    }
    const Serial theirs(*request.soa_serial);
    const bool current = theirs == snapshot->serial || theirs.newer_than(snapshot->serial);
    if (current || peer.transport == Transport::udp) {
        MessageBuilder message = start(rcode_noerror);
        message.add_soa(*apex, snapshot->serial, Section::answer);
        return respond(current ? QueryOutcome::ixfr_current : QueryOutcome::ixfr_over_udp,
                       std::move(message));
    }
    auto steps = snapshot->steps_from(theirs);
    if (!steps || records_in(*steps) > snapshot->zone.size() + 64) {
        return begin(QueryOutcome::ixfr_as_axfr, AxfrItems(*snapshot, apex->ns.size()));
    }
    return begin(QueryOutcome::ixfr, IxfrItems(snapshot->serial, std::move(*steps)));
}

void Answer::Impl::handle_below() {
    Bytes relative(request.qname.begin(),
                   request.qname.end() - static_cast<std::ptrdiff_t>(apex->zone.size()));
    append_u8(relative, 0);
    const auto trigger = Trigger::from_wire(relative);
    const Action action = trigger ? snapshot->zone.find(trigger->key()) : Action::none;
    if (action != Action::none) {
        MessageBuilder message = start(rcode_noerror);
        message.add_rule_at_question(action, apex->ttl_s);
        return respond(QueryOutcome::other_answer, std::move(message));
    }
    const bool exists = trigger && snapshot->zone.has_below(trigger->key());
    MessageBuilder message = start(exists ? rcode_noerror : rcode_nxdomain);
    message.add_soa(*apex, snapshot->serial, Section::authority);
    return respond(QueryOutcome::other_answer, std::move(message));
}

// An answer that is too large for its datagram says so and is empty.
void Answer::Impl::cut_to(std::size_t size_max) {
    const std::size_t room = signer ? tsig_record_size_max : 0;
    if (ready && ready->size() + room > std::max<std::size_t>(size_max, 512 + room)) {
        const QueryOutcome what = outcome;
        request.flags |= flag_tc;
        respond(what, rcode_noerror);
    }
}

Answer::Answer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Answer::Answer(Answer&&) noexcept = default;
Answer& Answer::operator=(Answer&&) noexcept = default;
Answer::~Answer() = default;

QueryOutcome Answer::outcome() const {
    return impl_->outcome;
}

bool Answer::next(Bytes& message, UtcTime now) {
    Impl& self = *impl_;
    if (auto& ready = self.ready) {
        message = std::exchange(*ready, {});
        ready.reset();
    } else if (self.pending) {
        message = self.next_transfer_message();
    } else {
        return false;
    }
    self.first = false;
    if (self.signer && self.outcome == QueryOutcome::tsig_bad_time) {
        self.signer->sign_bad_time(message, self.check.time_signed, now);
    } else if (self.signer) {
        self.signer->sign(message, now);
    }
    return true;
}

Answer answer(const Apex& apex, std::shared_ptr<const Snapshot> snapshot,
              const std::vector<TsigKey>& keys, ByteView query, Peer peer, UtcTime now) {
    auto impl = std::make_unique<Answer::Impl>();
    impl->apex = &apex;
    impl->snapshot = std::move(snapshot);
    if (!impl->refuse_by_header(query) && !impl->refuse_by_tsig(query, keys, now)) {
        impl->handle(peer);
        if (peer.transport == Transport::udp) {
            impl->cut_to(impl->request.udp_size);
        }
    }
    return Answer(std::move(impl));
}

Bytes notify_message(const Apex& apex, Serial serial, std::uint16_t id, const TsigKey* key,
                     UtcTime now) {
    Bytes question = apex.zone;
    append_u16(question, type_soa);
    append_u16(question, class_in);
    MessageBuilder message = MessageBuilder::request(id, opcode_notify, question, apex.zone);
    message.add_soa(apex, serial, Section::answer);
    Bytes out = std::move(message).finish();
    if (key != nullptr) {
        sign_request(out, *key, now);
    }
    return out;
}

bool acknowledges_notify(ByteView reply, std::uint16_t id) {
    const auto header = read_header(reply);
    return header && header->id == id && header->is_response() &&
           header->opcode() == opcode_notify && (header->flags & 0xfU) == rcode_noerror;
}

}  // namespace tapir::rpz
