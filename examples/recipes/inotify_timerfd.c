/* SPDX-License-Identifier: Apache-2.0
 *
 * Other descriptors of Linux: a task reads a timerfd and makes a file at each tick, another reads from inotify which
 * files were made.
 *
 * Rule it relies on: zyntax_io_open takes every descriptor that the kernel can wait for. zyntax_io_read then reads it
 * as read(2) does, and whole events, as the kernel gives them.
 *
 * Output, in any order:
 *     tick 1
 *     tick 2
 *     tick 3
 *     made: note-1
 *     made: note-2
 *     made: note-3
 */
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { NOTES = 3 };
static char folder[] = "/tmp/zyntax-recipe-XXXXXX";

static void note_path(char *path, size_t size, int number) { snprintf(path, size, "%s/note-%d", folder, number); }

/* One state for both tasks: a descriptor, its counts, and the place where it waits. */
typedef struct Source {
    zyntax_io *io;
    zyntax_op op;
    int count;
    int64_t result;     /* of the last read */
    zyntax_task *feeds; /* the task that waits for this task's work; NULL: none */
} Source;

static PollStatus ticks_poll(FutureState state, Waker *waker) {
    Source *s = state;
    uint64_t expired;
    char path[sizeof folder + 32];
    while (s->count < NOTES) {
        if (zyntax_io_read(s->io, &s->op, &expired, sizeof expired, waker, &s->result) == POLL_PENDING)
            return POLL_PENDING;
        if (s->result != sizeof expired) return POLL_READY;
        for (; expired > 0 && s->count < NOTES; expired--) { /* more than 1 when the loop was late */
            printf("tick %d\n", ++s->count);
            note_path(path, sizeof path, s->count);
            FILE *file = fopen(path, "w");
            if (file == NULL || fclose(file) != 0) s->result = ZYNTAX_EIO;
            if (s->result < 0) return POLL_READY;
        }
    }
    return POLL_READY;
}

static PollStatus files_poll(FutureState state, Waker *waker) {
    Source *s = state;
    union { /* aligned for events, with room for one with a long name */
        struct inotify_event first;
        char bytes[4096];
    } events;
    while (s->count < NOTES) {
        if (zyntax_io_read(s->io, &s->op, &events, sizeof events, waker, &s->result) == POLL_PENDING)
            return POLL_PENDING;
        if (s->result <= 0) return POLL_READY;
        for (const char *at = events.bytes; at < events.bytes + s->result;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;
            if (event->mask & IN_CREATE) printf("made: %s\n", event->name), s->count++;
            at += sizeof *event + event->len;
        }
    }
    return POLL_READY;
}

static void source_drop(FutureState state, int32_t outcome) {
    Source *s = state;
    if (outcome < 0) s->result = outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->io);
    if (s->count < NOTES) zyntax_task_cancel(s->feeds); /* it would wait for ever. NULL is ZYNTAX_ESTALE */
}

/* Takes the descriptor over, also when it fails. */
static int32_t source_start(zyntax_runtime *runtime, Source *s, int fd, PollFn poll, zyntax_task **task) {
    int32_t error = fd >= 0 ? zyntax_io_open(runtime, fd, &s->io) : ZYNTAX_EMFILE;
    if (error != 0 && fd >= 0) close(fd);
    if (error != 0) return error;
    *task = zyntax_runtime_spawn_with(runtime, s, poll, source_drop, 0);
    return *task != NULL ? 0 : ZYNTAX_ENOMEM; /* the runtime closes a handle that no task has */
}

static int32_t start(zyntax_runtime *runtime, Source *files, Source *ticks) {
    const struct itimerspec every_5_ms = {.it_interval = {.tv_nsec = 5000000}, .it_value = {.tv_nsec = 5000000}};
    int watch = inotify_init1(IN_CLOEXEC);
    int known = watch >= 0 && inotify_add_watch(watch, folder, IN_CREATE) >= 0;
    int32_t error = source_start(runtime, files, watch, files_poll, &ticks->feeds);
    if (error == 0 && !known) error = ZYNTAX_EIO;
    if (error != 0) return error;
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    int is_set = timer >= 0 && timerfd_settime(timer, 0, &every_5_ms, NULL) == 0;
    zyntax_task *task;
    error = source_start(runtime, ticks, timer, ticks_poll, &task);
    return error == 0 && !is_set ? ZYNTAX_EIO : error;
}

int main(void) {
    Source files = {0}, ticks = {0};
    char path[sizeof folder + 32];
    zyntax_runtime *runtime = zyntax_runtime_create();
    int64_t error = runtime == NULL ? ZYNTAX_ENOMEM : mkdtemp(folder) == NULL ? ZYNTAX_EACCES : 0;
    if (error == 0) error = start(runtime, &files, &ticks);
    if (error == 0) error = zyntax_runtime_run(runtime);
    zyntax_runtime_destroy(runtime);
    for (int i = 1; i <= ticks.count; i++) note_path(path, sizeof path, i), unlink(path);
    rmdir(folder);
    if (error == 0) error = ticks.result < 0 ? ticks.result : files.result < 0 ? files.result : 0;
    if (error != 0) fprintf(stderr, "inotify_timerfd: %s\n", zyntax_strerror(error));
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
