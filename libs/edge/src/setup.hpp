// From settings to what daemon and twin have in common: profile, lists, keys.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "batch_leaf.hpp"
#include "collector.hpp"
#include "lists.hpp"
#include "tapir/base/log.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"
#include "worker.hpp"

namespace tapir::edge {

inline constexpr std::uint32_t standard_explicit_threshold = 128;
inline constexpr std::size_t key_file_size_max = 65'536;  // octets

// Lists as the settings name them, and the client networks. Errors name file, line and setting.
// What has not changed since `before` is shared with it.
Result<std::shared_ptr<const Lists>> load_lists(world::Files& files, const text::Settings& settings,
                                                privacy::Profile profile,
                                                const Lists* before = nullptr);
// The settings that name a file of it.
inline constexpr std::array<std::string_view, 4> list_settings = {
    "lists.well_known", "lists.ignored_clients", "lists.ignored_names", "lists.public_suffixes"};

// An error of a file that a setting names, at the place of the setting. What the file itself has
// wrong already says where: file and line.
Error at_setting(const text::Settings& settings, std::string_view key, Error error);

// Whether each hour has tags of its own, and sketches of them leave (R5).
bool has_hourly_sketches(const text::Settings& settings, privacy::Profile profile);

// Whether suspects may be told of below their threshold (R7). Never under `compatible`, which looks
// for none.
bool has_threat_exception(const text::Settings& settings, privacy::Profile profile);
void say_threat_exception(const Log& log);  // that it is so

// The profile that is asked for.
privacy::Profile profile_of(const text::Settings& settings);
std::size_t worker_count(const text::Settings& settings);  // 0: whoever reads counts as well
WorkerSettings worker_settings(const text::Settings& settings, privacy::Profile profile);
// As the twin has them; the live edge cuts its batches by the time of day.
CollectorSettings collector_settings(const text::Settings& settings, privacy::Profile profile);
LeafContext leaf_context(const text::Settings& settings, privacy::Profile profile,
                         std::string version);

// Whether key files must be readable by their owner alone.
enum class KeyFiles : std::uint8_t { guarded, as_they_are };
// The key that keys.signing names. Code::not_found if it names none.
Result<jose::PrivateJwk> signing_key(world::Files& files, const text::Settings& settings,
                                     KeyFiles mode);

// Settings that name a private key (PEM) of this edge; a version may not have all of them.
inline constexpr std::array<std::string_view, 4> key_file_settings{
    "core.key", "mqtt.key", "input.tls_key", "aggregation.key"};
// Whether the private key that a setting names can be used: it is one, and only this user (and its
// group) can read it. The one rule for every private key; the error says place and remedy.
Result<void> guarded_key_file(world::Files& files, const text::Settings& settings,
                              std::string_view key);

// The fixed keys of the twin. They protect nothing: everybody has them.
jose::PrivateJwk public_test_signing_key();  // kid offline.invalid
client::DayKey public_test_day_key();
// The key that keys.day names. Code::not_found if it names none.
Result<client::DayKey> day_key(world::Files& files, const text::Settings& settings);

}  // namespace tapir::edge
