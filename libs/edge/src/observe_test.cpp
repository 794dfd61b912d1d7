#include "observe.hpp"

#include <string>

#include <gtest/gtest.h>

#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/dnstap/frame_writer.hpp"
#include "testing_tools.hpp"

namespace tapir::edge {
namespace {

// Counts what it is shown.
class Census final : public Observer {
public:
    void on_client_query(const Observed& seen) override { add(client_queries, seen); }
    void on_client_response(const Observed& seen) override { add(client_responses, seen); }
    void on_resolver_query(const Observed& seen) override { add(resolver_queries, seen); }
    void on_resolver_response(const Observed& seen) override { add(resolver_responses, seen); }
    void on_other(const Observed& seen) override { add(others, seen); }

    struct Kind {
        int shown = 0;
        int with_dns = 0;
        int with_edns = 0;
        int with_query_time = 0;
        int with_response_time = 0;
    };
    Kind client_queries;
    Kind client_responses;
    Kind resolver_queries;
    Kind resolver_responses;
    Kind others;

private:
    static void add(Kind& kind, const Observed& seen) {
        ++kind.shown;
        kind.with_dns += seen.dns != nullptr && seen.dns->question_count == 1 ? 1 : 0;
        kind.with_edns += seen.edns ? 1 : 0;
        kind.with_query_time += seen.frame.query_time() ? 1 : 0;
        kind.with_response_time += seen.frame.response_time() ? 1 : 0;
    }
};

Census census_of(const std::string& name) {
    const std::string file =
        testing::read_text(std::string(TAPIR_SOURCE) + "/libs/dnstap/golden/" + name + ".fstrm");
    dnstap::FstrmReader reader(as_bytes(file));
    Census census;
    while (const auto frame = reader.next()) {
        EXPECT_FALSE(observe(*frame, census));
    }
    return census;
}

TEST(Observe, ShowsEachKindToItsHook) {
    const Census bind = census_of("bind-9.18.49-all");
    EXPECT_EQ(bind.client_queries.shown, 37);
    EXPECT_EQ(bind.client_queries.with_dns, 37);
    EXPECT_EQ(bind.client_queries.with_query_time, 37);
    EXPECT_EQ(bind.client_responses.shown, 33);
    EXPECT_EQ(bind.client_responses.with_query_time, 0) << "BIND says none in responses";
    EXPECT_EQ(bind.resolver_queries.shown, 31);
    EXPECT_EQ(bind.resolver_queries.with_edns, 31) << "a resolver asks with EDNS";
    EXPECT_EQ(bind.resolver_responses.with_response_time, 29);
    const Census unbound = census_of("unbound-1.17.1-all");
    EXPECT_EQ(unbound.others.shown, 27 + 26) << "FORWARDER_*";
    const Census dnsdist = census_of("dnsdist-1.7.3-client");
    EXPECT_EQ(dnsdist.client_responses.with_query_time, 65);
}

TEST(Observe, TakesWhatHasNoMessage) {
    Census census;
    Bytes frame;
    dnstap::append_frame(frame, {.type = dnstap::MessageType::client_query});
    EXPECT_FALSE(observe(frame, census)) << "Knot Resolver sends such";
    EXPECT_EQ(census.client_queries.shown, 1);
    EXPECT_EQ(census.client_queries.with_dns, 0);
    frame.clear();
    const Bytes broken(5);
    dnstap::append_frame(
        frame, {.type = dnstap::MessageType::client_response, .response_message = broken});
    EXPECT_FALSE(observe(frame, census));
    EXPECT_EQ(census.client_responses.with_dns, 0);
    EXPECT_EQ(observe(dnstap::undecodable_frame, census), dnstap::MessageError::undecodable);
}

}  // namespace
}  // namespace tapir::edge
