/* SPDX-License-Identifier: Apache-2.0
 *
 * ZYNTAX_TRACE=FILE makes each of these programs write a trace of its runtime to that file.
 * `python3 tools/trace_view.py FILE` turns it into a page; https://ui.perfetto.dev opens it, too.
 */
#ifndef EXAMPLES_TRACE_H
#define EXAMPLES_TRACE_H

#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>

/* Everything is in the file when this returns, so the file can be opened while the program runs, and after a crash. */
static inline int32_t trace_write(void *file, const char *bytes, size_t len) {
    return fwrite(bytes, 1, len, (FILE *)file) == len && fflush((FILE *)file) == 0 ? 0 : -1;
}

/* To be called once for each runtime, in one thread. The second one writes to FILE.2, and so on. */
static inline void trace_start(zyntax_runtime *runtime) {
    static int count;
    const char *name = getenv("ZYNTAX_TRACE");
    char numbered[1024];
    if (runtime == NULL || name == NULL) return;
    count++;
    snprintf(numbered, sizeof numbered, count > 1 ? "%s.%d" : "%s", name, count);
    FILE *file = fopen(numbered, "wb"); /* open until the end of the process: destroy writes to it */
    if (file != NULL) zyntax_runtime_trace(runtime, trace_write, file);
    else perror(numbered);
}

#endif
