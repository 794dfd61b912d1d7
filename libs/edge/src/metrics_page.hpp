// /metrics over plain HTTP, for the operator.
#pragma once

#include <memory>
#include <string>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/base/result.hpp"

namespace tapir::edge {

class MetricsPage {
public:
    virtual ~MetricsPage() = default;  // stops
    // Listens at `endpoint` when it returns. Both must outlive it.
    static Result<std::unique_ptr<MetricsPage>> open(const std::string& endpoint, const Log& log,
                                                     Counters& counters);
};

}  // namespace tapir::edge
