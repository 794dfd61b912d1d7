// Expected failure as a value: a Result holds what was asked for, or why there is none.
//
//     Result<Config> load(std::string_view text) {
//         const Table table = TRY(Table::parse(text));      // passes an error up
//         if (table.empty()) {
//             return fail(Code::invalid, "empty configuration");
//         }
//         return Config(table);
//     }
//
// TRY is a whole right-hand side, a `return` or a statement. Never inside aggregate braces
// (g++ 12 leaks what was built before it), never in a coroutine.
//
// On a hot path the error is a one-byte enum: Result<Name, NameError>. TRY turns it into an Error
// through `Error to_error(NameError)`, found beside the enum.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <tl/expected.hpp>

#include "tapir/base/assert.hpp"

namespace tapir {

// What the caller can do next.
enum class Code : std::uint8_t {
    invalid,      // the input is wrong: do not try again with the same
    not_found,    // there is no such thing
    conflict,     // it exists already, or changed meanwhile
    denied,       // not allowed: signature, key, permission
    unavailable,  // try again later
    exhausted,    // a limit was reached: space, size, count
    corrupt,      // what we stored is not what we wrote
    internal,     // a library or the system failed in a way that we did not foresee
};

// The name of a code, as it stands in logs and labels.
std::string_view to_string(Code code);

// A code for the program, a sentence for the person. Never holds a secret or a client's address.
class [[nodiscard]] Error {
public:
    Error(Code code, std::string what) : code_(code), what_(std::move(what)) {}

    Code code() const { return code_; }
    const std::string& what() const& { return what_; }

    // The same error with the place put in front: "edge.toml:14: release.k: ...".
    Error at(std::string_view place) &&;

    friend bool operator==(const Error&, const Error&) = default;

private:
    Code code_;
    std::string what_;
};

inline Error to_error(Error error) {
    return error;
}

// An error on its way into a Result. Made by fail() and TRY only.
template <class E>
struct [[nodiscard]] Failure {
    E error;
};

template <class E>
Failure<std::remove_cvref_t<E>> fail(E&& error) {
    return {std::forward<E>(error)};
}

inline Failure<Error> fail(Code code, std::string what) {
    return {Error(code, std::move(what))};
}

template <class T, class E = Error>
class [[nodiscard]] Result {
public:
    using value_type = T;
    using error_type = E;

    Result()
        requires std::is_void_v<T>
    = default;

    template <class U = T>
        requires(!std::is_void_v<T> && std::is_constructible_v<T, U> &&
                 !std::same_as<std::remove_cvref_t<U>, Result>)
    Result(U&& value)  // NOLINT(google-explicit-constructor): `return value;` is the point
        : inner_(tl::in_place, std::forward<U>(value)) {}

    template <class G>
    Result(Failure<G> failure)  // NOLINT(google-explicit-constructor): `return fail(...)` too
        : inner_(tl::unexpected<E>(convert(std::move(failure.error)))) {}

    bool has_value() const { return inner_.has_value(); }
    explicit operator bool() const { return inner_.has_value(); }

    template <class U = T>
        requires(!std::is_void_v<U>)
    const U& value() const& {
        TAPIR_ASSERT(has_value());
        return *inner_;
    }
    template <class U = T>
        requires(!std::is_void_v<U>)
    U& value() & {
        TAPIR_ASSERT(has_value());
        return *inner_;
    }
    template <class U = T>
        requires(!std::is_void_v<U>)
    U value() && {
        TAPIR_ASSERT(has_value());
        return *std::move(inner_);
    }
    template <class U = T>
        requires(!std::is_void_v<U>)
    const U& operator*() const& {
        return value();
    }
    template <class U = T>
        requires(!std::is_void_v<U>)
    U& operator*() & {
        return value();
    }
    template <class U = T>
        requires(!std::is_void_v<U>)
    U operator*() && {
        return std::move(*this).value();
    }
    template <class U = T>
        requires(!std::is_void_v<U>)
    const U* operator->() const {
        return &value();
    }
    template <class U = T>
        requires(!std::is_void_v<U>)
    U* operator->() {
        return &value();
    }
    template <class U>
        requires(!std::is_void_v<T>)
    T value_or(U&& other) && {
        return has_value() ? *std::move(inner_) : static_cast<T>(std::forward<U>(other));
    }

    const E& error() const& {
        TAPIR_ASSERT(!has_value());
        return inner_.error();
    }
    E error() && {
        TAPIR_ASSERT(!has_value());
        return std::move(inner_).error();
    }

    // The value moved out (nothing for void). For TRY.
    T take() {
        if constexpr (!std::is_void_v<T>) {
            TAPIR_ASSERT(has_value());
            return *std::move(inner_);
        }
    }

    // f(value) if there is one, else this error; f returns a Result with this error type.
    template <class F>
    auto and_then(F&& f) && {
        if constexpr (std::is_void_v<T>) {
            using R = std::invoke_result_t<F>;
            return has_value() ? std::forward<F>(f)() : R(fail(std::move(inner_).error()));
        } else {
            using R = std::invoke_result_t<F, T>;
            return has_value() ? std::forward<F>(f)(*std::move(inner_))
                               : R(fail(std::move(inner_).error()));
        }
    }

    friend bool operator==(const Result& a, const Result& b) { return a.inner_ == b.inner_; }

private:
    template <class G>
    static E convert(G&& error) {
        if constexpr (std::is_constructible_v<E, G>) {
            return E(std::forward<G>(error));
        } else {
            return to_error(std::forward<G>(error));
        }
    }

    tl::expected<T, E> inner_;
};

}  // namespace tapir

#define TAPIR_JOIN_2(a, b) a##b
#define TAPIR_JOIN(a, b) TAPIR_JOIN_2(a, b)
#define TAPIR_TRY(name, expression)                        \
    __extension__({                                        \
        auto name = (expression);                          \
        if (!name) [[unlikely]] {                          \
            return ::tapir::fail(std::move(name).error()); \
        }                                                  \
        name.take();                                       \
    })
#define TRY(expression) TAPIR_TRY(TAPIR_JOIN(tapir_try_, __COUNTER__), expression)
