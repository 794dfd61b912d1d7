// Messages from hostile octets: what is kept can be read, has no option left that says who asked,
// differs from what came in options alone, and is left as it is when it is cleared again.
#include <cstddef>
#include <cstdint>
#include <span>

#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/dns/client_options.hpp"
#include "tapir/dns/fuzzing.hpp"
#include "tapir/dns/message.hpp"

namespace {

using namespace tapir;
using namespace tapir::dns;

void check_options(ByteView rdata) {
    ByteReader in(rdata);
    while (in.position() < rdata.size()) {
        const std::uint16_t code = in.u16();
        const ByteView data = in.bytes(in.u16());
        TAPIR_ASSERT(!in.failed());
        const bool is_server =
            code == 3 || code == 9 || code == 11 || code == 15 || code == 18 || code == 19;
        for (const std::byte octet : data) {
            TAPIR_ASSERT(is_server || (code == 12 && octet == std::byte{0}));
        }
        TAPIR_ASSERT(is_server || code == 12);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView before = std::as_bytes(std::span(data, size));
    Bytes after = to_bytes(before);
    const auto kept = clear_client_options(after);
    if (!kept) {
        return 0;
    }
    TAPIR_ASSERT(*kept <= before.size() && *kept >= header_size);
    after.resize(*kept);
    NameBuffer scratch;
    const auto message = Message::parse(after, Depth::standard, scratch);
    TAPIR_ASSERT(message.has_value());
    RecordReader records(*message);
    Bytes restored = after;
    while (records.next()) {
        const Record& record = records.record();
        if (record.type == RrType::opt) {
            check_options(record.rdata);
            const auto at = static_cast<std::ptrdiff_t>(record.rdata_offset);
            std::copy_n(before.begin() + at, record.rdata.size(), restored.begin() + at);
        }
    }
    TAPIR_ASSERT(std::ranges::equal(restored, before.first(*kept)));
    Bytes again = after;
    const auto kept_again = clear_client_options(again);
    TAPIR_ASSERT(!kept_again || (*kept_again == *kept && again == after));
    return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return tapir::fuzzing::mutate_by(data, size, size_max, seed, dns::fuzzing::change_message);
}
