#include "tapir/rpz/tsig.hpp"

#include <algorithm>
#include <array>

#include "query.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/crypto/secret.hpp"
#include "tapir/rpz/trigger.hpp"

namespace tapir::rpz {
namespace {

using namespace std::string_view_literals;

constexpr std::uint16_t type_tsig = 250;
constexpr std::uint16_t class_any = 255;
constexpr std::uint16_t error_bad_sig = 16;
constexpr std::uint16_t error_bad_key = 17;
constexpr std::uint16_t error_bad_time = 18;
constexpr std::uint16_t error_bad_trunc = 22;
constexpr std::string_view hmac_sha256_name = "\x0bhmac-sha256\0"sv;
constexpr std::size_t other_size_max = 6;

void append_u48(Bytes& out, std::uint64_t value) {
    append_u16(out, static_cast<std::uint16_t>(value >> 32U));
    append_u32(out, static_cast<std::uint32_t>(value));
}

std::uint64_t seconds_of(UtcTime now) {
    return now.seconds() < 0 ? 0 : static_cast<std::uint64_t>(now.seconds());
}

struct Tsig {
    Bytes key_name;
    Bytes algorithm;
    std::uint64_t time_signed = 0;
    std::uint16_t fudge = 0;
    Bytes mac;
    std::uint16_t original_id = 0;
    std::uint16_t error = 0;
    Bytes other;
};

// What is signed after the message itself (RFC 8945 §4.3.3).
void append_variables(Bytes& out, const Tsig& tsig) {
    append(out, tsig.key_name);
    append_u16(out, class_any);
    append_u32(out, 0);
    append(out, tsig.algorithm);
    append_u48(out, tsig.time_signed);
    append_u16(out, tsig.fudge);
    append_u16(out, tsig.error);
    append_u16(out, static_cast<std::uint16_t>(tsig.other.size()));
    append(out, tsig.other);
}

void append_record(Bytes& message, const Tsig& tsig) {
    TAPIR_ASSERT(message.size() >= header_size);
    append(message, tsig.key_name);
    append_u16(message, type_tsig);
    append_u16(message, class_any);
    append_u32(message, 0);
    const std::size_t size =
        tsig.algorithm.size() + 6 + 2 + 2 + tsig.mac.size() + 2 + 2 + 2 + tsig.other.size();
    append_u16(message, static_cast<std::uint16_t>(size));
    append(message, tsig.algorithm);
    append_u48(message, tsig.time_signed);
    append_u16(message, tsig.fudge);
    append_u16(message, static_cast<std::uint16_t>(tsig.mac.size()));
    append(message, tsig.mac);
    append_u16(message, tsig.original_id);
    append_u16(message, tsig.error);
    append_u16(message, static_cast<std::uint16_t>(tsig.other.size()));
    append(message, tsig.other);
    set_u16(message, 10, static_cast<std::uint16_t>(get_u16(message, 10) + 1));  // ARCOUNT
}

bool read_rdata(ByteView rdata, Tsig& out) {
    ByteReader in(rdata);
    out.algorithm = read_plain_name(in);
    out.time_signed = std::uint64_t{in.u16()} << 32U;
    out.time_signed |= in.u32();
    out.fudge = in.u16();
    out.mac = to_bytes(in.bytes(in.u16()));
    out.original_id = in.u16();
    out.error = in.u16();
    out.other = to_bytes(in.bytes(in.u16()));
    return !in.failed() && in.remaining() == 0 && !out.algorithm.empty() &&
           out.other.size() <= other_size_max;
}

}  // namespace

std::string_view to_string(TsigState state) {
    switch (state) {
        case TsigState::absent:
            return "absent";
        case TsigState::good:
            return "good";
        case TsigState::bad_key:
            return "bad_key";
        case TsigState::bad_signature:
            return "bad_signature";
        case TsigState::bad_time:
            return "bad_time";
        case TsigState::bad_truncation:
            return "bad_truncation";
        case TsigState::malformed:
            return "malformed";
    }
    return "malformed";
}

TsigKey::TsigKey(Bytes name_wire, crypto::Secret secret)
    : name_wire_(std::move(name_wire)), secret_(std::move(secret)) {}

Result<TsigKey> TsigKey::create(std::string_view name, crypto::Secret secret) {
    const Trigger trigger = TRY(Trigger::parse(name));
    if (secret.size() < tsig_secret_size_min || secret.size() > tsig_secret_size_max) {
        return fail(Code::invalid, "a TSIG secret has 16 to 128 octets");
    }
    Bytes wire;
    append_labels(trigger.key(), wire);
    append_u8(wire, 0);
    return TsigKey(std::move(wire), std::move(secret));
}

Result<TsigKey> TsigKey::from_base64(std::string_view name, std::string_view base64) {
    constexpr std::string_view blanks = " \t\r\n";
    const std::size_t first = base64.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return fail(Code::invalid, "a TSIG secret is base64, not nothing");
    }
    base64 = base64.substr(first, base64.find_last_not_of(blanks) - first + 1);
    return create(name, crypto::Secret::taken_from(TRY(crypto::parse_base64(base64))));
}

TsigCheck verify_tsig(ByteView message, const std::vector<TsigKey>& keys, UtcTime now) {
    TsigCheck check;
    const auto last = find_last_record(message);
    if (!last) {
        check.state = TsigState::malformed;
        return check;
    }
    if (last->type != type_tsig) {
        return check;
    }
    Tsig tsig;
    tsig.key_name = last->owner;
    check.unsigned_size = last->start;
    if (last->record_class != class_any || last->ttl != 0 || !read_rdata(last->rdata, tsig)) {
        check.state = TsigState::malformed;
        return check;
    }
    check.key_name = tsig.key_name;
    check.algorithm = tsig.algorithm;
    check.time_signed = tsig.time_signed;
    const auto key = std::ranges::find_if(
        keys, [&](const TsigKey& k) { return std::ranges::equal(k.name_wire(), tsig.key_name); });
    if (key == keys.end() || as_text(tsig.algorithm) != hmac_sha256_name) {
        check.state = TsigState::bad_key;
        return check;
    }
    if (tsig.mac.size() != tsig_mac_size) {
        check.state = TsigState::bad_truncation;
        return check;
    }
    Bytes input = to_bytes(message.first(last->start));
    set_u16(input, 0, tsig.original_id);
    set_u16(input, 10, static_cast<std::uint16_t>(get_u16(input, 10) - 1));
    append_variables(input, tsig);
    const auto expected = crypto::hmac_sha256(key->secret(), input);
    if (!crypto::ct_equal(expected, tsig.mac)) {
        check.state = TsigState::bad_signature;
        return check;
    }
    check.key = &*key;
    check.mac = tsig.mac;
    const std::uint64_t ours = seconds_of(now);
    const std::uint64_t apart =
        ours > tsig.time_signed ? ours - tsig.time_signed : tsig.time_signed - ours;
    check.state = apart <= tsig.fudge ? TsigState::good : TsigState::bad_time;
    return check;
}

void TsigSigner::sign(Bytes& message, UtcTime now) {
    sign_as(message, seconds_of(now), 0, {});
}

void TsigSigner::sign_bad_time(Bytes& message, std::uint64_t request_time, UtcTime now) {
    Bytes other;
    append_u48(other, seconds_of(now));
    sign_as(message, request_time, error_bad_time, other);
}

void TsigSigner::sign_as(Bytes& message, std::uint64_t time_signed, std::uint16_t error,
                         ByteView other) {
    Tsig tsig{.key_name = to_bytes(key_->name_wire()),
              .algorithm = to_bytes(hmac_sha256_name),
              .time_signed = time_signed,
              .fudge = tsig_fudge_s,
              .mac = {},
              .original_id = get_u16(message, 0),
              .error = error,
              .other = to_bytes(other)};
    Bytes input;
    if (!chain_.empty()) {
        append_u16(input, static_cast<std::uint16_t>(chain_.size()));
        append(input, chain_);
    }
    append(input, message);
    if (first_) {
        append_variables(input, tsig);
    } else {  // RFC 8945 §5.3.1: later messages sign the times only
        append_u48(input, tsig.time_signed);
        append_u16(input, tsig.fudge);
    }
    const auto mac = crypto::hmac_sha256(key_->secret(), input);
    tsig.mac.assign(mac.begin(), mac.end());
    append_record(message, tsig);
    chain_ = tsig.mac;
    first_ = false;
}

void sign_request(Bytes& message, const TsigKey& key, UtcTime now) {
    TsigSigner(key, {}).sign(message, now);
}

void append_tsig_error(Bytes& message, const TsigCheck& check, UtcTime now) {
    const std::uint16_t error = check.state == TsigState::bad_key         ? error_bad_key
                                : check.state == TsigState::bad_signature ? error_bad_sig
                                                                          : error_bad_trunc;
    append_record(message, {.key_name = check.key_name,
                            .algorithm = check.algorithm,
                            .time_signed = seconds_of(now),
                            .fudge = tsig_fudge_s,
                            .mac = {},
                            .original_id = get_u16(message, 0),
                            .error = error,
                            .other = {}});
}

}  // namespace tapir::rpz
