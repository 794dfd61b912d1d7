// Sealed files: what comes back is what went in, and nothing that was touched comes back.
#include "tapir/crypto/sealed.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tapir/crypto/argon2.hpp"

namespace tapir::crypto {
namespace {

constexpr std::size_t chunk = 16;  // so that small files have many

Secret key_of(unsigned char octet) {
    return Secret::taken_from(Bytes(sealed_key_size, std::byte{octet}));
}

SealedHeader header_of(unsigned char salt = 1) {
    SealedHeader header{.day = 20'718, .salt = {}, .chunk_size = chunk};
    header.salt.fill(std::byte{salt});
    return header;
}

Bytes content_of(std::size_t size) {
    Bytes out;
    for (std::size_t i = 0; i < size; ++i) {
        append_u8(out, static_cast<std::uint8_t>(i * 31));
    }
    return out;
}

// Each chunk of the file with its tag.
std::vector<Bytes> chunks_of(const Bytes& file) {
    std::vector<Bytes> out;
    ByteView rest = ByteView(file).subspan(sealed_header_size);
    while (!rest.empty()) {
        const std::size_t size = std::min(rest.size(), chunk + sealed_tag_size);
        out.push_back(to_bytes(rest.first(size)));
        rest = rest.subspan(size);
    }
    return out;
}

Bytes joined(const Bytes& file, const std::vector<Bytes>& chunks) {
    Bytes out = to_bytes(ByteView(file).first(sealed_header_size));
    for (const Bytes& one : chunks) {
        append(out, one);
    }
    return out;
}

RC_GTEST_PROP(Sealed, OpensToWhatWasSealed, (std::vector<std::uint8_t> octets)) {
    const Bytes content = to_bytes(std::as_bytes(std::span(octets)));
    const Bytes file = seal(content, header_of(), key_of(7));
    RC_ASSERT(open_sealed(file, key_of(7)).value() == content);
    RC_ASSERT(SealedHeader::parse(file).value() == header_of());
    RC_ASSERT(seal(content, header_of(), key_of(7)) == file);
}

TEST(Sealed, HasAChunkMoreOnlyWhereThereIsContentForIt) {
    for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 32U, 33U, 64U}) {
        const Bytes file = seal(content_of(size), header_of(), key_of(7));
        const std::size_t chunks = std::max<std::size_t>(1, (size + chunk - 1) / chunk);
        EXPECT_EQ(file.size(), sealed_header_size + size + chunks * sealed_tag_size) << size;
        EXPECT_EQ(open_sealed(file, key_of(7)).value(), content_of(size)) << size;
    }
}

TEST(Sealed, IsRefusedWithAnyBitFlipped) {
    const Bytes file = seal(content_of(40), header_of(), key_of(7));
    for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
        Bytes changed = file;
        changed[bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_FALSE(open_sealed(changed, key_of(7)).has_value()) << bit;
    }
}

TEST(Sealed, IsRefusedWhereItIsCutAnywhereOrGoesOn) {
    const Bytes file = seal(content_of(48), header_of(), key_of(7));
    for (std::size_t size = 0; size < file.size(); ++size) {
        EXPECT_FALSE(open_sealed(ByteView(file).first(size), key_of(7)).has_value()) << size;
    }
    for (const std::size_t more : {1U, 16U, 32U}) {
        Bytes longer = file;
        longer.resize(file.size() + more);
        EXPECT_FALSE(open_sealed(longer, key_of(7)).has_value()) << more;
    }
}

TEST(Sealed, IsRefusedWithAChunkMovedDoubledLeftOutOrOfAnotherFile) {
    const Bytes file = seal(content_of(64), header_of(), key_of(7));
    const Bytes other = seal(content_of(64), header_of(2), key_of(7));
    const std::vector<Bytes> chunks = chunks_of(file);
    ASSERT_EQ(chunks.size(), 4U);
    EXPECT_TRUE(open_sealed(joined(file, chunks), key_of(7)).has_value());
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        auto without = chunks;
        without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(open_sealed(joined(file, without), key_of(7)).has_value()) << i;
        auto doubled = chunks;
        doubled.insert(doubled.begin() + static_cast<std::ptrdiff_t>(i), chunks[i]);
        EXPECT_FALSE(open_sealed(joined(file, doubled), key_of(7)).has_value()) << i;
        auto mixed = chunks;
        mixed[i] = chunks_of(other)[i];
        EXPECT_FALSE(open_sealed(joined(file, mixed), key_of(7)).has_value()) << i;
        for (std::size_t k = 0; k < i; ++k) {
            auto moved = chunks;
            std::swap(moved[i], moved[k]);
            EXPECT_FALSE(open_sealed(joined(file, moved), key_of(7)).has_value()) << i << k;
        }
    }
}

TEST(Sealed, IsRefusedUnderAnotherKeyOrWithoutContentToItsLastChunk) {
    const Bytes file = seal(content_of(48), header_of(), key_of(7));
    const auto refused = open_sealed(file, key_of(8));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), Code::corrupt);
    EXPECT_NE(refused.error().what().find("chunk 0"), std::string::npos);
}

TEST(Sealed, OfTheSameContentLooksDifferentUnderEachSalt) {
    const auto a = chunks_of(seal(content_of(64), header_of(1), key_of(7)));
    const auto b = chunks_of(seal(content_of(64), header_of(2), key_of(7)));
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_NE(a[i], b[i]);
        EXPECT_NE(a[i], a[(i + 1) % a.size()]);
    }
}

TEST(Sealed, RefusesAHeaderOfAnotherKind) {
    const Bytes file = seal(content_of(1), header_of(), key_of(7));
    const auto with = [&file](std::size_t at, std::uint8_t value) {
        Bytes changed = file;
        changed[at] = std::byte{value};
        return SealedHeader::parse(changed);
    };
    EXPECT_EQ(with(0, 'T').error().code(), Code::corrupt);
    EXPECT_EQ(with(11, 2).error().code(), Code::invalid);     // version
    EXPECT_EQ(with(15, 15).error().code(), Code::corrupt);    // chunks of 15 octets
    EXPECT_EQ(with(12, 0x10).error().code(), Code::corrupt);  // of 2^28
    EXPECT_EQ(with(16, 0x01).error().code(), Code::corrupt);  // a day beyond all calendars
    EXPECT_TRUE(with(39, 0xFF).has_value());                  // only the salt
}

// The example of docs/formats/session-file.md.
TEST(Sealed, IsAsItsPageShows) {
    SealedHeader header{.day = 20'717, .salt = {}, .chunk_size = 16};
    for (std::size_t i = 0; i < header.salt.size(); ++i) {
        header.salt[i] = static_cast<std::byte>(i);
    }
    const Bytes file = seal(to_bytes("PAR1 not really PAR1"), header, key_of(0x42));
    EXPECT_EQ(to_hex(file),
              "7461706972736573"  // "tapirses"
              "00000001"
              "00000010"
              "00000000000050ed"                  // version, chunk size, day
              "000102030405060708090a0b0c0d0e0f"  // salt
              "385ebbc5234153e0dea2fec346ef8cf7"  // chunk 0: "PAR1 not really "
              "bb68ae64ad79d0a79240227562e893c4"  // its tag
              "9433fdee"                          // chunk 1, the last: "PAR1"
              "9cc3dc76f598315067e460ddb94033ae");
}

TEST(SealedKey, IsReadBackFromItsFile) {
    const Secret key = key_of(0xA7);
    const Bytes file = print_sealed_key(key);
    EXPECT_EQ(as_text(file), to_hex(key.bytes()) + "\n");
    EXPECT_TRUE(parse_sealed_key(file).value() == key);
    EXPECT_FALSE(parse_sealed_key(ByteView(file).first(64)).has_value());
    EXPECT_FALSE(parse_sealed_key(to_bytes(std::string(64, 'g') + "\n")).has_value());
    EXPECT_FALSE(parse_sealed_key(to_bytes(std::string(65, 'a'))).has_value());
    EXPECT_FALSE(parse_sealed_key({}).has_value());
}

TEST(Argon2, DerivesWhatTheExistingMinimiserDoes) {
    const auto key = argon2id(as_bytes(std::string_view("mysecret")),
                              as_bytes(std::string_view("edm-kdf-salt-val")), {}, 32);
    EXPECT_EQ(to_hex(key->bytes()),
              "eec5b10e13f56d4aa0a5ca35625cb2fd7a4c00d856448765511b67535efc6f09");
}

TEST(Argon2, RefusesWhatIsOutOfRange) {
    const auto refused = argon2id({}, as_bytes(std::string_view("short")), {}, 32);
    EXPECT_EQ(refused.error().code(), Code::invalid);
    EXPECT_EQ(
        argon2id({}, Bytes(8), {.passes = 0, .memory_kib = 64, .lanes = 1}, 32).error().code(),
        Code::invalid);
    EXPECT_EQ(argon2id({}, Bytes(8), {.passes = 1, .memory_kib = 64, .lanes = 1}, 3).error().code(),
              Code::invalid);
}

}  // namespace
}  // namespace tapir::crypto
