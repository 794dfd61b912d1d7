// Where resolvers deliver dnstap: Frame Streams over unix sockets and TCP, into the pipeline.
//
//     const auto input = TRY(Input::open("/run/tapir/edge/dnstap.sock", pipeline, log, counters));
//     input->stop();
#pragma once

#include <memory>
#include <string>

#include "pipeline.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"

namespace tapir::edge {

class Input {
public:
    virtual ~Input() = default;
    // Listens at `endpoint` when it returns. All must outlive it.
    static Result<std::unique_ptr<Input>> open(const std::string& endpoint, Pipeline& pipeline,
                                               const Log& log, Counters& counters);
    // What was read by then is in the pipeline.
    virtual void stop() = 0;
};

}  // namespace tapir::edge
