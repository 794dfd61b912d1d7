// Any file and any override is read or refused with a place; what is read, is read again the same.
#include "tapir/text/settings.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tapir::text;
    static const SettingTable table{
        Setting::integer("release.k", 10, 2, 1000, "", "x"),
        Setting::duration("t", std::chrono::seconds(1), tapir::Duration(0), std::chrono::hours(9),
                          "x"),
        Setting::size("a.b.size", 1, 0, 1 << 30, "x"),
        Setting::strings("list", {}, "x"),
        Setting::map("map", "x"),
        Setting::string("s", "", "x"),
        Setting::tables("row",
                        {Setting::integer("port", 0, 0, 65'535, "", "x"),
                         Setting::strings("list", {}, "x"), Setting::map("map", "x")},
                        "x"),
    };
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::vector<std::string> words{std::string(text.substr(0, text.find('\n')))};
    for (const auto& settings :
         {Settings::parse(text, "f", table), Settings::parse("", "f", table, words)}) {
        if (settings) {
            const auto canonical = settings->to_canonical();
            const auto again = Settings::parse(canonical, "f", table);
            TAPIR_ASSERT(again && again->to_canonical() == canonical);
        } else {
            TAPIR_ASSERT(settings.error().what().starts_with("f:") ||
                         settings.error().what().starts_with("--set:"));
        }
    }
    return 0;
}
