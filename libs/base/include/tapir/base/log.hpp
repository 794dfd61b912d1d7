// The log is passed in, like clock and counters; there is no global one.
//
//     log.warn("intake", "bad signature", {{"kid", kid}, {"reason", error.what()}});
//
// A message is a fixed text; what varies goes into fields, so that lines can be grouped. The same
// message of the same part is written at most `Log::burst_max` times a minute, then counted and
// summed up in one line. Fields are text and numbers only: secrets and client addresses have no
// formatter, so they cannot get in. Threads may share a Log.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/time.hpp"

namespace tapir {

enum class Level : std::uint8_t { debug, info, warn, error };

struct LogField {
    LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
    LogField(std::string_view k, const char* v) : key(k), value(v) {}
    LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
    template <std::integral N>
    LogField(std::string_view k, N v) : key(k), value(std::to_string(v)), is_number(true) {}

    std::string key;
    std::string value;
    bool is_number = false;
};

// Who writes. What is empty is left out of the lines.
struct LogOrigin {
    std::string service;
    std::string version{};
    std::string hostname{};
};

struct LogCounts {
    std::uint64_t written = 0;
    std::uint64_t held_back = 0;
};

class Log {
public:
    using Fields = std::initializer_list<LogField>;
    static constexpr unsigned burst_max = 20;        // lines of one message a minute
    static constexpr std::size_t troubles_max = 16;  // lines that are remembered

    // Lines go to standard error as JSON. `now` gives the time; it must be safe to call from any
    // thread.
    static Log to_stderr(std::string service, Level lowest, UtcTime (*now)());
    static Log to_stderr(LogOrigin origin, Level lowest, UtcTime (*now)());
    // For tests and twins: lines are appended to `sink`, which must outlive the Log.
    static Log to_string(std::string& sink, Level lowest = Level::info);
    static Log to_nowhere();
    // For tests of the limit: with times, as to_stderr.
    static Log to_string(std::string& sink, LogOrigin origin, UtcTime (*now)());

    Log(Log&&) noexcept;
    Log& operator=(Log&&) noexcept;
    ~Log();

    void debug(std::string_view part, std::string_view message, Fields fields = {}) const;
    void info(std::string_view part, std::string_view message, Fields fields = {}) const;
    void warn(std::string_view part, std::string_view message, Fields fields = {}) const;
    void error(std::string_view part, std::string_view message, Fields fields = {}) const;

    LogCounts counts() const;
    // The last warnings and errors, the oldest first, as they were written.
    std::vector<std::string> troubles() const;

private:
    struct Impl;
    explicit Log(std::unique_ptr<Impl> impl);
    void write(Level level, std::string_view part, std::string_view message, Fields fields) const;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir
