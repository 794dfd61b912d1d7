// What is between the machines: what counts as a fault did something.
#include "network.hpp"

#include <gtest/gtest.h>

#include "post.hpp"

namespace tapir::sim {
namespace {

using namespace std::chrono_literals;

constexpr unsigned always = 100;  // percent

class Counting final : public Server {
public:
    bool listens() override { return is_up; }
    std::optional<net::HttpResponse> answer(const net::HttpRequest& /*request*/) override {
        ++requests;
        return net::HttpResponse::text(status, "");
    }
    std::optional<net::HttpResponse> subscribe(
        const net::HttpRequest& /*request*/,
        const std::shared_ptr<net::SseStream>& /*stream*/) override {
        return net::HttpResponse::error(502);
    }
    void work() override {}

    bool is_up = true;
    int status = 202;
    int requests = 0;
};

class NetworkTest : public testing::Test {
protected:
    bool send() { return client_->send({.url = "https://core.example/"}).has_value(); }
    void pass(Duration time) {
        agenda_.run_until(agenda_.now() + time, [](Duration) {}, [] { return true; });
    }

    Agenda agenda_;
    Dice dice_{1};
    Tally tally_;
    Counting server_;
    Network network_{agenda_, dice_, tally_, server_};
    world::Fuse fuse_{1};
    std::unique_ptr<net::HttpClient> client_ = network_.client("edge-1.example", fuse_, {});
};

TEST_F(NetworkTest, IsBackWhenTheLastOutageIsOver) {
    network_.begin_outage();
    network_.begin_outage();
    network_.end_outage();
    EXPECT_FALSE(send());
    network_.end_outage();
    EXPECT_TRUE(send());
    EXPECT_EQ(tally_[Fault::core_away], 1U);
}

TEST_F(NetworkTest, DoesNotCountAnOutageThatNobodyNotices) {
    network_.begin_outage();
    network_.end_outage();
    EXPECT_TRUE(send());
    EXPECT_EQ(tally_[Fault::core_away], 0U);
}

TEST_F(NetworkTest, AnOutageThatWasMendedDoesNotEndAnother) {
    network_.begin_outage();
    network_.mend();
    EXPECT_TRUE(send());
    network_.end_outage();
    network_.begin_outage();
    EXPECT_FALSE(send());
}

TEST_F(NetworkTest, CountsWhatIsDelayedOnceItArrives) {
    network_.set_faults({.delayed = always});
    EXPECT_FALSE(send());
    EXPECT_EQ(tally_[Fault::delayed], 0U);
    pass(1h);
    EXPECT_EQ(server_.requests, 1);
    EXPECT_EQ(tally_[Fault::delayed], 1U);
}

TEST_F(NetworkTest, DoesNotCountWhatArrivesAtNobody) {
    network_.set_faults({.delayed = always});
    EXPECT_FALSE(send());
    server_.is_up = false;
    pass(1h);
    server_.is_up = true;
    EXPECT_FALSE(send());
    network_.begin_outage();
    pass(1h);
    EXPECT_EQ(server_.requests, 0);
    EXPECT_EQ(tally_[Fault::delayed], 0U);
}

TEST_F(NetworkTest, CountsLostAnswersOnlyToWhatWasTaken) {
    network_.set_faults({.answer_lost = always});
    server_.status = 503;
    EXPECT_FALSE(send());
    EXPECT_EQ(tally_[Fault::answer_lost], 0U);
    server_.status = 202;
    EXPECT_FALSE(send());
    EXPECT_EQ(tally_[Fault::answer_lost], 1U);
}

class PostTest : public testing::Test {
protected:
    mqtt::Published publish() {
        const mqtt::Message message{.topic = "a/b", .payload = to_bytes(std::string_view("1"))};
        return publisher_->publish(std::span(&message, 1)).front();
    }
    void subscribe() {
        mqtt::Handlers handlers;
        handlers.keep = [this](std::span<const mqtt::Message> messages) -> Result<void> {
            kept_ += messages.size();
            return {};
        };
        subscriber_ =
            post_.subscriber({.client_id = "core", .topics = {"a/#"}}, fuse_, std::move(handlers));
    }

    Dice dice_{1};
    Tally tally_;
    Post post_{dice_, tally_};
    world::Fuse fuse_{1};
    std::unique_ptr<mqtt::Publisher> publisher_ = post_.publisher("edge", fuse_, {});
    std::unique_ptr<mqtt::Subscriber> subscriber_;
    std::size_t kept_ = 0;
};

TEST_F(PostTest, CountsLostAnswersOnlyToWhatTheBrokerTook) {
    post_.set_faults({.answer_lost = always});
    EXPECT_EQ(publish(), mqtt::Published::unavailable);
    EXPECT_EQ(tally_[Fault::answer_lost], 0U);  // nobody was subscribed
    subscribe();
    EXPECT_EQ(publish(), mqtt::Published::unavailable);
    EXPECT_EQ(tally_[Fault::answer_lost], 1U);
    EXPECT_EQ(post_.waiting(), 1U);
}

TEST_F(PostTest, CountsWhatComesAgainWhenItDoes) {
    subscribe();
    EXPECT_EQ(publish(), mqtt::Published::accepted);
    post_.set_faults({.redelivered = always});
    post_.deliver();
    EXPECT_EQ(tally_[Fault::redelivered], 0U);
    post_.mend();
    post_.deliver();
    EXPECT_EQ(tally_[Fault::redelivered], 1U);
    EXPECT_EQ(kept_, 2U);
}

TEST_F(PostTest, IsBackWhenTheLastOutageIsOver) {
    subscribe();
    post_.begin_outage();
    post_.begin_outage();
    post_.end_outage();
    EXPECT_EQ(publish(), mqtt::Published::unavailable);
    post_.end_outage();
    EXPECT_EQ(publish(), mqtt::Published::accepted);
    EXPECT_EQ(tally_[Fault::broker_away], 1U);
}

TEST_F(PostTest, MayForgetItsSessions) {
    subscribe();
    EXPECT_EQ(publish(), mqtt::Published::accepted);
    post_.forget_sessions();
    EXPECT_EQ(post_.waiting(), 0U);
    EXPECT_EQ(publish(), mqtt::Published::accepted);  // it subscribed again
    EXPECT_EQ(tally_[Fault::sessions_forgotten], 1U);
}

}  // namespace
}  // namespace tapir::sim
