// Names and texts of the error codes, from the list in the header.
#include "../../include/zyntax_async_runtime.h"

const char *zyntax_error_name(int64_t code) noexcept {
    if (code >= 0) return "OK";
    switch (code) {
#define X(name, number, text) \
    case number:              \
        return #name;
        ZYNTAX_ERRORS(X)
#undef X
    default:
        return "E?";
    }
}

const char *zyntax_strerror(int64_t code) noexcept {
    if (code >= 0) return "success";
    switch (code) {
#define X(name, number, text) \
    case number:              \
        return text;
        ZYNTAX_ERRORS(X)
#undef X
    default:
        return "unknown error";
    }
}
