/* SPDX-License-Identifier: Apache-2.0
 *
 * Write all: zyntax_io_write writes as much as there is room for, so the whole takes a loop.
 *
 * Rule it relies on: progress lives in the state. A poll, spurious or not, calls again for the remaining bytes; the
 * arguments change only after a call was ready.
 *
 * Output:
 *     wrote 1000000 of 1000000 bytes: OK
 *     read 1000000 bytes, all as written
 *     the reader left after 1000 bytes: the rest cannot be written
 */
#include "../system.h"
#include "zyntax_async_runtime.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- async fn write_all(io, data, length) ---- */

typedef struct WriteAll {
    zyntax_io *io;
    const char *data;
    size_t left;
    zyntax_op op;
    int64_t result; /* 0 or an error; `left` bytes were not written */
} WriteAll;

static PollStatus write_all_poll(WriteAll *s, Waker *waker) {
    int64_t written = 0;
    while (s->left > 0) {
        if (zyntax_io_write(s->io, &s->op, s->data, s->left, waker, &written) == POLL_PENDING) return POLL_PENDING;
        if (written < 0) break;
        s->data += written;
        s->left -= (size_t)written;
    }
    s->result = written < 0 ? written : 0;
    return POLL_READY;
}

/* ---- the demonstration: a writer and a reader, a task each ---- */

enum { LENGTH = 1000000, FEW = 1000, TOO_MUCH = 16000000 }; /* more than the system buffers */
static char data[TOO_MUCH];

static PollStatus writer_poll(FutureState state, Waker *waker) { return write_all_poll(state, waker); }

static void writer_drop(FutureState state, int32_t outcome) {
    WriteAll *s = state;
    if (outcome != 0) s->result = outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->io); /* the reader reads the end of the stream */
}

typedef struct Reader {
    zyntax_io *io;
    zyntax_op op;
    size_t got, limit;
    int differs;
} Reader;

static PollStatus reader_poll(FutureState state, Waker *waker) {
    Reader *s = state;
    char buffer[FEW];
    int64_t n;
    while (s->got < s->limit) {
        if (zyntax_io_read(s->io, &s->op, buffer, sizeof buffer, waker, &n) == POLL_PENDING) return POLL_PENDING;
        if (n <= 0) return POLL_READY;
        if (memcmp(buffer, data + s->got, (size_t)n) != 0) s->differs = 1;
        s->got += (size_t)n;
    }
    return POLL_READY;
}

static void reader_drop(FutureState state, int32_t outcome) {
    Reader *s = state;
    (void)outcome;
    zyntax_op_cancel(&s->op);
    zyntax_io_close(s->io);
}

/* The reader stops after `limit` bytes of `length`. */
static int32_t transfer(zyntax_runtime *runtime, WriteAll *writer, Reader *reader, size_t length, size_t limit) {
    intptr_t ends[2];
    *writer = (WriteAll){.data = data, .left = length};
    *reader = (Reader){.limit = limit};
    if (system_stream_pair(ends) != 0) return ZYNTAX_EIO;
    int32_t error = zyntax_io_open(runtime, ends[0], &writer->io);
    if (error != 0) system_close(ends[0]);
    int32_t reader_error = zyntax_io_open(runtime, ends[1], &reader->io);
    if (reader_error != 0) system_close(ends[1]);
    if (error == 0) error = reader_error;
    if (error != 0) return error; /* the runtime closes the other end when it is destroyed */
    if (zyntax_runtime_spawn_with(runtime, writer, writer_poll, writer_drop, 0) == NULL) return ZYNTAX_ENOMEM;
    if (zyntax_runtime_spawn_with(runtime, reader, reader_poll, reader_drop, 0) == NULL) return ZYNTAX_ENOMEM;
    return zyntax_runtime_run(runtime);
}

int main(void) {
    WriteAll writer;
    Reader reader;
    for (size_t i = 0; i < LENGTH; i++) data[i] = (char)(i * 7 / 5);
    zyntax_runtime *runtime = zyntax_runtime_create();
    int32_t error = runtime != NULL ? transfer(runtime, &writer, &reader, LENGTH, LENGTH) : ZYNTAX_ENOMEM;
    if (error == 0) {
        printf("wrote %zu of %d bytes: %s\n", LENGTH - writer.left, LENGTH, zyntax_error_name(writer.result));
        printf("read %zu bytes, %s\n", reader.got, reader.differs ? "others than were written" : "all as written");
        error = transfer(runtime, &writer, &reader, TOO_MUCH, FEW);
    }
    if (error == 0) /* which of the two errors it is, depends on the system */
        printf("the reader left after %zu bytes: %s\n", reader.got,
               writer.result == ZYNTAX_EPIPE || writer.result == ZYNTAX_ECONNRESET ? "the rest cannot be written"
                                                                                   : zyntax_strerror(writer.result));
    zyntax_runtime_destroy(runtime);
    if (error != 0) fprintf(stderr, "write_all: %s\n", zyntax_strerror(error));
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
