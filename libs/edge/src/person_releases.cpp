#include "person_releases.hpp"

#include <utility>

#include <fmt/format.h>

namespace tapir::edge {
namespace {

constexpr std::string_view suffix = ".json";
constexpr world::FileMode folder_mode = 0700;

}  // namespace

PersonReleases::PersonReleases(world::Files& files, std::string folder, Seen& seen, const Log& log,
                               Counters& counters)
    : files_(files),
      folder_(std::move(folder)),
      seen_(seen),
      log_(log),
      done_(counters.counter("tapir_edge_person_releases_total",
                             "Names that a person asked to release, by outcome.",
                             {{"outcome", "done"}})),
      refused_(counters.counter("tapir_edge_person_releases_total",
                                "Names that a person asked to release, by outcome.",
                                {{"outcome", "refused"}})) {
    // Its own, so that it may put aside what somebody else has written there.
    if (const auto made = files_.make_directories(folder_, folder_mode); !made) {
        log_.warn("release", "nobody can ask to release a name: the folder cannot be made",
                  {{"folder", folder_}, {"reason", made.error().what()}});
    }
}

std::vector<PersonRelease> PersonReleases::poll(const dns::PublicSuffixes& suffixes, UtcTime now) {
    std::vector<PersonRelease> out;
    const auto entries = files_.list(folder_);
    if (!entries) {
        return out;  // nobody has asked for anything
    }
    std::size_t looked_at = 0;
    for (const world::DirectoryEntry& entry : *entries) {
        if (!entry.is_directory && entry.name.ends_with(suffix) &&
            ++looked_at <= person_requests_max) {
            look_at(entry.name, suffixes, now, out);
        }
    }
    return out;
}

void PersonReleases::look_at(const std::string& file, const dns::PublicSuffixes& suffixes,
                             UtcTime now, std::vector<PersonRelease>& out) {
    Request request{.file = file, .content = text::Json::object({})};
    const auto octets = files_.read(fmt::format("{}/{}", folder_, file), person_request_size_max);
    if (!octets) {
        answer(request, "refused", octets.error().what(), now);
        return;
    }
    auto json = text::Json::parse(as_text(*octets));
    if (!json) {
        answer(request, "refused", json.error().what(), now);
        return;
    }
    request.content = *std::move(json);
    const auto name = request.content.string("name");
    const auto why = request.content.string("why");
    const auto by = request.content.string("by");
    if (!name || !why || !by || why->empty()) {
        answer(request, "refused", "expected the members by, name and why, as text", now);
        return;
    }
    auto released = privacy::release_by_person(*name, suffixes);
    if (!released) {
        answer(request, "refused", released.error().what(), now);
        return;
    }
    const std::string known_as = released->value().qname;
    switch (seen_.state_of(known_as)) {
        case Seen::State::kept:
            answer(request, "done",
                   under_way_.erase(known_as) != 0 ? "it left" : "it had left before", now);
            return;
        case Seen::State::under_way:
            return;
        case Seen::State::unknown:
            break;
    }
    // It was never asked for, or its batch was lost.
    seen_.add(known_as);
    under_way_.insert(known_as);
    out.push_back(
        {.name = *std::move(released),
         .account =
             text::Json::object({{"by", *by}, {"name", known_as}, {"why", *why}}).to_canonical()});
}

void PersonReleases::answer(const Request& request, std::string_view folder,
                            std::string_view outcome, UtcTime now) {
    const bool is_done = folder == "done";
    const bool is_first = answered_.insert(request.file).second;
    text::Json content = request.content;
    content.set("outcome", outcome);
    content.set("time", now.second().to_string());
    if (is_first) {
        (is_done ? done_ : refused_).add();
        log_.info("release", is_done ? "a name was released by a person" : "a request was refused",
                  {{"request", request.file}, {"outcome", outcome}});
    }
    const std::string to = fmt::format("{}/{}", folder_, folder);
    const auto moved = [&]() -> Result<void> {
        TRY(files_.make_directories(to));
        TRY(files_.write_atomically(fmt::format("{}/{}", to, request.file),
                                    as_bytes(content.to_pretty() + "\n"), world::mode_private));
        return files_.remove(fmt::format("{}/{}", folder_, request.file));
    }();
    if (moved) {
        answered_.erase(request.file);
    } else if (is_first) {
        log_.error("release", "a request cannot be put aside and will be seen again",
                   {{"request", request.file}, {"reason", moved.error().what()}});
    }
}

}  // namespace tapir::edge
