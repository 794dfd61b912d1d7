#include "fate.hpp"

namespace tapir::edge {
namespace {

struct FateName {
    std::string_view group;
    std::string_view reason;
};

constexpr auto names = std::to_array<FateName>({
    {"dropped", "overload"},
    {"dropped", "row"},
    {"dropped", "name"},
    {"frame", "oversized"},
    {"frame", "truncated"},
    {"frame", "undecodable"},
    {"frame", "type_missing"},
    {"frame", "message_missing"},
    {"frame", "message_type_missing"},
    {"skipped", "query"},
    {"skipped", "other_response"},
    {"ignored", "client"},
    {"ignored", "client_unusable"},
    {"ignored", "name"},
    {"dns", "missing"},
    {"dns", "malformed"},
    {"dns", "no_question"},
    {"dns", "invalid_name"},
    {"counted", "well_known"},
    {"unlisted", "seen"},
    {"unlisted", "new"},
    {"withheld", "single_label"},
    {"withheld", "special_use"},
    {"withheld", "reverse"},
    {"withheld", "unlisted_suffix"},
    {"withheld", "is_suffix"},
    {"withheld", "other_class"},
    {"withheld", "client_absent"},
    {"withheld", "client_outside"},
    {"pending", "first_client"},
    {"pending", "waiting"},
    {"pending", "capped"},
    {"released", "now"},
    {"released", "before"},
});
static_assert(names.size() == fate_count);

}  // namespace

std::string_view group_of(Fate fate) {
    return names.at(static_cast<std::size_t>(fate)).group;
}

std::string_view to_string(Fate fate) {
    return names.at(static_cast<std::size_t>(fate)).reason;
}

void FateCounts::add(const FateCounts& other) {
    for (std::size_t i = 0; i < by_fate.size(); ++i) {
        by_fate.at(i) += other.by_fate.at(i);
    }
}

std::uint64_t FateCounts::sum() const {
    std::uint64_t all = 0;
    for (const std::uint64_t n : by_fate) {
        all += n;
    }
    return all;
}

}  // namespace tapir::edge
