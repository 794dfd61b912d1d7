// From errno to an Error that says what and why. For ports.
//
//     return fail_errno(path);     // "outbox/1.json: No space left on device", exhausted
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

#include "tapir/base/result.hpp"

namespace tapir::world {

inline Code code_of_errno(int error) {
    switch (error) {
        case ENOENT:
            return Code::not_found;
        case EEXIST:
        case ENOTEMPTY:
            return Code::conflict;
        case EACCES:
        case EPERM:
        case EROFS:
            return Code::denied;
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
        case EMFILE:
        case ENFILE:
        case ENOMEM:
            return Code::exhausted;
        case EISDIR:
        case ENOTDIR:
        case EINVAL:
        case ENAMETOOLONG:
        case ELOOP:
            return Code::invalid;
        case EAGAIN:
        case EBUSY:
            return Code::unavailable;
        case EIO:
            return Code::corrupt;
        default:
            return Code::internal;
    }
}

inline Failure<Error> fail_errno(std::string_view what, int error = errno) {
    return fail(code_of_errno(error),
                std::string(what) + ": " + std::generic_category().message(error));
}

}  // namespace tapir::world
