/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the program `swap`: the five functions of the runtime that it runs on.
 */
#ifndef EXAMPLES_OPTION_A_SWAP_H
#define EXAMPLES_OPTION_A_SWAP_H

#include "document.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Five {
    void *(*create)(void);
    void (*destroy)(void *runtime);
    void *(*spawn)(void *runtime, FutureState state, PollFn poll);
    void (*block_on)(void *runtime, void *task);
    void (*run)(void *runtime);
} Five;

/* tests.c. Prints a line for each test; false when one has failed. */
bool run_tests(const Five *five);

/* fetch_user.c: starts a server, fetches users 123 and 124 at once, prints both. */
bool fetch_users(const Five *five);

/* bench.c. The other libraries are compared with the first one. */
void run_benchmarks(const Five *fives, const char *const *names, int count);

#endif
