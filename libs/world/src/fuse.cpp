#include "tapir/world/fuse.hpp"

namespace tapir::world {

Fuse::Moment Fuse::step() {
    if (left_ == 0) {
        return Moment::dead;
    }
    ++operations_;
    if (left_ == std::numeric_limits<std::uint64_t>::max()) {
        return Moment::alive;
    }
    --left_;
    return left_ == 0 ? Moment::dying : Moment::alive;
}

}  // namespace tapir::world
