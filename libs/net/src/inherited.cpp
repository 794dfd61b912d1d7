#include "tapir/net/inherited.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "sockets.hpp"
#include "tapir/world/host.hpp"
#include "tapir/world/system_error.hpp"

namespace tapir::net {
namespace {

std::optional<int> number_of(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_whole = error == std::errc() && end == text.data() + text.size();
    return is_whole && value >= 0 ? std::optional(value) : std::nullopt;
}

int option_of(int fd, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

// The name at the front, taken off.
std::string take_name(std::string_view& names) {
    const std::size_t end = std::min(names.find(':'), names.size());
    std::string name(names.substr(0, end));
    names.remove_prefix(std::min(end + 1, names.size()));
    return name;
}

}  // namespace

Result<std::shared_ptr<const InheritedSocket>> InheritedSocket::adopt(int fd, std::string name) {
    Fd owned(fd);
    const auto refuse = [&](std::string_view got) {
        return fail(Code::invalid,
                    fmt::format("inherited socket '{}' (descriptor {}): expected a listening "
                                "stream socket, got {}",
                                name, fd, got));
    };
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        return refuse("no open descriptor");
    }
    if (option_of(fd, SO_TYPE) != SOCK_STREAM || option_of(fd, SO_ACCEPTCONN) != 1) {
        return refuse("something else");
    }
    SocketName at;
    if (::getsockname(fd, at.get(), &at.size) != 0) {
        return world::fail_errno("getsockname");
    }
    const auto endpoint = endpoint_of(at);
    if (!endpoint) {
        return refuse("another family");
    }
    // Whoever accepts waits with poll().
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    owned.release();
    std::unique_ptr<const InheritedSocket> made(new InheritedSocket(fd, name, *endpoint));
    return std::shared_ptr<const InheritedSocket>(std::move(made));
}

InheritedSocket::~InheritedSocket() {
    ::close(fd_);
}

Result<InheritedSockets> inherited_sockets(const InheritedWords& words, int own_pid) {
    if (words.pid.empty() || number_of(words.pid) != own_pid) {
        return InheritedSockets{};
    }
    const auto count = number_of(words.count);
    if (!count || static_cast<std::size_t>(*count) > inherited_count_max) {
        return fail(Code::invalid, fmt::format("LISTEN_FDS: expected 0 to {}, got '{}'",
                                               inherited_count_max, words.count.substr(0, 20)));
    }
    InheritedSockets sockets;
    std::string_view names = words.names;
    for (int i = 0; i < *count; ++i) {
        sockets.push_back(TRY(InheritedSocket::adopt(words.first_fd + i, take_name(names))));
    }
    return sockets;
}

Result<InheritedSockets> take_inherited_sockets() {
    const auto words = world::environment("LISTEN_");
    const auto word = [&words](std::string_view name) {
        const auto found = std::ranges::find_if(
            words, [name](const auto& variable) { return variable.first == name; });
        return found == words.end() ? std::string_view() : std::string_view(found->second);
    };
    return inherited_sockets(
        {.pid = word("LISTEN_PID"), .count = word("LISTEN_FDS"), .names = word("LISTEN_FDNAMES")},
        ::getpid());
}

}  // namespace tapir::net
