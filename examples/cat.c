/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies standard input of any kind into a file:
 *     cat FILE
 * zyntax_file_from takes every kind of standard input: a file is read by a thread of the pool, a pipe or a terminal
 * waits by readiness. The copy is on the disk when the program ends. With --self-test it copies a stream that another
 * task writes, and then a file, both of which stand for standard input.
 *
 * Output of cat --self-test:
 *     from a stream: 120000 bytes
 *     from a file: 120000 bytes, the same
 */
#include "system.h"
#include "trace.h"
#include "zyntax_async_runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TO_FLAGS = ZYNTAX_FILE_WRITE | ZYNTAX_FILE_CREATE | ZYNTAX_FILE_TRUNCATE };
#define POSITION UINT64_MAX /* the current one */

/* ---- async fn copy(from, path) -> count ----
 *     let to = open(path).await?
 *     loop {
 *         let len = read(from, buf).await?
 *         if len == 0 { break }
 *         while done < len { done += write(to, buf[done..len]).await? }
 *     }
 *     sync(to).await? */

typedef struct Copy {
    zyntax_runtime *runtime;
    zyntax_file *from, *to;
    const char *path;
    enum { OPENING, READING, WRITING, SYNCING } step;
    char buf[64 * 1024];
    size_t len, done; /* of the bytes in buf */
    int64_t count;    /* bytes copied so far; the result, or an error */
    zyntax_op op;
} Copy;

/* The await point that the function is at. */
static PollStatus copy_await(Copy *s, Waker *waker, int64_t *n) {
    switch (s->step) {
    case OPENING:
        return zyntax_file_open(s->runtime, &s->op, s->path, TO_FLAGS, waker, &s->to, n);
    case READING:
        return zyntax_file_read(s->from, &s->op, s->buf, sizeof s->buf, POSITION, waker, n);
    case WRITING:
        return zyntax_file_write(s->to, &s->op, s->buf + s->done, s->len - s->done, POSITION, waker, n);
    default:
        return zyntax_file_sync(s->to, &s->op, waker, n);
    }
}

static PollStatus copy_poll(FutureState state, Waker *waker) {
    Copy *s = state;
    int64_t n = 0;
    for (;;) {
        if (copy_await(s, waker, &n) == POLL_PENDING) return POLL_PENDING;
        if (n < 0) {
            s->count = n;
            return POLL_READY;
        }
        switch (s->step) {
        case OPENING:
            s->step = READING;
            break;
        case READING:
            s->step = n > 0 ? WRITING : SYNCING;
            s->len = (size_t)n;
            s->done = 0;
            break;
        case WRITING:
            s->done += (size_t)n;
            s->count += n;
            if (s->done == s->len) s->step = READING;
            break;
        default:
            return POLL_READY;
        }
    }
}

/* Copies a descriptor, which is closed, into the file. Returns the number of bytes, or an error. */
static int64_t copy(zyntax_runtime *runtime, intptr_t fd, const char *path) {
    static Copy s; /* large for a stack */
    zyntax_task *task;
    int64_t error;
    memset(&s, 0, sizeof s);
    s.runtime = runtime;
    s.path = path;
    error = zyntax_file_from(runtime, fd, &s.from);
    if (error < 0) return error;
    task = zyntax_runtime_spawn(runtime, &s, copy_poll);
    error = task != NULL ? zyntax_runtime_block_on(runtime, task) : ZYNTAX_ENOMEM;
    zyntax_file_close(s.from);
    if (s.to != NULL) zyntax_file_close(s.to);
    return error < 0 ? error : s.count;
}

/* ---- the self-test ---- */

typedef struct Sender {
    zyntax_io *io;
    int64_t sent;
    zyntax_op op;
} Sender;

enum { LINE = 12, LINES = 10000 };

/* async fn send(io) { for each line { write(io, line).await? }; close(io) } */
static PollStatus sender_poll(FutureState state, Waker *waker) {
    Sender *s = state;
    static const char line[] = "hello, file\n";
    while (s->sent < LINE * LINES) {
        size_t at = (size_t)(s->sent % LINE);
        int64_t n;
        if (zyntax_io_write(s->io, &s->op, line + at, LINE - at, waker, &n) == POLL_PENDING) return POLL_PENDING;
        if (n < 0) break;
        s->sent += n;
    }
    zyntax_io_close(s->io);
    return POLL_READY;
}

static int same(FILE *one, FILE *other) {
    int a, b;
    do {
        a = getc(one);
        b = getc(other);
    } while (a == b && a != EOF);
    return a == b;
}

static int64_t self_test(zyntax_runtime *runtime, const char *first, const char *second) {
    Sender sender = {0};
    intptr_t ends[2];
    if (system_stream_pair(ends) != 0) return ZYNTAX_EIO;
    int64_t count = zyntax_io_open(runtime, ends[1], &sender.io);
    if (count == 0 && zyntax_runtime_spawn(runtime, &sender, sender_poll) == NULL) count = ZYNTAX_ENOMEM;
    if (count == 0) count = copy(runtime, ends[0], first);
    if (count < 0) return count;
    printf("from a stream: %" PRId64 " bytes\n", count);

    FILE *one = fopen(first, "rb");
    if (one == NULL) return ZYNTAX_ENOENT;
    count = freopen(first, "rb", stdin) != NULL ? copy(runtime, system_stdin(), second) : ZYNTAX_ENOENT;
    FILE *other = fopen(second, "rb");
    int is_same = other != NULL && same(one, other);
    if (count >= 0) printf("from a file: %" PRId64 " bytes, %s\n", count, is_same ? "the same" : "another text");
    fclose(one);
    if (other != NULL) fclose(other);
    return count;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: cat FILE\n");
        return EXIT_FAILURE;
    }
    zyntax_runtime *runtime = zyntax_runtime_create();
    trace_start(runtime);
    int64_t count = ZYNTAX_ENOMEM;
    if (runtime != NULL && strcmp(argv[1], "--self-test") == 0) {
        const char *first = "cat-self-test-1.tmp", *second = "cat-self-test-2.tmp";
        count = self_test(runtime, first, second);
        remove(first);
        remove(second);
    } else if (runtime != NULL) {
        count = copy(runtime, system_stdin(), argv[1]);
    }
    if (count < 0) fprintf(stderr, "cat: %s\n", zyntax_strerror(count));
    zyntax_runtime_destroy(runtime);
    return count >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
