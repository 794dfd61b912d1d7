// /metrics and /status over plain HTTP, and the status over a unix socket: for the operator.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"

namespace tapir::edge {

// The status as JSON. Called from any thread.
using StatusText = std::function<std::string()>;

class MetricsPage {
public:
    virtual ~MetricsPage() = default;  // stops
    // Listens at `endpoint` when it returns. Log and counters must outlive it.
    static Result<std::unique_ptr<MetricsPage>> open(const std::string& endpoint, const Log& log,
                                                     Counters& counters, StatusText status);
};

// Says the status to whoever connects to a unix socket, and closes.
class StatusSocket {
public:
    virtual ~StatusSocket() = default;  // stops
    static Result<std::unique_ptr<StatusSocket>> open(const std::string& path, const Log& log,
                                                      Counters& counters, StatusText status);
};

}  // namespace tapir::edge
