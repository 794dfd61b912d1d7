// How fast a zone is transferred, and what one change costs, by the number of rules.
#include <benchmark/benchmark.h>

#include "tapir/rpz/answer.hpp"
#include "tapir/rpz/book.hpp"

namespace {

using namespace tapir;

std::string key_of(std::size_t n) {
    return rpz::Trigger::parse("host" + std::to_string(n) + ".example")->key();
}

std::shared_ptr<const rpz::NameSet> names(std::size_t count) {
    std::vector<rpz::NameSet::Entry> entries;
    entries.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        entries.push_back({key_of(i), false});
    }
    return std::make_shared<const rpz::NameSet>(rpz::NameSet::from(std::move(entries)));
}

rpz::Book book_of(std::size_t count) {
    rpz::Rules rules;
    rules.mode = rpz::Mode::enforce;
    rules.tag_actions[0] = rpz::Action::nxdomain;
    rpz::Book book(rules, 245);
    book.set_lists({.allow = {}, .deny = {{"deny", names(count)}}, .doubt = {}});
    return book;
}

void axfr(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    auto snapshot = std::make_shared<rpz::Snapshot>();
    snapshot->zone = book_of(count).evaluate();
    const rpz::Apex apex = *rpz::Apex::create("dnstapir.");
    const std::vector<rpz::TsigKey> keys;
    Bytes query;
    append(query, std::string_view("\0\1\0\0\0\1\0\0\0\0\0\0\x08"
                                   "dnstapir\0\0\xfc\0\x01",
                                   26));
    const UtcTime now = UtcTime::from_seconds(1'700'000'000);
    std::size_t octets = 0;
    for (auto _ : state) {
        auto answer = rpz::answer(apex, snapshot, keys, query,
                                  {.transport = rpz::Transport::tcp, .plain_allowed = true}, now);
        Bytes message;
        octets = 0;
        while (answer.next(message, now)) {
            octets += message.size();
        }
    }
    if (octets < count) {
        state.SkipWithError("no transfer");
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
    state.counters["octets/rule"] = static_cast<double>(octets) / static_cast<double>(count);
}
BENCHMARK(axfr)->Arg(1'000)->Arg(1'000'000);

void evaluate_all(benchmark::State& state) {
    const rpz::Book book = book_of(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        benchmark::DoNotOptimize(book.evaluate());
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(evaluate_all)->Arg(1'000)->Arg(1'000'000);

void publish_one_change(benchmark::State& state) {
    rpz::Book book = book_of(static_cast<std::size_t>(state.range(0)));
    rpz::Snapshot snapshot;
    snapshot.zone = book.evaluate();
    std::size_t n = 0;
    const UtcTime now = UtcTime::from_seconds(1'700'000'000);
    for (auto _ : state) {
        const std::string key = key_of(100'000'000 + n++);
        (void)book.observe(
            {key, "dns-tapir"},
            {.tags = 1, .time_added = now, .expires = now + std::chrono::hours(1), .stamp = now},
            now);
        snapshot = rpz::publish(snapshot, book.evaluate({key}, snapshot.zone));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(publish_one_change)->Arg(1'000)->Arg(1'000'000);

}  // namespace

BENCHMARK_MAIN();
