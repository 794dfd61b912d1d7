#include "tapir/world/process.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <cstring>
#include <utility>

#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tapir/world/system_error.hpp"

namespace tapir::world {

Stop::Stop(int signals, int stops, int reloads)
    : signal_fd_(signals), stop_fd_(stops), reload_fd_(reloads) {}

Result<std::unique_ptr<Stop>> Stop::by_hand() {
    const int stops = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const int reloads = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    std::unique_ptr<Stop> stop(new Stop(-1, stops, reloads));
    if (stops < 0 || reloads < 0) {
        return fail_errno("eventfd");
    }
    return stop;
}

Result<std::unique_ptr<Stop>> Stop::on_signals() {
    auto stop = by_hand();
    if (!stop) {
        return stop;
    }
    sigset_t signals{};
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigaddset(&signals, SIGINT);
    ::sigaddset(&signals, SIGHUP);
    if (const int error = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0) {
        return fail_errno("pthread_sigmask", error);
    }
    // Started with `nohup` or in the background by a shell, some are ignored: a blocked signal
    // reaches a signalfd only if it is not.
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        std::signal(signal, SIG_DFL);
    }
    std::signal(SIGPIPE, SIG_IGN);
    (*stop)->signal_fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if ((*stop)->signal_fd_ < 0) {
        return fail_errno("signalfd");
    }
    return stop;
}

Stop::~Stop() {
    for (const int fd : {signal_fd_, stop_fd_, reload_fd_}) {
        if (fd >= 0) {
            ::close(fd);
        }
    }
}

void Stop::request() {
    ::eventfd_write(stop_fd_, 1);
}

void Stop::request_reload() {
    ::eventfd_write(reload_fd_, 1);
}

Stop::Event Stop::take() {
    signalfd_siginfo info{};
    while (signal_fd_ >= 0 && ::read(signal_fd_, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            request_reload();
        } else {
            request();
        }
    }
    pollfd stops{stop_fd_, POLLIN, 0};
    if (::poll(&stops, 1, 0) == 1) {
        return Event::stop;
    }
    eventfd_t count = 0;
    return ::eventfd_read(reload_fd_, &count) == 0 ? Event::reload : Event::none;
}

bool Stop::requested() {
    pollfd stops{stop_fd_, POLLIN, 0};
    if (::poll(&stops, 1, 0) == 1) {
        return true;
    }
    signalfd_siginfo info{};
    while (signal_fd_ >= 0 && ::read(signal_fd_, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            request_reload();
        } else {
            request();
        }
    }
    return ::poll(&stops, 1, 0) == 1;
}

Stop::Event Stop::wait_ms(int timeout_ms) {
    std::array<pollfd, 3> fds{
        {{stop_fd_, POLLIN, 0}, {reload_fd_, POLLIN, 0}, {signal_fd_, POLLIN, 0}}};
    // poll overlooks negative descriptors.
    ::poll(fds.data(), fds.size(), timeout_ms);
    return take();
}

Stop::Event Stop::wait() {
    for (;;) {
        if (const Event event = wait_ms(-1); event != Event::none) {
            return event;
        }
    }
}

Stop::Event Stop::wait_for(Duration duration) {
    using namespace std::chrono;
    const auto until = steady_clock::now() + std::max(duration, Duration::zero());
    for (;;) {
        const auto left = ceil<milliseconds>(until - steady_clock::now()).count();
        const auto event = wait_ms(static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX)));
        if (event != Event::none || steady_clock::now() >= until) {
            return event;
        }
    }
}

void restrict_umask() {
    ::umask(027);
}

void lower_thread_priority() {
    constexpr int niceness = 10;
    // On Linux a thread has a niceness of its own. If it may not, it works as others do.
    static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness));
}

void give_back_memory() {
    ::malloc_trim(0);
}

Result<void> forbid_core_dumps() {
    const rlimit none{0, 0};
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || ::setrlimit(RLIMIT_CORE, &none) != 0) {
        return fail_errno("forbidding core dumps");
    }
    return {};
}

Result<void> lock_memory() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return fail_errno("asking how much memory may be locked");
    }
    if (limit.rlim_cur != RLIM_INFINITY) {
        return fail(Code::unavailable, "RLIMIT_MEMLOCK is not infinite (LimitMEMLOCK=infinity)");
    }
    if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        return fail_errno("locking memory");
    }
    return {};
}

Result<SecretPages> SecretPages::allocate(std::size_t size) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    SecretPages out;
    out.size_ = size;
    out.mapped_ = std::max((size + page - 1) / page, std::size_t{1}) * page;
    void* data =
        ::mmap(nullptr, out.mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        return fail_errno("pages for a secret");
    }
    out.data_ = static_cast<std::byte*>(data);
    if (::madvise(data, out.mapped_, MADV_DONTDUMP) != 0 ||
        ::madvise(data, out.mapped_, MADV_WIPEONFORK) != 0) {
        return fail_errno("keeping a secret out of core dumps");
    }
    out.is_locked_ = ::mlock(data, out.mapped_) == 0;
    return out;
}

SecretPages::SecretPages(SecretPages&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)),
      is_locked_(other.is_locked_) {}

SecretPages& SecretPages::operator=(SecretPages&& other) noexcept {
    if (this != &other) {
        release();
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        mapped_ = std::exchange(other.mapped_, 0);
        is_locked_ = other.is_locked_;
    }
    return *this;
}

SecretPages::~SecretPages() {
    release();
}

void SecretPages::release() noexcept {
    if (data_ != nullptr) {
        ::explicit_bzero(data_, mapped_);
        ::munmap(data_, mapped_);
        data_ = nullptr;
    }
}

Result<std::string> own_program() {
    std::array<char, PATH_MAX> path{};
    const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
    if (size <= 0) {
        return fail_errno("/proc/self/exe");
    }
    return std::string(path.data(), static_cast<std::size_t>(size));
}

}  // namespace tapir::world
