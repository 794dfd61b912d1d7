#include "tapir/base/log.hpp"

#include <cstdio>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include <fmt/format.h>

namespace tapir {
namespace {

std::string_view name_of(Level level) {
    switch (level) {
        case Level::debug:
            return "debug";
        case Level::info:
            return "info";
        case Level::warn:
            return "warn";
        case Level::error:
            return "error";
    }
    return "unknown";
}

void append_json(std::string& out, std::string_view text) {
    out.push_back('"');
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (octet < 0x20 || octet >= 0x7F) {
            // Octets that are not printable ASCII are shown, not interpreted: a log line is for a
            // terminal.
            out += fmt::format("\\u{:04x}", octet);
        } else {
            out.push_back(c);
        }
    }
    out.push_back('"');
}

constexpr std::size_t messages_max = 1000;  // distinct messages that are rate-limited one by one

}  // namespace

struct Log::Impl {
    struct Rate {
        unsigned written = 0;
        std::uint64_t held_back = 0;
    };

    ~Impl() {
        if (now != nullptr) {
            sum_up(now());
        }
    }
    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    LogOrigin origin;
    Level lowest = Level::info;
    UtcTime (*now)() = nullptr;
    std::string* sink = nullptr;
    bool silent = false;
    std::mutex mutex;
    std::map<std::string, Rate, std::less<>> rates;
    std::int64_t minute = 0;  // of the last line
    LogCounts counts;
    std::deque<std::string> troubles;

    // Whether the line may be written.
    bool admit(std::string_view part, std::string_view message, UtcTime time) {
        if (now == nullptr) {
            return true;
        }
        if (time.minute().ns() != minute) {
            sum_up(time);
            minute = time.minute().ns();
        }
        const std::string key = fmt::format("{}/{}", part, message);
        if (rates.size() >= messages_max && !rates.contains(key)) {
            sum_up(time);
        }
        Rate& rate = rates[key];
        if (rate.written < burst_max) {
            ++rate.written;
            return true;
        }
        ++rate.held_back;
        ++counts.held_back;
        return false;
    }

    // A minute is over: a line for each message of which lines were held back.
    void sum_up(UtcTime time) {
        for (const auto& [message, rate] : rates) {
            if (rate.held_back > 0) {
                std::string line = begin(Level::warn, time);
                line += "\"part\":\"log\",\"msg\":\"similar lines were held back\",\"of\":";
                append_json(line, message);
                put(line + fmt::format(",\"count\":{}}}\n", rate.held_back));
            }
        }
        rates.clear();
    }

    std::string begin(Level level, UtcTime time) const {
        std::string line = "{";
        if (now != nullptr) {
            line += fmt::format("\"time\":\"{}\",", time.to_string_ns());
        }
        line += fmt::format("\"level\":\"{}\",", name_of(level));
        const std::pair<const char*, const std::string*> words[] = {{"service", &origin.service},
                                                                    {"version", &origin.version},
                                                                    {"hostname", &origin.hostname}};
        for (const auto& [key, word] : words) {
            if (!word->empty()) {
                append_json(line, key);
                line += ':';
                append_json(line, *word);
                line += ',';
            }
        }
        return line;
    }

    void put(const std::string& line) {
        ++counts.written;
        if (sink != nullptr) {
            *sink += line;
        } else {
            (void)std::fwrite(line.data(), 1, line.size(), stderr);
        }
    }
};

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::Log(Log&&) noexcept = default;
Log& Log::operator=(Log&&) noexcept = default;
Log::~Log() = default;

Log Log::to_stderr(std::string service, Level lowest, UtcTime (*now)()) {
    return to_stderr(LogOrigin{.service = std::move(service)}, lowest, now);
}

Log Log::to_string(std::string& sink, LogOrigin origin, UtcTime (*now)()) {
    auto impl = std::make_unique<Impl>();
    impl->sink = &sink;
    impl->origin = std::move(origin);
    impl->now = now;
    return Log(std::move(impl));
}

Log Log::to_stderr(LogOrigin origin, Level lowest, UtcTime (*now)()) {
    auto impl = std::make_unique<Impl>();
    impl->origin = std::move(origin);
    impl->lowest = lowest;
    impl->now = now;
    return Log(std::move(impl));
}

Log Log::to_string(std::string& sink, Level lowest) {
    auto impl = std::make_unique<Impl>();
    impl->sink = &sink;
    impl->lowest = lowest;
    return Log(std::move(impl));
}

Log Log::to_nowhere() {
    auto impl = std::make_unique<Impl>();
    impl->silent = true;
    return Log(std::move(impl));
}

void Log::debug(std::string_view part, std::string_view message, Fields fields) const {
    write(Level::debug, part, message, fields);
}
void Log::info(std::string_view part, std::string_view message, Fields fields) const {
    write(Level::info, part, message, fields);
}
void Log::warn(std::string_view part, std::string_view message, Fields fields) const {
    write(Level::warn, part, message, fields);
}
void Log::error(std::string_view part, std::string_view message, Fields fields) const {
    write(Level::error, part, message, fields);
}

void Log::write(Level level, std::string_view part, std::string_view message, Fields fields) const {
    if (impl_->silent || level < impl_->lowest) {
        return;
    }
    const UtcTime time = impl_->now != nullptr ? impl_->now() : UtcTime();
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->admit(part, message, time)) {
        return;
    }
    std::string line = impl_->begin(level, time);
    line += "\"part\":";
    append_json(line, part);
    line += ",\"msg\":";
    append_json(line, message);
    for (const LogField& field : fields) {
        line += ',';
        append_json(line, field.key);
        line += ':';
        if (field.is_number) {
            line += field.value;
        } else {
            append_json(line, field.value);
        }
    }
    line += "}\n";
    impl_->put(line);
    if (level >= Level::warn) {
        impl_->troubles.push_back(line.substr(0, line.size() - 1));
        if (impl_->troubles.size() > troubles_max) {
            impl_->troubles.pop_front();
        }
    }
}

LogCounts Log::counts() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->counts;
}

std::vector<std::string> Log::troubles() const {
    const std::lock_guard lock(impl_->mutex);
    return {impl_->troubles.begin(), impl_->troubles.end()};
}

}  // namespace tapir
