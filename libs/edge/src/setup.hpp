// From settings to what daemon and twin have in common: profile, lists, keys.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "batch_leaf.hpp"
#include "collector.hpp"
#include "lists.hpp"
#include "tapir/jose/jwk.hpp"
#include "tapir/text/settings.hpp"
#include "tapir/world/files.hpp"
#include "worker.hpp"

namespace tapir::edge {

inline constexpr std::uint32_t standard_explicit_threshold = 128;
inline constexpr std::size_t key_file_size_max = 65'536;  // octets

// Lists as the settings name them, and the client networks. Errors name file, line and setting.
Result<std::shared_ptr<const Lists>> load_lists(world::Files& files, const text::Settings& settings,
                                                privacy::Profile profile);

// The profile that is asked for.
privacy::Profile profile_of(const text::Settings& settings);
WorkerSettings worker_settings(const text::Settings& settings, privacy::Profile profile);
// As the twin has them; the live edge cuts its batches by the time of day.
CollectorSettings collector_settings(const text::Settings& settings, privacy::Profile profile);
LeafContext leaf_context(const text::Settings& settings, privacy::Profile profile,
                         const Lists& lists, std::string version);

// Whether key files must be readable by their owner alone.
enum class KeyFiles : std::uint8_t { guarded, as_they_are };
// The key that keys.signing names. Code::not_found if it names none.
Result<jose::PrivateJwk> signing_key(world::Files& files, const text::Settings& settings,
                                     KeyFiles mode);

// The fixed keys of the twin. They protect nothing: everybody has them.
jose::PrivateJwk public_test_signing_key();  // kid offline.invalid
client::DayKey public_test_day_key();
// The key that keys.day names. Code::not_found if it names none.
Result<client::DayKey> day_key(world::Files& files, const text::Settings& settings);

}  // namespace tapir::edge
