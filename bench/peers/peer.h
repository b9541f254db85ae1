/* Shared by the C and C++ programs of this folder: the protocol in README.md, the answers of a server, clocks and
 * random numbers. A peer calls peer_main with its workloads and its server. Its other code uses only its library. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- parameters that all peers share ---- */

enum {
    BUFFER_SIZE = 4096,  /* of a server's connection */
    MESSAGE_SIZE = 64,   /* of socketpair */
    MESSAGE_BUFFER = 256 /* longer than a message, so a short read means an empty socket */
};

static const uint64_t MS = 1000000; /* in nanoseconds */

/* ---- ending the program after an error ---- */

__attribute__((noreturn, cold)) static inline void fail(const char *what) {
    fprintf(stderr, "failed: %s\n", what);
    exit(EXIT_FAILURE);
}

static inline void expect(bool holds, const char *what) {
    if (!holds) fail(what);
}

static inline void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    expect(memory != NULL, "allocate memory");
    return memory;
}

/* ---- clocks ---- */

static inline uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The CPU time of this thread, in user space and in the kernel. */
static inline uint64_t cpu_ns(void) { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }
static inline uint64_t wall_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* ---- memory ---- */

enum { FIRST_TASKS = 10000 }; /* of task_bytes: parked before it measures */

static inline double resident_bytes(void) {
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    expect(file != NULL && fscanf(file, "%ld %ld", &size, &resident) == 2, "read /proc/self/statm");
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* Calls the function in a child process, which has no memory of earlier runs, and returns its value. */
static inline double in_child(double (*measure)(uint64_t ops), uint64_t ops) {
    int ends[2], status = 0;
    double value = 0;
    expect(pipe(ends) == 0, "make a pipe");
    pid_t child = fork();
    expect(child >= 0, "fork");
    if (child == 0) {
        value = measure(ops);
        _exit(write(ends[1], &value, sizeof value) == sizeof value ? 0 : 1);
    }
    close(ends[1]);
    bool complete = read(ends[0], &value, sizeof value) == sizeof value;
    close(ends[0]);
    expect(waitpid(child, &status, 0) == child && status == 0 && complete, "measure in a child process");
    return value;
}

/* ---- random numbers: SplitMix64 (Steele, Lea, Flood 2014), with the same sequence in each run ---- */

static inline uint64_t random_next(uint64_t *seed) {
    uint64_t z = *seed += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static inline uint64_t random_between(uint64_t *seed, uint64_t least, uint64_t most) {
    return least + random_next(seed) % (most - least + 1);
}

static inline uint64_t *random_delays(size_t n, uint64_t least, uint64_t most) {
    uint64_t *delays = (uint64_t *)allocate(n, sizeof *delays);
    uint64_t seed = 1;
    for (size_t i = 0; i < n; i++) delays[i] = random_between(&seed, least, most);
    return delays;
}

/* The delays of the timers of timer_cancel and timer_fire, in nanoseconds. The caller frees the array. */
static inline uint64_t *far_delays(size_t n) { return random_delays(n, 1000 * MS, 60000 * MS); }
static inline uint64_t *near_delays(size_t n) { return random_delays(n, 1 * MS, 50 * MS); }

/* The numbers 0 to n - 1 in random order. The caller frees the array. */
static inline uint32_t *random_order(size_t n) {
    uint32_t *order = (uint32_t *)allocate(n, sizeof *order);
    uint64_t seed = 2;
    for (size_t i = 0; i < n; i++) { /* Fisher and Yates, from the inside out */
        size_t j = random_between(&seed, 0, i);
        order[i] = order[j];
        order[j] = (uint32_t)i;
    }
    return order;
}

/* ---- servers ---- */

#define HTTP_REQUEST "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define HTTP_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, world!"

enum {
    HTTP_REQUEST_SIZE = sizeof HTTP_REQUEST - 1,
    HTTP_ANSWER_SIZE = sizeof HTTP_ANSWER - 1,
    HTTP_ANSWERS_MAX = BUFFER_SIZE / 4, /* a request has at least the 4 bytes at its end */
};

/* The answers to the most requests that a read can return. So one write sends any number of answers without a copy. */
static inline const char *http_answers(void) {
    static char answers[HTTP_ANSWERS_MAX * HTTP_ANSWER_SIZE];
    if (answers[0] != '\0') return answers;
    for (int i = 0; i < HTTP_ANSWERS_MAX; i++) memcpy(answers + i * HTTP_ANSWER_SIZE, HTTP_ANSWER, HTTP_ANSWER_SIZE);
    return answers;
}

/* The number of requests that end in `bytes`. *matched: the bytes of "\r\n\r\n" that came last, 0 at first. */
static inline size_t http_requests(const char *bytes, size_t size, unsigned *matched) {
    static const char end[] = "\r\n\r\n";
    size_t requests = 0;
    for (size_t i = 0; i < size; i++) {
        *matched = bytes[i] == end[*matched] ? *matched + 1 : bytes[i] == '\r';
        if (*matched < 4) continue;
        *matched = 0;
        requests++;
    }
    return requests;
}

typedef struct Reply {
    const char *bytes;
    size_t size; /* 0: nothing to send yet */
} Reply;

/* The bytes that a connection sends for the received bytes: the same bytes, or an answer for each HTTP request. */
static inline Reply reply_to(const char *bytes, size_t size, bool http, unsigned *matched) {
    Reply echo = {bytes, size};
    if (!http) return echo;
    Reply answers = {http_answers(), http_requests(bytes, size, matched) * HTTP_ANSWER_SIZE};
    return answers;
}

static inline struct sockaddr_in loopback(uint16_t port) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static inline void set_nodelay(int fd) {
    int on = 1;
    expect(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "set TCP_NODELAY");
}

/* A listening socket, for libraries that take one. */
static inline int listen_on_loopback(void) {
    struct sockaddr_in address = loopback(0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    expect(fd >= 0, "make a socket");
    expect(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    expect(listen(fd, SOMAXCONN) == 0, "listen");
    return fd;
}

static inline void print_port(uint16_t port) {
    printf("PORT %u\n", (unsigned)port);
    fflush(stdout);
}

static inline void print_port_of(int fd) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    expect(getsockname(fd, (struct sockaddr *)&address, &size) == 0, "get the port");
    print_port(ntohs(address.sin_port));
}

static inline void allow_many_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static inline void exit_at_end_of_stdin(int signal_number) {
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    (void)signal_number;
    if (poll(&input, 1, 0) > 0 && (input.revents & POLLHUP) != 0) _exit(EXIT_SUCCESS);
}

/* The server ends at the end of stdin, which is a pipe. The kernel reports the end with a signal. Another thread or
 * descriptor in the server would change the measurement. */
static inline void end_with_stdin(void) {
    signal(SIGIO, exit_at_end_of_stdin);
    fcntl(STDIN_FILENO, F_SETOWN, getpid());
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_ASYNC);
    exit_at_end_of_stdin(SIGIO);
}

/* ---- main ---- */

typedef struct Workload {
    const char *name;
    double (*run)(uint64_t ops, size_t n); /* returns nanoseconds per operation */
    size_t n;                              /* the number of tasks, or the capacity */
} Workload;

/* The number of yields of each of the n tasks. */
static inline uint64_t divide_up(uint64_t ops, size_t n) { return (ops + n - 1) / n; }

static inline double per_op(uint64_t elapsed_ns, uint64_t ops) { return (double)elapsed_ns / (double)ops; }

static inline void run_workload(const char *name, uint64_t ops, const Workload *workloads, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, workloads[i].name) != 0) continue;
        printf("{\"value\": %.3f}\n", workloads[i].run(ops, workloads[i].n));
        return;
    }
    printf("{\"error\": \"unknown workload\"}\n");
}

static inline int serve_workloads(const Workload *workloads, size_t count) {
    char line[128], name[64];
    uint64_t ops;
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "%63s %" SCNu64, name, &ops) == 2 && ops > 0) run_workload(name, ops, workloads, count);
        else printf("{\"error\": \"not NAME OPS\"}\n");
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}

/* `serve` listens, prints its port and never returns. A program without workloads is only a server. */
static inline int peer_main(int argc, char **argv, const char *version, const Workload *workloads, size_t count,
                            void (*serve)(bool http)) {
    const char *what = argc == 2 ? argv[1] : "";
    if (strcmp(what, "--list") == 0) {
        for (size_t i = 0; i < count; i++) puts(workloads[i].name);
        return EXIT_SUCCESS;
    }
    if (strcmp(what, "--version") == 0) {
        puts(version);
        return EXIT_SUCCESS;
    }
    if (strcmp(what, "--serve") == 0) return serve_workloads(workloads, count);
    if (strcmp(what, "echo") != 0 && strcmp(what, "http") != 0) {
        fprintf(stderr, "usage: %s --list | --version | --serve | echo | http\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    allow_many_descriptors();
    end_with_stdin();
    serve(strcmp(what, "http") == 0);
    return EXIT_FAILURE;
}

#endif
