#include "session_leaf.hpp"

#include <chrono>

#include "lists.hpp"

namespace tapir::edge {

Result<BatchLeaf> session_leaf(const SessionStart& start, const LeafContext& context,
                               const Lists& lists, const SaltSource& salts) {
    BatchLeaf out;
    const std::string id = "sessions " + start.time.to_string();
    const auto commit = [&](std::string_view name, std::string_view content) {
        ledger::Opening opening{
            .name = std::string(name), .salt = salts(id, name), .commitment = {}};
        opening.commitment = ledger::commit(opening.salt, as_bytes(content));
        out.openings += opening.to_json() + "\n";
        return opening.commitment;
    };
    ledger::LeafBuilder leaf("sessions", start.time);
    leaf.set("profile", privacy::to_string(context.profile))
        .set("single_site", context.single_site)
        .set("software", context.version)
        .set("message", to_string(start.message))
        .set("age_max_s", std::chrono::duration_cast<std::chrono::seconds>(start.age_max).count())
        .commit("settings", commit("settings", lists.shaping))
        .commit("lists", commit("lists", lists.digests))
        .commit("pseudonym_key", commit("pseudonym_key", start.key_id));
    out.octets = TRY(leaf.build());
    return out;
}

}  // namespace tapir::edge
