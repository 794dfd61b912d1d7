#include "hosts.hpp"

#include <utility>

namespace tapir::sim {

Host::Host(const HostParts& parts, std::string name, const std::vector<std::string>& families)
    : parts_(parts),
      machine_(std::move(name), families, parts.start, parts.dice.seed(), parts.logs) {}

bool Host::start(std::optional<std::uint64_t> fuse) {
    Ports& ports = machine_.boot();
    has_process_ = true;
    if (fuse) {
        ports.fuse.light(*fuse);
    }
    const auto opened = open(ports);
    is_up_ = opened.has_value() && !ports.fuse.is_burnt();
    if (is_up_) {
        return true;
    }
    machine_.log.warn("sim", "did not start",
                      {{"reason", opened ? std::string("killed") : opened.error().what()}});
    if (!ports.fuse.is_burnt()) {
        stop();
    }
    return false;
}

void Host::stop() {
    close();
    machine_.shut_down();
    is_up_ = false;
    has_process_ = false;
}

void Host::bury(bool is_power_cut) {
    close();
    machine_.bury(is_power_cut, parts_.tally);
    is_up_ = false;
    has_process_ = false;
}

}  // namespace tapir::sim
