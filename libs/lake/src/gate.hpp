// The gate with its database. The child opens one for its one upload; a fuzzer has it judge many.
//
//     Gate gate = TRY(Gate::open(Gate::Uploads::many));
//     const Gated gated = TRY(gate.pass(upload, "edge-1.example", 60));
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/lake/child.hpp"

namespace tapir::lake {

class Gate {
public:
    // Whether the files of one call may be remembered in the next. `many`: they are not.
    enum class Uploads : std::uint8_t { one, many };

    static Result<Gate> open(Uploads uploads);
    Gate(Gate&&) noexcept;
    Gate& operator=(Gate&&) = delete;
    ~Gate();

    Result<Gated> pass(ByteView upload, std::string_view edge, std::int64_t interval_s);
    // False after an error inside of the database: from then on it refuses everything.
    bool is_alive();
    // Reads the file that the last pass() kept: SELECT `columns` FROM it.
    Result<Table> query_kept(std::string_view columns);

private:
    struct Impl;
    explicit Gate(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::lake
