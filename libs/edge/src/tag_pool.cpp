#include "tag_pool.hpp"

#include <algorithm>
#include <new>

namespace tapir::edge {

std::uint64_t* TagPool::take(std::size_t size_class) {
    const std::size_t count = words.at(size_class);
    std::uint64_t* block = nullptr;
    if (Free* free = free_.at(size_class); free != nullptr) {
        free_.at(size_class) = free->next;
        block = reinterpret_cast<std::uint64_t*>(free);
    } else {
        if (words_used_ + count > chunk_words) {
            if (chunks_used_ == chunks_.size()) {
                chunks_.push_back(LargePage::make());
            }
            ++chunks_used_;
            words_used_ = 0;
        }
        block = reinterpret_cast<std::uint64_t*>(chunks_[chunks_used_ - 1].data()) + words_used_;
        words_used_ += count;
    }
    std::fill_n(block, count, 0);
    return block;
}

void TagPool::give_back(std::uint64_t* block, std::size_t size_class) {
    free_.at(size_class) = new (block) Free{free_.at(size_class)};
}

void TagPool::clear() {
    free_.fill(nullptr);
    chunks_used_ = 0;
    words_used_ = chunk_words;
}

}  // namespace tapir::edge
