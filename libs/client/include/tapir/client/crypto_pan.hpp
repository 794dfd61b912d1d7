// Pseudonyms of addresses that keep prefixes: two addresses that share their first n bits have
// pseudonyms that share exactly n (Crypto-PAn). For the operator's session files, and these only.
//
//     const auto key = TRY(CryptoPanKey::derive(words, salt));      // slow: once
//     CryptoPan pan(key);
//     pan.pseudonymise(addresses, pseudonyms);                      // a batch
//     if (pseudonyms[i].kind() == Pseudonym::Kind::ipv4) { use(pseudonyms[i].ipv4()); }
//
// Bit for bit what the existing minimiser makes: key = Argon2id(words, salt; 1 pass, 64 MiB, 4
// lanes), its first half the AES-128 key, its second half encrypted the padding; an IPv4-mapped
// address is IPv4. Whoever has the key can turn every pseudonym back, and whoever can plant
// addresses learns prefixes: it hides clients from people who look at a file, not from its owner.
// One CryptoPan per thread; keys are wiped when they go. There is no cache, which would keep
// addresses: one core makes 8.6 M IPv4 or 2.2 M IPv6 pseudonyms a second (crypto_pan_bench).
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"
#include "tapir/crypto/secret.hpp"
#include "tapir/dnstap/client_address.hpp"

namespace tapir::client {

inline constexpr std::size_t crypto_pan_key_size = 32;  // octets

class CryptoPanKey {
public:
    // `words` and `salt` as the operator configured them; Code::invalid where they cannot be used.
    static Result<CryptoPanKey> derive(ByteView words, ByteView salt);
    // 32 octets that are a key already.
    static Result<CryptoPanKey> from(crypto::Secret octets);

    // Which key it is, without telling it: 16 hexadecimal digits. Pseudonyms of files that name the
    // same key can be compared.
    std::string id() const;
    // Valid while this key lives.
    const crypto::Secret& secret() const& { return secret_; }
    const crypto::Secret& secret() const&& = delete;

private:
    explicit CryptoPanKey(crypto::Secret octets) : secret_(std::move(octets)) {}
    crypto::Secret secret_;
};

// What stands for an address in a session file. It has no formatter.
class Pseudonym {
public:
    enum class Kind : std::uint8_t {
        absent,     // the frame shows no address
        malformed,  // neither 4 nor 16 octets
        ipv4,
        ipv6,
    };
    Pseudonym() = default;
    // As CryptoPan makes them: IPv4 is the low 32 bits.
    Pseudonym(Kind kind, std::uint64_t high, std::uint64_t low)
        : high_(high), low_(low), kind_(kind) {}

    Kind kind() const { return kind_; }
    bool is_address() const { return kind_ == Kind::ipv4 || kind_ == Kind::ipv6; }
    // As a number, the first octet the highest; 0 unless it is IPv4.
    std::uint32_t ipv4() const {
        return kind_ == Kind::ipv4 ? static_cast<std::uint32_t>(low_) : 0;
    }
    // The halves of the IPv6 form, of IPv4 that is ::ffff:a.b.c.d; 0 unless it is an address.
    std::uint64_t network() const { return kind_ == Kind::ipv6 ? high_ : 0; }
    std::uint64_t host() const {
        return kind_ == Kind::ipv4 ? mapped_mark | low_ : (kind_ == Kind::ipv6 ? low_ : 0);
    }

    friend bool operator==(const Pseudonym&, const Pseudonym&) = default;
    friend std::ostream& operator<<(std::ostream&, const Pseudonym&) = delete;

private:
    static constexpr std::uint64_t mapped_mark = 0xFFFF'0000'0000;

    std::uint64_t high_ = 0;
    std::uint64_t low_ = 0;
    Kind kind_ = Kind::absent;
};

class CryptoPan {
public:
    // How the blocks are encrypted. The results are the same.
    enum class Engine : std::uint8_t {
        best,     // the processor's AES instructions, if it has them
        openssl,  // OpenSSL, on any processor
    };
    explicit CryptoPan(const CryptoPanKey& key, Engine engine = Engine::best);
    CryptoPan(CryptoPan&&) noexcept;
    CryptoPan& operator=(CryptoPan&&) noexcept;
    ~CryptoPan();

    // out[i] for addresses[i]; both have the same size (asserted). Does not allocate.
    void pseudonymise(std::span<const dnstap::ClientAddress> addresses, std::span<Pseudonym> out);

private:
    struct Impl;
    static Pseudonym make(Impl& impl, dnstap::ClientAddress address);
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::client
