/* SPDX-License-Identifier: Apache-2.0
 *
 * A wait group between tasks of one runtime, made from wakers: wait until every member is done, whoever they are.
 *
 * Rules it relies on: drop runs exactly once for each task, however it ended, so a member that calls wait_group_done in
 * its drop is counted also when it was cancelled. A waiter that ends leaves the list in its drop.
 *
 * Output, in any order:
 *     member 0: OK
 *     member 1: ECANCELED
 *     member 2: OK
 *     waiter 0: OK with 0 members left
 *     waiter 1: ECANCELED with 2 members left
 */
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the wait group: a count, and the tasks that wait for 0 ---- */

typedef struct GroupWaiter {
    struct GroupWaiter *next, **link; /* `link` is the pointer that points here; NULL outside of the list */
    Waker waker;
} GroupWaiter;

typedef struct WaitGroup {
    size_t members;
    GroupWaiter *waiters;
} WaitGroup;

static void wait_group_add(WaitGroup *group, size_t n) { group->members += n; }

static void wait_group_done(WaitGroup *group) {
    if (--group->members > 0) return;
    for (GroupWaiter *w = group->waiters; w != NULL; w = w->next) w->waker.wake(w->waker.data);
}

/* Leaves the list; does nothing for a waiter outside of it. */
static void wait_group_leave(GroupWaiter *waiter) {
    if (waiter->link == NULL) return;
    *waiter->link = waiter->next;
    if (waiter->next != NULL) waiter->next->link = waiter->link;
    waiter->link = NULL;
}

/* Waits until no member is left. `waiter` is zero at first, and lives until wait_group_leave. Members that are added
 * before the woken task is polled are waited for, too. */
static PollStatus wait_group_wait(WaitGroup *group, GroupWaiter *waiter, Waker *waker) {
    if (group->members == 0) {
        wait_group_leave(waiter);
        return POLL_READY;
    }
    if (waiter->link == NULL) {
        *waiter = (GroupWaiter){.next = group->waiters, .link = &group->waiters};
        if (waiter->next != NULL) waiter->next->link = &waiter->next;
        group->waiters = waiter;
    }
    waiter->waker = *waker;
    return POLL_PENDING;
}

/* ---- the demonstration ---- */

enum { MEMBERS = 3, WAITERS = 2 };

typedef struct Member {
    int number;
    WaitGroup *group;
    zyntax_op op;
} Member;

static PollStatus member_poll(FutureState state, Waker *waker) {
    Member *s = state;
    return zyntax_sleep(zyntax_current_runtime(), &s->op, UINT64_C(5000000) * (uint64_t)(s->number + 1), waker);
}

static void member_drop(FutureState state, int32_t outcome) {
    Member *s = state;
    zyntax_op_cancel(&s->op);
    printf("member %d: %s\n", s->number, zyntax_error_name(outcome));
    wait_group_done(s->group);
}

typedef struct Waiting {
    int number;
    WaitGroup *group;
    GroupWaiter waiter;
} Waiting;

static PollStatus waiting_poll(FutureState state, Waker *waker) {
    Waiting *s = state;
    return wait_group_wait(s->group, &s->waiter, waker);
}

static void waiting_drop(FutureState state, int32_t outcome) {
    Waiting *s = state;
    wait_group_leave(&s->waiter);
    printf("waiter %d: %s with %zu members left\n", s->number, zyntax_error_name(outcome), s->group->members);
}

int main(void) {
    WaitGroup group = {0};
    Member members[MEMBERS];
    Waiting waiting[WAITERS];
    zyntax_task *tasks[MEMBERS + WAITERS];
    zyntax_runtime *runtime = zyntax_runtime_create();
    int32_t error = runtime != NULL ? 0 : ZYNTAX_ENOMEM;
    for (int i = 0; i < MEMBERS && error == 0; i++) {
        members[i] = (Member){.number = i, .group = &group};
        tasks[i] = zyntax_runtime_spawn_with(runtime, &members[i], member_poll, member_drop, 0);
        if (tasks[i] == NULL) error = ZYNTAX_ENOMEM;
        else wait_group_add(&group, 1);
    }
    for (int i = 0; i < WAITERS && error == 0; i++) {
        waiting[i] = (Waiting){.number = i, .group = &group};
        tasks[MEMBERS + i] = zyntax_runtime_spawn_with(runtime, &waiting[i], waiting_poll, waiting_drop, 0);
        if (tasks[MEMBERS + i] == NULL) error = ZYNTAX_ENOMEM;
    }
    if (error == 0 && (error = zyntax_runtime_turn(runtime, 0)) >= 0) error = zyntax_task_cancel(tasks[1]);
    if (error == 0) error = zyntax_task_cancel(tasks[MEMBERS + 1]);
    if (error == 0) error = zyntax_runtime_run(runtime);
    zyntax_runtime_destroy(runtime);
    if (error != 0) fprintf(stderr, "wait_group: %s\n", zyntax_strerror(error));
    return error == 0 && group.waiters == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}
