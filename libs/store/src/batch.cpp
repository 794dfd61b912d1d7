#include "tapir/store/store.hpp"

namespace tapir::store {

Bytes number(std::uint64_t value) {
    Bytes octets;
    append_u64(octets, value);
    return octets;
}

std::uint64_t number_of(ByteView octets) {
    return ByteReader(octets).u64();
}

Result<std::uint64_t> parse_number(ByteView octets, std::uint64_t max) {
    const Numbered read = TRY(parse_numbered(octets));
    if (!read.rest.empty() || read.number > max) {
        return fail(Code::corrupt, "the store: a number is damaged");
    }
    return read.number;
}

Result<Numbered> parse_numbered(ByteView octets) {
    ByteReader in(octets);
    const std::uint64_t value = in.u64();
    if (in.failed() || value > number_max) {
        return fail(Code::corrupt, "the store: a number is damaged");
    }
    return Numbered{value, in.rest()};
}

void Batch::put(std::string_view family, ByteView key, ByteView value) {
    changes_.push_back({std::string(family), to_bytes(key), to_bytes(value)});
}

void Batch::erase(std::string_view family, ByteView key) {
    changes_.push_back({std::string(family), to_bytes(key), std::nullopt});
}

Result<void> Store::put(std::string_view family, ByteView key, ByteView value,
                        Durability durability) {
    Batch batch;
    batch.put(family, key, value);
    return write(batch, durability);
}

Result<void> Store::erase(std::string_view family, ByteView key, Durability durability) {
    Batch batch;
    batch.erase(family, key);
    return write(batch, durability);
}

}  // namespace tapir::store
