// The leaf of a send, for the leaves of channels and ports.
#pragma once

#include "leaf.h"

namespace zyntax {

using SendCall = PollStatus(void *queue, zyntax_op *, const void *item, Waker *, int64_t *result);

// The promise of a send of `size` bytes: 1 or an error.
zyntax_promise *promise_of_send(void *queue, SendCall *, const void *item, size_t size);

} // namespace zyntax
