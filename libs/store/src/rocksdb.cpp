#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "tapir/store/store.hpp"

namespace tapir::store {

namespace {

rocksdb::Slice to_slice(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ByteView to_view(const rocksdb::Slice& slice) {
    return as_bytes(std::string_view(slice.data(), slice.size()));
}

Code code_of(const rocksdb::Status& status) {
    if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit ||
        status.IsMemoryLimit()) {
        return Code::exhausted;
    }
    if (status.IsCorruption()) {
        return Code::corrupt;
    }
    if (status.IsBusy() || status.IsTimedOut() || status.IsTryAgain()) {
        return Code::unavailable;
    }
    if (status.IsNotFound()) {
        return Code::not_found;
    }
    if (status.IsInvalidArgument()) {
        return Code::invalid;
    }
    // Another process holds the lock file.
    if (status.IsIOError() && status.ToString().find("lock") != std::string::npos) {
        return Code::unavailable;
    }
    return Code::internal;
}

Failure<Error> fail_status(const std::string& path, const rocksdb::Status& status) {
    return fail(code_of(status), fmt::format("{}: {}", path, status.ToString()));
}

class RocksCursor final : public Cursor {
public:
    RocksCursor(std::unique_ptr<rocksdb::Iterator> iterator, ByteView prefix, ByteView from,
                std::string path)
        : iterator_(std::move(iterator)), prefix_(as_text(prefix)), path_(std::move(path)) {
        iterator_->Seek(std::max(prefix_, std::string(as_text(from))));
    }
    bool valid() const override {
        return iterator_->Valid() && iterator_->key().starts_with(prefix_);
    }
    void next() override {
        TAPIR_ASSERT(valid());
        iterator_->Next();
    }
    ByteView key() const override {
        TAPIR_ASSERT(valid());
        return to_view(iterator_->key());
    }
    ByteView value() const override {
        TAPIR_ASSERT(valid());
        return to_view(iterator_->value());
    }
    Result<void> status() const override {
        const auto status = iterator_->status();
        return status.ok() ? Result<void>() : Result<void>(fail_status(path_, status));
    }

private:
    std::unique_ptr<rocksdb::Iterator> iterator_;
    std::string prefix_;
    std::string path_;
};

using Handles = std::map<std::string, rocksdb::ColumnFamilyHandle*, std::less<>>;

// What Store and snapshot have in common: reading, at an instant or now.
struct Database {
    std::string path;
    std::unique_ptr<rocksdb::DB> db;
    Handles handles;

    Result<rocksdb::ColumnFamilyHandle*> family(std::string_view name) const {
        const auto it = handles.find(name);
        if (it == handles.end()) {
            return fail(Code::invalid, fmt::format("{}: no family '{}'", path, name));
        }
        return it->second;
    }
    Result<std::optional<Bytes>> get(const rocksdb::Snapshot* at, std::string_view name,
                                     ByteView key) const {
        auto* handle = TRY(family(name));
        rocksdb::ReadOptions options;
        options.snapshot = at;
        rocksdb::PinnableSlice value;
        const auto status = db->Get(options, handle, to_slice(key), &value);
        if (status.IsNotFound()) {
            return std::optional<Bytes>();
        }
        if (!status.ok()) {
            return fail_status(path, status);
        }
        return std::optional<Bytes>(to_bytes(to_view(value)));
    }
    Result<std::unique_ptr<Cursor>> scan(const rocksdb::Snapshot* at, std::string_view name,
                                         ByteView prefix, ByteView from) const {
        auto* handle = TRY(family(name));
        rocksdb::ReadOptions options;
        options.snapshot = at;
        std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(options, handle));
        return std::unique_ptr<Cursor>(
            std::make_unique<RocksCursor>(std::move(iterator), prefix, from, path));
    }
};

class RocksSnapshot final : public Reader {
public:
    explicit RocksSnapshot(const Database& database)
        : database_(database), snapshot_(database.db->GetSnapshot()) {}
    RocksSnapshot(const RocksSnapshot&) = delete;
    RocksSnapshot& operator=(const RocksSnapshot&) = delete;
    ~RocksSnapshot() override { database_.db->ReleaseSnapshot(snapshot_); }

    Result<std::optional<Bytes>> get(std::string_view family, ByteView key) const override {
        return database_.get(snapshot_, family, key);
    }
    Result<std::unique_ptr<Cursor>> scan(std::string_view family, ByteView prefix,
                                         ByteView from) const override {
        return database_.scan(snapshot_, family, prefix, from);
    }

private:
    const Database& database_;
    const rocksdb::Snapshot* snapshot_;
};

class RocksStore final : public Store {
public:
    explicit RocksStore(Database database) : database_(std::move(database)) {}
    RocksStore(const RocksStore&) = delete;
    RocksStore& operator=(const RocksStore&) = delete;
    ~RocksStore() override {
        for (const auto& [name, handle] : database_.handles) {
            database_.db->DestroyColumnFamilyHandle(handle);
        }
        // What was written without sync is in the log of the operating system; Close() hands over
        // what RocksDB itself still holds.
        const auto status = database_.db->Close();
        static_cast<void>(status.ok());
    }

    Result<std::optional<Bytes>> get(std::string_view family, ByteView key) const override {
        return database_.get(nullptr, family, key);
    }
    Result<std::unique_ptr<Cursor>> scan(std::string_view family, ByteView prefix,
                                         ByteView from) const override {
        return database_.scan(nullptr, family, prefix, from);
    }
    std::unique_ptr<Reader> snapshot() const override {
        return std::make_unique<RocksSnapshot>(database_);
    }
    Result<void> write(const Batch& batch, Durability durability) override {
        rocksdb::WriteBatch changes;
        for (const auto& change : batch.changes()) {
            auto* handle = TRY(database_.family(change.family));
            const auto status =
                change.value ? changes.Put(handle, to_slice(change.key), to_slice(*change.value))
                             : changes.Delete(handle, to_slice(change.key));
            if (!status.ok()) {
                return fail_status(database_.path, status);
            }
        }
        rocksdb::WriteOptions options;
        options.sync = durability == Durability::synced;
        const auto status = database_.db->Write(options, &changes);
        if (status.ok()) {
            return {};
        }
        // After a full disk RocksDB refuses all writes until it is told that there is room again;
        // the next write then tries anew.
        if (code_of(status) == Code::exhausted) {
            const auto resumed = database_.db->Resume();
            static_cast<void>(resumed.ok());
        }
        return fail_status(database_.path, status);
    }

private:
    Database database_;
};

rocksdb::Options to_options(const RocksOptions& options) {
    rocksdb::Options out;
    out.create_if_missing = true;
    out.create_missing_column_families = true;
    out.db_write_buffer_size = options.write_buffer_size_max;
    out.write_buffer_size = options.write_buffer_size_max / 2;
    // Most reads are for what is not there: a filter says so without a walk through what was
    // written last, as the filters of the files do.
    out.memtable_whole_key_filtering = true;
    out.memtable_prefix_bloom_size_ratio = 0.05;
    out.max_open_files = 256;
    out.keep_log_file_num = 2;
    out.max_log_file_size = 1U << 20U;
    out.max_total_wal_size = 4 * options.write_buffer_size_max;
    // The machine may be small, and the resolver comes first.
    out.max_background_jobs = 2;
    // A torn end of the log is what a crash leaves; anything else wrong in it is corruption.
    out.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    out.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(options.cache_size_max);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.cache_index_and_filter_blocks = true;
    out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return out;
}

}  // namespace

Result<std::unique_ptr<Store>> open_rocksdb(const std::string& path,
                                            const std::vector<std::string>& families,
                                            RocksOptions options) {
    const auto rocks_options = to_options(options);
    std::set<std::string> names(families.begin(), families.end());
    names.insert(rocksdb::kDefaultColumnFamilyName);
    // A store that does not exist yet has none, which is no error.
    std::vector<std::string> there;
    if (rocksdb::DB::ListColumnFamilies(rocks_options, path, &there).ok()) {
        for (const auto& name : there) {
            if (!names.contains(name)) {
                return fail(
                    Code::invalid,
                    fmt::format("{}: holds a family '{}' that is not asked for", path, name));
            }
        }
    }
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    descriptors.reserve(names.size());
    for (const auto& name : names) {
        descriptors.emplace_back(name, rocks_options);
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(rocks_options, path, descriptors, &handles, &db);
    if (!status.ok()) {
        return fail_status(path, status);
    }
    Database database;
    database.path = path;
    database.db.reset(db);
    for (auto* handle : handles) {
        database.handles[handle->GetName()] = handle;
    }
    return std::unique_ptr<Store>(std::make_unique<RocksStore>(std::move(database)));
}

}  // namespace tapir::store
