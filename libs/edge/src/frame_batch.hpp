// Frames on their way to a worker: decoded where they lie, placed in their minutes.
#pragma once

#include <memory>
#include <vector>

#include "data_clock.hpp"
#include "day.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/dnstap/message.hpp"

namespace tapir::edge {

inline constexpr std::size_t batch_frame_count_max = 64;
inline constexpr std::size_t batch_size_usual = 16'384;  // octets reserved

struct FrameItem {
    Result<dnstap::Message, dnstap::MessageError> message;
    Minute minute = 0;
};

// Invariant: octets_ never grows beyond what was reserved, so the messages' views stay valid.
class FrameBatch {
public:
    explicit FrameBatch(std::size_t capacity) {
        octets_.reserve(std::max(capacity, batch_size_usual));
        items_.reserve(batch_frame_count_max);
    }
    FrameBatch(FrameBatch&&) noexcept = default;
    FrameBatch& operator=(FrameBatch&&) noexcept = default;
    FrameBatch(const FrameBatch&) = delete;
    FrameBatch& operator=(const FrameBatch&) = delete;
    ~FrameBatch() = default;

    bool has_room_for(std::size_t size) const {
        return items_.size() < batch_frame_count_max && octets_.capacity() - octets_.size() >= size;
    }
    // Copies a frame in, if has_room_for(its size).
    ByteView add(ByteView frame) {
        TAPIR_ASSERT(has_room_for(frame.size()));
        const std::size_t at = octets_.size();
        append(octets_, frame);
        return ByteView(octets_).subspan(at);
    }
    void add(FrameItem item) { items_.push_back(item); }

    bool is_empty() const { return items_.empty(); }
    const std::vector<FrameItem>& items() const { return items_; }

    std::shared_ptr<const Day> day;  // whose tags are to be made

private:
    Bytes octets_;
    std::vector<FrameItem> items_;
};

}  // namespace tapir::edge
