// What the machine says of this process, its disk and its clock, and what the service manager
// (systemd) is told.
//
//     for (const auto& [name, value] : environment("TAPIR_")) { ... }
//     notify_service_manager("READY=1");            // does nothing where there is none
//     const ProcessFigures mine = TRY(process_figures());
//     const DiskSpace space = TRY(disk_space("/var/lib/tapir/edge"));
//
// Nothing here is kept; threads may call it at will.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"

namespace tapir::world {

// The variables whose names begin so, sorted by name.
std::vector<std::pair<std::string, std::string>> environment(std::string_view prefix);

// Sends lines like "READY=1\nSTATUS=…" to the socket that NOTIFY_SOCKET names (sd_notify(3)). False
// without an error: there is no service manager.
Result<bool> notify_service_manager(std::string_view state);
// How often at least it wants to hear "WATCHDOG=1" (WATCHDOG_USEC, for this process).
std::optional<Duration> watchdog_interval();

// All that a unix socket on this machine says to whoever connects, until it closes. More than
// `size_max` is `exhausted`; nothing for five seconds is `unavailable`.
Result<std::string> read_socket(const std::string& path, std::size_t size_max);

struct ProcessFigures {
    double cpu_s = 0;                 // user and system, all threads
    std::uint64_t resident_size = 0;  // octets
    std::uint64_t virtual_size = 0;   // octets
    std::uint64_t open_files = 0;
    std::uint64_t open_files_max = 0;
    double start_s = 0;  // seconds since 1970
};
Result<ProcessFigures> process_figures();

struct DiskSpace {
    std::uint64_t free = 0;   // octets that this user may still write
    std::uint64_t total = 0;  // octets
};
Result<DiskSpace> disk_space(const std::string& path);

// Whether the kernel's clock is kept right by somebody (adjtimex(2)); false too where it cannot be
// told.
bool clock_is_synchronised();

// Who owns a file or folder, and its permission bits.
struct FileOwner {
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    std::uint32_t mode = 0;
    bool is_socket = false;
};
Result<FileOwner> file_owner(const std::string& path);
std::uint32_t own_user();

std::string host_name();

}  // namespace tapir::world
