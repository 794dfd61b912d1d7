// Memory for keys: locked as far as the system lets us, kept out of core dumps, wiped when freed.
#pragma once

#include <memory>
#include <new>
#include <type_traits>

#include <openssl/crypto.h>
#include <sys/mman.h>

#include "tapir/base/assert.hpp"

namespace tapir::client {

template <class T>
struct LockedDeleter {
    void operator()(T* object) const {
        OPENSSL_cleanse(object, sizeof(T));
        munmap(object, sizeof(T));
    }
};

template <class T>
using Locked = std::unique_ptr<T, LockedDeleter<T>>;

// A T of zeros on pages of its own.
template <class T>
    requires std::is_trivially_copyable_v<T>
Locked<T> make_locked() {
    void* pages =
        mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TAPIR_ASSERT(pages != MAP_FAILED);
    // Without the right to lock, the key may reach the swap: the operator's limit, not an error.
    static_cast<void>(mlock(pages, sizeof(T)));
    static_cast<void>(madvise(pages, sizeof(T), MADV_DONTDUMP));
    return Locked<T>(new (pages) T());
}

}  // namespace tapir::client
