#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "tapir/store/store.hpp"

namespace tapir::store {

namespace {

using Family = std::map<Bytes, Bytes>;
// A family is never changed in place while somebody may look at it: writers copy it if it is
// shared.
using Families = std::map<std::string, std::shared_ptr<Family>, std::less<>>;

Failure<Error> no_family(std::string_view family) {
    return fail(Code::invalid, "no family '" + std::string(family) + "' in this store");
}

class MemoryCursor final : public Cursor {
public:
    MemoryCursor(std::shared_ptr<const Family> family, ByteView prefix, ByteView from)
        : family_(std::move(family)), prefix_(to_bytes(prefix)) {
        const Bytes start = std::max(prefix_, to_bytes(from));
        at_ = family_->lower_bound(start);
    }
    bool valid() const override {
        return at_ != family_->end() && at_->first.size() >= prefix_.size() &&
               std::equal(prefix_.begin(), prefix_.end(), at_->first.begin());
    }
    void next() override {
        TAPIR_ASSERT(valid());
        ++at_;
    }
    ByteView key() const override {
        TAPIR_ASSERT(valid());
        return at_->first;
    }
    ByteView value() const override {
        TAPIR_ASSERT(valid());
        return at_->second;
    }
    Result<void> status() const override { return {}; }

private:
    std::shared_ptr<const Family> family_;
    Bytes prefix_;
    Family::const_iterator at_;
};

class MemorySnapshot final : public Reader {
public:
    explicit MemorySnapshot(Families families) : families_(std::move(families)) {}

    Result<std::optional<Bytes>> get(std::string_view family, ByteView key) const override {
        const auto it = families_.find(family);
        if (it == families_.end()) {
            return no_family(family);
        }
        const auto found = it->second->find(to_bytes(key));
        return found == it->second->end() ? std::optional<Bytes>() : found->second;
    }
    Result<std::unique_ptr<Cursor>> scan(std::string_view family, ByteView prefix,
                                         ByteView from) const override {
        const auto it = families_.find(family);
        if (it == families_.end()) {
            return no_family(family);
        }
        return std::unique_ptr<Cursor>(std::make_unique<MemoryCursor>(it->second, prefix, from));
    }

private:
    Families families_;
};

class MemoryStore final : public Store {
public:
    explicit MemoryStore(const std::vector<std::string>& families) {
        for (const auto& family : families) {
            families_[family] = std::make_shared<Family>();
        }
    }

    Result<std::optional<Bytes>> get(std::string_view family, ByteView key) const override {
        const std::lock_guard lock(mutex_);
        const auto it = families_.find(family);
        if (it == families_.end()) {
            return no_family(family);
        }
        const auto found = it->second->find(to_bytes(key));
        return found == it->second->end() ? std::optional<Bytes>() : found->second;
    }
    Result<std::unique_ptr<Cursor>> scan(std::string_view family, ByteView prefix,
                                         ByteView from) const override {
        const std::lock_guard lock(mutex_);
        const auto it = families_.find(family);
        if (it == families_.end()) {
            return no_family(family);
        }
        return std::unique_ptr<Cursor>(std::make_unique<MemoryCursor>(it->second, prefix, from));
    }
    std::unique_ptr<Reader> snapshot() const override {
        const std::lock_guard lock(mutex_);
        return std::make_unique<MemorySnapshot>(families_);
    }
    Result<void> write(const Batch& batch, Durability /*durability*/) override {
        const std::lock_guard lock(mutex_);
        for (const auto& change : batch.changes()) {
            if (!families_.contains(change.family)) {
                return no_family(change.family);
            }
        }
        for (const auto& change : batch.changes()) {
            // Copying what is shared makes a scan cost memory; nobody pays who does not scan.
            auto& family = families_.find(change.family)->second;
            if (family.use_count() > 1) {
                family = std::make_shared<Family>(*family);
            }
            if (change.value) {
                (*family)[change.key] = *change.value;
            } else {
                family->erase(change.key);
            }
        }
        return {};
    }

private:
    mutable std::mutex mutex_;
    Families families_;
};

}  // namespace

std::unique_ptr<Store> open_memory(const std::vector<std::string>& families) {
    return std::make_unique<MemoryStore>(families);
}

}  // namespace tapir::store
