/* SPDX-License-Identifier: Apache-2.0
 *
 * The design's end-to-end example, as a code generator emits it:
 *
 *     async fn fetch_user(id: u64) -> User {
 *         let response = http_get(format("/users/{}", id)).await;
 *         parse_json(response).await
 *     }
 *
 * An async function becomes a state struct, a poll function and a drop function. The state holds the place to go on
 * (state_id), the captured values, the values that live across an await, and the state of the awaited async function.
 * As only one function is awaited at a time, these states share their memory in a union. The poll function jumps on
 * state_id into its straight-line code. Awaiting an async function calls its poll function with the same waker: no
 * task, no allocation.
 *
 * http_get (http.c) is a real request over TCP to a server in this process (http_server.c), on the same runtime.
 *
 *     fetch_user [id]
 *
 * Output:
 *     user 123: Ada Lovelace <ada@example.org>
 */
#include "http.h"
#include "trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct User {
    uint64_t id;
    char name[64];
    char email[64];
} User;

/* ---- async fn parse_json(response) -> User ---- */

typedef struct ParseJson {
    uint32_t state_id;
    const char *at; /* captured: the response, as far as it is not parsed */
    int64_t result; /* 0 or an error */
    User user;
} ParseJson;

/* Parses `"key":"string"` or `"key":number`. Returns where it ends, or NULL. */
static const char *parse_member(const char *at, User *user) {
    char key[16], value[64] = "";
    int length = 0;
    if (sscanf(at, " \"%15[^\"]\" : \"%63[^\"]\" %n", key, value, &length) < 2 || length == 0)
        if (sscanf(at, " \"%15[^\"]\" : %20[0-9] %n", key, value, &length) < 2 || length == 0) return NULL;
    if (strcmp(key, "id") == 0) user->id = strtoull(value, NULL, 10);
    if (strcmp(key, "name") == 0) memcpy(user->name, value, sizeof value);
    if (strcmp(key, "email") == 0) memcpy(user->email, value, sizeof value);
    return at + length;
}

/* Parses one member a poll, so that a long text does not hold up the loop. */
static PollStatus parse_json_poll(ParseJson *s, Waker *waker) {
    if (s->state_id == 1) goto next_member;
    s->result = ZYNTAX_EPROTO; /* until the end is found */
    if (*s->at != '{') return POLL_READY;
    s->state_id = 1;
next_member:
    s->at = parse_member(s->at + 1, &s->user);
    if (s->at == NULL) return POLL_READY;
    if (*s->at == ',') {
        waker->wake(waker->data); /* yields: first the tasks that are ready by now, then one more poll of this one */
        return POLL_PENDING;
    }
    if (*s->at == '}') s->result = 0;
    return POLL_READY;
}

/* ---- async fn fetch_user(id) -> User ---- */

typedef struct FetchUser {
    uint32_t state_id;
    uint64_t id;        /* captured */
    uint16_t port;      /* captured */
    char response[512]; /* lives across the second await */
    union {
        HttpGet http_get;
        ParseJson parse_json;
    } awaited;
    int64_t result; /* 0 or an error */
    User user;
} FetchUser;

static PollStatus fetch_user_poll(FutureState state, Waker *waker) {
    FetchUser *s = state;
    if (s->state_id == 1) goto await_http_get;
    if (s->state_id == 2) goto await_parse_json;
    s->awaited.http_get = (HttpGet){.port = s->port};
    snprintf(s->awaited.http_get.path, sizeof s->awaited.http_get.path, "/users/%" PRIu64, s->id);
    s->state_id = 1;
await_http_get:
    if (http_get_poll(&s->awaited.http_get, waker) == POLL_PENDING) return POLL_PENDING;
    s->result = s->awaited.http_get.result;
    if (s->result < 0) return POLL_READY;
    memcpy(s->response, s->awaited.http_get.body, sizeof s->response);
    s->awaited.parse_json = (ParseJson){.at = s->response};
    s->state_id = 2;
await_parse_json:
    if (parse_json_poll(&s->awaited.parse_json, waker) == POLL_PENDING) return POLL_PENDING;
    s->result = s->awaited.parse_json.result;
    s->user = s->awaited.parse_json.user;
    return POLL_READY;
}

/* A drop while it waits also drops the awaited function. */
static void fetch_user_drop(FutureState state, int32_t outcome) {
    FetchUser *s = state;
    if (outcome == ZYNTAX_ECANCELED && s->state_id == 1) http_get_drop(&s->awaited.http_get);
}

/* ---- let user = runtime.block_on(fetch_user(id)) ---- */

int main(int argc, char **argv) {
    FetchUser fetch = {.id = argc > 1 ? strtoull(argv[1], NULL, 10) : 123};
    HttpServer server;
    zyntax_runtime *runtime = zyntax_runtime_create();
    trace_start(runtime);
    int32_t error = runtime != NULL ? http_server_start(runtime, &server) : ZYNTAX_ENOMEM;
    if (error == 0) {
        fetch.port = server.port;
        zyntax_task *task = zyntax_runtime_spawn_with(runtime, &fetch, fetch_user_poll, fetch_user_drop, 0);
        error = task != NULL ? zyntax_runtime_block_on(runtime, task) : ZYNTAX_ENOMEM;
    }
    if (error == 0) error = (int32_t)fetch.result;
    if (error == 0) printf("user %" PRIu64 ": %s <%s>\n", fetch.user.id, fetch.user.name, fetch.user.email);
    else fprintf(stderr, "user %" PRIu64 ": %s\n", fetch.id, zyntax_strerror(error));
    zyntax_runtime_destroy(runtime); /* drops the server's tasks, which close their sockets */
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
