// A frame as whoever measures more than names wants it: the parse hooks for queries, for what a
// resolver asks others, and for EDNS. Not on the way of what is counted today.
//
//     class Gauges final : public Observer {
//         void on_client_query(const Observed& seen) override { ... }
//     };
//     const auto error = observe(frame, gauges);     // nothing: it was shown
//
// Everything shown is a view into the frame and valid in the call only. The client's address stays
// sealed.
#pragma once

#include <optional>

#include "tapir/base/bytes.hpp"
#include "tapir/dns/edns.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/dnstap/message.hpp"

namespace tapir::edge {

struct Observed {
    // Type, transport, ports, query_time() and response_time(), both messages in wire form.
    const dnstap::Message& frame;
    // The message that the frame is about: of a query the query, of a response the response. Null
    // if there is none (Knot Resolver sends queries without theirs) or it is malformed.
    const dns::Message* dns = nullptr;
    std::optional<dns::Edns> edns{};
};

class Observer {
public:
    virtual ~Observer() = default;
    virtual void on_client_query(const Observed& /*seen*/) {}
    virtual void on_client_response(const Observed& /*seen*/) {}
    virtual void on_resolver_query(const Observed& /*seen*/) {}
    virtual void on_resolver_response(const Observed& /*seen*/) {}
    virtual void on_other(const Observed& /*seen*/) {}
};

// Shows one frame to the hook of its kind; the error if it is none.
std::optional<dnstap::MessageError> observe(ByteView frame, Observer& observer);

}  // namespace tapir::edge
