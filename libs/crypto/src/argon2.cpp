#include "tapir/crypto/argon2.hpp"

#include <argon2.h>
#include <fmt/format.h>

namespace tapir::crypto {
namespace {

constexpr std::size_t size_min = 4;
constexpr std::size_t size_max = 1'024;

// The library's inputs are not const, and only read: nothing is asked to be cleared.
std::uint8_t* in(ByteView octets) {
    return reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(octets.data()));
}

}  // namespace

Result<Secret> argon2id(ByteView password, ByteView salt, const Argon2Cost& cost,
                        std::size_t size) {
    if (salt.size() < argon2_salt_size_min || salt.size() > argon2_input_size_max) {
        return fail(Code::invalid,
                    fmt::format("salt: expected {} to {} octets, got {}", argon2_salt_size_min,
                                argon2_input_size_max, salt.size()));
    }
    if (password.size() > argon2_input_size_max || size < size_min || size > size_max) {
        return fail(Code::invalid, fmt::format("expected at most {} octets of password, and {} to "
                                               "{} octets of key",
                                               argon2_input_size_max, size_min, size_max));
    }
    Bytes key(size);
    argon2_context context{};
    context.out = reinterpret_cast<std::uint8_t*>(key.data());
    context.outlen = static_cast<std::uint32_t>(size);
    context.pwd = in(password);
    context.pwdlen = static_cast<std::uint32_t>(password.size());
    context.salt = in(salt);
    context.saltlen = static_cast<std::uint32_t>(salt.size());
    context.t_cost = cost.passes;
    context.m_cost = cost.memory_kib;
    context.lanes = cost.lanes;
    context.threads = 1;
    context.version = ARGON2_VERSION_13;
    context.flags = ARGON2_DEFAULT_FLAGS;
    const int status = argon2_ctx(&context, Argon2_id);
    if (status == ARGON2_OK) {
        return Secret::taken_from(std::move(key));
    }
    wipe(key);
    return fail(status == ARGON2_MEMORY_ALLOCATION_ERROR ? Code::exhausted : Code::invalid,
                fmt::format("Argon2id: {}", argon2_error_message(status)));
}

}  // namespace tapir::crypto
