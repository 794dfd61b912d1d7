// What a gate let out, beside what there was.
//
//     const DomainFigures domains = domain_figures(truth, released, gate, site);
//     const RowFigures rows = row_figures(truth, released);
//     print(...)                                          // Markdown
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "run.hpp"

namespace tapir::utility {

// Domains by how many clients asked for them in the day: 1-4, 5-9, 10-19, …, 160 and more.
inline constexpr std::array<std::size_t, 7> bands = {1, 5, 10, 20, 40, 80, 160};

struct Part {
    std::uint64_t all = 0;
    std::uint64_t released = 0;

    void add(bool is_released, std::uint64_t weight = 1) {
        all += weight;
        released += is_released ? weight : 0;
    }
};

// The release of one domain.
struct Delay {
    double seconds = 0;       // from its first query until it left
    std::size_t clients = 0;  // that had asked by then
};

struct DomainFigures {
    Part domains;                     // all new ones
    Part possible;                    // with centre / 2 clients of one family, from networks enough
    Part of_centre;                   // with at least so many clients, of both families together
    Part of_double;                   // with twice as many
    Part clients;                     // pairs of a domain and a client that asked for it
    std::uint64_t clients_after = 0;  // of those: the client first asked after the release
    std::array<Part, bands.size()> by_band{};
    std::vector<Delay> delays;
    // Released though there were too few clients of one family, or networks: none may be.
    std::vector<std::string> wrong;
};
DomainFigures domain_figures(const Truth& truth, const Released& released, const Gate& gate,
                             bool single_site);

// In which file something left.
enum class Width : std::uint8_t { minute, ten_minutes, hour, nowhere };
inline constexpr std::size_t width_count = 4;

struct RowFigures {
    // Entries of a minute: the rows that there would be without a gate, by where they went.
    std::array<std::uint64_t, width_count> rows{};
    std::array<std::uint64_t, width_count> queries{};  // the same, by the queries in them
    std::uint64_t sent = 0;                            // rows that left: one may be of many minutes
};
RowFigures row_figures(const Truth& truth, const Released& released);

struct Measured {
    Gate gate;
    DomainFigures domains;
    RowFigures rows;
    edge::Suppressed suppressed;
};
// The tables of one traffic.
std::string to_markdown(std::string_view title, const Truth& truth,
                        const std::vector<Measured>& all);

// The value that `of_hundred` of a hundred do not exceed: the nearest rank. `values` is not empty.
double percentile(std::vector<double> values, unsigned of_hundred);

}  // namespace tapir::utility
