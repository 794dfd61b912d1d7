// Writes the inputs of the benchmarks:
//
//     bench_inputs names COUNT SEED > names.txt
//     bench_inputs frames NAMES-FILE COUNT SEED UNKNOWN-OF-THOUSAND MINUTES > frames.fstrm
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "mixes.hpp"
#include "tapir/world/files.hpp"

namespace {

using namespace tapir;
using namespace tapir::bench;

constexpr std::size_t names_file_size_max = std::size_t{1} << 30U;

std::uint64_t number(std::string_view word) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc() && end == word.data() + word.size() ? value : 0;
}

int run(const std::vector<std::string_view>& words) {
    bool is_written = true;
    const Sink sink = [&is_written](ByteView piece) {
        is_written &= std::fwrite(piece.data(), 1, piece.size(), stdout) == piece.size();
    };
    if (words.size() == 3 && words[0] == "names") {
        write_names({.count = number(words[1]), .seed = number(words[2])}, sink);
    } else if (words.size() == 6 && words[0] == "frames") {
        world::SystemFiles files;
        const auto text = files.read(std::string(words[1]), names_file_size_max);
        if (!text) {
            std::fprintf(stderr, "bench_inputs: %s\n", text.error().what().c_str());
            return 1;
        }
        write_frames({.count = number(words[2]),
                      .seed = number(words[3]),
                      .unknown_of_thousand = static_cast<unsigned>(number(words[4])),
                      .minutes = static_cast<unsigned>(number(words[5]))},
                     lines_of(as_text(*text)), sink);
    } else {
        std::fputs(
            "usage: bench_inputs names COUNT SEED | frames NAMES COUNT SEED UNKNOWN MINUTES\n",
            stderr);
        return 2;
    }
    is_written &= std::fflush(stdout) == 0;
    return is_written ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
    return run({words + 1, words + count});
}
