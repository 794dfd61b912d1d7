#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <csignal>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tapir/world/process.hpp"
#include "tapir/world/system_error.hpp"

namespace tapir::world {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

class Pipe {
public:
    Pipe() = default;
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        close_end(0);
        close_end(1);
    }
    bool open() { return ::pipe2(ends_.data(), O_CLOEXEC) == 0; }
    int end(std::size_t index) const { return ends_[index]; }
    void close_end(std::size_t index) {
        if (ends_[index] >= 0) {
            ::close(ends_[index]);
            ends_[index] = -1;
        }
    }

private:
    std::array<int, 2> ends_{-1, -1};
};

struct Pipes {
    Pipe input;
    Pipe output;
    Pipe errors;
    Pipe start;  // tells why exec failed; closed by exec
};

// Between fork and exec in a process with threads: nothing but system calls.
[[noreturn]] void become(const ChildCommand& command, char* const* arguments, const Pipes& pipes) {
    const auto limit = [](auto resource, rlim_t value) {
        const rlimit both{value, value};
        ::setrlimit(resource, &both);
    };
    // What a terminal or a service manager sends to a whole group is for the parent to heed: it
    // waits for its children, and would blame their input if they were gone. Before they are let
    // through: what is pending goes with it.
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) {
        std::signal(number, SIG_IGN);
    }
    std::signal(SIGPIPE, SIG_DFL);
    sigset_t none{};
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, command.cpu_s_max);
    ::dup2(pipes.input.end(0), 0);
    ::dup2(pipes.output.end(1), 1);
    ::dup2(pipes.errors.end(1), 2);
    // Everything else that is open closes at exec, also what a library opened without saying so.
    ::close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    if (can_limit_memory) {
        limit(RLIMIT_AS, command.memory_max);
    }
    char* environment[] = {nullptr};  // NOLINT(modernize-avoid-c-arrays): execve wants it
    ::execve(arguments[0], arguments, environment);
    const int error = errno;
    [[maybe_unused]] const auto told = ::write(pipes.start.end(1), &error, sizeof error);
    ::_exit(127);
}

// Waits for a child, whatever happens: no zombie stays.
int reap(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

// Milliseconds, rounded up, so that a poll of this length ends after `until`.
int left_until(SteadyTime until) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX));
}

// Whether the child has ended by then: one that has closed its output may still be running.
bool ends_by(pid_t pid, SteadyTime until) {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0) {
        return false;
    }
    pollfd ends{fd, POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&ends, 1, left_until(until));
    } while (ready < 0 && errno == EINTR);
    ::close(fd);
    return ready == 1;
}

Failure<Error> too_slow(const ChildCommand& command) {
    return fail(Code::unavailable, fmt::format("{}: not done after {} ms", command.arguments[0],
                                               command.time_max.count()));
}

// Takes what there is; false at the end.
bool drain(int fd, Bytes& out) {
    std::array<std::byte, 64U << 10U> buffer{};
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got > 0) {
        append(out, ByteView(buffer).first(static_cast<std::size_t>(got)));
        return true;
    }
    return got < 0 && (errno == EINTR || errno == EAGAIN);
}

// Gives what fits; false when there is no more to give or nobody to take it.
bool give(int fd, ByteView& input) {
    const ssize_t count =
        ::write(fd, input.data(), std::min<std::size_t>(input.size(), 64U << 10U));
    if (count > 0) {
        input = input.subspan(static_cast<std::size_t>(count));
        return !input.empty();
    }
    return count < 0 && (errno == EINTR || errno == EAGAIN);
}

// Feeds the child and listens to it until it has closed both of its ends.
Result<void> converse(const ChildCommand& command, SteadyTime until, Pipes& pipes,
                      ChildOutcome& outcome) {
    ByteView input = command.input;
    Bytes errors;
    ::fcntl(pipes.input.end(1), F_SETFL, O_NONBLOCK);
    if (input.empty()) {
        pipes.input.close_end(1);
    }
    while (pipes.output.end(0) >= 0 || pipes.errors.end(0) >= 0) {
        const int left_ms = left_until(until);
        if (left_ms <= 0) {
            return too_slow(command);
        }
        std::array<pollfd, 3> fds{{{pipes.input.end(1), POLLOUT, 0},
                                   {pipes.output.end(0), POLLIN, 0},
                                   {pipes.errors.end(0), POLLIN, 0}}};
        ::poll(fds.data(), fds.size(), left_ms);
        if (fds[0].revents != 0 && !give(pipes.input.end(1), input)) {
            pipes.input.close_end(1);
        }
        if (fds[1].revents != 0 && !drain(pipes.output.end(0), outcome.output)) {
            pipes.output.close_end(0);
        }
        if (fds[2].revents != 0 && !drain(pipes.errors.end(0), errors)) {
            pipes.errors.close_end(0);
        }
        if (outcome.output.size() > command.output_size_max) {
            return fail(Code::exhausted,
                        fmt::format("{}: more than {} octets of output", command.arguments[0],
                                    command.output_size_max));
        }
        const auto kept = as_text(errors).substr(
            0, command.errors_size_max - std::min(command.errors_size_max, outcome.errors.size()));
        outcome.errors += kept;
        errors.clear();
    }
    return {};
}

}  // namespace

Result<ChildOutcome> SystemChildren::run(const ChildCommand& command) {
    TAPIR_ASSERT(!command.arguments.empty());
    // A child that ends before it has read all must not end us.
    std::signal(SIGPIPE, SIG_IGN);
    const SteadyTime until = std::chrono::steady_clock::now() + command.time_max;
    Pipes pipes;
    if (!pipes.input.open() || !pipes.output.open() || !pipes.errors.open() ||
        !pipes.start.open()) {
        return fail_errno("pipe");
    }
    std::vector<std::string> arguments = command.arguments;
    std::vector<char*> pointers;
    pointers.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) {
        pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);

    const pid_t pid = ::fork();
    if (pid < 0) {
        return fail_errno("fork");
    }
    if (pid == 0) {
        become(command, pointers.data(), pipes);
    }
    pipes.input.close_end(0);
    pipes.output.close_end(1);
    pipes.errors.close_end(1);
    pipes.start.close_end(1);
    int error = 0;
    ssize_t told = 0;
    do {
        told = ::read(pipes.start.end(0), &error, sizeof error);
    } while (told < 0 && errno == EINTR);
    if (told == sizeof error) {
        reap(pid);
        return fail_errno(command.arguments[0], error);
    }

    ChildOutcome outcome;
    const auto conversed = converse(command, until, pipes, outcome);
    if (!conversed) {
        ::kill(pid, SIGKILL);
        reap(pid);
        return fail(conversed.error());
    }
    if (!ends_by(pid, until)) {
        ::kill(pid, SIGKILL);
        reap(pid);
        return too_slow(command);
    }
    const int status = reap(pid);
    outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    outcome.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return outcome;
}

}  // namespace tapir::world
