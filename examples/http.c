/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP/1.1 GET out of three async functions: http_get awaits connect, write_all and read_message. Awaiting an async
 * function is calling its poll function with the same waker; only the leaves call the runtime.
 */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* There is one await point only, so there is no state_id. */
PollStatus write_all_poll(WriteAll *s, Waker *waker) {
    int64_t written = 0;
    while (s->left > 0) {
        if (zyntax_io_write(s->io, &s->op, s->text, s->left, waker, &written) == POLL_PENDING) return POLL_PENDING;
        if (written < 0) break;
        s->text += written;
        s->left -= (size_t)written;
    }
    s->result = written < 0 ? written : 0;
    return POLL_READY;
}

static size_t content_length(const char *head) {
    for (const char *line = strstr(head, "\r\n"); line != NULL && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, "Content-Length:", 15) == 0) return strtoul(line + 17, NULL, 10);
    return 0;
}

/* The body, once all of the message is there; NULL before. */
static const char *find_body(const ReadMessage *s) {
    const char *blank = strstr(s->text, "\r\n\r\n");
    if (blank == NULL) return NULL;
    const char *body = blank + 4;
    size_t received = (size_t)(s->text + s->used - body);
    return received >= content_length(s->text) ? body : NULL;
}

PollStatus read_message_poll(ReadMessage *s, Waker *waker) {
    int64_t got;
    while ((s->body = find_body(s)) == NULL) {
        size_t room = sizeof s->text - 1 - s->used;
        if (room == 0) {
            s->result = ZYNTAX_EMSGSIZE;
            return POLL_READY;
        }
        if (zyntax_io_read(s->io, &s->op, s->text + s->used, room, waker, &got) == POLL_PENDING) return POLL_PENDING;
        if (got <= 0) { /* an error, or the stream ended within the message */
            s->result = got < 0 ? got : ZYNTAX_EPROTO;
            return POLL_READY;
        }
        s->used += (size_t)got;
        s->text[s->used] = 0;
    }
    s->result = 0;
    return POLL_READY;
}

/* Gives up the awaited operation, if any, and closes the connection. */
void http_get_drop(HttpGet *s) {
    if (s->state_id == 0) zyntax_op_cancel(&s->op);
    if (s->state_id == 1) zyntax_op_cancel(&s->awaited.write.op);
    if (s->state_id == 2) zyntax_op_cancel(&s->awaited.read.op);
    if (s->io != NULL) zyntax_io_close(s->io);
    s->io = NULL;
}

static PollStatus http_get_return(HttpGet *s, int64_t result) {
    http_get_drop(s);
    s->result = result;
    return POLL_READY;
}

PollStatus http_get_poll(HttpGet *s, Waker *waker) {
    int64_t result;
    int status;
    if (s->state_id == 1) goto await_write;
    if (s->state_id == 2) goto await_read;
    if (zyntax_tcp_connect(zyntax_current_runtime(), &s->op, "127.0.0.1", s->port, waker, &s->io, &result) ==
        POLL_PENDING)
        return POLL_PENDING;
    if (result < 0) return http_get_return(s, result);
    snprintf(s->request, sizeof s->request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", s->path);
    s->awaited.write = (WriteAll){.io = s->io, .text = s->request, .left = strlen(s->request)};
    s->state_id = 1;
await_write:
    if (write_all_poll(&s->awaited.write, waker) == POLL_PENDING) return POLL_PENDING;
    if (s->awaited.write.result < 0) return http_get_return(s, s->awaited.write.result);
    s->awaited.read = (ReadMessage){.io = s->io};
    s->state_id = 2;
await_read:
    if (read_message_poll(&s->awaited.read, waker) == POLL_PENDING) return POLL_PENDING;
    if (s->awaited.read.result < 0) return http_get_return(s, s->awaited.read.result);
    if (sscanf(s->awaited.read.text, "HTTP/1.1 %d", &status) != 1) return http_get_return(s, ZYNTAX_EPROTO);
    if (status != 200) return http_get_return(s, status == 404 ? ZYNTAX_ENOENT : ZYNTAX_EPROTO);
    if (strlen(s->awaited.read.body) >= sizeof s->body) return http_get_return(s, ZYNTAX_EMSGSIZE);
    strcpy(s->body, s->awaited.read.body);
    return http_get_return(s, 0);
}
