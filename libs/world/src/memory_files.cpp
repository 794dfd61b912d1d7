#include <algorithm>

#include <fmt/format.h>

#include "tapir/world/files.hpp"
#include "tapir/world/system_error.hpp"

namespace tapir::world {

namespace {

// "a//b/./c/" and "a/b/c" are one file here as on a disk. ".." is not understood: nobody needs it.
std::string normal(const std::string& path) {
    std::string out;
    std::size_t at = 0;
    while (at < path.size()) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        const auto part = path.substr(at, end - at);
        if (!part.empty() && part != ".") {
            out += (out.empty() && path[0] != '/' ? "" : "/") + part;
        }
        at = end + 1;
    }
    return out.empty() ? (path.starts_with('/') ? "/" : ".") : out;
}

std::string folder_of(const std::string& path) {
    const auto slash = path.find_last_of('/');
    if (slash == std::string::npos) {
        return ".";
    }
    return slash == 0 ? "/" : path.substr(0, slash);
}

class OwnedContent final : public MappedFile {
public:
    explicit OwnedContent(Bytes content) : content_(std::move(content)) { bytes_ = content_; }

private:
    Bytes content_;
};

}  // namespace

void MemoryFiles::fail_changes(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(error);
}

void MemoryFiles::set_capacity(std::uint64_t capacity) {
    const std::lock_guard lock(mutex_);
    capacity_ = capacity;
}

void MemoryFiles::set_mode(const std::string& path, FileMode mode) {
    const std::lock_guard lock(mutex_);
    const auto it = nodes_.find(normal(path));
    TAPIR_ASSERT(it != nodes_.end());
    it->second.mode = mode;
}

// `path` may be written to: nothing fails on purpose, the folder is there, and there is room.
Result<void> MemoryFiles::may_change(const std::string& path, std::uint64_t more) const {
    if (failure_) {
        return fail(Error(*failure_).at(path));
    }
    const auto folder = folder_of(path);
    const auto parent = nodes_.find(folder);
    if (folder != "/" && folder != "." &&
        (parent == nodes_.end() || !parent->second.is_directory)) {
        return fail_errno(path, parent == nodes_.end() ? ENOENT : ENOTDIR);
    }
    return more > 0 && used_ + more > capacity_ ? Result<void>(fail_errno(path, ENOSPC))
                                                : Result<void>();
}

std::uint64_t MemoryFiles::used() const {
    const std::lock_guard lock(mutex_);
    return used_;
}

Result<Bytes> MemoryFiles::read(const std::string& path, std::size_t size_max) {
    const std::lock_guard lock(mutex_);
    const auto it = nodes_.find(normal(path));
    if (it == nodes_.end() || it->second.is_directory) {
        return fail_errno(path, it == nodes_.end() ? ENOENT : EISDIR);
    }
    if (it->second.content.size() > size_max) {
        return fail(Code::exhausted, fmt::format("{}: larger than {} octets", path, size_max));
    }
    return it->second.content;
}

Result<Bytes> MemoryFiles::read_at(const std::string& path, std::uint64_t offset,
                                   std::size_t count) {
    const std::lock_guard lock(mutex_);
    const auto it = nodes_.find(normal(path));
    if (it == nodes_.end() || it->second.is_directory) {
        return fail_errno(path, it == nodes_.end() ? ENOENT : EISDIR);
    }
    const ByteView all = it->second.content;
    const auto from = static_cast<std::size_t>(std::min<std::uint64_t>(offset, all.size()));
    return to_bytes(all.subspan(from, std::min(count, all.size() - from)));
}

Result<std::unique_ptr<const MappedFile>> MemoryFiles::map(const std::string& path) {
    return std::unique_ptr<const MappedFile>(
        std::make_unique<OwnedContent>(TRY(read(path, SIZE_MAX - 1))));
}

Result<void> MemoryFiles::write_atomically(const std::string& path, ByteView content,
                                           FileMode mode) {
    const std::lock_guard lock(mutex_);
    const auto name = normal(path);
    TRY(may_change(name, content.size()));
    auto& node = nodes_[name];
    if (node.is_directory) {
        return fail_errno(path, EISDIR);
    }
    used_ += content.size() - node.content.size();
    node = {to_bytes(content), mode, false, ++inodes_, 0};
    return {};
}

Result<void> MemoryFiles::append(const std::string& path, ByteView content, FileMode mode) {
    const std::lock_guard lock(mutex_);
    const auto name = normal(path);
    TRY(may_change(name, content.size()));
    const auto [it, is_new] = nodes_.try_emplace(name, Node{{}, mode, false, inodes_ + 1, 0});
    inodes_ += is_new ? 1U : 0U;
    if (it->second.is_directory) {
        return fail_errno(path, EISDIR);
    }
    // Room for no more than is there, so that used() is what the memory holds.
    it->second.content.reserve(it->second.content.size() + content.size());
    tapir::append(it->second.content, content);
    used_ += content.size();
    ++it->second.changes;
    return {};
}

Result<void> MemoryFiles::truncate(const std::string& path, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    const auto name = normal(path);
    TRY(may_change(name, 0));
    const auto it = nodes_.find(name);
    if (it == nodes_.end()) {
        return fail_errno(path, ENOENT);
    }
    used_ += size - it->second.content.size();
    it->second.content.resize(static_cast<std::size_t>(size));
    ++it->second.changes;
    return {};
}

Result<void> MemoryFiles::rename(const std::string& from, const std::string& to) {
    const std::lock_guard lock(mutex_);
    const auto source = normal(from);
    const auto target = normal(to);
    TRY(may_change(source, 0));
    TRY(may_change(target, 0));
    if (!nodes_.contains(source)) {
        return fail_errno(from, ENOENT);
    }
    if (source == target) {
        return {};
    }
    // A folder takes what is in it along.
    std::vector<std::string> names{source};
    const std::string inside = source + "/";
    for (auto it = nodes_.lower_bound(inside); it != nodes_.end() && it->first.starts_with(inside);
         ++it) {
        names.push_back(it->first);
    }
    for (const std::string& name : names) {
        auto moved = nodes_.extract(name);
        moved.key() = target + name.substr(source.size());
        erase(moved.key());
        nodes_.insert(std::move(moved));
    }
    return {};
}

Result<void> MemoryFiles::remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto name = normal(path);
    TRY(may_change(name, 0));
    const auto next = nodes_.upper_bound(name + "/");
    if (next != nodes_.end() && next->first.starts_with(name + "/")) {
        return fail_errno(path, ENOTEMPTY);
    }
    return erase(name) ? Result<void>() : Result<void>(fail_errno(path, ENOENT));
}

bool MemoryFiles::erase(const std::string& name) {
    const auto it = nodes_.find(name);
    if (it == nodes_.end()) {
        return false;
    }
    used_ -= it->second.content.size();
    nodes_.erase(it);
    return true;
}

Result<void> MemoryFiles::make_directories(const std::string& path, FileMode mode) {
    const std::lock_guard lock(mutex_);
    const auto name = normal(path);
    if (name == "." || name == "/") {
        return {};
    }
    if (failure_) {
        return fail(Error(*failure_).at(path));
    }
    for (std::size_t end = 0; end != std::string::npos;) {
        end = name.find('/', end + 1);
        const auto [it, is_new] = nodes_.try_emplace(name.substr(0, end), Node{{}, mode, true});
        if (!it->second.is_directory) {
            return fail_errno(path, ENOTDIR);
        }
    }
    return {};
}

Result<std::vector<DirectoryEntry>> MemoryFiles::list(const std::string& directory) {
    const std::lock_guard lock(mutex_);
    const auto name = normal(directory);
    const auto self = nodes_.find(name);
    const bool is_root = name == "/" || name == ".";
    if (!is_root && (self == nodes_.end() || !self->second.is_directory)) {
        return fail_errno(directory, self == nodes_.end() ? ENOENT : ENOTDIR);
    }
    std::vector<DirectoryEntry> out;
    const std::string inside = name == "." ? "" : name == "/" ? name : name + "/";
    for (auto it = nodes_.lower_bound(inside);
         it != nodes_.end() && it->first.starts_with(inside);) {
        const std::size_t end = it->first.find('/', inside.size());
        if (end != std::string::npos) {
            // What is in a folder has been told by the folder; '0' comes after '/'.
            it = nodes_.lower_bound(it->first.substr(0, end) + '0');
            continue;
        }
        if (it->first != inside) {
            out.push_back({it->first.substr(inside.size()), it->second.is_directory});
        }
        ++it;
    }
    return out;
}

Result<std::uint64_t> MemoryFiles::size(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto it = nodes_.find(normal(path));
    if (it == nodes_.end()) {
        return fail_errno(path, ENOENT);
    }
    return static_cast<std::uint64_t>(it->second.content.size());
}

Result<FileMode> MemoryFiles::mode(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto it = nodes_.find(normal(path));
    if (it == nodes_.end()) {
        return fail_errno(path, ENOENT);
    }
    return it->second.mode;
}

Result<FileStamp> MemoryFiles::stamp(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto it = nodes_.find(normal(path));
    if (it == nodes_.end()) {
        return fail_errno(path, ENOENT);
    }
    return FileStamp{.inode = it->second.inode,
                     .size = it->second.content.size(),
                     .changed_ns = it->second.changes};
}

bool MemoryFiles::exists(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto name = normal(path);
    return name == "/" || name == "." || nodes_.contains(name);
}

}  // namespace tapir::world
