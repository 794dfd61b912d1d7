// Requests of any kind: no crash, answers within their sizes, every answer readable by the reader
// of libs/dns too, and every signature good for whoever checks it the long way: those of the
// answers and, before one is believed, that of the request. The mutator changes records, and signs
// what it made with the test key.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>

#include "query.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/dns/fuzzing.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/rpz/answer.hpp"
#include "tapir/rpz/trigger.hpp"

using namespace tapir;
using tapir::fuzzing::Dice;

namespace {

constexpr std::uint16_t type_tsig = 250;
constexpr std::size_t message_count_max = 100;
const UtcTime now = UtcTime::from_seconds(1'700'000'000);

struct Fixture {
    rpz::Apex apex = *rpz::Apex::create("dnstapir.");
    std::shared_ptr<const rpz::Snapshot> snapshot;
    std::vector<rpz::TsigKey> keys;

    Fixture() {
        rpz::Snapshot built;
        for (int i = 0; i < 9; ++i) {
            rpz::Delta delta;
            const auto name = rpz::Trigger::parse("n" + std::to_string(i) + ".example");
            delta.added.push_back({name->key(), rpz::Action::nxdomain});
            built = rpz::publish(built, delta);
        }
        snapshot = std::make_shared<const rpz::Snapshot>(std::move(built));
        keys.push_back(
            *rpz::TsigKey::from_base64("rpz-key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
    }
};

const Fixture& fixture() {
    static const Fixture made;
    return made;
}

// The message without the TSIG record at its end, and a new one there.
Bytes sign_anew(Bytes message, Dice& dice) {
    const auto last = rpz::find_last_record(message);
    if (last && last->type == type_tsig) {
        message.resize(last->start);
        rpz::set_u16(message, 10, static_cast<std::uint16_t>(rpz::get_u16(message, 10) - 1));
    }
    if (message.size() >= rpz::header_size) {
        const Duration off = std::chrono::seconds(dice.one_in(4) ? dice.below(1'000) : 0);
        rpz::sign_request(message, fixture().keys[0], now - off);
        if (dice.one_in(8)) {  // forged
            message[message.size() - 1 - dice.below(64)] ^= std::byte{1};
        }
    }
    return message;
}

Bytes change(ByteView input, Dice& dice) {
    Bytes message = dns::fuzzing::change_message(input, dice);
    return dice.one_in(2) ? sign_anew(std::move(message), dice) : message;
}

// What a TSIG record says, in the pieces that are signed.
struct Pieces {
    rpz::RawRecord record;
    Bytes algorithm;
    ByteView time_and_fudge;
    Bytes mac;
    std::uint16_t original_id = 0;
    ByteView error_and_other;
};

std::optional<Pieces> pieces_of(ByteView message) {
    const auto last = rpz::find_last_record(message);
    if (!last || last->type != type_tsig) {
        return std::nullopt;
    }
    Pieces pieces;
    ByteReader in(last->rdata);
    pieces.algorithm = rpz::read_plain_name(in);
    pieces.time_and_fudge = in.bytes(8);
    pieces.mac = to_bytes(in.bytes(in.u16()));
    pieces.original_id = in.u16();
    pieces.error_and_other = in.rest();
    pieces.record = *last;
    return in.failed() ? std::nullopt : std::optional(std::move(pieces));
}

// RFC 8945 §4.3.3, written down again: the MAC that the test key gives the message. `before` is
// what the MAC goes on from; of a later message of an answer (§5.3.1) only the times are signed.
Bytes mac_by_hand(ByteView message, const Pieces& pieces, ByteView before, bool is_first) {
    Bytes body = to_bytes(message.first(pieces.record.start));
    rpz::set_u16(body, 0, pieces.original_id);
    rpz::set_u16(body, 10, static_cast<std::uint16_t>(rpz::get_u16(message, 10) - 1));
    Bytes input;
    if (!before.empty()) {
        append_u16(input, static_cast<std::uint16_t>(before.size()));
        append(input, before);
    }
    append(input, body);
    if (is_first) {
        append(input, pieces.record.owner);
        append_u16(input, 255);
        append_u32(input, 0);
        append(input, pieces.algorithm);
        append(input, pieces.time_and_fudge);
        append(input, pieces.error_and_other);
    } else {
        append(input, pieces.time_and_fudge);
    }
    return to_bytes(crypto::hmac_sha256(fixture().keys[0].secret(), input));
}

// The signatures of the messages of an answer, each of which goes on from the one before.
class SlowChain {
public:
    explicit SlowChain(Bytes request_mac) : mac_(std::move(request_mac)) {}

    void check(ByteView message) {
        const auto pieces = pieces_of(message);
        TAPIR_ASSERT(pieces && pieces->mac == mac_by_hand(message, *pieces, mac_, is_first_));
        mac_ = pieces->mac;
        is_first_ = false;
    }

private:
    Bytes mac_;
    bool is_first_ = true;
};

// A request is believed exactly if the test key signed it, under its own name and algorithm, at
// about this time.
void check_request(ByteView query, const rpz::TsigCheck& check) {
    using namespace std::string_view_literals;
    const auto pieces = pieces_of(query);
    const bool is_good = pieces && pieces->mac == mac_by_hand(query, *pieces, {}, true) &&
                         as_text(pieces->record.owner) == "\x07rpz-key\0"sv &&
                         as_text(pieces->algorithm) == "\x0bhmac-sha256\0"sv;
    if (check.state == rpz::TsigState::good) {
        TAPIR_ASSERT(is_good && check.mac == pieces->mac);
        ByteReader in(pieces->time_and_fudge);
        const std::int64_t time = (std::int64_t{in.u16()} << 32U) | in.u32();
        TAPIR_ASSERT(std::abs(time - now.seconds()) <= in.u16());
    }
    const bool is_called_bad = check.state == rpz::TsigState::bad_signature ||
                               check.state == rpz::TsigState::bad_key ||
                               check.state == rpz::TsigState::absent;
    TAPIR_ASSERT(!(is_good && is_called_bad));
}

void check_readable(ByteView message, ByteView query) {
    TAPIR_ASSERT(rpz::find_last_record(message).has_value());
    dns::NameBuffer scratch;
    const auto read = dns::Message::parse(message, dns::Depth::compatible, scratch);
    TAPIR_ASSERT(read && read->id == rpz::get_u16(query, 0));
    TAPIR_ASSERT((read->flags & 0x8000U) != 0);
    dns::RecordReader records(*read);
    std::size_t count = 0;
    while (records.next()) {
        ++count;
    }
    TAPIR_ASSERT(!records.error());
    TAPIR_ASSERT(count == std::size_t{rpz::get_u16(message, 6)} + rpz::get_u16(message, 8) +
                              rpz::get_u16(message, 10));
}

void check_answer(ByteView query, rpz::Peer peer) {
    const Fixture& f = fixture();
    auto answer = rpz::answer(f.apex, f.snapshot, f.keys, query, peer, now);
    const rpz::TsigCheck request = rpz::verify_tsig(query, f.keys, now);
    check_request(query, request);
    SlowChain chain(request.mac);
    // What is refused for its header alone is refused before anybody looks for a signature.
    using enum rpz::QueryOutcome;
    const rpz::QueryOutcome outcome = answer.outcome();
    const bool is_signed = request.state == rpz::TsigState::good && outcome != too_large &&
                           outcome != malformed && outcome != not_implemented;
    Bytes message;
    for (std::size_t count = 0; answer.next(message, now); ++count) {
        TAPIR_ASSERT(count < message_count_max);
        TAPIR_ASSERT(message.size() <= rpz::message_size_max);
        TAPIR_ASSERT(peer.transport == rpz::Transport::tcp || message.size() <= 2'048);
        check_readable(message, query);
        if (is_signed) {
            chain.check(message);
        }
    }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, change);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView query = std::as_bytes(std::span(data, size));
    for (const auto transport : {rpz::Transport::udp, rpz::Transport::tcp}) {
        for (const bool plain_allowed : {true, false}) {
            check_answer(query, {.transport = transport, .plain_allowed = plain_allowed});
        }
    }
    // What our own NOTIFYs are answered with is hostile too.
    if (rpz::acknowledges_notify(query, 7)) {
        TAPIR_ASSERT(size >= rpz::header_size && rpz::get_u16(query, 0) == 7);
    }
    return 0;
}
