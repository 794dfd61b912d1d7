// Assertions for bugs, never for input: assert what we computed, check what we received.
//
//     TAPIR_ASSERT(begin <= end);         // stays on in release
//     TAPIR_DEBUG_ASSERT(slot < size_);   // for hot loops: only where NDEBUG is not defined
#pragma once

namespace tapir {

// Says which assertion failed and where, on standard error, and aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace tapir

#define TAPIR_ASSERT(expression)         \
    ((expression) ? static_cast<void>(0) \
                  : ::tapir::assertion_failed(#expression, __FILE__, __LINE__))

#ifdef NDEBUG
#define TAPIR_DEBUG_ASSERT(expression) static_cast<void>(0)
#else
#define TAPIR_DEBUG_ASSERT(expression) TAPIR_ASSERT(expression)
#endif
