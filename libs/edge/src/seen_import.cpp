#include "seen_import.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "lists.hpp"
#include "tapir/names/list.hpp"
#include "tapir/privacy/form.hpp"

namespace tapir::edge {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t read_size = 1U << 20U;  // octets of text at a time
constexpr std::size_t lines_at_once = 20'000;
constexpr std::size_t lines_a_second = 20'000;  // live
constexpr std::size_t shown_max = 80;           // octets of a bad line in a report
constexpr Duration look_every = 10s;
constexpr std::string_view imported_suffix = ".imported";
constexpr std::string_view refused_suffix = ".refused";

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r";
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

std::string_view unquoted(std::string_view field) {
    field = trimmed(field);
    if (field.size() >= 2 && field.front() == '"' && field.back() == '"') {
        field = field.substr(1, field.size() - 2);
    }
    return field;
}

bool is_number(std::string_view field) {
    return !field.empty() && field.find_first_not_of("0123456789") == std::string_view::npos;
}

// Whether a file of the folder is a list that has not been looked at.
bool is_list(const world::DirectoryEntry& entry) {
    const std::string_view name = entry.name;
    return !entry.is_directory && !name.starts_with('.') && !name.ends_with(imported_suffix) &&
           !name.ends_with(refused_suffix) && !name.ends_with(".part") && !name.ends_with(".tmp") &&
           name.find(".tmp-") == std::string_view::npos;
}

std::string summary(const SeenReport& report) {
    std::string out = fmt::format("{} names, {} new marks, {} malformed lines", report.names,
                                  report.marked, report.malformed);
    if (report.malformed > 0) {
        out += "; the first: " + report.first_malformed;
    }
    return out;
}

}  // namespace

SeenImport::SeenImport(world::Files& files, std::string path, const dns::PublicSuffixes* suffixes,
                       Seen& seen)
    : files_(files), path_(std::move(path)), suffixes_(suffixes), seen_(seen) {}

Result<bool> SeenImport::step(std::size_t lines) {
    const bool goes_on =
        TRY(names::list_format_of(path_) == names::ListFormat::dawg ? step_dawg(lines)
                                                                    : step_text(lines));
    TRY(mark());
    return goes_on;
}

Result<void> SeenImport::mark() {
    std::ranges::sort(forms_);
    const auto same = std::ranges::unique(forms_);
    forms_.erase(same.begin(), same.end());
    report_.marked += TRY(seen_.import(forms_));
    forms_.clear();
    return {};
}

// More text, if there is any.
Result<bool> SeenImport::fill() {
    if (is_at_end_) {
        return false;
    }
    const Bytes octets = TRY(files_.read_at(path_, offset_, read_size));
    offset_ += octets.size();
    is_at_end_ = octets.size() < read_size;
    buffer_ += as_text(octets);
    return !octets.empty();
}

Result<bool> SeenImport::step_text(std::size_t lines) {
    std::size_t at = 0;  // in the buffer
    for (std::size_t i = 0; i < lines; ++i) {
        std::size_t end = buffer_.find('\n', at);
        if (end == std::string::npos && !is_at_end_) {
            if (buffer_.size() - at > names::list_line_size_max) {
                return fail(Code::invalid,
                            fmt::format("{}:{}: expected a line of at most {} octets", path_,
                                        line_ + 1, names::list_line_size_max));
            }
            buffer_.erase(0, std::exchange(at, 0));
            TRY(fill());
            end = buffer_.find('\n', at);
            if (end == std::string::npos && !is_at_end_) {
                continue;
            }
        }
        if (end == std::string::npos && at == buffer_.size()) {
            return false;
        }
        end = std::min(end, buffer_.size());
        ++line_;
        take_line(std::string_view(buffer_).substr(at, end - at));
        at = std::min(end + 1, buffer_.size());
    }
    buffer_.erase(0, at);
    return true;
}

void SeenImport::take_line(std::string_view line) {
    line = trimmed(line);
    if (line.empty() || line.front() == '#') {
        return;
    }
    if (names::list_format_of(path_) != names::ListFormat::csv) {
        take_name(line);
        return;
    }
    const std::size_t comma = line.find(',');
    if (comma == std::string_view::npos) {
        malformed("expected RANK,NAME");
        return;
    }
    if (line_ == 1 && !is_number(unquoted(line.substr(0, comma)))) {
        return;  // a header
    }
    const std::string_view rest = line.substr(comma + 1);
    take_name(unquoted(rest.substr(0, rest.find(','))));
}

void SeenImport::malformed(std::string_view what) {
    if (++report_.malformed == 1) {
        report_.first_malformed = fmt::format("{}:{}: {}", path_, line_, what);
    }
}

void SeenImport::take_name(std::string_view text) {
    const auto entry = names::parse_entry(text);
    if (!entry) {
        const std::string_view shown = text.substr(0, shown_max);
        const bool is_plain =
            std::ranges::all_of(shown, [](char c) { return c > ' ' && c < '\x7F'; });
        malformed(fmt::format("expected a name, got {}: {}", is_plain ? shown : "other octets",
                              dns::to_string(entry.error())));
        return;
    }
    ++report_.names;
    const dns::FoldedName name(entry->name);
    std::string as_it_is = dns::to_text(name.view(), dns::Case::lower);
    if (suffixes_ != nullptr) {
        if (const auto labels = privacy::registered_domain_of(name, *suffixes_)) {
            const std::string_view domain = dns::suffix_text(as_it_is, *labels);
            privacy::Ladder ladder(as_it_is, as_it_is.size() - domain.size());
            forms_.emplace_back(ladder.name());
            while (ladder.climb()) {
            }
            forms_.emplace_back(ladder.name());
        }
    }
    forms_.push_back(std::move(as_it_is));
}

Result<names::DawgReader*> SeenImport::dawg_words() {
    if (words_) {
        return &*words_;
    }
    octets_ = TRY(files_.read(path_, list_file_size_max));
    auto opened = names::Dawg::open(octets_);
    if (!opened) {
        return fail(std::move(opened).error().at(path_));
    }
    return &words_.emplace(dawg_.emplace(*opened));
}

Result<bool> SeenImport::step_dawg(std::size_t words) {
    names::DawgReader* const reader = TRY(dawg_words());
    for (std::size_t i = 0; i < words; ++i) {
        auto word = reader->next();
        if (!word) {
            return fail(std::move(word).error().at(path_));
        }
        const auto& found = *word;
        if (!found) {
            return false;
        }
        ++line_;
        take_name(*found);
    }
    return true;
}

SeenFolder::SeenFolder(world::Files& files, std::string folder, LoadSuffixes load, Seen& seen,
                       const Log& log)
    : files_(files), folder_(std::move(folder)), load_(std::move(load)), seen_(seen), log_(log) {}

void SeenFolder::tick(UtcTime now) {
    if (!import_) {
        if (looked_ && now >= *looked_ && now - *looked_ < look_every) {
            return;
        }
        looked_ = now;
        look();
    }
    if (import_) {
        if (const auto goes_on = import_->step(lines_a_second); !goes_on || !*goes_on) {
            finish(goes_on, summary(import_->report()));
        }
    }
}

void SeenFolder::look() {
    if (!files_.exists(folder_)) {
        return;
    }
    const auto found = files_.list(folder_);
    const auto list = found ? std::ranges::find_if(*found, is_list) : decltype(found->begin()){};
    if (!found || list == found->end()) {
        return;
    }
    auto suffixes = load_();
    if (!suffixes) {
        log_.error("seen", "lists cannot be imported without the public suffix list",
                   {{"reason", suffixes.error().what()}});
        return;
    }
    suffixes_.emplace(std::move(*suffixes));
    name_ = list->name;
    import_.emplace(files_, folder_ + "/" + name_, &*suffixes_, seen_);
    log_.info("seen", "a list of names is being imported", {{"list", name_}});
}

void SeenFolder::finish(const Result<bool>& result, const std::string& summary) {
    const std::string path = folder_ + "/" + name_;
    if (result) {
        log_.info("seen", "a list of names is imported", {{"list", name_}, {"result", summary}});
    } else {
        log_.error("seen", "a list of names is refused",
                   {{"list", name_}, {"reason", result.error().what()}, {"result", summary}});
    }
    const std::string_view suffix = result ? imported_suffix : refused_suffix;
    import_.reset();
    suffixes_.reset();
    if (auto renamed = files_.rename(path, path + std::string(suffix)); !renamed) {
        log_.error("seen", "an imported list cannot be renamed: it will be read again",
                   {{"list", name_}, {"reason", renamed.error().what()}});
    }
}

Result<std::string> import_seen(const text::Settings& settings,
                                const std::vector<std::string>& lists, UtcTime now,
                                world::Files& files, store::Store& store, const Log& log) {
    std::vector<ListFile> report;
    const std::string& suffix_path = settings.string("lists.public_suffixes");
    auto suffixes = load_suffixes(files, suffix_path, report);
    if (!suffixes) {
        return settings.refuse("lists.public_suffixes", "a readable file", suffixes.error().what());
    }
    Counters counters;
    Seen seen(store, seen_settings(settings), log, counters);
    seen.tidy(now);
    std::string out;
    for (const std::string& path : lists) {
        SeenImport import(files, path, &*suffixes, seen);
        while (TRY(import.step(lines_at_once))) {
        }
        out += fmt::format("{}: {}\n", path, summary(import.report()));
    }
    return out;
}

}  // namespace tapir::edge
