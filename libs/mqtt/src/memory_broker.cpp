#include "tapir/mqtt/memory_broker.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "tapir/base/assert.hpp"
#include "topic.hpp"

namespace tapir::mqtt {

// One lock for everything, held while handlers run, so that after stop() none does. It may be taken
// again by the same thread: handlers publish.
struct MemoryBroker::Impl {
    struct Session {
        std::vector<std::string> topics;
        std::deque<Message> waiting;
        bool is_new = true;  // its client has not been told yet
    };
    struct Client {
        SubscriberSettings settings;
        Handlers handlers;
        std::shared_ptr<Session> session;  // none: not connected
    };

    mutable std::recursive_mutex mutex;
    std::map<std::string, std::shared_ptr<Session>> sessions;  // by client id
    std::vector<std::shared_ptr<Client>> clients;              // in order of arrival
    bool is_away = false;

    void connect(Client& client);
    Published take(const Message& message);
    static std::size_t deliver_to(Client& client);
};

void MemoryBroker::Impl::connect(Client& client) {
    auto& session = sessions[client.settings.client_id];
    if (!session) {
        session = std::make_shared<Session>();
    }
    for (const std::string& filter : client.settings.topics) {
        if (std::ranges::find(session->topics, filter) == session->topics.end()) {
            session->topics.push_back(filter);
        }
    }
    // Whoever had the session before has lost it: one connection for each client id.
    for (const auto& other : clients) {
        if (other->session == session) {
            other->session = nullptr;
        }
    }
    client.session = session;
}

Published MemoryBroker::Impl::take(const Message& message) {
    if (!is_topic(message.topic) || message.payload.size() > payload_size_max) {
        return Published::refused;
    }
    Published out = Published::unheard;
    for (const auto& [client_id, session] : sessions) {
        if (std::ranges::any_of(session->topics, [&](const std::string& filter) {
                return matches(filter, message.topic);
            })) {
            session->waiting.push_back(message);
            out = Published::accepted;
        }
    }
    return out;
}

std::size_t MemoryBroker::Impl::deliver_to(Client& client) {
    // Kept alive: a handler may take the session away.
    const auto session = client.session;
    if (std::exchange(session->is_new, false) && client.handlers.session_lost) {
        client.handlers.session_lost();
    }
    const std::size_t count = std::min(session->waiting.size(), batch_size_max);
    const auto end = session->waiting.begin() + static_cast<std::ptrdiff_t>(count);
    // A copy: a handler may publish into this very queue.
    const std::vector<Message> batch(session->waiting.begin(), end);
    if (batch.empty() || !client.handlers.keep(batch)) {
        return 0;
    }
    session->waiting.erase(session->waiting.begin(),
                           session->waiting.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
}

namespace {

class MemoryPublisher final : public Publisher {
public:
    explicit MemoryPublisher(std::function<Published(const Message&)> take)
        : take_(std::move(take)) {}

    std::vector<Published> publish(std::span<const Message> messages) override {
        std::vector<Published> out;
        for (const Message& message : messages) {
            out.push_back(is_cancelled_ ? Published::unavailable : take_(message));
        }
        return out;
    }
    void cancel() override { is_cancelled_ = true; }

private:
    std::function<Published(const Message&)> take_;
    std::atomic<bool> is_cancelled_{false};
};

class MemorySubscriber final : public Subscriber {
public:
    MemorySubscriber(std::function<void()> leave, std::function<bool()> is_connected)
        : leave_(std::move(leave)), is_connected_(std::move(is_connected)) {}
    MemorySubscriber(const MemorySubscriber&) = delete;
    MemorySubscriber& operator=(const MemorySubscriber&) = delete;
    ~MemorySubscriber() override { leave_(); }

    void stop() override { leave_(); }
    bool is_connected() const override { return is_connected_(); }

private:
    std::function<void()> leave_;
    std::function<bool()> is_connected_;
};

}  // namespace

MemoryBroker::MemoryBroker() : impl_(std::make_shared<Impl>()) {}
MemoryBroker::~MemoryBroker() = default;

std::unique_ptr<Publisher> MemoryBroker::publisher(std::string_view /*client_id*/) {
    return std::make_unique<MemoryPublisher>([impl = impl_](const Message& message) {
        const std::lock_guard lock(impl->mutex);
        return impl->is_away ? Published::unavailable : impl->take(message);
    });
}

std::unique_ptr<Subscriber> MemoryBroker::subscriber(const SubscriberSettings& settings,
                                                     Handlers handlers) {
    TAPIR_ASSERT(handlers.keep && std::ranges::all_of(settings.topics, is_filter));
    const std::lock_guard lock(impl_->mutex);
    const auto client = std::make_shared<Impl::Client>(settings, std::move(handlers), nullptr);
    impl_->clients.push_back(client);
    if (!impl_->is_away) {
        impl_->connect(*client);
    }
    return std::make_unique<MemorySubscriber>(
        [impl = impl_, client] {
            const std::lock_guard leaving(impl->mutex);
            std::erase(impl->clients, client);
            client->session = nullptr;
        },
        [impl = impl_, client] {
            const std::lock_guard looking(impl->mutex);
            return !impl->is_away && client->session != nullptr;
        });
}

std::size_t MemoryBroker::deliver() {
    const std::lock_guard lock(impl_->mutex);
    std::size_t kept = 0;
    // A copy: handlers may open subscribers, and stop them.
    for (const auto clients = impl_->clients; const auto& client : clients) {
        if (!impl_->is_away && client->session != nullptr) {
            kept += Impl::deliver_to(*client);
        }
    }
    return kept;
}

std::size_t MemoryBroker::waiting() const {
    const std::lock_guard lock(impl_->mutex);
    std::size_t out = 0;
    for (const auto& [client_id, session] : impl_->sessions) {
        out += session->waiting.size();
    }
    return out;
}

void MemoryBroker::set_away(bool is_away) {
    const std::lock_guard lock(impl_->mutex);
    impl_->is_away = is_away;
    if (is_away) {
        return;
    }
    for (const auto& client : impl_->clients) {
        if (client->session == nullptr) {
            impl_->connect(*client);
        }
    }
}

void MemoryBroker::forget_sessions() {
    const std::lock_guard lock(impl_->mutex);
    impl_->sessions.clear();
    for (const auto& client : impl_->clients) {
        client->session = nullptr;
    }
    if (!impl_->is_away) {
        set_away(false);
    }
}

}  // namespace tapir::mqtt
