// Files as a port. Every write that returns success is on the disk, its directory entry too.
//
//     SystemFiles files;
//     TRY(files.write_atomically("/var/lib/tapir/edge/outbox/1.json", body));   // all or nothing
//     const Bytes text = TRY(files.read("edge.toml", settings_size_max));
//
// Errors name the path and the system's reason ("outbox/1.json: No space left on device"):
// not_found, conflict (exists, not empty), denied, exhausted (space, quota, or larger than asked
// for), invalid (a directory where a file was expected, or the reverse), internal (the rest).
// Paths are text; nothing is resolved or expanded. Threads may share a Files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::world {

// A whole file, read-only, in memory or mapped. Another process that shortens a mapped file ends
// this one (SIGBUS): map only files that are replaced by write_atomically, never written in place.
class MappedFile {
public:
    virtual ~MappedFile() = default;
    // Valid while this object lives.
    ByteView bytes() const { return bytes_; }

protected:
    MappedFile() = default;
    MappedFile(const MappedFile&) = default;
    MappedFile& operator=(const MappedFile&) = default;
    ByteView bytes_;
};

using FileMode = std::uint32_t;                    // permission bits only
inline constexpr FileMode mode_private = 0600;     // keys, state
inline constexpr FileMode mode_group_read = 0640;  // what the operator's group may look at

struct DirectoryEntry {
    std::string name;  // without the folder
    bool is_directory = false;
    friend bool operator==(const DirectoryEntry&, const DirectoryEntry&) = default;
};

// What changes when a file does: written in place, or another renamed over it.
struct FileStamp {
    std::uint64_t inode = 0;
    std::uint64_t size = 0;  // octets
    std::int64_t changed_ns = 0;
    friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

class Files {
public:
    virtual ~Files() = default;

    // The whole file. More than `size_max` octets is `exhausted`, and nothing is kept.
    virtual Result<Bytes> read(const std::string& path, std::size_t size_max) = 0;
    // At most `count` octets from `offset`; fewer only at the end of the file.
    virtual Result<Bytes> read_at(const std::string& path, std::uint64_t offset,
                                  std::size_t count) = 0;
    virtual Result<std::unique_ptr<const MappedFile>> map(const std::string& path) = 0;

    // Replaces or creates `path` as a whole: temporary file beside it ("PATH.tmp-…"), fsync,
    // rename, fsync of the folder. After a crash there is the old content or the new.
    virtual Result<void> write_atomically(const std::string& path, ByteView content,
                                          FileMode mode = mode_group_read) = 0;
    // Adds to the end, creating the file if there is none, and fsyncs. After a crash a part of
    // `content` may be there: readers of such files must expect a torn end.
    virtual Result<void> append(const std::string& path, ByteView content,
                                FileMode mode = mode_group_read) = 0;
    // Cuts the file to `size` octets (to drop a torn end), and fsyncs.
    virtual Result<void> truncate(const std::string& path, std::uint64_t size) = 0;

    // Replaces `to` if it is there; both folders are fsynced.
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    virtual Result<void> remove(const std::string& path) = 0;
    virtual Result<void> make_directories(const std::string& path, FileMode mode = 0750) = 0;
    // Sorted by name. Without "." and "..".
    virtual Result<std::vector<DirectoryEntry>> list(const std::string& directory) = 0;

    virtual Result<std::uint64_t> size(const std::string& path) = 0;
    virtual Result<FileMode> mode(const std::string& path) = 0;
    virtual Result<FileStamp> stamp(const std::string& path) = 0;
    // False also where we may not look.
    virtual bool exists(const std::string& path) = 0;
};

class SystemFiles final : public Files {
public:
    Result<Bytes> read(const std::string& path, std::size_t size_max) override;
    Result<Bytes> read_at(const std::string& path, std::uint64_t offset,
                          std::size_t count) override;
    Result<std::unique_ptr<const MappedFile>> map(const std::string& path) override;
    Result<void> write_atomically(const std::string& path, ByteView content,
                                  FileMode mode = mode_group_read) override;
    Result<void> append(const std::string& path, ByteView content,
                        FileMode mode = mode_group_read) override;
    Result<void> truncate(const std::string& path, std::uint64_t size) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> remove(const std::string& path) override;
    Result<void> make_directories(const std::string& path, FileMode mode = 0750) override;
    Result<std::vector<DirectoryEntry>> list(const std::string& directory) override;
    Result<std::uint64_t> size(const std::string& path) override;
    Result<FileMode> mode(const std::string& path) override;
    Result<FileStamp> stamp(const std::string& path) override;
    bool exists(const std::string& path) override;
};

// Files in memory, for tests and the simulator: a disk of limited size that can be told to fail.
class MemoryFiles : public Files {
public:
    // Writes that would make all files together larger than `capacity` fail with `exhausted`.
    explicit MemoryFiles(std::uint64_t capacity = 1ULL << 40U) : capacity_(capacity) {}

    // What every change answers from now on, instead of doing it; nothing ends it.
    void fail_changes(std::optional<Error> error);
    void set_capacity(std::uint64_t capacity);
    // Octets in all files together.
    std::uint64_t used() const;
    void set_mode(const std::string& path, FileMode mode);

    Result<Bytes> read(const std::string& path, std::size_t size_max) override;
    Result<Bytes> read_at(const std::string& path, std::uint64_t offset,
                          std::size_t count) override;
    Result<std::unique_ptr<const MappedFile>> map(const std::string& path) override;
    Result<void> write_atomically(const std::string& path, ByteView content,
                                  FileMode mode = mode_group_read) override;
    Result<void> append(const std::string& path, ByteView content,
                        FileMode mode = mode_group_read) override;
    Result<void> truncate(const std::string& path, std::uint64_t size) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> remove(const std::string& path) override;
    Result<void> make_directories(const std::string& path, FileMode mode = 0750) override;
    Result<std::vector<DirectoryEntry>> list(const std::string& directory) override;
    Result<std::uint64_t> size(const std::string& path) override;
    Result<FileMode> mode(const std::string& path) override;
    // Of a whole write another inode, of an append or a cut another time.
    Result<FileStamp> stamp(const std::string& path) override;
    bool exists(const std::string& path) override;

private:
    struct Node {
        Bytes content;
        FileMode mode = 0;
        bool is_directory = false;
        std::uint64_t inode = 0;
        std::int64_t changes = 0;
    };
    Result<void> may_change(const std::string& path, std::uint64_t more) const;
    bool erase(const std::string& name);

    mutable std::mutex mutex_;
    std::map<std::string, Node> nodes_;  // by normalised path
    std::uint64_t capacity_;
    std::uint64_t used_ = 0;    // octets of all contents
    std::uint64_t inodes_ = 0;  // given out
    std::optional<Error> failure_;
};

// A key file: like read(), but `denied` unless only the owner may write it and nobody but owner and
// group may read it (0600, 0640, 0400, 0440). The message says how to put it right.
Result<Bytes> read_secret(Files& files, const std::string& path, std::size_t size_max);

}  // namespace tapir::world
