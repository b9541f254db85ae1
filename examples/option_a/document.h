/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of the design document ("External Runtime via Shared Library"), word for word between the guards: all that
 * the program swap knows of the runtime it runs on.
 */
#ifndef EXAMPLES_OPTION_A_DOCUMENT_H
#define EXAMPLES_OPTION_A_DOCUMENT_H

/* clang-format off */
// zyntax_async_runtime.h

typedef enum {
    POLL_READY,
    POLL_PENDING
} PollStatus;

typedef struct {
    void* data;
    void (*wake)(void*);
} Waker;

typedef void* FutureState;
typedef PollStatus (*PollFn)(FutureState, Waker*);

// Runtime functions (implemented in Rust or C++)
void* zyntax_runtime_create(void);
void zyntax_runtime_destroy(void* runtime);
void* zyntax_runtime_spawn(void* runtime, FutureState state, PollFn poll);
void zyntax_runtime_block_on(void* runtime, void* task);
void zyntax_runtime_run(void* runtime);
/* clang-format on */

#endif
