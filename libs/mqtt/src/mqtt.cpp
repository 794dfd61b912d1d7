#include "tapir/mqtt/mqtt.hpp"

#include <array>

namespace tapir::mqtt {

std::string_view to_string(Published outcome) {
    static constexpr std::array<std::string_view, published_count> names{
        "accepted", "unheard", "unavailable", "busy", "denied", "refused"};
    return names.at(static_cast<std::size_t>(outcome));
}

}  // namespace tapir::mqtt
