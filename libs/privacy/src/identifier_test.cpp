#include "tapir/privacy/identifier.hpp"

#include <array>
#include <cstdint>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tapir::privacy {
namespace {

// What users' devices and services really put into names, of each class.
class Maker {
public:
    explicit Maker(std::uint64_t seed) : random_(seed) {}

    std::string digits(std::size_t count) { return some("0123456789", count); }
    std::string hex(std::size_t count) { return some("0123456789abcdef", count); }
    std::string base32(std::size_t count) {
        return some("abcdefghijklmnopqrstuvwxyz234567", count);
    }
    std::string uuid() {
        return hex(8) + "-" + hex(4) + "-4" + hex(3) + "-a" + hex(3) + "-" + hex(12);
    }
    std::string mac(char separator) {
        std::string text = hex(2);
        for (int i = 0; i < 5; ++i) {
            text += separator + hex(2);
        }
        return text;
    }
    std::string octet() { return std::to_string(below(256)); }
    std::string ipv4() { return octet() + "-" + octet() + "-" + octet() + "-" + octet(); }
    std::string ipv6() { return fmt::format("2001-db8-{}-{}--{}", hex(4), hex(4), hex(4)); }
    std::string phone() { return "46" + digits(9); }
    std::string name() {
        constexpr std::array<const char*, 12> names{"anna",   "bjorn",  "cecilia",   "dmitri",
                                                    "erik",   "fatima", "giulia",    "hassan",
                                                    "ingrid", "johan",  "katarzyna", "lars"};
        return names.at(below(names.size()));
    }
    std::string device() {
        constexpr std::array<const char*, 6> kinds{"iphone", "ipad",       "macbook-pro",
                                                   "laptop", "galaxy-s21", "pc"};
        return kinds.at(below(kinds.size()));
    }
    std::size_t below(std::size_t bound) {
        return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
    }

private:
    std::string some(std::string_view from, std::size_t count) {
        std::string text;
        while (text.size() < count) {
            text += from[below(from.size())];
        }
        return text;
    }
    std::mt19937_64 random_;
};

TEST(Identifier, FindsUuids) {
    Maker make(1);
    for (int i = 0; i < 2'000; ++i) {
        const std::string uuid = make.uuid();
        EXPECT_EQ(identifier_in(uuid), Identifier::uuid) << uuid;
        EXPECT_EQ(identifier_in("dev-" + uuid), Identifier::uuid) << uuid;
        EXPECT_EQ(identifier_in("x" + uuid + "_1"), Identifier::uuid) << uuid;
    }
}

TEST(Identifier, FindsMacAddresses) {
    Maker make(2);
    for (int i = 0; i < 2'000; ++i) {
        for (const char separator : {'-', '_', ':'}) {
            const std::string mac = make.mac(separator);
            EXPECT_EQ(identifier_in(mac), Identifier::mac) << mac;
            EXPECT_EQ(identifier_in("esp_" + mac), Identifier::mac) << mac;
        }
    }
    EXPECT_EQ(identifier_in("001a2b3c4d5e"), Identifier::hex) << "it has no separators";
}

TEST(Identifier, FindsAddresses) {
    Maker make(3);
    for (int i = 0; i < 2'000; ++i) {
        const std::string v4 = make.ipv4();
        EXPECT_EQ(identifier_in(v4), Identifier::address) << v4;
        EXPECT_EQ(identifier_in("ip-" + v4 + "-static"), Identifier::address) << v4;
        const std::string v6 = make.ipv6();
        EXPECT_EQ(identifier_in(v6), Identifier::address) << v6;
    }
    for (const char* text : {"2001-db8--1", "fe80--1a2b", "2001-db8-0-0-0-0-0-1"}) {
        EXPECT_EQ(identifier_in(text), Identifier::address) << text;
    }
    EXPECT_NE(identifier_in("300-1-2-3"), Identifier::address);
}

TEST(Identifier, FindsNumbers) {
    Maker make(4);
    for (int i = 0; i < 2'000; ++i) {
        const std::string phone = make.phone();
        EXPECT_EQ(identifier_in(phone), Identifier::number) << phone;
        EXPECT_EQ(identifier_in("u" + phone), Identifier::number) << phone;
    }
    EXPECT_EQ(identifier_in("08-555-123-45"), Identifier::number);
    EXPECT_EQ(identifier_in("123456"), std::nullopt) << "six digits are a postcode";
}

TEST(Identifier, FindsStringsThatNobodyChose) {
    Maker make(5);
    std::size_t missed = 0;
    constexpr std::size_t tries = 20'000;
    for (std::size_t i = 0; i < tries; ++i) {
        const std::size_t size = 12 + make.below(40);
        const std::string hex = make.hex(size);
        const std::string base32 = make.base32(std::max<std::size_t>(size, 16));
        const auto found = identifier_in(hex);
        EXPECT_TRUE(found.has_value()) << hex;
        missed += identifier_in(base32) ? 0 : 1;
    }
    // Some are made of letters alone, and could be words as far as anybody can tell.
    EXPECT_LT(missed, tries / 200) << missed;
}

TEST(Identifier, FindsDevicesAndPeople) {
    Maker make(6);
    for (int i = 0; i < 2'000; ++i) {
        const std::string name = make.name();
        const std::string device = make.device();
        EXPECT_EQ(identifier_in(name), Identifier::person) << name;
        EXPECT_EQ(identifier_in(name + "-blog"), Identifier::person) << name;
        EXPECT_EQ(identifier_in(name + "s-" + device), Identifier::device) << name << device;
        EXPECT_EQ(identifier_in(device + "-von-" + name), Identifier::device) << name << device;
    }
    EXPECT_EQ(identifier_in("johnsiphone"), Identifier::device);
    EXPECT_EQ(identifier_in("desktop-4fj3k2l"), Identifier::device);
}

TEST(Identifier, LeavesWhatServicesAreCalled) {
    for (const char* label : {"www",
                              "mail",
                              "api",
                              "cdn",
                              "static01",
                              "ns1",
                              "s3",
                              "us-east-1",
                              "eu-west-1a",
                              "edge-star-mini",
                              "_dmarc",
                              "_443",
                              "autodiscover",
                              "prod",
                              "img2",
                              "download",
                              "clients6",
                              "a1",
                              "xn--bcher-kva",
                              "xn--80ak6aa92e",
                              "accounts",
                              "login",
                              "update",
                              "assets-global",
                              "static-cdn",
                              "cloudfront",
                              "safebrowsing",
                              "2",
                              "2024",
                              "web-1",
                              "iphone",
                              "android",
                              "internationalization",
                              "webservices",
                              ""}) {
        EXPECT_EQ(identifier_in(label), std::nullopt) << label;
    }
}

TEST(Identifier, HasTokensThatNobodyMayRegister) {
    for (std::size_t i = 0; i < identifier_count; ++i) {
        const auto identifier = static_cast<Identifier>(i);
        const std::string_view token = token_of(identifier);
        EXPECT_EQ(token.substr(2, 2), "--");
        EXPECT_EQ(token.substr(4), to_string(identifier));
        EXPECT_EQ(identifier_in(token), std::nullopt) << "a token stays what it is: " << token;
    }
}

}  // namespace
}  // namespace tapir::privacy
