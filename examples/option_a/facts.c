/* SPDX-License-Identifier: Apache-2.0
 *
 * Observable differences between libraries that implement the five functions of the document: the facts in the README.
 *
 *     facts LIBRARY [FACT ...]    prints the facts, and fails unless they equal the arguments
 *
 * Its allocator counts allocations, so it opens the library instead of linking it.
 */
#define _GNU_SOURCE
#include "document.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Counting allocations: glibc's functions under names of its own ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_long allocations;

void *malloc(size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(memory, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    atomic_fetch_add(&allocations, 1);
    *memory = __libc_memalign(alignment, size);
    return *memory != NULL ? 0 : 12;
}

/* ---- The library ---- */

static __typeof__(&zyntax_runtime_create) create;
static __typeof__(&zyntax_runtime_destroy) destroy;
static __typeof__(&zyntax_runtime_spawn) spawn;
static __typeof__(&zyntax_runtime_block_on) block_on;

static void find(void *library, const char *name, void *function) {
    void *symbol = library != NULL ? dlsym(library, name) : NULL;
    if (symbol == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    memcpy(function, &symbol, sizeof symbol);
}

static PollStatus count_down_poll(FutureState state, Waker *waker) {
    int *left = state;
    if (--*left < 0) return POLL_READY;
    waker->wake(waker->data);
    return POLL_PENDING;
}

static void settle(void *runtime) {
    int yields = 5000;
    block_on(runtime, spawn(runtime, &yields, count_down_poll));
}

/* ---- The facts ---- */

static int entries(const char *path) {
    int count = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) return 0;
    while (readdir(folder) != NULL) count++;
    closedir(folder);
    return count;
}

static Waker wakers[1000];

static PollStatus park_poll(FutureState state, Waker *waker) {
    *(Waker *)state = *waker;
    return POLL_PENDING;
}

static void *wake_all(void *argument) {
    for (int i = 0; i < 1000; i++) wakers[i].wake(wakers[i].data);
    return argument;
}

/* A thread's first wakes may set the thread up. */
static bool wakes_allocate(void *runtime) {
    pthread_t thread;
    for (int i = 0; i < 1000; i++) spawn(runtime, &wakers[i], park_poll);
    settle(runtime);
    wake_all(NULL);
    settle(runtime);
    long before = atomic_load(&allocations);
    wake_all(NULL);
    settle(runtime);
    pthread_create(&thread, NULL, wake_all, NULL);
    pthread_join(thread, NULL);
    return atomic_load(&allocations) - before > 10;
}

static bool spawns_allocate(void *runtime) {
    static int left[1000];
    for (int i = 0; i < 1000; i++) spawn(runtime, &left[i], count_down_poll);
    settle(runtime);
    memset(left, 0, sizeof left);
    long before = atomic_load(&allocations);
    for (int i = 0; i < 1000; i++) spawn(runtime, &left[i], count_down_poll);
    return atomic_load(&allocations) - before > 10;
}

static PollStatus thread_poll(FutureState state, Waker *waker) {
    (void)waker;
    *(pthread_t *)state = pthread_self();
    return POLL_READY;
}

static PollStatus nested_poll(FutureState state, Waker *waker) {
    (void)waker;
    void *inner = create();
    block_on(inner, spawn(inner, state, thread_poll));
    destroy(inner);
    return POLL_READY;
}

static bool nested_on_the_same_thread(void *runtime) {
    pthread_t thread;
    block_on(runtime, spawn(runtime, &thread, nested_poll));
    return pthread_equal(thread, pthread_self());
}

int main(int argc, char **argv) {
    if (argc < 2) return EXIT_FAILURE;
    void *library = dlopen(argv[1], RTLD_NOW);
    find(library, "zyntax_runtime_create", &create);
    find(library, "zyntax_runtime_destroy", &destroy);
    find(library, "zyntax_runtime_spawn", &spawn);
    find(library, "zyntax_runtime_block_on", &block_on);

    int threads = entries("/proc/self/task"), descriptors = entries("/proc/self/fd");
    void *runtime = create();
    settle(runtime);
    usleep(100000); /* threads may start late */
    bool has_threads = entries("/proc/self/task") != threads;
    bool has_descriptors = entries("/proc/self/fd") != descriptors;
    bool allocates_wakes = wakes_allocate(runtime), allocates_spawns = spawns_allocate(runtime);
    bool same_thread = nested_on_the_same_thread(runtime);
    destroy(runtime);
    bool leaves = entries("/proc/self/fd") != descriptors || entries("/proc/self/task") != threads;

    const char *facts[] = {
        has_threads ? "threads" : "no-threads",
        has_descriptors ? "descriptors" : "no-descriptors",
        leaves ? "kept-after-destroy" : "nothing-kept-after-destroy",
        allocates_wakes ? "wakes-allocate" : "wakes-do-not-allocate",
        allocates_spawns ? "spawns-allocate" : "spawns-do-not-allocate",
        same_thread ? "nested-on-the-same-thread" : "nested-on-another-thread",
    };
    const int count = sizeof facts / sizeof *facts;
    bool as_expected = argc == 2 || argc == count + 2;
    for (int i = 0; i < count; i++) {
        printf("%s\n", facts[i]);
        if (argc > i + 2 && strcmp(argv[i + 2], facts[i]) != 0) {
            printf("    expected: %s\n", argv[i + 2]);
            as_expected = false;
        }
    }
    return as_expected ? EXIT_SUCCESS : EXIT_FAILURE;
}
