// What a daemon that runs makes of a settings file that has changed.
#include "tapir/base/assert.hpp"
#include "tapir/text/settings.hpp"

namespace tapir::text {

Setting Setting::reloadable() && {
    is_reloadable = true;
    return std::move(*this);
}

Settings Settings::reloaded(const Settings& newer, const SettingTable& table,
                            std::vector<std::string>& kept) const {
    Settings out = *this;
    for (const Setting& setting : table) {
        const auto from = newer.entries_.find(setting.key);
        const auto to = out.entries_.find(setting.key);
        if (from == newer.entries_.end() || to == out.entries_.end()) {
            continue;
        }
        if (setting.is_reloadable) {
            to->second = from->second;
        } else if (from->second.value != to->second.value) {
            kept.push_back(setting.key);
        }
    }
    return out;
}

}  // namespace tapir::text
