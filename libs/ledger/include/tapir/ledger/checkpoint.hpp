// What a log's owner stands for: size and root, signed (C2SP tlog-checkpoint, signed-note).
//
//     const NoteKey key{"edge-1.example/ledger", signing_key};
//     const std::string text = print_checkpoint(head, key);
//     const Checkpoint read = TRY(parse_checkpoint(text, verifier));
//
// The note's three lines are origin, size in decimal, root in base64; then an empty line and one
// line a signature: "— NAME BASE64(id of 4 octets, signature)". The origin is the key's name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tapir/base/result.hpp"
#include "tapir/crypto/signature.hpp"
#include "tapir/ledger/merkle.hpp"

namespace tapir::ledger {

inline constexpr std::size_t checkpoint_size_max = 16U << 10U;  // octets of text
inline constexpr std::size_t note_signature_count_max = 16;
inline constexpr std::size_t origin_size_max = 255;  // octets

// Whether `text` may name a log: 1 to 255 printable ASCII characters without space and plus.
bool is_origin(std::string_view text);

// Who may sign checkpoints of a log.
struct NoteVerifier {
    std::string origin;
    crypto::PublicKey key;  // Ed25519

    // "NAME+id in hex+base64(0x01 key)", as other tools take it.
    static Result<NoteVerifier> parse(std::string_view text);
    std::string to_string() const;
    // The first 4 octets of SHA-256(origin LF 0x01 key).
    std::uint32_t key_id() const;
};

// `origin` obeys is_origin (asserted).
std::string print_checkpoint(const TreeHead& head, std::string_view origin,
                             const crypto::SigningKey& key);

// The head if the note is the verifier's log's and bears its good signature; signatures of others
// are not looked at. Code::denied: no good signature; Code::invalid: no such note.
Result<TreeHead> parse_checkpoint(std::string_view text, const NoteVerifier& verifier);

}  // namespace tapir::ledger
