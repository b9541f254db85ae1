/* SPDX-License-Identifier: Apache-2.0 */
#include "swap.h"
void run_benchmarks(const Five *fives, const char *const *names, int count) {
    (void)fives;
    (void)names;
    (void)count;
}
