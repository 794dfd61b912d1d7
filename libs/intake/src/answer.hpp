// How intake answers, and how it counts and logs what it refuses.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "tapir/base/counters.hpp"
#include "tapir/base/log.hpp"
#include "tapir/net/http.hpp"
#include "tapir/text/json.hpp"

namespace tapir::intake {

inline net::HttpResponse json_answer(int status, const text::Json& json) {
    return net::HttpResponse::text(status, json.to_string(), "application/json");
}

// A refusal of a whole request: what to answer, and the label under which it is counted.
struct Refusal {
    int status = 400;
    std::string_view reason;
    std::string detail;  // for the sender and the log; no secrets in it
};

// Fates of one kind of thing: NAME{outcome="accepted"}, {outcome="rejected",reason="…"}.
class Fates {
public:
    Fates(Counters& counters, std::string_view name, std::string_view help)
        : counters_(counters), name_(name), help_(help) {
        count("accepted", 0);
        count("duplicate", 0);
    }

    void count(std::string_view outcome, std::uint64_t n = 1) {
        counters_.counter(name_, help_, {{"outcome", std::string(outcome)}}).add(n);
    }
    void reject(std::string_view reason) {
        counters_.counter(name_, help_, {{"outcome", "rejected"}, {"reason", std::string(reason)}})
            .add();
    }

private:
    Counters& counters_;
    std::string name_;
    std::string help_;
};

// Our own trouble: 507 if there is no space, else 503; the sender tries again either way.
inline Refusal trouble(const Error& error) {
    const bool no_space = error.code() == Code::exhausted;
    return {.status = no_space ? 507 : 503,
            .reason = no_space ? "no_space" : "store",
            .detail = no_space ? "out of space" : "try again later"};
}

inline net::HttpResponse refuse(const Refusal& refusal) {
    auto answer = json_answer(refusal.status, text::Json::object({{"detail", refusal.detail}}));
    if (refusal.status == 503 || refusal.status == 507) {
        answer.fields.add("Retry-After", "10");
    }
    return answer;
}

}  // namespace tapir::intake
