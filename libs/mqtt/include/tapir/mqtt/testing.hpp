// For tests and the lab: mosquitto(8) on loopback, with TLS, access list and a disk of its own.
//
//     TestBroker broker({.folder = folder, .tls = TestBroker::Tls{ca, certificate, key},
//                        .access = "user edge-1\ntopic write events/up/edge-1/#\n"});
//     open_publisher({.url = broker.url(), ...}, ...);
//     broker.stop();     // as an operator stops it: sessions are written
//     broker.start();    // the same port
//
// Keeps sessions below `folder`, which must exist. Ends the process if there is no mosquitto.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tapir/base/assert.hpp"

namespace tapir::mqtt {

class TestBroker {
public:
    // Paths of PEM files; clients are known by the names in their certificates.
    struct Tls {
        std::string ca_file;
        std::string certificate_file;
        std::string key_file;
    };
    struct Settings {
        std::string folder;
        std::optional<Tls> tls{};
        std::string access{};  // lines of an access list; empty: all may do everything
        std::string more{};    // lines of mosquitto.conf
    };

    explicit TestBroker(Settings settings) : settings_(std::move(settings)), port_(free_port()) {
        std::ofstream(settings_.folder + "/mosquitto.acl") << settings_.access;
        std::ofstream out(settings_.folder + "/mosquitto.conf");
        out << "listener " << port_ << " 127.0.0.1\n"
            << "persistence true\npersistence_location " << settings_.folder << "/\n"
            << "autosave_interval 1\n"
            << "max_queued_messages 1000000\nmax_inflight_messages 1000\n"
            << (::geteuid() == 0 ? "user root\n" : "") << settings_.more;
        if (settings_.tls) {
            out << "cafile " << settings_.tls->ca_file << "\ncertfile "
                << settings_.tls->certificate_file << "\nkeyfile " << settings_.tls->key_file
                << "\nrequire_certificate true\nuse_identity_as_username true\n"
                << "tls_version tlsv1.3\nallow_anonymous false\n";
        } else {
            out << "allow_anonymous true\n";
        }
        if (!settings_.access.empty()) {
            out << "acl_file " << settings_.folder << "/mosquitto.acl\n";
        }
        out.close();
        start();
    }
    TestBroker(const TestBroker&) = delete;
    TestBroker& operator=(const TestBroker&) = delete;
    ~TestBroker() { stop(); }

    std::string url() const {
        return (settings_.tls ? "mqtts://127.0.0.1:" : "mqtt://127.0.0.1:") + std::to_string(port_);
    }
    std::uint16_t port() const { return port_; }
    std::string log() const {
        std::ifstream in(settings_.folder + "/mosquitto.log");
        return {std::istreambuf_iterator<char>(in), {}};
    }

    // Listens when it returns.
    void start() {
        const std::string config = settings_.folder + "/mosquitto.conf";
        const std::string log = settings_.folder + "/mosquitto.log";
        std::array<char*, 5> arguments{const_cast<char*>("mosquitto"), const_cast<char*>("-v"),
                                       const_cast<char*>("-c"), const_cast<char*>(config.c_str()),
                                       nullptr};
        posix_spawn_file_actions_t files{};
        posix_spawn_file_actions_init(&files);
        for (const int fd : {1, 2}) {
            posix_spawn_file_actions_addopen(&files, fd, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                             0640);
        }
        const int code = ::posix_spawn(&process_, "/usr/sbin/mosquitto", &files, nullptr,
                                       arguments.data(), environ);
        posix_spawn_file_actions_destroy(&files);
        TAPIR_ASSERT(code == 0);
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!listens()) {
            TAPIR_ASSERT(::waitpid(process_, nullptr, WNOHANG) == 0);
            TAPIR_ASSERT(std::chrono::steady_clock::now() < until);
            std::this_thread::yield();
        }
    }
    void stop() { end(SIGTERM); }
    void kill() { end(SIGKILL); }

    // Whether it accepts connections.
    bool listens() const {
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at = loopback(port_);
        const bool out = ::connect(socket, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
        ::close(socket);
        return out;
    }

private:
    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in out{};
        out.sin_family = AF_INET;
        out.sin_port = htons(port);
        out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return out;
    }
    // By chance from below the ports that the kernel gives to whoever connects: one of those may be
    // somebody's before the broker is there, or while it is away.
    static std::uint16_t free_port() {
        unsigned end_of_free = 0;
        std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> end_of_free;
        TAPIR_ASSERT(end_of_free > 0);
        std::uniform_int_distribution<unsigned> any(10'000, std::max(end_of_free, 20'000U) - 1);
        std::random_device chance;
        for (;;) {
            const auto port = static_cast<std::uint16_t>(any(chance));
            const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            sockaddr_in at = loopback(port);
            const bool is_free = ::bind(socket, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
            ::close(socket);
            if (is_free) {
                return port;
            }
        }
    }
    void end(int signal) {
        if (process_ > 0) {
            ::kill(process_, signal);
            ::waitpid(process_, nullptr, 0);
            process_ = -1;
        }
    }

    Settings settings_;
    std::uint16_t port_;
    pid_t process_ = -1;
};

}  // namespace tapir::mqtt
