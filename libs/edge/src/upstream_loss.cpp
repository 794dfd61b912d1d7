#include "upstream_loss.hpp"

#include <algorithm>
#include <utility>

namespace tapir::edge {
namespace {

Counter& missing(Counters& counters, const char* message) {
    return counters.counter("tapir_edge_upstream_missing_total",
                            "Estimate: client messages that resolvers did not deliver, of "
                            "connections that have ended.",
                            {{"message", message}});
}

}  // namespace

UpstreamLoss::UpstreamLoss(Counters& counters)
    : counters_(counters),
      missing_queries_(missing(counters, "query")),
      missing_responses_(missing(counters, "response")) {}

UpstreamLoss::Connection::Connection(UpstreamLoss& loss, std::string input)
    : loss_(loss), input_(std::move(input)), place_(loss.places_.with([this](auto& places) {
          std::vector<bool>& taken = places[input_];
          const auto free = std::ranges::find(taken, false);
          const auto place = static_cast<std::size_t>(free - taken.begin());
          if (free == taken.end()) {
              taken.push_back(true);
          } else {
              *free = true;
          }
          return place;
      })) {}

UpstreamLoss::Connection::~Connection() {
    const std::int64_t difference = imbalance();
    if (difference > 0) {
        loss_.missing_responses_.add(static_cast<std::uint64_t>(difference));
    } else if (difference < 0) {
        loss_.missing_queries_.add(static_cast<std::uint64_t>(-difference));
    }
    if (gauge_ != nullptr) {
        gauge_->set(0);
    }
    loss_.places_.with([this](auto& places) { places[input_][place_] = false; });
}

void UpstreamLoss::Connection::see(const Added& added) {
    queries_ += added.client_queries;
    responses_ += added.client_responses;
}

std::int64_t UpstreamLoss::Connection::imbalance() const {
    return queries_ == 0 || responses_ == 0 ? 0 : static_cast<std::int64_t>(queries_ - responses_);
}

void UpstreamLoss::Connection::show() {
    if (queries_ == 0 || responses_ == 0) {
        return;
    }
    if (gauge_ == nullptr) {
        gauge_ = &loss_.counters_.gauge(
            "tapir_edge_connection_imbalance",
            "Estimate: client queries less client responses of an open connection.",
            {{"input", input_}, {"connection", std::to_string(place_ + 1)}});
    }
    gauge_->set(imbalance());
}

}  // namespace tapir::edge
