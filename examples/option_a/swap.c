/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that knows the design document's header and nothing else of the runtime it runs on: it is compiled once,
 * and each library that has the document's five functions will do.
 *
 *     swap LIBRARY              runs the tests (tests.c) and fetch_user (fetch_user.c) on that library
 *     swap                      on the shared library that the system finds under our SONAME: LD_LIBRARY_PATH chooses
 *     swap --bench LIBRARY ...  measures the libraries in turns (bench.c)
 *
 * Compiled with SWAP_LINKED it is linked to that name in the usual way, and LD_LIBRARY_PATH chooses.
 */
#include "swap.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef SWAP_LINKED

static Five load(const char *path) {
    (void)path;
    return (Five){zyntax_runtime_create, zyntax_runtime_destroy, zyntax_runtime_spawn, zyntax_runtime_block_on,
                  zyntax_runtime_run};
}

#else

static void find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    memcpy(function, &symbol, sizeof symbol);
}

static Five load(const char *path) {
    Five five;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    find(library, "zyntax_runtime_create", &five.create);
    find(library, "zyntax_runtime_destroy", &five.destroy);
    find(library, "zyntax_runtime_spawn", &five.spawn);
    find(library, "zyntax_runtime_block_on", &five.block_on);
    find(library, "zyntax_runtime_run", &five.run);
    return five;
}

#endif

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 2 && strcmp(argv[1], "--bench") == 0) {
        Five fives[8];
        int count = argc - 2 < 8 ? argc - 2 : 8;
        for (int i = 0; i < count; i++) fives[i] = load(argv[i + 2]);
        run_benchmarks(fives, (const char *const *)argv + 2, count);
        return EXIT_SUCCESS;
    }
    Five five = load(argc > 1 ? argv[1] : SONAME);
    alarm(100); /* a test that hangs is the one after the last that was printed */
    bool passed = run_tests(&five);
    return fetch_users(&five) && passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
