// Reads a caller's configuration, which may be of an older or newer version. The members are interpreted where they are
// used.
#include "../runtime.h"

#include <string.h>

using namespace zyntax;

namespace {

// Whether a configuration of that size, shorter than ours, ends where a member ends. Its first members are as wide as a
// pointer, and the others have 32 bits.
bool ends_a_member(size_t size) {
    using Config = zyntax_runtime_config;
    constexpr size_t first = offsetof(Config, alloc), numbers = offsetof(Config, poll_budget);
    static_assert(numbers == 6 * sizeof(void *) && offsetof(Config, await_budget) == numbers + 4 * sizeof(uint32_t));
    return size >= first && size % (size < numbers ? sizeof(void *) : sizeof(uint32_t)) == 0;
}

// Copies a configuration that may be shorter or longer than ours; false if it sets something unknown to this version.
bool understand(const zyntax_runtime_config *from, zyntax_runtime_config *to) {
    if (!from) return true;
    if (from->size < sizeof *from && !ends_a_member(from->size)) return false;
    if (!is_known(from, from->size, sizeof *from)) return false;
    memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
    return !to->alloc == !to->free && !(to->flags & ~uint32_t{ZYNTAX_DETECT_STALL});
}

} // namespace

zyntax_runtime *zyntax_runtime_create_with(const zyntax_runtime_config *given, int32_t *error) noexcept {
    os::KeepErrors keep;
    int32_t ignored;
    zyntax_runtime_config config = {};
    if (!error) error = &ignored;
    *error = ZYNTAX_EINVAL;
    return understand(given, &config) ? create(config, error) : nullptr;
}
