/* SPDX-License-Identifier: Apache-2.0
 *
 * The programs' direct calls of the system: two connected streams, pauses, threads. On POSIX systems the streams could
 * be pipes. On Windows a program can wait for sockets only, so the streams are sockets everywhere.
 */
#ifndef EXAMPLES_SYSTEM_H
#define EXAMPLES_SYSTEM_H

#include <stdint.h>
#include <string.h>

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winsock2.h>
#include <ws2tcpip.h>

typedef WSAPOLLFD system_pollfd;
typedef HANDLE system_thread;

/* poll(2). WSAPoll refuses to wait for nothing. */
static inline int system_wait(system_pollfd *fds, unsigned n, int timeout_ms) {
    if (n > 0) return WSAPoll(fds, n, timeout_ms);
    Sleep((DWORD)timeout_ms);
    return 0;
}
static inline void system_close(intptr_t fd) { closesocket((SOCKET)fd); }
static inline int64_t system_read(intptr_t fd, void *buf, int len) { return recv((SOCKET)fd, (char *)buf, len, 0); }
static inline int64_t system_write(intptr_t fd, const void *buf, int len) {
    return send((SOCKET)fd, (const char *)buf, len, 0);
}

/* Winsock has to be started by whoever calls it; the runtime does so for itself. */
static inline int system_start(void) {
    WSADATA data;
    return WSAStartup(MAKEWORD(2, 2), &data) == 0 ? 0 : -1;
}

/* The descriptor of standard input, for zyntax_file_from. */
static inline intptr_t system_stdin(void) { return (intptr_t)GetStdHandle(STD_INPUT_HANDLE); }

/* TCP over the loopback interface. Returns 0 or -1. */
static inline int system_stream_pair(intptr_t ends[2]) {
    struct sockaddr_in any;
    struct sockaddr *address = (struct sockaddr *)&any;
    int size = sizeof any, done;
    SOCKET listener, near_end, far_end = INVALID_SOCKET;
    if (system_start() != 0) return -1;
    memset(&any, 0, sizeof any);
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    near_end = socket(AF_INET, SOCK_STREAM, 0);
    done = bind(listener, address, size) == 0 && listen(listener, 1) == 0 &&
           getsockname(listener, address, &size) == 0 && connect(near_end, address, size) == 0;
    if (done) far_end = accept(listener, NULL, NULL);
    closesocket(listener);
    ends[0] = (intptr_t)near_end;
    ends[1] = (intptr_t)far_end;
    return far_end != INVALID_SOCKET ? 0 : -1;
}

static inline void system_pause_ms(int ms) { Sleep((DWORD)ms); }
static inline int system_thread_start(system_thread *thread, DWORD(WINAPI *run)(void *), void *arg) {
    *thread = CreateThread(NULL, 0, run, arg, 0, NULL);
    return *thread != NULL ? 0 : -1;
}
static inline void system_thread_join(system_thread thread) {
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}
static inline int system_cores(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return (int)info.dwNumberOfProcessors;
}

/* A thread's function: SYSTEM_THREAD(name, argument) { ...; return 0; } */
#define SYSTEM_THREAD(name, argument) static DWORD WINAPI name(void *argument)

#else

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct pollfd system_pollfd;
typedef pthread_t system_thread;

static inline int system_wait(system_pollfd *fds, unsigned n, int timeout_ms) { return poll(fds, n, timeout_ms); }
static inline void system_close(intptr_t fd) { close((int)fd); }
static inline int64_t system_read(intptr_t fd, void *buf, int len) { return read((int)fd, buf, (size_t)len); }
static inline int64_t system_write(intptr_t fd, const void *buf, int len) { return write((int)fd, buf, (size_t)len); }
static inline int system_start(void) { return 0; }
static inline intptr_t system_stdin(void) { return 0; }
static inline int system_stream_pair(intptr_t ends[2]) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return -1;
    ends[0] = fds[0];
    ends[1] = fds[1];
    return 0;
}

static inline void system_pause_ms(int ms) {
    const struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}
static inline int system_thread_start(system_thread *thread, void *(*run)(void *), void *arg) {
    return pthread_create(thread, NULL, run, arg) == 0 ? 0 : -1;
}
static inline void system_thread_join(system_thread thread) { pthread_join(thread, NULL); }
static inline int system_cores(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }

#define SYSTEM_THREAD(name, argument) static void *name(void *argument)

#endif

#endif /* EXAMPLES_SYSTEM_H */
