/* SPDX-License-Identifier: Apache-2.0
 *
 * Async iterators. An iterator is a state and a PollNextFn, which gives an item, the end (0) or an error. `for await`
 * over an iterator is a loop around that function, whatever the source of the items:
 *   countdown  a generator: async fn* countdown(from) { while from > 0 { sleep(10 ms).await; yield from--; } }
 *   channel    the items of another task, through a channel with room for two
 *   squares    an adapter over another iterator: the channel again
 *
 * Output:
 *     countdown: 3
 *     countdown: 2
 *     countdown: 1
 *     countdown: the end
 *     channel: 1
 *     channel: 2
 *     channel: 3
 *     channel: 4
 *     channel: 5
 *     channel: the end
 *     squares: 1
 *     squares: 4
 *     squares: 9
 *     squares: 16
 *     squares: 25
 *     squares: the end
 */
#include "trace.h"
#include "zyntax_async_runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- iterators over int64_t ---- */

typedef struct Countdown {
    int64_t from;
    zyntax_op op;
} Countdown;

static PollStatus countdown_next(FutureState state, Waker *waker, void *item, int64_t *result) {
    Countdown *s = state;
    *result = 0;
    if (s->from == 0) return POLL_READY;
    if (zyntax_sleep(zyntax_current_runtime(), &s->op, UINT64_C(10000000), waker) == POLL_PENDING) return POLL_PENDING;
    *(int64_t *)item = s->from--;
    *result = 1;
    return POLL_READY;
}

typedef struct Receiver {
    zyntax_channel *channel;
    zyntax_op op;
} Receiver;

static PollStatus receiver_next(FutureState state, Waker *waker, void *item, int64_t *result) {
    Receiver *s = state;
    return zyntax_channel_recv(s->channel, &s->op, item, waker, result);
}

typedef struct Squares {
    PollNextFn next;
    FutureState over;
} Squares;

static PollStatus squares_next(FutureState state, Waker *waker, void *item, int64_t *result) {
    Squares *s = state;
    int64_t *number = item;
    PollStatus status = s->next(s->over, waker, item, result);
    if (status == POLL_READY && *result == 1) *number *= *number;
    return status;
}

/* ---- async fn print_all(iterator) { for await item in iterator { print(item) } } ---- */

typedef struct PrintAll {
    const char *name;
    PollNextFn next;
    FutureState iterator;
    int64_t result; /* 0 or an error */
} PrintAll;

static PollStatus print_all_poll(FutureState state, Waker *waker) {
    PrintAll *s = state;
    int64_t item;
    for (;;) {
        if (s->next(s->iterator, waker, &item, &s->result) == POLL_PENDING) return POLL_PENDING;
        if (s->result <= 0) break;
        printf("%s: %" PRId64 "\n", s->name, item);
    }
    if (s->result == 0) printf("%s: the end\n", s->name);
    return POLL_READY;
}

/* ---- async fn count(channel, to) { for n in 1..=to { channel.send(n).await } channel.close() } ---- */

typedef struct Count {
    zyntax_channel *channel;
    int64_t next, to;
    zyntax_op op;
} Count;

static PollStatus count_poll(FutureState state, Waker *waker) {
    Count *s = state;
    int64_t result = 0;
    for (; s->next <= s->to; s->next++) {
        if (zyntax_channel_send(s->channel, &s->op, &s->next, waker, &result) == POLL_PENDING) return POLL_PENDING;
        if (result < 0) break;
    }
    zyntax_channel_close(s->channel);
    return POLL_READY;
}

/* ---- main ---- */

/* Prints all of an iterator; drives the other tasks as well. Returns 0 or an error. */
static int64_t print_all(zyntax_runtime *runtime, const char *name, PollNextFn next, FutureState iterator) {
    PrintAll all = {.name = name, .next = next, .iterator = iterator};
    zyntax_task *task = zyntax_runtime_spawn(runtime, &all, print_all_poll);
    int32_t error = task != NULL ? zyntax_runtime_block_on(runtime, task) : ZYNTAX_ENOMEM;
    return error < 0 ? error : all.result;
}

/* Prints the items of a task, either as they are or squared. */
static int64_t print_channel(zyntax_runtime *runtime, int is_squared) {
    Count count = {.next = 1, .to = 5};
    int64_t error = zyntax_channel_create(runtime, 2, sizeof(int64_t), &count.channel);
    if (error < 0) return error;
    Receiver receiver = {.channel = count.channel};
    Squares squares = {.next = receiver_next, .over = &receiver};
    if (zyntax_runtime_spawn(runtime, &count, count_poll) == NULL) error = ZYNTAX_ENOMEM;
    else if (is_squared) error = print_all(runtime, "squares", squares_next, &squares);
    else error = print_all(runtime, "channel", receiver_next, &receiver);
    zyntax_channel_destroy(count.channel);
    return error;
}

int main(void) {
    Countdown countdown = {.from = 3};
    zyntax_runtime *runtime = zyntax_runtime_create();
    trace_start(runtime);
    int64_t error = runtime != NULL ? print_all(runtime, "countdown", countdown_next, &countdown) : ZYNTAX_ENOMEM;
    if (error == 0) error = print_channel(runtime, 0);
    if (error == 0) error = print_channel(runtime, 1);
    if (error < 0) fprintf(stderr, "async_iterator: %s\n", zyntax_strerror(error));
    zyntax_runtime_destroy(runtime);
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
