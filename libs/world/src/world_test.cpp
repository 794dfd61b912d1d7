#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <memory>
#include <set>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tapir/world/chance.hpp"
#include "tapir/world/clock.hpp"
#include "tapir/world/files.hpp"
#include "tapir/world/process.hpp"
#include "tapir/world/step_thread.hpp"
#include "tapir/world/testing.hpp"

namespace tapir::world {
namespace {

using namespace std::chrono_literals;

TEST(Clock, OfTheSystemIsBetweenThisYearAndAHundredYearsOn) {
    const SystemClock clock;
    EXPECT_GT(clock.now(), UtcTime::parse("2024-01-01T00:00:00Z").value());
    EXPECT_LT(clock.now(), UtcTime::parse("2124-01-01T00:00:00Z").value());
    const auto before = clock.monotonic();
    EXPECT_LE(before, clock.monotonic());
}

TEST(Clock, ThatIsManualMovesOnlyWhenMoved) {
    ManualClock clock(UtcTime::from_seconds(100));
    clock.advance(5s);
    EXPECT_EQ(clock.now(), UtcTime::from_seconds(105));
    EXPECT_EQ(clock.monotonic(), Duration(5s));
    clock.step_to(UtcTime::from_seconds(7));
    EXPECT_EQ(clock.now(), UtcTime::from_seconds(7));
    EXPECT_EQ(clock.monotonic(), Duration(5s));
}

TEST(Waiter, ReturnsFalseWhenTheTimeHasPassed) {
    const SystemClock clock;
    Waiter waiter(clock);
    const auto before = clock.monotonic();
    EXPECT_FALSE(waiter.wait_for(20ms));
    EXPECT_GE(clock.monotonic() - before, Duration(20ms));
}

TEST(Waiter, RemembersACallThatCameBeforeTheWait) {
    const SystemClock clock;
    Waiter waiter(clock);
    waiter.notify();
    EXPECT_TRUE(waiter.wait_for(1h));
    EXPECT_FALSE(waiter.wait_for(0s));
}

TEST(Waiter, IsWokenByAnotherThread) {
    const SystemClock clock;
    Waiter waiter(clock);
    auto woken = std::async(std::launch::async, [&] { return waiter.wait_for(1h); });
    waiter.notify();
    EXPECT_TRUE(woken.get());
}

TEST(Waiter, WaitsInVirtualTime) {
    ManualClock clock;
    Waiter waiter(clock);
    auto woken = std::async(std::launch::async, [&] { return waiter.wait_until(Duration(60s)); });
    clock.advance(59s);
    EXPECT_EQ(woken.wait_for(10ms), std::future_status::timeout);
    clock.advance(1s);
    ASSERT_EQ(woken.wait_for(10s), std::future_status::ready);
    EXPECT_FALSE(woken.get());
}

TEST(Chance, OfTheSystemDoesNotRepeat) {
    SystemChance chance;
    EXPECT_NE((chance.bytes<16>()), (chance.bytes<16>()));
}

TEST(Chance, WithASeedRepeats) {
    SeededChance a(7);
    SeededChance b(7);
    SeededChance c(8);
    const auto from_a = a.bytes<21>();
    EXPECT_EQ(from_a, b.bytes<21>());
    EXPECT_NE(from_a, c.bytes<21>());
}

RC_GTEST_PROP(Chance, BelowIsBelow, (std::uint64_t seed)) {
    SeededChance chance(seed);
    const auto limit = *rc::gen::suchThat<std::uint64_t>([](auto n) { return n >= 1; });
    RC_ASSERT(chance.below(limit) < limit);
}

TEST(Chance, BelowReachesEveryNumber) {
    SeededChance chance(1);
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 1000; ++i) {
        seen.insert(chance.below(10));
    }
    EXPECT_EQ(seen.size(), 10U);
}

// ---- Files: one set of tests for both kinds -----------------------------------------------------

struct Disk {
    virtual ~Disk() = default;
    virtual Files& files() = 0;
    std::string root;
};
struct RealDisk final : Disk {
    RealDisk() { root = folder.path(); }
    Files& files() override { return real; }
    const TemporaryFolder folder;
    SystemFiles real;
};
struct MemoryDisk final : Disk {
    MemoryDisk() {
        root = "/disk";
        EXPECT_TRUE(memory.make_directories(root));
    }
    Files& files() override { return memory; }
    MemoryFiles memory;
};

template <class D>
class AnyFiles : public testing::Test {
protected:
    std::string at(const std::string& name) { return disk_.root + "/" + name; }
    Files& files() { return disk_.files(); }
    D disk_;
};
using Disks = testing::Types<RealDisk, MemoryDisk>;
TYPED_TEST_SUITE(AnyFiles, Disks);

TYPED_TEST(AnyFiles, ReadsBackWhatWasWrittenAtomically) {
    ASSERT_TRUE(this->files().write_atomically(this->at("a"), as_bytes("one"), 0600));
    ASSERT_TRUE(this->files().write_atomically(this->at("a"), as_bytes("two"), 0600));
    EXPECT_EQ(this->files().read(this->at("a"), 3).value(), to_bytes("two"));
    EXPECT_EQ(this->files().size(this->at("a")).value(), 3U);
    EXPECT_EQ(this->files().mode(this->at("a")).value(), 0600U);
    // No temporary file stays.
    EXPECT_EQ(this->files().list(this->disk_.root).value(),
              (std::vector<DirectoryEntry>{{"a", false}}));
}

TYPED_TEST(AnyFiles, TellAChangedFileFromAnother) {
    ASSERT_TRUE(this->files().write_atomically(this->at("a"), as_bytes("one")));
    const FileStamp first = this->files().stamp(this->at("a")).value();
    EXPECT_EQ(first.size, 3U);
    EXPECT_EQ(this->files().stamp(this->at("a")).value(), first);
    ASSERT_TRUE(this->files().append(this->at("a"), as_bytes("1")));
    const FileStamp longer = this->files().stamp(this->at("a")).value();
    EXPECT_EQ(longer.inode, first.inode);
    EXPECT_NE(longer, first);
    ASSERT_TRUE(this->files().write_atomically(this->at("b"), as_bytes("one1")));
    ASSERT_TRUE(this->files().rename(this->at("b"), this->at("a")));
    EXPECT_NE(this->files().stamp(this->at("a")).value().inode, first.inode);
    EXPECT_EQ(this->files().stamp(this->at("b")).error().code(), Code::not_found);
}

TYPED_TEST(AnyFiles, RefusesAFileLargerThanAskedFor) {
    ASSERT_TRUE(this->files().write_atomically(this->at("a"), as_bytes("1234")));
    const auto got = this->files().read(this->at("a"), 3);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), Code::exhausted);
    EXPECT_NE(got.error().what().find("/a: larger than 3 octets"), std::string::npos);
}

TYPED_TEST(AnyFiles, NamesPathAndReasonOfWhatIsNotThere) {
    const auto got = this->files().read(this->at("none"), 10);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), Code::not_found);
    EXPECT_EQ(got.error().what(), this->at("none") + ": No such file or directory");
    EXPECT_EQ(this->files().map(this->at("none")).error().code(), Code::not_found);
    EXPECT_EQ(this->files().remove(this->at("none")).error().code(), Code::not_found);
    EXPECT_EQ(this->files().rename(this->at("none"), this->at("b")).error().code(),
              Code::not_found);
    EXPECT_EQ(this->files().list(this->at("none")).error().code(), Code::not_found);
    EXPECT_EQ(this->files().size(this->at("none")).error().code(), Code::not_found);
    EXPECT_EQ(this->files().truncate(this->at("none"), 0).error().code(), Code::not_found);
    EXPECT_EQ(this->files().write_atomically(this->at("x/y"), {}).error().code(), Code::not_found);
    EXPECT_EQ(this->files().append(this->at("x/y"), {}).error().code(), Code::not_found);
    EXPECT_FALSE(this->files().exists(this->at("none")));
}

TYPED_TEST(AnyFiles, AppendsAndCuts) {
    ASSERT_TRUE(this->files().append(this->at("log"), as_bytes("one\n")));
    ASSERT_TRUE(this->files().append(this->at("log"), as_bytes("two\n")));
    EXPECT_EQ(this->files().read(this->at("log"), 100).value(), to_bytes("one\ntwo\n"));
    EXPECT_EQ(this->files().read_at(this->at("log"), 4, 3).value(), to_bytes("two"));
    EXPECT_EQ(this->files().read_at(this->at("log"), 6, 100).value(), to_bytes("o\n"));
    EXPECT_EQ(this->files().read_at(this->at("log"), 100, 1).value(), Bytes());
    ASSERT_TRUE(this->files().truncate(this->at("log"), 4));
    EXPECT_EQ(this->files().read(this->at("log"), 100).value(), to_bytes("one\n"));
}

TYPED_TEST(AnyFiles, ListsSortedAndTellsFoldersApart) {
    ASSERT_TRUE(this->files().make_directories(this->at("c/d")));
    ASSERT_TRUE(this->files().make_directories(this->at("c/d")));
    ASSERT_TRUE(this->files().append(this->at("b"), {}));
    ASSERT_TRUE(this->files().append(this->at("a"), {}));
    ASSERT_TRUE(this->files().append(this->at("c/d/e"), {}));
    // In the order of octets one goes before what is in "c", one after it.
    ASSERT_TRUE(this->files().append(this->at("c+"), {}));
    ASSERT_TRUE(this->files().append(this->at("c0"), {}));
    EXPECT_EQ(this->files().list(this->disk_.root).value(),
              (std::vector<DirectoryEntry>{
                  {"a", false}, {"b", false}, {"c", true}, {"c+", false}, {"c0", false}}));
    EXPECT_EQ(this->files().list(this->at("c")).value(),
              (std::vector<DirectoryEntry>{{"d", true}}));
    EXPECT_EQ(this->files().remove(this->at("c/d")).error().code(), Code::conflict);
    EXPECT_FALSE(this->files().make_directories(this->at("a/x")));
    EXPECT_EQ(this->files().list(this->at("a")).error().code(), Code::invalid);
}

TYPED_TEST(AnyFiles, RenamesOverWhatIsThere) {
    ASSERT_TRUE(this->files().append(this->at("a"), as_bytes("new")));
    ASSERT_TRUE(this->files().append(this->at("b"), as_bytes("old")));
    ASSERT_TRUE(this->files().rename(this->at("a"), this->at("b")));
    EXPECT_FALSE(this->files().exists(this->at("a")));
    EXPECT_EQ(this->files().read(this->at("b"), 9).value(), to_bytes("new"));
    ASSERT_TRUE(this->files().remove(this->at("b")));
    EXPECT_FALSE(this->files().exists(this->at("b")));
}

TYPED_TEST(AnyFiles, MapsAlsoTheEmptyFile) {
    ASSERT_TRUE(this->files().append(this->at("a"), as_bytes("hello")));
    ASSERT_TRUE(this->files().append(this->at("empty"), {}));
    const auto mapped = this->files().map(this->at("a")).value().get() != nullptr;
    EXPECT_TRUE(mapped);
    auto file = this->files().map(this->at("a"));
    ASSERT_TRUE(file);
    // The old content stays for who has mapped it.
    ASSERT_TRUE(this->files().write_atomically(this->at("a"), as_bytes("other")));
    EXPECT_EQ(as_text((*file)->bytes()), "hello");
    auto empty = this->files().map(this->at("empty"));
    ASSERT_TRUE(empty);
    EXPECT_TRUE((*empty)->bytes().empty());
}

TYPED_TEST(AnyFiles, ReadsSecretsOnlyIfNobodyElseCan) {
    ASSERT_TRUE(this->files().write_atomically(this->at("key"), as_bytes("k"), 0600));
    EXPECT_TRUE(read_secret(this->files(), this->at("key"), 10));
    ASSERT_TRUE(this->files().write_atomically(this->at("key"), as_bytes("k"), 0640));
    EXPECT_TRUE(read_secret(this->files(), this->at("key"), 10));
    ASSERT_TRUE(this->files().write_atomically(this->at("key"), as_bytes("k"), 0644));
    const auto got = read_secret(this->files(), this->at("key"), 10);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), Code::denied);
    EXPECT_NE(got.error().what().find("mode 0644"), std::string::npos);
}

TEST(SystemFiles, MapsAFullDeviceToExhausted) {
    SystemFiles files;
    const auto full = files.append("/dev/full", as_bytes("x"));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code(), Code::exhausted);
    EXPECT_EQ(full.error().what(), "/dev/full: No space left on device");
}

TEST(MemoryFiles, HaveACapacityAndFailWhenTold) {
    MemoryFiles files(10);
    ASSERT_TRUE(files.append("a", as_bytes("12345678")));
    EXPECT_EQ(files.append("a", as_bytes("123")).error().code(), Code::exhausted);
    EXPECT_EQ(files.read("a", 10).value().size(), 8U);
    files.fail_changes(Error(Code::corrupt, "broken"));
    EXPECT_EQ(files.append("a", as_bytes("1")).error().code(), Code::corrupt);
    files.fail_changes({});
    EXPECT_TRUE(files.append("a", as_bytes("1")));
}

// ---- Process -----------------------------------------------------------------------------------

TEST(Stop, ByHandIsReportedAgainAndAgainAndAReloadOnce) {
    const auto stop = Stop::by_hand().value().release();
    const std::unique_ptr<Stop> owner(stop);
    EXPECT_EQ(stop->wait_for(0s), Stop::Event::none);
    stop->request_reload();
    EXPECT_FALSE(stop->requested());
    EXPECT_EQ(stop->wait(), Stop::Event::reload);
    EXPECT_EQ(stop->wait_for(1ms), Stop::Event::none);
    stop->request();
    EXPECT_TRUE(stop->requested());
    EXPECT_EQ(stop->wait(), Stop::Event::stop);
    EXPECT_EQ(stop->wait_for(1h), Stop::Event::stop);
}

TEST(Stop, HearsSignals) {
    sigset_t before{};
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    auto stop = Stop::on_signals();
    ASSERT_TRUE(stop);
    ::kill(::getpid(), SIGHUP);
    EXPECT_EQ((*stop)->wait_for(10s), Stop::Event::reload);
    auto waits = std::async(std::launch::async, [&] { return (*stop)->wait_for(10s); });
    ::kill(::getpid(), SIGTERM);
    EXPECT_EQ(waits.get(), Stop::Event::stop);
    EXPECT_TRUE((*stop)->requested());
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(SecretPages, HoldWhatIsWrittenAndMove) {
    auto pages = SecretPages::allocate(5000);
    ASSERT_TRUE(pages);
    ASSERT_EQ(pages->bytes().size(), 5000U);
    pages->bytes()[4999] = std::byte{7};
    SecretPages moved = std::move(*pages);
    EXPECT_EQ(moved.bytes()[4999], std::byte{7});
    EXPECT_EQ(moved.bytes()[0], std::byte{0});
}

ChildCommand shell(const std::string& script, ByteView input = {}) {
    ChildCommand command;
    command.arguments = {"/bin/sh", "-c", script};
    command.input = input;
    return command;
}

TEST(Children, GiveBackOutputErrorsAndStatus) {
    SystemChildren children;
    const auto got = children.run(shell("echo out; echo err >&2; exit 3"));
    ASSERT_TRUE(got);
    EXPECT_EQ(as_text(got->output), "out\n");
    EXPECT_EQ(got->errors, "err\n");
    EXPECT_EQ(got->exit_status, 3);
    EXPECT_FALSE(got->succeeded());
}

TEST(Children, TakeMoreInputThanAPipeHolds) {
    SystemChildren children;
    const Bytes input(3U << 20U, std::byte{'x'});
    const auto got = children.run(shell("exec /bin/cat", input));
    ASSERT_TRUE(got);
    EXPECT_TRUE(got->output == input);
    EXPECT_TRUE(got->succeeded());
}

TEST(Children, MayIgnoreTheirInput) {
    SystemChildren children;
    const Bytes input(3U << 20U, std::byte{'x'});
    const auto got = children.run(shell("exit 0", input));
    ASSERT_TRUE(got);
    EXPECT_TRUE(got->succeeded());
}

TEST(Children, DoNotHearWhatIsMeantForTheirParent) {
    SystemChildren children;
    const auto got = children.run(
        shell("for s in TERM INT HUP QUIT; do kill -$s $$; done; /bin/kill -TERM $$; echo lives"));
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->signal, 0);
    EXPECT_EQ(as_text(got->output), "lives\n");
}

TEST(Children, HaveNoEnvironmentAndNoOtherDescriptors) {
    SystemChildren children;
    const int leaked = ::open("/dev/null", O_RDONLY);  // without close-on-exec
    const auto got =
        children.run(shell(fmt::format("test -e /proc/self/fd/{} && echo leak; "
                                       "echo home=$HOME",
                                       leaked)));
    ::close(leaked);
    ASSERT_TRUE(got);
    EXPECT_EQ(as_text(got->output), "home=\n");
}

TEST(Children, AreKilledWhenTheyTakeTooLong) {
    SystemChildren children;
    auto command = shell("while :; do :; done");
    command.time_max = 100ms;
    EXPECT_EQ(children.run(command).error().code(), Code::unavailable);
    command = shell("exec >&- 2>&-; while :; do :; done");
    command.time_max = 100ms;
    EXPECT_EQ(children.run(command).error().code(), Code::unavailable);
}

TEST(Children, AreKilledWhenTheySayTooMuch) {
    SystemChildren children;
    auto command = shell("while :; do echo yes; done");
    command.output_size_max = 1000;
    EXPECT_EQ(children.run(command).error().code(), Code::exhausted);
    command = shell("i=0; while test $i -lt 2000; do echo error >&2; i=$((i+1)); done");
    command.errors_size_max = 100;
    const auto got = children.run(command);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->errors.size(), 100U);
}

TEST(StepThread, StepsWhenTheTimeHasComeAndWhenNotified) {
    ManualClock clock;
    std::atomic<int> steps{0};
    StepThread thread(clock, [&]() -> Duration {
        ++steps;
        return 60s;
    });
    const auto reaches = [&](int count) {
        static_cast<void>(eventually([&] { return steps >= count; }));
        return steps.load();
    };
    EXPECT_EQ(reaches(1), 1);
    thread.notify();
    EXPECT_EQ(reaches(2), 2);
    // The thread may not wait yet when the time goes on.
    EXPECT_TRUE(eventually([&] {
        clock.advance(60s);
        return steps >= 3;
    }));
    thread.stop();
    const int at_end = steps;
    thread.notify();
    clock.advance(60s);
    EXPECT_EQ(steps, at_end);
}

TEST(Children, DieOfTheirLimits) {
    SystemChildren children;
    auto command = shell("while :; do :; done");
    command.cpu_s_max = 1;
    const auto busy = children.run(command);
    ASSERT_TRUE(busy);
    EXPECT_NE(busy->signal, 0);
    if (can_limit_memory) {
        command = shell("x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done");
        command.memory_max = 64U << 20U;
        const auto large = children.run(command);
        ASSERT_TRUE(large);
        EXPECT_FALSE(large->succeeded());
    }
}

TEST(Children, ThatAreNotThereAreNotFound) {
    SystemChildren children;
    ChildCommand command;
    command.arguments = {"/nonexistent/program"};
    EXPECT_EQ(children.run(command).error().code(), Code::not_found);
    EXPECT_TRUE(own_program().value().ends_with("world_test"));
}

}  // namespace
}  // namespace tapir::world
