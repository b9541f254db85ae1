// Names and texts of the error codes, from the list in the header.
#include "../../include/zyntax_async_runtime.h"

namespace {

struct Description {
    const char *name, *text;
};

Description description_of(int64_t code) {
    if (code >= 0) return {"OK", "success"};
    switch (code) {
#define X(name, number, text) \
    case number:              \
        return {#name, text};
        ZYNTAX_ERRORS(X)
#undef X
    default:
        return {"E?", "unknown error"};
    }
}

} // namespace

const char *zyntax_error_name(int64_t code) noexcept { return description_of(code).name; }
const char *zyntax_strerror(int64_t code) noexcept { return description_of(code).text; }
