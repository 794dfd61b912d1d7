// The inputs of the benchmarks: a list of well-known names, and a resolver's frames that ask for
// them. The same arguments give the same octets.
//
//     write_names({.count = 1'000'000, .seed = 1}, sink);             // one name a line
//     write_frames(FrameMix{.count = 2'000'000}, names, sink);        // a Frame Streams file
//
// Every name is under a top-level domain of the public suffix list, every client in 10.0.0.0/8 or
// fd00::/8, which are client networks by default: so all that is counted may pass the gate.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tapir/base/bytes.hpp"

namespace tapir::bench {

// Takes the output, piece by piece.
using Sink = std::function<void(ByteView piece)>;

struct NameMix {
    std::size_t count = 1'000'000;
    std::uint64_t seed = 1;
};
// Distinct names in lower case; a third are suffix entries and begin with a dot.
void write_names(const NameMix& mix, const Sink& sink);

struct FrameMix {
    std::size_t count = 2'000'000;
    std::uint64_t seed = 7;
    unsigned unknown_of_thousand = 50;  // names that are not on the list, each asked for once
    std::size_t clients = 20'000;       // a quarter of them IPv6
    unsigned minutes = 3;               // that the response times span
    std::int64_t start_s = 1'790'000'040;
};
// CLIENT_RESPONSE messages as unbound writes them: question, answers with compressed owners, OPT.
// Names by Zipf's law with exponent 0.95, clients with 0.8. `names`: lines as write_names has them.
void write_frames(const FrameMix& mix, const std::vector<std::string_view>& names,
                  const Sink& sink);

// The lines of a text, without their ends.
std::vector<std::string_view> lines_of(std::string_view text);

}  // namespace tapir::bench
