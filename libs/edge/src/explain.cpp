#include "tapir/edge/explain.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "event_signer.hpp"
#include "explain_name.hpp"
#include "pipeline.hpp"
#include "setup.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/jose/jws.hpp"
#include "tapir/pcap/dns_reader.hpp"
#include "tapir/store/store.hpp"
#include "twin_keys.hpp"

namespace tapir::edge {
namespace {

// What became of a message, in a word, and the rule that says so.
struct Verdict {
    std::string_view word;
    std::string_view rule;
    std::string_view sentence;
};

constexpr auto verdicts = std::to_array<Verdict>({
    {"dropped", "-", "the workers were behind"},
    {"dropped", "-", "there was no room for another row"},
    {"dropped", "-", "as many names were on their way out as there was room for"},
    {"dropped", "-", "the frame is larger than a frame may be"},
    {"dropped", "-", "the capture ends inside the frame"},
    {"dropped", "-", "no dnstap"},
    {"dropped", "-", "dnstap without a type"},
    {"dropped", "-", "dnstap without a message"},
    {"dropped", "-", "dnstap with a message without a type"},
    {"dropped", "-", "a query: responses are counted"},
    {"dropped", "-", "a response that is not a client's"},
    {"dropped", "operator", "the client is on the list of ignored clients"},
    {"dropped", "operator", "no usable address, and a list of ignored clients is in force"},
    {"dropped", "operator", "the name is on the list of ignored names"},
    {"dropped", "-", "no DNS message"},
    {"dropped", "-", "the DNS message is malformed"},
    {"dropped", "-", "the DNS message has no question"},
    {"dropped", "-", "the name in the question is none"},
    {"kept", "R5", "counted in the row of its entry"},
    {"dropped", "R9", "the name left before"},
    {"kept", "R9", "the name leaves as it was asked: compatible"},
    {"dropped", "R4", "a single label"},
    {"dropped", "R4", "a special-use name (RFC 6761)"},
    {"dropped", "R4", "under arpa: an address"},
    {"dropped", "R4", "no suffix of the public suffix list"},
    {"dropped", "R4", "a public suffix itself"},
    {"dropped", "R4", "not of class IN"},
    {"dropped", "R2", "the message shows no client"},
    {"dropped", "R2", "the client is in none of client_networks"},
    {"held", "R3", "the first client of this form today"},
    {"held", "R3", "short of its threshold"},
    {"dropped", "R2", "the client has started too many names this hour"},
    {"kept", "R3", "its threshold is reached: it leaves"},
    {"kept", "R3", "it reached its threshold before"},
});
static_assert(verdicts.size() == fate_count);

std::string_view plain(std::string_view text) {
    return text.substr(0, text.size() - (text.size() > 1 && text.ends_with('.') ? 1 : 0));
}

// What the gate said while one message went through.
class Listener final : public privacy::GateWatch, public SuspectListener {
public:
    explicit Listener(const ExplainPrint& print) : print_(print) {}

    void counted(const Counted& what) override {
        if (!forms_.empty()) {
            forms_ += "; ";
        }
        forms_ += plain(what.form);
        form_ = what.form;
        if (what.outcome == privacy::PendingOutcome::done) {
            forms_ += ": left already";
            return;
        }
        if (what.outcome == privacy::PendingOutcome::reached) {
            forms_ += fmt::format(": {} clients", what.threshold);
            return;
        }
        forms_ +=
            fmt::format(": {} of {} clients ({}), {} of 3 networks", what.progress.clients,
                        what.threshold, what.is_ipv6 ? "IPv6" : "IPv4", what.progress.networks);
    }

    void suspect(const Suspect& what) override {
        suspect_ = fmt::format("; {} is a suspect (R7):", plain(what.domain));
        for (const std::string& reason : what.reasons) {
            suspect_ += fmt::format("{}{}", suspect_.ends_with(':') ? " " : ", ", reason);
        }
    }
    bool wants_repeats() const override { return true; }

    void row(const products::Interval& interval, const privacy::RowCandidate& candidate,
             privacy::RowVerdict verdict) override {
        const products::HistogramRow& row = candidate.row;
        const bool is_released = verdict == privacy::RowVerdict::released;
        print_(fmt::format("row   {:<9} R5  {}  {}: {} IPv4 and {} IPv6 clients, {} responses{}\n",
                           is_released ? "leaves" : "held", products::aggregate_interval(interval),
                           plain(candidate.entry), row.v4client_count, row.v6client_count,
                           row.ok_count + row.nx_count + row.fail_count + row.other_rcode_count,
                           is_released ? ""
                           : verdict == privacy::RowVerdict::few_networks
                               ? ": from too few networks"
                               : ": short of its threshold"));
    }

    // Of the message that went through last.
    const std::string& forms() const { return forms_; }
    const std::string& form() const { return form_; }
    const std::string& suspect() const { return suspect_; }
    void forget() {
        suspect_.clear();
        forms_.clear();
        form_.clear();
    }

private:
    const ExplainPrint& print_;
    std::string forms_;
    std::string form_;  // the last, as text
    std::string suspect_;
};

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        lines.emplace_back(text.substr(0, text.find('\n')));
        text.remove_prefix(std::min(lines.back().size() + 1, text.size()));
    }
    return lines;
}

// Prints what would leave.
class PrintSink final : public BatchSink {
public:
    PrintSink(const ExplainPrint& print, bool octets, Seen& seen, const jose::PrivateJwk& signer)
        : print_(print), octets_(octets), seen_(seen), signer_(signer.public_jwk()) {}

    void take(ReadyBatch&& batch) override {
        for (const auto& released : batch.payloads) {
            const privacy::Payload& payload = released.value();
            print_(fmt::format("batch {}  {}: {} octets, SHA-256 {}\n", batch.time.to_string(),
                               payload.name, payload.octets.size(),
                               to_hex(crypto::sha256(payload.octets))));
            total_ += payload.octets.size();
            ++payloads_;
            if (octets_) {
                print_octets(payload.octets);
            }
        }
        for (const std::string& account : lines_of(batch.by_exception)) {
            print_(fmt::format("suspect leaves R7  {}\n", account));
        }
        for (const std::string& event : batch.events) {
            print_(fmt::format("event {}\n      as {}\n", content_of(event), event));
        }
        seen_.settle(batch.names, Seen::Settle::kept);
    }

    std::string sum() const { return fmt::format("{} payloads, {} octets", payloads_, total_); }

private:
    std::string content_of(const std::string& event) const {
        const auto jws = jose::UnverifiedJws::parse(event);
        const auto verified = jws ? std::optional(jws->verify(signer_)) : std::nullopt;
        TAPIR_ASSERT(verified && *verified);  // it was signed just now
        return std::string((*verified)->payload_text());
    }

    void print_octets(ByteView octets) {
        constexpr std::size_t line = 32;
        for (std::size_t at = 0; at < octets.size(); at += line) {
            const ByteView some = octets.subspan(at, std::min(line, octets.size() - at));
            print_(fmt::format("      {:08x}  {}\n", at, to_hex(some)));
        }
    }

    const ExplainPrint& print_;
    const bool octets_;
    Seen& seen_;
    const jose::Jwk signer_;
    std::uint64_t payloads_ = 0;
    std::uint64_t total_ = 0;
};

// The twin with a listener, a message at a time.
class Explainer {
    struct Private {};

public:
    static Result<std::unique_ptr<Explainer>> open(const ExplainOptions& options,
                                                   const text::Settings& settings,
                                                   world::Files& files, const Log& log,
                                                   const ExplainPrint& print);

    Result<void> capture(const std::string& path, world::Files& files);
    void finish();

    // For open().
    Explainer(Private /*only_open*/, const ExplainOptions& options,
              std::shared_ptr<const Lists> lists, TwinKeys&& keys, privacy::Profile profile,
              const Log& log, const ExplainPrint& print)
        : options_(options),
          lists_(std::move(lists)),
          keys_(std::move(keys)),
          profile_(profile),
          print_(print),
          listener_(print),
          metrics_(counters_),
          store_(store::open_memory({std::string(seen_family), std::string(wildcard_family)})),
          seen_(*store_, {}, log, counters_),
          wildcards_(*store_, twin_wildcard_key(keys_.day), log, counters_),
          sink_(print, options.octets, seen_, keys_.signing),
          signing_(profile, keys_.signing, seen_, metrics_, log, sink_) {}

private:
    void message(ByteView frame);
    void say(std::uint64_t number, ByteView frame, Fate fate);
    std::string entry_of(const dns::FoldedName& name) const;

    const ExplainOptions& options_;
    std::shared_ptr<const Lists> lists_;
    TwinKeys keys_;
    privacy::Profile profile_;
    const ExplainPrint& print_;
    Listener listener_;
    Counters counters_;
    EdgeMetrics metrics_;
    std::unique_ptr<store::Store> store_;
    Seen seen_;
    Wildcards wildcards_;
    PrintSink sink_;
    EventSigner signing_;
    std::unique_ptr<Suspects> suspects_;
    std::unique_ptr<RowGate> rows_;
    std::unique_ptr<Collector> collector_;
    std::unique_ptr<Pipeline> pipeline_;
    std::uint64_t count_ = 0;
    FateCounts before_;
};

Result<std::unique_ptr<Explainer>> Explainer::open(const ExplainOptions& options,
                                                   const text::Settings& settings,
                                                   world::Files& files, const Log& log,
                                                   const ExplainPrint& print) {
    const privacy::Profile profile = profile_of(settings);
    auto lists = TRY(load_lists(files, settings, profile));
    auto keys = TRY(twin_keys(files, settings, log));
    auto out = std::make_unique<Explainer>(Private(), options, lists, std::move(keys), profile, log,
                                           print);
    CollectorSettings collecting = collector_settings(settings, profile);
    collecting.gate.watch = &out->listener_;
    out->suspects_ = std::make_unique<Suspects>(
        SuspectSettings{.profile = profile,
                        .has_exception = has_threat_exception(settings, profile)},
        out->seen_, out->counters_, out->listener_);
    collecting.suspects = out->suspects_.get();
    out->rows_ = std::make_unique<RowGate>(collecting, out->metrics_, log, out->signing_);
    out->collector_ = std::make_unique<Collector>(collecting, lists, out->seen_, out->wildcards_,
                                                  out->metrics_, *out->rows_);
    PipelineSettings piping;
    piping.workers = 0;
    piping.worker = worker_settings(settings, profile);
    out->pipeline_ = std::make_unique<Pipeline>(
        piping, lists, DayKeys(client::DayKey::from(out->keys_.day.reveal())), DataClock(),
        *out->collector_);
    return out;
}

Result<void> Explainer::capture(const std::string& path, world::Files& files) {
    const auto file = TRY(files.map(path));
    const auto explain_all = [&](auto&& reader) -> Result<void> {
        while (const auto frame = reader.next()) {
            message(*frame);
        }
        if (const auto error = reader.error()) {
            return fail(Code::invalid, fmt::format("{}: expected a Frame Streams file of dnstap, "
                                                   "or a packet capture: {}",
                                                   path, to_string(*error)));
        }
        print_(fmt::format("capture {} ends: {}\n", path, to_string(reader.state())));
        return {};
    };
    return pcap::is_capture(file->bytes()) ? explain_all(pcap::DnsReader(file->bytes()))
                                           : explain_all(dnstap::FstrmReader(file->bytes()));
}

void Explainer::message(ByteView frame) {
    pipeline_->add(frame);
    pipeline_->flush();
    const FateCounts& now = collector_->fates();
    for (std::size_t i = 0; i < fate_count; ++i) {
        const auto fate = static_cast<Fate>(i);
        if (now.of(fate) != before_.of(fate) && !options_.sums_only) {
            say(count_ + 1, frame, fate);
        }
    }
    ++count_;
    before_ = now;
    listener_.forget();
}

std::string Explainer::entry_of(const dns::FoldedName& name) const {
    const auto match = lists_->well_known.find(name);
    return match ? names::to_text(lists_->well_known.entry(match->id)) : std::string("?");
}

void Explainer::say(std::uint64_t number, ByteView frame, Fate fate) {
    Verdict verdict = verdicts.at(static_cast<std::size_t>(fate));
    std::string what = "-";
    std::string detail(verdict.sentence);
    std::string time = "without time";
    if (const auto fields = dnstap::ResponseFields::parse(frame)) {
        if (const auto at = fields->response_time()) {
            time = at->to_string();
        }
        dns::NameBuffer buffer;
        const auto message = dns::Message::parse(fields->response_message.value_or(ByteView()),
                                                 dns::Depth::standard, buffer);
        if (message && message->question_count > 0) {
            const dns::Question& question = message->question;
            what = fmt::format("{} type {} rcode {}", plain(dns::to_text(question.name)),
                               static_cast<unsigned>(question.qtype),
                               static_cast<unsigned>(message->rcode));
            if (fate == Fate::well_known) {
                detail += " " + entry_of(dns::FoldedName(question.name));
            }
            const std::string& form = listener_.form();
            const std::string asked = dns::to_text(question.name, dns::Case::lower);
            // A wildcard and a class stand for what was left out.
            if (!form.empty() && !asked.ends_with(form)) {
                verdict.word = verdict.word == "kept" ? "coarsened" : verdict.word;
                verdict.rule = verdict.word == "coarsened" ? "R4" : verdict.rule;
            }
        }
    }
    if (const std::string& forms = listener_.forms(); !forms.empty()) {
        detail += ": " + forms;
    }
    detail += listener_.suspect();
    print_(fmt::format("#{:<5}{:<9} {:<3} {}  {}: {}\n", number, verdict.word, verdict.rule, time,
                       what, detail));
}

void Explainer::finish() {
    pipeline_->finish();
    collector_->finish(pipeline_->bounds(), UtcTime());
    print_(fmt::format("\n{} messages under {}{}\n", count_, privacy::to_string(profile_),
                       keys_.is_test_day ? ", thresholds as a fixed public key draws them" : ""));
    for (std::size_t i = 0; i < fate_count; ++i) {
        const Verdict& verdict = verdicts.at(i);
        if (const std::uint64_t n = collector_->fates().of(static_cast<Fate>(i)); n != 0) {
            print_(fmt::format("{:>10}  {:<8} {:<8} {}\n", n, verdict.word, verdict.rule,
                               verdict.sentence));
        }
    }
    const Suppressed& totals = rows_->totals();
    print_(
        fmt::format("rows: {} leave, {} short of their threshold, {} from too few networks, {} "
                    "without room in a wider interval\nwhat would leave: {}\n",
                    totals.rows_released, totals.rows_few_clients, totals.rows_few_networks,
                    totals.rows_evicted, sink_.sum()));
    for (std::size_t i = 0; i < detector_count; ++i) {
        if (const std::uint64_t n = totals.suspects.by_detector.at(i); n != 0) {
            print_(fmt::format("suspects of {}: {}, of which the operator is told\n",
                               to_string(static_cast<Detector>(i)), n));
        }
    }
}

}  // namespace

Result<void> explain(const ExplainOptions& options, const text::Settings& settings,
                     world::Files& files, const Log& log, const ExplainPrint& print) {
    if (!options.names.empty()) {
        TRY(explain_names(options.names, settings, files, print));
    }
    if (options.captures.empty()) {
        return {};
    }
    const auto explainer = TRY(Explainer::open(options, settings, files, log, print));
    for (const std::string& path : options.captures) {
        TRY(explainer->capture(path, files));
    }
    explainer->finish();
    return {};
}

}  // namespace tapir::edge
