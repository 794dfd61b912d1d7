#include "tapir/world/files.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tapir/world/system_error.hpp"

namespace tapir::world {

namespace {

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    int get() const { return fd_; }
    bool is_open() const { return fd_ >= 0; }

private:
    int fd_;
};

int open_file(const std::string& path, int flags, FileMode mode = 0) {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

std::string folder_of(const std::string& path) {
    const auto slash = path.find_last_of('/');
    if (slash == std::string::npos) {
        return ".";
    }
    return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> sync_folder(const std::string& folder) {
    const Descriptor fd(open_file(folder, O_RDONLY | O_DIRECTORY));
    if (!fd.is_open() || ::fsync(fd.get()) != 0) {
        return fail_errno(folder);
    }
    return {};
}

Result<void> write_all(int fd, ByteView content, const std::string& path) {
    while (!content.empty()) {
        const ssize_t count = ::write(fd, content.data(), content.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return fail_errno(path);
        }
        content = content.subspan(static_cast<std::size_t>(count));
    }
    return {};
}

// Reads at most `count` octets from where `fd` stands; grows with what comes, not with what is
// claimed, since some files (/proc, pipes) do not know their size.
Result<Bytes> read_up_to(int fd, std::size_t count, const std::string& path) {
    Bytes out;
    while (out.size() < count) {
        const std::size_t had = out.size();
        const std::size_t step = std::min(count - had, std::max<std::size_t>(64U << 10U, had));
        out.resize(had + step);
        const ssize_t got = ::read(fd, out.data() + had, step);
        out.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_errno(path);
        }
        if (got == 0) {
            break;
        }
    }
    return out;
}

Result<struct stat> status_of(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
        return fail_errno(path);
    }
    return status;
}

class MemoryMapping final : public MappedFile {
public:
    MemoryMapping(const std::byte* data, std::size_t size) { bytes_ = {data, size}; }
    MemoryMapping(const MemoryMapping&) = delete;
    MemoryMapping& operator=(const MemoryMapping&) = delete;
    ~MemoryMapping() override {
        if (!bytes_.empty()) {
            // munmap takes a pointer to non-const, though it changes nothing that we could see.
            ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
        }
    }
};

Failure<Error> too_large(const std::string& path, std::size_t size_max) {
    return fail(Code::exhausted, fmt::format("{}: larger than {} octets", path, size_max));
}

}  // namespace

Result<Bytes> SystemFiles::read(const std::string& path, std::size_t size_max) {
    TAPIR_ASSERT(size_max < std::numeric_limits<std::size_t>::max());
    const Descriptor fd(open_file(path, O_RDONLY));
    if (!fd.is_open()) {
        return fail_errno(path);
    }
    auto out = TRY(read_up_to(fd.get(), size_max + 1, path));
    if (out.size() > size_max) {
        return too_large(path, size_max);
    }
    return out;
}

Result<Bytes> SystemFiles::read_at(const std::string& path, std::uint64_t offset,
                                   std::size_t count) {
    const Descriptor fd(open_file(path, O_RDONLY));
    if (!fd.is_open() || ::lseek(fd.get(), static_cast<off_t>(offset), SEEK_SET) < 0) {
        return fail_errno(path);
    }
    return read_up_to(fd.get(), count, path);
}

Result<std::unique_ptr<const MappedFile>> SystemFiles::map(const std::string& path) {
    const Descriptor fd(open_file(path, O_RDONLY));
    struct stat status{};
    if (!fd.is_open() || ::fstat(fd.get(), &status) != 0) {
        return fail_errno(path);
    }
    if (!S_ISREG(status.st_mode)) {
        return fail(Code::invalid, path + ": not a regular file");
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size == 0) {
        return std::unique_ptr<const MappedFile>(std::make_unique<MemoryMapping>(nullptr, 0));
    }
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (data == MAP_FAILED) {
        return fail_errno(path);
    }
    return std::unique_ptr<const MappedFile>(
        std::make_unique<MemoryMapping>(static_cast<const std::byte*>(data), size));
}

Result<void> SystemFiles::write_atomically(const std::string& path, ByteView content,
                                           FileMode mode) {
    static std::atomic<std::uint64_t> number{0};
    const auto temporary = fmt::format("{}.tmp-{}-{}", path, ::getpid(), ++number);
    const auto written = [&]() -> Result<void> {
        const Descriptor fd(open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
        if (!fd.is_open()) {
            return fail_errno(path);
        }
        TRY(write_all(fd.get(), content, path));
        if (::fsync(fd.get()) != 0) {
            return fail_errno(path);
        }
        return {};
    }();
    if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
        const auto renamed = errno;
        ::unlink(temporary.c_str());
        return written ? Result<void>(fail_errno(path, renamed)) : written;
    }
    return sync_folder(folder_of(path));
}

Result<void> SystemFiles::append(const std::string& path, ByteView content, FileMode mode) {
    const bool is_new = !exists(path);
    const Descriptor fd(open_file(path, O_WRONLY | O_APPEND | O_CREAT, mode));
    if (!fd.is_open()) {
        return fail_errno(path);
    }
    TRY(write_all(fd.get(), content, path));
    if (::fdatasync(fd.get()) != 0) {
        return fail_errno(path);
    }
    return is_new ? sync_folder(folder_of(path)) : Result<void>();
}

Result<void> SystemFiles::truncate(const std::string& path, std::uint64_t size) {
    const Descriptor fd(open_file(path, O_WRONLY));
    if (!fd.is_open() || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 ||
        ::fsync(fd.get()) != 0) {
        return fail_errno(path);
    }
    return {};
}

Result<void> SystemFiles::rename(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) {
        return fail_errno(from);
    }
    TRY(sync_folder(folder_of(to)));
    return folder_of(from) == folder_of(to) ? Result<void>() : sync_folder(folder_of(from));
}

Result<void> SystemFiles::remove(const std::string& path) {
    if (::remove(path.c_str()) != 0) {
        return fail_errno(path);
    }
    return sync_folder(folder_of(path));
}

Result<void> SystemFiles::make_directories(const std::string& path, FileMode mode) {
    for (std::size_t end = 0; end != std::string::npos;) {
        end = path.find('/', end + 1);
        const auto part = path.substr(0, end);
        if (::mkdir(part.c_str(), mode) == 0) {
            TRY(sync_folder(folder_of(part)));
            continue;
        }
        const int error = errno;
        const auto status = status_of(part);
        if (!status) {
            return fail_errno(part, error);
        }
        if (!S_ISDIR(status->st_mode)) {
            return fail_errno(part, ENOTDIR);
        }
    }
    return {};
}

Result<std::vector<DirectoryEntry>> SystemFiles::list(const std::string& directory) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
    if (!dir) {
        return fail_errno(directory);
    }
    std::vector<DirectoryEntry> out;
    for (;;) {
        errno = 0;
        // Only this thread has this DIR, which is all that readdir asks for.
        const dirent* entry = ::readdir(dir.get());  // NOLINT(concurrency-mt-unsafe)
        if (entry == nullptr) {
            break;
        }
        const std::string name = static_cast<const char*>(entry->d_name);
        if (name == "." || name == "..") {
            continue;
        }
        bool is_directory = entry->d_type == DT_DIR;
        if (entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK) {
            const auto status = status_of(fmt::format("{}/{}", directory, name));
            is_directory = status && S_ISDIR(status->st_mode);
        }
        out.push_back({name, is_directory});
    }
    if (errno != 0) {
        return fail_errno(directory);
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return out;
}

Result<std::uint64_t> SystemFiles::size(const std::string& path) {
    const auto status = TRY(status_of(path));
    return static_cast<std::uint64_t>(status.st_size);
}

Result<FileMode> SystemFiles::mode(const std::string& path) {
    const auto status = TRY(status_of(path));
    return static_cast<FileMode>(status.st_mode & 07777U);
}

Result<FileStamp> SystemFiles::stamp(const std::string& path) {
    constexpr std::int64_t second_ns = 1'000'000'000;
    const auto status = TRY(status_of(path));
    return FileStamp{.inode = static_cast<std::uint64_t>(status.st_ino),
                     .size = static_cast<std::uint64_t>(status.st_size),
                     .changed_ns = status.st_mtim.tv_sec * second_ns + status.st_mtim.tv_nsec};
}

bool SystemFiles::exists(const std::string& path) {
    return status_of(path).has_value();
}

Result<Bytes> read_secret(Files& files, const std::string& path, std::size_t size_max) {
    const FileMode mode = TRY(files.mode(path));
    if ((mode & 037U) != 0) {
        return fail(Code::denied,
                    fmt::format("{}: a secret with mode {:04o}: expected 0600 or 0640 (chmod 600)",
                                path, mode));
    }
    return files.read(path, size_max);
}

}  // namespace tapir::world
