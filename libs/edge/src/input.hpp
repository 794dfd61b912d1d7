// Where resolvers deliver what they see, all at once: dnstap in Frame Streams over unix sockets,
// TCP and TLS, and PowerDNS protobuf over TCP; into the pipeline.
//
//     const auto inherited = TRY(InheritedInputs::take());           // once, before other threads
//     const auto inputs = TRY(Inputs::open(settings, *inherited, pipeline, log, counters));
//     inputs->stop();
//
// Each connection has a thread, which reads as fast as its peer writes. Counted, besides what net
// counts (tapir_stream_*): tapir_edge_streams_ended_total by how, tapir_edge_stream_errors_total by
// reason, tapir_edge_powerdns_errors_total by reason, tapir_edge_input_frames_total by input, and
// what upstream_loss.hpp says.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pipeline.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::edge {

// Listening sockets that systemd made before we started. A socket's name says what comes in by it:
// "dnstap-tls", "powerdns", and "dnstap" or the name of a unit for dnstap without TLS.
class InheritedInputs {
public:
    virtual ~InheritedInputs() = default;
    // None if there are none. `invalid` if one is no listening socket or has another name.
    static Result<std::unique_ptr<InheritedInputs>> take();
    static std::unique_ptr<InheritedInputs> none();
};

// One way in for dnstap, as the lab and tests want it: everybody may connect.
class Input {
public:
    virtual ~Input() = default;
    // Listens at `endpoint` when it returns. All must outlive it.
    static Result<std::unique_ptr<Input>> open(const std::string& endpoint, Pipeline& pipeline,
                                               const Log& log, Counters& counters);
    // What was read by then is in the pipeline.
    virtual void stop() = 0;
};

class Inputs {
public:
    virtual ~Inputs() = default;
    // Listens everywhere when it returns, or nowhere. What is inherited is not opened again.
    // Errors name file, line and setting. All must outlive it.
    static Result<std::unique_ptr<Inputs>> open(const text::Settings& settings,
                                                const InheritedInputs& inherited,
                                                Pipeline& pipeline, const Log& log,
                                                Counters& counters);
    // What was read by then is in the pipeline.
    virtual void stop() = 0;
    // The port of an input, by its name ("dnstap-tcp", "dnstap-tcp-2"): of use when port 0 was
    // asked for. 0 for unix sockets and unknown names.
    virtual std::uint16_t port(const std::string& name) const = 0;
};

}  // namespace tapir::edge
