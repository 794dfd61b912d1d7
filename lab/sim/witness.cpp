#include "witness.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "pages.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/lake/lake.hpp"
#include "tapir/ledger/log.hpp"
#include "tapir/products/histogram.hpp"
#include "tapir/products/new_qname.hpp"
#include "tapir/rpz/trigger.hpp"
#include "tapir/text/json.hpp"

namespace tapir::sim {
namespace {

constexpr std::string_view state = "/edge";
constexpr std::size_t size_max = 64U << 20U;
constexpr std::size_t broken_max = 20;
constexpr std::string_view parquet_magic = "PAR1";
constexpr std::array<std::string_view, 2> targets = {"/api/v1/aggregate/histogram",
                                                     "/api/v1/event/new_qname"};

std::string folder_of(std::uint64_t index) {
    return fmt::format("{}/batches/{:010}", state, index);
}

std::string digest_of(ByteView octets) {
    return to_hex(crypto::sha256(octets));
}

// One name, whoever wrote it.
std::string plain(std::string_view name) {
    std::string out(name);
    if (out.ends_with('.')) {
        out.pop_back();
    }
    return out;
}

// Whether `octets` is the payload, or one event of it.
bool is_piece(std::string_view octets, bool is_event, std::string_view payload) {
    if (!is_event) {
        return octets == payload;
    }
    const auto events = jose::split_batch(payload);
    return events && std::ranges::find(*events, octets) != events->end();
}

// Of what the core's journal knows: its place in the lake.
Result<std::string> path_of(const text::Json& aggregate) {
    lake::UploadInfo info;
    info.edge = TRY(aggregate.string("creator"));
    const std::string start = TRY(aggregate.string("aggregate_interval_start"));
    info.start = TRY(UtcTime::parse(start));
    info.length_s = TRY(aggregate.integer("aggregate_interval_duration"));
    info.digest = TRY(aggregate.string("content_sha256"));
    return lake::path_of(info);
}

std::string zone_text(const rpz::Zone& zone) {
    std::string out;
    auto cursor = zone.begin();
    while (const auto record = cursor.next()) {
        out += record->key;
        out += static_cast<char>(record->action);
    }
    return out;
}

}  // namespace

Figures& Figures::operator+=(const Figures& other) {
    batches += other.batches;
    histograms += other.histograms;
    rows += other.rows;
    events += other.events;
    observations += other.observations;
    messages += other.messages;
    serials += other.serials;
    edges_alone += other.edges_alone;
    return *this;
}

Witness::Witness(const Traffic& traffic, world::Files& edge_disk, const jose::PrivateJwk& edge_key,
                 const jose::PrivateJwk& core_key)
    : traffic_(traffic),
      edge_disk_(edge_disk),
      edge_key_(edge_key),
      core_key_(core_key),
      verifier_{.origin = edge_key.kid() + "/ledger", .key = edge_key.key().public_key()} {}

std::uint64_t Witness::memory_size() const {
    constexpr std::uint64_t node_size = 150;  // octets: a node of a map, and what malloc adds
    std::uint64_t size = checkpoints_.size() * node_size;
    const auto add = [&size](const auto&... texts) {
        size += node_size + (0 + ... + texts.capacity());
    };
    for (const auto& [text, payload] : payloads_) {
        add(text, payload.value_or(std::string()));
    }
    for (const auto* map : {&by_id_, &id_of_, &text_of_, &lake_}) {
        for (const auto& [key, value] : *map) {
            add(key, value);
        }
    }
    for (const auto& [identity, number] : sequences_) {
        add(identity);
    }
    for (const auto& [serial, zone] : zones_) {
        add(zone);
    }
    for (const auto* set : {&expected_.histograms, &expected_.identities, &expected_.names,
                            &expected_.listed, &unnoted_}) {
        for (const std::string& text : *set) {
            add(text);
        }
    }
    return size;
}

void Witness::breaks(int invariant, const std::string& what) {
    if (broken_.size() < broken_max) {
        broken_.push_back(fmt::format("invariant {}: {}", invariant, what));
    }
}

Result<Bytes> Witness::ledger_file(std::string_view path) const {
    return edge_disk_.read(fmt::format("{}/ledger/{}", state, path), size_max);
}

std::optional<std::string> Witness::payload_of(std::string_view text, const jose::PrivateJwk& key) {
    if (const auto known = payloads_.find(text); known != payloads_.end()) {
        return known->second;
    }
    const auto jws = jose::UnverifiedJws::parse(text);
    const auto good = jws ? jws->verify(key.public_jwk()) : fail(jose::JwsError::malformed);
    auto payload = good ? std::optional<std::string>(good->payload_text()) : std::nullopt;
    return payloads_.emplace(text, std::move(payload)).first->second;
}

Result<ledger::Leaf> Witness::leaf(std::uint64_t index) const {
    const std::uint64_t size = ledger_size();
    if (index >= size) {
        return fail(Code::not_found, "no such leaf");
    }
    const std::uint64_t bundle = index / ledger::tile_width;
    const bool is_full = (bundle + 1) * ledger::tile_width <= size;
    const auto width =
        is_full ? ledger::tile_width : static_cast<std::size_t>(size % ledger::tile_width);
    const Bytes octets = TRY(ledger_file(ledger::entries_path(bundle, width)));
    const auto leaves = TRY(ledger::split_bundle(octets));
    return ledger::Leaf::parse(leaves.at(index % ledger::tile_width));
}

// Whether a payload of the batch is this, or has it as one of its events, and the leaf commits to
// that payload.
bool Witness::is_committed(ByteView octets, Piece piece, std::uint64_t index) {
    const auto known = leaf(index);
    const auto openings = edge_disk_.read(folder_of(index) + "/openings.jsonl", size_max);
    if (!known || !openings) {
        return false;
    }
    for (const ledger::LeafPayload& payload : known->payloads) {
        const auto content = edge_disk_.read(fmt::format("{}/{}", state, payload.name), size_max);
        if (!content || !is_piece(as_text(octets), piece == Piece::event, as_text(*content))) {
            continue;
        }
        std::string_view lines = as_text(*openings);
        while (!lines.empty()) {
            const std::size_t end = std::min(lines.find('\n'), lines.size() - 1) + 1;
            const auto opening = ledger::Opening::parse(lines.substr(0, end - 1));
            lines.remove_prefix(end);
            if (opening && opening->commitment == payload.commitment &&
                ledger::verify_commitment(payload.commitment, opening->salt, *content)) {
                return true;
            }
        }
    }
    return false;
}

void Witness::look_for_secrets(std::string_view octets) {
    if (const auto secret = traffic_.secret_in(octets)) {
        breaks(3, fmt::format("'{}' left the edge", *secret));
    }
}

// All that can be read from octets that leave: what is packed and what is encoded too.
void Witness::look_into(ByteView octets) {
    look_for_secrets(as_text(octets));
    if (as_text(octets).starts_with(parquet_magic)) {
        if (const auto plain = unpacked(octets)) {
            look_for_secrets(*plain);
        } else {
            breaks(3, "a histogram left the edge that cannot be looked into");
        }
        return;
    }
    if (const auto messages = jose::split_batch(as_text(octets))) {
        for (const std::string_view message : *messages) {
            if (const auto payload = payload_of(message, edge_key_)) {
                look_for_secrets(*payload);
            }
        }
    }
}

void Witness::left_edge(const net::HttpRequest& request) {
    if (request.method != "POST" || std::ranges::find(targets, request.target) == targets.end()) {
        breaks(3, fmt::format("'{} {}' left the edge", request.method, request.target));
    }
    look_for_secrets(request.target);
    for (const net::HttpField& field : request.fields) {
        look_for_secrets(field.name);
        look_for_secrets(field.value);
    }
    look_into(request.body);
    expect_committed(request.body, Piece::payload);
}

void Witness::left_edge(const mqtt::Message& message) {
    if (message.topic != fmt::format("events/up/{}/new_qname", edge_key_.kid())) {
        breaks(3, fmt::format("a message left the edge under '{}'", message.topic));
    }
    look_for_secrets(message.topic);
    look_into(message.payload);
    expect_committed(message.payload, Piece::event);
}

void Witness::expect_committed(ByteView octets, Piece piece) {
    ++figures_.messages;
    look_at_checkpoint();
    const std::uint64_t size = ledger_size();
    // Those that are settled, or were tidied away since.
    while (settled_ < size && (edge_disk_.exists(folder_of(settled_) + "/sent") ||
                               !edge_disk_.exists(folder_of(settled_)))) {
        ++settled_;
    }
    bool is_found = false;
    for (std::uint64_t index = settled_; index < size && !is_found; ++index) {
        is_found = is_committed(octets, piece, index);
    }
    if (!is_found) {
        breaks(3, "octets left the edge that no leaf of its ledger commits to");
    }
}

void Witness::core_starts() {
    if (!last_admitted_.empty()) {
        unnoted_.insert(std::exchange(last_admitted_, {}));
    }
}

void Witness::admitted(const std::string& path, const std::string& digest) {
    const bool is_new = lake_.emplace(path, digest).second;
    if (!is_new && unnoted_.erase(path) == 0) {
        breaks(2, fmt::format("{} came into the lake again, and no crash was the reason", path));
    }
    last_admitted_ = path;
}

std::optional<products::Observation> Witness::observation_of(std::string_view text) {
    const auto payload = payload_of(text, core_key_);
    const auto observation = payload ? products::Observation::parse(*payload)
                                     : fail(products::ObservationError::not_json);
    if (!observation) {
        breaks(2, "the core issued what is no observation of its own");
        return std::nullopt;
    }
    return *observation;
}

void Witness::delivered(std::string_view id, std::string_view jws) {
    if (!id.empty()) {
        const auto [known, is_new] = by_id_.emplace(id, jws);
        if (!is_new && known->second != jws) {
            breaks(2, fmt::format("two observations have the id {}", id));
        }
    }
    const auto observation = observation_of(jws);
    for (const auto& item :
         observation ? observation->added : std::vector<products::ObservationItem>()) {
        const auto [text, is_new_text] = text_of_.emplace(plain(item.name), jws);
        if (!is_new_text && text->second != jws) {
            breaks(2, fmt::format("{} was observed twice", item.name));
        }
        if (id.empty()) {
            continue;
        }
        const auto [first, is_first] = id_of_.emplace(plain(item.name), id);
        if (!is_first && first->second != id) {
            breaks(2, fmt::format("{} was observed as {} and again as {}", item.name, first->second,
                                  id));
        }
    }
}

void Witness::on_core_bus(std::string_view message) {
    const auto json = text::Json::parse(message);
    const auto sequence = json ? json->integer("sequence") : Result<std::int64_t>(0);
    const auto from = json ? json->string("edge") : Result<std::string>("");
    const auto text = json ? json->string("event") : Result<std::string>("");
    const auto event =
        text ? products::NewQname::parse(*text) : fail(products::EventError::not_json);
    if (!sequence || !from || !event) {
        breaks(2, "a message on the core's bus could not be read");
        return;
    }
    const auto number = static_cast<std::uint64_t>(*sequence);
    const auto [known, is_new] = sequences_.emplace(*from + " " + event->message_id, number);
    if (!is_new && known->second != number) {
        breaks(2, fmt::format("one event is number {} and {} at the core", known->second, number));
    }
}

void Witness::served(const rpz::Snapshot& snapshot) {
    if (serial_ && serial_->newer_than(snapshot.serial)) {
        breaks(4, fmt::format("serial {} after {}", snapshot.serial.value(), serial_->value()));
    }
    if (serial_ != snapshot.serial) {
        ++figures_.serials;
    }
    serial_ = snapshot.serial;
    const std::string text = digest_of(as_bytes(zone_text(snapshot.zone)));
    const auto [known, is_new] = zones_.emplace(snapshot.serial.value(), text);
    if (!is_new && known->second != text) {
        breaks(4, fmt::format("two zones have the serial {}", snapshot.serial.value()));
    }
}

void Witness::look_at_checkpoint() {
    auto text = ledger_file(ledger::checkpoint_path);
    if (!text || *text == last_checkpoint_) {
        return;
    }
    last_checkpoint_ = *std::move(text);
    const auto head = ledger::parse_checkpoint(as_text(last_checkpoint_), verifier_);
    if (!head) {
        breaks(5, "a checkpoint cannot be read: " + head.error().what());
        return;
    }
    const auto [known, is_new] = checkpoints_.emplace(head->size, head->root);
    if (!is_new && known->second != head->root) {
        breaks(5, fmt::format("two logs of {} leaves", head->size));
    }
    head_ = *head;
    expect_batches(head->size);
}

void Witness::expect_batches(std::uint64_t size) {
    for (; accepted_ < size; ++accepted_) {
        expect_batch(accepted_);
    }
}

void Witness::verify_ledger(std::string_view when) {
    look_at_checkpoint();
    if (checkpoints_.empty()) {
        return;
    }
    std::vector<ledger::Hash> leaves;
    const auto report =
        ledger::verify_log([this](std::string_view path) { return ledger_file(path); }, verifier_,
                           [&](std::uint64_t, ByteView leaf) {
                               leaves.push_back(ledger::hash_leaf(leaf));
                               return Result<void>();
                           });
    if (!report) {
        breaks(5, fmt::format("the ledger does not verify {}: {}", when, report.error().what()));
        return;
    }
    for (const auto& [size, root] : checkpoints_) {
        if (size > leaves.size() || ledger::root_of(std::span(leaves).first(size)) != root) {
            breaks(5, fmt::format("the ledger does not extend its checkpoint of {} leaves {}", size,
                                  when));
        }
    }
}

void Witness::expect_event(std::string_view text) {
    const auto payload = payload_of(text, edge_key_);
    const auto event =
        payload ? products::NewQname::parse(*payload) : fail(products::EventError::not_json);
    if (!event) {
        breaks(1, "the outbox holds what is no event of the edge");
        return;
    }
    ++figures_.events;
    expected_.identities.insert(edge_key_.kid() + " " + event->message_id);
    expected_.names.insert(plain(event->qname));
}

// As the lake names it.
void Witness::expect_histogram(std::string_view name, ByteView content) {
    const auto interval = products::parse_histogram_file_name(name);
    const auto path = interval ? lake::path_of({.edge = edge_key_.kid(),
                                                .start = interval->start,
                                                .length_s = (interval->stop - interval->start) /
                                                            std::chrono::seconds(1),
                                                .digest = digest_of(content)})
                               : fail(Code::invalid, "no name of a histogram");
    if (!path) {
        breaks(1, "the outbox holds what is no histogram of the edge");
        return;
    }
    // There may be two of one minute and content: those of two lives that heard nothing in it.
    expected_.histograms.insert(*path);
    const std::string plain_text = unpacked(content).value_or("");
    for (const std::string& listed : traffic_.popular_listed()) {
        // Labels are in columns of their own; the second one tells them apart.
        if (plain_text.find(listed.substr(0, listed.find('.'))) != std::string::npos) {
            expected_.listed.insert(listed);
        }
    }
}

void Witness::expect_batch(std::uint64_t index) {
    const std::string folder = folder_of(index);
    const auto files = edge_disk_.list(folder);
    if (!files) {
        breaks(1, fmt::format("batch {} was accepted and is not in the outbox", index));
        return;
    }
    ++figures_.batches;
    for (const world::DirectoryEntry& file : *files) {
        const auto content = edge_disk_.read(folder + "/" + file.name, size_max);
        if (!content) {
            breaks(1, fmt::format("batch {} cannot be read", index));
        } else if (file.name.ends_with(".parquet")) {
            ++figures_.histograms;
            expect_histogram(file.name, *content);
        } else if (file.name.starts_with("new_qname")) {
            const auto messages = jose::split_batch(as_text(*content));
            for (const std::string_view message :
                 messages ? *messages : std::vector<std::string_view>()) {
                expect_event(message);
            }
        }
    }
}

// What many asked for was accepted.
void Witness::compare_traffic() {
    for (const std::string& name : traffic_.popular()) {
        if (!expected_.names.contains(name)) {
            breaks(1, fmt::format("many asked for {}, and the edge never told", name));
        }
    }
    for (const std::string& name : traffic_.popular_listed()) {
        if (!expected_.listed.contains(name)) {
            breaks(1, fmt::format("many asked for {}, and no histogram has it", name));
        }
    }
}

// Each batch that still lies there is marked as sent.
void Witness::compare_outbox() {
    const auto found = edge_disk_.list(fmt::format("{}/batches", state));
    for (const world::DirectoryEntry& entry :
         found ? *found : std::vector<world::DirectoryEntry>()) {
        if (!edge_disk_.exists(fmt::format("{}/batches/{}/sent", state, entry.name))) {
            breaks(1, fmt::format("batch {} was accepted, and not sent after all", entry.name));
        }
    }
}

void Witness::compare_histograms(const Rest& rest) {
    for (const auto& [path, digest] : lake_) {
        if (!expected_.histograms.contains(path)) {
            breaks(2, fmt::format("{} is in the lake, and no edge had accepted it", path));
        }
        if (path.find(digest.substr(0, 16)) == std::string::npos) {
            breaks(2, fmt::format("{} holds another histogram", path));
        }
    }
    for (const std::string& path : expected_.histograms) {
        if (!lake_.contains(path)) {
            breaks(1, fmt::format("{} was accepted, and is not in the lake", path));
        }
    }
    const auto left = rest.core_disk.list("/core/aggregates");
    if (!left || std::ranges::any_of(*left, [](const world::DirectoryEntry& file) {
            return file.name.ends_with(".payload");
        })) {
        breaks(1, "a histogram never came into the lake");
    }
}

// Each histogram is known to the core once, and done with.
void Witness::compare_journal(const Rest& rest) {
    std::map<std::string, std::uint64_t> counts;
    const auto cursor = rest.core_store.scan("intake_aggregates");
    for (; cursor && (*cursor)->valid(); (*cursor)->next()) {
        const auto json = text::Json::parse(as_text((*cursor)->value()));
        const auto path = json ? path_of(*json) : fail(json.error());
        if (!path) {
            breaks(2, "the core's journal has what is no histogram");
            continue;
        }
        ++counts[*path];
        if (json->string("state").value_or("") != "sealed") {
            breaks(1, fmt::format("{} is at the core, and not done with", *path));
        }
    }
    for (const auto& [path, count] : counts) {
        if (count != 1) {
            breaks(2, fmt::format("{} is {} times in the core's journal", path, count));
        }
        if (!expected_.histograms.contains(path)) {
            breaks(2,
                   fmt::format("{} is in the core's journal, and no edge had accepted it", path));
        }
    }
    for (const std::string& path : expected_.histograms) {
        if (!counts.contains(path)) {
            breaks(1, fmt::format("{} was accepted, and is not in the core's journal", path));
        }
    }
}

// Nobody's word is taken: what counts is what came onto the core's bus.
void Witness::compare_events() {
    for (const std::string& identity : expected_.identities) {
        if (!sequences_.contains(identity)) {
            breaks(1, "an event that was accepted is not at the core");
        }
    }
    if (sequences_.size() > expected_.identities.size()) {
        breaks(2, "the core has events that no edge had accepted");
    }
}

void Witness::compare_observations(const Rest& rest) {
    std::map<std::string, std::uint64_t> issued;
    if (const auto cursor = rest.core_store.scan("feeds_log")) {
        for (; (*cursor)->valid(); (*cursor)->next()) {
            ++figures_.observations;
            const auto observation =
                observation_of(as_text((*cursor)->value().subspan(sizeof(std::uint64_t))));
            for (const auto& item :
                 observation ? observation->added : std::vector<products::ObservationItem>()) {
                ++issued[plain(item.name)];
            }
        }
    }
    for (const auto& [name, count] : issued) {
        if (count != 1) {
            breaks(2, fmt::format("{} was observed {} times", name, count));
        }
        if (!expected_.names.contains(name)) {
            breaks(2, fmt::format("{} was observed, and no edge had accepted it", name));
        }
    }
    for (const std::string& name : expected_.names) {
        // The log forgets after a day; what the policy was told of, it was told of.
        if (!issued.contains(name) && !text_of_.contains(name)) {
            breaks(1, fmt::format("{} was accepted and never observed", name));
        }
    }
}

void Witness::compare_zone(const Rest& rest) {
    std::set<std::string> names = rest.denied;  // that must be in the zone
    std::set<std::string> ending;               // that may be
    const auto json = text::Json::parse(rest.snapshot, size_max);
    if (!json || !rest.zone) {
        breaks(6, "after calm the core has no snapshot, or the policy no zone");
        return;
    }
    const auto messages = json->array_of("observations");
    for (const text::Json& message : messages ? *messages : std::vector<text::Json>()) {
        const auto observation = observation_of(message.to_string());
        for (const auto& item :
             observation ? observation->added : std::vector<products::ObservationItem>()) {
            const UtcTime end = item.time_added + std::chrono::seconds(item.ttl_s);
            if (end > rest.now) {
                const bool must_stand = end > rest.now + 2 * clock_error_max;
                for (const std::string& name : {plain(item.name), "*." + plain(item.name)}) {
                    if (must_stand) {
                        names.insert(name);
                    } else {
                        ending.insert(name);
                    }
                }
            }
        }
    }
    const auto is_in_zone = [&rest](const std::string& name) {
        const auto trigger = rpz::Trigger::parse(name);
        return !trigger || rest.zone->zone.find(trigger->key()) == rpz::Action::nxdomain;
    };
    for (const std::string& name : names) {
        if (!is_in_zone(name)) {
            breaks(6, fmt::format("{} is in the snapshot, and the zone does not block it", name));
        }
    }
    for (const std::string& name : ending) {
        if (is_in_zone(name)) {
            names.insert(name);
        }
    }
    if (rest.zone->zone.size() != names.size()) {
        breaks(6, fmt::format("the zone has {} rules, the snapshot means {}",
                              rest.zone->zone.size(), names.size()));
    }
}

void Witness::finish(const Rest& rest) {
    verify_ledger("at the end");
    if (rest.edge_heard_all) {
        ++figures_.edges_alone;
        compare_traffic();
    }
    compare_outbox();
    compare_histograms(rest);
    compare_journal(rest);
    compare_events();
    compare_observations(rest);
    compare_zone(rest);
}

}  // namespace tapir::sim
