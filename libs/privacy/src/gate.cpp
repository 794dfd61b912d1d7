#include "tapir/privacy/gate.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "histogram_file.hpp"
#include "tapir/base/assert.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/dns/rr.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/privacy/form.hpp"
#include "tapir/privacy/threshold.hpp"
#include "tapir/sketch/hyperloglog.hpp"

namespace tapir::privacy {

// Whoever has one can release. It is complete here and nowhere else.
class Mint {};

namespace {

constexpr std::int64_t hour_s = 3600;
constexpr std::int64_t hours_in_day = 24;
constexpr std::uint16_t flags_released = dns::flag::qr | dns::flag::ra | dns::flag::rcode_mask;
constexpr std::string_view events_name = "new_qname";
constexpr std::size_t climb_levels_max = 8;  // labels left of the domain; what is deeper is "*."

const Mint mint{};

bool is_common(std::uint16_t qtype) {
    const auto type = static_cast<dns::RrType>(qtype);
    return type == dns::RrType::a || type == dns::RrType::aaaa || type == dns::RrType::https;
}

products::NewQname event_of(const Rule& rule, std::string_view form,
                            const NameCandidate& candidate) {
    products::NewQname event;
    event.qname = std::string(form);
    if (rule.form == Form::as_asked) {
        event.qtype = candidate.qtype;
        event.qclass = candidate.qclass;
        event.flags = candidate.flags;
        event.timestamp = candidate.minute;
        return event;
    }
    if (is_common(candidate.qtype)) {
        event.qtype = candidate.qtype;
    }
    event.flags = static_cast<std::uint16_t>(candidate.flags & flags_released);
    return event;
}

// Leaves of the two families what may be told.
RowVerdict judge(const Rule& rule, bool single_site, RowCandidate& candidate, const GateKey& key) {
    if (!rule.threshold.applies()) {
        return RowVerdict::released;
    }
    const unsigned t =
        draw_threshold(rule.threshold, key.draw(Product::histogram, candidate.entry));
    const unsigned networks_min = single_site ? 0 : rule.threshold.networks_min;
    products::HistogramRow& row = candidate.row;
    const bool v4_many = row.v4client_count >= t;
    const bool v6_many = row.v6client_count >= t;
    const bool v4_told = v4_many && candidate.v4_networks >= networks_min;
    const bool v6_told = v6_many && candidate.v6_networks >= networks_min;
    if (v4_told || v6_told) {
        row.v4client_count = v4_told ? row.v4client_count : 0;
        row.v6client_count = v6_told ? row.v6client_count : 0;
        return RowVerdict::released;
    }
    return v4_many || v6_many ? RowVerdict::few_networks : RowVerdict::few_clients;
}

constexpr Duration hour_length{3'600'000'000'000};

bool may_have_sketches(const GateSettings& settings, const products::Interval& interval) {
    return settings.hourly_sketches && interval.stop - interval.start == hour_length &&
           !rule_for(Product::histogram, settings.profile).sketches;
}

// Whether it counts enough clients to leave: by what it says itself, as its reader sees it.
bool is_told(const std::optional<Bytes>& octets) {
    if (!octets) {
        return false;
    }
    const auto sketch = sketch::HyperLogLog::parse(*octets);
    return sketch && sketch->estimate() >= sketch_clients_per_register << sketch->settings().log2m;
}

// Of an entry's hour only sketches, and how many clients they count: the rest has left by itself.
products::HistogramRow sketches_of(const products::HistogramRow& hour) {
    products::HistogramRow row;
    row.labels = hour.labels;
    row.edm_status_bits = hour.edm_status_bits;
    return row;
}

// The sketches that may leave, in rows of their own.
std::map<std::string, RowCandidate> told_sketches(const Rule& rule, const GateSettings& settings,
                                                  std::vector<RowCandidate>&& of_hour,
                                                  const GateKey& key) {
    std::map<std::string, RowCandidate> told;
    for (RowCandidate& hour : of_hour) {
        if (judge(rule, settings.single_site, hour, key) != RowVerdict::released) {
            continue;
        }
        RowCandidate candidate = hour;
        candidate.row = sketches_of(hour.row);
        // A family that the rule withholds has no clients any more.
        if (hour.row.v4client_count > 0 && is_told(hour.row.v4client_count_hll)) {
            candidate.row.v4client_count = hour.row.v4client_count;
            candidate.row.v4client_count_hll = std::move(hour.row.v4client_count_hll);
        }
        if (hour.row.v6client_count > 0 && is_told(hour.row.v6client_count_hll)) {
            candidate.row.v6client_count = hour.row.v6client_count;
            candidate.row.v6client_count_hll = std::move(hour.row.v6client_count_hll);
        }
        if (candidate.row.v4client_count_hll || candidate.row.v6client_count_hll) {
            told.emplace(std::move(hour.entry), std::move(candidate));
        }
    }
    return told;
}

std::uint64_t sketch_count(const products::HistogramRow& row) {
    return (row.v4client_count_hll ? 1U : 0U) + (row.v6client_count_hll ? 1U : 0U);
}

void put_sketches(products::HistogramRow& into, products::HistogramRow&& from) {
    if (from.v4client_count_hll) {
        into.v4client_count = from.v4client_count;
        into.v4client_count_hll = std::move(from.v4client_count_hll);
    }
    if (from.v6client_count_hll) {
        into.v6client_count = from.v6client_count;
        into.v6client_count_hll = std::move(from.v6client_count_hll);
    }
}

void floor_numbers(products::HistogramRow& row) {
    for (std::uint64_t* counter : {&row.a_count, &row.aaaa_count, &row.mx_count, &row.ns_count,
                                   &row.other_type_count, &row.non_in_count, &row.ok_count,
                                   &row.nx_count, &row.fail_count, &row.other_rcode_count}) {
        *counter = floor_to_tens(*counter);
    }
    row.v4client_count = floor_clients(row.v4client_count);
    row.v6client_count = floor_clients(row.v6client_count);
}

}  // namespace

std::optional<Product> product_of_payload(std::string_view name) {
    if (name.starts_with(events_name) && name.ends_with(".json")) {
        return Product::new_qname;
    }
    if (products::parse_histogram_file_name(name)) {
        return Product::histogram;
    }
    return std::nullopt;
}

NameGate::NameGate(const GateSettings& settings, WildcardMemory* memory)
    : rule_(rule_for(Product::new_qname, settings.profile)),
      watch_(settings.watch),
      group_(rule_.threshold.applies() ? settings.group : nullptr),
      pending_(rule_.threshold.applies()
                   ? settings.pending
                   : PendingLimits{.cell_count = 0, .name_count = 0, .starts_an_hour_max = 0},
               settings.single_site ? 0 : rule_.threshold.networks_min),
      children_(rule_.form == Form::ladder ? settings.parent_count : 0),
      rarity_(rule_.threshold.applies() ? settings.rarity_bits : 0),
      memory_(memory) {}

void NameGate::turn(UtcTime time, const GateKey& key) {
    const std::int64_t day = time.seconds() / hour_s / hours_in_day;
    rarity_.start_day(day, key);
    if (group_ != nullptr) {
        group_->start_day(day);
    }
    const std::int64_t hour = time.seconds() / hour_s;
    if (hour_ && *hour_ != hour) {
        if (*hour_ / hours_in_day != hour / hours_in_day) {
            pending_.start_day();
            children_.start_day();
        } else {
            pending_.start_hour();
        }
    }
    hour_ = hour;
}

NameGate::Offer NameGate::offer(const NameCandidate& candidate, const GateKey& key) {
    Offer offer;
    if (!rule_.threshold.applies()) {
        offer.outcome = PendingOutcome::reached;
        offer.released.emplace_back(mint, event_of(rule_, candidate.name, candidate));
        return offer;
    }
    const std::string_view domain = candidate.name.substr(candidate.domain_start);
    count(domain, candidate.sighting, candidate, key, offer);
    if (offer.outcome == PendingOutcome::first_client) {
        rarity_.saw(domain);
    }
    if (offer.outcome == PendingOutcome::reached) {
        offer.is_old = rarity_.is_old(domain);
    }
    // What is below a domain is counted once the domain has been released, so a flood of names
    // below one that is not costs no memory.
    if (offer.outcome == PendingOutcome::done && candidate.domain_start > 0) {
        climb(candidate, key, offer);
    }
    return offer;
}

void NameGate::count(std::string_view form, const Sighting& sighting,
                     const NameCandidate& candidate, const GateKey& key, Offer& offer) {
    if (group_ != nullptr) {
        offer.outcome = count_in_group(form, sighting, key, offer);
    } else {
        offer.outcome = pending_.count(sighting, rule_.threshold.min, [&] {
            return draw_threshold(rule_.threshold, key.draw(Product::new_qname, form));
        });
    }
    if (offer.outcome == PendingOutcome::reached) {
        offer.released.emplace_back(mint, event_of(rule_, form, candidate));
    }
    if (watch_ != nullptr) {
        watch_->counted(
            {.form = form,
             .outcome = offer.outcome,
             .progress = pending_.progress_of(sighting),
             .threshold = draw_threshold(rule_.threshold, key.draw(Product::new_qname, form)),
             .is_ipv6 = sighting.family == Family::ipv6});
    }
}

PendingOutcome NameGate::count_in_group(std::string_view form, const Sighting& sighting,
                                        const GateKey& key, Offer& offer) {
    switch (group_->state_of(sighting.name)) {
        case Group::State::taken:
            return PendingOutcome::done;
        case Group::State::released:
            offer.is_by_group = true;
            group_->took(sighting.name, true);
            return PendingOutcome::reached;
        case Group::State::pending:
            break;
    }
    const auto draw = [&] {
        return draw_threshold(rule_.threshold, key.draw(Product::new_qname, form));
    };
    const PendingOutcome outcome = pending_.count(sighting, rule_.threshold.min, draw);
    if (outcome == PendingOutcome::reached) {
        group_->took(sighting.name, false);
    } else if (pending_.was_news()) {
        // No more of the tags than is counted, and under each form others.
        group_->saw(
            {.name = static_cast<std::uint64_t>(sighting.name),
             .kind = sighting.family == Family::ipv6 ? products::SightingKind::ipv6
                                                     : products::SightingKind::ipv4,
             .threshold = static_cast<std::uint8_t>(draw()),
             .client = static_cast<std::uint16_t>(key.bound(sighting.name, sighting.client)),
             .network = static_cast<std::uint32_t>(key.bound(sighting.name, sighting.network))});
    }
    return outcome;
}

ParentKind NameGate::kind_of(std::string_view parent, Fingerprint fingerprint, Fingerprint child) {
    const ParentKind kind = children_.add(
        fingerprint, child, [&] { return memory_ != nullptr && memory_->was_wildcard(parent); });
    if (kind == ParentKind::became_wildcard && memory_ != nullptr) {
        memory_->became_wildcard(parent);
    }
    return kind;
}

// From the registered domain up, until a parent is a wildcard or the name is whole.
void NameGate::climb(const NameCandidate& candidate, const GateKey& key, Offer& offer) {
    const auto sighting_of = [&](std::string_view form) {
        Sighting sighting = candidate.sighting;
        sighting.name = key.fingerprint(form);
        return sighting;
    };
    Ladder ladder(candidate.name, candidate.domain_start);
    Fingerprint parent = candidate.sighting.name;
    std::size_t parent_size = ladder.name().size();
    for (std::size_t level = 0; !ladder.is_whole(); ++level) {
        if (level == climb_levels_max || children_.is_wildcard(parent)) {
            form_ = ladder.wildcard();
            count(form_, sighting_of(form_), candidate, key, offer);
            return;
        }
        parent_size = ladder.name().size();
        if (!ladder.climb()) {
            return;  // too long a name; its domain has been counted
        }
        const Fingerprint child = key.fingerprint(ladder.name());
        const std::string_view above = ladder.name().substr(ladder.name().size() - parent_size);
        if (kind_of(above, parent, child) != ParentKind::plain) {
            form_ = "*.";
            form_ += above;
            count(form_, sighting_of(form_), candidate, key, offer);
            return;
        }
        parent = child;
    }
    const std::string_view whole = ladder.name();
    if (parent_size > candidate.name.size() - candidate.domain_start) {
        form_ = "*.";
        form_ += whole.substr(whole.size() - parent_size);
        count(form_, sighting_of(form_), candidate, key, offer);
    }
    count(whole, sighting_of(whole), candidate, key, offer);
}

Result<Released<products::NewQname>> release_by_person(std::string_view text,
                                                       const dns::PublicSuffixes& suffixes) {
    const auto name = dns::Name::from_text(text);
    if (!name) {
        return fail(Code::invalid, fmt::format("{}: expected a domain name: {}", text,
                                               to_error(name.error()).what()));
    }
    const std::size_t domain = TRY(registered_domain_of(dns::FoldedName(*name), suffixes));
    const std::string form = dns::to_text(*name, dns::Case::lower);
    Ladder ladder(form, form.size() - dns::suffix_text(form, domain).size());
    while (ladder.climb()) {
    }
    if (ladder.name() != form) {
        return fail(Code::denied,
                    fmt::format("{}: a label looks like an identifier, as in {}: expected a name "
                                "without, or its registered domain",
                                form, ladder.name()));
    }
    const Rule& rule = rule_for(Product::by_person, Profile::standard);
    NameCandidate candidate;
    candidate.flags = dns::flag::qr;
    return Released<products::NewQname>(mint, event_of(rule, form, candidate));
}

Result<Released<products::NewQname>> release_by_exception(Profile profile, std::string_view domain,
                                                          const ExceptionGrounds& grounds,
                                                          const dns::PublicSuffixes& suffixes,
                                                          UtcTime time) {
    const Rule& rule = rule_for(Product::by_exception, profile);
    const auto name = dns::Name::from_text(domain);
    if (!name) {
        return fail(Code::invalid, fmt::format("{}: expected a domain name: {}", domain,
                                               to_error(name.error()).what()));
    }
    const std::size_t labels = TRY(registered_domain_of(dns::FoldedName(*name), suffixes));
    if (labels != name->view().label_count()) {
        return fail(Code::denied, fmt::format("{}: expected a registered domain", domain));
    }
    if (rule.a_day_max == 0 ||
        (!grounds.is_pinned && grounds.networks < rule.threshold.networks_min)) {
        return fail(Code::denied, fmt::format("{}: from {} networks, and on no pinned list", domain,
                                              grounds.networks));
    }
    // Nothing of the frame is in it: neither type nor answer.
    NameCandidate candidate;
    candidate.flags = dns::flag::qr;
    products::NewQname event = event_of(rule, dns::to_text(*name, dns::Case::lower), candidate);
    event.timestamp = UtcTime::from_seconds(time.seconds() / rule.time_s * rule.time_s);
    return Released<products::NewQname>(mint, std::move(event));
}

namespace {

// An order that says nothing of who asked first.
std::vector<std::string_view> by_hash(std::span<const std::string> messages) {
    std::vector<std::pair<crypto::Sha256Digest, std::string_view>> hashed;
    hashed.reserve(messages.size());
    for (const std::string& message : messages) {
        hashed.emplace_back(crypto::sha256(as_bytes(message)), message);
    }
    std::ranges::sort(hashed);
    std::vector<std::string_view> ordered(hashed.size());
    std::ranges::transform(hashed, ordered.begin(), [](const auto& one) { return one.second; });
    return ordered;
}

constexpr std::size_t signed_at_once_min = 128;  // names for a thread

// Calls work(i) for each i below `count`, in at most `threads` threads: the first error.
template <class Work>
Result<void> for_each_in_threads(std::size_t count, std::size_t threads, const Work& work) {
    const std::size_t parts =
        std::clamp<std::size_t>(count / signed_at_once_min, 1, std::max<std::size_t>(threads, 1));
    std::vector<Result<void>> done(parts);
    const auto run = [&](std::size_t part) {
        for (std::size_t i = count * part / parts; i < count * (part + 1) / parts && done[part];
             ++i) {
            done[part] = work(i);
        }
    };
    {
        std::vector<std::jthread> others;
        for (std::size_t part = 1; part < parts; ++part) {
            others.emplace_back(run, part);
        }
        run(0);
    }
    for (Result<void>& part : done) {
        TRY(std::move(part));
    }
    return {};
}

}  // namespace

Result<ReleasedEvents> release_events(Profile profile,
                                      std::span<const Released<products::NewQname>> names,
                                      UtcTime minute, const GateKey& key,
                                      const jose::PrivateJwk& signer, std::size_t threads) {
    const Rule& rule = rule_for(Product::new_qname, profile);
    const UtcTime time = UtcTime::from_seconds(minute.seconds() / rule.time_s * rule.time_s);
    ReleasedEvents out;
    out.messages.resize(names.size());
    TRY(for_each_in_threads(names.size(), threads, [&](std::size_t i) -> Result<void> {
        products::NewQname event = names[i].value();
        if (rule.form != Form::as_asked) {
            event.timestamp = event.timestamp.value_or(time);  // an exception has its hour's
            event.message_id = key.message_id(event.to_json());
        }
        out.messages[i] = TRY(jose::sign_jws(signer, as_bytes(event.to_json())));
        return {};
    }));
    const bool is_padded = rule.size_step > 1;
    const auto ordered =
        is_padded ? by_hash(out.messages)
                  : std::vector<std::string_view>(out.messages.begin(), out.messages.end());
    std::span<const std::string_view> rest(ordered);
    while (!rest.empty() || (is_padded && out.payloads.empty())) {
        const std::size_t count = std::min(rest.size(), events_in_payload_max);
        const std::string body = jose::join_batch(rest.first(count), rule.size_step);
        const std::string name = out.payloads.empty()
                                     ? fmt::format("{}.json", events_name)
                                     : fmt::format("{}-{}.json", events_name, out.payloads.size());
        out.payloads.emplace_back(
            mint, Payload{.product = Product::new_qname, .name = name, .octets = to_bytes(body)});
        rest = rest.subspan(count);
    }
    return out;
}

unsigned row_clients_min(Profile profile) {
    const Rule& rule = rule_for(Product::histogram, profile);
    return rule.threshold.applies() ? rule.threshold.min : 0;
}

namespace {

// What the gate makes of an interval's rows, one after the other in the order of their entries.
class HistogramGate {
public:
    HistogramGate(const GateSettings& settings, const products::Interval& interval,
                  const GateKey& key)
        : settings_(settings), interval_(interval), key_(key) {}

    // Before any row.
    void take_sketches(std::vector<RowCandidate>&& of_hour) {
        sketches_ = told_sketches(rule_, settings_, std::move(of_hour), key_);
        for (const auto& [entry, candidate] : sketches_) {
            out_.sketches += sketch_count(candidate.row);
        }
    }
    void take(RowCandidate&& candidate);
    Result<ReleasedHistogram> finish();

private:
    void write(RowCandidate& candidate);
    void write_first_sketch();

    const GateSettings& settings_;
    const products::Interval& interval_;
    const GateKey& key_;
    const Rule& rule_ = rule_for(Product::histogram, settings_.profile);
    std::map<std::string, RowCandidate> sketches_;
    HistogramFile file_;
    ReleasedHistogram out_;
};

void HistogramGate::take(RowCandidate&& candidate) {
    const RowVerdict verdict = judge(rule_, settings_.single_site, candidate, key_);
    if (verdict != RowVerdict::released) {
        if (settings_.watch != nullptr) {
            settings_.watch->row(interval_, candidate, verdict);
        }
        auto& withheld = verdict == RowVerdict::few_clients ? out_.few_clients : out_.few_networks;
        withheld.push_back(candidate.number);
        return;
    }
    ++out_.rows_released;
    if (!rule_.sketches) {
        candidate.row.v4client_count_hll.reset();
        candidate.row.v6client_count_hll.reset();
    }
    while (!sketches_.empty() && sketches_.begin()->first < candidate.entry) {
        write_first_sketch();
    }
    if (auto known = sketches_.extract(candidate.entry)) {
        put_sketches(candidate.row, std::move(known.mapped().row));
    }
    write(candidate);
}

void HistogramGate::write(RowCandidate& candidate) {
    candidate.row.start_time = interval_.start;
    if (rule_.numbers == Numbers::floored) {
        floor_numbers(candidate.row);
    }
    if (settings_.watch != nullptr) {
        settings_.watch->row(interval_, candidate, RowVerdict::released);
    }
    file_.add(candidate.row);
}

void HistogramGate::write_first_sketch() {
    auto first = sketches_.extract(sketches_.begin());
    write(first.mapped());
}

Result<ReleasedHistogram> HistogramGate::finish() {
    while (!sketches_.empty()) {
        write_first_sketch();
    }
    if (file_.is_empty() && rule_.size_step == 1) {
        return std::move(out_);
    }
    Payload payload{.product = Product::histogram,
                    .name = products::histogram_file_name(interval_),
                    .octets = {}};
    payload.octets = TRY(file_.finish(rule_.size_step));
    out_.payload.emplace(mint, std::move(payload));
    return std::move(out_);
}

// Rows that are there.
class RowsAtHand final : public RowSource {
public:
    explicit RowsAtHand(const std::vector<RowCandidate>& rows) : rows_(rows) {}

    std::size_t size() const override { return rows_.size(); }
    std::string entry(std::size_t number) const override { return rows_[number].entry; }
    RowCandidate candidate(std::size_t number) const override { return rows_[number]; }

private:
    const std::vector<RowCandidate>& rows_;
};

}  // namespace

Result<ReleasedHistogram> release_histogram_from(const RowSource& rows,
                                                 const GateSettings& settings,
                                                 const products::Interval& interval,
                                                 const GateKey& key,
                                                 std::vector<RowCandidate> of_hour) {
    HistogramGate gate(settings, interval, key);
    if (may_have_sketches(settings, interval)) {
        gate.take_sketches(std::move(of_hour));
    }
    std::vector<std::pair<std::string, std::size_t>> order;
    order.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        order.emplace_back(rows.entry(i), i);
    }
    std::ranges::sort(order);
    for (const auto& [entry, number] : order) {
        gate.take(rows.candidate(number));
    }
    return gate.finish();
}

Result<ReleasedHistogram> release_histogram(const GateSettings& settings,
                                            const products::Interval& interval,
                                            const std::vector<RowCandidate>& rows,
                                            const GateKey& key, std::vector<RowCandidate> of_hour) {
    return release_histogram_from(RowsAtHand(rows), settings, interval, key, std::move(of_hour));
}

bool is_of_profile(Profile profile, const products::Sightings& post) {
    const Threshold& threshold = rule_for(Product::new_qname, profile).threshold;
    return threshold.applies() && post.profile == static_cast<std::uint8_t>(profile) &&
           std::ranges::all_of(post.records, [&](const products::SightingRecord& record) {
               return record.kind == products::SightingKind::taken ||
                      (record.threshold >= threshold.min && record.threshold <= threshold.max);
           });
}

Result<Released<Payload>> release_sightings(Profile profile, products::Sightings post) {
    post.profile = static_cast<std::uint8_t>(profile);
    if (!is_of_profile(profile, post)) {
        return fail(Code::invalid, "sightings: expected thresholds of the profile");
    }
    TAPIR_ASSERT(rule_for(Product::sightings, profile).size_step == products::sightings_step);
    return Released<Payload>(
        mint,
        Payload{.product = Product::sightings, .name = "sightings", .octets = post.to_octets()});
}

Result<Released<Payload>> release_releases(Profile profile, const products::Releases& answer) {
    if (profile == Profile::compatible) {
        return fail(Code::invalid, "releases: expected a profile with thresholds");
    }
    TAPIR_ASSERT(rule_for(Product::releases, profile).size_step == products::sightings_step);
    return Released<Payload>(
        mint,
        Payload{.product = Product::releases, .name = "releases", .octets = answer.to_octets()});
}

Result<Released<Payload>> reopen(Payload payload, const ledger::Salt& salt,
                                 std::span<const ledger::LeafPayload> unsent) {
    for (const ledger::LeafPayload& known : unsent) {
        if (known.name == payload.name && known.size == payload.octets.size() &&
            ledger::verify_commitment(known.commitment, salt, payload.octets)) {
            return Released<Payload>(mint, std::move(payload));
        }
    }
    return fail(Code::denied,
                fmt::format("{}: not what an unsent leaf of the ledger says", payload.name));
}

}  // namespace tapir::privacy
