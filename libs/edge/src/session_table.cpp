#include "session_table.hpp"

#include <array>
#include <utility>

#include "tapir/base/assert.hpp"
#include "tapir/columns/table_writer.hpp"

namespace tapir::edge {
namespace {

using client::Pseudonym;

// In the order of the file.
enum SessionColumn : std::size_t {
    dest_ipv4,
    dest_ipv6_host,
    dest_ipv6_network,
    dest_port,
    dns_protocol,
    label0,
    query_message = label0 + products::histogram_label_count,
    query_time,
    response_message,
    response_time,
    server_id,
    source_ipv4,
    source_ipv6_host,
    source_ipv6_network,
    source_port,
    session_column_count,
};

std::vector<columns::Column> schema() {
    using columns::Presence;
    using columns::Type;
    std::vector<columns::Column> out = {{"dest_ipv4", Type::uint32, Presence::optional},
                                        {"dest_ipv6_host", Type::uint64, Presence::optional},
                                        {"dest_ipv6_network", Type::uint64, Presence::optional},
                                        {"dest_port", Type::uint16, Presence::optional},
                                        {"dns_protocol", Type::uint8, Presence::optional}};
    for (std::size_t i = 0; i < products::histogram_label_count; ++i) {
        out.push_back({"label" + std::to_string(i), Type::string, Presence::optional});
    }
    for (const auto& [name, type] : {std::pair{"query_message", Type::bytes},
                                     {"query_time", Type::timestamp_us},
                                     {"response_message", Type::bytes},
                                     {"response_time", Type::timestamp_us},
                                     {"server_id", Type::bytes},
                                     {"source_ipv4", Type::uint32},
                                     {"source_ipv6_host", Type::uint64},
                                     {"source_ipv6_network", Type::uint64},
                                     {"source_port", Type::uint16}}) {
        out.push_back({name, type, Presence::optional});
    }
    TAPIR_ASSERT(out.size() == session_column_count);
    return out;
}

// An address shows only in the columns of the family that the frame names.
void write_address(columns::TableWriter& table, SessionFamily family, const Pseudonym& address,
                   std::size_t ipv4, std::size_t host, std::size_t network) {
    if (family == SessionFamily::inet && address.kind() == Pseudonym::Kind::ipv4) {
        table.uint32(ipv4, address.ipv4());
    } else {
        table.null(ipv4);
    }
    if (family == SessionFamily::inet6 && address.is_address()) {
        table.uint64(host, address.host());
        table.uint64(network, address.network());
    } else {
        table.null(host);
        table.null(network);
    }
}

template <class Number>
void write_number(columns::TableWriter& table, std::size_t column,
                  const std::optional<Number>& value) {
    if (value) {
        table.uint32(column, *value);
    } else {
        table.null(column);
    }
}

// From the root on; the tenth and all that follow it are one text, joined by dots.
void write_labels(columns::TableWriter& table, dns::NameView name, std::string& scratch) {
    const std::size_t labels = name.label_count();
    for (std::size_t i = 0; i < products::histogram_label_count; ++i) {
        if (i >= labels) {
            table.null(label0 + i);
            continue;
        }
        scratch.clear();
        const std::size_t last = i + 1 == products::histogram_label_count ? labels : i + 1;
        for (std::size_t label = i; label < last; ++label) {
            if (label > i) {
                scratch += '.';
            }
            dns::append_label_text(scratch, *name.suffix(label + 1).labels().begin());
        }
        table.string(label0 + i, scratch);
    }
}

void write_row(columns::TableWriter& table, const SessionRows& block, const SessionRow& row,
               std::string& scratch) {
    write_address(table, row.family, row.dest, dest_ipv4, dest_ipv6_host, dest_ipv6_network);
    write_number(table, dest_port, row.dest_port);
    write_number(table, dns_protocol, row.protocol);
    const auto name = dns::NameView::parse(block.name(row));
    TAPIR_ASSERT(name.has_value());
    write_labels(table, *name, scratch);
    table.null(query_message);
    table.null(query_time);
    if (row.has_message) {
        table.bytes(response_message, block.message(row));
    } else {
        table.null(response_message);
    }
    table.int64(response_time, row.response_time_us);
    if (row.server_id_size > 0) {
        table.bytes(server_id, block.server_id(row));
    } else {
        table.null(server_id);
    }
    write_address(table, row.family, row.source, source_ipv4, source_ipv6_host,
                  source_ipv6_network);
    write_number(table, source_port, row.source_port);
}

}  // namespace

Result<Bytes> write_sessions(std::vector<SessionRows>&& blocks, const std::string& key_id) {
    columns::TableWriter table("sessionData", schema());
    std::string scratch;
    for (SessionRows& taken : blocks) {
        const SessionRows block = std::exchange(taken, {});
        for (const SessionRow& row : block.rows) {
            write_row(table, block, row, scratch);
        }
    }
    columns::FinishOptions options;
    options.metadata.emplace_back(session_key_metadata, key_id);
    return table.finish(options);
}

std::string session_file_name(const products::Interval& interval) {
    constexpr std::string_view histogram_prefix = "dns_histogram-";
    return "dns_session_block-" +
           products::histogram_file_name(interval).substr(histogram_prefix.size());
}

}  // namespace tapir::edge
