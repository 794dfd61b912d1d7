#include "tapir/edge/migrate.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <span>

#include <fmt/format.h>

#include "migrate_source.hpp"
#include "tapir/edge/settings.hpp"

namespace tapir::edge {
namespace {

const text::SettingTable& ours() {
    static const text::SettingTable table = settings_table();
    return table;
}

constexpr std::string_view public_salt = "edm-kdf-salt-val";
constexpr std::int64_t workers_max = 64;

// The text that is written, and what is said about it.
class Draft {
public:
    Draft(const OldSettings& old, Migration& out) : old_(old), out_(out) {
        for (const text::Setting& setting : ours()) {
            known_.insert(setting.key);
        }
    }

    // The settings that the new file begins with, whatever the old one says.
    void begin(const std::string& file);
    // The old setting as a comment; its value only if it may be seen.
    void head(std::string_view key, bool is_secret = false);
    void comment(std::string_view sentence) {
        while (sentence.ends_with(' ')) {
            sentence.remove_suffix(1);
        }
        line(fmt::format("# {}", sentence));
    }
    // Our setting. If this version does not have it, or it is `off`, as a comment.
    void set(std::string_view target, std::string_view value, bool is_off = false);
    // Our list, without anything in it.
    void set_none(std::string_view target) {
        line(fmt::format("{} = []", target));
        done_.emplace(target);
    }
    void remark(RemarkKind kind, std::string_view key, std::string what);
    void fault(std::string_view key, std::string_view what);

    const OldSettings& old() const { return old_; }
    OldFiles& files() { return out_.files; }

private:
    void line(std::string_view text) {
        out_.settings += text;
        out_.settings += '\n';
    }

    const OldSettings& old_;
    Migration& out_;
    std::set<std::string, std::less<>> known_;
    std::set<std::string, std::less<>> done_;  // a key may stand in a file once
};

// "key = value" as our own printer writes it, so that it reads back whatever the value is.
Result<std::string> printed(std::string_view target, std::string_view value) {
    const bool is_boolean = value == "true" || value == "false";
    auto row = is_boolean ? text::Setting::boolean(std::string(target), false, "")
                          : text::Setting::string(std::string(target), "", "");
    for (const text::Setting& setting : ours()) {
        // A list of one is written as its text: as text it reads back whatever is in it.
        if (setting.key == target &&
            (setting.type != text::SettingType::strings || value.starts_with("[\""))) {
            row = setting;
        }
    }
    const std::vector<std::string> words{fmt::format("{}={}", target, value)};
    std::string out = TRY(text::Settings::parse("", "", {row}, words)).to_canonical();
    out.pop_back();  // its line's end
    return out;
}

void Draft::begin(const std::string& file) {
    const auto name = printed("file", file);
    line(fmt::format("# Settings of tapir-edge, made from those of the existing minimiser{}.",
                     name && !file.empty() ? name->substr(std::string_view("file =").size()) : ""));
    line("");
    line("# What follows has no counterpart there.");
    comment("How much may leave. There: every name at first sight, counts from one client on.");
    comment("Here: what enough clients of enough networks ask for (profile standard).");
    set("release.profile", "standard");
    remark(RemarkKind::warning, "",
           "release.profile: the existing minimiser sends every name at first sight and counts "
           "from one client on; standard sends what enough clients ask for. The same as there is "
           "compatible, which needs a dated release.consent");
    comment("Networks whose clients count. To be decided: those of this resolver's clients.");
    comment("client_networks = [\"10.0.0.0/8\", \"2001:db8::/32\"]");
    remark(RemarkKind::decision, "",
           "client_networks: the networks of this resolver's clients; as long as it is not set, "
           "only private ones count");
}

void Draft::head(std::string_view key, bool is_secret) {
    std::string value;
    for (const text::Setting& row : old_settings_table()) {
        if (row.key != key) {
            continue;
        }
        if (row.type == text::SettingType::boolean) {
            value = old_.boolean(key) ? "true" : "false";
        } else if (row.type == text::SettingType::integer) {
            value = std::to_string(old_.integer(key));
        } else {
            const auto shown = printed("value", old_.string(key));
            value = shown ? shown->substr(std::string_view("value = ").size()) : "?";
        }
    }
    line("");
    line(fmt::format("# {} = {}    ({})", key, is_secret ? "(not shown)" : value, old_.place(key)));
}

void Draft::set(std::string_view target, std::string_view value, bool is_off) {
    auto text = printed(target, value);
    if (!text) {
        fault(target, text.error().what());
        return;
    }
    if (!known_.contains(target)) {
        comment(fmt::format("This version does not have {}; from one on that does:", target));
    }
    const bool is_comment = is_off || !known_.contains(target) || done_.contains(target);
    line(fmt::format("{}{}", is_comment ? "# " : "", *text));
    if (!is_comment) {
        done_.emplace(target);
    }
}

void Draft::remark(RemarkKind kind, std::string_view key, std::string what) {
    out_.remarks.push_back(
        {.kind = kind,
         .place = key.empty() ? std::string() : old_.place(key),
         .what = key.empty() ? std::move(what) : fmt::format("{}: {}", key, what)});
}

void Draft::fault(std::string_view key, std::string_view what) {
    out_.faults.push_back(fmt::format("{}: {}", key, what));
}

// ------------------------------------------------------------------ one function for each way

struct Rule {
    std::string_view key;
    void (*apply)(Draft&, const Rule&);
    std::string_view target;    // our setting; none: empty
    std::string_view sentence;  // why, or what is otherwise here
};

// Whether it says anything: given, or a default that acts.
bool speaks(const Draft& draft, const Rule& rule) {
    return draft.old().is_given(rule.key);
}

void carry(Draft& draft, const Rule& rule) {
    const std::string& value = draft.old().string(rule.key);
    if (value.empty()) {
        return;
    }
    draft.head(rule.key);
    draft.comment(fmt::format("Carried over as {}. {}", rule.target, rule.sentence));
    draft.set(rule.target, value);
}

// The same, but of a transport that may be off.
template <const char* Off>
void carry_unless(Draft& draft, const Rule& rule) {
    if (!draft.old().boolean(Off)) {
        carry(draft, rule);
    } else if (speaks(draft, rule)) {
        draft.head(rule.key);
        draft.comment(fmt::format("Without effect there: {} is set.", Off));
    }
}

void supersede(Draft& draft, const Rule& rule) {
    if (!speaks(draft, rule)) {
        return;
    }
    draft.head(rule.key);
    draft.comment(fmt::format("Superseded: {}", rule.sentence));
}

// The same where it was a wish that is not met here.
void supersede_wish(Draft& draft, const Rule& rule) {
    supersede(draft, rule);
    if (speaks(draft, rule)) {
        draft.remark(RemarkKind::warning, rule.key, std::string(rule.sentence));
    }
}

constexpr char no_mqtt[] = "disable-mqtt";
constexpr char no_sender[] = "disable-histogram-sender";

// Inputs: HOST:PORT as Go has it; an empty host is every address of the machine.
void listen(Draft& draft, const Rule& rule) {
    const std::string& value = draft.old().string(rule.key);
    if (value.empty()) {
        return;
    }
    draft.head(rule.key);
    const std::size_t colon = value.rfind(':');
    std::string host = value.substr(0, colon);
    const bool is_everywhere = host.empty();
    host = is_everywhere ? "[::]" : host == "localhost" ? "127.0.0.1" : host;
    const bool is_address =
        host.starts_with('[') || host.find_first_not_of("0123456789.") == std::string::npos;
    if (colon == std::string::npos || !is_address) {
        draft.comment(fmt::format("To be decided: {} takes an address, not a name.", rule.target));
        draft.set(rule.target, value, true);
        draft.remark(RemarkKind::decision, rule.key,
                     fmt::format("{} takes ADDRESS:PORT, no host name", rule.target));
        return;
    }
    draft.comment(fmt::format("Carried over as {}.", rule.target));
    draft.set(rule.target, host + value.substr(colon));
    if (is_everywhere) {
        draft.remark(RemarkKind::warning, rule.key, "listens at every address of this machine");
    }
    if (host != "127.0.0.1" && host != "[::1]") {
        draft.comment("There everybody may connect, here only whom input.allow names.");
        draft.set("input.allow", R"(["0.0.0.0/0", "::/0"])");
        draft.remark(RemarkKind::warning, rule.key,
                     "everybody may connect: set input.allow to the resolvers' addresses");
    }
    if (!rule.sentence.empty()) {
        draft.remark(RemarkKind::warning, rule.key, std::string(rule.sentence));
    }
}

void unix_input(Draft& draft, const Rule& rule) {
    const std::string& value = draft.old().string(rule.key);
    int inputs = 0;
    for (const std::string_view key : {"input-unix", "input-tcp", "input-tls"}) {
        inputs += draft.old().string(key).empty() ? 0 : 1;
    }
    if (inputs != 1) {
        draft.remark(RemarkKind::warning, rule.key,
                     fmt::format("the existing minimiser starts with exactly one input, here are "
                                 "{}; ours takes several",
                                 inputs));
    }
    if (!value.empty()) {
        carry(draft, rule);
    } else if (inputs > 0) {
        draft.head(rule.key);
        draft.comment("Carried over as input.unix: none.");
        draft.set_none("input.unix");
    }
}

void sessions(Draft& draft, const Rule& rule) {
    draft.head(rule.key);
    if (draft.old().boolean(rule.key)) {
        draft.comment("Carried over as sessions.enabled: none.");
        draft.set("sessions.enabled", "false");
        return;
    }
    draft.comment(
        "To be decided: session files are on there and kept for ever; here they are off,");
    draft.comment("and where they are on they are encrypted and erased after seven days at most.");
    draft.set("sessions.enabled", "true", true);
    draft.remark(RemarkKind::decision, rule.key,
                 "session files are on there by default and kept for ever; here they stay off "
                 "unless sessions.enabled says otherwise");
}

void cryptopan_key(Draft& draft, const Rule& rule) {
    draft.head(rule.key, true);
    const bool is_needed = !draft.old().boolean("disable-session-files");
    draft.comment(
        "Keys stand in files here, never in settings: to be written to a file of mode 0600.");
    draft.comment("It acts on session files alone.");
    draft.set(rule.target, "/etc/tapir/keys/cryptopan.key", true);
    if (draft.old().string(rule.key).empty()) {
        draft.remark(RemarkKind::warning, rule.key,
                     "the existing minimiser does not start without one");
    } else {
        draft.remark(is_needed ? RemarkKind::decision : RemarkKind::note, rule.key,
                     "is not copied: put it into a file of mode 0600 and name that in "
                     "sessions.cryptopan_key_file, if session files are wanted. The old settings "
                     "file holds a secret: remove it when it is no longer needed");
    }
}

void cryptopan_salt(Draft& draft, const Rule& rule) {
    const bool is_public = draft.old().string(rule.key) == public_salt;
    draft.head(rule.key);
    draft.comment(fmt::format("Carried over as {}.{}", rule.target,
                              is_public ? " It is the public default: everybody has it." : ""));
    draft.set(rule.target, draft.old().string(rule.key));
    if (is_public) {
        draft.remark(RemarkKind::warning, rule.key,
                     "is the public default: whoever guesses the key knows every client. Change "
                     "it if pseudonyms need not stay the same");
    }
}

void list(Draft& draft, const Rule& rule) {
    const std::string& value = draft.old().string(rule.key);
    carry(draft, rule);
    if (rule.target == "lists.well_known") {
        draft.files().well_known = value;
    } else if (rule.target == "lists.ignored_clients") {
        draft.files().ignored_clients = value;
    } else {
        draft.files().ignored_names = value;
    }
    if (!value.empty() && !value.starts_with('/')) {
        draft.remark(RemarkKind::warning, rule.key,
                     "is not an absolute path: it counts from where the daemon is started");
    }
}

void data_dir(Draft& draft, const Rule& rule) {
    draft.files().data_dir = draft.old().string(rule.key);
    draft.head(rule.key);
    draft.comment("Superseded by state.dir, a folder of its own: the formats differ, and so the");
    draft.comment(
        "existing minimiser can be started again. --adopt-state lists what is left there.");
    draft.set(rule.target, "/var/lib/tapir/edge");
}

void workers(Draft& draft, const Rule& rule) {
    const std::int64_t wanted = draft.old().integer(rule.key);
    if (!speaks(draft, rule)) {
        return;
    }
    draft.head(rule.key);
    if (wanted <= 0) {
        draft.comment("To be decided: as many as there are processors there. One thread here does");
        draft.comment("what thirty do there: the default, 1, is enough for most.");
        draft.set(rule.target, "1", true);
        draft.remark(RemarkKind::note, rule.key, "all processors there; here 1 unless set");
        return;
    }
    draft.comment("Carried over as workers. One thread here does what thirty do there.");
    draft.set(rule.target, std::to_string(std::min(wanted, workers_max)));
    if (wanted > workers_max) {
        draft.remark(RemarkKind::warning, rule.key, "at most 64 here");
    }
}

void threshold(Draft& draft, const Rule& rule) {
    if (speaks(draft, rule)) {
        draft.head(rule.key);
        draft.comment("Carried over. Acts in profile compatible.");
        draft.set(rule.target, std::to_string(draft.old().integer(rule.key)));
    }
}

// Two signing keys there, one here.
void signing_key_file(Draft& draft, const Rule& rule) {
    const bool uses_mqtt = !draft.old().boolean(no_mqtt);
    const bool uses_http = !draft.old().boolean(no_sender);
    const std::string& mqtt = draft.old().string("mqtt-signing-key-file");
    const std::string& http = draft.old().string("http-signing-key-file");
    const bool is_mqtt = rule.key == "mqtt-signing-key-file";
    const bool is_the_one = is_mqtt ? uses_mqtt : uses_http && !uses_mqtt;
    if (is_the_one) {
        carry(draft, rule);
        draft.files().signing_key = is_mqtt ? mqtt : http;
    } else if (is_mqtt ? uses_mqtt : uses_http) {
        if (mqtt == http) {
            draft.head(rule.key);
            draft.comment("Carried over as keys.signing: the same file.");
            return;
        }
        draft.files().other_signing_key = http;
        draft.head(rule.key);
        draft.comment("To be decided: there are two keys there, one here: it signs all.");
        draft.set(rule.target, http, true);
        draft.remark(RemarkKind::decision, rule.key,
                     "another key than mqtt-signing-key-file: here keys.signing signs events and "
                     "histograms. If the receiver knows both, that of MQTT is taken");
    } else if (speaks(draft, rule)) {
        draft.head(rule.key);
        draft.comment("Without effect there: what it signs is switched off.");
    }
}

struct Scheme {
    std::string_view there;
    std::string_view here;
};
// No target: there is no such transport here.
constexpr std::array<Scheme, 9> schemes{{{"mqtt", "mqtt"},
                                         {"tcp", "mqtt"},
                                         {"ssl", "mqtts"},
                                         {"tls", "mqtts"},
                                         {"mqtts", "mqtts"},
                                         {"mqtt+ssl", "mqtts"},
                                         {"tcps", "mqtts"},
                                         {"ws", ""},
                                         {"wss", ""}}};

void mqtt_server(Draft& draft, const Rule& rule) {
    const std::string& value = draft.old().string(rule.key);
    if (draft.old().boolean(no_mqtt)) {
        if (speaks(draft, rule)) {
            draft.head(rule.key);
            draft.comment("Without effect there: disable-mqtt is set.");
        }
        return;
    }
    draft.head(rule.key);
    const std::size_t at = value.find("://");
    const std::string scheme = at == std::string::npos ? "tls" : value.substr(0, at);
    const std::string rest = at == std::string::npos ? value : value.substr(at + 3);
    const auto* known = std::ranges::find(schemes, scheme, &Scheme::there);
    if (known == schemes.end() || known->here.empty()) {
        draft.comment("To be decided: this scheme is not spoken here.");
        draft.set(rule.target, "mqtts://" + rest, true);
        draft.remark(
            RemarkKind::decision, rule.key,
            "of its schemes, mqtt and mqtts are spoken here: which port has MQTT over TLS?");
        return;
    }
    draft.comment(fmt::format("Carried over as {}.", rule.target));
    draft.set(rule.target, fmt::format("{}://{}", known->here, rest));
    if (known->here == "mqtt") {
        draft.remark(RemarkKind::warning, rule.key,
                     "is plain text; here it is taken on loopback alone: what leaves a machine "
                     "goes over TLS");
    }
    draft.remark(RemarkKind::note, rule.key,
                 "the client identifier is KID-tapir here, KID-edm there. Where the broker's rules "
                 "name it, set mqtt.client_id; two that run at once must differ");
}

void http_url(Draft& draft, const Rule& rule) {
    const std::string& value = draft.old().string(rule.key);
    if (draft.old().boolean(no_sender)) {
        if (speaks(draft, rule)) {
            draft.head(rule.key);
            draft.comment("Without effect there: disable-histogram-sender is set.");
        }
        return;
    }
    draft.head(rule.key);
    if (!value.starts_with("https://")) {
        draft.comment("To be decided: only https is spoken here.");
        draft.set(rule.target, value, true);
        draft.remark(RemarkKind::decision, rule.key, "only https is spoken here");
        return;
    }
    draft.comment(fmt::format("Carried over as {}.", rule.target));
    draft.set(rule.target, value);
}

void switch_off(Draft& draft, const Rule& rule) {
    if (!speaks(draft, rule)) {
        return;
    }
    draft.head(rule.key);
    if (!draft.old().boolean(rule.key)) {
        draft.comment(fmt::format("Carried over as {}, below.", rule.target));
        return;
    }
    draft.comment(fmt::format("Carried over as {}: none. {}", rule.target, rule.sentence));
    draft.set(rule.target, "");
    if (rule.key == no_mqtt && !draft.old().boolean(no_sender)) {
        draft.remark(RemarkKind::warning, rule.key,
                     "there no events leave at all; here, without a broker, they go to core.url "
                     "with the histograms");
    }
}

// ------------------------------------------------------------------ the table

// What becomes of each key. The third column is the one place where our names stand.
constexpr Rule rules[] = {
    {"config-file", supersede, "", "the file is named with --config alone."},
    {"input-unix", unix_input, "input.unix", ""},
    {"input-tcp", listen, "input.tcp",
     "is plain text: frames with client addresses pass the network in the clear"},
    {"input-tls", listen, "input.tls", ""},
    {"input-tls-cert-file", carry, "input.tls_cert", ""},
    {"input-tls-key-file", carry, "input.tls_key", "Others must not be able to read it."},
    {"input-tls-client-ca-file", carry, "input.tls_client_ca", ""},
    {"well-known-domains-file", list, "lists.well_known", "The file is used as it is."},
    {"ignored-client-ips-file", list, "lists.ignored_clients", "The file is used as it is."},
    {"ignored-question-names-file", list, "lists.ignored_names", "The file is used as it is."},
    {"data-dir", data_dir, "state.dir", ""},
    {"minimiser-workers", workers, "workers", ""},
    {"mqtt-signing-key-file", signing_key_file, "keys.signing", "The file is used as it is."},
    {"http-signing-key-file", signing_key_file, "keys.signing", "The file is used as it is."},
    {"disable-mqtt", switch_off, "mqtt.url", ""},
    {"mqtt-server", mqtt_server, "mqtt.url", ""},
    {"mqtt-ca-file", carry_unless<no_mqtt>, "mqtt.ca", ""},
    {"mqtt-client-cert-file", carry_unless<no_mqtt>, "mqtt.cert", ""},
    {"mqtt-client-key-file", carry_unless<no_mqtt>, "mqtt.key", ""},
    {"mqtt-keepalive", supersede, "", "the connection is kept alive, and renewed when it breaks."},
    {"mqtt-sign-workers", supersede, "",
     "names that leave are few: they are signed where they are released."},
    {"disable-mqtt-filequeue", supersede, "",
     "events wait in the outbox on the disk, together with the histograms of their minute; what "
     "has not reached the receiver is never in memory only."},
    {"newqname-buffer", supersede, "",
     "nothing waits in a buffer that could be full; what is pending has fixed memory."},
    {"disable-histogram-sender", switch_off, "core.url", ""},
    {"http-url", http_url, "core.url", ""},
    {"http-ca-file", carry_unless<no_sender>, "core.ca", ""},
    {"http-client-cert-file", carry_unless<no_sender>, "core.cert", ""},
    {"http-client-key-file", carry_unless<no_sender>, "core.key", ""},
    {"histogram-hll-explicit-threshold", threshold, "histogram.hll_explicit_threshold", ""},
    {"qname-seen-entries", supersede, "",
     "names that wait have fixed memory, names that were released lie in the store."},
    {"pebble-sync", supersede, "", "what was accepted is always on the disk before it leaves."},
    {"disable-session-files", sessions, "sessions.enabled", ""},
    {"cryptopan-key", cryptopan_key, "sessions.cryptopan_key_file", ""},
    {"cryptopan-key-salt", cryptopan_salt, "sessions.cryptopan_salt", ""},
    {"cryptopan-address-entries", supersede, "",
     "no table of clients and their pseudonyms is kept in memory."},
    {"enable-manual-parquet-rotation", supersede_wish, "",
     "a file ends at its minute and at a stop, never by request: two requests would tell what came "
     "between them."},
    {"debug", supersede_wish, "", "the log has one level; tapir-edge top shows what goes on."},
    {"debug-dnstap-filename", supersede_wish, "",
     "frames with client addresses are written nowhere; fstrm_capture beside it does that."},
    {"debug-enable-blockprofiling", supersede, "", "is of the language of the other program."},
    {"debug-enable-mutexprofiling", supersede, "", "is of the language of the other program."},
};

// A secret must not come out in an error either.
std::string without_secret(std::string fault) {
    const std::size_t at = fault.find("cryptopan-key: expected");
    if (const std::size_t got = fault.find(", got", at);
        at != std::string::npos && got != std::string::npos) {
        fault.resize(got);
    }
    return fault;
}

}  // namespace

std::string_view to_string(RemarkKind kind) {
    constexpr std::array<std::string_view, 3> names{"note", "warning", "to decide"};
    return names.at(static_cast<std::size_t>(kind));
}

Migration migrate(const OldConfiguration& configuration) {
    Migration out;
    const OldSettings old = OldSettings::read(configuration);
    for (const std::string& fault : old.faults()) {
        out.faults.push_back(without_secret(fault));
    }
    if (!out.faults.empty()) {
        return out;
    }
    Draft draft(old, out);
    draft.begin(configuration.file);
    for (const Rule& rule : rules) {
        rule.apply(draft, rule);
    }
    if (!out.faults.empty()) {
        out.settings.clear();
    }
    return out;
}

}  // namespace tapir::edge
