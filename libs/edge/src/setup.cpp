#include "setup.hpp"

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "group_link.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/crypto/digest.hpp"

namespace tapir::edge {
namespace {

// The settings that shape what leaves, of all that are in force. Where files lie and how many
// threads work makes no difference; what is in the lists is committed to by itself.
std::string shaping(std::string_view canonical) {
    std::string kept;
    while (!canonical.empty()) {
        const std::size_t end = std::min(canonical.find('\n'), canonical.size() - 1) + 1;
        const std::string_view line = canonical.substr(0, end);
        const bool is_kept =
            line.starts_with("client_networks") || line.starts_with("histogram.") ||
            line.starts_with("release.batch_s") || line.starts_with("release.profile") ||
            line.starts_with("single_site") || line.starts_with("threat_exception") ||
            line.starts_with("threats.pin");
        kept += is_kept ? line : std::string_view();
        canonical.remove_prefix(end);
    }
    return kept;
}

std::string without_threats(std::string_view shaping) {
    std::string kept;
    while (!shaping.empty()) {
        const std::size_t end = std::min(shaping.find('\n'), shaping.size() - 1) + 1;
        kept += shaping.starts_with("threat") ? std::string_view() : shaping.substr(0, end);
        shaping.remove_prefix(end);
    }
    return kept;
}

Result<names::NameIndex> names_at(world::Files& files, const text::Settings& settings,
                                  std::string_view key, std::string_view kind, NamesBefore before,
                                  std::vector<ListFile>& report) {
    auto index = load_names(files, settings.string(key), std::string(kind), before, report);
    if (!index) {
        return fail(at_setting(settings, key, std::move(index).error()));
    }
    return index;
}

// Where the operator has pinned the well-known list, no other is taken.
Result<void> check_pin(const text::Settings& settings, const Lists& lists) {
    const std::string& pin = settings.string("lists.pin");
    const ListFile* const file = lists.file("well_known");
    const std::string got = file == nullptr ? "no list" : file->sha256;
    if (!pin.empty() && pin != got) {
        return settings.refuse("lists.pin", fmt::format("lists.well_known of SHA-256 {}", pin),
                               got);
    }
    return {};
}

}  // namespace

Error at_setting(const text::Settings& settings, std::string_view key, Error error) {
    switch (error.code()) {
        case Code::not_found:
        case Code::denied:
        case Code::internal:
        case Code::exhausted:
            return settings.refuse(key, "a readable file", error.what()).error;
        default:
            return error;
    }
}

Result<std::shared_ptr<const Lists>> load_lists(world::Files& files, const text::Settings& settings,
                                                privacy::Profile profile, const Lists* before) {
    auto lists = std::make_shared<Lists>();
    const auto shared = [before](const names::NameIndex Lists::* index, std::string_view kind) {
        return before == nullptr
                   ? NamesBefore{}
                   : NamesBefore{.index = &(before->*index), .file = before->file(kind)};
    };
    lists->well_known = TRY(names_at(files, settings, "lists.well_known", "well_known",
                                     shared(&Lists::well_known, "well_known"), lists->files));
    TRY(check_pin(settings, *lists));
    lists->ignored_names =
        TRY(names_at(files, settings, "lists.ignored_names", "ignored_names",
                     shared(&Lists::ignored_names, "ignored_names"), lists->files));
    if (const std::string& path = settings.string("lists.ignored_clients"); !path.empty()) {
        auto set = load_networks(files, path, lists->files);
        if (!set) {
            return fail(at_setting(settings, "lists.ignored_clients", std::move(set).error()));
        }
        lists->ignored_clients = std::move(*set);
    }
    auto networks = client::NetworkSet::from_words(settings.strings("client_networks"));
    if (!networks) {
        return fail(std::move(networks).error().at(
            fmt::format("{}: client_networks", settings.place("client_networks"))));
    }
    lists->listeners = TRY(Listeners::from(settings));
    lists->client_networks = std::make_shared<const client::NetworkSet>(std::move(*networks));
    if (profile != privacy::Profile::compatible) {
        const std::string& path = settings.string("lists.public_suffixes");
        auto suffixes = load_suffixes(files, path, lists->files);
        if (!suffixes) {
            return fail(at_setting(settings, "lists.public_suffixes", std::move(suffixes).error()));
        }
        lists->suffixes = std::move(*suffixes);
    }
    const auto add_digests = [&lists = *lists](std::size_t from) {
        for (std::size_t i = from; i < lists.files.size(); ++i) {
            lists.digests += fmt::format("{} {}\n", lists.files[i].kind, lists.files[i].sha256);
        }
    };
    add_digests(0);
    lists->shaping = shaping(settings.to_canonical());
    lists->counting = lists->digests + without_threats(lists->shaping);
    if (profile != privacy::Profile::compatible) {
        const std::size_t others = lists->files.size();
        TRY(load_threats(files, settings, before, *lists));
        add_digests(others);
    }
    return std::shared_ptr<const Lists>(std::move(lists));
}

bool has_threat_exception(const text::Settings& settings, privacy::Profile profile) {
    return profile != privacy::Profile::compatible && settings.boolean("threat_exception");
}

void say_threat_exception(const Log& log) {
    log.warn("edge",
             "threat_exception is on: registered domains of suspects leave below their threshold");
}

bool has_hourly_sketches(const text::Settings& settings, privacy::Profile profile) {
    return profile == privacy::Profile::standard && settings.string("histogram.sketch") == "hourly";
}

privacy::Profile profile_of(const text::Settings& settings) {
    const auto profile = privacy::profile_named(settings.string("release.profile"));
    TAPIR_ASSERT(profile.has_value());
    return *profile;
}

std::size_t worker_count(const text::Settings& settings) {
    return static_cast<std::size_t>(settings.integer("workers"));
}

WorkerSettings worker_settings(const text::Settings& settings, privacy::Profile profile) {
    WorkerSettings worker;
    worker.profile = profile;
    worker.hll.explicit_threshold =
        profile == privacy::Profile::compatible
            ? static_cast<std::int32_t>(settings.integer("histogram.hll_explicit_threshold"))
            : static_cast<std::int32_t>(standard_explicit_threshold);
    worker.hourly_tags = has_hourly_sketches(settings, profile);
    return worker;
}

CollectorSettings collector_settings(const text::Settings& settings, privacy::Profile profile) {
    CollectorSettings collecting;
    collecting.gate.profile = profile;
    collecting.gate.single_site = settings.boolean("single_site");
    collecting.gate.hourly_sketches = has_hourly_sketches(settings, profile);
    collecting.interval_s = privacy::rule_for(privacy::Product::new_qname, profile).time_s;
    collecting.hll = worker_settings(settings, profile).hll;
    return collecting;
}

LeafContext leaf_context(const text::Settings& settings, privacy::Profile profile,
                         std::string version) {
    LeafContext context;
    context.profile = profile;
    context.single_site = settings.boolean("single_site");
    context.threat_exception = has_threat_exception(settings, profile);
    context.hourly_sketches = has_hourly_sketches(settings, profile);
    context.version = std::move(version);
    if (is_in_group(settings, profile)) {
        context.aggregator = settings.string("aggregation.url");
    }
    return context;
}

Result<jose::PrivateJwk> signing_key(world::Files& files, const text::Settings& settings,
                                     KeyFiles mode) {
    const std::string& path = settings.string("keys.signing");
    if (path.empty()) {
        return fail(settings.refuse("keys.signing", "the path of a JWK file", "nothing").error);
    }
    auto octets = mode == KeyFiles::guarded ? world::read_secret(files, path, key_file_size_max)
                                            : files.read(path, key_file_size_max);
    if (!octets) {
        return settings.refuse("keys.signing", "a readable key file", octets.error().what());
    }
    auto key = jose::PrivateJwk::parse(as_text(*octets));
    crypto::wipe(*octets);
    if (!key) {
        return fail(std::move(key).error().at(path));
    }
    return key;
}

Result<void> guarded_key_file(world::Files& files, const text::Settings& settings,
                              std::string_view key) {
    auto octets = world::read_secret(files, settings.string(key), key_file_size_max);
    if (!octets) {
        return settings.refuse(key, "a key file that others cannot read", octets.error().what());
    }
    // "PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY": which, the library finds out.
    const bool is_key = as_text(*octets).find("PRIVATE KEY-----") != std::string_view::npos;
    crypto::wipe(*octets);
    if (!is_key) {
        return settings.refuse(key, "a private key (PEM)", "something else");
    }
    return {};
}

jose::PrivateJwk public_test_signing_key() {
    const auto seed = crypto::sha256(as_bytes("tapir public test signing key, protects nothing"));
    auto key = crypto::SigningKey::from_seed(crypto::Secret::copy_of(seed));
    TAPIR_ASSERT(key.has_value());
    return {std::move(*key), "offline.invalid"};
}

client::DayKey public_test_day_key() {
    const auto octets = crypto::sha256(as_bytes("tapir public test day key, protects nothing"));
    return client::DayKey::from(octets);
}

Result<client::DayKey> day_key(world::Files& files, const text::Settings& settings) {
    const std::string& path = settings.string("keys.day");
    if (path.empty()) {
        return fail(Code::not_found, "keys.day is not set");
    }
    auto octets = files.read(path, key_file_size_max);
    if (!octets) {
        return settings.refuse("keys.day", "a readable file", octets.error().what());
    }
    std::string_view text = as_text(*octets);
    while (text.ends_with('\n') || text.ends_with('\r')) {
        text.remove_suffix(1);
    }
    auto key = crypto::parse_hex(text);
    crypto::wipe(*octets);
    if (!key || key->size() != client::day_key_size) {
        return settings.refuse("keys.day", "64 hexadecimal digits", "something else");
    }
    client::DayKey day =
        client::DayKey::from(std::span<const std::byte, client::day_key_size>(*key));
    crypto::wipe(*key);
    return day;
}

}  // namespace tapir::edge
