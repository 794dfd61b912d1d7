// HyperLogLog with an exact part for small sets, in the storage format v1 of Aggregate Knowledge
// (hll-storage-spec), octet for octet as the libraries of DNS TAPIR write it.
//
//     HyperLogLog clients;                 // log2m 10, register width 4, explicit to 20
//     clients.add(hash);                   // a 64-bit hash; 0 is never counted
//     clients.merge(other);                // as if all had been added to one
//     clients.estimate();                  // exact while explicit
//     row.v4client_count_hll = clients.serialise_or_null();
//
// Laws: merge commutes, associates and is idempotent; the order of adding does not matter. A
// sketch takes 40 octets, and no more until a second hash comes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "tapir/base/bytes.hpp"
#include "tapir/base/result.hpp"

namespace tapir::sketch {

inline constexpr std::uint8_t log2m_min = 7;
inline constexpr std::uint8_t log2m_max = 16;
inline constexpr std::uint8_t register_width_min = 2;
inline constexpr std::uint8_t register_width_max = 6;
inline constexpr std::int32_t explicit_threshold_max = 131'072;

// Why octets are no sketch. Each value names a counter.
enum class SketchError : std::uint8_t {
    truncated,      // under three octets, or a body of the wrong length
    bad_version,    // not version 1
    bad_type,       // not empty, explicit, sparse or full
    bad_settings,   // log2m or register width outside the limits above
    not_canonical,  // not sorted, doubled, zero where nothing may be zero
};
inline constexpr std::size_t sketch_error_count = 5;
std::string_view to_string(SketchError error);
Error to_error(SketchError error);

struct HllSettings {
    std::int32_t explicit_threshold = 20;  // hashes kept exactly; 0: none; -1: as many as fit
    std::uint8_t log2m = 10;               // 2^log2m registers
    std::uint8_t register_width = 4;       // bits
    bool sparse = true;                    // whether few registers are written sparsely

    // Whether all are within their limits. The constructor asserts it.
    bool is_valid() const;
    friend bool operator==(const HllSettings&, const HllSettings&) = default;
};

class HyperLogLog {
public:
    // How the sketch is written. It only ever grows.
    enum class Form : std::uint8_t { empty = 1, explicit_hashes = 2, sparse = 3, full = 4 };

    HyperLogLog() : HyperLogLog(HllSettings{}) {}
    explicit HyperLogLog(const HllSettings& settings);
    HyperLogLog(const HyperLogLog& other);
    HyperLogLog(HyperLogLog&& other) noexcept;
    HyperLogLog& operator=(const HyperLogLog& other);
    HyperLogLog& operator=(HyperLogLog&& other) noexcept;
    ~HyperLogLog() = default;

    // Reads what serialise() wrote, with the settings that the header states. What is accepted is
    // written back as the same octets.
    static Result<HyperLogLog, SketchError> parse(ByteView octets);

    void add(std::uint64_t hash);

    // Whether both have the same number and width of registers. merge() asserts it.
    bool is_mergeable_with(const HyperLogLog& other) const;
    // Takes in all that `other` counted. This one's explicit threshold and sparse flag hold.
    void merge(const HyperLogLog& other);

    // The number of distinct hashes: exact while explicit, else HyperLogLog's, rounded up.
    std::uint64_t estimate() const;
    bool is_empty() const { return form_ == Form::empty; }
    Form form() const { return form_; }
    const HllSettings& settings() const { return settings_; }

    // The storage format, header included.
    Bytes serialise() const;
    // The null rule of the histogram: nothing for an empty or explicit sketch, else serialise().
    std::optional<Bytes> serialise_or_null() const;

    // Octets on the heap. For memory budgets.
    std::size_t heap_size() const { return capacity_ * sizeof(std::uint64_t); }

private:
    const std::uint64_t* hashes() const { return heap_ ? heap_.get() : &one_; }
    std::uint8_t* registers() { return reinterpret_cast<std::uint8_t*>(heap_.get()); }
    const std::uint8_t* registers() const {
        return reinterpret_cast<const std::uint8_t*>(heap_.get());
    }
    std::uint32_t register_count() const { return std::uint32_t{1} << settings_.log2m; }
    std::uint32_t register_get(std::uint32_t index) const;
    void register_raise(std::uint32_t index, std::uint32_t value);
    void add_explicit(std::uint64_t hash);
    void add_to_registers(std::uint64_t hash);
    void to_registers();
    void grow_explicit();
    void append_sparse(Bytes& out) const;
    Result<void, SketchError> parse_explicit(ByteView body);
    Result<void, SketchError> parse_sparse(ByteView body);
    Result<void, SketchError> parse_full(ByteView body);

    // Invariants: 1. explicit: count_ hashes, ascending, in heap_ (capacity_ words) or, without
    // heap_, the one in one_. 2. sparse and full: heap_ holds the registers, packed as in the full
    // form, and count_ of them are not zero.
    std::uint64_t one_ = 0;
    std::unique_ptr<std::uint64_t[]> heap_;
    std::uint32_t count_ = 0;
    std::uint32_t capacity_ = 0;
    HllSettings settings_;
    Form form_ = Form::empty;
};

}  // namespace tapir::sketch
