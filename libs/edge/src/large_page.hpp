// Memory in pieces of two MiB, each one page if the system has such pages to give: tables that are
// looked into at random then cost fewer walks through the page tables, and fewer page faults.
//
//     LargePage page = LargePage::make();       // not zeroed
//     auto* rows = reinterpret_cast<Row*>(page.data());
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#include <sys/mman.h>

namespace tapir::edge {

class LargePage {
public:
    static constexpr std::size_t size = std::size_t{2} << 20U;

    static LargePage make() {
        LargePage page;
        page.memory_.reset(static_cast<std::byte*>(std::aligned_alloc(size, size)));
        if (!page.memory_) {
            throw std::bad_alloc();
        }
        // Whether it helps is up to the system; it works without.
        static_cast<void>(::madvise(page.memory_.get(), size, MADV_HUGEPAGE));
        return page;
    }
    std::byte* data() const { return memory_.get(); }

private:
    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    std::unique_ptr<std::byte, Free> memory_;
};

}  // namespace tapir::edge
