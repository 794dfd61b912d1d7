// For tests and the lab: certificates that are made when needed, never kept in the repository.
//
//     const auto ca = TestAuthority::create("Test CA");
//     ca.write(dir + "/ca.pem");
//     ca.issue("127.0.0.1", TestAuthority::Use::server)
//         .write(dir + "/server.pem", dir + "/server.key");
//     ca.issue("edge-1", TestAuthority::Use::client).write(dir + "/edge.pem", dir + "/edge.key");
//
// Keys are P-256; certificates hold from a day ago for 30 days. Ends the process if OpenSSL or the
// disk fails.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace tapir::net {

struct TestCertificate {
    std::string certificate_pem;
    std::string key_pem;
    // The key with mode 0600.
    void write(const std::string& certificate_file, const std::string& key_file) const;
};

class TestAuthority {
public:
    // `other_server`: one of that name alone, for who must not believe it.
    enum class Use { server, other_server, client };

    static TestAuthority create(std::string_view common_name);
    TestAuthority(TestAuthority&&) noexcept;
    TestAuthority& operator=(TestAuthority&&) noexcept;
    TestAuthority(const TestAuthority&) = delete;
    TestAuthority& operator=(const TestAuthority&) = delete;
    ~TestAuthority();

    const std::string& certificate_pem() const;
    const std::string& key_pem() const;
    void write(const std::string& certificate_file) const;

    // Common name as given. For servers the name, or the address if it is one, is a subject
    // alternative name too; for `server` with localhost, 127.0.0.1 and ::1.
    TestCertificate issue(std::string_view common_name, Use use) const;

private:
    struct Impl;
    explicit TestAuthority(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace tapir::net
