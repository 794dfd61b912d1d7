#include "tapir/base/log.hpp"

#include <cstdio>
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
        std::int64_t minute = 0;
        unsigned written = 0;
        std::uint64_t held_back = 0;
    };

    std::string service;
    Level lowest = Level::info;
    UtcTime (*now)() = nullptr;
    std::string* sink = nullptr;
    bool silent = false;
    std::mutex mutex;
    std::map<std::string, Rate, std::less<>> rates;

    // Whether the line may be written; `held_back` is how many before it were not.
    bool admit(std::string_view part, std::string_view message, UtcTime time,
               std::uint64_t& held_back) {
        if (now == nullptr) {
            return true;
        }
        const std::string key = fmt::format("{}/{}", part, message);
        if (rates.size() >= messages_max && !rates.contains(key)) {
            rates.clear();
        }
        Rate& rate = rates[key];
        if (const std::int64_t minute = time.minute().ns(); minute != rate.minute) {
            held_back = rate.held_back;
            rate = {minute, 0, 0};
        }
        if (rate.written < burst_max) {
            ++rate.written;
            return true;
        }
        ++rate.held_back;
        return false;
    }
};

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::Log(Log&&) noexcept = default;
Log& Log::operator=(Log&&) noexcept = default;
Log::~Log() = default;

Log Log::to_stderr(std::string service, Level lowest, UtcTime (*now)()) {
    auto impl = std::make_unique<Impl>();
    impl->service = std::move(service);
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
    std::uint64_t held_back = 0;
    if (!impl_->admit(part, message, time, held_back)) {
        return;
    }
    std::string line = "{";
    if (impl_->now != nullptr) {
        line += fmt::format("\"time\":\"{}\",", time.to_string_ns());
    }
    line += fmt::format("\"level\":\"{}\",", name_of(level));
    if (!impl_->service.empty()) {
        line += fmt::format("\"service\":\"{}\",", impl_->service);
    }
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
    if (held_back > 0) {
        line += fmt::format(",\"held_back\":{}", held_back);
    }
    line += "}\n";
    if (impl_->sink != nullptr) {
        *impl_->sink += line;
    } else {
        (void)std::fwrite(line.data(), 1, line.size(), stderr);
    }
}

}  // namespace tapir
