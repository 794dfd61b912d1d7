// CPU time, for what is measured: other programs on the machine do not count.
//
//     const Times start = now();
//     work();
//     const Times taken = now() - start;
#pragma once

#include <charconv>
#include <cstdint>
#include <ctime>
#include <string_view>

#include "tapir/world/files.hpp"

namespace tapir::bench {

struct Times {
    double cpu_s = 0;     // of all threads of this process
    double thread_s = 0;  // of this thread alone
    double wall_s = 0;

    friend Times operator-(const Times& a, const Times& b) {
        return {.cpu_s = a.cpu_s - b.cpu_s,
                .thread_s = a.thread_s - b.thread_s,
                .wall_s = a.wall_s - b.wall_s};
    }
};

inline double read_clock(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}
// CPU time of this thread alone.
inline double thread_cpu_s() {
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}
inline Times now() {
    return {.cpu_s = read_clock(CLOCK_PROCESS_CPUTIME_ID),
            .thread_s = thread_cpu_s(),
            .wall_s = read_clock(CLOCK_MONOTONIC)};
}

// A line of /proc/self/status in KiB, such as "VmHWM" or "RssAnon".
inline std::uint64_t status_kib(world::Files& files, std::string_view key) {
    const auto text = files.read("/proc/self/status", 1U << 16U);
    std::uint64_t value = 0;
    if (!text) {
        return value;
    }
    const std::string_view all = as_text(*text);
    if (std::size_t at = all.find(key); at != std::string_view::npos) {
        at = all.find_first_of("0123456789", at);
        std::from_chars(all.data() + at, all.data() + all.size(), value);
    }
    return value;
}

}  // namespace tapir::bench
