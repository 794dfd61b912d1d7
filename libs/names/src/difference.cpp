#include "tapir/names/difference.hpp"

namespace tapir::names {
namespace {

// Tells `missing` of each entry of `of` that is not in `in`: how many there are.
std::size_t missing_of(const NameIndex& of, const NameIndex& in,
                       const std::function<void(const Entry&)>& missing) {
    std::size_t count = 0;
    dns::FoldedName folded;
    for (std::uint32_t id = 0; id < of.size(); ++id) {
        const Entry entry = of.entry(EntryId{id});
        folded.assign(entry.name);
        if (!in.find_entry(folded, entry.kind)) {
            ++count;
            missing(entry);
        }
    }
    return count;
}

}  // namespace

Difference difference(const NameIndex& before, const NameIndex& after,
                      const std::function<void(Change, const Entry&)>& show) {
    const auto tell = [&show](Change how) {
        return [&show, how](const Entry& entry) {
            if (show) {
                show(how, entry);
            }
        };
    };
    Difference out;
    if (before.digest() == after.digest() && before.size() == after.size()) {
        out.kept = before.size();  // the same octets
        return out;
    }
    out.removed = missing_of(before, after, tell(Change::removed));
    out.added = missing_of(after, before, tell(Change::added));
    out.kept = before.size() - out.removed;
    return out;
}

}  // namespace tapir::names
