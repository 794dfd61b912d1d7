// Octets that must not be seen: keys, seeds, salts before they are opened.
//
//     const Secret key = Secret::copy_of(file_octets);
//     const auto tag = hmac_sha256(key.bytes(), message);
//
// A Secret moves and is never copied, is overwritten when it goes, compares in constant time, and
// has no formatter, so it cannot get into a log. Locking memory and refusing core dumps is the
// process's business (`world`).
#pragma once

#include <span>

#include "tapir/base/bytes.hpp"

namespace tapir::crypto {

// Overwrites the octets; the compiler cannot leave it out.
void wipe(std::span<std::byte> octets);

// Whether both are the same. The time taken tells their sizes only.
bool ct_equal(ByteView a, ByteView b);

class Secret {
public:
    Secret() = default;  // empty
    static Secret copy_of(ByteView octets);
    // Takes the buffer over; nothing of it remains elsewhere.
    static Secret taken_from(Bytes&& octets);

    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret();

    // Valid until this Secret is moved from, assigned to, or gone.
    ByteView bytes() const& { return octets_; }
    ByteView bytes() const&& = delete;
    std::size_t size() const { return octets_.size(); }

    // In constant time.
    friend bool operator==(const Secret& a, const Secret& b) {
        return ct_equal(a.octets_, b.octets_);
    }

private:
    Bytes octets_;
};

}  // namespace tapir::crypto
