#include "metrics.hpp"

#include <string>
#include <utility>

namespace tapir::edge {
namespace {

// Frames of these fates never reached what the existing minimiser counts as processed.
bool is_processed(Fate fate) {
    return fate != Fate::dropped_overload && fate != Fate::frame_oversized &&
           fate != Fate::frame_truncated;
}

// The counter of the existing minimiser that counts this fate, or nothing.
std::string_view edm_name(Fate fate) {
    switch (fate) {
        case Fate::client_ignored:
            return "edm_ignored_client_ip_total";
        case Fate::client_unusable:
            return "edm_ignored_client_ip_error_total";
        case Fate::name_ignored:
            return "edm_ignored_question_name_total";
        case Fate::frame_message_missing:
        case Fate::dns_missing:
        case Fate::dns_malformed:
            return "edm_ignored_dns_parse_error_total";
        case Fate::dns_no_question:
            return "edm_ignored_empty_question_section_total";
        case Fate::dns_invalid_name:
            return "edm_ignored_invalid_question_name_total";
        case Fate::name_new:
        case Fate::released:
            return "edm_new_qname_queued_total";
        case Fate::dropped_name:
            return "edm_new_qname_discarded_total";
        default:
            return {};
    }
}

constexpr std::string_view edm_help = "As the existing minimiser counts it.";

// What it counts and what is not here: dashboards made for it find them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> edm_always_zero{{
    {"edm_cryptopan_lru_hit_total", "Always 0: no table of clients and their pseudonyms is kept."},
    {"edm_cryptopan_lru_evicted_total",
     "Always 0: no table of clients and their pseudonyms is kept."},
    {"edm_seen_qname_lru_evicted_total",
     "Always 0: names are not kept before they are released; see "
     "tapir_edge_pending_evicted_total."},
}};

}  // namespace

EdmCounters edm_counters(const FateCounts& fates) {
    EdmCounters edm;
    for (std::size_t i = 0; i < fate_count; ++i) {
        const auto fate = static_cast<Fate>(i);
        edm.processed += is_processed(fate) ? fates.of(fate) : 0;
    }
    edm.ignored_client_ip = fates.of(Fate::client_ignored);
    edm.ignored_client_ip_error = fates.of(Fate::client_unusable);
    edm.ignored_question_name = fates.of(Fate::name_ignored);
    edm.ignored_dns_parse_error = fates.of(Fate::frame_message_missing) +
                                  fates.of(Fate::dns_missing) + fates.of(Fate::dns_malformed);
    edm.ignored_empty_question_section = fates.of(Fate::dns_no_question);
    edm.ignored_invalid_question_name = fates.of(Fate::dns_invalid_name);
    edm.new_qname_queued = fates.of(Fate::name_new) + fates.of(Fate::released);
    edm.new_qname_discarded = fates.of(Fate::dropped_name);
    return edm;
}

EdgeMetrics::EdgeMetrics(Counters& counters)
    : rows_few_clients_(counters.counter("tapir_edge_rows_withheld_total",
                                         "Histogram rows that were not released, by reason.",
                                         {{"reason", "few_clients"}})),
      rows_few_networks_(counters.counter("tapir_edge_rows_withheld_total",
                                          "Histogram rows that were not released, by reason.",
                                          {{"reason", "few_networks"}})),
      rows_evicted_(counters.counter("tapir_edge_rows_withheld_total",
                                     "Histogram rows that were not released, by reason.",
                                     {{"reason", "evicted"}})),
      sketches_released_(counters.counter(
          "tapir_edge_sketches_released_total",
          "Sketches of an hour's clients that left, where the operator lets them.")),
      clients_left_out_(counters.counter(
          "tapir_edge_row_clients_left_out_total",
          "Clients that were not counted in a row, because the memory for rows was used up.")),
      cells_evicted_(counters.counter("tapir_edge_pending_evicted_total",
                                      "Pending names that fell out of a full table, by stage.",
                                      {{"stage", "one"}})),
      names_evicted_(counters.counter("tapir_edge_pending_evicted_total",
                                      "Pending names that fell out of a full table, by stage.",
                                      {{"stage", "two"}})),
      parents_evicted_(counters.counter("tapir_edge_parents_evicted_total",
                                        "Parents whose distinct children were counted, that fell "
                                        "out of a full table.")),
      ready_(counters.gauge("edm_new_qname_ch_len",
                            "Names that were released and wait for their batch.")),
      edm_processed_(counters.counter("edm_processed_dnstap_total", edm_help)) {
    for (std::size_t i = 0; i < fate_count; ++i) {
        const auto fate = static_cast<Fate>(i);
        frames_.at(i) = &counters.counter(
            "tapir_edge_frames_total", "Frames by what became of them.",
            {{"fate", std::string(group_of(fate))}, {"reason", std::string(to_string(fate))}});
        if (const std::string_view name = edm_name(fate); !name.empty()) {
            edm_.at(i) = &counters.counter(name, edm_help);
        }
    }
    for (const bool is_old : {false, true}) {
        domains_[is_old ? 1 : 0] = &counters.counter(
            "tapir_edge_domains_released_total",
            "Registered domains that the gate has released, by whether any client had asked for "
            "them on one of the 30 days before. For the operator: it does not leave.",
            {{"history", is_old ? "rare" : "new"}});
    }
    for (const auto& [name, why] : edm_always_zero) {
        counters.counter(name, why);
    }
    constexpr std::array<std::string_view, 3> tables{"cells", "names", "parents"};
    for (std::size_t i = 0; i < tables.size(); ++i) {
        const Counters::Labels labels{{"table", std::string(tables.at(i))}};
        used_.at(i) = &counters.gauge("tapir_edge_pending_used",
                                      "Places taken in the tables of what is pending.", labels);
        capacity_.at(i) = &counters.gauge("tapir_edge_pending_capacity",
                                          "Places in the tables of what is pending.", labels);
    }
    for (std::size_t i = 0; i < dns_errors_.size(); ++i) {
        dns_errors_.at(i) = &counters.counter(
            "tapir_edge_dns_errors_total", "DNS messages that are not as they must be, by fault.",
            {{"reason", std::string(dns::to_string(static_cast<dns::MessageError>(i)))}});
    }
    for (std::size_t i = 0; i < types_.size(); ++i) {
        types_.at(i) = &counters.counter(
            "tapir_edge_messages_total", "dnstap messages by type.",
            {{"type", std::string(dnstap::to_string(static_cast<dnstap::MessageType>(i)))}});
    }
    for (std::size_t i = 0; i < transports_.size(); ++i) {
        transports_.at(i) = &counters.counter(
            "tapir_edge_responses_total", "Responses that count, by how their clients asked.",
            {{"transport", std::string(to_string(static_cast<Transport>(i)))}});
    }
    for (const privacy::Product product :
         {privacy::Product::histogram, privacy::Product::new_qname, privacy::Product::by_person,
          privacy::Product::by_exception}) {
        const auto i = static_cast<std::size_t>(product);
        const std::string name(privacy::to_string(product));
        released_.at(i) =
            &counters.counter("tapir_edge_released_total",
                              "Rows and events that the gate has released.", {{"product", name}});
        lost_.at(i) = &counters.counter("tapir_edge_lost_total",
                                        "Files and batches that were released and then lost.",
                                        {{"product", name}});
    }
}

void EdgeMetrics::count(Fate fate, std::uint64_t n) {
    if (n == 0) {
        return;
    }
    const auto i = static_cast<std::size_t>(fate);
    // Processed first, so that a reader never sees a fate without its frame.
    if (is_processed(fate)) {
        edm_processed_.add(n);
    }
    if (edm_.at(i) != nullptr) {
        edm_.at(i)->add(n);
    }
    frames_.at(i)->add(n);
}

void EdgeMetrics::add(const FateCounts& fates) {
    for (std::size_t i = 0; i < fate_count; ++i) {
        count(static_cast<Fate>(i), fates.by_fate.at(i));
    }
}

void EdgeMetrics::add(const BatchResult& result) {
    for (std::size_t i = 0; i < dns_errors_.size(); ++i) {
        if (result.dns_errors.at(i) != 0) {
            dns_errors_.at(i)->add(result.dns_errors.at(i));
        }
    }
    for (std::size_t i = 0; i < types_.size(); ++i) {
        if (result.types.at(i) != 0) {
            types_.at(i)->add(result.types.at(i));
        }
    }
    for (std::size_t i = 0; i < transports_.size(); ++i) {
        if (result.transports.at(i) != 0) {
            transports_.at(i)->add(result.transports.at(i));
        }
    }
    add(result.fates);
}

TransportCounts EdgeMetrics::transports() const {
    TransportCounts counts{};
    for (std::size_t i = 0; i < transports_.size(); ++i) {
        counts.at(i) = transports_.at(i)->value();
    }
    return counts;
}

void EdgeMetrics::add(Fate fate) {
    count(fate, 1);
}

void EdgeMetrics::released(privacy::Product product, std::uint64_t n) {
    released_.at(static_cast<std::size_t>(product))->add(n);
}

void EdgeMetrics::released_domain(bool is_old) {
    domains_[is_old ? 1 : 0]->add();
}

void EdgeMetrics::lost(privacy::Product product) {
    lost_.at(static_cast<std::size_t>(product))->add();
}

void EdgeMetrics::rows_withheld(std::uint64_t few_clients, std::uint64_t few_networks,
                                std::uint64_t evicted) {
    rows_few_clients_.add(few_clients);
    rows_few_networks_.add(few_networks);
    rows_evicted_.add(evicted);
}

void EdgeMetrics::sketches_released(std::uint64_t count) {
    sketches_released_.add(count);
}

void EdgeMetrics::pending_fill(const privacy::Pending& pending, const privacy::Children& children) {
    const auto show = [this](std::size_t i, std::size_t used, std::size_t capacity) {
        used_.at(i)->set(static_cast<std::int64_t>(used));
        capacity_.at(i)->set(static_cast<std::int64_t>(capacity));
    };
    show(0, pending.cells_used(), pending.cell_count());
    show(1, pending.names_used(), pending.name_count());
    show(2, children.used(), children.parent_count());
}

void EdgeMetrics::names_ready(std::size_t count) {
    ready_.set(static_cast<std::int64_t>(count));
}

void EdgeMetrics::pending_evicted(std::uint64_t cells, std::uint64_t names, std::uint64_t parents) {
    cells_evicted_.add(cells);
    names_evicted_.add(names);
    parents_evicted_.add(parents);
}

}  // namespace tapir::edge
