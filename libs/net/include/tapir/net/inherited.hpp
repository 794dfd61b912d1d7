// Listening sockets that were there before this process: systemd opens them (a .socket unit) and
// hands them over as LISTEN_FDS, so that a resolver finds its socket however late we start.
//
//     for (const auto& socket : TRY(take_inherited_sockets())) {     // once, at the start
//         settings.inherited = socket;                                // for StreamServer::start
//     }
//
// An InheritedSocket never changes; threads may share it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/net/address.hpp"

namespace tapir::net {

inline constexpr std::size_t inherited_count_max = 64;

class InheritedSocket {
public:
    // Takes over a descriptor and closes it at the end. `invalid` if it is no listening stream
    // socket of the families unix, IPv4 and IPv6; then it is closed at once.
    static Result<std::shared_ptr<const InheritedSocket>> adopt(int fd, std::string name);
    ~InheritedSocket();
    InheritedSocket(const InheritedSocket&) = delete;
    InheritedSocket& operator=(const InheritedSocket&) = delete;

    const std::string& name() const { return name_; }  // FileDescriptorName= of the unit
    const Endpoint& at() const { return at_; }
    int fd() const { return fd_; }

private:
    InheritedSocket(int fd, std::string name, Endpoint at)
        : fd_(fd), name_(std::move(name)), at_(std::move(at)) {}

    int fd_;
    std::string name_;
    Endpoint at_;
};

using InheritedSockets = std::vector<std::shared_ptr<const InheritedSocket>>;

// What the environment says.
struct InheritedWords {
    std::string_view pid;    // LISTEN_PID
    std::string_view count;  // LISTEN_FDS
    std::string_view names;  // LISTEN_FDNAMES: with colons between
    int first_fd = 3;        // SD_LISTEN_FDS_START
};
// None if LISTEN_PID is not `own_pid`: they were meant for another process.
Result<InheritedSockets> inherited_sockets(const InheritedWords& words, int own_pid);

// Of this process. Call it once: the sockets are whoever's it gives them to. Children do not take
// them for theirs, since LISTEN_PID is not theirs.
Result<InheritedSockets> take_inherited_sockets();

}  // namespace tapir::net
