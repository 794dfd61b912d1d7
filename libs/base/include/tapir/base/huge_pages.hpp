// Memory for large tables, in huge pages where the system has them: what is read here and there
// over hundreds of megabytes is then found with far fewer walks through page tables.
//
//     std::vector<std::uint64_t, HugePages<std::uint64_t>> slots(1U << 24U);
//
// Less than huge_page_size is ordinary memory. It is a wish: without huge pages all works the same.
#pragma once

#include <cstddef>
#include <new>

#include <sys/mman.h>

namespace tapir {

inline constexpr std::size_t huge_page_size = std::size_t{1} << 21U;  // octets

template <class T>
struct HugePages {
    using value_type = T;

    HugePages() = default;
    template <class U>
    HugePages(const HugePages<U>& /*other*/) {}  // NOLINT(google-explicit-constructor): rebinding

    T* allocate(std::size_t count) {
        const std::size_t size = count * sizeof(T);
        if (size < huge_page_size) {
            return static_cast<T*>(::operator new(size));
        }
        void* const memory = ::operator new(size, std::align_val_t{huge_page_size});
        // Whole pages only: what lies behind the end belongs to others.
        static_cast<void>(madvise(memory, size / huge_page_size * huge_page_size, MADV_HUGEPAGE));
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t count) {
        if (count * sizeof(T) < huge_page_size) {
            ::operator delete(memory);
        } else {
            ::operator delete(memory, std::align_val_t{huge_page_size});
        }
    }
    friend bool operator==(const HugePages& /*a*/, const HugePages& /*b*/) { return true; }
};

}  // namespace tapir
