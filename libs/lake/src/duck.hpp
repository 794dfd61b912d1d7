// DuckDB through its C interface, as values. One thread; nothing but memory unless `allow` says so.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tapir/base/result.hpp"
#include "tapir/lake/lake.hpp"

namespace tapir::lake {

class Duck {
public:
    // A database in memory. `allow` are the statements that name what may be opened; after them all
    // else outside is closed, and no later statement can open it again.
    static Result<Duck> open(std::string_view allow);

    // The result of one statement, all values as text. `exhausted`: the memory was not enough;
    // `invalid`: the statement failed.
    Result<Table> run(const std::string& statement);

private:
    struct Impl;
    struct Close {
        void operator()(Impl* impl) const;
    };
    explicit Duck(std::unique_ptr<Impl, Close> impl) : impl_(std::move(impl)) {}
    std::unique_ptr<Impl, Close> impl_;
};

// A text as an SQL literal.
std::string quoted(std::string_view text);

}  // namespace tapir::lake
