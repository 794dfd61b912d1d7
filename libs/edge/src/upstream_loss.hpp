// How much was lost before it came to us, estimated.
//
// Resolvers drop frames when their queue is full, silently: neither a sequence number nor a count
// of drops is on the wire. What can be seen is that a connection which carries both client queries
// and client responses has fewer of one kind than of the other. That is an estimate: queries that
// are not answered yet, or never, look like lost responses, and where as many of both are lost
// nothing is seen.
//
//     UpstreamLoss loss(counters);
//     auto slot = loss.connection("dnstap-unix");     // one a connection, ends with it
//     slot.see(pipeline.add_all(frames));  slot.show();  // show() now and then
//
// tapir_edge_connection_imbalance{input, connection}: queries less responses while it is open.
// tapir_edge_upstream_missing_total{message}: the same once it has ended, by what is missing.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pipeline.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/base/guarded.hpp"

namespace tapir::edge {

class UpstreamLoss {
public:
    explicit UpstreamLoss(Counters& counters);

    // Used by one thread.
    class Connection {
    public:
        Connection(UpstreamLoss& loss, std::string input);
        Connection(const Connection&) = delete;
        Connection& operator=(const Connection&) = delete;
        ~Connection();

        void see(const Added& added);
        void show();

    private:
        // Queries less responses; 0 as long as only one kind has come.
        std::int64_t imbalance() const;

        UpstreamLoss& loss_;
        std::string input_;
        std::size_t place_;
        Gauge* gauge_ = nullptr;
        std::uint64_t queries_ = 0;
        std::uint64_t responses_ = 0;
    };

private:
    Counters& counters_;
    Counter& missing_queries_;
    Counter& missing_responses_;
    // By input: which places are taken. A place is used again, so that labels stay few.
    Guarded<std::map<std::string, std::vector<bool>>> places_;
};

}  // namespace tapir::edge
