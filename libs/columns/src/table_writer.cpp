#include "tapir/columns/table_writer.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <set>

#include <snappy.h>

#include "thrift.hpp"

namespace tapir::columns {

namespace {

constexpr std::string_view magic = "PAR1";
constexpr std::size_t page_size_max = 1'048'576;  // octets before compression, or one value
constexpr std::string_view padding_key = "padding";

// Numbers of parquet.thrift.
enum class Physical : std::uint8_t { boolean = 0, int32 = 1, int64 = 2, float64 = 5, bytes = 6 };
enum class Converted : std::uint8_t {
    none = 255,
    utf8 = 0,
    timestamp_us = 10,
    uint8 = 11,
    uint16 = 12,
    uint32 = 13,
    uint64 = 14,
};
constexpr std::int32_t encoding_plain = 0;
constexpr std::int32_t encoding_rle = 3;
constexpr std::int32_t codec_snappy = 1;
constexpr std::int32_t page_type_data = 0;
constexpr std::int32_t format_version = 2;

struct TypeRow {
    Physical physical;
    Converted converted;
    std::uint8_t unsigned_bits;  // 0: no INTEGER
};

constexpr TypeRow row_of(Type type) {
    switch (type) {
        case Type::timestamp_us:
            return {Physical::int64, Converted::timestamp_us, 0};
        case Type::int64:
            return {Physical::int64, Converted::none, 0};
        case Type::uint64:
            return {Physical::int64, Converted::uint64, 64};
        case Type::int32:
            return {Physical::int32, Converted::none, 0};
        case Type::uint32:
            return {Physical::int32, Converted::uint32, 32};
        case Type::uint16:
            return {Physical::int32, Converted::uint16, 16};
        case Type::uint8:
            return {Physical::int32, Converted::uint8, 8};
        case Type::float64:
            return {Physical::float64, Converted::none, 0};
        case Type::boolean:
            return {Physical::boolean, Converted::none, 0};
        case Type::string:
            return {Physical::bytes, Converted::utf8, 0};
        case Type::bytes:
            return {Physical::bytes, Converted::none, 0};
    }
    return {Physical::bytes, Converted::none, 0};
}

constexpr std::int32_t bits_of(Physical physical) {
    switch (physical) {
        case Physical::boolean:
            return 1;
        case Physical::int32:
            return 32;
        case Physical::int64:
        case Physical::float64:
            return 64;
        case Physical::bytes:
            break;
    }
    return 0;
}

template <class T>
void append_little_endian(Bytes& out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        out.push_back(static_cast<std::byte>(value >> (8 * i)));
    }
}

std::size_t varint_size(std::size_t value) {
    std::size_t size = 1;
    for (; value >= 0x80; value >>= 7U) {
        ++size;
    }
    return size;
}

// One column: finished pages, compressed, and the page that is being filled.
class ColumnChunk {
public:
    explicit ColumnChunk(Column column) : column_(std::move(column)) {}

    const Column& column() const { return column_; }
    std::size_t row_count() const { return row_count_; }
    std::size_t null_count() const { return null_count_; }
    std::size_t uncompressed_size() const { return uncompressed_size_; }
    const Bytes& pages() const { return pages_; }

    template <class T>
    void fixed(T value) {
        begin_value();
        append_little_endian(values_, value);
        end_value();
    }
    void boolean(bool value) {
        begin_value();
        if (bit_count_ % 8 == 0) {
            values_.push_back(std::byte{0});
        }
        values_.back() |= static_cast<std::byte>(unsigned{value} << bit_count_ % 8);
        ++bit_count_;
        end_value();
    }
    void bytes(ByteView value) {
        begin_value();
        append_little_endian(values_, static_cast<std::uint32_t>(value.size()));
        append(values_, value);
        end_value();
    }
    void null() {
        level(false);
        ++null_count_;
        ++row_count_;
    }

    void seal_page();

private:
    void begin_value() { level(true); }
    void end_value() {
        ++row_count_;
        if (values_.size() >= page_size_max) {
            seal_page();
        }
    }
    void level(bool is_present) {
        ++page_rows_;
        if (runs_.empty() || runs_.back().first != is_present) {
            runs_.emplace_back(is_present, 0);
        }
        ++runs_.back().second;
    }
    Bytes definition_levels() const;

    Column column_;
    Bytes pages_;
    Bytes values_;
    std::vector<std::pair<bool, std::uint32_t>> runs_;  // of the page: present or not, how many
    std::size_t page_rows_ = 0;
    std::size_t bit_count_ = 0;  // of the page, for booleans
    std::size_t row_count_ = 0;
    std::size_t null_count_ = 0;
    std::size_t uncompressed_size_ = 0;  // with page headers, as the metadata wants it
};

// Levels of one bit, as runs of the RLE and bit-packing hybrid, behind their size.
Bytes ColumnChunk::definition_levels() const {
    Bytes runs;
    for (const auto& [is_present, count] : runs_) {
        std::uint64_t head = std::uint64_t{count} << 1U;
        for (; head >= 0x80; head >>= 7U) {
            append_u8(runs, static_cast<std::uint8_t>(head | 0x80U));
        }
        append_u8(runs, static_cast<std::uint8_t>(head));
        append_u8(runs, is_present ? 1 : 0);
    }
    Bytes out;
    append_little_endian(out, static_cast<std::uint32_t>(runs.size()));
    append(out, runs);
    return out;
}

void ColumnChunk::seal_page() {
    if (page_rows_ == 0) {
        return;
    }
    Bytes raw = column_.presence == Presence::optional ? definition_levels() : Bytes();
    append(raw, values_);
    std::string packed;
    snappy::Compress(reinterpret_cast<const char*>(raw.data()), raw.size(), &packed);

    Bytes header;
    ThriftWriter out(header);
    out.begin_element();
    out.i32(1, page_type_data);
    out.i32(2, static_cast<std::int32_t>(raw.size()));
    out.i32(3, static_cast<std::int32_t>(packed.size()));
    out.begin_struct(5);
    out.i32(1, static_cast<std::int32_t>(page_rows_));
    out.i32(2, encoding_plain);
    out.i32(3, encoding_rle);
    out.i32(4, encoding_rle);
    out.end_struct();
    out.end_struct();

    append(pages_, header);
    append(pages_, packed);
    uncompressed_size_ += header.size() + raw.size();
    values_.clear();
    runs_.clear();
    page_rows_ = 0;
    bit_count_ = 0;
}

void write_logical_type(ThriftWriter& out, Type type) {
    const TypeRow row = row_of(type);
    if (row.converted == Converted::none) {
        return;
    }
    out.i32(6, static_cast<std::int32_t>(row.converted));
    out.begin_struct(10);
    if (type == Type::string) {
        out.begin_struct(1);
        out.end_struct();
    } else if (type == Type::timestamp_us) {
        out.begin_struct(8);
        out.boolean(1, true);
        out.begin_struct(2);
        out.begin_struct(2);  // MICROS
        out.end_struct();
        out.end_struct();
        out.end_struct();
    } else {
        out.begin_struct(10);
        out.i8(1, row.unsigned_bits);
        out.boolean(2, false);
        out.end_struct();
    }
    out.end_struct();
}

void write_schema(ThriftWriter& out, const std::string& root, const std::vector<ColumnChunk>& all) {
    out.begin_list_of_structs(2, all.size() + 1);
    out.begin_element();
    out.string(4, root);
    out.i32(5, static_cast<std::int32_t>(all.size()));
    out.end_struct();
    for (const ColumnChunk& chunk : all) {
        const Column& column = chunk.column();
        out.begin_element();
        out.i32(1, static_cast<std::int32_t>(row_of(column.type).physical));
        if (const std::int32_t bits = bits_of(row_of(column.type).physical); bits > 0) {
            out.i32(2, bits);  // says nothing for these types, but the reference writes it
        }
        out.i32(3, column.presence == Presence::optional ? 1 : 0);
        out.string(4, column.name);
        write_logical_type(out, column.type);
        out.end_struct();
    }
}

void write_chunk(ThriftWriter& out, const ColumnChunk& chunk, std::size_t offset) {
    const Column& column = chunk.column();
    out.begin_element();
    out.i64(2, static_cast<std::int64_t>(offset));
    out.begin_struct(3);
    out.i32(1, static_cast<std::int32_t>(row_of(column.type).physical));
    out.begin_list_of_i32(2, 2);
    out.element_i32(encoding_plain);
    out.element_i32(encoding_rle);
    out.begin_list_of_strings(3, 1);
    out.element_string(column.name);
    out.i32(4, codec_snappy);
    out.i64(5, static_cast<std::int64_t>(chunk.row_count()));
    out.i64(6, static_cast<std::int64_t>(chunk.uncompressed_size()));
    out.i64(7, static_cast<std::int64_t>(chunk.pages().size()));
    out.i64(9, static_cast<std::int64_t>(offset));
    out.begin_struct(12);
    out.i64(3, static_cast<std::int64_t>(chunk.null_count()));
    out.end_struct();
    out.end_struct();
    out.end_struct();
}

void write_row_group(ThriftWriter& out, const std::vector<ColumnChunk>& all) {
    std::size_t uncompressed = 0;
    std::size_t offset = magic.size();
    out.begin_element();
    out.begin_list_of_structs(1, all.size());
    for (const ColumnChunk& chunk : all) {
        write_chunk(out, chunk, offset);
        offset += chunk.pages().size();
        uncompressed += chunk.uncompressed_size();
    }
    out.i64(2, static_cast<std::int64_t>(uncompressed));
    out.i64(3, static_cast<std::int64_t>(all.front().row_count()));
    out.i64(5, static_cast<std::int64_t>(magic.size()));
    out.i64(6, static_cast<std::int64_t>(offset - magic.size()));
    out.end_struct();
}

// FileMetaData, its size, and the magic.
Bytes footer(const std::string& root, const std::vector<ColumnChunk>& all,
             std::span<const std::pair<std::string, std::string>> metadata) {
    Bytes octets;
    ThriftWriter out(octets);
    const std::size_t row_count = all.front().row_count();
    out.begin_element();
    out.i32(1, format_version);
    write_schema(out, root, all);
    out.i64(3, static_cast<std::int64_t>(row_count));
    out.begin_list_of_structs(4, row_count == 0 ? 0 : 1);
    if (row_count != 0) {
        write_row_group(out, all);
    }
    if (!metadata.empty()) {
        out.begin_list_of_structs(5, metadata.size());
        for (const auto& [key, value] : metadata) {
            out.begin_element();
            out.string(1, key);
            out.string(2, value);
            out.end_struct();
        }
    }
    out.string(6, "tapir");
    out.end_struct();
    append_little_endian(octets, static_cast<std::uint32_t>(octets.size()));
    append(octets, magic);
    return octets;
}

// How many blanks make a file of `size` octets, with the size of no blanks in it, a multiple.
std::size_t padding_for(std::size_t size, std::size_t pad_to) {
    const std::size_t base = size - varint_size(0);
    for (std::size_t target = (size + pad_to - 1) / pad_to * pad_to;; target += pad_to) {
        // The blanks' own size takes one to three octets; where it grows, one total is skipped.
        for (std::size_t size_octets = 1; size_octets <= 4; ++size_octets) {
            if (target >= base + size_octets &&
                varint_size(target - base - size_octets) == size_octets) {
                return target - base - size_octets;
            }
        }
    }
}

}  // namespace

struct TableWriter::Impl {
    std::string root;
    std::vector<ColumnChunk> columns;
    std::size_t raw_size = 0;

    // The column to append to, if it is of this physical type.
    ColumnChunk& at(std::size_t column, Physical physical) {
        TAPIR_ASSERT(column < columns.size());
        TAPIR_ASSERT(row_of(columns[column].column().type).physical == physical);
        return columns[column];
    }
    // Whether there is room for `size` octets more; what does not fit makes finish() fail.
    bool has_room(std::size_t size) {
        raw_size += size;
        return raw_size <= file_size_max;
    }
};

TableWriter::TableWriter(std::string root_name, const std::vector<Column>& columns)
    : impl_(std::make_unique<Impl>()) {
    TAPIR_ASSERT(!columns.empty() && columns.size() <= column_count_max);
    std::set<std::string_view> names;
    impl_->columns.reserve(columns.size());
    for (const Column& column : columns) {
        TAPIR_ASSERT(names.insert(column.name).second);
        impl_->columns.emplace_back(column);
    }
    impl_->root = std::move(root_name);
}

TableWriter::TableWriter(TableWriter&&) noexcept = default;
TableWriter& TableWriter::operator=(TableWriter&&) noexcept = default;
TableWriter::~TableWriter() = default;

void TableWriter::int64(std::size_t column, std::int64_t value) {
    ColumnChunk& chunk = impl_->at(column, Physical::int64);
    TAPIR_ASSERT(chunk.column().type != Type::uint64);
    if (impl_->has_room(sizeof value)) {
        chunk.fixed(static_cast<std::uint64_t>(value));
    }
}

void TableWriter::uint64(std::size_t column, std::uint64_t value) {
    ColumnChunk& chunk = impl_->at(column, Physical::int64);
    TAPIR_ASSERT(chunk.column().type == Type::uint64);
    if (impl_->has_room(sizeof value)) {
        chunk.fixed(value);
    }
}

void TableWriter::int32(std::size_t column, std::int32_t value) {
    ColumnChunk& chunk = impl_->at(column, Physical::int32);
    TAPIR_ASSERT(chunk.column().type == Type::int32);
    if (impl_->has_room(sizeof value)) {
        chunk.fixed(static_cast<std::uint32_t>(value));
    }
}

void TableWriter::uint32(std::size_t column, std::uint32_t value) {
    ColumnChunk& chunk = impl_->at(column, Physical::int32);
    const unsigned bits = row_of(chunk.column().type).unsigned_bits;
    TAPIR_ASSERT(bits > 0 && std::uint64_t{value} >> bits == 0);
    if (impl_->has_room(sizeof value)) {
        chunk.fixed(value);
    }
}

void TableWriter::float64(std::size_t column, double value) {
    ColumnChunk& chunk = impl_->at(column, Physical::float64);
    if (impl_->has_room(sizeof value)) {
        chunk.fixed(std::bit_cast<std::uint64_t>(value));
    }
}

void TableWriter::boolean(std::size_t column, bool value) {
    ColumnChunk& chunk = impl_->at(column, Physical::boolean);
    if (impl_->has_room(1)) {
        chunk.boolean(value);
    }
}

void TableWriter::bytes(std::size_t column, ByteView value) {
    ColumnChunk& chunk = impl_->at(column, Physical::bytes);
    if (impl_->has_room(sizeof(std::uint32_t) + value.size())) {
        chunk.bytes(value);
    }
}

void TableWriter::null(std::size_t column) {
    TAPIR_ASSERT(column < impl_->columns.size());
    TAPIR_ASSERT(impl_->columns[column].column().presence == Presence::optional);
    if (impl_->has_room(1)) {
        impl_->columns[column].null();
    }
}

std::size_t TableWriter::column_count() const {
    return impl_->columns.size();
}

std::size_t TableWriter::row_count(std::size_t column) const {
    TAPIR_ASSERT(column < impl_->columns.size());
    return impl_->columns[column].row_count();
}

Result<Bytes> TableWriter::finish(const FinishOptions& options) {
    TAPIR_ASSERT(options.pad_to <= pad_to_max);
    std::vector<Column> shape;
    for (const ColumnChunk& chunk : impl_->columns) {
        shape.push_back(chunk.column());
    }
    TableWriter done(impl_->root, shape);
    std::swap(impl_, done.impl_);
    auto& columns = done.impl_->columns;

    if (done.impl_->raw_size > file_size_max) {
        return fail(Code::exhausted,
                    "table: more than " + std::to_string(file_size_max) + " octets");
    }
    for (ColumnChunk& chunk : columns) {
        if (chunk.row_count() != columns.front().row_count()) {
            return fail(Code::invalid, "table: column " + chunk.column().name + " has " +
                                           std::to_string(chunk.row_count()) + " values, not " +
                                           std::to_string(columns.front().row_count()));
        }
        chunk.seal_page();
    }
    Bytes file = to_bytes(magic);
    for (const ColumnChunk& chunk : columns) {
        append(file, chunk.pages());
    }
    auto metadata = options.metadata;
    if (options.pad_to > 0) {
        metadata.emplace_back(padding_key, "");
        const std::size_t size = file.size() + footer(done.impl_->root, columns, metadata).size();
        metadata.back().second.assign(padding_for(size, options.pad_to), ' ');
    }
    append(file, footer(done.impl_->root, columns, metadata));
    return file;
}

}  // namespace tapir::columns
