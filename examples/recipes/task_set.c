/* SPDX-License-Identifier: Apache-2.0
 *
 * A changing set of tasks: spawn on demand, wait for any of them to end, take it out, until the set is empty. At most
 * three pages are fetched at once, and a page that was fetched names further ones.
 *
 * Rules it relies on: zyntax_select gives the index of a task that has ended and leaves the others running; the set
 * changes only while no select is pending. The states of the set's tasks outlive them: a cancelled task ends in a later
 * round than the owner's drop, so the states are in memory that lives as long as the runtime.
 *
 * Output:
 *     fetched 10 pages, 3 at once at most
 *     the sum of their numbers: 55
 */
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- async fn fetch(page) ---- */

typedef struct Fetch {
    int page, done;
    zyntax_op op;
} Fetch;

static PollStatus fetch_poll(FutureState state, Waker *waker) {
    Fetch *s = state;
    uint64_t duration_ns = UINT64_C(100000) * (uint64_t)(1 + s->page * 7 % 5);
    if (zyntax_sleep(zyntax_current_runtime(), &s->op, duration_ns, waker) == POLL_PENDING) return POLL_PENDING;
    s->done = 1;
    return POLL_READY;
}

static void fetch_drop(FutureState state, int32_t outcome) {
    Fetch *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
}

/* ---- async fn crawl() ---- */

enum { PAGES = 10, AT_ONCE = 3 };

typedef struct Crawl {
    uint32_t state_id;
    zyntax_task *tasks[AT_ONCE]; /* the set: `n` tasks, and whose state each has */
    Fetch *running[AT_ONCE];
    size_t n, most;
    Fetch fetches[PAGES];
    int found, begun, fetched, sum;
    zyntax_op op;
    int64_t result;
} Crawl;

/* Fills the set with pages that were found and not begun. Returns 0 or an error. */
static int32_t crawl_fill(Crawl *s) {
    while (s->n < AT_ONCE && s->begun < s->found) {
        Fetch *fetch = &s->fetches[s->begun];
        *fetch = (Fetch){.page = s->begun + 1};
        s->tasks[s->n] = zyntax_runtime_spawn_with(zyntax_current_runtime(), fetch, fetch_poll, fetch_drop, 0);
        if (s->tasks[s->n] == NULL) return ZYNTAX_ENOMEM;
        s->running[s->n++] = fetch;
        s->begun++;
    }
    if (s->n > s->most) s->most = s->n;
    return 0;
}

/* Takes a task out of the set; the last one moves to its place. */
static Fetch *crawl_remove(Crawl *s, size_t index) {
    Fetch *fetch = s->running[index];
    s->n--;
    s->tasks[index] = s->tasks[s->n];
    s->running[index] = s->running[s->n];
    return fetch;
}

static PollStatus crawl_poll(FutureState state, Waker *waker) {
    Crawl *s = state;
    if (s->state_id == 1) goto await_any;
    s->found = 1;
    for (;;) {
        s->result = crawl_fill(s);
        if (s->result < 0 || s->n == 0) return POLL_READY;
        s->state_id = 1;
    await_any:
        if (zyntax_select(s->tasks, s->n, &s->op, waker, &s->result) == POLL_PENDING) return POLL_PENDING;
        if (s->result < 0) return POLL_READY;
        const Fetch *fetch = crawl_remove(s, (size_t)s->result);
        if (!fetch->done) continue; /* it was cancelled */
        s->fetched++;
        s->sum += fetch->page;
        for (int link = 2 * fetch->page; link <= 2 * fetch->page + 1; link++)
            if (link <= PAGES) s->found++;
    }
}

static void crawl_drop(FutureState state, int32_t outcome) {
    Crawl *s = state;
    if (outcome < 0) s->result = outcome;
    zyntax_op_cancel(&s->op);
    for (size_t i = 0; i < s->n; i++) zyntax_task_cancel(s->tasks[i]);
}

int main(void) {
    Crawl crawl = {0};
    zyntax_runtime *runtime = zyntax_runtime_create();
    zyntax_task *task = runtime != NULL ? zyntax_runtime_spawn_with(runtime, &crawl, crawl_poll, crawl_drop, 0) : NULL;
    int64_t error = task != NULL ? zyntax_runtime_block_on(runtime, task) : ZYNTAX_ENOMEM;
    if (error == 0) error = crawl.result;
    if (error == 0) printf("fetched %d pages, %zu at once at most\n", crawl.fetched, crawl.most);
    if (error == 0) printf("the sum of their numbers: %d\n", crawl.sum);
    zyntax_runtime_destroy(runtime);
    if (error != 0) fprintf(stderr, "task_set: %s\n", zyntax_strerror(error));
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
