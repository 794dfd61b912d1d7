// The files of a simulated process that may die at any operation (fuse.hpp).
//
//     MemoryFiles disk;
//     MortalFiles files(disk, fuse);
//
// In its last operation a temporary file may be left, whole or in part, a prefix of an append, the
// old name or the new one, some of the folders. `disk` and `fuse` must outlive it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tapir/world/files.hpp"
#include "tapir/world/fuse.hpp"

namespace tapir::world {

class MortalFiles final : public Files {
public:
    MortalFiles(Files& disk, Fuse& fuse) : disk_(disk), fuse_(fuse) {}

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

private:
    Result<void> alive(const std::string& path) const;
    // Does `whole`; or the process is dead, or dies now, and `torn` or `whole` has happened.
    template <class Torn, class Whole>
    Result<void> change(const std::string& path, const Torn& torn, const Whole& whole);

    Files& disk_;
    Fuse& fuse_;
};

}  // namespace tapir::world
