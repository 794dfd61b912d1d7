#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/crypto/base64.hpp"
#include "tapir/ledger/checkpoint.hpp"
#include "tapir/ledger/leaf.hpp"
#include "tapir/ledger/log.hpp"
#include "tapir/ledger/merkle.hpp"

namespace tapir::ledger {
namespace {

const crypto::SigningKey& test_key() {
    static const crypto::SigningKey key =
        crypto::SigningKey::from_seed(crypto::Secret::copy_of(Bytes(32, std::byte{7}))).value();
    return key;
}

NoteVerifier verifier() {
    return {"edge-1.example/ledger", test_key().public_key()};
}

// Files in memory.
struct Folder {
    std::map<std::string, Bytes, std::less<>> files;

    ReadFile reader() const {
        return [this](std::string_view path) -> Result<Bytes> {
            const auto found = files.find(path);
            return found == files.end() ? Result<Bytes>(fail(Code::not_found, std::string(path)))
                                        : Result<Bytes>(found->second);
        };
    }
    void write(const LogStep& step) {
        for (const LogFile& file : step.files) {
            files[file.path] = file.octets;
        }
        for (const std::string& path : step.superseded) {
            EXPECT_EQ(files.erase(path), 1U) << path;
        }
    }
};

Bytes leaf_of(std::uint64_t i) {
    return to_bytes(fmt::format("leaf {}", i));
}

// Appends leaves number [size, size + count).
void grow(Log& log, Folder& folder, std::uint64_t count) {
    std::vector<Bytes> leaves;
    for (std::uint64_t i = 0; i < count; ++i) {
        leaves.push_back(leaf_of(log.head().size + i));
    }
    const auto step = log.append(leaves, test_key());
    ASSERT_TRUE(step);
    folder.write(*step);
}

Hash root_of_first(std::uint64_t count) {
    std::vector<Hash> hashes;
    for (std::uint64_t i = 0; i < count; ++i) {
        hashes.push_back(hash_leaf(leaf_of(i)));
    }
    return root_of(hashes);
}

TEST(Merkle, KnowsThePublishedTree) {
    // The inputs and roots of RFC 6962's reference implementation.
    const std::vector<std::string> inputs{"",
                                          "00",
                                          "10",
                                          "2021",
                                          "3031",
                                          "40414243",
                                          "5051525354555657",
                                          "606162636465666768696a6b6c6d6e6f"};
    const std::map<std::size_t, std::string> roots{
        {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
        {2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
        {3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
        {8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"}};
    for (const auto& [size, root] : roots) {
        std::vector<Hash> hashes;
        for (std::size_t i = 0; i < size; ++i) {
            hashes.push_back(hash_leaf(crypto::parse_hex(inputs[i]).value()));
        }
        EXPECT_EQ(to_hex(root_of(hashes)), root) << size;
    }
}

TEST(Tiles, HavePathsInGroupsOfThreeDigits) {
    EXPECT_EQ(tile_path(0, 0, 256), "tile/0/000");
    EXPECT_EQ(tile_path(0, 0, 1), "tile/0/000.p/1");
    EXPECT_EQ(tile_path(3, 1'234'067, 256), "tile/3/x001/x234/067");
    EXPECT_EQ(tile_path(1, 1000, 255), "tile/1/x001/000.p/255");
    EXPECT_EQ(entries_path(1'000'000, 7), "tile/entries/x001/x000/000.p/7");
}

TEST(Checkpoint, IsASignedNote) {
    const TreeHead head{.size = 20'852'163, .root = hash_leaf(leaf_of(0))};
    const std::string text = print_checkpoint(head, "edge-1.example/ledger", test_key());
    EXPECT_TRUE(text.starts_with("edge-1.example/ledger\n20852163\n" + crypto::base64(head.root) +
                                 "\n\n\xe2\x80\x94 edge-1.example/ledger "));
    EXPECT_EQ(parse_checkpoint(text, verifier()).value(), head);
    EXPECT_EQ(text, print_checkpoint(head, "edge-1.example/ledger", test_key()));
    const NoteVerifier again = NoteVerifier::parse(verifier().to_string()).value();
    EXPECT_EQ(parse_checkpoint(text, again).value(), head);
    EXPECT_EQ(again.to_string(), verifier().to_string());
}

TEST(Checkpoint, SignaturesOfOthersAreNotLookedAt) {
    const TreeHead head{.size = 3, .root = {}};
    std::string text = print_checkpoint(head, "edge-1.example/ledger", test_key());
    text += "\xe2\x80\x94 witness.example AAAAAAAA\n";
    EXPECT_EQ(parse_checkpoint(text, verifier()).value(), head);
    for (std::size_t i = 0; i < note_signature_count_max; ++i) {
        text.insert(text.find("\n\n") + 2, "\xe2\x80\x94 witness.example AAAAAAAA\n");
    }
    EXPECT_FALSE(parse_checkpoint(text, verifier()));
}

TEST(Checkpoint, EachChangedCharacterIsFound) {
    const TreeHead head{.size = 3, .root = {}};
    const std::string text = print_checkpoint(head, "edge-1.example/ledger", test_key());
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string changed = text;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        EXPECT_FALSE(parse_checkpoint(changed, verifier())) << i;
        EXPECT_FALSE(parse_checkpoint(text.substr(0, i), verifier())) << i;
    }
    const crypto::SigningKey other =
        crypto::SigningKey::from_seed(crypto::Secret::copy_of(Bytes(32))).value();
    EXPECT_EQ(parse_checkpoint(print_checkpoint(head, "edge-1.example/ledger", other), verifier())
                  .error()
                  .code(),
              Code::denied);
    EXPECT_FALSE(
        parse_checkpoint(print_checkpoint(head, "edge-2.example/ledger", test_key()), verifier()));
    EXPECT_FALSE(parse_checkpoint(std::string(checkpoint_size_max + 1, '\n'), verifier()));
}

TEST(Checkpoint, KeysAreReadStrictly) {
    const std::string good = verifier().to_string();
    EXPECT_TRUE(NoteVerifier::parse(good));
    std::string wrong_id = good;
    wrong_id[good.find('+') + 1] ^= 1;
    for (const std::string& bad : {std::string(), std::string("a+b"), "x" + good, "+" + good,
                                   wrong_id, good + "A", good.substr(0, good.size() - 4)}) {
        EXPECT_FALSE(NoteVerifier::parse(bad)) << bad;
    }
}

TEST(Log, IsTheSameHoweverItsLeavesArrive) {
    Log at_once("edge-1.example/ledger");
    Folder one;
    grow(at_once, one, 600);
    Log in_steps("edge-1.example/ledger");
    Folder many;
    for (const std::uint64_t count : {1U, 0U, 254U, 1U, 1U, 255U, 44U, 44U}) {
        grow(in_steps, many, count);
    }
    EXPECT_EQ(one.files, many.files);  // superseded files are gone, so nothing else is there
    EXPECT_EQ(at_once.head().root, root_of_first(600));
    EXPECT_EQ(one.files.size(), 1U + 3 + 3 + 1);  // checkpoint, entries, level 0, level 1
}

TEST(Log, WritesEntriesFirstAndTheCheckpointLast) {
    Log log("edge-1.example/ledger");
    Folder folder;
    grow(log, folder, 255);
    const LogStep step =
        log.append(std::vector<Bytes>{leaf_of(255), leaf_of(256)}, test_key()).value();
    std::vector<std::string> paths;
    for (const LogFile& file : step.files) {
        paths.push_back(file.path);
    }
    EXPECT_EQ(paths,
              (std::vector<std::string>{"tile/entries/000", "tile/entries/001.p/1", "tile/0/000",
                                        "tile/0/001.p/1", "tile/1/000.p/1", "checkpoint"}));
    EXPECT_EQ(step.superseded,
              (std::vector<std::string>{"tile/0/000.p/255", "tile/entries/000.p/255"}));
}

TEST(Log, VerifiesAtEverySizeAroundFullTiles) {
    Log log("edge-1.example/ledger");
    Folder folder;
    for (const std::uint64_t size : {0U, 1U, 2U, 255U, 256U, 257U, 511U, 512U, 513U}) {
        grow(log, folder, size - log.head().size);
        std::uint64_t visited = 0;
        const auto report = verify_log(folder.reader(), verifier(),
                                       [&](std::uint64_t index, ByteView leaf) -> Result<void> {
                                           EXPECT_EQ(index, visited++);
                                           EXPECT_EQ(to_bytes(leaf), leaf_of(index));
                                           return {};
                                       });
        ASSERT_TRUE(report) << size << report.error().what();
        EXPECT_EQ(report->head.size, size);
        EXPECT_EQ(report->head.root, root_of_first(size));
        EXPECT_EQ(visited, size);
    }
}

TEST(Log, VerifiesWhereATreeHasThreeLevelsOfTiles) {
    Log log("edge-1.example/ledger");
    Folder folder;
    grow(log, folder, 65'536 + 300);
    EXPECT_TRUE(folder.files.contains("tile/2/000.p/1"));
    EXPECT_TRUE(verify_log(folder.reader(), verifier()));
    EXPECT_EQ(log.head().root, root_of_first(65'836));
    Log again = Log::open(folder.reader(), verifier()).value();
    grow(again, folder, 1);
    EXPECT_EQ(again.head().root, root_of_first(65'837));
    const std::uint64_t size = again.head().size;
    for (const std::uint64_t index : {0UL, 255UL, 256UL, 65'535UL, 65'536UL, size - 1}) {
        const auto proof = prove_inclusion(folder.reader(), size, index, size).value();
        EXPECT_TRUE(verify_inclusion(hash_leaf(leaf_of(index)), index, again.head(), proof));
    }
    const auto proof = prove_consistency(folder.reader(), size, 65'536, size).value();
    EXPECT_TRUE(verify_consistency({65'536, root_of_first(65'536)}, again.head(), proof));
}

RC_GTEST_PROP(Log, GoesOnAfterEachRestart, ()) {
    Log log("edge-1.example/ledger");
    Folder folder;
    for (auto steps = *rc::gen::inRange(1, 5); steps > 0; --steps) {
        const auto count = *rc::gen::inRange<std::uint64_t>(0, 300);
        grow(log, folder, count);
        log = Log::open(folder.reader(), verifier()).value();
        RC_ASSERT(verify_log(folder.reader(), verifier()).has_value());
    }
    RC_ASSERT(log.head().root == root_of_first(log.head().size));
}

RC_GTEST_PROP(Log, StoppingBetweenTwoFilesLeavesTheOldLog, ()) {
    const auto before = *rc::gen::inRange<std::uint64_t>(1, 600);
    const auto more = *rc::gen::inRange<std::uint64_t>(1, 600);
    Log log("edge-1.example/ledger");
    Folder folder;
    grow(log, folder, before);
    const TreeHead head = log.head();
    std::vector<Bytes> leaves;
    for (std::uint64_t i = 0; i < more; ++i) {
        leaves.push_back(to_bytes(fmt::format("lost {}", i)));
    }
    const LogStep step = log.append(leaves, test_key()).value();
    const auto written = *rc::gen::inRange<std::size_t>(0, step.files.size());
    for (std::size_t i = 0; i < written; ++i) {
        folder.files[step.files[i].path] = step.files[i].octets;
    }
    Log again = Log::open(folder.reader(), verifier()).value();
    RC_ASSERT(again.head() == head);
    RC_ASSERT(verify_log(folder.reader(), verifier()).has_value());
    grow(again, folder, 3);
    RC_ASSERT(again.head().root == root_of_first(before + 3));
    RC_ASSERT(verify_log(folder.reader(), verifier()).has_value());
}

TEST(Log, EachChangedOctetOfEachFileIsFound) {
    Log log("edge-1.example/ledger");
    Folder folder;
    grow(log, folder, 261);
    ASSERT_TRUE(verify_log(folder.reader(), verifier()));
    for (const auto& [path, octets] : std::map(folder.files)) {
        const std::size_t step = octets.size() / 64 + 1;
        for (std::size_t i = 0; i < octets.size(); i += step) {
            folder.files[path][i] ^= std::byte{1};
            const auto report = verify_log(folder.reader(), verifier());
            ASSERT_FALSE(report) << path << " at " << i;
            if (path != "checkpoint") {
                EXPECT_EQ(report.error().code(), Code::corrupt) << path;
                EXPECT_NE(report.error().what().find("tile/"), std::string::npos);
            }
            folder.files[path] = octets;
        }
        folder.files[path].pop_back();
        EXPECT_FALSE(verify_log(folder.reader(), verifier())) << path;
        folder.files[path] = octets;
        append_u8(folder.files[path], 0);
        EXPECT_FALSE(verify_log(folder.reader(), verifier())) << path;
        folder.files.erase(path);
        EXPECT_FALSE(verify_log(folder.reader(), verifier())) << path;
        folder.files[path] = octets;
    }
    ASSERT_TRUE(verify_log(folder.reader(), verifier()));
}

TEST(Log, AnOlderTreeUnderTheNewCheckpointIsFound) {
    Log log("edge-1.example/ledger");
    Folder folder;
    grow(log, folder, 5);
    Folder other;
    Log forged("edge-1.example/ledger");
    other.write(forged.append(std::vector<Bytes>(5, to_bytes("forged")), test_key()).value());
    other.files["checkpoint"] = folder.files["checkpoint"];
    const auto report = verify_log(other.reader(), verifier());
    ASSERT_FALSE(report);
    EXPECT_NE(report.error().what().find("checkpoint"), std::string::npos);
    EXPECT_FALSE(Log::open(other.reader(), verifier()));
}

TEST(Log, RefusesWhatIsTooLargeAndKeepsItsState) {
    Log log("edge-1.example/ledger");
    const std::vector<Bytes> leaves{Bytes(3), Bytes(leaf_size_max + 1)};
    EXPECT_EQ(log.append(leaves, test_key()).error().code(), Code::exhausted);
    EXPECT_EQ(log.head().size, 0U);
    EXPECT_TRUE(log.append(std::vector<Bytes>{Bytes(leaf_size_max), Bytes()}, test_key()));
    EXPECT_EQ(Log::open(Folder().reader(), verifier()).error().code(), Code::not_found);
}

TEST(Log, BundlesAreSplitStrictly) {
    const auto sizes = [](std::string_view octets) {
        const auto leaves = split_bundle(as_bytes(octets));
        return leaves ? static_cast<int>(leaves->size()) : -1;
    };
    EXPECT_EQ(sizes(""), 0);
    EXPECT_EQ(sizes(std::string_view("\0\1a\0\0", 5)), 2);
    EXPECT_EQ(sizes(std::string_view("\0", 1)), -1);
    EXPECT_EQ(sizes(std::string_view("\0\2a", 3)), -1);
    EXPECT_EQ(sizes(std::string(512, '\0')), 256);
    EXPECT_EQ(sizes(std::string(514, '\0')), -1);
}

RC_GTEST_PROP(Proof, ShowsInclusionAndNothingElse, ()) {
    const auto log_size = *rc::gen::inRange<std::uint64_t>(1, 700);
    const auto size = *rc::gen::inRange<std::uint64_t>(1, log_size + 1);
    const auto index = *rc::gen::inRange<std::uint64_t>(0, size);
    Log log("edge-1.example/ledger");
    Folder folder;
    grow(log, folder, log_size);
    auto proof = prove_inclusion(folder.reader(), log_size, index, size).value();
    const TreeHead tree{size, root_of_first(size)};
    const Hash leaf = hash_leaf(leaf_of(index));
    RC_ASSERT(verify_inclusion(leaf, index, tree, proof));
    RC_ASSERT(!verify_inclusion(hash_leaf(leaf_of(index + 1)), index, tree, proof));
    RC_ASSERT(!verify_inclusion(leaf, index + 1, tree, proof));
    RC_ASSERT(proof.size() <= proof_size_max);
    proof.push_back(leaf);
    RC_ASSERT(!verify_inclusion(leaf, index, tree, proof));
}

RC_GTEST_PROP(Proof, ShowsThatATreeGrewAndNothingElse, ()) {
    const auto log_size = *rc::gen::inRange<std::uint64_t>(1, 700);
    const auto newer = *rc::gen::inRange<std::uint64_t>(1, log_size + 1);
    const auto older = *rc::gen::inRange<std::uint64_t>(0, newer + 1);
    Log log("edge-1.example/ledger");
    Folder folder;
    grow(log, folder, log_size);
    const auto proof = prove_consistency(folder.reader(), log_size, older, newer).value();
    const TreeHead old_tree{older, root_of_first(older)};
    const TreeHead new_tree{newer, root_of_first(newer)};
    RC_ASSERT(verify_consistency(old_tree, new_tree, proof));
    TreeHead forged = old_tree;
    forged.root[0] ^= std::byte{1};
    RC_ASSERT(!verify_consistency(forged, new_tree, proof));
    forged = new_tree;
    forged.root[0] ^= std::byte{1};
    if (older > 0) {
        RC_ASSERT(!verify_consistency(old_tree, forged, proof));
    }
}

TEST(Proof, IsRefusedOutsideTheLog) {
    Log log("edge-1.example/ledger");
    Folder folder;
    grow(log, folder, 3);
    EXPECT_FALSE(prove_inclusion(folder.reader(), 3, 3, 3));
    EXPECT_FALSE(prove_inclusion(folder.reader(), 3, 0, 4));
    EXPECT_FALSE(prove_consistency(folder.reader(), 3, 2, 4));
    EXPECT_FALSE(prove_consistency(folder.reader(), 3, 3, 2));
}

TEST(Leaf, IsCanonicalJson) {
    const crypto::Secret key = crypto::Secret::copy_of(Bytes(32, std::byte{1}));
    const Salt salt = derive_salt(key, "2026-05-28T12:13:00Z", "events.json");
    const Commitment commitment = commit(salt, as_bytes("[]"));
    LeafBuilder builder("batch", UtcTime::parse("2026-05-28T12:13:00Z").value());
    builder.set("profile", "standard")
        .set("software", "tapir-edge 0.1.0")
        .commit("config", commitment)
        .payload("events.json", 4096, commitment)
        .count("frames", "counted", 7)
        .count("events", "below_threshold", 2)
        .count("events", "released", 1);
    const Bytes octets = builder.build().value();
    const std::string hex = to_hex(commitment);
    EXPECT_EQ(as_text(octets),
              R"({"commitments":{"config":")" + hex +
                  R"("},"counts":{"events":{"below_threshold":2,"released":1},)"
                  R"("frames":{"counted":7}},"kind":"batch","payloads":[{"commitment":")" +
                  hex +
                  R"(","name":"events.json","size":4096}],"profile":"standard",)"
                  R"("software":"tapir-edge 0.1.0","time":"2026-05-28T12:13:00Z","version":1})");
    const Leaf leaf = Leaf::parse(octets).value();
    EXPECT_EQ(leaf.kind, "batch");
    EXPECT_EQ(leaf.time, UtcTime::parse("2026-05-28T12:13:00Z").value());
    ASSERT_EQ(leaf.payloads.size(), 1U);
    EXPECT_EQ(leaf.payloads[0].size, 4096U);
    EXPECT_TRUE(verify_commitment(leaf.payloads[0].commitment, salt, as_bytes("[]")));
    EXPECT_FALSE(verify_commitment(leaf.payloads[0].commitment, salt, as_bytes("[ ]")));
}

TEST(Leaf, TheExampleInTheDocumentationIsTrue) {
    std::ifstream in(TAPIR_SOURCE "/docs/formats/ledger.md");
    const std::string page(std::istreambuf_iterator<char>(in), {});
    Salt salt;
    for (std::size_t i = 0; i < salt.size(); ++i) {
        salt[i] = static_cast<std::byte>(i);
    }
    LeafBuilder builder("batch", UtcTime::parse("2026-05-28T12:13:00Z").value());
    builder.set("profile", "standard")
        .payload("events.json", 2, commit(salt, as_bytes("[]")))
        .count("events", "below_threshold", 2);
    Log log("edge-1.example/ledger");
    const std::vector<Bytes> leaves{builder.build().value()};
    const LogStep step = log.append(leaves, test_key()).value();
    EXPECT_EQ(step.files.front().octets.size(), 2U + 246U);
    const auto is_shown = [&](std::string_view text) {
        return page.find(fmt::format("```\n{}\n```", text)) != std::string::npos;
    };
    EXPECT_TRUE(is_shown(as_text(leaves.front())));
    EXPECT_TRUE(is_shown(to_hex(step.files.at(1).octets)));
    std::string note(as_text(step.files.back().octets));
    note.pop_back();
    EXPECT_TRUE(is_shown(note));
    EXPECT_NE(page.find("`" + verifier().to_string() + "`"), std::string::npos);
}

TEST(Leaf, RefusesWhatIsNotCanonicalOrNotWhole) {
    const std::string good = R"({"kind":"batch","time":"2026-05-28T12:13:00Z","version":1})";
    EXPECT_TRUE(Leaf::parse(as_bytes(good)));
    for (const std::string& bad :
         {good + " ", std::string(R"({"version":1,"kind":"batch","time":"2026-05-28T12:13:00Z"})"),
          std::string(R"({"kind":"batch","time":"2026-05-28T12:13:00Z","version":2})"),
          std::string(R"({"kind":1,"time":"2026-05-28T12:13:00Z","version":1})"),
          std::string(R"({"kind":"batch","time":"x","version":1})"), std::string("[]"),
          std::string(
              R"({"kind":"batch","payloads":[1],"time":"2026-05-28T12:13:00Z","version":1})"),
          std::string()}) {
        EXPECT_FALSE(Leaf::parse(as_bytes(bad))) << bad;
    }
}

TEST(Leaf, IsLimited) {
    LeafBuilder large("batch", UtcTime());
    large.set("x", std::string(leaf_size_max, 'x'));
    EXPECT_EQ(large.build().error().code(), Code::exhausted);
    LeafBuilder many("batch", UtcTime());
    for (std::size_t i = 0; i <= leaf_payloads_max; ++i) {
        many.payload("x", 1, {});
    }
    EXPECT_EQ(many.build().error().code(), Code::exhausted);
}

TEST(Salt, DiffersForEachBatchAndName) {
    const crypto::Secret key = crypto::Secret::copy_of(Bytes(32, std::byte{1}));
    std::set<Salt> salts;
    for (const char* batch : {"a", "b", "ab"}) {
        for (const char* name : {"", "b", "a"}) {
            salts.insert(derive_salt(key, batch, name));
        }
    }
    EXPECT_EQ(salts.size(), 9U);
    const Opening opening{.name = "events.json", .salt = *salts.begin(), .commitment = {}};
    const Opening again = Opening::parse(opening.to_json()).value();
    EXPECT_EQ(again.salt, opening.salt);
    EXPECT_EQ(again.name, opening.name);
    EXPECT_FALSE(Opening::parse(R"({"commitment":"00","name":"a","salt":"00"})"));
}

}  // namespace
}  // namespace tapir::ledger
