#include "tapir/store/memory_disk.hpp"

#include <deque>
#include <utility>

namespace tapir::store {

struct MemoryDisk::Impl {
    explicit Impl(const std::vector<std::string>& names)
        : families(names), store(open_memory(names)) {}

    Result<void> write(const Batch& batch, Durability durability);

    const std::vector<std::string> families;
    std::unique_ptr<Store> store;
    std::deque<Batch> undo;  // what takes back each write since the last synced one
    std::optional<Error> failure;
    bool lies = false;
};

Result<void> MemoryDisk::Impl::write(const Batch& batch, Durability durability) {
    if (failure) {
        return fail(Error(*failure));
    }
    Batch back;
    if (durability == Durability::buffered || lies) {
        const auto& changes = batch.changes();
        for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
            // The value before the whole batch: for a key changed twice it is put back twice.
            const auto old = TRY(store->get(change->family, change->key));
            if (old) {
                back.put(change->family, change->key, *old);
            } else {
                back.erase(change->family, change->key);
            }
        }
    }
    TRY(store->write(batch, durability));
    if (durability == Durability::synced && !lies) {
        undo.clear();
    } else if (!back.empty()) {
        undo.push_back(std::move(back));
        if (undo.size() > unsynced_max) {
            undo.pop_front();
        }
    }
    return {};
}

class MortalStore final : public Store {
public:
    MortalStore(MemoryDisk::Impl& disk, world::Fuse& fuse) : disk_(disk), fuse_(fuse) {}

    Result<std::optional<Bytes>> get(std::string_view family, ByteView key) const override {
        TRY(alive());
        return disk_.store->get(family, key);
    }
    Result<std::unique_ptr<Cursor>> scan(std::string_view family, ByteView prefix,
                                         ByteView from) const override {
        TRY(alive());
        return disk_.store->scan(family, prefix, from);
    }
    // Of a dead process too: what it reads there it cannot tell anybody.
    std::unique_ptr<Reader> snapshot() const override { return disk_.store->snapshot(); }

    Result<void> write(const Batch& batch, Durability durability) override {
        switch (fuse_.step()) {
            case world::Fuse::Moment::alive:
                return disk_.write(batch, durability);
            case world::Fuse::Moment::dying:
                if (fuse_.chance().below(2) == 0) {
                    static_cast<void>(disk_.write(batch, durability));
                }
                break;
            case world::Fuse::Moment::dead:
                break;
        }
        return fail(world::Fuse::error());
    }

private:
    Result<void> alive() const {
        return fuse_.is_burnt() ? Result<void>(fail(world::Fuse::error())) : Result<void>();
    }

    MemoryDisk::Impl& disk_;
    world::Fuse& fuse_;
};

MemoryDisk::MemoryDisk(const std::vector<std::string>& families)
    : impl_(std::make_unique<Impl>(families)) {}

MemoryDisk::~MemoryDisk() = default;

std::unique_ptr<Store> MemoryDisk::open(world::Fuse& fuse) {
    return std::make_unique<MortalStore>(*impl_, fuse);
}

const Reader& MemoryDisk::contents() const {
    return *impl_->store;
}

std::uint64_t MemoryDisk::memory_size() const {
    constexpr std::uint64_t node_size = 150;  // octets: a node of the map, and what malloc adds
    std::uint64_t size = 0;
    for (const std::string& family : impl_->families) {
        if (const auto cursor = impl_->store->scan(family)) {
            for (; (*cursor)->valid(); (*cursor)->next()) {
                size += node_size + (*cursor)->key().size() + (*cursor)->value().size();
            }
        }
    }
    for (const Batch& batch : impl_->undo) {
        for (const Batch::Change& change : batch.changes()) {
            size += node_size + change.family.size() + change.key.size() +
                    (change.value ? change.value->size() : 0);
        }
    }
    return size;
}

std::size_t MemoryDisk::cut_power(world::Chance& chance) {
    const auto lost = static_cast<std::size_t>(chance.below(impl_->undo.size() + 1));
    for (std::size_t i = 0; i < lost; ++i) {
        static_cast<void>(impl_->store->write(impl_->undo.back(), Durability::buffered));
        impl_->undo.pop_back();
    }
    impl_->undo.clear();
    return lost;
}

void MemoryDisk::fail_writes(std::optional<Error> error) {
    impl_->failure = std::move(error);
}

void MemoryDisk::lie_about_sync(bool lies) {
    impl_->lies = lies;
}

void MemoryDisk::erase_all(std::string_view family) {
    Batch batch;
    if (const auto cursor = impl_->store->scan(family)) {
        for (; (*cursor)->valid(); (*cursor)->next()) {
            batch.erase(family, (*cursor)->key());
        }
    }
    static_cast<void>(impl_->store->write(batch, Durability::buffered));
}

}  // namespace tapir::store
