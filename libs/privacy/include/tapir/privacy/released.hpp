// What may leave. A Released<T> is the only thing that a transport of an edge takes, and only the
// gate can make one.
//
//     void upload(const Released<Payload>& payload);    // in edge/outlet.cpp
//
// The constructor wants a Mint, and Mint is complete in gate.cpp alone: nobody else has one, and
// nobody else can make one. There is no friend, no conversion, and no way to change the value.
#pragma once

#include <type_traits>
#include <utility>

namespace tapir::privacy {

class Mint;

template <class T>
class Released {
    static_assert(!std::is_reference_v<T> && !std::is_pointer_v<T>,
                  "what is released is held, not pointed to");

public:
    Released(const Mint& /*mint*/, T value) : value_(std::move(value)) {}

    // Valid while this Released lives.
    const T& value() const& { return value_; }
    const T& value() const&& = delete;

private:
    T value_;
};

}  // namespace tapir::privacy
