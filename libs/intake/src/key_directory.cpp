#include "tapir/intake/key_directory.hpp"

#include <utility>

namespace tapir::intake {

namespace {

Result<jose::Jwk> read_key(world::Files& files, const std::string& directory,
                           const std::string& name) {
    const Bytes content = TRY(files.read(directory + "/" + name, jose::jwk_size_max));
    return jose::key_from_file(name, as_text(content));
}

}  // namespace

KeyDirectory::KeyDirectory(world::Files& files, std::string directory, const Log& log,
                           Counters& counters)
    : files_(files),
      directory_(std::move(directory)),
      log_(log),
      bad_files_(counters.counter("tapir_core_key_files_bad_total",
                                  "Files in the key directory that hold no usable key.")),
      count_(counters.gauge("tapir_core_edge_keys", "Edges whose key is known.")),
      keys_(std::make_shared<const jose::KeySet>()) {}

Result<void> KeyDirectory::refresh() {
    const std::lock_guard lock(refreshing_);
    const auto entries = TRY(files_.list(directory_));
    auto keys = std::make_shared<jose::KeySet>();
    std::map<std::string, std::string> faults;
    for (const auto& entry : entries) {
        const bool is_key = entry.name.ends_with(".jwk") || entry.name.ends_with(".pem");
        if (entry.is_directory || !is_key || entry.name.front() == '.') {
            continue;
        }
        // Read the whole folder each time: a key that was replaced must count at once.
        const auto added =
            read_key(files_, directory_, entry.name).and_then([&](const jose::Jwk& key) {
                return keys->add(key);
            });
        if (added) {
            continue;
        }
        const std::string& fault = faults[entry.name] = added.error().what();
        const auto known = faults_.find(entry.name);
        if (known == faults_.end() || known->second != fault) {
            bad_files_.add();
            log_.warn("keys", "a file in the key directory is left out",
                      {{"file", entry.name}, {"reason", fault}});
        }
    }
    faults_ = std::move(faults);
    count_.set(static_cast<std::int64_t>(keys->size()));
    keys_.with([&](auto& current) { current = std::move(keys); });
    return {};
}

std::shared_ptr<const jose::KeySet> KeyDirectory::current() const {
    return keys_.with([](const auto& current) { return current; });
}

}  // namespace tapir::intake
