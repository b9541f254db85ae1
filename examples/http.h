/* SPDX-License-Identifier: Apache-2.0
 *
 * The async functions that fetch_user.c awaits, and the server it talks to. Each is a state struct with the arguments
 * first, a poll function and, where something must be given up on a cancel, a drop function. `result` is 0 or an
 * error once poll has returned POLL_READY.
 */
#ifndef EXAMPLES_HTTP_H
#define EXAMPLES_HTTP_H

#include "zyntax_async_runtime.h"

/* async fn write_all(io, text) */
typedef struct WriteAll {
    zyntax_io *io;
    const char *text;
    size_t left;
    zyntax_op op;
    int64_t result;
} WriteAll;

PollStatus write_all_poll(WriteAll *s, Waker *waker);

/* async fn read_message(io) -> (text, body): the head of an HTTP message and Content-Length bytes of body */
typedef struct ReadMessage {
    zyntax_io *io;
    size_t used;
    zyntax_op op;
    int64_t result;
    const char *body; /* points into text */
    char text[1024];  /* always ends with a 0 */
} ReadMessage;

PollStatus read_message_poll(ReadMessage *s, Waker *waker);

/* async fn http_get(port, path) -> body: of 127.0.0.1:port. ZYNTAX_ENOENT when the answer is 404. */
typedef struct HttpGet {
    uint32_t state_id;
    uint16_t port;
    char path[64];
    zyntax_io *io;
    zyntax_op op;
    char request[128];
    union {
        WriteAll write;
        ReadMessage read;
    } awaited;
    int64_t result;
    char body[512];
} HttpGet;

PollStatus http_get_poll(HttpGet *s, Waker *waker);
void http_get_drop(HttpGet *s);

/* A task that accepts, and a task per connection. They end with the runtime. */
typedef struct HttpServer {
    zyntax_io *listener;
    uint16_t port;
    zyntax_op op;
} HttpServer;

/* Starts it on a free port of 127.0.0.1. Returns 0 or an error. */
int32_t http_server_start(zyntax_runtime *runtime, HttpServer *server);

#endif
