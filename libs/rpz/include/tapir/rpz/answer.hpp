// What the primary answers: SOA, AXFR, IXFR and the few other questions, from one snapshot.
//
//     Answer a = answer(service, snapshot, query, {.transport = Transport::tcp, .plain_allowed =
//     true}, now); while (a.next(message, now)) { send(message); }      // none, one, or a whole
//     transfer
//
// A pure function of its arguments: no socket, no clock. Every input is hostile; what is wrong with
// it is a QueryFault, which names a counter.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"
#include "tapir/rpz/tsig.hpp"
#include "tapir/rpz/zone.hpp"

namespace tapir::rpz {

inline constexpr std::size_t query_size_max = 4'096;          // octets; larger requests get FORMERR
inline constexpr std::size_t message_size_max = 65'535;       // octets of one message over TCP
inline constexpr std::size_t transfer_message_size = 16'384;  // what we fill transfer messages to
inline constexpr std::uint32_t record_ttl_s = 3'600;

// The zone's own records. Names in wire form, case folded.
struct Apex {
    Bytes zone;
    Bytes mname;  // localhost.
    Bytes rname;  // hostmaster.<zone>
    std::vector<Bytes> ns;
    std::uint32_t ttl_s = record_ttl_s;
    std::uint32_t refresh_s = 60;
    std::uint32_t retry_s = 60;
    std::uint32_t expire_s = 86'400;
    std::uint32_t minimum_s = 60;

    // For a zone name in presentation form, with or without its final dot.
    static Result<Apex> create(std::string_view zone_name);
    // Whether a trigger with this key fits under the zone (255 octets in all).
    bool fits(std::string_view key) const;
};

enum class Transport : std::uint8_t { udp, tcp };

struct Peer {
    Transport transport = Transport::udp;
    bool plain_allowed = false;  // may ask without TSIG
};

// What became of a request. Each value names a counter.
enum class QueryOutcome : std::uint8_t {
    soa,
    other_answer,
    axfr,
    ixfr,
    ixfr_as_axfr,
    ixfr_current,
    ixfr_over_udp,
    notify,
    ignored_short,
    ignored_response,
    malformed,
    too_large,
    not_implemented,
    refused_plain,
    refused_zone,
    refused_axfr_over_udp,
    bad_version,
    tsig_bad_key,
    tsig_bad_signature,
    tsig_bad_time,
    tsig_malformed,
};
std::string_view to_string(QueryOutcome outcome);

class Answer {
public:
    Answer(Answer&&) noexcept;
    Answer& operator=(Answer&&) noexcept;
    ~Answer();

    QueryOutcome outcome() const;
    // Writes the next message; false when there is none left. Transfers are written as they are
    // asked for.
    bool next(Bytes& message, UtcTime now);

private:
    friend Answer answer(const Apex&, std::shared_ptr<const Snapshot>, const std::vector<TsigKey>&,
                         ByteView, Peer, UtcTime);
    struct Impl;
    explicit Answer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// `apex` and `keys` must outlive the Answer.
Answer answer(const Apex& apex, std::shared_ptr<const Snapshot> snapshot,
              const std::vector<TsigKey>& keys, ByteView query, Peer peer, UtcTime now);

// A NOTIFY (RFC 1996) for the zone, with its SOA as a hint; signed if there is a key.
Bytes notify_message(const Apex& apex, Serial serial, std::uint16_t id, const TsigKey* key,
                     UtcTime now);
// Whether `reply` acknowledges the NOTIFY with this id (opcode NOTIFY, a response, NOERROR).
bool acknowledges_notify(ByteView reply, std::uint16_t id);

}  // namespace tapir::rpz
