/* SPDX-License-Identifier: Apache-2.0
 *
 * The promises on which a program may rely with each of the libraries, as far as the document's five functions go. A
 * test is a function that makes its own runtime; the checks that fail are printed.
 */
#include "swap.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Five *five;
static atomic_bool failed;

#define CHECK(condition)                                              \
    do {                                                              \
        if (!(condition)) {                                           \
            printf("tests.c:%d: failed: %s\n", __LINE__, #condition); \
            failed = true;                                            \
        }                                                             \
    } while (0)

/* ---- Tasks ---- */

/* Is pending `pending` times, and wakes itself each time if `yields`. */
typedef struct Step {
    int pending;
    bool yields;
    int polls;
    Waker waker;
    pthread_t thread;
} Step;

static PollStatus step_poll(FutureState state, Waker *waker) {
    Step *s = state;
    s->waker = *waker;
    s->thread = pthread_self();
    if (s->polls++ == s->pending) return POLL_READY;
    if (s->yields) waker->wake(waker->data);
    return POLL_PENDING;
}

static void wake(const Step *s) { s->waker.wake(s->waker.data); }

/* Drives until every ready task has been polled. A library decides how long a ready task waits, but none lets it wait
 * for that many polls of another task. */
static void settle(void *runtime) {
    Step yields = {.pending = 1000, .yields = true};
    five->block_on(runtime, five->spawn(runtime, &yields, step_poll));
}

/* ---- Polls ---- */

static void spawn_does_not_poll(void) {
    void *runtime = five->create();
    Step step = {.pending = 0};
    CHECK(runtime != NULL);
    CHECK(five->spawn(runtime, &step, step_poll) != NULL);
    CHECK(step.polls == 0);
    five->run(runtime);
    CHECK(step.polls == 1);
    five->destroy(runtime);
}

static void one_poll_for_each_wake(void) {
    void *runtime = five->create();
    Step step = {.pending = 3};
    void *task = five->spawn(runtime, &step, step_poll);
    for (int polls = 1; polls <= 3; polls++) {
        settle(runtime);
        settle(runtime);
        CHECK(step.polls == polls);
        wake(&step);
        CHECK(step.polls == polls); /* not inline */
    }
    five->block_on(runtime, task);
    CHECK(step.polls == 4);
    five->destroy(runtime);
}

static void wakes_coalesce(void) {
    void *runtime = five->create();
    Step step = {.pending = 5};
    five->spawn(runtime, &step, step_poll);
    settle(runtime);
    for (int i = 0; i < 100; i++) wake(&step);
    settle(runtime);
    CHECK(step.polls == 2);
    five->destroy(runtime);
}

static PollStatus wakes_itself_thrice_poll(FutureState state, Waker *waker) {
    int *polls = state;
    if (++*polls == 1)
        for (int i = 0; i < 3; i++) waker->wake(waker->data);
    return POLL_PENDING;
}

static void wakes_in_its_own_poll_are_one(void) {
    void *runtime = five->create();
    int polls = 0;
    five->spawn(runtime, &polls, wakes_itself_thrice_poll);
    settle(runtime);
    CHECK(polls == 2);
    five->destroy(runtime);
}

static PollStatus wakes_and_ends_poll(FutureState state, Waker *waker) {
    Step *s = state;
    s->polls++;
    s->waker = *waker;
    waker->wake(waker->data);
    return POLL_READY;
}

static void no_poll_after_ready(void) {
    void *runtime = five->create();
    Step step = {.pending = 0};
    void *task = five->spawn(runtime, &step, wakes_and_ends_poll);
    five->block_on(runtime, task);
    settle(runtime);
    wake(&step);
    settle(runtime);
    CHECK(step.polls == 1);
    five->destroy(runtime);
}

/* Each node has two children until the depth is reached. */
typedef struct Tree {
    void *runtime;
    int *nodes;
    int depth;
} Tree;

static PollStatus tree_poll(FutureState state, Waker *waker) {
    Tree *s = state;
    (void)waker;
    for (int i = 0; i < 2 && s->depth > 0; i++) {
        Tree *child = malloc(sizeof *child);
        *child = (Tree){s->runtime, s->nodes, s->depth - 1};
        int nodes = *s->nodes;
        CHECK(five->spawn(s->runtime, child, tree_poll) != NULL);
        CHECK(*s->nodes == nodes); /* not polled within the spawn */
    }
    ++*s->nodes;
    free(s);
    return POLL_READY;
}

static void spawn_in_a_poll(void) {
    void *runtime = five->create();
    int nodes = 0;
    Tree *root = malloc(sizeof *root);
    *root = (Tree){runtime, &nodes, 10};
    five->spawn(runtime, root, tree_poll);
    five->run(runtime);
    CHECK(nodes == 2047);
    five->destroy(runtime);
}

static void a_hundred_thousand_tasks(void) {
    enum { COUNT = 100000 };
    void *runtime = five->create();
    Step *steps = calloc(COUNT, sizeof *steps);
    for (int i = 0; i < COUNT; i++) {
        steps[i] = (Step){.pending = i % 3, .yields = true};
        CHECK(five->spawn(runtime, &steps[i], step_poll) != NULL);
    }
    five->run(runtime);
    for (int i = 0; i < COUNT; i++) CHECK(steps[i].polls == i % 3 + 1);
    five->destroy(runtime);
    free(steps);
}

/* ---- Handles ---- */

static void block_on_drives_the_others_too(void) {
    void *runtime = five->create();
    Step other = {.pending = 10, .yields = true}, sleeper = {.pending = 1};
    five->spawn(runtime, &other, step_poll);
    five->spawn(runtime, &sleeper, step_poll);
    settle(runtime);
    CHECK(other.polls == 11);
    CHECK(sleeper.polls == 1); /* alive, and no task waits for it */
    wake(&sleeper);
    five->run(runtime);
    CHECK(sleeper.polls == 2);
    five->destroy(runtime);
}

static void block_on_a_task_that_has_ended(void) {
    void *runtime = five->create();
    Step first = {.pending = 0}, second = {.pending = 1};
    void *ended = five->spawn(runtime, &first, step_poll);
    five->run(runtime);
    five->run(runtime); /* nothing is left */
    five->block_on(runtime, ended);
    five->spawn(runtime, &second, step_poll); /* where the first was, if places are used again */
    five->block_on(runtime, ended);
    CHECK(first.polls == 1 && second.polls <= 1);
    five->destroy(runtime);
}

static void nulls_are_harmless(void) {
    void *runtime = five->create();
    Step step = {.pending = 0};
    CHECK(five->spawn(NULL, &step, step_poll) == NULL);
    CHECK(five->spawn(runtime, &step, NULL) == NULL);
    five->block_on(NULL, NULL);
    five->block_on(runtime, NULL);
    five->run(NULL);
    five->run(runtime);
    five->destroy(NULL);
    CHECK(step.polls == 0);
    five->destroy(runtime);
}

static PollStatus no_state_poll(FutureState state, Waker *waker) {
    (void)waker;
    CHECK(state == NULL);
    return POLL_READY;
}

static void a_state_may_be_null(void) {
    void *runtime = five->create();
    CHECK(five->spawn(runtime, NULL, no_state_poll) != NULL);
    five->run(runtime);
    five->destroy(runtime);
}

/* ---- Driving from inside ---- */

typedef struct Nested {
    void *outer, *inner, *own;
    Step step;
    int polls;
} Nested;

static PollStatus drives_its_own_runtime_poll(FutureState state, Waker *waker) {
    Nested *s = state;
    (void)waker;
    s->polls++;
    five->run(s->outer);
    five->block_on(s->outer, s->own);
    five->block_on(s->outer, five->spawn(s->outer, &s->step, step_poll));
    CHECK(s->step.polls == 0);
    return POLL_READY;
}

static void driving_ones_own_runtime_does_nothing(void) {
    Nested nested = {.outer = five->create(), .step = {.pending = 0}};
    nested.own = five->spawn(nested.outer, &nested, drives_its_own_runtime_poll);
    five->run(nested.outer);
    CHECK(nested.polls == 1 && nested.step.polls == 1);
    five->destroy(nested.outer);
}

static PollStatus drives_another_runtime_poll(FutureState state, Waker *waker) {
    Nested *s = state;
    (void)waker;
    s->inner = five->create();
    five->block_on(s->inner, five->spawn(s->inner, &s->step, step_poll));
    CHECK(s->step.polls == 4);
    five->destroy(s->inner);
    return POLL_READY;
}

static void a_runtime_in_a_poll_of_another(void) {
    Nested nested = {.outer = five->create(), .step = {.pending = 3, .yields = true}};
    five->spawn(nested.outer, &nested, drives_another_runtime_poll);
    five->run(nested.outer);
    CHECK(nested.step.polls == 4);
    five->destroy(nested.outer);
}

/* ---- Wakers that have outlived something ---- */

static void a_stale_waker_wakes_nobody(void) {
    enum { COUNT = 1000 };
    void *runtime = five->create();
    static Step old[COUNT], new[COUNT];
    for (int i = 0; i < COUNT; i++) {
        old[i] = (Step){.pending = 0};
        five->spawn(runtime, &old[i], step_poll);
    }
    five->run(runtime);
    for (int i = 0; i < COUNT; i++) {
        new[i] = (Step){.pending = 1};
        five->spawn(runtime, &new[i], step_poll);
    }
    settle(runtime);
    for (int i = 0; i < COUNT; i++) wake(&old[i]);
    settle(runtime);
    for (int i = 0; i < COUNT; i++) CHECK(old[i].polls == 1 && new[i].polls == 1);
    five->destroy(runtime);
}

static void destroy_drops_without_a_poll(void) {
    void *runtime = five->create();
    Step sleeps = {.pending = 1}, woken = {.pending = 1}, fresh = {.pending = 1};
    five->spawn(runtime, &sleeps, step_poll);
    five->spawn(runtime, &woken, step_poll);
    settle(runtime);
    five->spawn(runtime, &fresh, step_poll);
    wake(&woken);
    five->destroy(runtime);
    CHECK(sleeps.polls == 1 && woken.polls == 1 && fresh.polls == 0);
    wake(&sleeps);
    wake(&woken);
    CHECK(sleeps.polls == 1 && woken.polls == 1);
}

static void a_waker_of_a_runtime_that_is_gone(void) {
    void *runtime = five->create();
    Step old = {.pending = 1}, new = {.pending = 1};
    five->spawn(runtime, &old, step_poll);
    settle(runtime);
    five->destroy(runtime);
    runtime = five->create();
    five->spawn(runtime, &new, step_poll);
    settle(runtime);
    wake(&old);
    settle(runtime);
    CHECK(old.polls == 1 && new.polls == 1);
    five->destroy(runtime);
}

/* ---- Threads ---- */

static void *call_run(void *runtime) {
    five->run(runtime);
    return NULL;
}

static void polls_are_on_the_thread_that_drives(void) {
    void *runtime = five->create();
    Step here = {.pending = 3, .yields = true}, there = here;
    pthread_t thread;
    five->spawn(runtime, &here, step_poll);
    five->run(runtime);
    CHECK(pthread_equal(here.thread, pthread_self()));
    five->spawn(runtime, &there, step_poll);
    pthread_create(&thread, NULL, call_run, runtime);
    pthread_join(thread, NULL);
    CHECK(there.polls == 4 && pthread_equal(there.thread, thread));
    five->destroy(runtime);
}

/* Ends when it has been told so `rounds` times. */
typedef struct Told {
    int rounds;
    atomic_int told, seen; /* seen is -1 until the waker is there */
    Waker waker;
} Told;

static PollStatus told_poll(FutureState state, Waker *waker) {
    Told *s = state;
    if (atomic_load(&s->seen) < 0) s->waker = *waker;
    int told = atomic_load(&s->told);
    atomic_store(&s->seen, told);
    return told == s->rounds ? POLL_READY : POLL_PENDING;
}

/* The next wake when the poll for the last has been seen, so that a lost one is noticed. */
static void *tell_in_turns(void *argument) {
    Told *s = argument;
    while (atomic_load(&s->seen) < 0) sched_yield();
    for (int i = 1; i <= s->rounds; i++) {
        atomic_store(&s->told, i);
        s->waker.wake(s->waker.data);
        while (atomic_load(&s->seen) < i) sched_yield();
    }
    return NULL;
}

static void no_wake_is_lost(void) {
    void *runtime = five->create();
    Told told = {.rounds = 20000, .seen = -1};
    pthread_t thread;
    pthread_create(&thread, NULL, tell_in_turns, &told);
    five->block_on(runtime, five->spawn(runtime, &told, told_poll));
    CHECK(atomic_load(&told.seen) == told.rounds);
    pthread_join(thread, NULL);
    five->destroy(runtime);
}

enum { TELLERS = 4, TOLD = 100, ROUNDS = 200 };

static void *tell_all(void *argument) {
    Told *all = argument;
    for (int i = 0; i < ROUNDS * TOLD; i++) {
        Told *s = &all[i % TOLD];
        while (atomic_load(&s->seen) < 0) sched_yield();
        atomic_fetch_add(&s->told, 1);
        s->waker.wake(s->waker.data);
    }
    return NULL;
}

static void many_tasks_woken_by_many_threads(void) {
    void *runtime = five->create();
    static Told all[TOLD];
    pthread_t threads[TELLERS];
    for (int i = 0; i < TOLD; i++) {
        all[i].rounds = TELLERS * ROUNDS;
        atomic_store(&all[i].seen, -1);
        five->spawn(runtime, &all[i], told_poll);
    }
    for (int i = 0; i < TELLERS; i++) pthread_create(&threads[i], NULL, tell_all, all);
    five->run(runtime);
    for (int i = 0; i < TELLERS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < TOLD; i++) CHECK(atomic_load(&all[i].seen) == TELLERS * ROUNDS);
    five->destroy(runtime);
}

/* Wakers that one thread calls again and again while another thread ends their tasks and runtimes. */
typedef struct Calls {
    pthread_mutex_t mutex;
    Waker wakers[20];
    bool end;
} Calls;

static void *call_wakers(void *argument) {
    Calls *calls = argument;
    Waker copies[20];
    for (bool end = false; !end;) {
        pthread_mutex_lock(&calls->mutex);
        memcpy(copies, calls->wakers, sizeof copies);
        end = calls->end;
        pthread_mutex_unlock(&calls->mutex);
        for (int i = 0; i < 20; i++)
            if (copies[i].wake != NULL) copies[i].wake(copies[i].data);
        sched_yield();
    }
    return NULL;
}

static void wakes_race_with_destroy(void) {
    Calls calls = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;
    pthread_create(&thread, NULL, call_wakers, &calls);
    for (int round = 0; round < 300; round++) {
        void *runtime = five->create();
        Step steps[20];
        for (int i = 0; i < 20; i++) {
            steps[i] = (Step){.pending = i % 2 == 0 ? 1 : 1 << 30};
            five->spawn(runtime, &steps[i], step_poll);
        }
        settle(runtime);
        pthread_mutex_lock(&calls.mutex);
        for (int i = 0; i < 20; i++) calls.wakers[i] = steps[i].waker;
        calls.end = round == 299;
        pthread_mutex_unlock(&calls.mutex);
        if (round % 3 == 0) settle(runtime);
        five->destroy(runtime);
    }
    pthread_join(thread, NULL);
}

static void *one_thread(void *argument) {
    (void)argument;
    for (int round = 0; round < 20; round++) {
        void *runtime = five->create();
        Step steps[100];
        for (int i = 0; i < 100; i++) {
            steps[i] = (Step){.pending = i, .yields = true};
            five->spawn(runtime, &steps[i], step_poll);
        }
        five->run(runtime);
        for (int i = 0; i < 100; i++) CHECK(steps[i].polls == i + 1);
        five->destroy(runtime);
    }
    return NULL;
}

static void runtimes_in_threads_of_their_own(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, one_thread, NULL);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

#define TEST(name) \
    { #name, name }

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    TEST(spawn_does_not_poll),
    TEST(one_poll_for_each_wake),
    TEST(wakes_coalesce),
    TEST(wakes_in_its_own_poll_are_one),
    TEST(no_poll_after_ready),
    TEST(spawn_in_a_poll),
    TEST(a_hundred_thousand_tasks),
    TEST(block_on_drives_the_others_too),
    TEST(block_on_a_task_that_has_ended),
    TEST(nulls_are_harmless),
    TEST(a_state_may_be_null),
    TEST(driving_ones_own_runtime_does_nothing),
    TEST(a_runtime_in_a_poll_of_another),
    TEST(a_stale_waker_wakes_nobody),
    TEST(destroy_drops_without_a_poll),
    TEST(a_waker_of_a_runtime_that_is_gone),
    TEST(polls_are_on_the_thread_that_drives),
    TEST(no_wake_is_lost),
    TEST(many_tasks_woken_by_many_threads),
    TEST(wakes_race_with_destroy),
    TEST(runtimes_in_threads_of_their_own),
};

bool run_tests(const Five *library) {
    bool passed = true;
    five = library;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        failed = false;
        tests[i].run();
        printf("%s %s\n", failed ? "FAILED" : "ok", tests[i].name);
        passed = passed && !failed;
    }
    return passed;
}
