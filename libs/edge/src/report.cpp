#include "report.hpp"

#include <map>

#include "metrics.hpp"
#include "tapir/text/json.hpp"

namespace tapir::edge {
namespace {

using text::Json;

Json captures_of(const Report& report) {
    Json captures = Json::array();
    for (const CaptureReport& capture : report.captures) {
        Json shown = Json::object({{"file", capture.file},
                                   {"frames", capture.frames},
                                   {"oversized", capture.oversized},
                                   {"ended", capture.state}});
        if (capture.packets) {
            Json packets = Json::object();
            for (std::size_t i = 0; i < pcap::packet_fate_count; ++i) {
                packets.set(std::string(pcap::to_string(static_cast<pcap::PacketFate>(i))),
                            capture.packets->by_fate.at(i));
            }
            shown.set("packets", std::move(packets));
            shown.set("streams_lost", capture.packets->streams_lost);
        }
        captures.push(std::move(shown));
    }
    return captures;
}

Json frames_of(const Report& report) {
    Json fates = Json::object();
    std::string open;
    Json reasons;
    for (std::size_t i = 0; i < fate_count; ++i) {
        const auto fate = static_cast<Fate>(i);
        const std::string group(group_of(fate));
        if (group != open) {
            if (!open.empty()) {
                fates.set(open, std::move(reasons));
            }
            const Json* known = fates.find(group);
            reasons = known != nullptr ? *known : Json::object();
            open = group;
        }
        reasons.set(std::string(to_string(fate)), report.fates.of(fate));
    }
    fates.set(open, std::move(reasons));
    return Json::object({{"read", report.fates.sum()}, {"fates", std::move(fates)}});
}

Json timing_of(const Report& report) {
    const auto of = [&report](Timing timing) {
        return report.timings.at(static_cast<std::size_t>(timing));
    };
    return Json::object({{"in_time", of(Timing::in_time)},
                         {"without_time", of(Timing::without_time)},
                         {"late", of(Timing::late)}});
}

Json transports_of(const Report& report) {
    Json transports = Json::object();
    for (std::size_t i = 0; i < transport_count; ++i) {
        transports.set(std::string(to_string(static_cast<Transport>(i))), report.transports.at(i));
    }
    return transports;
}

Json lists_of(const Report& report) {
    Json lists = Json::array();
    for (const ListFile& file : report.lists) {
        lists.push(Json::object({{"kind", file.kind},
                                 {"sha256", file.sha256},
                                 {"entries", file.entries},
                                 {"duplicates", file.duplicates},
                                 {"inert", file.inert}}));
    }
    return lists;
}

Json edm_of(const Report& report) {
    const EdmCounters edm = edm_counters(report.fates);
    return Json::object(
        {{"edm_ignored_client_ip_error_total", edm.ignored_client_ip_error},
         {"edm_ignored_client_ip_total", edm.ignored_client_ip},
         {"edm_ignored_dns_parse_error_total", edm.ignored_dns_parse_error},
         {"edm_ignored_empty_question_section_total", edm.ignored_empty_question_section},
         {"edm_ignored_invalid_question_name_total", edm.ignored_invalid_question_name},
         {"edm_ignored_question_name_total", edm.ignored_question_name},
         {"edm_new_qname_ch_len", 0},
         {"edm_new_qname_discarded_total", edm.new_qname_discarded},
         {"edm_new_qname_queued_total", edm.new_qname_queued},
         {"edm_processed_dnstap_total", edm.processed}});
}

}  // namespace

std::string print(const Report& report) {
    Json histograms = Json::array();
    for (const std::string& name : report.histograms) {
        histograms.push(name);
    }
    const Suppressed& suppressed = report.suppressed;
    Json suspects = Json::object();
    for (std::size_t i = 0; i < detector_count; ++i) {
        suspects.set(std::string(to_string(static_cast<Detector>(i))),
                     suppressed.suspects.by_detector.at(i));
    }
    suspects.set("over_the_day", suppressed.suspects.over_the_day);
    const Json root = Json::object(
        {{"software", report.version},
         {"profile", privacy::to_string(report.profile)},
         {"single_site", report.single_site},
         {"threat_exception", report.threat_exception},
         {"hourly_sketches", report.hourly_sketches},
         {"single_interval", report.single_interval},
         {"signing_key",
          Json::object({{"kid", report.kid}, {"public_test_key", report.is_test_signing_key}})},
         {"day_key", Json::object({{"public_test_key", report.is_test_day_key}})},
         {"captures", captures_of(report)},
         {"lists", lists_of(report)},
         {"frames", frames_of(report)},
         {"timing", timing_of(report)},
         {"transports", transports_of(report)},
         {"histograms", std::move(histograms)},
         {"rows", Json::object({{"released", suppressed.rows_released},
                                {"few_clients", suppressed.rows_few_clients},
                                {"few_networks", suppressed.rows_few_networks},
                                {"evicted", suppressed.rows_evicted}})},
         {"events", report.events},
         {"batches", report.batches},
         {"suspects", std::move(suspects)},
         {"pending_evicted", Json::object({{"stage_one", suppressed.cells_evicted},
                                           {"stage_two", suppressed.names_evicted},
                                           {"parents", suppressed.parents_evicted}})},
         {"edm", edm_of(report)}});
    return root.to_pretty() + "\n";
}

}  // namespace tapir::edge
