#include "tapir/edge/edge.hpp"

namespace tapir::edge {
Result<void> run(const text::Settings&, const std::string&, world::Stop&, const Log&) {
    return fail(Code::internal, "not yet");
}
}  // namespace tapir::edge
