#include <map>

#include <fmt/format.h>

#include "commands.hpp"
#include "tapir/ledger/checkpoint.hpp"
#include "tapir/ledger/leaf.hpp"
#include "tapir/ledger/log.hpp"
#include "tapir/world/files.hpp"

namespace tapir::cli {
namespace {

constexpr std::size_t openings_size_max = 1U << 30U;
constexpr std::size_t payload_size_max = 256U << 20U;
constexpr std::size_t verifier_size_max = 1024;

using Openings = std::map<ledger::Commitment, ledger::Opening>;

// The salts that stay with the operator: a line each.
Result<Openings> read_openings(world::Files& files, const std::string& path) {
    Openings openings;
    if (!files.exists(path)) {
        return openings;
    }
    const Bytes octets = TRY(files.read(path, openings_size_max));
    std::string_view text = as_text(octets);
    for (std::size_t line = 1; !text.empty(); ++line) {
        const std::string_view one = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), one.size() + 1));
        auto opening = ledger::Opening::parse(one);
        if (!opening) {
            return fail(Error(opening.error()).at(fmt::format("{}:{}", path, line)));
        }
        openings.insert_or_assign(opening->commitment, *opening);
    }
    return openings;
}

// Compares the files that were sent with what the leaves say of them.
class SentFiles {
public:
    SentFiles(world::Files& files, std::string folder, Openings openings)
        : files_(files), folder_(std::move(folder)), openings_(std::move(openings)) {}

    Result<void> visit(std::uint64_t index, ByteView octets) {
        const ledger::Leaf leaf = TRY(ledger::Leaf::parse(octets));
        for (const ledger::LeafPayload& payload : leaf.payloads) {
            TRY(check(index, payload));
        }
        return {};
    }
    std::uint64_t compared() const { return compared_; }
    std::uint64_t absent() const { return absent_; }

private:
    Result<void> check(std::uint64_t index, const ledger::LeafPayload& payload) {
        const std::string path = folder_ + "/" + payload.name;
        const auto opening = openings_.find(payload.commitment);
        if (!files_.exists(path)) {
            ++absent_;
            return {};
        }
        if (opening == openings_.end()) {
            return fail(Code::corrupt,
                        fmt::format("{}: is here, but openings.jsonl has no line for what leaf {} "
                                    "says was sent: it cannot be checked",
                                    path, index));
        }
        const Bytes sent = TRY(files_.read(path, payload_size_max));
        if (sent.size() != payload.size ||
            !ledger::verify_commitment(payload.commitment, opening->second.salt, sent)) {
            return fail(Code::corrupt,
                        fmt::format("{}: is not what leaf {} says was sent", path, index));
        }
        ++compared_;
        return {};
    }

    world::Files& files_;
    std::string folder_;
    Openings openings_;
    std::uint64_t compared_ = 0;
    std::uint64_t absent_ = 0;
};

}  // namespace

Result<ledger::NoteVerifier> read_verifier(world::Files& files, const std::string& folder) {
    std::string words(as_text(TRY(files.read(folder + "/verifier", verifier_size_max))));
    words.erase(words.find_last_not_of(" \r\n") + 1);
    return ledger::NoteVerifier::parse(words);
}

Result<std::string> verify_ledger(const std::string& folder, const VerifyOptions& options) {
    world::SystemFiles files;
    const auto verifier =
        TRY(options.verifier.empty() ? read_verifier(files, folder)
                                     : ledger::NoteVerifier::parse(options.verifier));
    SentFiles sent(files, options.sent.empty() ? folder + "/.." : options.sent,
                   TRY(read_openings(files, folder + "/openings.jsonl")));
    const ledger::ReadFile read = [&](std::string_view path) {
        return files.read(fmt::format("{}/{}", folder, path), ledger::bundle_size_max);
    };
    const ledger::LogReport report =
        TRY(ledger::verify_log(read, verifier, [&](std::uint64_t index, ByteView leaf) {
            return sent.visit(index, leaf);
        }));
    return fmt::format(
        "{}: {} leaves, {} tiles, {} entry bundles: all agree with the checkpoint\n"
        "{} sent files compared and as committed; {} are not here (erased)\n",
        verifier.origin, report.head.size, report.tiles, report.bundles, sent.compared(),
        sent.absent());
}

}  // namespace tapir::cli
