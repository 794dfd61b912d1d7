#include "tapir/rpz/action.hpp"

#include <algorithm>
#include <charconv>

#include "tapir/base/assert.hpp"

namespace tapir::rpz {
namespace {

using namespace std::string_view_literals;

struct Row {
    Action action;
    std::string_view word;
    std::string_view text;  // the CNAME's target
    std::string_view wire;
};

constexpr std::array rows{
    Row{Action::none, "none", "", ""},
    Row{Action::passthru, "passthru", "rpz-passthru.", "\x0crpz-passthru\0"sv},
    Row{Action::tcp_only, "tcp-only", "rpz-tcp-only.", "\x0crpz-tcp-only\0"sv},
    Row{Action::nodata, "nodata", "*.", "\x01*\0"sv},
    Row{Action::nxdomain, "nxdomain", ".", "\0"sv},
    Row{Action::drop, "drop", "rpz-drop.", "\x08rpz-drop\0"sv},
};

const Row& row(Action action) {
    const auto index = static_cast<std::size_t>(action);
    TAPIR_ASSERT(index < rows.size() && rows[index].action == action);
    return rows[index];
}

std::string folded(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

struct Tag {
    unsigned bit;
    std::string_view core;
    std::string_view processor;
};
constexpr std::array tags{
    Tag{0, "globally_new", "newname"},
    Tag{1, "", "highvolume"},
    Tag{2, "newly_registered", "badip"},
    Tag{3, "registry_investigation", "cdntracker"},
    Tag{4, "", "likelymalware"},
    Tag{5, "", "likelybotnetcc"},
    Tag{6, "", "foo"},
    Tag{7, "", "bar"},
    Tag{8, "", "baz"},
    Tag{9, "", "gazonk"},
    Tag{10, "looptest", "frotz"},
};

}  // namespace

std::string_view to_string(Action action) {
    return row(action).word;
}

std::optional<Action> parse_action(std::string_view text) {
    const std::string word = folded(text);
    const auto* found = std::ranges::find(rows, std::string_view(word), &Row::word);
    return found == rows.end() ? std::nullopt : std::optional(found->action);
}

ByteView target_wire(Action action) {
    TAPIR_ASSERT(action != Action::none);
    return as_bytes(row(action).wire);
}

std::string_view target_text(Action action) {
    TAPIR_ASSERT(action != Action::none);
    return row(action).text;
}

std::optional<Action> action_of_target(ByteView rdata) {
    if (rdata.empty()) {
        return std::nullopt;
    }
    const std::string wire = folded(as_text(rdata));
    const auto* found = std::ranges::find(rows, std::string_view(wire), &Row::wire);
    return found == rows.end() ? std::nullopt : std::optional(found->action);
}

std::optional<unsigned> tag_bit(std::string_view name) {
    const std::string word = folded(name);
    for (const Tag& tag : tags) {
        if (!word.empty() && (word == tag.core || word == tag.processor)) {
            return tag.bit;
        }
    }
    unsigned bit = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), bit);
    if (error != std::errc() || end != word.data() + word.size() || bit >= tag_count) {
        return std::nullopt;
    }
    return bit;
}

std::string tag_name(unsigned bit) {
    if (bit < tags.size()) {
        return std::string(tags[bit].core.empty() ? tags[bit].processor : tags[bit].core);
    }
    return std::to_string(bit);
}

}  // namespace tapir::rpz
