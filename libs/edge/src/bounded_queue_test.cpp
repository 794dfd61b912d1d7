#include "bounded_queue.hpp"

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace tapir::edge {
namespace {

struct WeighText {
    std::size_t operator()(const std::string& text) const { return text.size(); }
};

TEST(BoundedQueue, IsFullByItsLengthAndWhenItIsClosed) {
    BoundedQueue<int> queue(2);
    int item = 1;
    EXPECT_TRUE(queue.try_push(item));
    EXPECT_TRUE(queue.try_push(item));
    EXPECT_FALSE(queue.try_push(item));
    queue.push_over(7);
    EXPECT_EQ(queue.size(), 3U);
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_TRUE(queue.try_push(item));
    queue.close();
    EXPECT_FALSE(queue.try_push(item));
    EXPECT_EQ(queue.pop(), 7);
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_FALSE(queue.pop());
}

TEST(BoundedQueue, IsFullByTheWeightOfWhatIsInIt) {
    BoundedQueue<std::string, WeighText> queue(10);
    std::string heavy(9, 'x');
    std::string untouched = "stays";
    EXPECT_TRUE(queue.try_push(heavy));
    std::string beyond(30, 'y');  // 9 is less than 10
    EXPECT_TRUE(queue.try_push(beyond));
    EXPECT_FALSE(queue.try_push(untouched));
    EXPECT_EQ(untouched, "stays");
    EXPECT_EQ(queue.pop()->size(), 9U);
    EXPECT_FALSE(queue.try_push(untouched)) << "30 are still there";
    EXPECT_EQ(queue.try_pop()->size(), 30U);
    for (int i = 0; i < 5; ++i) {
        std::string light = "12";
        EXPECT_TRUE(queue.try_push(light)) << i;
    }
    EXPECT_FALSE(queue.try_push(untouched));
}

TEST(BoundedQueue, WhoWaitsForRoomGoesOnWhenThereIsSome) {
    BoundedQueue<std::string, WeighText> queue(4);
    std::thread pushing([&queue] {
        for (int i = 0; i < 1000; ++i) {
            queue.push(std::string(static_cast<std::size_t>(i % 7), 'z'));
        }
        queue.close();
    });
    std::size_t count = 0;
    while (const auto text = queue.pop()) {
        EXPECT_EQ(text->size(), count % 7);
        ++count;
    }
    pushing.join();
    EXPECT_EQ(count, 1000U);
}

// Gives way to others `times` times, or until the queue has `size` items.
void let_others_run(const BoundedQueue<int>& queue, int times, std::size_t size) {
    for (int i = 0; i < times && queue.size() != size; ++i) {
        std::this_thread::yield();
    }
}

// Whether one free place was left free while somebody waited for room. It is not if that one came
// too late to find the queue full.
bool leaves_one_place_free() {
    BoundedQueue<int> queue(4);
    for (int i = 0; i < 4; ++i) {
        queue.push(i);
    }
    std::thread pushing([&queue] { queue.push(4); });
    let_others_run(queue, 1000, 5);
    EXPECT_EQ(queue.pop(), 0);
    let_others_run(queue, 20'000, 4);
    const bool is_left = queue.size() == 3;
    EXPECT_EQ(queue.pop(), 1);
    pushing.join();
    EXPECT_EQ(queue.size(), 3U) << "with half of it free, who waits goes on";
    return is_left;
}

TEST(BoundedQueue, WhoFoundItFullIsWokenWhenHalfOfItIsFree) {
    constexpr int tries_max = 20;
    int tries = 1;
    while (!leaves_one_place_free() && tries < tries_max) {
        ++tries;
    }
    EXPECT_LT(tries, tries_max);
}

TEST(BoundedQueue, SeveralWhoFoundItFullAllGoOn) {
    BoundedQueue<int> queue(2);
    queue.push(0);
    queue.push(0);
    std::vector<std::thread> pushing;
    for (int i = 0; i < 8; ++i) {
        pushing.emplace_back([&queue] { queue.push(1); });
    }
    for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE(queue.pop());
    }
    for (std::thread& thread : pushing) {
        thread.join();
    }
    EXPECT_EQ(queue.size(), 0U);
}

TEST(BoundedQueue, WhoIsNotWokenLooksByItself) {
    BoundedQueue<int> queue(100, {.weight_min = 50});
    std::optional<int> found;
    std::optional<int> none = 0;
    std::thread popping([&] {
        found = queue.pop();
        none = queue.pop();
    });
    queue.push(7);
    while (queue.size() > 0) {
        std::this_thread::yield();
    }
    queue.close();
    popping.join();
    EXPECT_EQ(found, 7);
    EXPECT_FALSE(none);
}

}  // namespace
}  // namespace tapir::edge
