// The edge's counters: our own, and those of the existing minimiser under its names.
//
// Every frame is in tapir_edge_frames_total once, under its fate. Threads may share this.
#pragma once

#include <array>
#include <cstdint>

#include "fate.hpp"
#include "tapir/base/counters.hpp"
#include "tapir/dns/message.hpp"
#include "tapir/privacy/children.hpp"
#include "tapir/privacy/pending.hpp"
#include "tapir/privacy/table.hpp"
#include "worker.hpp"

namespace tapir::edge {

// The counters of the existing minimiser, under its names, computed from fates.
struct EdmCounters {
    std::uint64_t processed = 0;
    std::uint64_t ignored_client_ip = 0;
    std::uint64_t ignored_client_ip_error = 0;
    std::uint64_t ignored_question_name = 0;
    std::uint64_t ignored_dns_parse_error = 0;
    std::uint64_t ignored_empty_question_section = 0;
    std::uint64_t ignored_invalid_question_name = 0;
    std::uint64_t new_qname_queued = 0;
    std::uint64_t new_qname_discarded = 0;
};
EdmCounters edm_counters(const FateCounts& fates);

class EdgeMetrics {
public:
    explicit EdgeMetrics(Counters& counters);

    void add(const BatchResult& result);
    void add(const FateCounts& fates);
    TransportCounts transports() const;
    void add(Fate fate);
    void released(privacy::Product product, std::uint64_t n);
    // A registered domain: new here, or asked for before, by too few.
    void released_domain(bool is_old);
    // Made ready to leave, and then could not be.
    void lost(privacy::Product product);
    void rows_withheld(std::uint64_t few_clients, std::uint64_t few_networks,
                       std::uint64_t evicted);
    void sketches_released(std::uint64_t count);
    // Of rows for which there was memory, but not for all their clients.
    void clients_left_out(std::uint64_t n) { clients_left_out_.add(n); }
    // How full the tables are.
    void pending_fill(const privacy::Pending& pending, const privacy::Children& children);
    // Names that were released and wait for their batch.
    void names_ready(std::size_t count);
    void pending_evicted(std::uint64_t cells, std::uint64_t names, std::uint64_t parents);

private:
    void count(Fate fate, std::uint64_t n);

    std::array<Counter*, fate_count> frames_{};
    std::array<Counter*, dns::message_error_count> dns_errors_{};
    std::array<Counter*, dnstap::message_type_max + 1> types_{};
    std::array<Counter*, transport_count> transports_{};
    std::array<Counter*, privacy::product_count> released_{};
    std::array<Counter*, privacy::product_count> lost_{};
    std::array<Counter*, 2> domains_{};  // new, old
    Counter& rows_few_clients_;
    Counter& rows_few_networks_;
    Counter& rows_evicted_;
    Counter& sketches_released_;
    Counter& clients_left_out_;
    Counter& cells_evicted_;
    Counter& names_evicted_;
    Counter& parents_evicted_;
    std::array<Gauge*, 3> used_{};      // cells, names, parents
    std::array<Gauge*, 3> capacity_{};  // the same
    Gauge& ready_;
    // What of a fate counts for the existing minimiser's counters.
    std::array<Counter*, fate_count> edm_{};
    Counter& edm_processed_;
};

}  // namespace tapir::edge
