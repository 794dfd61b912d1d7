#include "tapir/sketch/hyperloglog.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace tapir::sketch {

namespace {

constexpr std::uint32_t hash_size = 8;
constexpr unsigned format_version = 1;
constexpr unsigned sparse_flag = 0x40;
constexpr unsigned threshold_auto = 63;
constexpr std::uint32_t explicit_capacity_first = 4;

std::uint32_t full_size(const HllSettings& s) {
    return (std::uint32_t{1} << s.log2m) * s.register_width / 8;
}

// With this many registers set the sparse form is no longer the smaller one.
std::uint32_t sparse_count_max(const HllSettings& s) {
    const std::uint32_t bits = (std::uint32_t{1} << s.log2m) * s.register_width;
    return std::bit_floor(bits / (std::uint32_t{s.log2m} + s.register_width));
}

// How many hashes are kept exactly: "as many as fit" means into the size of the full form.
std::uint32_t explicit_count_max(const HllSettings& s) {
    return s.explicit_threshold >= 0 ? static_cast<std::uint32_t>(s.explicit_threshold)
                                     : full_size(s) / hash_size;
}

// The format sorts hashes as signed numbers.
bool precedes(std::uint64_t a, std::uint64_t b) {
    return static_cast<std::int64_t>(a) < static_cast<std::int64_t>(b);
}

// Packs numbers of a few bits, first bit first; the last octet is filled with zeros.
class BitPacker {
public:
    explicit BitPacker(Bytes& out) : out_(out) {}
    void put(std::uint32_t value, unsigned bits) {
        held_ = held_ << bits | value;
        held_count_ += bits;
        while (held_count_ >= 8) {
            held_count_ -= 8;
            append_u8(out_, static_cast<std::uint8_t>(held_ >> held_count_));
        }
    }
    void flush() {
        if (held_count_ > 0) {
            put(0, 8 - held_count_);
        }
    }

private:
    Bytes& out_;
    std::uint64_t held_ = 0;
    unsigned held_count_ = 0;
};

HllSettings settings_from(unsigned second, unsigned third) {
    HllSettings s;
    s.register_width = static_cast<std::uint8_t>((second >> 5U) + 1);
    s.log2m = static_cast<std::uint8_t>(second & 0x1FU);
    s.sparse = (third & sparse_flag) != 0;
    // As the writer means it: floor(log2 T), and 0 also for none. The reader of the spec sees half.
    const unsigned threshold = third & 0x3FU;
    if (threshold == threshold_auto) {
        s.explicit_threshold = -1;
    } else if (threshold == 0) {
        s.explicit_threshold = 0;
    } else {
        s.explicit_threshold = threshold < 31 ? std::int32_t{1} << threshold
                                              : std::numeric_limits<std::int32_t>::max();
    }
    return s;
}

}  // namespace

std::string_view to_string(SketchError error) {
    switch (error) {
        case SketchError::truncated:
            return "truncated";
        case SketchError::bad_version:
            return "bad_version";
        case SketchError::bad_type:
            return "bad_type";
        case SketchError::bad_settings:
            return "bad_settings";
        case SketchError::not_canonical:
            return "not_canonical";
    }
    return "unknown";
}

Error to_error(SketchError error) {
    return {Code::invalid, "sketch: " + std::string(to_string(error))};
}

bool HllSettings::is_valid() const {
    return log2m >= log2m_min && log2m <= log2m_max && register_width >= register_width_min &&
           register_width <= register_width_max && explicit_threshold >= -1 &&
           explicit_threshold <= explicit_threshold_max;
}

HyperLogLog::HyperLogLog(const HllSettings& settings) : settings_(settings) {
    TAPIR_ASSERT(settings.is_valid());
}

HyperLogLog::HyperLogLog(const HyperLogLog& other)
    : one_(other.one_),
      count_(other.count_),
      capacity_(other.capacity_),
      settings_(other.settings_),
      form_(other.form_) {
    if (other.heap_) {
        heap_ = std::make_unique<std::uint64_t[]>(capacity_);
        std::copy_n(other.heap_.get(), capacity_, heap_.get());
    }
}

HyperLogLog::HyperLogLog(HyperLogLog&& other) noexcept
    : one_(other.one_),
      heap_(std::move(other.heap_)),
      count_(std::exchange(other.count_, 0)),
      capacity_(std::exchange(other.capacity_, 0)),
      settings_(other.settings_),
      form_(std::exchange(other.form_, Form::empty)) {}

HyperLogLog& HyperLogLog::operator=(const HyperLogLog& other) {
    if (this != &other) {
        *this = HyperLogLog(other);
    }
    return *this;
}

HyperLogLog& HyperLogLog::operator=(HyperLogLog&& other) noexcept {
    one_ = other.one_;
    heap_ = std::move(other.heap_);
    settings_ = other.settings_;
    const auto count = std::exchange(other.count_, 0);
    const auto capacity = std::exchange(other.capacity_, 0);
    const auto form = std::exchange(other.form_, Form::empty);
    count_ = count;
    capacity_ = capacity;
    form_ = form;
    return *this;
}

// One register, wherever its bits lie; the octet after the last register belongs to heap_ too.
std::uint32_t HyperLogLog::register_get(std::uint32_t index) const {
    const std::uint32_t bit = index * settings_.register_width;
    const std::uint8_t* at = registers() + bit / 8;
    const std::uint32_t window = std::uint32_t{at[0]} << 8U | at[1];
    const std::uint32_t mask = (1U << settings_.register_width) - 1;
    return window >> (16U - settings_.register_width - bit % 8) & mask;
}

void HyperLogLog::register_raise(std::uint32_t index, std::uint32_t value) {
    const std::uint32_t old = register_get(index);
    if (value <= old) {
        return;
    }
    count_ += old == 0 ? 1 : 0;
    const std::uint32_t bit = index * settings_.register_width;
    const std::uint32_t shift = 16U - settings_.register_width - bit % 8;
    std::uint8_t* at = registers() + bit / 8;
    const std::uint32_t window = (std::uint32_t{at[0]} << 8U | at[1]) ^ (old ^ value) << shift;
    at[0] = static_cast<std::uint8_t>(window >> 8U);
    at[1] = static_cast<std::uint8_t>(window);
    if (form_ == Form::sparse && count_ > sparse_count_max(settings_)) {
        form_ = Form::full;
    }
}

void HyperLogLog::add(std::uint64_t hash) {
    if (hash == 0) {
        return;
    }
    if (form_ == Form::empty || form_ == Form::explicit_hashes) {
        add_explicit(hash);
    } else {
        add_to_registers(hash);
    }
}

void HyperLogLog::add_explicit(std::uint64_t hash) {
    const std::uint64_t* begin = hashes();
    const std::uint64_t* place = std::lower_bound(begin, begin + count_, hash, precedes);
    if (place != begin + count_ && *place == hash) {
        return;
    }
    if (count_ >= explicit_count_max(settings_)) {
        to_registers();
        add_to_registers(hash);
        return;
    }
    const auto index = static_cast<std::uint32_t>(place - begin);
    if (count_ > 0 && count_ >= capacity_) {
        grow_explicit();
    }
    std::uint64_t* into = heap_ ? heap_.get() : &one_;
    std::copy_backward(into + index, into + count_, into + count_ + 1);
    into[index] = hash;
    ++count_;
    form_ = Form::explicit_hashes;
}

void HyperLogLog::grow_explicit() {
    const std::uint32_t capacity =
        std::clamp(count_ * 2, explicit_capacity_first, std::uint32_t{explicit_threshold_max});
    auto larger = std::make_unique<std::uint64_t[]>(capacity);
    std::copy_n(hashes(), count_, larger.get());
    heap_ = std::move(larger);
    capacity_ = capacity;
}

// Leaves the exact part: all hashes are added to registers.
void HyperLogLog::to_registers() {
    const std::unique_ptr<std::uint64_t[]> old = std::move(heap_);
    const std::uint64_t* hash = old ? old.get() : &one_;
    const std::uint32_t hash_count = count_;
    // One more word than the registers need, so that a window of two octets never ends outside.
    capacity_ = full_size(settings_) / hash_size + 1;
    heap_ = std::make_unique<std::uint64_t[]>(capacity_);
    count_ = 0;
    form_ = settings_.sparse ? Form::sparse : Form::full;
    for (std::uint32_t i = 0; i < hash_count; ++i) {
        add_to_registers(hash[i]);
    }
}

void HyperLogLog::add_to_registers(std::uint64_t hash) {
    const std::uint64_t rest = hash >> settings_.log2m;
    if (rest == 0) {
        return;
    }
    const std::uint32_t value_max = (1U << settings_.register_width) - 1;
    const auto value = static_cast<std::uint32_t>(std::countr_zero(rest)) + 1;
    register_raise(static_cast<std::uint32_t>(hash) & (register_count() - 1),
                   std::min(value, value_max));
}

bool HyperLogLog::is_mergeable_with(const HyperLogLog& other) const {
    return settings_.log2m == other.settings_.log2m &&
           settings_.register_width == other.settings_.register_width;
}

void HyperLogLog::merge(const HyperLogLog& other) {
    TAPIR_ASSERT(is_mergeable_with(other));
    if (this == &other || other.form_ == Form::empty) {
        return;
    }
    if (other.form_ == Form::explicit_hashes) {
        for (std::uint32_t i = 0; i < other.count_; ++i) {
            add(other.hashes()[i]);
        }
        return;
    }
    if (form_ == Form::empty || form_ == Form::explicit_hashes) {
        to_registers();
    }
    for (std::uint32_t i = 0; i < register_count(); ++i) {
        register_raise(i, other.register_get(i));
    }
    if (other.form_ == Form::full) {
        form_ = Form::full;
    }
}

std::uint64_t HyperLogLog::estimate() const {
    if (form_ == Form::empty || form_ == Form::explicit_hashes) {
        return count_;
    }
    std::array<std::uint32_t, 64> histogram{};
    for (std::uint32_t i = 0; i < register_count(); ++i) {
        ++histogram[register_get(i)];
    }
    double sum = 0;
    for (std::size_t value = 0; value < histogram.size(); ++value) {
        sum += std::ldexp(histogram[value], -static_cast<int>(value));
    }
    const double m = register_count();
    const double alpha = 0.7213 / (1 + 1.079 / m);
    const double e = alpha * m * m / sum;
    if (histogram[0] > 0 && e < 2.5 * m) {
        return static_cast<std::uint64_t>(std::ceil(m * std::log(m / histogram[0])));
    }
    const double range =
        std::ldexp(1.0, settings_.log2m + static_cast<int>((1U << settings_.register_width) - 2));
    // Above the range the correction is undefined: the raw estimate is the best word there is.
    if (e <= range / 30 || e >= range) {
        return static_cast<std::uint64_t>(std::min(std::ceil(e), std::ldexp(1.0, 63)));
    }
    return static_cast<std::uint64_t>(
        std::min(std::ceil(-range * std::log(1.0 - e / range)), std::ldexp(1.0, 63)));
}

Bytes HyperLogLog::serialise() const {
    Bytes out;
    append_u8(out, static_cast<std::uint8_t>(format_version << 4U | static_cast<unsigned>(form_)));
    append_u8(out,
              static_cast<std::uint8_t>((settings_.register_width - 1U) << 5U | settings_.log2m));
    const std::int32_t threshold = settings_.explicit_threshold;
    const unsigned threshold_bits =
        threshold < 0 ? threshold_auto
        : threshold == 0
            ? 0
            : static_cast<unsigned>(std::bit_width(static_cast<std::uint32_t>(threshold))) - 1;
    append_u8(out,
              static_cast<std::uint8_t>((settings_.sparse ? sparse_flag : 0) | threshold_bits));
    switch (form_) {
        case Form::empty:
            break;
        case Form::explicit_hashes:
            for (std::uint32_t i = 0; i < count_; ++i) {
                append_u64(out, hashes()[i]);
            }
            break;
        case Form::sparse:
            append_sparse(out);
            break;
        case Form::full:
            append(out, std::as_bytes(std::span(registers(), full_size(settings_))));
            break;
    }
    return out;
}

void HyperLogLog::append_sparse(Bytes& out) const {
    BitPacker packer(out);
    for (std::uint32_t i = 0; i < register_count(); ++i) {
        const std::uint32_t value = register_get(i);
        if (value != 0) {
            packer.put(i, settings_.log2m);
            packer.put(value, settings_.register_width);
        }
    }
    packer.flush();
}

std::optional<Bytes> HyperLogLog::serialise_or_null() const {
    if (form_ == Form::empty || form_ == Form::explicit_hashes) {
        return std::nullopt;
    }
    return serialise();
}

Result<HyperLogLog, SketchError> HyperLogLog::parse(ByteView octets) {
    ByteReader in(octets);
    const unsigned first = in.u8();
    const unsigned second = in.u8();
    const unsigned third = in.u8();
    if (in.failed()) {
        return fail(SketchError::truncated);
    }
    if (first >> 4U != format_version) {
        return fail(SketchError::bad_version);
    }
    const HllSettings settings = settings_from(second, third);
    if (!settings.is_valid() || (third & 0x80U) != 0) {
        return fail(SketchError::bad_settings);
    }
    HyperLogLog sketch(settings);
    const ByteView body = in.rest();
    switch (first & 0x0FU) {
        case static_cast<unsigned>(Form::empty):
            if (!body.empty()) {
                return fail(SketchError::truncated);
            }
            break;
        case static_cast<unsigned>(Form::explicit_hashes):
            TRY(sketch.parse_explicit(body));
            break;
        case static_cast<unsigned>(Form::sparse):
            TRY(sketch.parse_sparse(body));
            break;
        case static_cast<unsigned>(Form::full):
            TRY(sketch.parse_full(body));
            break;
        default:
            return fail(SketchError::bad_type);
    }
    return sketch;
}

// The header says only the power of two below the threshold, so the body may hold more than it.
Result<void, SketchError> HyperLogLog::parse_explicit(ByteView body) {
    if (body.empty() || body.size() % hash_size != 0 ||
        body.size() / hash_size > explicit_threshold_max) {
        return fail(SketchError::truncated);
    }
    count_ = static_cast<std::uint32_t>(body.size() / hash_size);
    if (count_ > 1) {
        capacity_ = count_;
        heap_ = std::make_unique<std::uint64_t[]>(capacity_);
    }
    std::uint64_t* into = heap_ ? heap_.get() : &one_;
    ByteReader in(body);
    for (std::uint32_t i = 0; i < count_; ++i) {
        into[i] = in.u64();
        if (into[i] == 0 || (i > 0 && !precedes(into[i - 1], into[i]))) {
            return fail(SketchError::not_canonical);
        }
    }
    form_ = Form::explicit_hashes;
    return {};
}

Result<void, SketchError> HyperLogLog::parse_sparse(ByteView body) {
    const unsigned width = unsigned{settings_.log2m} + settings_.register_width;
    const std::size_t word_count = body.size() * 8 / width;
    if (word_count > register_count() || (word_count * width + 7) / 8 != body.size()) {
        return fail(SketchError::truncated);
    }
    to_registers();
    form_ = Form::sparse;
    std::uint64_t held = 0;
    unsigned held_count = 0;
    std::int64_t previous = -1;
    for (const std::byte octet : body) {
        held = held << 8U | std::to_integer<std::uint64_t>(octet);
        held_count += 8;
        if (held_count < width) {
            continue;
        }
        held_count -= width;
        const auto word = static_cast<std::uint32_t>(held >> held_count);
        held &= (std::uint64_t{1} << held_count) - 1;
        const std::uint32_t index = word >> settings_.register_width;
        const std::uint32_t value = word & ((1U << settings_.register_width) - 1);
        if (value == 0 || index <= previous) {
            return fail(SketchError::not_canonical);
        }
        previous = index;
        register_raise(index, value);
    }
    form_ = Form::sparse;  // as its writer chose, whatever the count
    return held == 0 ? Result<void, SketchError>() : fail(SketchError::not_canonical);
}

Result<void, SketchError> HyperLogLog::parse_full(ByteView body) {
    if (body.size() != full_size(settings_)) {
        return fail(SketchError::truncated);
    }
    to_registers();
    form_ = Form::full;
    std::memcpy(registers(), body.data(), body.size());
    for (std::uint32_t i = 0; i < register_count(); ++i) {
        count_ += register_get(i) != 0 ? 1 : 0;
    }
    return {};
}

}  // namespace tapir::sketch
