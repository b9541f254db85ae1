/* SPDX-License-Identifier: Apache-2.0
 *
 * Work that blocks, off the loop: getaddrinfo runs in a thread of the runtime's pool (zyntax_blocking) while another
 * task ticks on the loop. The job works on a copy of its argument, which is copied back when the awaiting task goes
 * on; so the look-up can be cancelled at any time although the thread that runs it can not.
 *
 *     blocking_dns [name]
 *
 * Output (... is any text):
 *     localhost: ...
 *     the loop ticked meanwhile
 */
#include "system.h"
#include "trace.h"
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MILLISECONDS(n) (UINT64_C(1000000) * (n))

/* ---- in a thread of the pool ---- */

enum { ADDRESSES = 4, ADDRESS_SIZE = 64 };

typedef struct Query {
    char name[256];
    char addresses[ADDRESSES][ADDRESS_SIZE];
} Query;

/* Returns the number of addresses, or ZYNTAX_ENOENT. */
static int64_t resolve(void *argument) {
    Query *query = argument;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int64_t count = 0;
    system_pause_ms(100); /* as slow as a distant name server */
    if (getaddrinfo(query->name, NULL, &hints, &found) != 0) return ZYNTAX_ENOENT;
    for (const struct addrinfo *a = found; a != NULL && count < ADDRESSES; a = a->ai_next)
        if (getnameinfo(a->ai_addr, a->ai_addrlen, query->addresses[count], ADDRESS_SIZE, NULL, 0, NI_NUMERICHOST) == 0)
            count++;
    freeaddrinfo(found);
    return count;
}

/* ---- on the loop ---- */

typedef struct LookUp {
    zyntax_op op;
    Query query;
    int64_t result; /* number of addresses, or an error */
} LookUp;

static PollStatus look_up_poll(FutureState state, Waker *waker) {
    LookUp *s = state;
    return zyntax_blocking(zyntax_current_runtime(), &s->op, resolve, &s->query, sizeof s->query, waker, &s->result);
}

static void look_up_drop(FutureState state, int32_t outcome) {
    LookUp *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
}

typedef struct Ticker {
    zyntax_op op;
    int ticks;
} Ticker;

static PollStatus ticker_poll(FutureState state, Waker *waker) {
    Ticker *s = state;
    while (zyntax_sleep(zyntax_current_runtime(), &s->op, MILLISECONDS(10), waker) == POLL_READY) s->ticks++;
    return POLL_PENDING;
}

static void ticker_drop(FutureState state, int32_t outcome) {
    Ticker *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
}

/* ---- main ---- */

static void print_answer(const LookUp *look_up, int ticks) {
    printf("%s:", look_up->query.name);
    for (int64_t i = 0; i < look_up->result; i++) printf(" %s", look_up->query.addresses[i]);
    printf("\nthe loop %s meanwhile\n", ticks > 0 ? "ticked" : "was blocked");
}

int main(int argc, char **argv) {
    LookUp look_up = {.result = 0};
    Ticker ticker = {0};
    snprintf(look_up.query.name, sizeof look_up.query.name, "%s", argc > 1 ? argv[1] : "localhost");

    zyntax_runtime *runtime = zyntax_runtime_create();
    trace_start(runtime);
    if (runtime == NULL || system_start() != 0) return EXIT_FAILURE;
    zyntax_task *asking = zyntax_runtime_spawn_with(runtime, &look_up, look_up_poll, look_up_drop, 0);
    zyntax_task *ticking = zyntax_runtime_spawn_with(runtime, &ticker, ticker_poll, ticker_drop, 0);
    int64_t error = asking != NULL && ticking != NULL ? zyntax_runtime_block_on(runtime, asking) : ZYNTAX_ENOMEM;
    zyntax_task_cancel(ticking);
    if (error == 0) error = zyntax_runtime_run(runtime); /* until no task is left: the ticker is dropped */
    if (error == 0 && look_up.result < 0) error = look_up.result;
    if (error == 0) print_answer(&look_up, ticker.ticks);
    else fprintf(stderr, "%s: %s\n", look_up.query.name, zyntax_strerror(error));
    zyntax_runtime_destroy(runtime);
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
