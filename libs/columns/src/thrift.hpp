// The writing half of Thrift's compact protocol, as far as Parquet's metadata needs it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tapir/base/assert.hpp"
#include "tapir/base/bytes.hpp"

namespace tapir::columns {

// Fields must come in ascending order of their ids; structs nest between begin and end.
class ThriftWriter {
public:
    explicit ThriftWriter(Bytes& out) : out_(out) {}

    void boolean(std::int16_t id, bool value) { field(id, value ? 1 : 2); }
    void i8(std::int16_t id, std::uint8_t value) {
        field(id, 3);
        append_u8(out_, value);
    }
    void i32(std::int16_t id, std::int32_t value) {
        field(id, 5);
        integer(value);
    }
    void i64(std::int16_t id, std::int64_t value) {
        field(id, 6);
        integer(value);
    }
    void string(std::int16_t id, std::string_view value) {
        field(id, 8);
        element_string(value);
    }
    void begin_struct(std::int16_t id) {
        field(id, 12);
        begin_element();
    }
    void end_struct() {
        append_u8(out_, 0);
        last_.pop_back();
    }

    void begin_list_of_i32(std::int16_t id, std::size_t size) { begin_list(id, 5, size); }
    void begin_list_of_strings(std::int16_t id, std::size_t size) { begin_list(id, 8, size); }
    void begin_list_of_structs(std::int16_t id, std::size_t size) { begin_list(id, 12, size); }
    void element_i32(std::int32_t value) { integer(value); }
    void element_string(std::string_view value) {
        varint(value.size());
        append(out_, value);
    }
    // A struct that is an element of a list, or the outermost one. Ends with end_struct().
    void begin_element() { last_.push_back(0); }

private:
    void begin_list(std::int16_t id, unsigned type, std::size_t size) {
        field(id, 9);
        if (size < 15) {
            append_u8(out_, static_cast<std::uint8_t>(size << 4U | type));
        } else {
            append_u8(out_, static_cast<std::uint8_t>(0xF0U | type));
            varint(size);
        }
    }
    void field(std::int16_t id, unsigned type) {
        const int delta = id - last_.back();
        TAPIR_ASSERT(delta > 0 && delta < 16);
        append_u8(out_, static_cast<std::uint8_t>(static_cast<unsigned>(delta) << 4U | type));
        last_.back() = id;
    }
    void integer(std::int64_t value) {
        varint(static_cast<std::uint64_t>(value) << 1U ^ static_cast<std::uint64_t>(value >> 63));
    }
    void varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7U) {
            append_u8(out_, static_cast<std::uint8_t>(value | 0x80U));
        }
        append_u8(out_, static_cast<std::uint8_t>(value));
    }

    Bytes& out_;
    std::vector<std::int16_t> last_;  // the last field id of each struct that is open
};

}  // namespace tapir::columns
