#include "day.hpp"

#include <array>
#include <utility>

namespace tapir::edge {
namespace {

std::shared_ptr<const privacy::GateKey> gate_key_of(const client::DayKey& key) {
    std::array<std::byte, privacy::gate_key_size> octets{};
    key.derive("tapir gate", octets);
    auto gate = std::make_shared<const privacy::GateKey>(octets);
    for (volatile std::byte& octet : octets) {
        octet = std::byte{0};
    }
    return gate;
}

}  // namespace

Day::Day(std::int64_t day_number, client::DayKey day_key)
    : number(day_number), key(std::move(day_key)), gate(gate_key_of(key)) {}

DayKeys::DayKeys(std::int64_t day, client::DayKey key)
    : current_(std::make_shared<const Day>(day, std::move(key))), is_started_(true) {}

DayKeys::DayKeys(client::DayKey key)
    : current_(std::make_shared<const Day>(0, std::move(key))), is_started_(false) {}

std::shared_ptr<const Day> DayKeys::enter(std::int64_t number) {
    if (!is_started_) {
        is_started_ = true;
        client::DayKey same = client::DayKey::from(current_->key.reveal());
        current_ = std::make_shared<const Day>(number, std::move(same));
        return current_;
    }
    if (number <= current_->number) {
        return current_;
    }
    client::DayKey key = current_->key.next();
    for (std::int64_t day = current_->number + 1; day < number; ++day) {
        key = key.next();
    }
    current_ = std::make_shared<const Day>(number, std::move(key));
    return current_;
}

}  // namespace tapir::edge
