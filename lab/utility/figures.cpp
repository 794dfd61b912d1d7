#include "figures.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"

namespace tapir::utility {
namespace {

constexpr std::int64_t ten_minutes = 10;

std::string percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? "–"
                      : fmt::format("{:.1f} %",
                                    100.0 * static_cast<double>(part) / static_cast<double>(whole));
}
std::string share(const Part& part) {
    return part.all == 0 ? "–"
                         : fmt::format("{} of {}", percent(part.released, part.all), part.all);
}

std::string time_of(double seconds) {
    return seconds < 120    ? fmt::format("{:.0f} s", seconds)
           : seconds < 7200 ? fmt::format("{:.0f} min", seconds / 60)
                            : fmt::format("{:.1f} h", seconds / 3600);
}

std::size_t band_of(std::size_t clients) {
    const auto above = std::ranges::upper_bound(bands, clients);
    return static_cast<std::size_t>(above - bands.begin()) - 1;
}

std::string name_of_band(std::size_t band) {
    return band + 1 == bands.size() ? fmt::format("{} and more", bands.at(band))
                                    : fmt::format("{}–{}", bands.at(band), bands.at(band + 1) - 1);
}

std::string domain_table(const std::vector<Measured>& all) {
    std::string out =
        "| centre | new domains released | of those that could be | of those with ≥ centre clients "
        "| of those with ≥ 2 × centre | clients reached | … first asking after the release | "
        "delay, median | 90 % | clients by then, median | 90 % |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|\n";
    for (const Measured& one : all) {
        const DomainFigures& d = one.domains;
        out += fmt::format("| {} | {} ({}) | {} | {} | {} | {} | {}", one.gate.name,
                           d.domains.released, percent(d.domains.released, d.domains.all),
                           share(d.possible), share(d.of_centre), share(d.of_double),
                           percent(d.clients.released, d.clients.all),
                           percent(d.clients_after, d.clients.all));
        std::vector<double> seconds;
        std::vector<double> clients;
        for (const Delay& delay : d.delays) {
            seconds.push_back(delay.seconds);
            clients.push_back(static_cast<double>(delay.clients));
        }
        for (const unsigned rank : {50U, 90U}) {
            out += seconds.empty() ? " | –" : " | " + time_of(percentile(seconds, rank));
        }
        for (const unsigned rank : {50U, 90U}) {
            out += clients.empty() ? " | –" : fmt::format(" | {:.0f}", percentile(clients, rank));
        }
        out += " |\n";
    }
    return out;
}

std::string band_table(const std::vector<Measured>& all) {
    std::string out = "| released, by clients in the day";
    std::string rule = "|---";
    for (std::size_t band = 0; band < bands.size(); ++band) {
        out +=
            fmt::format(" | {}: {}", name_of_band(band), all.front().domains.by_band.at(band).all);
        rule += "|---";
    }
    out += " |\n" + rule + "|\n";
    for (const Measured& one : all) {
        out += "| " + one.gate.name;
        for (const Part& part : one.domains.by_band) {
            out += " | " + percent(part.released, part.all);
        }
        out += " |\n";
    }
    return out;
}

std::string row_table(const std::vector<Measured>& all) {
    std::string out =
        "| centre | rows kept: in the minute | ten minutes | hour | all | rows sent | queries "
        "kept: in the minute | ten minutes | hour | all "
        "|\n|---|---|---|---|---|---|---|---|---|---|\n";
    const auto cells = [](const std::array<std::uint64_t, width_count>& counts) {
        std::uint64_t whole = 0;
        for (const std::uint64_t count : counts) {
            whole += count;
        }
        std::string text;
        for (const Width width : {Width::minute, Width::ten_minutes, Width::hour}) {
            text += " | " + percent(counts.at(static_cast<std::size_t>(width)), whole);
        }
        const std::uint64_t lost = counts.at(static_cast<std::size_t>(Width::nowhere));
        return text + " | " + percent(whole - lost, whole);
    };
    for (const Measured& one : all) {
        out += fmt::format("| {}{} | {}{} |\n", one.gate.name, cells(one.rows.rows), one.rows.sent,
                           cells(one.rows.queries));
    }
    return out;
}

std::string caption_of(const Truth& truth) {
    std::uint64_t rows = 0;
    std::uint64_t queries = 0;
    for (const auto& [minute, counts] : truth.by_minute) {
        rows += counts.size();
        for (const EntryCount& count : counts) {
            queries += count.queries;
        }
    }
    return fmt::format(
        "{} queries of {} clients in {} networks; {} for listed names, in {} rows of a minute; {} "
        "for names that leave in no form, {} for no names; {} new registered domains.\n",
        truth.queries, truth.clients, truth.networks, queries, rows, truth.never_released,
        truth.no_name, truth.domains.size());
}

std::string evictions_of(const Measured& one) {
    const edge::Suppressed& s = one.suppressed;
    const std::uint64_t sum = s.cells_evicted + s.names_evicted + s.rows_evicted;
    return sum == 0 ? ""
                    : fmt::format(
                          "\n{}: no room for {} cells, {} pending names, {} rows of wider "
                          "intervals.\n",
                          one.gate.name, s.cells_evicted, s.names_evicted, s.rows_evicted);
}

}  // namespace

double percentile(std::vector<double> values, unsigned of_hundred) {
    TAPIR_ASSERT(!values.empty());
    std::ranges::sort(values);
    const std::size_t rank = (values.size() * of_hundred + 99) / 100;
    return values[std::max<std::size_t>(rank, 1) - 1];
}

DomainFigures domain_figures(const Truth& truth, const Released& released, const Gate& gate,
                             bool single_site) {
    const privacy::Threshold threshold = gate.in_force();
    const std::size_t networks_min = single_site ? 0 : threshold.networks_min;
    DomainFigures figures;
    for (const auto& [name, domain] : truth.domains) {
        const auto found = released.names.find(name);
        const bool is_released = found != released.names.end();
        const std::size_t clients = domain.clients.size();
        figures.domains.add(is_released);
        figures.clients.add(is_released, clients);
        figures.by_band.at(band_of(clients)).add(is_released);
        const bool is_possible = domain.has(threshold.min, networks_min);
        if (is_possible) {
            figures.possible.add(is_released);
        }
        if (clients >= threshold.centre) {
            figures.of_centre.add(is_released);
        }
        if (clients >= std::size_t{2} * threshold.centre) {
            figures.of_double.add(is_released);
        }
        if (!is_released) {
            continue;
        }
        const UtcTime left = found->second;
        const std::size_t by_then = domain.clients_at(left);
        figures.clients_after += clients - by_then;
        figures.delays.push_back(
            {.seconds = static_cast<double>((left - domain.first).count()) / 1e9,
             .clients = by_then});
        if (!is_possible || by_then < threshold.min) {
            figures.wrong.push_back(name);
        }
    }
    return figures;
}

RowFigures row_figures(const Truth& truth, const Released& released) {
    RowFigures figures;
    figures.sent = released.rows;
    const auto width_of = [&released](std::int64_t minute, std::uint32_t entry) {
        Width width = Width::nowhere;
        const auto files = released.by_minute.find(minute);
        if (files == released.by_minute.end()) {
            return width;
        }
        for (const auto& file : files->second) {
            if (std::ranges::binary_search(file->entries, entry)) {
                // What left by the minute is not in the wider file too, though its entry may be.
                width = std::min(width, file->minutes <= 1             ? Width::minute
                                        : file->minutes <= ten_minutes ? Width::ten_minutes
                                                                       : Width::hour);
            }
        }
        return width;
    };
    for (const auto& [minute, counts] : truth.by_minute) {
        for (const EntryCount& count : counts) {
            const auto width = static_cast<std::size_t>(width_of(minute, count.entry));
            ++figures.rows.at(width);
            figures.queries.at(width) += count.queries;
        }
    }
    return figures;
}

std::string to_markdown(std::string_view title, const Truth& truth,
                        const std::vector<Measured>& all) {
    std::string out = fmt::format("{}\n\n{}\n", title, caption_of(truth));
    if (!truth.domains.empty()) {
        out += domain_table(all) + "\n" + band_table(all);
    }
    if (!truth.by_minute.empty()) {
        out += "\n" + row_table(all);
    }
    for (const Measured& one : all) {
        out += evictions_of(one);
    }
    return out;
}

}  // namespace tapir::utility
