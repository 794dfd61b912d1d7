// What happens to an upload, in SQL. This runs in the child.
#include "gate.hpp"

#include <cerrno>
#include <charconv>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "duck.hpp"
#include "tapir/lake/child.hpp"

namespace tapir::lake {

namespace {

constexpr std::uint64_t count_max = 1'000'000'000'000'000;
constexpr std::size_t name_text_max = 1024;  // 255 octets, escaped, and what joins them
constexpr std::size_t detail_size_max = 500;
constexpr std::size_t label_count = 10;

constexpr std::array<std::string_view, 13> counts = {
    "a_count",         "aaaa_count",     "mx_count",      "ns_count",   "other_type_count",
    "non_in_count",    "ok_count",       "nx_count",      "fail_count", "other_rcode_count",
    "edm_status_bits", "v4client_count", "v6client_count"};
constexpr std::size_t tens_count = 10;  // the first ones are floored to tens

std::string why(int code) {
    return std::error_code(code, std::generic_category()).message();
}

// What stands in a place where SQL has no NULL.
const std::string& text_of(const std::optional<std::string>& value) {
    static const std::string null = "NULL";
    return value ? *value : null;
}

// A file in memory with a path, so that nothing touches a disk.
class MemoryFile {
public:
    static Result<MemoryFile> create(const char* name) {
        const int fd = memfd_create(name, MFD_CLOEXEC);
        if (fd < 0) {
            return fail(Code::internal, "memfd_create: " + why(errno));
        }
        return MemoryFile(fd);
    }
    MemoryFile(MemoryFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    MemoryFile& operator=(MemoryFile&&) = delete;
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    ~MemoryFile() {
        if (fd_ >= 0) {
            close(fd_);
        }
    }

    std::string path() const { return fmt::format("/proc/self/fd/{}", fd_); }

    // Puts `bytes` in place of what is there.
    Result<void> write(ByteView bytes) const {
        if (ftruncate(fd_, 0) != 0 || lseek(fd_, 0, SEEK_SET) != 0) {
            return fail(Code::internal, "ftruncate: " + why(errno));
        }
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
            if (n <= 0) {
                return fail(Code::exhausted, "write: " + why(errno));
            }
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
        return {};
    }

    Result<Bytes> read() const {
        const off_t end = lseek(fd_, 0, SEEK_END);
        if (end < 0 || static_cast<std::uint64_t>(end) > upload_size_max) {
            return fail(Code::exhausted, "the gate's output is too large");
        }
        Bytes out(static_cast<std::size_t>(end));
        std::size_t done = 0;
        while (done < out.size()) {
            const ssize_t n =
                pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(done));
            if (n <= 0) {
                return fail(Code::internal, "read: " + why(errno));
            }
            done += static_cast<std::size_t>(n);
        }
        return out;
    }

private:
    explicit MemoryFile(int fd) : fd_(fd) {}
    int fd_;
};

std::string label(std::size_t index) {
    return fmt::format("label{}", index);
}

Table expected_schema() {
    Table schema;
    const auto add = [&](std::string name, const char* type) {
        schema.rows.push_back({std::move(name), type});
    };
    add("start_time", "TIMESTAMP WITH TIME ZONE");
    for (std::size_t i = 0; i < label_count; ++i) {
        add(label(i), "VARCHAR");
    }
    for (const auto count : counts) {
        add(std::string(count), "UBIGINT");
    }
    add("v4client_count_hll", "BLOB");
    add("v6client_count_hll", "BLOB");
    return schema;
}

// Empty if the columns are as they should be, else what is wrong with them.
std::string schema_fault(const Table& described) {
    const Table expected = expected_schema();
    if (described.rows.size() != expected.rows.size()) {
        return fmt::format("{} columns, expected {}", described.rows.size(), expected.rows.size());
    }
    for (std::size_t i = 0; i < expected.rows.size(); ++i) {
        for (const std::size_t part : {0U, 1U}) {
            const auto& is = described.rows[i][part];
            if (is != expected.rows[i][part]) {
                return fmt::format("column {}: '{}', expected '{}'", i, text_of(is),
                                   text_of(expected.rows[i][part]));
            }
        }
    }
    return {};
}

// Labels run from the root without a gap; only the last may be empty (a suffix entry).
std::string name_is_good() {
    std::string all = "(";
    std::string sizes;
    for (std::size_t i = 0; i < label_count; ++i) {
        const std::string it = label(i);
        all += fmt::format("({0} IS NULL OR regexp_full_match({0}, '[!-~]*'))", it);
        sizes += fmt::format("{}coalesce(strlen({}), 0) + 1", i == 0 ? "" : " + ", it);
        if (i + 1 < label_count) {
            const std::string next = label(i + 1);
            all += fmt::format(" AND ({1} IS NULL OR ({0} IS NOT NULL AND {0} <> ''))", it, next);
        }
        all += " AND ";
    }
    return all + "(label0 IS NULL OR label0 <> '') AND " + sizes +
           fmt::format(" <= {})", name_text_max + label_count);
}

std::string value_is_good() {
    // 2000-01-01 to 2100-01-01: what no clock of ours can show is no time of ours.
    std::string all = "(epoch_us(start_time) BETWEEN 946684800000000 AND 4102444800000000";
    for (const auto count : counts) {
        all += fmt::format(" AND {} <= {}", count, count_max);
    }
    return all + ")";
}

std::string any_null() {
    std::string any = "(start_time IS NULL";
    for (const auto count : counts) {
        any += fmt::format(" OR {} IS NULL", count);
    }
    return any + ")";
}

// 0, 10, 20, 50, 100, 200, … (release rule R5). Small counts are the many: they are asked first.
std::string floored_clients(std::string_view count) {
    std::string out = fmt::format("(CASE WHEN {} < {} THEN 0", count, clients_min);
    std::uint64_t floor = clients_min;
    for (std::uint64_t ten = clients_min; ten < count_max; ten *= 10) {
        for (const std::uint64_t step : {2U, 5U, 10U}) {
            out += fmt::format(" WHEN {} < {} THEN {}", count, ten * step, floor);
            floor = ten * step;
        }
    }
    return out + fmt::format(" ELSE {} END)::UBIGINT AS {}", floor, count);
}

std::string kept_columns(std::string_view edge, std::int64_t interval_s) {
    std::string out = "make_timestamptz(epoch_us(start_time) // 60000000 * 60000000) AS start_time";
    for (std::size_t i = 0; i < label_count; ++i) {
        out += fmt::format(", lower({0}) AS {0}", label(i));
    }
    for (std::size_t i = 0; i < tens_count; ++i) {
        out += fmt::format(", ({0} // 10 * 10)::UBIGINT AS {0}", counts[i]);
    }
    out += ", (edm_status_bits & 3)::UBIGINT AS edm_status_bits";
    out += ", " + floored_clients("v4client_count");
    out += ", " + floored_clients("v6client_count");
    out += ", NULL::BLOB AS v4client_count_hll, NULL::BLOB AS v6client_count_hll";
    out += fmt::format(", {} AS edge, {}::BIGINT AS interval_s", quoted(edge), interval_s);
    return out;
}

std::uint64_t number(const Table& table, std::size_t column) {
    std::uint64_t value = 0;
    if (!table.rows.empty()) {
        const std::string& text = text_of(table.rows[0][column]);
        std::from_chars(text.data(), text.data() + text.size(), value);
    }
    return value;
}

Gated refused(Refusal refusal, std::string_view detail) {
    Gated gated;
    gated.refusal = refusal;
    gated.detail = detail.substr(0, detail_size_max);
    return gated;
}

// An error while reading: the memory was not enough, or the file does not hold together.
Gated refused(const Error& error) {
    return refused(error.code() == Code::exhausted ? Refusal::resources : Refusal::not_parquet,
                   error.what());
}

bool looks_like_parquet(ByteView upload) {
    const std::string_view text = as_text(upload);
    return text.size() >= 12 && text.starts_with("PAR1") && text.ends_with("PAR1");
}

// Looks at the upload's size and its ends. Nothing: it may go on.
std::optional<Gated> first_look(ByteView upload) {
    if (upload.size() > upload_size_max) {
        return refused(Refusal::too_large, fmt::format("{} octets", upload.size()));
    }
    if (!looks_like_parquet(upload)) {
        return refused(Refusal::not_parquet, "no PAR1 at both ends");
    }
    return std::nullopt;
}

// Looks at what it says of itself, without reading its rows. Nothing: it may go on.
std::optional<Gated> second_look(Duck& duck, const std::string& source) {
    const auto meta = duck.run(
        fmt::format("SELECT coalesce(sum(num_rows), 0)::BIGINT FROM parquet_file_metadata({})",
                    quoted(source)));
    if (!meta) {
        return refused(meta.error());
    }
    if (number(*meta, 0) > upload_rows_max) {
        return refused(Refusal::too_many_rows, fmt::format("{} rows", number(*meta, 0)));
    }
    const auto described = duck.run(fmt::format(
        "DESCRIBE SELECT * FROM read_parquet({}, hive_partitioning = false)", quoted(source)));
    if (!described) {
        return refused(described.error());
    }
    const std::string fault = schema_fault(*described);
    if (!fault.empty()) {
        return refused(Refusal::schema, fault);
    }
    return std::nullopt;
}

}  // namespace

struct Gate::Impl {
    Impl(MemoryFile i, MemoryFile o, Duck d)
        : in(std::move(i)), out(std::move(o)), duck(std::move(d)) {}

    MemoryFile in;
    MemoryFile out;
    Duck duck;
};

Gate::Gate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gate::Gate(Gate&&) noexcept = default;
Gate::~Gate() = default;

Result<Gate> Gate::open(Uploads uploads) {
    auto in = TRY(MemoryFile::create("upload"));
    auto out = TRY(MemoryFile::create("lake"));
    // What is remembered of files is of those before, for all have the same path.
    const std::string_view forget =
        uploads == Uploads::many ? "SET enable_external_file_cache = false;" : "";
    // Each value is looked at. The statistics in a footer are only what its maker says of them, and
    // an optimizer that believes them leaves comparisons out.
    auto duck = TRY(Duck::open(
        fmt::format("{}SET disabled_optimizers = 'statistics_propagation,filter_pushdown';"
                    "SET allowed_paths = [{}, {}];",
                    forget, quoted(in.path()), quoted(out.path()))));
    return Gate(std::make_unique<Impl>(std::move(in), std::move(out), std::move(duck)));
}

Result<Gated> Gate::pass(ByteView upload, std::string_view edge, std::int64_t interval_s) {
    if (auto stopped = first_look(upload)) {
        return *std::move(stopped);
    }
    Duck& duck = impl_->duck;
    TRY(impl_->in.write(upload));
    TRY(impl_->out.write({}));
    const std::string in_path = impl_->in.path();
    const std::string out_path = impl_->out.path();
    if (auto stopped = second_look(duck, in_path)) {
        return *std::move(stopped);
    }
    const std::string source =
        fmt::format("read_parquet({}, hive_partitioning = false)", quoted(in_path));
    const std::string good = fmt::format("{} AND {}", value_is_good(), name_is_good());
    const std::string enough =
        fmt::format("(v4client_count >= {0} OR v6client_count >= {0})", clients_min);
    const auto fates = duck.run(fmt::format(
        "SELECT count(*), count(*) FILTER (n), count(*) FILTER (NOT v), "
        "count(*) FILTER (v AND NOT g), count(*) FILTER (v AND g AND NOT e), "
        "count(*) FILTER (v AND g AND e), coalesce(sum(s), 0)::BIGINT FROM (SELECT {} AS n, "
        "coalesce({}, false) AS v, coalesce({}, false) AS g, {} AS e, "
        "(v4client_count_hll IS NOT NULL)::INT + (v6client_count_hll IS NOT NULL)::INT AS s "
        "FROM {})",
        any_null(), value_is_good(), name_is_good(), enough, source));
    if (!fates) {
        return refused(fates.error());
    }
    if (number(*fates, 1) != 0) {
        return refused(Refusal::null_value, fmt::format("{} rows", number(*fates, 1)));
    }
    Gated gated;
    gated.rows = {.read = number(*fates, 0),
                  .kept = number(*fates, 5),
                  .below_threshold = number(*fates, 4),
                  .bad_name = number(*fates, 3),
                  .bad_value = number(*fates, 2),
                  .sketches = number(*fates, 6)};
    if (gated.rows.kept == 0) {
        return gated;
    }
    const auto copied = duck.run(
        fmt::format("COPY (SELECT {} FROM {} WHERE {} AND {}) TO {} "
                    "(FORMAT parquet, COMPRESSION snappy, USE_TMP_FILE false, PARQUET_VERSION v1)",
                    kept_columns(edge, interval_s), source, good, enough, quoted(out_path)));
    if (!copied) {
        return refused(copied.error());
    }
    gated.file = TRY(impl_->out.read());
    return gated;
}

bool Gate::is_alive() {
    return impl_->duck.run("SELECT 1").has_value();
}

Result<Table> Gate::query_kept(std::string_view columns) {
    return impl_->duck.run(fmt::format("SELECT {} FROM read_parquet({}, hive_partitioning = false)",
                                       columns, quoted(impl_->out.path())));
}

Result<Gated> gate(ByteView upload, std::string_view edge, std::int64_t interval_s) {
    if (auto stopped = first_look(upload)) {
        return *std::move(stopped);  // without starting a database
    }
    auto opened = Gate::open(Gate::Uploads::one);
    return opened ? opened->pass(upload, edge, interval_s) : fail(opened.error());
}

Result<Table> query_here(const std::string& directory, std::string_view sql) {
    if (sql.size() > query_size_max) {
        return fail(Code::invalid, fmt::format("a query of more than {} octets", query_size_max));
    }
    auto duck =
        TRY(Duck::open(fmt::format("SET allowed_directories = [{}];", quoted(directory + "/"))));
    const std::string files = quoted(directory + "/product=histogram/*/*/*.parquet");
    const Table found = TRY(duck.run(fmt::format("SELECT count(*) FROM glob({})", files)));
    std::string view = "CREATE VIEW histogram AS SELECT ";
    if (number(found, 0) > 0) {
        // A time without a zone, in UTC, prints without the zone tables that we do not load.
        view += fmt::format(
            "* REPLACE (make_timestamp(epoch_us(start_time)) AS start_time) "
            "FROM read_parquet({}, hive_partitioning = true)",
            files);
    } else {
        const Table schema = expected_schema();
        for (const auto& column : schema.rows) {
            const std::string& name = text_of(column[0]);
            view += fmt::format("NULL::{} AS {}, ",
                                name == "start_time" ? "TIMESTAMP" : text_of(column[1]), name);
        }
        view +=
            "NULL::VARCHAR AS edge, NULL::BIGINT AS interval_s, NULL::VARCHAR AS product, "
            "NULL::DATE AS date, NULL::BIGINT AS hour WHERE false";
    }
    TRY(duck.run(view));
    return duck.run(std::string(sql));
}

Result<Table> query_file_here(const std::string& path, std::string_view sql) {
    if (sql.size() > query_size_max) {
        return fail(Code::invalid, fmt::format("a query of more than {} octets", query_size_max));
    }
    auto duck = TRY(Duck::open(fmt::format("SET allowed_paths = [{}];", quoted(path))));
    const std::string source =
        fmt::format("read_parquet({}, hive_partitioning = false)", quoted(path));
    const Table columns = TRY(duck.run(fmt::format("DESCRIBE SELECT * FROM {}", source)));
    std::string times;
    for (const auto& column : columns.rows) {
        // A time without a zone, in UTC, prints without the zone tables that we do not load.
        if (column.at(1) == "TIMESTAMP WITH TIME ZONE") {
            const std::string& name = text_of(column.at(0));
            times += fmt::format("{}make_timestamp(epoch_us(\"{}\")) AS \"{}\"",
                                 times.empty() ? "" : ", ", name, name);
        }
    }
    TRY(duck.run(fmt::format("CREATE VIEW file AS SELECT *{} FROM {}",
                             times.empty() ? "" : " REPLACE (" + times + ")", source)));
    return duck.run(std::string(sql));
}

}  // namespace tapir::lake
