// Whatever the old settings are, they are understood or refused with a reason, and what comes out
// is read by our own table. Lines after a line "--" are arguments, those with '=' before it and
// the prefix are environment.
#include <string>
#include <vector>

#include "migrate_source.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/edge/migrate.hpp"
#include "tapir/edge/settings.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tapir::edge;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    constexpr std::string_view mark = "\n--\n";
    const std::size_t end = input.find(mark);
    OldConfiguration old{.toml = input.substr(0, end), .file = "old.toml"};
    std::string_view rest =
        end == std::string_view::npos ? std::string_view() : input.substr(end + mark.size());
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        if (line.starts_with(old_environment_prefix) && line.find('=') != line.npos) {
            old.environment.emplace_back(line.substr(0, line.find('=')),
                                         line.substr(line.find('=') + 1));
        } else {
            old.arguments.emplace_back(line);
        }
    }
    const Migration migration = migrate(old);
    TAPIR_ASSERT(migration.is_understood() == !migration.settings.empty());
    if (migration.is_understood()) {
        const auto again =
            tapir::text::Settings::parse(migration.settings, "new", settings_table());
        TAPIR_ASSERT(again.has_value());
    }
    return 0;
}
