/* SPDX-License-Identifier: Apache-2.0
 *
 * Zyntax async runtime: a reactor and executor for compilers that turn `async fn` into poll functions.
 *
 * CONVENTIONS
 *
 *  1. Tasks. A task is a pair (state, poll). The runtime calls `poll(state, waker)` once after spawn and once after
 *     each wake, on the thread that drives the runtime. It may poll without cause. It never polls after POLL_READY,
 *     never twice at once, and never before spawn has returned.
 *  2. Wakers. A Waker is two plain words. The pointer that poll gets is borrowed for the call; a copy of the struct
 *     is valid for ever, in any thread, after the task has ended and after the runtime was destroyed: it then does
 *     nothing. Waking is idempotent, coalesces, never polls inline and takes no lock. A wake during the task's own
 *     poll causes exactly one more poll. A wake that happens after the last poll began is always followed by a poll.
 *  3. Handles (zyntax_task, zyntax_io, zyntax_channel, zyntax_op) are numbers that carry a generation, never memory
 *     to look into. A null, stale, foreign or random handle gives ZYNTAX_ESTALE, or the answer documented for
 *     "already ended"; it is never undefined behaviour.
 *  4. Await points. Every operation that can wait takes a `zyntax_op *op`, a word in the caller's state that is zero
 *     before the first call, and the Waker of the current poll.
 *       POLL_PENDING: the waker is stored, in place of an earlier one. Call again, same arguments, on the next poll.
 *       POLL_READY:   *result is set (>= 0: success, < 0: a ZYNTAX_E code) and *op is zero again.
 *     "Same arguments" are the values; *result and other out pointers may be other places on each call.
 *     One op word serves all await points of a function, as only one is active at a time: an op that is pending for
 *     something else is given up, and the call begins anew. A state that is dropped while an op is pending calls
 *     zyntax_op_cancel. If it forgets, nothing dangles: what the operation held (a connection that is being made, a
 *     job's memory, a place in a channel's queue) is given back before the loop next sleeps; a plain sleep keeps its
 *     record of 64 bytes until its deadline, and wakes nobody. An op that a live task forgot holds all of that until
 *     what it waits for has come, or the task has ended. Buffers are only touched inside the call; the kernel never
 *     holds a pointer to them.
 *     A null op, waker, result or out pointer is ZYNTAX_EINVAL (where there is a result to say so) and POLL_READY.
 *     One poll has a budget. After `await_budget` await points of one poll were ready at once (128 unless configured),
 *     the next call that would begin an operation wakes its waker and returns POLL_PENDING with nothing begun and *op
 *     zero: timers, I/O and other tasks get their turn. An operation that has begun may still end. Calls outside polls
 *     have no budget. Since 0.2.
 *     A host may call await points outside of any poll, and with a Waker of its own, whose `wake` may do everything a
 *     DropFn may. It is called once for each POLL_PENDING, on the thread that drives the runtime, by run, block_on,
 *     turn or destroy and from nowhere else; never once zyntax_op_cancel or a call with that op that was POLL_READY
 *     has returned. (Only when memory has run out altogether may a sleep or join_all call it at once.) A host that was
 *     woken for a channel has what it was woken for until it calls again or cancels, however long that takes.
 *  5. Threads. [any]: any thread, any time while the runtime lives; task handles and wakers also after that.
 *     [rt]: the thread that is driving the runtime (inside run, block_on or turn), or any one thread while none is.
 *     A debug build of the library aborts with a message when this is violated. Runtimes are independent of each
 *     other, and a thread may drive one from within a poll of another.
 *     Another thread's zyntax_runtime_stop, _post, _hold or _release may race with zyntax_runtime_destroy when it began
 *     before it, that is, when it is what the loop saw before it ended; destroy waits until such a call has returned.
 *     One that has not begun must not begin any more.
 *     From a signal handler only zyntax_wake_from_signal may be called.
 *     Fork: a child may do two things with a runtime of its parent, nothing, or destroy it, at any place but inside a
 *     poll or callback of that runtime. Destroy then gives its memory back and closes the child's copies of its
 *     descriptors; no task or job is dropped, no host woken, no thread waited for, and the parent notices nothing. The
 *     fork may come from any thread, at any moment of another thread that drives the runtime: the child may then lose
 *     a block of memory or keep a descriptor that the other thread was busy with. A runtime that was being created or
 *     destroyed is left alone. The child may create runtimes of its own.
 *  6. Errors are negative ZYNTAX_E codes with Linux's errno numbers on every platform. errno is left as it was.
 *  7. Time is monotonic, in nanoseconds. Arithmetic saturates: 2^64-1 is "never". Nothing fires early.
 *  8. Fairness. Ready tasks run first in, first out. I/O and timers are looked at after at most `poll_budget` polls.
 *  9. Memory. Once warm, nothing allocates. Everything is allocated through the runtime's allocator, but for what
 *     stale wakers, ops and handles may look at for ever: 64 bytes a task, 64 an operation, 24 an I/O handle or
 *     channel, 128 a runtime, 128 a promise of section 10. That is process-wide, recycled between runtimes in blocks of
 *     256 (runtimes one by one, promises 64), and never unmapped.
 *     When memory runs out a call returns ZYNTAX_ENOMEM (or NULL) and has changed nothing.
 *     Alive at once in a process, on 64-bit targets: 67 million tasks, 67 million operations, 16 million I/O handles
 *     and channels, 16 million promises, 65,535 runtimes; then ZYNTAX_ENOMEM. Under a limit of address space (ulimit
 *     -v), or of locked memory after mlockall(MCL_FUTURE) (ulimit -l), the addresses for all of them take an eighth of
 *     it at most, and there are as many as find room there. No number is ever used twice: a place that has served a
 *     billion tasks, operations, handles or promises is given up.
 * 10. No side effects on the host: no signal handler, no SIGPIPE, no global constructor, no thread before the first
 *     blocking call (zyntax_blocking lists the signals that those block), close-on-exec descriptors, no output but the
 *     message before an abort. No function unwinds; poll, drop and callback functions must not unwind into the
 *     library either.
 * 11. Only integers and pointers are passed, at most eight, so that a JIT can call everything. Every enum has 32 bits,
 *     also where a compiler would make it shorter (-fshort-enums): this header then does not compile.
 *
 * WHAT DIFFERS BY PLATFORM, and nothing else does
 *
 *  Descriptors      zyntax_io_open on Windows takes sockets only; anything else is ZYNTAX_EPERM. On macOS and NetBSD a
 *                   pipe or socket raises no SIGPIPE from then on. Whether /dev/null is pollable is the system's word.
 *  backend_fd       -1 with iocp, poll, and kqueue on Linux: turn with a timeout of your own instead.
 *  Ports            ZYNTAX_LISTEN_SHARED is ZYNTAX_ENOSYS on Windows and WASI. On macOS, NetBSD and OpenBSD it does not
 *                   spread the connections: one of the listeners gets them all. On Windows a port is also in use while
 *                   connections that its listener accepted live on. OpenBSD's NULL address is IPv6 only.
 *  Winsock          Is started for as long as a runtime lives: a host with sockets of its own starts it for itself. A
 *                   UDP socket given to zyntax_io_open no longer reports that a datagram reached nobody.
 *  Lateness         Of a timer, on an idle machine: up to the system's tick on Windows (1 to 16 ms); up to 1 ms before
 *                   Linux 5.11, and with poll outside Linux and FreeBSD. macOS stops the clock while it sleeps.
 *  Errors           One that has no near one here keeps Linux's number on Linux and, where it has one, on Windows;
 *                   elsewhere it is ZYNTAX_EIO. On Windows GetLastError and WSAGetLastError are left alone as errno is.
 *  Signals          Windows runs handlers on threads of their own. With kqueue on Linux zyntax_wake_from_signal is not
 *                   safe, as libkqueue locks.
 *  close-on-exec    On macOS a fork while a descriptor is being made inherits it: there is no way to do both at once.
 *  poll             The cost of a wait grows with the number of open handles. On Linux a drive ends with ZYNTAX_EINVAL,
 *                   and nothing is lost, while RLIMIT_NOFILE is not above that number.
 *  WASI             No threads: zyntax_blocking is ZYNTAX_EAGAIN. No new sockets: zyntax_tcp_listen, _listen_with,
 *                   _connect and _port are ZYNTAX_ENOSYS. A wait that nothing can end is ZYNTAX_EDEADLK also without
 *                   ZYNTAX_DETECT_STALL. At most 262,144 tasks and as many operations. Timeouts are rounded up to
 *                   milliseconds. A call through another type than the declared one traps: block_on and run return an
 *                   int32_t.
 *  32-bit targets   Handles are as wide as a pointer, ops stay 64 bits wide. A stale handle or waker is told from
 *                   newer ones for 2047 tasks, I/O handles and channels, or promises in the same place; one kept for
 *                   longer may name a newer one: a waker then polls that without cause, which is harmless. Still never
 *                   undefined behaviour. Alive at once in a process: about a million tasks, a million operations,
 *                   262,000 I/O handles and channels, as many promises, 1,023 runtimes, then ZYNTAX_ENOMEM. Each time
 *                   that a process loads the library anew, an eighth of its addresses is taken for good.
 *
 * Functions are marked with the version that brought them; the oldest is 0.1.
 */
#ifndef ZYNTAX_ASYNC_RUNTIME_H
#define ZYNTAX_ASYNC_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

/* Version of this header: major * 10000 + minor * 100 + patch. */
#define ZYNTAX_ASYNC_RUNTIME_VERSION 200

/* Linkage. Define ZYNTAX_SHARED when you link the shared library on Windows; ZYNTAX_API may be defined beforehand. */
#ifndef ZYNTAX_API
#if defined(_WIN32) && defined(ZYNTAX_BUILDING_SHARED)
#define ZYNTAX_API __declspec(dllexport)
#elif defined(_WIN32) && defined(ZYNTAX_SHARED)
#define ZYNTAX_API __declspec(dllimport)
#elif defined(__GNUC__)
#define ZYNTAX_API __attribute__((visibility("default")))
#else
#define ZYNTAX_API
#endif
#endif

/* What differs between the languages: C99 and later, C++98 and later. -fshort-enums would give some enums 8 bits. */
#if defined(__cplusplus) && (__cplusplus >= 201103L || (defined(_MSVC_LANG) && _MSVC_LANG >= 201103L))
#define ZYNTAX_NOEXCEPT noexcept
#define ZYNTAX_CHECK_ENUM(type) static_assert(sizeof(type) == 4, "enums have 32 bits: no -fshort-enums")
#else
#ifdef __cplusplus
#define ZYNTAX_NOEXCEPT throw()
#else
#define ZYNTAX_NOEXCEPT
#endif
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define ZYNTAX_CHECK_ENUM(type) _Static_assert(sizeof(type) == 4, "enums have 32 bits: no -fshort-enums")
#else
#define ZYNTAX_CHECK_ENUM(type) typedef char type##_enums_have_32_bits[sizeof(type) == 4 ? 1 : -1]
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------------------------
 * 1. The core: create, spawn, run
 * ---------------------------------------------------------------------------------------------------------------- */

/* What a poll function returns. Another value is a mistake: a debug build of the library names the task and aborts,
 * others take it for POLL_PENDING. */
typedef enum PollStatus {
    POLL_READY = 0,  /* the task has finished; its result, if any, is in its state */
    POLL_PENDING = 1 /* it waits; whoever has a copy of the waker will wake it */
} PollStatus;
ZYNTAX_CHECK_ENUM(PollStatus);

/* Wakes one task: `waker.wake(waker.data)`, [any] thread, any number of times, for ever. */
typedef struct Waker {
    void *data;
    void (*wake)(void *data);
} Waker;

/* The memory of one async call. The runtime passes it through and looks at nothing in it. May be NULL. */
typedef void *FutureState;

/* Advances the state machine. `waker` is borrowed for the call; copy the struct to keep it. */
typedef PollStatus (*PollFn)(FutureState state, Waker *waker);

/* One executor with its poller, timers and memory. A pointer; the other handles are not. */
typedef struct zyntax_runtime zyntax_runtime;

/* A task. A number behind a pointer type: never dereference it, copy it freely, it needs no release. */
typedef struct zyntax_task zyntax_task;

/* One await point's place in the caller's state. Zero-initialise it; only the runtime writes to it. */
typedef uint64_t zyntax_op;

/* Creates a runtime with the default configuration. [any]
 * Returns NULL when no memory or no descriptors are left. Costs two descriptors on Linux. Since 0.1. */
ZYNTAX_API zyntax_runtime *zyntax_runtime_create(void) ZYNTAX_NOEXCEPT;

/* Ends a runtime. [rt] Runs callbacks that were posted, drops every live task once with ZYNTAX_ECANCELED, closes
 * every I/O handle, waits for blocking jobs and name look-ups that are already running, and meanwhile runs what those
 * post; discards the others; calls the hosts' wakers whose operations ended with all that. When it returns no thread
 * runs code of this library any more. NULL is fine.
 * Wakers and handles stay safe to use. From inside one of its own polls, drops or callbacks: message and abort.
 * What posted callbacks spawn is dropped with the rest. From the first drop on, a spawn returns NULL after running its
 * own drop, and what would open a handle or a channel, connect, or begin a job is ZYNTAX_ECANCELED. Since 0.1. */
ZYNTAX_API void zyntax_runtime_destroy(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* Starts a task; it is polled first when the runtime is driven next. [rt]
 * The state stays the caller's and must live until the task has ended.
 * Returns NULL, with nothing changed, when memory is short or `runtime` or `poll` is NULL. Since 0.1. */
ZYNTAX_API zyntax_task *zyntax_runtime_spawn(zyntax_runtime *runtime, FutureState state, PollFn poll) ZYNTAX_NOEXCEPT;

/* Drives everything until `task` has ended; at once for a task that already has. [rt], and then drives
 * Returns 0, or:
 *   ZYNTAX_ECANCELED  zyntax_runtime_stop was called, be it in the round in which the task ended
 *   ZYNTAX_EBUSY      called from inside a poll, drop or callback of the same runtime; nothing happened
 *   ZYNTAX_EDEADLK    only with ZYNTAX_DETECT_STALL: the task can never end (see zyntax_runtime_config.flags)
 *   ZYNTAX_ESTALE     `task` is alive on another runtime
 *   ZYNTAX_EINVAL     `runtime` or `task` is NULL (before 0.2 a NULL task counted as ended)
 *   another error     of the kernel's wait, which should not happen; driving again goes on, and nothing is lost
 * The tasks stay alive in every case. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_block_on(zyntax_runtime *runtime, zyntax_task *task) ZYNTAX_NOEXCEPT;

/* Drives everything until no live task is left. [rt], and then drives
 * Returns as zyntax_runtime_block_on does. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_run(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 2. Errors
 * ---------------------------------------------------------------------------------------------------------------- */

/* X(name, code, text): the one list of errors. */
#define ZYNTAX_ERRORS(X)                                                               \
    X(EPERM, -1, "operation not possible on this kind of descriptor")                  \
    X(ENOENT, -2, "no such name or address")                                           \
    X(EIO, -5, "input/output error")                                                   \
    X(EBADF, -9, "bad descriptor")                                                     \
    X(EAGAIN, -11, "resource temporarily unavailable")                                 \
    X(ENOMEM, -12, "out of memory")                                                    \
    X(EACCES, -13, "permission denied")                                                \
    X(EFAULT, -14, "bad address")                                                      \
    X(EBUSY, -16, "called from inside a poll, drop or callback of the same runtime")   \
    X(EEXIST, -17, "descriptor is already registered")                                 \
    X(EINVAL, -22, "invalid argument, such as a null or a name instead of an address") \
    X(ENFILE, -23, "too many open descriptors in the system")                          \
    X(EMFILE, -24, "too many open descriptors in the process")                         \
    X(ENOSPC, -28, "limit of the kernel's event registrations reached")                \
    X(EPIPE, -32, "the other end is closed")                                           \
    X(EDEADLK, -35, "nothing can ever wake what is waited for")                        \
    X(ENOSYS, -38, "not available on this platform")                                   \
    X(EPROTO, -71, "protocol error")                                                   \
    X(EMSGSIZE, -90, "message too long")                                               \
    X(EOPNOTSUPP, -95, "operation not supported on this kind of descriptor")           \
    X(EAFNOSUPPORT, -97, "address family not supported")                               \
    X(EADDRINUSE, -98, "address already in use")                                       \
    X(EADDRNOTAVAIL, -99, "address not available")                                     \
    X(ENETDOWN, -100, "network is down")                                               \
    X(ENETUNREACH, -101, "network is unreachable")                                     \
    X(ECONNABORTED, -103, "connection aborted")                                        \
    X(ECONNRESET, -104, "connection reset by peer")                                    \
    X(ENOBUFS, -105, "no buffer space available")                                      \
    X(ENOTCONN, -107, "not connected")                                                 \
    X(ETIMEDOUT, -110, "timed out")                                                    \
    X(ECONNREFUSED, -111, "connection refused")                                        \
    X(EHOSTUNREACH, -113, "no route to host")                                          \
    X(ESTALE, -116, "handle is null, stale, foreign or was never valid")               \
    X(ECANCELED, -125, "canceled")

enum {
#define ZYNTAX_X(name, code, text) ZYNTAX_##name = (code),
    ZYNTAX_ERRORS(ZYNTAX_X)
#undef ZYNTAX_X
        ZYNTAX_OK = 0
};

/* Name of an error code, such as "ETIMEDOUT"; "OK" for 0 and more, "E?" for a code that is not in the list. [any]
 * A static string. A system error that has no name here reaches the caller as the nearest that has, or else as its
 * number on Linux and as ZYNTAX_EIO elsewhere. Since 0.1. */
ZYNTAX_API const char *zyntax_error_name(int64_t code) ZYNTAX_NOEXCEPT;

/* One line of English for an error code. [any] A static string, never NULL. Since 0.1. */
ZYNTAX_API const char *zyntax_strerror(int64_t code) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 3. Tasks and their memory
 * ---------------------------------------------------------------------------------------------------------------- */

/* Called exactly once when a task has ended, on the runtime's thread, never inside wake, cancel or the task's own
 * poll. `outcome` is 0 when poll returned POLL_READY, ZYNTAX_ECANCELED when the task was cancelled or its runtime
 * destroyed. May call every function of this API but zyntax_runtime_destroy, run, block_on and turn of its runtime. */
typedef void (*DropFn)(FutureState state, int32_t outcome);

/* As zyntax_runtime_spawn, with an end. [rt]
 * drop   NULL, or called once with the state at the end.
 * owned  0, or the size given to zyntax_state_alloc: the state goes back to the arena after drop.
 * An async closure is exactly this triple: state, poll, drop.
 * Returns NULL when memory is short or an argument is NULL that may not be: nothing changed, drop is not called.
 * Returns NULL in a drop that runs because the runtime is being destroyed: drop was called with ZYNTAX_ECANCELED and
 * an owned state was freed.
 * Since 0.1. */
ZYNTAX_API zyntax_task *zyntax_runtime_spawn_with(zyntax_runtime *runtime, FutureState state, PollFn poll, DropFn drop,
                                                  size_t owned) ZYNTAX_NOEXCEPT;

/* Asks a task to end. [any] Its poll is not called again and its drop runs on the runtime's thread within the next
 * turn. During the task's own poll that poll decides: POLL_READY is finished, POLL_PENDING is cancelled.
 * Returns 0, also for a task that was cancelled before and waits for its drop; or ZYNTAX_ESTALE when it has ended.
 * Since 0.1. */
ZYNTAX_API int32_t zyntax_task_cancel(zyntax_task *task) ZYNTAX_NOEXCEPT;

/* 1 until the task has ended, then 0; 0 for a handle that never was one. [any] Since 0.1. */
ZYNTAX_API int32_t zyntax_task_alive(zyntax_task *task) ZYNTAX_NOEXCEPT;

/* Waits until a task has ended. [rt] Any number of tasks may join one task; its drop has run before they are polled.
 * *result: 0 once it has ended, at once for a handle that is stale; ZYNTAX_EDEADLK for the task that is being polled;
 * ZYNTAX_ESTALE for a live task of another runtime; ZYNTAX_EINVAL for NULL; ZYNTAX_ENOMEM. Since 0.1. */
ZYNTAX_API PollStatus zyntax_task_join(zyntax_task *task, zyntax_op *op, Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* Memory for a state from the runtime's arena: zeroed, 16-byte aligned. [rt]
 * Sizes are rounded up to the next of 4 steps per power of two; blocks are reused, and go back to the allocator with
 * the runtime. Returns NULL for size 0 or when memory is short. Since 0.1. */
ZYNTAX_API void *zyntax_state_alloc(zyntax_runtime *runtime, size_t size) ZYNTAX_NOEXCEPT;

/* Gives a state back that no task owns. [rt] `size` is the size it was allocated with. NULL is fine. Since 0.1. */
ZYNTAX_API void zyntax_state_free(zyntax_runtime *runtime, void *state, size_t size) ZYNTAX_NOEXCEPT;

/* Gives up the operation behind *op and zeroes it. [rt] A NULL op, a zero op and one that has ended are fine.
 * Since 0.1. */
ZYNTAX_API void zyntax_op_cancel(zyntax_op *op) ZYNTAX_NOEXCEPT;

/* Waits until all of n tasks have ended. [rt] Handles that are stale, the polled task's own, those of other runtimes
 * and NULL count as ended. When memory is short it goes on by polling: the waker is woken at once. Since 0.1. */
ZYNTAX_API PollStatus zyntax_join_all(zyntax_task *const *tasks, size_t n, zyntax_op *op, Waker *waker) ZYNTAX_NOEXCEPT;

/* Waits until one of n tasks has ended. [rt]
 * *result: the lowest index of one that has ended (a stale handle has), ZYNTAX_EINVAL for n == 0 or a NULL among them,
 * ZYNTAX_EDEADLK when only the polled task itself is left to wait for, ZYNTAX_ENOMEM. The other tasks go on; cancel
 * them if they are not wanted. Tasks of other runtimes are never chosen. Since 0.1. */
ZYNTAX_API PollStatus zyntax_select(zyntax_task *const *tasks, size_t n, zyntax_op *op, Waker *waker,
                                    int64_t *result) ZYNTAX_NOEXCEPT;

/* zyntax_task_join with a deadline (zyntax_now_ns's clock). [rt] *result: 0, ZYNTAX_ETIMEDOUT, or as
 * zyntax_task_join. The task goes on after a timeout. Since 0.1. */
ZYNTAX_API PollStatus zyntax_join_until(zyntax_task *task, zyntax_op *op, uint64_t deadline_ns, Waker *waker,
                                        int64_t *result) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 4. Time
 * ---------------------------------------------------------------------------------------------------------------- */

/* The runtime's clock, monotonic, in nanoseconds; its origin is unspecified. [any] when the clock is the system's,
 * else as the configured clock allows. 0 for NULL. Since 0.1. */
ZYNTAX_API uint64_t zyntax_now_ns(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* Waits for a duration, counted from the first call. [rt] A duration of 0 is ready at once; one that reaches 2^64-1
 * never ends. While memory for the timer is short, the task is woken to try again, and the duration starts anew.
 * A made-up op reads as already ended: ready. Since 0.1. */
ZYNTAX_API PollStatus zyntax_sleep(zyntax_runtime *runtime, zyntax_op *op, uint64_t duration_ns,
                                   Waker *waker) ZYNTAX_NOEXCEPT;

/* Waits until the clock has reached a deadline. [rt] Otherwise as zyntax_sleep, but it does not look at the clock
 * itself: ready at once when the deadline is not after the last time that the runtime or zyntax_now_ns saw, else it
 * fires in the round that sees it. Since 0.1. */
ZYNTAX_API PollStatus zyntax_sleep_until(zyntax_runtime *runtime, zyntax_op *op, uint64_t deadline_ns,
                                         Waker *waker) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 5. I/O
 * ---------------------------------------------------------------------------------------------------------------- */

/* A registered descriptor. A number behind a pointer type, with a generation. */
typedef struct zyntax_io zyntax_io;

/* Directions of readiness; a bit set. */
enum { ZYNTAX_READABLE = 1, ZYNTAX_WRITABLE = 2 };

/* Takes over a socket, pipe, tty or eventfd (a SOCKET on Windows). [rt] It is made non-blocking and registered once,
 * for both directions. On success the runtime owns it until close or detach. A descriptor that was blocking is blocking
 * again once it is closed, detached or its runtime destroyed, as other processes may share its open file (a terminal,
 * the shell); a listener is not. Operations never wait in the kernel, whoever shares the open file and whatever they
 * set there. Attach a kernel protocol such as TLS to a TCP socket before registering it.
 * Returns 0, ZYNTAX_EPERM (not pollable: a directory or a regular file), ZYNTAX_EBADF, ZYNTAX_EEXIST (this descriptor
 * is registered already), ZYNTAX_ENOMEM, ZYNTAX_ENOSPC or ZYNTAX_EINVAL; on failure the descriptor stays the caller's
 * and is as it was. With epoll the kernel decides what is pollable: a POSIX message queue is, and so are the files of
 * /proc and /sys that tell of changes (zyntax_io_ready calls one ready that always has something to read, such as
 * /proc/self/mounts). Before 0.2, and with other pollers, these count as regular files. Since 0.1. */
ZYNTAX_API int32_t zyntax_io_open(zyntax_runtime *runtime, intptr_t fd, zyntax_io **out) ZYNTAX_NOEXCEPT;

/* Deregisters and closes. [rt] Every operation that waits on it ends with ZYNTAX_ECANCELED. A socket with SO_LINGER set
 * blocks the thread until what was written has gone out or the time is over, as close does. Returns 0 or
 * ZYNTAX_ESTALE. Never close the descriptor itself while it is registered. If that happens all the same, epoll and
 * kqueue tell, and the handle touches nothing that has the number since: its operations are ZYNTAX_EBADF once another
 * handle has the number, and close only ends the handle. Since 0.1. */
ZYNTAX_API int32_t zyntax_io_close(zyntax_io *io) ZYNTAX_NOEXCEPT;

/* Deregisters and gives the descriptor back: open, and blocking if it was that when it was given to zyntax_io_open
 * (sockets of this library, listeners, and every socket on Windows, stay non-blocking). [rt] Otherwise as close. A NULL
 * `fd` is ZYNTAX_EINVAL, with nothing changed. ZYNTAX_EBADF: somebody else has closed the descriptor; the handle has
 * ended and *fd is -1. Since 0.1. */
ZYNTAX_API int32_t zyntax_io_detach(zyntax_io *io, intptr_t *fd) ZYNTAX_NOEXCEPT;

/* The descriptor, or -1 for a stale handle. [rt] It stays the runtime's. Since 0.1. */
ZYNTAX_API intptr_t zyntax_io_fd(zyntax_io *io) ZYNTAX_NOEXCEPT;

/* Waits until one of the directions in `interest` is ready, and asks the kernel before it says so. [rt]
 * A descriptor that is neither a socket nor a pipe may answer that question once (a ring of perf events), and the wait
 * for events has asked it. For such a descriptor the waiter receives the set that the event reported, and an event that
 * came while no task waited is reported to the next caller; another task may have used the readiness since.
 * *result: the ready set (> 0; an error or a hang-up is every direction asked for), ZYNTAX_EINVAL for an interest
 * that is empty or unknown, ZYNTAX_ESTALE, ZYNTAX_ECANCELED (closed while waiting), ZYNTAX_EBADF (see zyntax_io_close),
 * ZYNTAX_ENOMEM. Since 0.1. */
ZYNTAX_API PollStatus zyntax_io_ready(zyntax_io *io, zyntax_op *op, uint32_t interest, Waker *waker,
                                      int64_t *result) ZYNTAX_NOEXCEPT;

/* Reads up to `len` bytes: tries first, waits when nothing is there. [rt]
 * *result: bytes read (> 0), 0 at the end of the stream, ZYNTAX_ECONNRESET and the like,
 * ZYNTAX_ESTALE, ZYNTAX_ECANCELED (closed while waiting), ZYNTAX_ENOMEM. Any number of tasks may wait on one
 * handle; who gets the bytes is then open. A `len` of 0 is 0 at once and takes nothing, no datagram either. An empty
 * datagram reads as 0, too; on Linux a pty's master ends with
 * ZYNTAX_EIO. A `buf` that is no memory is ZYNTAX_EFAULT; one that ends in such may be a short read, after which the
 * next read of a TCP socket may wait though bytes are there. Who takes TCP's urgent byte with calls of its own
 * (MSG_OOB) may lose the notice of bytes behind it: ask zyntax_io_ready then, which asks the kernel. Since 0.1. */
ZYNTAX_API PollStatus zyntax_io_read(zyntax_io *io, zyntax_op *op, void *buf, size_t len, Waker *waker,
                                     int64_t *result) ZYNTAX_NOEXCEPT;

/* Writes up to `len` bytes: tries first, waits when there is no room. [rt]
 * *result: bytes written, which may be fewer; ZYNTAX_EPIPE or ZYNTAX_ECONNRESET when the peer is gone, never a
 * signal; ZYNTAX_EFAULT; otherwise as zyntax_io_read. A `len` of 0 sends an empty message on a socket of messages
 * (datagrams, sequenced packets), which waits for room as any other; elsewhere it is 0 at once. Before 0.2 nothing was
 * sent. Since 0.1. */
ZYNTAX_API PollStatus zyntax_io_write(zyntax_io *io, zyntax_op *op, const void *buf, size_t len, Waker *waker,
                                      int64_t *result) ZYNTAX_NOEXCEPT;

/* Listens on a numeric IPv4 or IPv6 address, such as "127.0.0.1", "::1", "fe80::1%eth0" or "fe80::1%2"; port 0 takes a
 * free one. [rt] "::ffff:127.0.0.1" is the IPv4 address. A name such as "localhost" is not looked up. The port is this
 * listener's alone: a second one is ZYNTAX_EADDRINUSE. Ports of connections that have ended are free (SO_REUSEADDR, but
 * not on Windows). NULL address: every interface, IPv6 and IPv4.
 * Returns 0 or ZYNTAX_EINVAL (not a numeric address, an unknown interface, or a link-local address without one),
 * ZYNTAX_EADDRINUSE, ZYNTAX_EADDRNOTAVAIL, ZYNTAX_EACCES, ZYNTAX_EMFILE, ZYNTAX_ENOMEM … Before 0.2 ports were shared.
 * Since 0.1. */
ZYNTAX_API int32_t zyntax_tcp_listen(zyntax_runtime *runtime, const char *address, uint16_t port,
                                     zyntax_io **out) ZYNTAX_NOEXCEPT;

/* zyntax_tcp_listen_with's flags */
enum {
    /* Others may listen on the port as well if they, too, say so (SO_REUSEPORT, and the same user): one runtime a core
     * has a listener of its own. Linux and FreeBSD spread the connections among them. */
    ZYNTAX_LISTEN_SHARED = 1
};

/* zyntax_tcp_listen with flags. [rt] Returns also ZYNTAX_EINVAL for an unknown flag, and ZYNTAX_ENOSYS where the system
 * cannot share ports (Windows, WASI). Since 0.2. */
ZYNTAX_API int32_t zyntax_tcp_listen_with(zyntax_runtime *runtime, const char *address, uint16_t port, uint32_t flags,
                                          zyntax_io **out) ZYNTAX_NOEXCEPT;

/* The local port of a TCP socket, or ZYNTAX_ESTALE, ZYNTAX_EINVAL. [rt] Since 0.1. */
ZYNTAX_API int32_t zyntax_tcp_port(zyntax_io *io) ZYNTAX_NOEXCEPT;

/* Waits for a connection. [rt] Accepted TCP sockets have TCP_NODELAY set.
 * *result: 0 and *out, or ZYNTAX_ESTALE, ZYNTAX_ECANCELED (listener closed while waiting), ZYNTAX_EINVAL (not a
 * listener), ZYNTAX_ENOMEM, or what the system says of the listener, such as ZYNTAX_EPERM. A connection that died in
 * the queue is skipped. While descriptors, registrations or kernel memory are used up it stays pending and tries again
 * within 100 ms; a connection that was accepted but could not be registered is handed out later, and closed with the
 * listener. Since 0.1. */
ZYNTAX_API PollStatus zyntax_tcp_accept(zyntax_io *listener, zyntax_op *op, Waker *waker, zyntax_io **out,
                                        int64_t *result) ZYNTAX_NOEXCEPT;

/* Connects to a numeric address, as zyntax_tcp_listen takes them, or to a name, which is looked up on the blocking
 * pool; the addresses found are tried in their order, all of them. [rt] The socket has TCP_NODELAY set. `host` is
 * copied. Look-ups take half of the pool's threads at most (one thread at least); others wait. A cancelled connect
 * takes a look-up that waits out of the queue, but one that runs ends only when the system's resolver does, and destroy
 * waits for it.
 * *result: 0 and *out, or the error of the last address tried: ZYNTAX_ECONNREFUSED, ZYNTAX_ETIMEDOUT,
 * ZYNTAX_EHOSTUNREACH …, ZYNTAX_ENOENT (no such name), ZYNTAX_EAGAIN (the name service does not answer, or no thread
 * could be started), ZYNTAX_EMFILE, ZYNTAX_ENOMEM, ZYNTAX_EINVAL. A connect that the system answers with the
 * connecting socket itself, as Linux sometimes does for a free port, is ZYNTAX_ECONNREFUSED. There is no time limit but
 * the system's: join_until the task for one. Since 0.1. */
ZYNTAX_API PollStatus zyntax_tcp_connect(zyntax_runtime *runtime, zyntax_op *op, const char *host, uint16_t port,
                                         Waker *waker, zyntax_io **out, int64_t *result) ZYNTAX_NOEXCEPT;

/* Ends the sending direction: the peer reads the end of the stream; reading goes on. [rt]
 * Returns 0 or ZYNTAX_ESTALE, ZYNTAX_ENOTCONN, ZYNTAX_EOPNOTSUPP (not a socket). Since 0.1. */
ZYNTAX_API int32_t zyntax_tcp_shutdown(zyntax_io *io) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 6. Blocking work
 * ---------------------------------------------------------------------------------------------------------------- */

/* Runs fn in a thread of the runtime's pool. [rt]
 * `arg_size` bytes of `arg` are copied into the job; fn works on the copy (16-byte aligned), which is copied back into
 * the `arg` of the call that returns POLL_READY: cancelling never leaves a thread writing into freed memory. With
 * arg_size 0 the pointer itself is passed, and must stay valid until fn has returned.
 * *result: what fn returned, or ZYNTAX_EAGAIN (no thread could be started), ZYNTAX_ENOMEM, ZYNTAX_EINVAL,
 * ZYNTAX_ECANCELED (the runtime is being destroyed, or the op is not one of its jobs). fn has not run then. Cancelling
 * the op lets a job that has not begun not begin, and one that runs finish unheard. A job whose op was forgotten keeps
 * its memory until it has run and its task has ended, or the runtime. Threads start on demand, up to blocking_threads,
 * and end after 5 s without work. The stack of a thread is the system's default, and 2 MiB at least.
 * Signals: a thread blocks SIGPIPE, SIGUSR1, SIGUSR2, SIGIO, SIGURG, SIGWINCH and the real-time signals, and the
 * signals that were blocked in the runtime's thread when it started. A process that fn starts inherits this. No other
 * signal is blocked: SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGALRM, SIGCHLD and the like end, stop or reach that
 * process, and the host's handlers of these may run in a thread of the pool. A host that wants them in one thread
 * blocks them in the others, as always. SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP and SIGSYS are never blocked, so that
 * a host's handlers of faults (a JIT's null checks, a collector's barriers) work in fn as elsewhere. Before 0.2 faults
 * alone were not blocked. Since 0.1. */
ZYNTAX_API PollStatus zyntax_blocking(zyntax_runtime *runtime, zyntax_op *op, int64_t (*fn)(void *), void *arg,
                                      size_t arg_size, Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* As zyntax_blocking, for an argument that owns something. [rt]
 * `drop` is called once for each job that was begun, with the job's copy of the argument (with `arg` itself when
 * arg_size is 0). It is called after fn has returned and its result was taken, after fn has returned and nobody can
 * take the result any more (the op was cancelled, its task has ended, the runtime is being destroyed), or as soon as fn
 * can no longer begin. It must not use what fn or the taken result has given away.
 * The loop calls it, outside every poll, on the thread that drives the runtime or destroys it: never inside the call
 * that takes the result or cancels the op. zyntax_runtime_run, _block_on and _turn call it before they return. It may
 * call every function of this API. A call that gives ZYNTAX_EAGAIN, ZYNTAX_ENOMEM or ZYNTAX_EINVAL, or that finds the
 * runtime being destroyed, has begun nothing and calls no drop. In a forked child no drop is called. With `drop` NULL
 * this is zyntax_blocking. Since 0.2. */
ZYNTAX_API PollStatus zyntax_blocking_with(zyntax_runtime *runtime, zyntax_op *op, int64_t (*fn)(void *),
                                           void (*drop)(void *arg), void *arg, size_t arg_size, Waker *waker,
                                           int64_t *result) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 7. Channels and async iterators
 * ---------------------------------------------------------------------------------------------------------------- */

/* A bounded queue of items between tasks of one runtime, many senders to many receivers. A number with a generation. */
typedef struct zyntax_channel zyntax_channel;

/* An async iterator. *result: 1 = one item is in `item`, 0 = the end, < 0 = an error. zyntax_channel_recv with the
 * channel and op in the state is one. */
typedef PollStatus (*PollNextFn)(FutureState state, Waker *waker, void *item, int64_t *result);

/* Creates a channel for `capacity` items of `item_size` bytes; item_size 0 counts signals. [rt]
 * Returns 0, ZYNTAX_EINVAL (capacity 0, NULL), ZYNTAX_ENOMEM. Since 0.1. */
ZYNTAX_API int32_t zyntax_channel_create(zyntax_runtime *runtime, size_t capacity, size_t item_size,
                                         zyntax_channel **out) ZYNTAX_NOEXCEPT;

/* Sends a copy of *item; waits while the channel is full. First come, first served: who has waited longest is woken and
 * has the room until its next poll; if that does not call again, or the task ends, the next one has it. [rt]
 * *result: 0, ZYNTAX_EPIPE once the channel is closed, ZYNTAX_ESTALE, ZYNTAX_ECANCELED (destroyed while waiting),
 * ZYNTAX_EINVAL, ZYNTAX_ENOMEM. Since 0.1. */
ZYNTAX_API PollStatus zyntax_channel_send(zyntax_channel *channel, zyntax_op *op, const void *item, Waker *waker,
                                          int64_t *result) ZYNTAX_NOEXCEPT;

/* Receives into *item; waits while the channel is empty. [rt]
 * *result: 1 with an item, 0 when the channel is closed and empty; errors as zyntax_channel_send. Since 0.1. */
ZYNTAX_API PollStatus zyntax_channel_recv(zyntax_channel *channel, zyntax_op *op, void *item, Waker *waker,
                                          int64_t *result) ZYNTAX_NOEXCEPT;

/* Closes: nothing more can be sent, what is queued is still received. [rt] 0 or ZYNTAX_ESTALE; twice is fine.
 * Since 0.1. */
ZYNTAX_API int32_t zyntax_channel_close(zyntax_channel *channel) ZYNTAX_NOEXCEPT;

/* Destroys the channel and the items in it; whoever waits gets ZYNTAX_ECANCELED. [rt] 0 or ZYNTAX_ESTALE. The runtime
 * destroys what is left. Since 0.1. */
ZYNTAX_API int32_t zyntax_channel_destroy(zyntax_channel *channel) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 8. Configuration, host loops, other threads
 * ---------------------------------------------------------------------------------------------------------------- */

/* zyntax_runtime_config.flags */
enum {
    /* run, block_on and a turn without a limit return ZYNTAX_EDEADLK when live tasks are left but nothing is ready,
     * timed, waiting for I/O, in the blocking pool, posted or held. Without it they sleep, as a copy of a waker may be
     * anywhere. */
    ZYNTAX_DETECT_STALL = 1
};

/* Zero-initialise, set `size`, then what you want. A larger size than this library knows is accepted when the rest is
 * zero. */
typedef struct zyntax_runtime_config {
    size_t size;                                          /* sizeof(zyntax_runtime_config) */
    void *(*alloc)(void *ctx, size_t size, size_t align); /* NULL: the C library's. Both or none. Called on the */
    void (*free)(void *ctx, void *ptr, size_t size, size_t align); /* runtime's thread, and where a post is made */
    void *alloc_ctx;
    uint64_t (*clock_ns)(void *ctx); /* NULL: the system's monotonic clock. Must not go back; if it does, it stands */
    void *clock_ctx;
    uint32_t poll_budget;      /* polls between two looks at I/O and timers; 0: 256 */
    uint32_t spin_us;          /* look for work this long before sleeping in the kernel; 0: sleep at once */
    uint32_t blocking_threads; /* threads of the pool at most, half of them for name look-ups; 0: 16 */
    uint32_t flags;            /* ZYNTAX_DETECT_STALL */
    uint32_t await_budget;     /* see convention 4; 0: 128, UINT32_MAX: no limit. Since 0.2 */
} zyntax_runtime_config;

/* Creates a runtime. [any] `config` may be NULL and is copied. On failure NULL, with the reason in *error unless that
 * is NULL: ZYNTAX_ENOMEM, ZYNTAX_EMFILE, ZYNTAX_ENFILE, or ZYNTAX_EINVAL for a size (it ends inside a member), flag or
 * allocator pair that is not understood. *error is 0 on success. Since 0.1. */
ZYNTAX_API zyntax_runtime *zyntax_runtime_create_with(const zyntax_runtime_config *config,
                                                      int32_t *error) ZYNTAX_NOEXCEPT;

/* One round: looks at I/O, timers and other threads' wakes, waiting up to timeout_ns when no task is ready (0: not at
 * all, < 0: without limit), then polls ready tasks, at most poll_budget times. [rt], and then drives
 * Returns the number of live tasks (at most INT32_MAX), or ZYNTAX_ECANCELED, ZYNTAX_EBUSY, ZYNTAX_EINVAL,
 * ZYNTAX_EDEADLK (only for a timeout_ns < 0) or the kernel's error as zyntax_runtime_block_on does. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_turn(zyntax_runtime *runtime, int64_t timeout_ns) ZYNTAX_NOEXCEPT;

/* Makes the current run, block_on or turn, or the next if there is none, return ZYNTAX_ECANCELED soon. [any] Tasks stay
 * alive; driving again goes on. A promise whose last poll it was keeps its value, and the next call is stopped. Not
 * from a signal handler. Since 0.1. */
ZYNTAX_API void zyntax_runtime_stop(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* Runs fn(arg) once on the runtime's thread, outside any poll, in order of posting. [any] It may call everything a
 * DropFn may. Each post takes 32 bytes from the allocator. Returns 0, ZYNTAX_EINVAL, ZYNTAX_ENOMEM, or, from a drop or
 * callback while the runtime is being destroyed, ZYNTAX_ECANCELED: fn will not run. What is still posted when the
 * runtime is destroyed runs then, on that thread. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_post(zyntax_runtime *runtime, void (*fn)(void *), void *arg) ZYNTAX_NOEXCEPT;

/* Says that something outside will wake a task: stall detection counts it as work. [any] Since 0.1. */
ZYNTAX_API void zyntax_runtime_hold(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* Takes one zyntax_runtime_hold back. [any] Since 0.1. */
ZYNTAX_API void zyntax_runtime_release(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* A descriptor that a host's own poll or epoll can watch: readable when zyntax_runtime_turn(runtime, 0) has work, but
 * for timers, whose distance zyntax_runtime_next_timeout_ns tells. [rt] -1 where the backend has none. Do not read,
 * change or close it. Since 0.1. */
ZYNTAX_API intptr_t zyntax_runtime_backend_fd(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* Nanoseconds until zyntax_runtime_turn has work by itself: 0 now, -1 never (nothing is timed). [rt] It may be less
 * than the time to the next deadline where many timers are close together, never more. Since 0.1. */
ZYNTAX_API int64_t zyntax_runtime_next_timeout_ns(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* The runtime whose task the calling thread is polling, else NULL. [any] In a callback of a runtime that a poll of
 * another drives, that other one. Since 0.1. */
ZYNTAX_API zyntax_runtime *zyntax_current_runtime(void) ZYNTAX_NOEXCEPT;

/* Copies the waker of the task that the calling thread is polling. [any] 0, or ZYNTAX_EINVAL outside a poll or for
 * NULL. Since 0.1. */
ZYNTAX_API int32_t zyntax_current_waker(Waker *out) ZYNTAX_NOEXCEPT;

/* Wakes from a signal handler: async-signal-safe, errno untouched. [any] Takes wakers that this library made; others
 * and NULL are ignored. Since 0.1. */
ZYNTAX_API void zyntax_wake_from_signal(const Waker *waker) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 9. Zyntax promises
 * ---------------------------------------------------------------------------------------------------------------- */

/* What Zyntax's compiled async functions return. poll: 0 = pending, > 0 = value, < 0 = failure. That is the opposite
 * of PollStatus, hence the entry points of its own. */
typedef struct zyntax_promise {
    void *state;
    int64_t (*poll)(void *state);
} zyntax_promise;

/* Spawns a task that polls *promise (copied) until it is not 0 and then stores that in *result (unless NULL). [rt]
 * The poll function finds its waker with zyntax_current_waker. A poll that returned 0 is followed by another at once,
 * as compiled code returns 0 also for "advanced", unless an operation that stores the task's waker is pending then, in
 * this or another runtime; or it took the waker, and no operation that it called stored that or was ready: then it is
 * kept by the host. If the task is cancelled *result becomes ZYNTAX_ECANCELED. Returns NULL when memory is short or
 * `runtime`, `promise` or its poll is NULL; and during destroy, with *result set to ZYNTAX_ECANCELED. Since 0.1. */
ZYNTAX_API zyntax_task *zyntax_promise_spawn(zyntax_runtime *runtime, const zyntax_promise *promise,
                                             int64_t *result) ZYNTAX_NOEXCEPT;

/* Spawns a promise and drives the runtime until it has ended. [rt], and then drives
 * Returns its value, or ZYNTAX_ENOMEM, ZYNTAX_EINVAL, or what zyntax_runtime_block_on returned if it failed (the
 * promise is then cancelled). Since 0.1. */
ZYNTAX_API int64_t zyntax_promise_block_on(zyntax_runtime *runtime, const zyntax_promise *promise) ZYNTAX_NOEXCEPT;

/* What a host may do around a promise's polls. All of it is called on the runtime's thread; NULL: nothing. */
typedef struct zyntax_promise_hooks {
    size_t size;                              /* sizeof(zyntax_promise_hooks) */
    void (*enter)(void *ctx);                 /* before each poll */
    void (*leave)(void *ctx);                 /* after it */
    void (*drop)(void *ctx, int32_t outcome); /* once, at the end, as a DropFn: frees the promise's state */
    void *ctx;
    /* For each promise given to zyntax_promise_spawn_child, within the parent's poll. The child has its parent's hooks,
     * this one too, with the returned pointer as `ctx`, NULL or not. NULL: children have no hooks. */
    void *(*child)(void *ctx, const zyntax_promise *child);
} zyntax_promise_hooks;

/* As zyntax_promise_spawn, with hooks (copied; NULL: none). [rt] Hooks may end before `child`, which is then NULL.
 * Returns NULL also for hooks of another size, unless that is larger with nothing but zeros behind what this header
 * knows. When it returns NULL nothing was changed and no hook was called; but during destroy drop was, with
 * ZYNTAX_ECANCELED. Since 0.2. */
ZYNTAX_API zyntax_task *zyntax_promise_spawn_with(zyntax_runtime *runtime, const zyntax_promise *promise,
                                                  int64_t *result, const zyntax_promise_hooks *hooks) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 10. Promises that compiled code awaits
 *
 * Compiled code of Zyntax awaits by calling something that returns a zyntax_promise *, and polling that on every poll
 * of its own until it is not 0. It has no waker, no op and no runtime at hand. These functions are called from inside a
 * poll of a promise task (zyntax_promise_spawn, _spawn_with or _block_on), however deep, and what they return belongs
 * to that task: it is freed when it has given its value, or with the task. Its poll is called by that task only.
 *  - A value is never 0. Handles come as positive numbers: what the functions of sections 5 and 7 take, as an int64_t.
 *  - A late poll, of one that was freed, is ZYNTAX_ESTALE: through the pointer until 64 more have been freed and its
 *    place may be a new one's; with a copy of the two words for ever. So is a poll outside its task.
 *  - A poll of a promise from within its own poll (code under a limit polls that limit) is ZYNTAX_EDEADLK.
 *    None is freed during its own poll, whatever the code that it polls does.
 *  - They never return NULL. Where there is no promise to give they return one that fails: with ZYNTAX_EPERM outside a
 *    promise task, with ZYNTAX_ENOMEM, or with ZYNTAX_EINVAL for a NULL that may not be and a count that cannot be.
 *    Such a promise belongs to no task, is never freed, and fails again at each poll.
 *  - Buffers and items that are passed have to live until the value has come, but for those that are copied.
 *  - A task's poll that answered 0 is followed by another at once when one of these has given its value during it, or
 *    nothing that it polled is pending; so nobody's progress waits for something else.
 * ---------------------------------------------------------------------------------------------------------------- */

/* The end of a stream, as 0 cannot be a value. No error: zyntax_error_name does not know it. */
enum { ZYNTAX_EOF = -4095 };

/* 1 after a duration, which begins with this call. [rt] Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_sleep(uint64_t duration_ns) ZYNTAX_NOEXCEPT;

/* 1 when every other task that is ready has been polled. [rt] Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_yield(void) ZYNTAX_NOEXCEPT;

/* Reads up to `len` bytes. [rt] Bytes read, ZYNTAX_EOF (also for an empty datagram), ZYNTAX_EINVAL for a `len` of 0, or
 * as zyntax_io_read. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_read(zyntax_io *io, void *buf, size_t len) ZYNTAX_NOEXCEPT;

/* Writes all of `len` bytes. [rt] `len`, ZYNTAX_EINVAL for a `len` of 0 (a value is never 0: an empty message is sent
 * with zyntax_io_write), or as zyntax_io_write. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_write(zyntax_io *io, const void *buf, size_t len) ZYNTAX_NOEXCEPT;

/* The set that is ready, as zyntax_io_ready. [rt] Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_ready(zyntax_io *io, uint32_t interest) ZYNTAX_NOEXCEPT;

/* A connection: its zyntax_io * as a number, or an error as zyntax_tcp_accept. [rt] One that has come and that nobody
 * has asked for is closed with the task, or when a time limit ends the promise. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_accept(zyntax_io *listener) ZYNTAX_NOEXCEPT;

/* The same for zyntax_tcp_connect, which begins with this call. [rt] `host` is copied. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_connect(const char *host, uint16_t port) ZYNTAX_NOEXCEPT;

/* 1, or an error as zyntax_channel_send, which begins with this call. [rt] The item is copied. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_send(zyntax_channel *channel, const void *item) ZYNTAX_NOEXCEPT;

/* 1 with an item, ZYNTAX_EOF when the channel is closed and empty, or an error. [rt] Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_recv(zyntax_channel *channel, void *item) ZYNTAX_NOEXCEPT;

/* What fn(arg) returned on the blocking pool, 1 where that was 0, or an error as zyntax_blocking, which begins with
 * this call. [rt] With an arg_size the argument is copied, and the copy thrown away; else `arg` is passed through.
 * Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_blocking(int64_t (*fn)(void *), void *arg, size_t arg_size) ZYNTAX_NOEXCEPT;

/* The value of a promise of this section or a compiled one (the two words are copied), or ZYNTAX_ETIMEDOUT when the
 * duration is over, which begins with this call. [rt] When the duration is over, or this promise is cancelled, a
 * promise of this section under it is cancelled and freed, and a compiled one is not polled any more. So a child under
 * a limit is cancelled, as zyntax_promise_cancel does it. The task's end only frees both promises. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_timeout(zyntax_promise *promise, uint64_t duration_ns) ZYNTAX_NOEXCEPT;

/* 1 + the lowest index of one that is ready, of n promises of this section or compiled ones (their words are copied).
 * [rt] One of this section keeps its value, for whoever awaits it next; that of a compiled one is lost (make it a child
 * to keep it). The others go on. One that was freed is ready. ZYNTAX_EINVAL for n == 0 or a NULL among them.
 * Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_select(zyntax_promise *const *promises, size_t n) ZYNTAX_NOEXCEPT;

/* Spawns a promise (its two words are copied) as a task of its own and gives its value. [rt] The child ends early when
 * the promise that is returned is cancelled, or a limit over it ends. It goes on when the parent's task ends.
 * When the parent has a `child` hook, that is called, and the child has hooks. Its drop then comes once also when
 * memory is short: within this call, with ZYNTAX_ECANCELED. A promise of this section is no child, as it belongs to its
 * task and the host cannot free it: ZYNTAX_EINVAL, and no hook is called. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_spawn_child(const zyntax_promise *promise) ZYNTAX_NOEXCEPT;

/* Ends what a promise of this section waits for: its value is ZYNTAX_ECANCELED, unless it has come. [rt] Code under a
 * limit or in a select may cancel that: it is not polled again, and the value that it returns is lost. A child's task
 * is cancelled: the value comes with the task's end. Returns 0, or ZYNTAX_ESTALE for NULL, one that was freed, one that
 * a failed call returned, and a compiled one. Since 0.2. */
ZYNTAX_API int32_t zyntax_promise_cancel(zyntax_promise *promise) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 11. Seeing inside, versions, JITs
 * ---------------------------------------------------------------------------------------------------------------- */

/* Counters since creation, and gauges of now. Set `size` before the call. */
typedef struct zyntax_runtime_stats {
    size_t size;          /* in: sizeof(zyntax_runtime_stats); out: bytes that were filled */
    uint64_t tasks_alive; /* gauge */
    uint64_t tasks_spawned;
    uint64_t polls;
    uint64_t wakes;          /* of live tasks, those that coalesced included; from the runtime's thread */
    uint64_t wakes_remote;   /* that reached it from elsewhere: other threads, signal handlers, or while none drove */
    uint64_t kernel_waits;   /* calls of the kernel's wait, with and without a timeout */
    uint64_t kernel_events;  /* events of descriptors that those returned */
    uint64_t events_stale;   /* of these, for a descriptor that was no longer registered */
    uint64_t timers_pending; /* gauge */
    uint64_t timers_fired;
    uint64_t io_open;          /* gauge */
    uint64_t blocking_pending; /* gauge: jobs queued or running */
    uint64_t bytes_reserved;   /* gauge: taken from the allocator, and blocks of tasks, operations and handles held */
    uint64_t bytes_in_use;     /* gauge: of these, in live tasks, states, operations, handles and channels */
} zyntax_runtime_stats;

/* Fills *stats, whole members only. [rt] Returns 0, or ZYNTAX_EINVAL for NULL or a size smaller than the first two
 * members. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_get_stats(zyntax_runtime *runtime, zyntax_runtime_stats *stats) ZYNTAX_NOEXCEPT;

/* What a task is doing. */
typedef enum zyntax_wait {
    ZYNTAX_WAIT_UNKNOWN = 0, /* a copy of its waker is somewhere this library does not know */
    ZYNTAX_WAIT_RUNNING = 1,
    ZYNTAX_WAIT_QUEUED = 2,
    ZYNTAX_WAIT_TIMER = 3,
    ZYNTAX_WAIT_READABLE = 4,
    ZYNTAX_WAIT_WRITABLE = 5,
    ZYNTAX_WAIT_JOIN = 6,     /* join, join_all, join_until, select */
    ZYNTAX_WAIT_BLOCKING = 7, /* zyntax_blocking, or a name look-up */
    ZYNTAX_WAIT_CHANNEL = 8
} zyntax_wait;
ZYNTAX_CHECK_ENUM(zyntax_wait);

/* One live task, as zyntax_runtime_dump shows it. */
typedef struct zyntax_task_info {
    size_t size; /* of this struct in the library */
    zyntax_task *task;
    FutureState state;
    PollFn poll;
    uint64_t polls;    /* so far */
    zyntax_wait waits; /* the last thing that its last poll began to wait for, unless running or queued */
    /* Since 0.2: of the polls, those that were followed by another at once, as a promise answered 0 and had gone on, or
     * nothing that it polled was pending. Many of them and no end: somebody awaits a value of 0. */
    uint64_t polls_again;
} zyntax_task_info;

/* Calls visit for every live task. [rt] `visit` must not call this API but zyntax_error_name, zyntax_strerror and
 * zyntax_task_alive; *info is valid during the call. Returns the number of live tasks (at most INT32_MAX) or
 * ZYNTAX_EINVAL. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_dump(zyntax_runtime *runtime, void (*visit)(void *user, const zyntax_task_info *info),
                                       void *user) ZYNTAX_NOEXCEPT;

/* "epoll", "kqueue", "iocp", "poll": the poller that was built in. [any] Since 0.1. */
ZYNTAX_API const char *zyntax_runtime_backend(void) ZYNTAX_NOEXCEPT;

/* ZYNTAX_ASYNC_RUNTIME_VERSION of the library. [any] Since 0.1. */
ZYNTAX_API uint32_t zyntax_runtime_version(void) ZYNTAX_NOEXCEPT;

/* A function of this header, for a JIT's symbol table. */
typedef struct zyntax_symbol {
    const char *name;
    void *address;
} zyntax_symbol;

/* Every function of this header, sorted by name; *count unless NULL. [any] Static memory, ended by a NULL name. Taking
 * the table links the whole archive in. Since 0.1. */
ZYNTAX_API const zyntax_symbol *zyntax_runtime_symbols(size_t *count) ZYNTAX_NOEXCEPT;

/* A function of this header with its types, from which a code generator declares it. `types` has one letter for the
 * result and one for each parameter, in order:
 *   v  no value (as a result)      i  int32_t and every enum      q  uint64_t
 *   h  uint16_t                    u  uint32_t                    z  size_t and intptr_t, as wide as a pointer
 *                                  l  int64_t                     p  a pointer, to data or to a function
 * So zyntax_sleep, "ippqp", gives an int32_t and takes two pointers, a uint64_t and a pointer. */
typedef struct zyntax_signature {
    const char *name;
    void *address;
    const char *types;
} zyntax_signature;

/* As zyntax_runtime_symbols, with types. [any] Since 0.2. */
ZYNTAX_API const zyntax_signature *zyntax_runtime_signatures(size_t *count) ZYNTAX_NOEXCEPT;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ZYNTAX_ASYNC_RUNTIME_H */
