// For tests: an Intake on simulated ports, and an edge that signs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "journal.hpp"
#include "tapir/intake/intake.hpp"
#include "tapir/jose/http_signature.hpp"
#include "tapir/jose/jws.hpp"

namespace tapir::intake {

inline jose::PrivateJwk test_key(const std::string& kid, int seed) {
    const Bytes octets(crypto::ed25519_size, static_cast<std::byte>(seed));
    auto key = crypto::SigningKey::from_seed(crypto::Secret::copy_of(octets));
    return {*std::move(key), kid};
}

// The request as a server hands it over, signed by `key`.
inline net::HttpRequest signed_request(const jose::PrivateJwk& key, UtcTime created,
                                       const std::string& path, std::string_view type,
                                       std::string_view body,
                                       const std::vector<net::HttpField>& more = {}) {
    net::HttpRequest request;
    request.method = "POST";
    net::set_target(request, path);
    request.body = to_bytes(body);
    request.fields.add("Content-Type", type);
    request.fields.add("Content-Length", std::to_string(body.size()));
    request.fields.add("Content-Digest", jose::content_digest(request.body));
    for (const auto& field : more) {
        request.fields.add(field.name, field.value);
    }
    std::vector<jose::FieldView> views;
    for (const auto& field : request.fields) {
        views.push_back({field.name, field.value});
    }
    const auto signature = jose::sign_request(key,
                                              {.method = request.method,
                                               .path = request.path,
                                               .query = request.query,
                                               .fields = views,
                                               .body = request.body},
                                              created, jose::Coverage::core);
    TAPIR_ASSERT(signature.has_value());
    request.fields.add("Signature-Input", signature->signature_input);
    request.fields.add("Signature", signature->signature);
    return request;
}

// What of an Intake survives a crash, and the rest around it.
struct Bench {
    Bench() { keys_are("edges", {}); }

    // Puts these keys into the directory and reads it.
    void keys_are(const std::string& directory, const std::vector<const jose::PrivateJwk*>& edges) {
        TAPIR_ASSERT(files.make_directories(directory).has_value());
        for (const auto* edge : edges) {
            const std::string json = edge->public_jwk().to_json();
            TAPIR_ASSERT(
                files.write_atomically(directory + "/" + edge->kid() + ".jwk", as_bytes(json))
                    .has_value());
        }
        TAPIR_ASSERT(keys.refresh().has_value());
    }

    // Begins anew on what is on the disk, as after kill -9.
    void restart() {
        intake.reset();
        intake = std::make_unique<Intake>(
            settings, IntakeParts{*store, files, clock, keys, bus, lake, log, counters});
        TAPIR_ASSERT(intake->open().has_value());
    }

    std::int64_t events(const std::string& outcome) const {
        return counters.value("tapir_core_events_total{" + outcome + "}");
    }
    std::int64_t aggregates(const std::string& outcome) const {
        return counters.value("tapir_core_aggregates_total{" + outcome + "}");
    }

    world::ManualClock clock{UtcTime::from_seconds(1'780'000'000)};
    world::MemoryFiles files;
    std::unique_ptr<store::Store> store = store::open_memory(store_families());
    Counters counters;
    std::string logged;
    Log log = Log::to_string(logged);
    bus::MemoryBus bus{counters};
    lake::MemoryLake lake;
    KeyDirectory keys{files, "edges", log, counters};
    IntakeSettings settings{.directory = "state"};
    std::unique_ptr<Intake> intake;
};

}  // namespace tapir::intake
