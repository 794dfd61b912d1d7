// Frames on their way to a worker: decoded where they lie, placed in their minutes.
//
//     FrameBatch batch = pool.take(frame.size());
//     if (batch.has_room_for(frame.size())) { const ByteView copy = batch.add(frame); ... }
//     batch.add_item() = {...};                        // whose views are into `copy`
//     pool.give_back(std::move(batch));                // its memory is used again
//
// A FrameBatch belongs to one thread at a time; a BatchPool may be shared.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "data_clock.hpp"
#include "day.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/base/time.hpp"
#include "tapir/dnstap/message.hpp"
#include "transport.hpp"

namespace tapir::edge {

inline constexpr std::size_t batch_frame_count_max = 512;
inline constexpr std::size_t batch_size_usual = 98'304;  // octets reserved
inline constexpr std::size_t batches_kept_max = 32;      // in a pool

// What is looked at of one frame.
struct FrameItem {
    std::optional<dnstap::MessageError> error;  // then it has a minute and nothing else
    bool has_response = false;
    dnstap::MessageType type{};
    Transport transport = Transport::unknown;
    Minute minute = 0;        // that it counts for
    UtcTime response_minute;  // that it says; 1970 if it has no time
    dnstap::ClientAddress client;
    ByteView response;  // DNS in wire form
};

// Invariant: octets_ stays where it is, so the items' views stay valid.
class FrameBatch {
public:
    explicit FrameBatch(std::size_t capacity)
        : capacity_(std::max(capacity, batch_size_usual)),
          octets_(std::make_unique_for_overwrite<std::byte[]>(capacity_)) {
        items_.reserve(batch_frame_count_max);
    }

    bool has_room_for(std::size_t size) const {
        return items_.size() < batch_frame_count_max && capacity_ - size_ >= size;
    }
    // Asks for the memory of frames that come some later: who counted a batch of before has had it
    // last, perhaps on another core. Purely for speed.
    void prefetch() const {
        constexpr std::size_t line = 64;
        constexpr std::size_t ahead = 12 * line;  // some five frames
        if (capacity_ - size_ > ahead + 3 * line) {
            const std::byte* to = octets_.get() + size_ + ahead;
            __builtin_prefetch(to, 1);
            __builtin_prefetch(to + line, 1);
            __builtin_prefetch(to + 2 * line, 1);
        }
        constexpr std::size_t items_ahead = 6;
        if (items_.size() + items_ahead < batch_frame_count_max) {
            __builtin_prefetch(items_.data() + items_.size() + items_ahead, 1);
        }
    }
    // Copies a frame in, if has_room_for(its size).
    ByteView add(ByteView frame) {
        TAPIR_ASSERT(has_room_for(frame.size()));
        std::byte* to = octets_.get() + size_;
        if (!frame.empty()) {
            std::memcpy(to, frame.data(), frame.size());
        }
        size_ += frame.size();
        return {to, frame.size()};
    }
    // For the frame that was copied in last.
    FrameItem& add_item() { return items_.emplace_back(); }
    // Also remembers where the frame of the item lies that is added next: the last `size` octets.
    void keep_frame(std::size_t size) { frames_.emplace_back(octets_.get() + size_ - size, size); }

    bool is_empty() const { return items_.empty(); }
    std::size_t capacity() const { return capacity_; }
    const std::vector<FrameItem>& items() const { return items_; }
    // The whole frame of an item of items(); empty if it was not kept.
    ByteView frame_of(const FrameItem& item) const {
        return frames_.empty() ? ByteView()
                               : frames_[static_cast<std::size_t>(&item - items_.data())];
    }
    void clear() {
        items_.clear();
        frames_.clear();
        size_ = 0;
        day.reset();
        arrived = {};
    }

    std::shared_ptr<const Day> day;  // whose tags are to be made
    Duration arrived{};              // monotonic; of the first frame, where it is measured

private:
    std::size_t capacity_;
    std::size_t size_ = 0;
    std::unique_ptr<std::byte[]> octets_;
    std::vector<FrameItem> items_;
    std::vector<ByteView> frames_;  // of each item, or none at all
};

// Batches that have been counted, for frames to come: fresh memory would cost page faults.
class BatchPool {
public:
    // An empty batch with room for a frame of `size`.
    FrameBatch take(std::size_t size) {
        const std::lock_guard lock(mutex_);
        if (batches_.empty() || size > batch_size_usual) {
            return FrameBatch(size);
        }
        FrameBatch batch = std::move(batches_.back());
        batches_.pop_back();
        return batch;
    }
    void give_back(FrameBatch batch) {
        batch.clear();
        const std::lock_guard lock(mutex_);
        if (batches_.size() < batches_kept_max && batch.capacity() == batch_size_usual) {
            batches_.push_back(std::move(batch));
        }
    }

private:
    std::mutex mutex_;
    std::vector<FrameBatch> batches_;
};

}  // namespace tapir::edge
