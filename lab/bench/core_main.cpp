// Measures the core's own services; lab/bench/programs.py makes the table:
//
//     bench_core FOLDER CORE-PROGRAM
//
// FOLDER is for the state and is not there yet. CORE-PROGRAM is tapir-core: as its child uploads
// are opened. Prints one JSON object.
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "stopwatch.hpp"
#include "tapir/analysis/analysis.hpp"
#include "tapir/feeds/feeds.hpp"
#include "tapir/intake/intake.hpp"
#include "tapir/jose/http_signature.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/privacy/gate.hpp"
#include "tapir/products/new_qname.hpp"
#include "tapir/world/process.hpp"

namespace tapir::bench {
namespace {

constexpr std::size_t batches = 10;
constexpr std::size_t events_in_batch = 1000;
constexpr std::size_t uploads = 10;
constexpr std::size_t rows_in_upload = 5000;
const UtcTime start = UtcTime::from_seconds(1'790'000'040);

jose::PrivateJwk key_of(const std::string& kid, unsigned seed) {
    auto secret =
        crypto::Secret::copy_of(Bytes(crypto::ed25519_size, static_cast<std::byte>(seed)));
    return {*crypto::SigningKey::from_seed(std::move(secret)), kid};
}

net::HttpRequest signed_request(const jose::PrivateJwk& key, const std::string& path,
                                std::string_view type, ByteView body, std::string_view interval) {
    net::HttpRequest request;
    request.method = "POST";
    net::set_target(request, path);
    request.body = to_bytes(body);
    request.fields.add("Content-Type", type);
    request.fields.add("Content-Length", std::to_string(body.size()));
    request.fields.add("Content-Digest", jose::content_digest(request.body));
    if (!interval.empty()) {
        request.fields.add("Aggregate-Interval", interval);
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
                                              start, jose::Coverage::core);
    TAPIR_ASSERT(signature.has_value());
    request.fields.add("Signature-Input", signature->signature_input);
    request.fields.add("Signature", signature->signature);
    return request;
}

std::vector<net::HttpRequest> event_requests(const jose::PrivateJwk& edge) {
    std::vector<net::HttpRequest> requests;
    for (std::size_t batch = 0; batch < batches; ++batch) {
        std::vector<std::string> messages;
        for (std::size_t i = 0; i < events_in_batch; ++i) {
            const std::size_t number = batch * events_in_batch + i;
            const products::NewQname event{
                .qname = fmt::format("new-{}.example.com.", number),
                .qtype = 1,
                .flags = 33155,
                .timestamp = start,
                .message_id = fmt::format("00000000-0000-8000-8000-{:012}", number)};
            messages.push_back(*jose::sign_jws(edge, as_bytes(event.to_json())));
        }
        const std::string body = jose::join_batch(messages, 4096);
        requests.push_back(signed_request(edge, "/api/v1/event/new_qname", "application/jose+json",
                                          as_bytes(body), ""));
    }
    return requests;
}

// Histograms as an edge's gate lets them out.
Result<std::vector<net::HttpRequest>> upload_requests(const jose::PrivateJwk& edge) {
    std::vector<net::HttpRequest> requests;
    const std::array<std::byte, privacy::gate_key_size> octets{};
    const privacy::GateKey gate_key(octets);
    for (std::size_t i = 0; i < uploads; ++i) {
        const UtcTime begin = start + std::chrono::minutes(static_cast<std::int64_t>(i));
        std::vector<privacy::RowCandidate> rows;
        for (std::size_t n = 0; n < rows_in_upload; ++n) {
            privacy::RowCandidate row;
            row.entry = fmt::format("name-{}.example.", n);
            row.row.labels.at(0) = "example";
            row.row.labels.at(1) = fmt::format("name-{}", n);
            row.row.a_count = 100 + n + i;
            row.row.ok_count = 100 + n + i;
            row.row.v4client_count = 100 + n;
            row.v4_networks = 3;
            rows.push_back(std::move(row));
        }
        const auto released = TRY(privacy::release_histogram(
            {}, {.start = begin, .stop = begin + std::chrono::minutes(1)}, rows, gate_key));
        if (!released.payload) {
            return fail(Code::internal, "the gate let no histogram out");
        }
        requests.push_back(
            signed_request(edge, "/api/v1/aggregate/histogram", "application/vnd.apache.parquet",
                           released.payload->value().octets, begin.to_string() + "/PT1M"));
    }
    return requests;
}

// A core on a real disk, without its sockets.
struct Core {
    world::ManualClock clock{start};
    world::SystemFiles files;
    Counters counters;
    Log log = Log::to_nowhere();
    bus::MemoryBus bus{counters};
    world::SystemChildren children;
    std::unique_ptr<lake::DirectoryLake> lake;
    std::unique_ptr<store::Store> store;
    std::unique_ptr<intake::KeyDirectory> keys;
    std::unique_ptr<intake::Intake> intake;
    std::unique_ptr<analysis::Analysis> analysis;
    std::unique_ptr<feeds::Feeds> feeds;

    Result<void> open(const std::string& folder, const std::string& program,
                      const jose::PrivateJwk& edge) {
        for (const char* name : {"/lake", "/keys", "/intake"}) {
            TRY(files.make_directories(folder + name));
        }
        TRY(files.write_atomically(folder + "/keys/" + edge.kid() + ".jwk",
                                   as_bytes(edge.public_jwk().to_json())));
        keys = std::make_unique<intake::KeyDirectory>(files, folder + "/keys", log, counters);
        TRY(keys->refresh());
        lake = std::make_unique<lake::DirectoryLake>(
            files, children,
            lake::DirectoryLakeOptions{.directory = folder + "/lake", .program = program});
        auto families = intake::store_families();
        for (const auto& more : {analysis::store_families(), feeds::store_families()}) {
            families.insert(families.end(), more.begin(), more.end());
        }
        store = TRY(store::open_rocksdb(folder + "/store", families));
        intake = std::make_unique<intake::Intake>(
            intake::IntakeSettings{.directory = folder + "/intake"},
            intake::IntakeParts{*store, files, clock, *keys, bus, *lake, log, counters});
        std::vector<std::unique_ptr<analysis::Analyser>> analysers;
        analysers.push_back(TRY(analysis::globally_new({})));
        analysis = std::make_unique<analysis::Analysis>(
            analysis::AnalysisSettings{}, std::move(analysers),
            analysis::AnalysisParts{*store, clock, bus, log, counters});
        feeds = std::make_unique<feeds::Feeds>(feeds::FeedSettings{}, key_of("core-1", 8),
                                               feeds::FeedParts{*store, clock, bus, log, counters});
        TRY(feeds->open());
        TRY(analysis->open());
        return intake->open();
    }
};

std::size_t observations_in(Core& core) {
    net::HttpRequest request;
    request.method = "GET";
    net::set_target(request, "/api/v1/observations");
    const auto body = core.feeds->snapshot(request).body;
    std::size_t count = 0;
    for (std::size_t at = as_text(body).find("\"payload\""); at != std::string_view::npos;
         at = as_text(body).find("\"payload\"", at + 1)) {
        ++count;
    }
    return count;
}

Result<std::string> measure(const std::string& folder, const std::string& program) {
    const jose::PrivateJwk edge = key_of("edge-1.example", 1);
    Core core;
    TRY(core.open(folder, program, edge));
    const auto events = event_requests(edge);
    const auto histograms = TRY(upload_requests(edge));
    constexpr std::size_t event_count = batches * events_in_batch;

    const Times t0 = now();
    for (const auto& request : events) {
        if (const auto answer = core.intake->events(request); answer.status != 202) {
            return fail(Code::internal,
                        fmt::format("events: status {}: {}", answer.status, as_text(answer.body)));
        }
    }
    const Times t1 = now();
    // The bus holds back who is too fast, so the three take turns. To look whether they are done is
    // not their work.
    double following_cpu_s = 0;
    for (std::size_t turn = 0; turn < 2 * event_count && observations_in(core) < event_count;
         ++turn) {
        const Times begun = now();
        for (std::size_t i = 0; i < 50; ++i) {
            core.intake->publish();
            core.analysis->work(Duration(0));
            core.feeds->work(Duration(0));
        }
        following_cpu_s += (now() - begun).cpu_s;
    }
    const std::size_t observed = observations_in(core);
    if (observed != event_count) {
        return fail(Code::internal,
                    fmt::format("{} events made {} observations", event_count, observed));
    }
    const Times t3 = now();
    for (const auto& request : histograms) {
        if (const auto answer = core.intake->aggregate(request); answer.status != 201) {
            return fail(Code::internal, fmt::format("aggregate: status {}: {}", answer.status,
                                                    as_text(answer.body)));
        }
    }
    const Times t4 = now();
    while (core.intake->seal()) {
    }
    const Times t5 = now();
    const auto rows = TRY(core.lake->query("SELECT count(*) FROM histogram"));
    if (rows.rows.at(0).at(0) != std::to_string(uploads * rows_in_upload)) {
        return fail(Code::internal, "not all rows are in the lake");
    }
    const auto per_s = [](std::size_t count, double seconds) {
        return static_cast<double>(count) / seconds;
    };
    return fmt::format(
        "{{\"events\": {}, \"events_kept_per_cpu_s\": {:.0f}, \"events_kept_per_s\": {:.0f}, "
        "\"analysis_and_feeds_us_per_event\": {:.1f}, \"uploads\": {}, \"rows_in_upload\": {}, "
        "\"uploads_taken_per_s\": {:.1f}, \"uploads_sealed_per_s\": {:.1f}, "
        "\"rows_sealed_per_s\": {:.0f}}}",
        event_count, per_s(event_count, (t1 - t0).cpu_s), per_s(event_count, (t1 - t0).wall_s),
        following_cpu_s / event_count * 1e6, uploads, rows_in_upload,
        per_s(uploads, (t4 - t3).wall_s), per_s(uploads, (t5 - t4).wall_s),
        per_s(uploads * rows_in_upload, (t5 - t4).wall_s));
}

}  // namespace
}  // namespace tapir::bench

int main(int count, char** words) {
    if (count != 3) {
        std::fputs("usage: bench_core FOLDER CORE-PROGRAM\n", stderr);
        return 2;
    }
    const auto line = tapir::bench::measure(words[1], words[2]);
    if (!line) {
        std::fprintf(stderr, "bench_core: %s\n", line.error().what().c_str());
        return 1;
    }
    std::puts(line->c_str());
    return 0;
}
