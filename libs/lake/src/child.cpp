#include "tapir/lake/child.hpp"

#include <charconv>
#include <new>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

namespace tapir::lake {

namespace {

// Exit statuses that lake.cpp tells apart: anything else is taken for the input's fault.
constexpr int done = 0;
constexpr int own_trouble = 2;
constexpr int out_of_memory = 3;

constexpr std::uint32_t gated_magic = 0x54474154;  // "TGAT"
constexpr std::uint32_t table_magic = 0x5454424c;  // "TTBL"
constexpr std::uint32_t is_null = 0xffffffff;
constexpr std::uint8_t no_refusal = 0xff;

void append_text(Bytes& out, std::string_view text) {
    append_u32(out, static_cast<std::uint32_t>(text.size()));
    append(out, text);
}

std::string read_text(ByteReader& in) {
    return std::string(as_text(in.bytes(in.u32())));
}

Result<Bytes> read_input(std::size_t size_max) {
    Bytes input;
    std::array<std::byte, 65536> block{};
    for (;;) {
        const ssize_t n = read(STDIN_FILENO, block.data(), block.size());
        if (n < 0) {
            return fail(Code::internal, "standard input cannot be read");
        }
        if (n == 0) {
            return input;
        }
        append(input, ByteView(block).first(static_cast<std::size_t>(n)));
        if (input.size() > size_max) {
            return fail(Code::invalid, "too much standard input");
        }
    }
}

bool write_output(ByteView bytes) {
    while (!bytes.empty()) {
        const ssize_t n = write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (n <= 0) {
            return false;
        }
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return true;
}

Result<Bytes> serve(int argc, const char* const* argv) {
    const std::string_view what = argc > 2 ? argv[2] : "";
    if (what == "gate" && argc == 5) {
        const std::string_view length = argv[4];
        std::int64_t interval_s = 0;
        std::from_chars(length.data(), length.data() + length.size(), interval_s);
        const Bytes upload = TRY(read_input(upload_size_max));
        return encode(TRY(gate(upload, argv[3], interval_s)));
    }
    if (what == "query" && argc == 4) {
        const Bytes sql = TRY(read_input(query_size_max));
        return encode(query_here(argv[3], as_text(sql)));
    }
    if (what == "file" && argc == 4) {
        const Bytes sql = TRY(read_input(query_size_max));
        return encode(query_file_here(argv[3], as_text(sql)));
    }
    return fail(Code::invalid, "usage: gate EDGE SECONDS, query DIRECTORY, or file PATH");
}

}  // namespace

bool is_child(int argc, const char* const* argv) {
    return argc > 1 && argv[1] == child_word;
}

int child_main(int argc, const char* const* argv) {
    try {
        const auto answer = serve(argc, argv);
        if (!answer) {
            const std::string line = answer.error().what() + "\n";
            [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, line.data(), line.size());
            return own_trouble;
        }
        return write_output(*answer) ? done : own_trouble;
    } catch (const std::bad_alloc&) {
        return out_of_memory;
    }
}

Bytes encode(const Gated& gated) {
    Bytes out;
    append_u32(out, gated_magic);
    append_u8(out, gated.refusal ? static_cast<std::uint8_t>(*gated.refusal) : no_refusal);
    append_text(out, gated.detail);
    for (const std::uint64_t count :
         {gated.rows.read, gated.rows.kept, gated.rows.below_threshold, gated.rows.bad_name,
          gated.rows.bad_value, gated.rows.sketches}) {
        append_u64(out, count);
    }
    append_u32(out, static_cast<std::uint32_t>(gated.file.size()));
    append(out, gated.file);
    return out;
}

Result<Gated> decode_gated(ByteView bytes) {
    ByteReader in(bytes);
    Gated gated;
    const std::uint32_t magic = in.u32();
    const std::uint8_t refusal = in.u8();
    gated.detail = read_text(in);
    gated.rows.read = in.u64();
    gated.rows.kept = in.u64();
    gated.rows.below_threshold = in.u64();
    gated.rows.bad_name = in.u64();
    gated.rows.bad_value = in.u64();
    gated.rows.sketches = in.u64();
    gated.file = to_bytes(in.bytes(in.u32()));
    if (in.failed() || in.remaining() != 0 || magic != gated_magic) {
        return fail(Code::corrupt, "the child's answer is no answer");
    }
    if (refusal != no_refusal) {
        if (refusal >= refusal_names.size()) {
            return fail(Code::corrupt, "the child's answer names no refusal");
        }
        gated.refusal = static_cast<Refusal>(refusal);
    }
    const Rows& rows = gated.rows;
    for (const std::uint64_t count :
         {rows.read, rows.kept, rows.below_threshold, rows.bad_name, rows.bad_value}) {
        if (count > upload_rows_max) {
            return fail(Code::corrupt, "the child's answer counts too many rows");
        }
    }
    if (rows.read != rows.kept + rows.below_threshold + rows.bad_name + rows.bad_value) {
        return fail(Code::corrupt, "the child's answer does not add up");
    }
    const bool has_file = as_text(gated.file).starts_with("PAR1");
    if (has_file != (rows.kept > 0) || has_file == gated.file.empty() ||
        (gated.refusal && has_file)) {
        return fail(Code::corrupt, "the child's answer has a file that does not fit it");
    }
    return gated;
}

Bytes encode(const Result<Table>& table) {
    Bytes out;
    append_u32(out, table_magic);
    append_u8(out, table ? 1 : 0);
    if (!table) {
        append_text(out, table.error().what());
        return out;
    }
    append_u32(out, static_cast<std::uint32_t>(table->columns.size()));
    for (const auto& column : table->columns) {
        append_text(out, column);
    }
    for (const auto& row : table->rows) {
        for (const auto& value : row) {
            if (value) {
                append_text(out, *value);
            } else {
                append_u32(out, is_null);
            }
        }
    }
    return out;
}

Result<Table> decode_table(ByteView bytes) {
    ByteReader in(bytes);
    if (in.u32() != table_magic) {
        return fail(Code::corrupt, "the child's answer is no table");
    }
    if (in.u8() == 0) {
        std::string why = read_text(in);
        return fail(in.failed() ? Code::corrupt : Code::invalid, std::move(why));
    }
    Table table;
    const std::uint32_t columns = in.u32();
    for (std::uint32_t i = 0; i < columns && !in.failed(); ++i) {
        table.columns.push_back(read_text(in));
    }
    while (!in.failed() && in.remaining() > 0 && columns > 0) {
        auto& row = table.rows.emplace_back();
        for (std::uint32_t i = 0; i < columns && !in.failed(); ++i) {
            const std::uint32_t size = in.u32();
            row.push_back(size == is_null ? std::nullopt
                                          : std::optional<std::string>(as_text(in.bytes(size))));
        }
    }
    if (in.failed() || in.remaining() != 0) {
        return fail(Code::corrupt, "the child's table is cut off");
    }
    return table;
}

}  // namespace tapir::lake
