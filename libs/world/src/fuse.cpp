#include "tapir/world/fuse.hpp"

namespace tapir::world {

Fuse::Moment Fuse::step() {
    if (left_ == 0) {
        return Moment::dead;
    }
    ++operations_;
    if (left_ != std::numeric_limits<std::uint64_t>::max() && --left_ == 0) {
        return Moment::dying;
    }
    return Moment::alive;
}

}  // namespace tapir::world
