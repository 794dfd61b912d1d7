#include "tapir/ledger/checkpoint.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"
#include "tapir/crypto/base64.hpp"
#include "tapir/crypto/digest.hpp"
#include "tapir/ledger/log.hpp"

namespace tapir::ledger {
namespace {

constexpr std::uint8_t ed25519_mark = 0x01;  // signed-note: the kind of key
constexpr std::size_t key_id_size = 4;
constexpr std::string_view signature_start = "\xe2\x80\x94 ";  // em dash, space

Bytes marked(const crypto::PublicKey& key) {
    Bytes octets;
    append_u8(octets, ed25519_mark);
    append(octets, key.x());
    return octets;
}

std::uint32_t key_id_of(std::string_view origin, const crypto::PublicKey& key) {
    Bytes octets = to_bytes(origin);
    append(octets, "\n");
    append(octets, marked(key));
    const crypto::Sha256Digest digest = crypto::sha256(octets);
    return ByteReader(digest).u32();
}

Failure<Error> malformed(std::string_view what) {
    return fail(Code::invalid, fmt::format("checkpoint: {}", what));
}

// The line at the front, without its end; `text` goes on behind it. Nothing if none ends.
std::optional<std::string_view> take_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t size = 0;
    for (const char c : text) {
        if (c < '0' || c > '9' || size > log_size_max) {
            return std::nullopt;
        }
        size = size * 10 + static_cast<std::uint64_t>(c - '0');
    }
    const bool is_canonical = text == std::to_string(size);  // not empty, no zeros in front
    return is_canonical && size <= log_size_max ? std::optional(size) : std::nullopt;
}

Result<TreeHead> parse_body(std::string_view body, std::string_view origin) {
    const auto name = take_line(body);
    const auto size_text = take_line(body);
    const auto root_text = take_line(body);
    if (!name || !size_text || !root_text) {
        return malformed("expected the lines origin, size and root");
    }
    if (*name != origin) {
        return malformed("it is of another log");
    }
    const auto size = parse_size(*size_text);
    if (!size) {
        return malformed("size: expected a decimal number");
    }
    const auto root = crypto::parse_base64(*root_text);
    TreeHead head{.size = *size, .root = {}};
    if (!root || root->size() != head.root.size()) {
        return malformed("root: expected 32 octets in base64");
    }
    std::ranges::copy(*root, head.root.begin());
    return head;
}

// Whether one of the signature lines is the verifier's and good.
Result<bool> is_signed(std::string_view lines, std::string_view body,
                       const NoteVerifier& verifier) {
    bool is_good = false;
    for (std::size_t count = 0; !lines.empty(); ++count) {
        const auto line = take_line(lines);
        if (!line || !line->starts_with(signature_start) || count == note_signature_count_max) {
            return malformed("expected lines of signatures");
        }
        const std::string_view rest = line->substr(signature_start.size());
        const std::size_t space = rest.find(' ');
        if (space == std::string_view::npos) {
            return malformed("expected a name and a signature");
        }
        if (rest.substr(0, space) != verifier.origin) {
            continue;
        }
        const auto octets = crypto::parse_base64(rest.substr(space + 1));
        if (!octets || octets->size() <= key_id_size) {
            return malformed("signature: expected base64");
        }
        ByteReader reader(*octets);
        is_good = is_good || (reader.u32() == verifier.key_id() &&
                              verifier.key.verify(crypto::SignatureAlgorithm::ed25519,
                                                  as_bytes(body), reader.rest()));
    }
    return is_good;
}

}  // namespace

bool is_origin(std::string_view text) {
    return !text.empty() && text.size() <= origin_size_max &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '+'; });
}

Result<NoteVerifier> NoteVerifier::parse(std::string_view text) {
    const std::size_t first = text.find('+');
    const std::size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
    if (second == std::string_view::npos || !is_origin(text.substr(0, first))) {
        return fail(Code::invalid, "note key: expected NAME+ID+KEY");
    }
    const Bytes octets = TRY(crypto::parse_base64(text.substr(second + 1)));
    if (octets.size() != 1 + crypto::ed25519_size || octets[0] != std::byte{ed25519_mark}) {
        return fail(Code::invalid, "note key: expected an Ed25519 key");
    }
    crypto::PublicKey key = TRY(crypto::PublicKey::ed25519(ByteView(octets).subspan(1)));
    NoteVerifier verifier{std::string(text.substr(0, first)), std::move(key)};
    if (text.substr(first + 1, second - first - 1) != fmt::format("{:08x}", verifier.key_id())) {
        return fail(Code::invalid, "note key: the id is not that of name and key");
    }
    return verifier;
}

std::string NoteVerifier::to_string() const {
    return fmt::format("{}+{:08x}+{}", origin, key_id(), crypto::base64(marked(key)));
}

std::uint32_t NoteVerifier::key_id() const {
    return key_id_of(origin, key);
}

std::string print_checkpoint(const TreeHead& head, std::string_view origin,
                             const crypto::SigningKey& key) {
    TAPIR_ASSERT(is_origin(origin));
    const std::string body =
        fmt::format("{}\n{}\n{}\n", origin, head.size, crypto::base64(head.root));
    Bytes signature;
    append_u32(signature, key_id_of(origin, key.public_key()));
    append(signature, key.sign(as_bytes(body)));
    return fmt::format("{}\n{}{} {}\n", body, signature_start, origin, crypto::base64(signature));
}

Result<TreeHead> parse_checkpoint(std::string_view text, const NoteVerifier& verifier) {
    if (text.size() > checkpoint_size_max) {
        return malformed("too large");
    }
    const std::size_t blank = text.rfind("\n\n");
    if (blank == std::string_view::npos) {
        return malformed("expected an empty line before the signatures");
    }
    const std::string_view body = text.substr(0, blank + 1);
    const bool is_good = TRY(is_signed(text.substr(blank + 2), body, verifier));
    if (!is_good) {
        return fail(Code::denied, "checkpoint: no good signature of this key");
    }
    return parse_body(body, verifier.origin);
}

}  // namespace tapir::ledger
