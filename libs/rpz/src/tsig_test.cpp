#include "tapir/rpz/tsig.hpp"

#include <gtest/gtest.h>

#include "message.hpp"
#include "query.hpp"
#include "tapir/rpz/answer.hpp"

namespace tapir::rpz {
namespace {

const UtcTime now = UtcTime::from_seconds(1'700'000'000);

std::vector<TsigKey> make_keys(std::string_view name = "rpz-key") {
    std::vector<TsigKey> keys;
    keys.push_back(*TsigKey::from_base64(name, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"));
    return keys;
}

const std::vector<TsigKey> keys = make_keys();
const Apex apex = *Apex::create("dnstapir.");

Bytes signed_soa_query(UtcTime at = now) {
    Bytes out;
    append_u16(out, 0x1234);
    append_u16(out, 0);
    append_u16(out, 1);
    append_u32(out, 0);
    append_u16(out, 0);
    append(out, apex.zone);
    append_u16(out, type_soa);
    append_u16(out, 1);
    sign_request(out, keys[0], at);
    return out;
}

// The octets for this key, time and id computed apart with Python from RFC 8945 §4.3.
TEST(Tsig, SignsAsAnotherImplementationDoes) {
    EXPECT_EQ(to_hex(ByteView(signed_soa_query())),
              "12340000000100000000000108646e73746170697200000600010772707a2d6b65790000fa00ff000000"
              "00003d0b686d61632d7368613235360000006553f100012c0020bb02d11c635ef68adca64d2296afce11"
              "32ee2d6caabb574eedd3252aef96836a123400000000");
}

// A query as "dig -y hmac-sha256:rpz-key:…" of BIND 9.18 sent it, with a cookie.
TEST(Tsig, ReadsWhatDigSigned) {
    constexpr std::string_view hex =
        "b2b30120000100000000000208646e737461706972000006000100002904d000000000000c000a00"
        "081e96e63ea4c76c6e0772707a2d6b65790000fa00ff00000000003d0b686d61632d736861323536"
        "0000006b0586e1012c00204a90eaff77824f941fa4560b4698316f8761f3e94619844d1e87905663"
        "437e2ab2b300000000";
    Bytes query;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        append_u8(query,
                  static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    EXPECT_EQ(verify_tsig(query, keys, UtcTime::from_seconds(1'795'524'321)).state,
              TsigState::good);
}

TEST(Tsig, GoodOnlyWithTheRightKeyTimeAndOctets) {
    const Bytes query = signed_soa_query();
    EXPECT_EQ(verify_tsig(query, keys, now).state, TsigState::good);
    EXPECT_EQ(verify_tsig(query, keys, now + std::chrono::seconds(300)).state, TsigState::good);
    EXPECT_EQ(verify_tsig(query, keys, now + std::chrono::seconds(301)).state, TsigState::bad_time);
    EXPECT_EQ(verify_tsig(query, keys, now - std::chrono::seconds(301)).state, TsigState::bad_time);
    EXPECT_EQ(verify_tsig(query, {}, now).state, TsigState::bad_key);
    EXPECT_EQ(verify_tsig(query, make_keys("other-key"), now).state, TsigState::bad_key);
    Bytes other_question = query;
    other_question[header_size + 1] ^= std::byte{1};
    EXPECT_EQ(verify_tsig(other_question, keys, now).state, TsigState::bad_signature);
    Bytes plain(query.begin(), query.begin() + 12 + 10 + 4);
    set_u16(plain, 10, 0);
    EXPECT_EQ(verify_tsig(plain, keys, now).state, TsigState::absent);
}

TEST(Tsig, NoOctetOfAQueryCanBeChanged) {
    const Bytes query = signed_soa_query();
    for (std::size_t i = 2; i < query.size(); ++i) {  // the ID is signed as "original ID"
        for (const unsigned bit : {1U, 0x80U}) {
            Bytes changed = query;
            changed[i] ^= static_cast<std::byte>(bit);
            const auto state = verify_tsig(changed, keys, now).state;
            // Letter case of names is not signed (RFC 8945 §4.3.3: canonical form).
            const bool only_case = std::to_integer<int>(query[i]) >= 'A' && bit == 0x20U;
            EXPECT_TRUE(state != TsigState::good || only_case) << i;
        }
    }
}

TEST(Tsig, AnswersOfAllKinds) {
    const auto snapshot = std::make_shared<Snapshot>();
    const Peer stranger{.transport = Transport::tcp, .plain_allowed = false};
    const auto first = [&](ByteView query, UtcTime at) {
        Answer a = answer(apex, snapshot, keys, query, stranger, at);
        Bytes message;
        EXPECT_TRUE(a.next(message, at));
        return std::pair(a.outcome(), message);
    };
    const Bytes query = signed_soa_query();
    EXPECT_EQ(first(query, now).first, QueryOutcome::soa);

    Bytes wrong = query;
    wrong[header_size + 1] ^= std::byte{1};
    const auto [outcome, message] = first(wrong, now);
    EXPECT_EQ(outcome, QueryOutcome::tsig_bad_signature);
    EXPECT_EQ(get_u16(message, 2) & 0xfU, rcode_notauth);
    const auto last = find_last_record(message);
    ASSERT_TRUE(last.has_value());
    EXPECT_EQ(last->type, 250);
    EXPECT_EQ(to_hex(last->rdata.last(4)), "00100000");         // error BADSIG, no other data
    EXPECT_EQ(to_hex(last->rdata.subspan(13 + 8, 2)), "0000");  // and no MAC

    const auto [late_outcome, late] = first(query, now + std::chrono::seconds(1'000));
    EXPECT_EQ(late_outcome, QueryOutcome::tsig_bad_time);
    const auto late_record = find_last_record(late);
    EXPECT_EQ(to_hex(late_record->rdata.last(10)), "001200060000" + std::string("6553f4e8"));
    EXPECT_EQ(to_hex(late_record->rdata.subspan(13 + 8, 2)), "0020");

    Answer unknown = answer(apex, snapshot, {}, query, stranger, now);
    Bytes reply;
    ASSERT_TRUE(unknown.next(reply, now));
    EXPECT_EQ(unknown.outcome(), QueryOutcome::tsig_bad_key);
    EXPECT_EQ(to_hex(find_last_record(reply)->rdata.last(4)), "00110000");
}

TEST(Tsig, EachMessageOfATransferIsChainedOnTheOneBefore) {
    Bytes request = signed_soa_query();
    const TsigCheck check = verify_tsig(request, keys, now);
    TsigSigner signer(keys[0], check.mac);
    TsigSigner again(keys[0], check.mac);
    Bytes plain(request.begin(), request.begin() + 12 + 10 + 4);
    set_u16(plain, 10, 0);
    Bytes one = plain;
    Bytes two = plain;
    Bytes first_again = plain;
    signer.sign(one, now);
    signer.sign(two, now);
    again.sign(first_again, now);
    EXPECT_EQ(one, first_again);
    EXPECT_NE(one, two);
}

TEST(TsigKey, IsReadFromBase64Only) {
    EXPECT_TRUE(TsigKey::from_base64("k", " AAECAwQFBgcICQoLDA0ODw== \n").has_value());
    EXPECT_FALSE(TsigKey::from_base64("k", "AAECAwQFBgcICQoLDA0O").has_value());  // 15 octets
    EXPECT_FALSE(TsigKey::from_base64("k", "!AECAwQFBgcICQoLDA0ODw==").has_value());
    EXPECT_FALSE(TsigKey::from_base64("", "AAECAwQFBgcICQoLDA0ODw==").has_value());
    EXPECT_EQ(to_hex(TsigKey::from_base64("K.", "AAECAwQFBgcICQoLDA0ODw==")->name_wire()),
              "016b00");
}

}  // namespace
}  // namespace tapir::rpz
