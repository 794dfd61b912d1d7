// What a daemon asks of its own process: stop signals, masks, memory that must not leak, and
// children with limits.
//
//     auto stop = TRY(Stop::on_signals());           // before any other thread starts
//     while (stop->wait_for(60s) != Stop::Event::stop) { ... }   // SIGTERM or SIGINT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/base/time.hpp"

namespace tapir::world {

// The wish that the program ends. Threads may share it.
class Stop {
public:
    enum class Event : std::uint8_t { none, stop, reload };

    // SIGTERM and SIGINT ask to stop, SIGHUP to reload; SIGPIPE is ignored. The signals are blocked
    // in the calling thread and those that it starts from now on: call before starting any other.
    static Result<std::unique_ptr<Stop>> on_signals();
    // Without signals: request() and request_reload() only.
    static Result<std::unique_ptr<Stop>> by_hand();

    ~Stop();
    Stop(const Stop&) = delete;
    Stop& operator=(const Stop&) = delete;

    void request();
    void request_reload();
    // Whether a stop has been asked for; stays true.
    bool requested();
    // Waits for an event. A reload is reported once; a stop again and again.
    Event wait();
    Event wait_for(Duration duration);  // none: the time passed

private:
    Stop(int signals, int stops, int reloads);
    Event wait_ms(int timeout_ms);
    Event take();

    int signal_fd_;  // -1: by hand
    int stop_fd_;    // an eventfd, readable for ever once a stop was asked for
    int reload_fd_;  // an eventfd, counting reloads
};

// Files of this process get at most 0640, folders 0750, whatever a caller asks for.
void restrict_umask();

// The calling thread has the processor only when others do not want it much.
void lower_thread_priority();

// What was freed goes back to the system now, not when the allocator thinks so. Takes milliseconds:
// after something large that is rare.
void give_back_memory();

// No core dumps and no debugger on this process: keys and clients' tags are in its memory.
Result<void> forbid_core_dumps();

// Nothing of this process goes to swap, now or later. `unavailable` where RLIMIT_MEMLOCK is not
// infinite: under a limit, memory would run out at it.
Result<void> lock_memory();

// Whole pages for a secret: locked in memory if the system allows it, never in a core dump, wiped
// before they are given back.
class SecretPages {
public:
    static Result<SecretPages> allocate(std::size_t size);
    SecretPages(SecretPages&& other) noexcept;
    SecretPages& operator=(SecretPages&& other) noexcept;
    SecretPages(const SecretPages&) = delete;
    SecretPages& operator=(const SecretPages&) = delete;
    ~SecretPages();

    std::span<std::byte> bytes() & { return {data_, size_}; }
    // False where RLIMIT_MEMLOCK is too small: the caller logs it.
    bool is_locked() const { return is_locked_; }

private:
    SecretPages() = default;
    void release() noexcept;

    std::byte* data_ = nullptr;
    std::size_t size_ = 0;    // as asked for
    std::size_t mapped_ = 0;  // whole pages
    bool is_locked_ = false;
};

// Whether a limit on address space is possible in this build (sanitizers reserve terabytes).
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool can_limit_memory = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool can_limit_memory = false;
#else
inline constexpr bool can_limit_memory = true;
#endif
#else
inline constexpr bool can_limit_memory = true;
#endif

struct ChildCommand {
    std::vector<std::string> arguments{};    // [0] is the program's path; PATH is not searched
    ByteView input{};                        // its standard input
    std::uint64_t memory_max = 1ULL << 30U;  // octets of address space; see can_limit_memory
    std::uint32_t cpu_s_max = 60;
    std::chrono::milliseconds time_max{60'000};  // then it is killed
    std::size_t output_size_max = 64U << 20U;    // more: it is killed, and `exhausted`
    std::size_t errors_size_max = 64U << 10U;    // more standard error is read and forgotten
};

struct ChildOutcome {
    int exit_status = 0;   // if signal == 0
    int signal = 0;        // what ended it, else 0
    Bytes output{};        // its standard output
    std::string errors{};  // the beginning of its standard error
    bool succeeded() const { return signal == 0 && exit_status == 0; }
};

// Runs a program to its end, with limits, an empty environment and no descriptors but 0, 1, 2. It
// does not hear SIGTERM, SIGINT, SIGHUP and SIGQUIT, which are sent to a daemon with all its
// children. A program that fails is an outcome, not an Error. `unavailable`: it took longer than
// time_max; `exhausted`: too much output; `not_found`: no such program.
class Children {
public:
    virtual ~Children() = default;
    virtual Result<ChildOutcome> run(const ChildCommand& command) = 0;
};

class SystemChildren final : public Children {
public:
    Result<ChildOutcome> run(const ChildCommand& command) override;
};

// Calls a function instead.
class MemoryChildren final : public Children {
public:
    using Program = std::function<Result<ChildOutcome>(const ChildCommand&)>;
    explicit MemoryChildren(Program program) : program_(std::move(program)) {}
    Result<ChildOutcome> run(const ChildCommand& command) override { return program_(command); }

private:
    Program program_;
};

// The path of the running program, for children that are this program again.
Result<std::string> own_program();

}  // namespace tapir::world
