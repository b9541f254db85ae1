// A write of all bytes: writes one after the other.
#include "../runtime.h"

using namespace zyntax;

// The writes of one call continue each other's operation, as they wait for the same direction.
PollStatus zyntax_io_write_all(zyntax_io *handle, zyntax_op *op_id, const void *buf, size_t len, size_t *done,
                               Waker *waker, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    if (!done || *done > len) return refuse(op_id, result, ZYNTAX_EINVAL);
    if (len && *done == len) return refuse(op_id, result, static_cast<int64_t>(len)); // an earlier call has ended
    do {
        const void *rest = buf ? static_cast<const char *>(buf) + *done : buf;
        int64_t n;
        if (zyntax_io_write(handle, op_id, rest, len - *done, waker, &n) == POLL_PENDING) return POLL_PENDING;
        if (n < 0) {
            *result = n;
            return POLL_READY;
        }
        assert((n > 0 || !len) && !*op_id);
        *done += static_cast<size_t>(n);
    } while (*done < len);
    *result = static_cast<int64_t>(len);
    return POLL_READY;
}
