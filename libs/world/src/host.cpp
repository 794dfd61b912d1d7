#include "tapir/world/host.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <unistd.h>

#include "tapir/world/system_error.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration): unistd.h has it for GNU only

namespace tapir::world {
namespace {

std::optional<std::int64_t> number_in(const char* name) {
    const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody writes it
    if (text == nullptr) {
        return std::nullopt;
    }
    const std::string_view digits = text;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || end != digits.data() + digits.size()) {
        return std::nullopt;
    }
    return number;
}

// The fields of /proc/self/stat after the name, which may hold anything; the first is field 3.
Result<std::vector<std::string>> own_stat() {
    std::ifstream file("/proc/self/stat");
    std::string line;
    if (!std::getline(file, line) || line.rfind(')') == std::string::npos) {
        return fail(Code::internal, "/proc/self/stat: cannot be read");
    }
    std::istringstream rest(line.substr(line.rfind(')') + 1));
    std::vector<std::string> fields;
    for (std::string field; rest >> field;) {
        fields.push_back(field);
    }
    if (fields.size() < 22) {
        return fail(Code::internal, "/proc/self/stat: expected more fields");
    }
    return fields;
}

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

private:
    int fd_;
};

double boot_s() {
    std::ifstream file("/proc/stat");
    for (std::string word; file >> word;) {
        if (word == "btime") {
            double at = 0;
            file >> at;
            return at;
        }
    }
    return 0;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> environment(std::string_view prefix) {
    std::vector<std::pair<std::string, std::string>> found;
    for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
        const std::string_view text = *one;
        const std::size_t equals = text.find('=');
        if (text.starts_with(prefix) && equals != std::string_view::npos) {
            found.emplace_back(text.substr(0, equals), text.substr(equals + 1));
        }
    }
    std::ranges::sort(found);
    return found;
}

Result<bool> notify_service_manager(std::string_view state) {
    const char* path = std::getenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe)
    if (path == nullptr || *path == '\0') {
        return false;
    }
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    const std::size_t size = std::strlen(path);
    if (size >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return fail(Code::invalid, "NOTIFY_SOCKET: expected a path or @name of a socket");
    }
    std::memcpy(to.sun_path, path, size);
    if (to.sun_path[0] == '@') {
        to.sun_path[0] = '\0';  // an abstract name
    }
    const Descriptor fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (fd.get() < 0) {
        return fail_errno("NOTIFY_SOCKET");
    }
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
    const auto sent = ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                               reinterpret_cast<const sockaddr*>(&to), length);
    if (sent < 0) {
        return fail_errno("NOTIFY_SOCKET");
    }
    return true;
}

std::optional<Duration> watchdog_interval() {
    const auto usec = number_in("WATCHDOG_USEC");
    const auto pid = number_in("WATCHDOG_PID");
    constexpr std::int64_t usec_max = 86'400'000'000;
    if (!usec || *usec <= 0 || *usec > usec_max || (pid && *pid != ::getpid())) {
        return std::nullopt;
    }
    return std::chrono::microseconds(*usec);
}

Result<std::string> read_socket(const std::string& path, std::size_t size_max) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (path.size() >= sizeof(to.sun_path)) {
        return fail(Code::invalid, path + ": too long for a socket");
    }
    path.copy(to.sun_path, path.size());
    const Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    constexpr timeval patience{.tv_sec = 5, .tv_usec = 0};
    if (fd.get() < 0 ||
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
        return fail_errno(path);
    }
    std::string all;
    std::array<char, 65'536> some{};
    for (;;) {
        const auto got = ::recv(fd.get(), some.data(), some.size(), 0);
        if (got < 0) {
            return fail_errno(path);
        }
        if (got == 0) {
            return all;
        }
        all.append(some.data(), static_cast<std::size_t>(got));
        if (all.size() > size_max) {
            return fail(Code::exhausted, path + ": says too much");
        }
    }
}

Result<ProcessFigures> process_figures() {
    ProcessFigures figures;
    rusage used{};
    if (::getrusage(RUSAGE_SELF, &used) != 0) {
        return fail_errno("getrusage");
    }
    constexpr double usec = 1e-6;
    figures.cpu_s = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                    static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * usec;
    const auto fields = TRY(own_stat());
    // proc(5): 22 starttime, 23 vsize, 24 rss in pages; the first of ours is 3.
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    figures.start_s = boot_s() + std::strtod(fields[19].c_str(), nullptr) / ticks;
    figures.virtual_size = std::strtoull(fields[20].c_str(), nullptr, 10);
    figures.resident_size = std::strtoull(fields[21].c_str(), nullptr, 10) *
                            static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        ++figures.open_files;
    }
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        figures.open_files_max = limit.rlim_cur;
    }
    return figures;
}

Result<DiskSpace> disk_space(const std::string& path) {
    struct statvfs found{};
    if (::statvfs(path.c_str(), &found) != 0) {
        return fail_errno(path);
    }
    return DiskSpace{.free = std::uint64_t{found.f_bavail} * found.f_frsize,
                     .total = std::uint64_t{found.f_blocks} * found.f_frsize};
}

bool clock_is_synchronised() {
    timex state{};
    return ::adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

Result<FileOwner> file_owner(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) {
        return fail_errno(path);
    }
    constexpr std::uint32_t permissions = 07777;
    return FileOwner{.user = found.st_uid,
                     .group = found.st_gid,
                     .mode = found.st_mode & permissions,
                     .is_socket = S_ISSOCK(found.st_mode)};
}

std::uint32_t own_user() {
    return ::geteuid();
}

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "";
}

}  // namespace tapir::world
