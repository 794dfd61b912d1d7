// What a Parquet file of ours says in plain octets: its pages unpacked.
//
//     if (const auto plain = unpacked(file)) { plain->find("example"); }
//
// Snappy may write a text as a copy of what came before it, so a name that is in a column need not
// be in the file's octets. Reads what `columns` writes and nothing else: pages from the magic to
// the footer without a gap, each SNAPPY with PLAIN values, so that no octet is passed over.
#pragma once

#include <optional>
#include <string>

#include "tapir/base/bytes.hpp"

namespace tapir::sim {

// The pages of all columns one after the other, then the footer. Nothing: it is no such file.
std::optional<std::string> unpacked(ByteView file);

}  // namespace tapir::sim
