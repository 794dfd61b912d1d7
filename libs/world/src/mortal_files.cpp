#include "tapir/world/mortal_files.hpp"

#include <fmt/format.h>

namespace tapir::world {

// The last operation: all of it, or what `torn` makes of it.
template <class Torn, class Whole>
Result<void> MortalFiles::change(const std::string& path, const Torn& torn, const Whole& whole) {
    switch (fuse_.step()) {
        case Fuse::Moment::alive:
            return whole();
        case Fuse::Moment::dying:
            static_cast<void>(fuse_.chance().below(2) == 0 ? whole() : torn());
            break;
        case Fuse::Moment::dead:
            break;
    }
    return fail(Error(Fuse::error()).at(path));
}

Result<void> MortalFiles::alive(const std::string& path) const {
    return fuse_.is_burnt() ? Result<void>(fail(Error(Fuse::error()).at(path))) : Result<void>();
}

Result<Bytes> MortalFiles::read(const std::string& path, std::size_t size_max) {
    TRY(alive(path));
    return disk_.read(path, size_max);
}

Result<Bytes> MortalFiles::read_at(const std::string& path, std::uint64_t offset,
                                   std::size_t count) {
    TRY(alive(path));
    return disk_.read_at(path, offset, count);
}

Result<std::unique_ptr<const MappedFile>> MortalFiles::map(const std::string& path) {
    TRY(alive(path));
    return disk_.map(path);
}

Result<void> MortalFiles::write_atomically(const std::string& path, ByteView content,
                                           FileMode mode) {
    return change(
        path,
        [&]() -> Result<void> {
            const auto kept = static_cast<std::size_t>(fuse_.chance().below(content.size() + 2));
            if (kept == 0) {
                return {};
            }
            const std::string temporary =
                fmt::format("{}.tmp-{:06x}", path, fuse_.chance().below(1U << 24U));
            return disk_.write_atomically(temporary, content.first(kept - 1), mode);
        },
        [&] { return disk_.write_atomically(path, content, mode); });
}

Result<void> MortalFiles::append(const std::string& path, ByteView content, FileMode mode) {
    return change(
        path,
        [&] {
            const auto kept = static_cast<std::size_t>(fuse_.chance().below(content.size() + 1));
            return disk_.append(path, content.first(kept), mode);
        },
        [&] { return disk_.append(path, content, mode); });
}

Result<void> MortalFiles::truncate(const std::string& path, std::uint64_t size) {
    return change(path, [] { return Result<void>(); }, [&] { return disk_.truncate(path, size); });
}

Result<void> MortalFiles::rename(const std::string& from, const std::string& to) {
    return change(from, [] { return Result<void>(); }, [&] { return disk_.rename(from, to); });
}

Result<void> MortalFiles::remove(const std::string& path) {
    return change(path, [] { return Result<void>(); }, [&] { return disk_.remove(path); });
}

Result<void> MortalFiles::make_directories(const std::string& path, FileMode mode) {
    return change(
        path,
        [&]() -> Result<void> {
            const auto cut = path.rfind('/');
            return cut == std::string::npos || cut == 0
                       ? Result<void>()
                       : disk_.make_directories(path.substr(0, cut), mode);
        },
        [&] { return disk_.make_directories(path, mode); });
}

Result<std::vector<DirectoryEntry>> MortalFiles::list(const std::string& directory) {
    TRY(alive(directory));
    return disk_.list(directory);
}

Result<std::uint64_t> MortalFiles::size(const std::string& path) {
    TRY(alive(path));
    return disk_.size(path);
}

Result<FileMode> MortalFiles::mode(const std::string& path) {
    TRY(alive(path));
    return disk_.mode(path);
}

Result<FileStamp> MortalFiles::stamp(const std::string& path) {
    TRY(alive(path));
    return disk_.stamp(path);
}

bool MortalFiles::exists(const std::string& path) {
    return !fuse_.is_burnt() && disk_.exists(path);
}

}  // namespace tapir::world
