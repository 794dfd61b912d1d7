#include "tapir/world/host.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tapir/world/testing.hpp"

namespace tapir::world {
namespace {

TEST(Host, GivesVariablesByTheirPrefix) {
    ::setenv("TAPIR_HOST_TEST_B", "2=3", 1);
    ::setenv("TAPIR_HOST_TEST_A", "", 1);
    const auto found = environment("TAPIR_HOST_TEST_");
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0], (std::pair<std::string, std::string>("TAPIR_HOST_TEST_A", "")));
    EXPECT_EQ(found[1], (std::pair<std::string, std::string>("TAPIR_HOST_TEST_B", "2=3")));
}

class Manager : public ::testing::Test {
protected:
    void SetUp() override { bind_at("@tapir-host-test-" + std::to_string(::getpid())); }
    void TearDown() override {
        ::close(fd_);
        ::unsetenv("NOTIFY_SOCKET");
    }
    void bind_at(const std::string& name) {
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        name.copy(at.sun_path, sizeof(at.sun_path) - 1);
        at.sun_path[0] = '\0';
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
        ASSERT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), size), 0);
        ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    }
    std::string received() const {
        std::string text(100, '\0');
        const auto size = ::recv(fd_, text.data(), text.size(), MSG_DONTWAIT);
        text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
        return text;
    }

private:
    int fd_ = -1;
};

TEST_F(Manager, HearsWhatItIsTold) {
    const auto told = notify_service_manager("READY=1");
    ASSERT_TRUE(told.has_value()) << told.error().what();
    EXPECT_TRUE(*told);
    EXPECT_EQ(received(), "READY=1");
}

TEST_F(Manager, IsNotToldWhereThereIsNone) {
    ::unsetenv("NOTIFY_SOCKET");
    EXPECT_EQ(notify_service_manager("READY=1"), Result<bool>(false));
    EXPECT_EQ(received(), "");
    ::setenv("NOTIFY_SOCKET", "relative", 1);
    EXPECT_FALSE(notify_service_manager("READY=1").has_value());
    ::setenv("NOTIFY_SOCKET", "/nowhere/to/be/found", 1);
    EXPECT_FALSE(notify_service_manager("READY=1").has_value());
}

TEST(Host, TakesTheWatchdogOnlyIfItIsForThisProcess) {
    ::setenv("WATCHDOG_USEC", "2000000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    EXPECT_EQ(watchdog_interval(), Duration(std::chrono::seconds(2)));
    ::setenv("WATCHDOG_PID", "1", 1);
    EXPECT_EQ(watchdog_interval(), std::nullopt);
    ::unsetenv("WATCHDOG_PID");
    for (const char* bad : {"", "x", "-1", "0", "1x", "99999999999999999"}) {
        ::setenv("WATCHDOG_USEC", bad, 1);
        EXPECT_EQ(watchdog_interval(), std::nullopt) << bad;
    }
    ::unsetenv("WATCHDOG_USEC");
}

TEST(Host, KnowsItsOwnProcess) {
    const auto before = process_figures();
    ASSERT_TRUE(before.has_value()) << before.error().what();
    EXPECT_GT(before->resident_size, 1U << 20U);
    EXPECT_GT(before->virtual_size, before->resident_size);
    EXPECT_GT(before->open_files, 2U);
    EXPECT_GE(before->open_files_max, before->open_files);
    EXPECT_GT(before->start_s, 1.6e9);
    const std::ifstream one_more("/proc/self/stat");
    const auto after = process_figures();
    ASSERT_TRUE(after.has_value());
    EXPECT_EQ(after->open_files, before->open_files + 1);
    EXPECT_GE(after->cpu_s, before->cpu_s);
}

TEST(Host, KnowsDiskAndFiles) {
    const auto space = disk_space("/");
    ASSERT_TRUE(space.has_value());
    EXPECT_GT(space->total, 0U);
    EXPECT_GE(space->total, space->free);
    EXPECT_EQ(disk_space("/nowhere").error().code(), Code::not_found);
    const auto owner = file_owner("/proc/self/stat");
    ASSERT_TRUE(owner.has_value());
    EXPECT_EQ(owner->user, own_user());
    EXPECT_EQ(owner->mode, 0444U);
    EXPECT_FALSE(owner->is_socket);
    EXPECT_NE(host_name(), "");
}

}  // namespace
}  // namespace tapir::world
