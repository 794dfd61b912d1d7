// lab_sketches: what our code says of sketches, for comparing it with others.
//
//     printf '136a44…\n146a44… 146a44…\n' | lab_sketches
//
// A line of input is the sketches of one union, each in hexadecimal, at least one. A line of output
// is the union's form, its estimate, and its octets in hexadecimal.
#include <iostream>
#include <optional>
#include <sstream>
#include <string>

#include <fmt/format.h>

#include "tapir/base/main.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/sketch/hyperloglog.hpp"

namespace {

using tapir::sketch::HyperLogLog;

std::string_view name_of(HyperLogLog::Form form) {
    switch (form) {
        case HyperLogLog::Form::empty:
            return "empty";
        case HyperLogLog::Form::explicit_hashes:
            return "explicit";
        case HyperLogLog::Form::sparse:
            return "sparse";
        case HyperLogLog::Form::full:
            return "full";
    }
    return "?";
}

tapir::Result<HyperLogLog> union_of(const std::string& line) {
    std::istringstream words(line);
    std::optional<HyperLogLog> all;
    for (std::string word; words >> word;) {
        const tapir::Bytes octets = TRY(tapir::crypto::parse_hex(word));
        HyperLogLog one = TRY(HyperLogLog::parse(octets));
        if (!all) {
            all = std::move(one);
        } else if (all->is_mergeable_with(one)) {
            all->merge(one);
        } else {
            return tapir::fail(tapir::Code::invalid, "sketches of different registers");
        }
    }
    if (!all) {
        return tapir::fail(tapir::Code::invalid, "expected a sketch in each line");
    }
    return *std::move(all);
}

tapir::Result<int> work(int /*argc*/, char** /*argv*/) {
    for (std::string line; std::getline(std::cin, line);) {
        const HyperLogLog all = TRY(union_of(line));
        fmt::print("{} {} {}\n", name_of(all.form()), all.estimate(),
                   tapir::to_hex(all.serialise()));
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return tapir::run_main("lab_sketches", work, argc, argv);
}
