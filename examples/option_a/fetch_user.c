/* SPDX-License-Identifier: Apache-2.0
 *
 * The design document's fetch_user, in the document's shape, on its five functions:
 *
 *     async fn fetch_user(id: u64) -> User {
 *         let response = http_get(format("/users/{}", id)).await;
 *         parse_json(response).await
 *     }
 *
 * The five functions know nothing of sockets. http_get's exchange over TCP is therefore done by a thread, which wakes a
 * copy of the waker when the response is there. The server is a thread, too.
 */
#include "swap.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct User {
    uint64_t id;
    char name[64];
    char email[64];
} User;

/* ---- async fn http_get(path) -> response ---- */

typedef struct HttpGet {
    uint32_t state_id;
    uint16_t port; /* captured */
    char path[64]; /* captured */
    Waker waker;
    pthread_t thread;
    atomic_bool done;
    bool failed;
    char response[1024];
} HttpGet;

/* Reads until the peer closes. */
static void read_all(int fd, char *text, size_t size) {
    size_t used = 0;
    ssize_t got;
    while (used < size - 1 && (got = read(fd, text + used, size - 1 - used)) > 0) used += (size_t)got;
    text[used] = 0;
}

static void *exchange(void *argument) {
    HttpGet *s = argument;
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char request[128];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", s->path);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    s->failed = fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
                write(fd, request, (size_t)length) != length;
    if (!s->failed) read_all(fd, s->response, sizeof s->response);
    if (fd >= 0) close(fd);
    Waker waker = s->waker;
    atomic_store(&s->done, true); /* from here on the state may be gone */
    waker.wake(waker.data);
    return NULL;
}

static PollStatus http_get_poll(HttpGet *s, Waker *waker) {
    if (s->state_id == 1) goto await_exchange;
    s->waker = *waker;
    s->failed = pthread_create(&s->thread, NULL, exchange, s) != 0;
    if (s->failed) return POLL_READY;
    s->state_id = 1;
await_exchange:
    if (!atomic_load(&s->done)) return POLL_PENDING;
    pthread_join(s->thread, NULL);
    return POLL_READY;
}

/* ---- async fn parse_json(response) -> User ---- */

typedef struct ParseJson {
    uint32_t state_id;
    const char *at; /* captured: the response, as far as it is not parsed */
    bool failed;
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

/* One member a poll. */
static PollStatus parse_json_poll(ParseJson *s, Waker *waker) {
    if (s->state_id == 1) goto next_member;
    s->failed = true; /* until the end is found */
    s->at = strstr(s->at, "\r\n\r\n{");
    if (s->at == NULL) return POLL_READY;
    s->at += 4;
    s->state_id = 1;
next_member:
    s->at = parse_member(s->at + 1, &s->user);
    if (s->at == NULL) return POLL_READY;
    if (*s->at == ',') {
        waker->wake(waker->data);
        return POLL_PENDING;
    }
    s->failed = *s->at != '}';
    return POLL_READY;
}

/* ---- async fn fetch_user(id) -> User ---- */

typedef struct FetchUser {
    uint32_t state_id;
    uint16_t port; /* captured */
    uint64_t id;   /* captured */
    HttpGet http_get;
    ParseJson parse_json;
    bool failed;
    User user;
} FetchUser;

static PollStatus fetch_user_poll(FutureState state, Waker *waker) {
    FetchUser *s = state;
    if (s->state_id == 1) goto await_http_get;
    if (s->state_id == 2) goto await_parse_json;
    s->http_get.port = s->port;
    snprintf(s->http_get.path, sizeof s->http_get.path, "/users/%" PRIu64, s->id);
    s->state_id = 1;
await_http_get:
    if (http_get_poll(&s->http_get, waker) == POLL_PENDING) return POLL_PENDING;
    s->failed = s->http_get.failed;
    if (s->failed) return POLL_READY;
    s->parse_json.at = s->http_get.response;
    s->state_id = 2;
await_parse_json:
    if (parse_json_poll(&s->parse_json, waker) == POLL_PENDING) return POLL_PENDING;
    s->failed = s->parse_json.failed;
    s->user = s->parse_json.user;
    return POLL_READY;
}

/* ---- The server: answers two requests, one after the other ---- */

enum { REQUESTS = 2 };

static void serve_one(int fd) {
    char request[256] = "", answer[512];
    uint64_t id = 0;
    ssize_t got = read(fd, request, sizeof request - 1); /* so short a request comes in one piece */
    if (got <= 0 || sscanf(request, "GET /users/%" SCNu64, &id) != 1) return;
    const char *name = id == 123 ? "Ada Lovelace" : "Alan Turing", *mail = id == 123 ? "ada" : "alan";
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
                          "{\"id\":%" PRIu64 ",\"name\":\"%s\",\"email\":\"%s@example.org\"}",
                          id, name, mail);
    if (write(fd, answer, (size_t)length) != length) perror("server");
}

static void *serve(void *argument) {
    const int listener = *(const int *)argument;
    for (int i = 0; i < REQUESTS; i++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        serve_one(fd);
        close(fd);
    }
    return NULL;
}

/* A listener on a free port of 127.0.0.1, or -1. */
static int listen_somewhere(uint16_t *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    if (bind(fd, (const struct sockaddr *)&address, size) == 0 && listen(fd, REQUESTS) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0) {
        *port = ntohs(address.sin_port);
        return fd;
    }
    close(fd);
    return -1;
}

/* ---- let user = runtime.block_on(fetch_user(id)), for two at once ---- */

bool fetch_users(const Five *five) {
    pthread_t server;
    uint16_t port;
    bool passed = true;
    int listener = listen_somewhere(&port);
    if (listener < 0 || pthread_create(&server, NULL, serve, &listener) != 0) {
        perror("server");
        return false;
    }
    FetchUser fetches[REQUESTS] = {{.id = 123, .port = port}, {.id = 124, .port = port}};
    void *tasks[REQUESTS], *runtime = five->create();
    for (int i = 0; i < REQUESTS; i++) tasks[i] = five->spawn(runtime, &fetches[i], fetch_user_poll);
    for (int i = 0; i < REQUESTS; i++) {
        five->block_on(runtime, tasks[i]);
        const FetchUser *s = &fetches[i];
        bool good = !s->failed && s->user.id == s->id && s->user.name[0] != 0;
        printf("user %" PRIu64 ": %s <%s>%s\n", s->id, s->user.name, s->user.email, good ? "" : " FAILED");
        passed = passed && good;
    }
    five->destroy(runtime);
    pthread_join(server, NULL);
    close(listener);
    return passed;
}
