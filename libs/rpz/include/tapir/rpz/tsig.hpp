// Transaction signatures (RFC 8945), hmac-sha256: requests are verified, answers and transfers of
// many messages are signed.
//
//     const TsigCheck check = verify_tsig(message, keys, now);
//     if (check.state == TsigState::good) {
//         TsigSigner signer(*check.key, check.mac);
//         signer.sign(first, now);        // later messages chain on the ones before
//     }
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/crypto/secret.hpp"

namespace tapir::rpz {

inline constexpr std::uint16_t tsig_fudge_s = 300;
inline constexpr std::size_t tsig_mac_size = 32;
inline constexpr std::size_t tsig_secret_size_min = 16;
inline constexpr std::size_t tsig_secret_size_max = 128;
inline constexpr std::size_t tsig_record_size_max = 512;  // room to keep for one TSIG record

class TsigKey {
public:
    // `name` in presentation form; `secret` are the octets themselves.
    static Result<TsigKey> create(std::string_view name, crypto::Secret secret);
    // Reads base64 as `tsig-keygen` prints it. White space around it is skipped.
    static Result<TsigKey> from_base64(std::string_view name, std::string_view base64);

    ByteView name_wire() const { return name_wire_; }  // case folded, root label included
    ByteView secret() const& { return secret_.bytes(); }

private:
    TsigKey(Bytes name_wire, crypto::Secret secret);
    Bytes name_wire_;
    crypto::Secret secret_;
};

// What a request's signature is worth. Each value names a counter.
enum class TsigState : std::uint8_t {
    absent,
    good,
    bad_key,
    bad_signature,
    bad_time,
    bad_truncation,
    malformed
};
std::string_view to_string(TsigState state);

struct TsigCheck {
    TsigState state = TsigState::absent;
    const TsigKey* key = nullptr;   // if known; points into `keys`
    Bytes mac;                      // the request's, to chain the answer on
    Bytes key_name;                 // as sent, for an unsigned error answer
    Bytes algorithm;                // likewise
    std::uint64_t time_signed = 0;  // seconds, as sent
    std::size_t unsigned_size = 0;  // where the TSIG record begins in the message
};

// Looks for a TSIG record at the message's end and verifies it.
TsigCheck verify_tsig(ByteView message, const std::vector<TsigKey>& keys, UtcTime now);

// Adds TSIG records to the messages of one answer, in order. The key must outlive it.
class TsigSigner {
public:
    TsigSigner(const TsigKey& key, ByteView request_mac)
        : key_(&key), chain_(to_bytes(request_mac)) {}
    void sign(Bytes& message, UtcTime now);
    // The answer to a request whose time was off: its own time, and ours as "other data".
    void sign_bad_time(Bytes& message, std::uint64_t request_time, UtcTime now);

private:
    void sign_as(Bytes& message, std::uint64_t time_signed, std::uint16_t error, ByteView other);
    const TsigKey* key_;
    Bytes chain_;
    bool first_ = true;
};

// Signs a request (a NOTIFY): nothing to chain on.
void sign_request(Bytes& message, const TsigKey& key, UtcTime now);
// Adds the unsigned TSIG record of an error answer (BADKEY, BADSIG, BADTRUNC).
void append_tsig_error(Bytes& message, const TsigCheck& check, UtcTime now);

}  // namespace tapir::rpz
