/* SPDX-License-Identifier: Apache-2.0
 *
 * Zyntax async runtime: a reactor and executor for compilers that turn `async fn` into poll functions.
 *
 * CONTENTS
 *
 *   Conventions                      6. Blocking work
 *   Platform differences             7. Channels and async iterators
 *   1. The core: create, spawn, run  8. Configuration, host loops, other threads
 *   2. Errors                        9. Zyntax promises
 *   3. Tasks and their memory       10. Promises that compiled code awaits
 *   4. Time                         11. Seeing inside, versions, JITs
 *   5. I/O                          12. Addresses, names, sockets
 *                                   13. Datagrams and Unix-domain sockets
 *                                   14. Signals, child processes, files
 *                                   15. Tasks that belong together
 *                                   16. Between threads
 *                                   17. Traces
 *
 * CONVENTIONS
 *
 *  1. Tasks. A task is a pair (state, poll). The runtime calls `poll(state, waker)` once after spawn and once after
 *     each wake, on the thread that drives the runtime. Polls may be spurious. A task is never polled after POLL_READY,
 *     never twice at once, and never before spawn has returned.
 *  2. Wakers. A Waker is two plain words, the same two at each poll of a task. The pointer that poll receives is
 *     borrowed for the call. A copy of the struct is valid for ever, in any thread; after the end of the task or the
 *     runtime it does nothing. Waking is idempotent, coalesces, never polls inline and takes no lock. A wake during the
 *     task's own poll causes exactly one more poll. A wake after the last poll began is always followed by a poll.
 *  3. Handles (zyntax_task, zyntax_io, zyntax_channel, zyntax_signal, zyntax_process, zyntax_file, zyntax_scope,
 *     zyntax_port, zyntax_op) are numbers with a generation, never memory to read. A null, stale, foreign or random
 *     handle gives ZYNTAX_ESTALE, or the answer documented for "already ended". It is never undefined behaviour.
 *  4. Await points. Every operation that can wait takes a `zyntax_op *op`, a word in the caller's state that is zero
 *     before the first call, and the Waker of the current poll.
 *       POLL_PENDING: the waker is stored and replaces an earlier one. On the next poll, repeat the call.
 *       POLL_READY:   *result is set (>= 0: success, < 0: a ZYNTAX_E code) and *op is zero again.
 *     The repeated call has the same argument values. The op word may be moved between polls, and *result and other out
 *     pointers may differ in each call. A null op, waker, result or out pointer is POLL_READY with ZYNTAX_EINVAL, where
 *     there is a result for it. Buffers are only accessed inside the call; the kernel never holds a pointer to them.
 *  5. Cancelled and forgotten operations. One op word serves all await points of a function, as only one await point is
 *     active at a time. If the op is pending for another operation, that operation is cancelled and the call begins
 *     anew. Before a state is dropped while an op is pending, call zyntax_op_cancel. If the call is forgotten, nothing
 *     dangles: the operation's resources (a connection being made, a job's memory, a place in a channel's queue) are
 *     released before the loop next sleeps. A plain sleep keeps its record of 64 bytes until its deadline and wakes
 *     nothing. An op that a live task has forgotten keeps these resources until it completes or the task ends.
 *     In the poll of a task that zyntax_task_interrupt has interrupted, any call with an op and any promise of this
 *     library may also end with ZYNTAX_EINTR. No other poll has this result. The functions' lists of errors omit it.
 *  6. Await budget. After `await_budget` await points of one poll were ready at once (128 unless configured), the next
 *     call that would begin an operation wakes its waker and returns POLL_PENDING with nothing begun and *op zero.
 *     Timers, I/O and other tasks then get their turn. An operation that has begun may still complete. Calls outside
 *     polls have no budget. Since 0.2.
 *  7. Wakers of the host. A host may call await points outside of any poll, with its own Waker. Its `wake` may call the
 *     same functions as a DropFn. It is called
 *       - once for each POLL_PENDING, on the thread that drives the runtime,
 *       - only inside run, block_on, turn and destroy (a sleep or join_all may call it at once when no memory is left),
 *       - never after zyntax_op_cancel, or a POLL_READY call with that op, has returned.
 *     An item or place of a channel stays reserved for a host that was woken, until the host calls again or cancels.
 *  8. Threads. Each function has one of three tags:
 *       [any]     Any thread, any time while the runtime lives; task handles and wakers also after that.
 *       [rt]      The thread that drives the runtime (inside run, block_on or turn), or any one thread while none does.
 *       [drives]  As [rt], and the call drives the runtime until it returns.
 *     A debug build of the library aborts with a message on a violation. Runtimes are independent of each other. A poll
 *     of one runtime may drive another runtime.
 *     Another thread's call of zyntax_runtime_stop, _post, _hold or _release may overlap zyntax_runtime_destroy if it
 *     started first; destroy waits for it. No such call may start once destroy has started.
 *     A signal handler may call only zyntax_wake_from_signal.
 *     Fork: a child has two choices for a runtime of its parent: leave it alone, or destroy it outside of that
 *     runtime's polls and callbacks. Destroy then frees its memory and closes the child's copies of its descriptors. It
 *     drops no task or job, wakes no host, waits for no thread, and does not affect the parent. Any thread may fork,
 *     even while another thread drives the runtime. The child may then lose a block of memory, or keep a descriptor,
 *     that the other thread was using. A runtime that was being created or destroyed is left alone. The child may
 *     create its own runtimes.
 *  9. Errors are negative ZYNTAX_E codes with Linux's errno numbers on every platform. errno is preserved.
 * 10. Time is monotonic, in nanoseconds. Arithmetic saturates: 2^64-1 is "never". Nothing fires early.
 * 11. Fairness. Ready tasks run first in, first out. I/O and timers are checked after at most `poll_budget` polls.
 * 12. Memory. Once warm, nothing allocates. All memory comes from the runtime's allocator, except for records that
 *     stale wakers, ops and handles may read for ever: 64 bytes a task, 64 an operation, 24 a handle of I/O, a channel,
 *     a signal, a process or a file, 128 a runtime, a port or a promise of section 10, 192 a scope. These are
 *     process-wide, recycled between runtimes in blocks of 256 (promises 64, scopes 16, runtimes and ports one by one),
 *     and never unmapped. The items of a port are the C library's, too.
 *     When memory runs out a call returns ZYNTAX_ENOMEM (or NULL) and has changed nothing.
 *     Limits of a process on 64-bit targets: 67 million tasks, 67 million operations, 16 million handles of these
 *     kinds, 16 million promises, 4 million scopes, a million ports, 65,535 runtimes alive at once; then ZYNTAX_ENOMEM.
 *     Under a limit of address space (ulimit -v), or of locked memory after mlockall(MCL_FUTURE) (ulimit -l), the
 *     addresses for all of them take at most an eighth of that limit, and fewer of them may be alive. No number is ever
 *     used twice: a place that has served a billion objects is retired.
 * 13. No side effects on the host: no signal handler (except for zyntax_signal_open), no SIGPIPE, no global
 *     constructor, no thread before the first blocking call (zyntax_blocking lists its blocked signals), close-on-exec
 *     descriptors, no output except the message before an abort. No function unwinds; poll, drop and callback
 *     functions must not unwind into the library.
 * 14. Every function takes at most eight integers and pointers, so that a JIT can call it. Every enum has 32 bits. With
 *     -fshort-enums this header does not compile.
 *
 * PLATFORM DIFFERENCES (all of them)
 *
 *  Descriptors      On Windows zyntax_io_open accepts sockets only. Another handle is ZYNTAX_EPERM. A number that is no
 *                  handle (a descriptor of the C library) is ZYNTAX_EBADF. On macOS and NetBSD a pipe or socket raises
 *                  no SIGPIPE afterwards. The system decides whether /dev/null is pollable.
 *  backend_fd       -1 with iocp, poll, and kqueue on Linux: call turn with a timeout instead.
 *  Addresses        On Windows and WASI a scope in the text of an address is a number: a name is an unknown interface.
 *  Ports            ZYNTAX_LISTEN_SHARED is ZYNTAX_ENOSYS on Windows and WASI. On macOS, NetBSD and OpenBSD the
 *                  connections are not spread: a single listener gets them all. On Windows a port is also in use while
 *                  connections that its listener accepted are alive. OpenBSD's NULL address is IPv6 only.
 *  Datagrams        The length of a datagram that was cut off, ZYNTAX_ECONNREFUSED: see zyntax_udp_recv and _connect.
 *                  On macOS and the BSDs a socket with a peer refuses another destination (ZYNTAX_EINVAL). Only Linux
 *                  and Windows join IPv4 groups on a socket that has IPv6 and IPv4. OpenBSD has no such sockets: NULL
 *                  is IPv6 only there. WASI has no datagrams: ZYNTAX_ENOSYS.
 *  Winsock          Winsock is started only while a runtime lives. A host with its own sockets must call WSAStartup. A
 *                  UDP socket of zyntax_udp_open or zyntax_io_open does not report that a datagram had no receiver.
 *  Options          ZYNTAX_KEEP_ALIVE on OpenBSD keeps the system's time. ZYNTAX_MULTICAST_LOOP is the receiver's
 *                  option on Windows, elsewhere the sender's.
 *  Lateness         A timer on an idle machine is late by up to the system's tick on Windows (1 to 16 ms), and by up to
 *                  1 ms before Linux 5.11 and with poll outside Linux and FreeBSD. macOS stops the clock while it
 *                  sleeps.
 *  Errors           An error without a close match in this header keeps Linux's number on Linux, and on Windows if it
 *                  has such a number; elsewhere it is ZYNTAX_EIO. On Windows GetLastError and WSAGetLastError are
 *                  preserved, too.
 *  Signals          Windows runs handlers on separate threads. zyntax_signal_open has three numbers there: 2 (Ctrl-C),
 *                  15 (Ctrl-Break) and 1 (the console closes). After signal 1 the system ends the process within about
 *                  five seconds. The library's handler waits until then, so that the program can end by itself. A
 *                  process that ignores Ctrl-C gets no signal 2; the first process of a new group ignores it. On WASI
 *                  zyntax_signal_open is ZYNTAX_ENOSYS. With kqueue on Linux neither zyntax_wake_from_signal nor
 *                  zyntax_signal_open is safe, as libkqueue locks.
 *  Unix sockets     On macOS and the BSDs a listener whose queue is full is ZYNTAX_ECONNREFUSED: zyntax_unix_connect
 *                  does not wait there. Windows has such sockets since Windows 10 (else ZYNTAX_EAFNOSUPPORT), but
 *                  zyntax_unix_pair, _send_fd and _recv_fd are ZYNTAX_ENOSYS there. On WASI all of them are.
 *  close-on-exec    macOS cannot create a close-on-exec descriptor in one call. A concurrent fork may inherit the
 *                  descriptor.
 *  poll             The cost of a wait grows with the number of open handles. On Linux a drive ends with ZYNTAX_EINVAL
 *                  while RLIMIT_NOFILE is not above that number. Nothing is lost.
 *  Processes        ZYNTAX_ENOSYS on WASI. The end of a process is an event: of a pidfd on Linux, of the kqueue for
 *                  children that were spawned, of a wait on the handle on Windows. Without these (Linux before 5.3, a
 *                  sandbox, no free descriptor, kqueue on Linux, poll elsewhere, zyntax_process_watch with kqueue) the
 *                  runtime looks for the end at least every 32 ms of its own clock. Without a pidfd the host must not
 *                  reap a child while it is signalled. Outside Linux, if another thread forks at that moment,
 *                  zyntax_process_spawn waits until that child ends or calls exec.
 *                  Windows: a file without a slash is found as by SearchPath, ".exe" may be left out, batch files are
 *                  ZYNTAX_ENOEXEC. Descriptors are handles. The child's end of a pipe is a socket that works as a file.
 *                  Words are quoted for CommandLineToArgvW. The signals 9 and 15 end the process, or its group, and 0
 *                  only checks; other signals are ZYNTAX_ENOSYS. An exit status has 32 bits. Every process that the
 *                  host may open can be watched; other processes are ZYNTAX_ECHILD.
 *  Files            Windows: below. WASI: see WASI. On macOS and the BSDs a write may raise SIGXFSZ if another process
 *                  moves the end of the file to the limit of file size (RLIMIT_FSIZE) at the same moment.
 *                  Windows: pipes and consoles that are not sockets are read and written by pool threads; a read that
 *                  was cancelled keeps its bytes for the next read at that handle; destroy waits up to 50 ms for a read
 *                  that waits, and until Enter once a line was begun at the console. A file open elsewhere without
 *                  sharing is ZYNTAX_EBUSY, a missing folder in a path is ZYNTAX_ENOENT even if a file has its name,
 *                  and zyntax_file_sync without WRITE is ZYNTAX_EACCES. Handles for overlapped use need offsets.
 *  WASI             No threads: zyntax_blocking is ZYNTAX_EAGAIN, and zyntax_file_open and _from are ZYNTAX_ENOSYS. No
 *                  new sockets: zyntax_tcp_listen, _listen_with, _connect, _connect_to and _port, zyntax_resolve and
 *                  zyntax_io_local, _peer and _set are ZYNTAX_ENOSYS. A wait that nothing can end is ZYNTAX_EDEADLK
 *                  also without ZYNTAX_DETECT_STALL. At most 262,144 tasks and as many operations. Timeouts are rounded
 *                  up to milliseconds. A call through another type than the declared one traps: block_on and run return
 *                  an int32_t.
 *  32-bit targets   Handles are as wide as a pointer, ops stay 64 bits wide. A stale handle or waker differs from newer
 *                  ones for 2047 tasks, I/O handles and channels, or promises in the same place. After that it may name
 *                  a newer one: a waker then causes a spurious poll, which is harmless. It is still never undefined
 *                  behaviour. Limits of a process: about a million tasks, a million operations, 262,000 handles of I/O
 *                  and the like, as many promises, 65,000 scopes, 16,000 ports, 1,023 runtimes alive at once; then
 *                  ZYNTAX_ENOMEM. Each time that a process loads the library anew, an eighth of its addresses is lost
 *                  for good.
 *
 * Each function's "Since" is the version that introduced it; the oldest is 0.1.
 */
#ifndef ZYNTAX_ASYNC_RUNTIME_H
#define ZYNTAX_ASYNC_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

/* Version of this header: major * 10000 + minor * 100 + patch. */
#define ZYNTAX_ASYNC_RUNTIME_VERSION 300

/* Linkage. Define ZYNTAX_SHARED to link the shared library on Windows. ZYNTAX_API may be defined beforehand. */
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

/* Language differences: C99 and later, C++98 and later. -fshort-enums would give some enums 8 bits. */
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

/* The result of a poll function. Another value is a mistake: a debug build of the library names the task and aborts,
 * other builds treat it as POLL_PENDING. */
typedef enum PollStatus {
    POLL_READY = 0,  /* the task has finished; its result, if any, is in its state */
    POLL_PENDING = 1 /* it waits; a holder of a copy of the waker will wake it */
} PollStatus;
ZYNTAX_CHECK_ENUM(PollStatus);

/* Wakes one task: `waker.wake(waker.data)`, [any] thread, any number of times, for ever. */
typedef struct Waker {
    void *data;
    void (*wake)(void *data);
} Waker;

/* The memory of one async call. The runtime passes it through and never reads it. May be NULL. */
typedef void *FutureState;

/* Advances the state machine. `waker` is borrowed for the call; copy the struct to keep it. */
typedef PollStatus (*PollFn)(FutureState state, Waker *waker);

/* One executor with its poller, timers and memory. A pointer; the other handles are numbers. */
typedef struct zyntax_runtime zyntax_runtime;

/* A task. A number behind a pointer type: never dereference it, copy it freely; it needs no release. */
typedef struct zyntax_task zyntax_task;

/* The place of one await point in the caller's state. Zero-initialise it; only the runtime writes to it. */
typedef uint64_t zyntax_op;

/* Creates a runtime with the default configuration. [any]
 * Returns NULL when no memory or no descriptors are left. Uses two descriptors on Linux. Since 0.1. */
ZYNTAX_API zyntax_runtime *zyntax_runtime_create(void) ZYNTAX_NOEXCEPT;

/* Ends a runtime. [rt] NULL is fine. Destroy
 *  - runs posted callbacks, drops every live task once with ZYNTAX_ECANCELED (also tasks that these callbacks spawn),
 *  - closes every I/O handle,
 *  - waits for running blocking jobs and name look-ups, runs callbacks that these post, and discards other jobs,
 *  - calls the hosts' wakers whose operations ended by this.
 * When it returns no thread runs code of this library. Wakers and handles stay safe to use. From inside a poll, drop or
 * callback of the same runtime: message and abort.
 * From the first drop on, a spawn runs its own drop and returns NULL, and a call that would open a handle or a channel,
 * connect, or begin a job is ZYNTAX_ECANCELED. Since 0.1. */
ZYNTAX_API void zyntax_runtime_destroy(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* Starts a task. It is polled while the runtime is driven, never inside this call. [rt]
 * The state remains the caller's and must live until the task has ended.
 * Returns NULL, with nothing changed, when memory is short or `runtime` or `poll` is NULL. Since 0.1. */
ZYNTAX_API zyntax_task *zyntax_runtime_spawn(zyntax_runtime *runtime, FutureState state, PollFn poll) ZYNTAX_NOEXCEPT;

/* Drives the runtime until `task` has ended; returns at once if it has ended already. [drives] Returns 0, or:
 *   ZYNTAX_ECANCELED  zyntax_runtime_stop was called, even if the task ended in that round
 *   ZYNTAX_EBUSY      called inside a poll, drop or callback of the same runtime; nothing happened
 *   ZYNTAX_EDEADLK    only with ZYNTAX_DETECT_STALL: the task can never end (see zyntax_runtime_config.flags)
 *   ZYNTAX_ESTALE     `task` is alive on another runtime
 *   ZYNTAX_EINVAL     `runtime` or `task` is NULL (before 0.2 a NULL task counted as ended)
 *   another error     of the kernel's wait, which should not happen; nothing is lost, and driving again continues
 * The tasks stay alive in every case. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_block_on(zyntax_runtime *runtime, zyntax_task *task) ZYNTAX_NOEXCEPT;

/* Drives the runtime until no live task is left. [drives] Returns as zyntax_runtime_block_on. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_run(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 2. Errors
 * ---------------------------------------------------------------------------------------------------------------- */

/* X(name, code, text): the list of all errors. */
#define ZYNTAX_ERRORS(X)                                                                 \
    X(EPERM, -1, "operation not permitted")                                              \
    X(ENOENT, -2, "no such file, name or address")                                       \
    X(ESRCH, -3, "no such process")                                                      \
    X(EINTR, -4, "interrupted")                                                          \
    X(EIO, -5, "input/output error")                                                     \
    X(E2BIG, -7, "arguments or environment too long")                                    \
    X(ENOEXEC, -8, "not a program that the system can run")                              \
    X(EBADF, -9, "bad descriptor")                                                       \
    X(ECHILD, -10, "not a child process, or already waited for")                         \
    X(EAGAIN, -11, "resource temporarily unavailable")                                   \
    X(ENOMEM, -12, "out of memory")                                                      \
    X(EACCES, -13, "permission denied")                                                  \
    X(EFAULT, -14, "bad address")                                                        \
    X(EBUSY, -16, "busy, or called inside a poll, drop or callback of the same runtime") \
    X(EEXIST, -17, "already exists, or already registered")                              \
    X(ENOTDIR, -20, "not a directory")                                                   \
    X(EISDIR, -21, "is a directory")                                                     \
    X(EINVAL, -22, "invalid argument, such as NULL or a name instead of an address")     \
    X(ENFILE, -23, "too many open descriptors in the system")                            \
    X(EMFILE, -24, "too many open descriptors in the process")                           \
    X(EFBIG, -27, "file too large")                                                      \
    X(ENOSPC, -28, "no space left, or a limit of the kernel's is reached")               \
    X(ESPIPE, -29, "no position in a pipe, terminal or socket")                          \
    X(EROFS, -30, "read-only file system")                                               \
    X(EPIPE, -32, "the other end is closed")                                             \
    X(EDEADLK, -35, "deadlock: nothing can end this wait")                               \
    X(ENAMETOOLONG, -36, "name too long")                                                \
    X(ENOSYS, -38, "not available on this platform")                                     \
    X(ELOOP, -40, "too many symbolic links")                                             \
    X(EPROTO, -71, "protocol error")                                                     \
    X(EMSGSIZE, -90, "message too long")                                                 \
    X(EOPNOTSUPP, -95, "operation not supported on this kind of descriptor")             \
    X(EAFNOSUPPORT, -97, "address family not supported")                                 \
    X(EADDRINUSE, -98, "address already in use")                                         \
    X(EADDRNOTAVAIL, -99, "address not available")                                       \
    X(ENETDOWN, -100, "network is down")                                                 \
    X(ENETUNREACH, -101, "network is unreachable")                                       \
    X(ECONNABORTED, -103, "connection aborted")                                          \
    X(ECONNRESET, -104, "connection reset by peer")                                      \
    X(ENOBUFS, -105, "no buffer space available")                                        \
    X(ENOTCONN, -107, "not connected")                                                   \
    X(ETIMEDOUT, -110, "timed out")                                                      \
    X(ECONNREFUSED, -111, "connection refused")                                          \
    X(EHOSTUNREACH, -113, "no route to host")                                            \
    X(ESTALE, -116, "handle is null, stale, foreign or invalid")                         \
    X(ECANCELED, -125, "canceled")

enum {
#define ZYNTAX_X(name, code, text) ZYNTAX_##name = (code),
    ZYNTAX_ERRORS(ZYNTAX_X)
#undef ZYNTAX_X
        ZYNTAX_OK = 0
};

/* Name of an error code, such as "ETIMEDOUT"; "OK" for 0 and more, "E?" for a code that is not in the list. [any]
 * A static string. A system error without a name here becomes the closest named one. If none is close, it keeps Linux's
 * number or is ZYNTAX_EIO (see Errors in PLATFORM DIFFERENCES). Since 0.1. */
ZYNTAX_API const char *zyntax_error_name(int64_t code) ZYNTAX_NOEXCEPT;

/* One line of English for an error code. [any] A static string, never NULL. Since 0.1. */
ZYNTAX_API const char *zyntax_strerror(int64_t code) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 3. Tasks and their memory
 * ---------------------------------------------------------------------------------------------------------------- */

/* Called exactly once when a task has ended, on the runtime's thread, never inside wake, cancel or the task's own poll.
 * `outcome` is 0 after POLL_READY, ZYNTAX_ECANCELED when the task was cancelled or its runtime destroyed. It may call
 * every function of this API except zyntax_runtime_destroy, run, block_on and turn of its runtime. */
typedef void (*DropFn)(FutureState state, int32_t outcome);

/* As zyntax_runtime_spawn, with a drop function. [rt]
 * drop   NULL, or called once with the state at the end.
 * owned  0, or the size given to zyntax_state_alloc: the state goes back to the arena after drop.
 * The task's result lives in the state. With `owned` 0 the caller reads it there after the end; with an owned state,
 * drop copies it out. An async closure is exactly this triple: state, poll, drop.
 * Returns NULL when memory is short or a required argument is NULL: nothing changed, drop is not called. From the first
 * drop of destroy on, too: drop was called with ZYNTAX_ECANCELED, an owned state was freed. Since 0.1. */
ZYNTAX_API zyntax_task *zyntax_runtime_spawn_with(zyntax_runtime *runtime, FutureState state, PollFn poll, DropFn drop,
                                                  size_t owned) ZYNTAX_NOEXCEPT;

/* Asks a task to end. [any] Its poll is not called again. Its drop runs on the runtime's thread within the next turn,
 * and needs the state until then. Join the task before you free a state that contains its state. A cancel during the
 * task's own poll leaves the decision to that poll: POLL_READY finishes the task, POLL_PENDING cancels it.
 * Returns 0, also for a cancelled task whose drop has not run, or ZYNTAX_ESTALE when the task has ended. Since 0.1. */
ZYNTAX_API int32_t zyntax_task_cancel(zyntax_task *task) ZYNTAX_NOEXCEPT;

/* 1 until the task has ended, then 0; 0 for a handle that was never valid. [any] Since 0.1. */
ZYNTAX_API int32_t zyntax_task_alive(zyntax_task *task) ZYNTAX_NOEXCEPT;

/* Waits until a task has ended. [rt] Any number of tasks may join one task. Its drop has run before the joining tasks
 * are polled. The value is in the ended task's state (see zyntax_runtime_spawn_with).
 * *result: 0 once it has ended, at once for a stale handle; ZYNTAX_EDEADLK for the task that is being polled;
 * ZYNTAX_ESTALE for a live task of another runtime; ZYNTAX_EINVAL for NULL; ZYNTAX_ENOMEM. Since 0.1. */
ZYNTAX_API PollStatus zyntax_task_join(zyntax_task *task, zyntax_op *op, Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* Memory for a state from the runtime's arena: zeroed, 16-byte aligned. [rt]
 * Sizes are rounded up to the next of 4 steps per power of two. Blocks are reused, and return to the allocator when the
 * runtime is destroyed. Returns NULL for size 0 or when memory is short. Since 0.1. */
ZYNTAX_API void *zyntax_state_alloc(zyntax_runtime *runtime, size_t size) ZYNTAX_NOEXCEPT;

/* Frees a state that no task owns. [rt] `size` is the size given to zyntax_state_alloc. NULL is fine. Since 0.1. */
ZYNTAX_API void zyntax_state_free(zyntax_runtime *runtime, void *state, size_t size) ZYNTAX_NOEXCEPT;

/* Cancels the operation behind *op and zeroes it. [rt] A NULL op, a zero op and an ended op are fine. Since 0.1. */
ZYNTAX_API void zyntax_op_cancel(zyntax_op *op) ZYNTAX_NOEXCEPT;

/* Waits until all of n tasks have ended. [rt] Stale handles, the polled task's own handle, tasks of other runtimes and
 * NULL count as ended. When memory is short it polls instead: the waker is woken at once. Since 0.1. */
ZYNTAX_API PollStatus zyntax_join_all(zyntax_task *const *tasks, size_t n, zyntax_op *op, Waker *waker) ZYNTAX_NOEXCEPT;

/* Waits until one of n tasks has ended. [rt] The other tasks go on; cancel them if they are not wanted. Tasks of other
 * runtimes are never chosen.
 * *result: the lowest index of an ended task (a stale handle counts as ended), ZYNTAX_EINVAL for n == 0 or a NULL among
 * them, ZYNTAX_EDEADLK when only the polled task itself is left to wait for, ZYNTAX_ENOMEM. Since 0.1. */
ZYNTAX_API PollStatus zyntax_select(zyntax_task *const *tasks, size_t n, zyntax_op *op, Waker *waker,
                                    int64_t *result) ZYNTAX_NOEXCEPT;

/* zyntax_task_join with a deadline (zyntax_now_ns's clock). [rt] The task goes on after a timeout.
 * *result: 0, ZYNTAX_ETIMEDOUT, or as zyntax_task_join. Since 0.1. */
ZYNTAX_API PollStatus zyntax_join_until(zyntax_task *task, zyntax_op *op, uint64_t deadline_ns, Waker *waker,
                                        int64_t *result) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 4. Time
 * ---------------------------------------------------------------------------------------------------------------- */

/* The runtime's clock, monotonic, in nanoseconds; its origin is unspecified. [any] with the system's clock; a
 * configured clock sets its own rule. 0 for NULL. Since 0.1. */
ZYNTAX_API uint64_t zyntax_now_ns(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* Waits for a duration, counted from the first call. [rt] A duration of 0 is ready at once. A duration that reaches
 * 2^64-1 never ends. While the op is pending, later calls ignore their duration; to change it, cancel the op first.
 * While memory for the timer is short, the task is woken to try again, and the duration starts anew. An op that this
 * library did not make counts as ended: POLL_READY. Since 0.1. */
ZYNTAX_API PollStatus zyntax_sleep(zyntax_runtime *runtime, zyntax_op *op, uint64_t duration_ns,
                                   Waker *waker) ZYNTAX_NOEXCEPT;

/* Waits until the clock has reached a deadline. [rt] The call does not read the clock: it compares the deadline with
 * the last time that the runtime or zyntax_now_ns has read. If the deadline has passed, the call is ready at once.
 * Otherwise it is ready in the first round that reads a time at or after the deadline. In all else it is as
 * zyntax_sleep. Since 0.1. */
ZYNTAX_API PollStatus zyntax_sleep_until(zyntax_runtime *runtime, zyntax_op *op, uint64_t deadline_ns,
                                         Waker *waker) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 5. I/O
 * ---------------------------------------------------------------------------------------------------------------- */

/* A registered descriptor. A number behind a pointer type, with a generation. */
typedef struct zyntax_io zyntax_io;

/* Directions of readiness; a bit set. */
enum { ZYNTAX_READABLE = 1, ZYNTAX_WRITABLE = 2 };

/* Registers a socket, pipe, tty, eventfd, timerfd, inotify descriptor or the like (a SOCKET on Windows) once, for both
 * directions, and makes it non-blocking. [rt] On success the runtime owns it until close or detach. Operations never
 * wait in the kernel, even if other processes that share the open file change its settings. Attach kernel TLS, or
 * another kernel protocol, before registering the socket. A descriptor that was blocking is made blocking again when
 * it is closed, detached or its runtime destroyed, because other processes may share its open file (a terminal, the
 * shell). A listener stays non-blocking. Returns 0, ZYNTAX_EPERM (not pollable: a directory or a regular file),
 * ZYNTAX_EBADF, ZYNTAX_EEXIST (this descriptor is already registered), ZYNTAX_ENOMEM, ZYNTAX_ENOSPC or ZYNTAX_EINVAL.
 * On failure the descriptor remains the caller's, unchanged. With epoll the kernel decides what is pollable: POSIX
 * message queues are, and the files of /proc and /sys that report changes. (zyntax_io_ready reports a file such as
 * /proc/self/mounts, which always has data, as ready.) Before 0.2, and with other pollers, these count as regular
 * files. Since 0.1. */
ZYNTAX_API int32_t zyntax_io_open(zyntax_runtime *runtime, intptr_t fd, zyntax_io **out) ZYNTAX_NOEXCEPT;

/* Deregisters and closes. [rt] Every operation that waits on it ends with ZYNTAX_ECANCELED. A socket with SO_LINGER set
 * blocks the thread until the written data has gone out or the time is over, as close does. Returns 0 or ZYNTAX_ESTALE.
 * Never close the descriptor itself while it is registered. If that happens, epoll and kqueue detect it, and the handle
 * never touches the new owner of the number: its operations are ZYNTAX_EBADF once another handle has the number, and
 * close only ends the handle. Since 0.1. */
ZYNTAX_API int32_t zyntax_io_close(zyntax_io *io) ZYNTAX_NOEXCEPT;

/* Deregisters and returns the descriptor, open, and blocking if it was so before zyntax_io_open (sockets of this
 * library, listeners, and every socket on Windows stay non-blocking). [rt] Otherwise as close. A NULL `fd` is
 * ZYNTAX_EINVAL, with nothing changed. ZYNTAX_EBADF: it was closed elsewhere; the handle has ended, *fd is -1.
 * Since 0.1. */
ZYNTAX_API int32_t zyntax_io_detach(zyntax_io *io, intptr_t *fd) ZYNTAX_NOEXCEPT;

/* The descriptor, or -1 for a stale handle. [rt] The runtime still owns it. Since 0.1. */
ZYNTAX_API intptr_t zyntax_io_fd(zyntax_io *io) ZYNTAX_NOEXCEPT;

/* Waits until one of the directions in `interest` is ready, and asks the kernel before it reports that. [rt]
 * A descriptor that is neither a socket nor a pipe may answer that question only once (a ring of perf events), and the
 * wait for events has used that answer. For such a descriptor the waiter receives the set that the event reported, and
 * the next caller receives an event without a waiter; another task may have used the readiness since.
 * *result: the ready set (> 0; an error or a hang-up sets every direction asked for), ZYNTAX_EINVAL for an interest
 * that is empty or unknown, ZYNTAX_ESTALE, ZYNTAX_ECANCELED (closed while waiting), ZYNTAX_EBADF (see zyntax_io_close),
 * ZYNTAX_ENOMEM. Since 0.1. */
ZYNTAX_API PollStatus zyntax_io_ready(zyntax_io *io, zyntax_op *op, uint32_t interest, Waker *waker,
                                      int64_t *result) ZYNTAX_NOEXCEPT;

/* Reads up to `len` bytes: tries first, waits when there is no data. [rt]
 * *result: bytes read (> 0), 0 at the end of the stream, ZYNTAX_ECONNRESET and similar, ZYNTAX_ESTALE, ZYNTAX_ECANCELED
 * (closed while waiting), ZYNTAX_ENOMEM. Any number of tasks may wait; which gets the bytes is unspecified.
 *  - A `len` of 0 is 0 at once and consumes nothing, not even a datagram. An empty datagram also reads as 0.
 *  - On Linux a pty's master ends with ZYNTAX_EIO. An invalid `buf` is ZYNTAX_EFAULT. If only its end is invalid, the
 *    read may be short, and the next read of a TCP or Unix socket may then wait although bytes are there.
 *  - A program that takes an urgent byte with its own calls (MSG_OOB) may lose the event of bytes behind it. Call
 *    zyntax_io_ready then, which asks the kernel.
 *  - Descriptors that the peer of a Unix socket passes with the bytes are closed. Since 0.1. */
ZYNTAX_API PollStatus zyntax_io_read(zyntax_io *io, zyntax_op *op, void *buf, size_t len, Waker *waker,
                                     int64_t *result) ZYNTAX_NOEXCEPT;

/* Writes up to `len` bytes: tries first, waits when there is no room. [rt]
 * *result: bytes written, which may be fewer; ZYNTAX_EPIPE or ZYNTAX_ECONNRESET when the peer is gone, never a signal;
 * ZYNTAX_EFAULT; otherwise as zyntax_io_read. A `len` of 0 sends an empty message on a message socket (datagrams,
 * sequenced packets), which may also wait for room; on other descriptors the result is 0 at once. Before 0.2 nothing
 * was sent. Since 0.1. */
ZYNTAX_API PollStatus zyntax_io_write(zyntax_io *io, zyntax_op *op, const void *buf, size_t len, Waker *waker,
                                      int64_t *result) ZYNTAX_NOEXCEPT;

/* Listens on a numeric IPv4 or IPv6 address, such as "127.0.0.1", "::1", "fe80::1%eth0" or "fe80::1%2". [rt] Port 0
 * takes a free port. "::ffff:127.0.0.1" is the IPv4 address. A name such as "localhost" is not looked up. NULL is every
 * interface, IPv6 and IPv4. The port is exclusive: a second listener is ZYNTAX_EADDRINUSE. Before 0.2 ports were
 * shared. A port is free although ended connections of it remain (SO_REUSEADDR, except on Windows).
 * Returns 0 or ZYNTAX_EINVAL (not a numeric address, an unknown interface, or a link-local address without one),
 * ZYNTAX_EADDRINUSE, ZYNTAX_EADDRNOTAVAIL, ZYNTAX_EACCES, ZYNTAX_EMFILE, ZYNTAX_ENOMEM or similar. Since 0.1. */
ZYNTAX_API int32_t zyntax_tcp_listen(zyntax_runtime *runtime, const char *address, uint16_t port,
                                     zyntax_io **out) ZYNTAX_NOEXCEPT;

/* Flags of zyntax_tcp_listen_with. */
enum {
    /* Other listeners of the same user with this flag may share the port (SO_REUSEPORT): one for the runtime of each
     * core. Linux and FreeBSD spread the connections among them. */
    ZYNTAX_LISTEN_SHARED = 1
};

/* zyntax_tcp_listen with flags. [rt] Also returns ZYNTAX_EINVAL for an unknown flag, and ZYNTAX_ENOSYS where the system
 * cannot share ports (Windows, WASI). Since 0.2. */
ZYNTAX_API int32_t zyntax_tcp_listen_with(zyntax_runtime *runtime, const char *address, uint16_t port, uint32_t flags,
                                          zyntax_io **out) ZYNTAX_NOEXCEPT;

/* The local port of a TCP socket, or ZYNTAX_ESTALE, ZYNTAX_EINVAL. [rt] Since 0.1. */
ZYNTAX_API int32_t zyntax_tcp_port(zyntax_io *io) ZYNTAX_NOEXCEPT;

/* Waits for a connection. [rt] Accepted TCP sockets have TCP_NODELAY set. A connection that died in the queue is
 * skipped. While descriptors, registrations or kernel memory are exhausted, the call stays pending and tries again
 * within 100 ms. An accepted connection that could not be registered is returned by a later call, or closed with the
 * listener.
 * *result: 0 and *out, or ZYNTAX_ESTALE, ZYNTAX_ECANCELED (listener closed while waiting), ZYNTAX_EINVAL (not a
 * listener), ZYNTAX_ENOMEM, or an error of the system, such as ZYNTAX_EPERM. Since 0.1. */
ZYNTAX_API PollStatus zyntax_tcp_accept(zyntax_io *listener, zyntax_op *op, Waker *waker, zyntax_io **out,
                                        int64_t *result) ZYNTAX_NOEXCEPT;

/* Connects to a numeric address, as in zyntax_tcp_listen, or to a name, which is looked up on the blocking pool. [rt]
 * `host` is copied. The socket has TCP_NODELAY set. Several addresses are raced as RFC 8305 (Happy Eyeballs) says:
 *  - The address families alternate, beginning with that of the first address; the others keep their order.
 *  - The next attempt begins 250 ms after the last one, or as soon as one fails. An address that never answers delays
 *    the next one by 250 ms; an address that refuses causes no delay. While descriptors or memory are exhausted, the
 *    next attempt waits.
 *  - The first connection wins. The other sockets are closed before the call returns POLL_READY.
 * Before 0.3 one address was tried after the other. The only time limit is the system's. For another limit use
 * zyntax_tcp_connect_to, or zyntax_join_until on the task.
 * Look-ups use at most half of the pool's threads (at least one thread); further look-ups wait. Cancelling the op
 * removes a look-up that waits. A running look-up ends only when the system's resolver returns, and destroy waits for
 * it.
 * *result: 0 and *out, or the error of the first address (before 0.3: of the last address tried), such as
 * ZYNTAX_ECONNREFUSED, ZYNTAX_ETIMEDOUT or ZYNTAX_EHOSTUNREACH; ZYNTAX_ENOENT (no such name), ZYNTAX_EAGAIN (the name
 * service does not answer, or no thread could be started), ZYNTAX_EIO (the resolver failed without a reason),
 * ZYNTAX_EMFILE, ZYNTAX_ENOMEM, ZYNTAX_EINVAL. A socket that the system connects to itself, as Linux sometimes does on
 * a free port, is ZYNTAX_ECONNREFUSED. Since 0.1. */
ZYNTAX_API PollStatus zyntax_tcp_connect(zyntax_runtime *runtime, zyntax_op *op, const char *host, uint16_t port,
                                         Waker *waker, zyntax_io **out, int64_t *result) ZYNTAX_NOEXCEPT;

/* Ends the sending direction: the peer reads the end of the stream; reading still works. [rt]
 * Returns 0 or ZYNTAX_ESTALE, ZYNTAX_ENOTCONN, ZYNTAX_EOPNOTSUPP (not a socket). Since 0.1. */
ZYNTAX_API int32_t zyntax_tcp_shutdown(zyntax_io *io) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 6. Blocking work
 * ---------------------------------------------------------------------------------------------------------------- */

/* Runs fn in a thread of the runtime's pool. [rt] `arg_size` bytes of `arg` are copied into the job. fn works on that
 * copy (16-byte aligned), which is copied back into the `arg` of the call that returns POLL_READY: no thread writes
 * into freed memory after a cancel. With arg_size 0 the pointer itself is passed and must live until fn has returned.
 * *result: the value of fn; or, when fn has not run, ZYNTAX_EAGAIN (no thread could be started), ZYNTAX_ENOMEM,
 * ZYNTAX_EINVAL, ZYNTAX_ECANCELED (the runtime is being destroyed, or the op is not one of its jobs).
 * Cancelling the op removes a job that has not begun; a running job finishes and its result is discarded. A job whose
 * op was forgotten keeps its memory until it has run and its task or the runtime has ended. Threads start on demand, up
 * to blocking_threads, and end after 5 s without work. Their stack is the system's default size, at least 2 MiB.
 * Signals: a thread blocks SIGPIPE, SIGUSR1, SIGUSR2, SIGIO, SIGURG, SIGWINCH, the real-time signals, and all signals
 * that were blocked in the runtime's thread when it started. A process that fn starts inherits this mask. No other
 * signal is blocked: SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGALRM, SIGCHLD and the like end, stop or reach that
 * process, and the host's handlers of these signals may run in a pool thread. A host that wants these signals in one
 * thread blocks them in its other threads. SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP and SIGSYS are never blocked, so
 * that a host's fault handlers (a JIT's null checks, a collector's barriers) work in fn, too. Before 0.2 all signals
 * except faults were blocked. Since 0.1. */
ZYNTAX_API PollStatus zyntax_blocking(zyntax_runtime *runtime, zyntax_op *op, int64_t (*fn)(void *), void *arg,
                                      size_t arg_size, Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* As zyntax_blocking, for an argument that owns resources. [rt] With `drop` NULL this is zyntax_blocking. `drop` is
 * called once for each job that was begun, with the job's copy of the argument (with `arg` if arg_size is 0), after
 *  - fn has returned and its result was taken,
 *  - fn has returned and its result cannot be taken (op cancelled, its task ended, the runtime being destroyed), or
 *  - fn can no longer begin.
 * It must not use resources that fn or the taken result has given away. The loop calls it outside every poll, on the
 * thread that drives or destroys the runtime, never inside the call that takes the result or cancels the op.
 * zyntax_runtime_run, _block_on and _turn call it before they return. It may call every function of this API. A call
 * that gives ZYNTAX_EAGAIN, ZYNTAX_ENOMEM or ZYNTAX_EINVAL, or that finds the runtime being destroyed, begins no job
 * and calls no drop. A forked child calls no drop. Since 0.2. */
ZYNTAX_API PollStatus zyntax_blocking_with(zyntax_runtime *runtime, zyntax_op *op, int64_t (*fn)(void *),
                                           void (*drop)(void *arg), void *arg, size_t arg_size, Waker *waker,
                                           int64_t *result) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 7. Channels and async iterators
 * ---------------------------------------------------------------------------------------------------------------- */

/* A bounded queue of items between tasks of one runtime, many senders to many receivers. A number with a generation. */
typedef struct zyntax_channel zyntax_channel;

/* An async iterator. *result: 1 = one item is in `item`, 0 = the end, < 0 = an error. zyntax_channel_recv, with channel
 * and op in the state, is an example. */
typedef PollStatus (*PollNextFn)(FutureState state, Waker *waker, void *item, int64_t *result);

/* Creates a channel for `capacity` items of `item_size` bytes; item_size 0 counts signals. [rt]
 * Returns 0, ZYNTAX_EINVAL (capacity 0, NULL), ZYNTAX_ENOMEM. Since 0.1. */
ZYNTAX_API int32_t zyntax_channel_create(zyntax_runtime *runtime, size_t capacity, size_t item_size,
                                         zyntax_channel **out) ZYNTAX_NOEXCEPT;

/* Sends a copy of *item; waits while the channel is full. [rt] First come, first served: the first waiter is woken
 * and keeps the place until its next poll. If that poll does not call again, or the task ends, the place goes to the
 * next waiter. A task of another runtime keeps the place until it calls again, cancels or ends.
 * *result: 0, ZYNTAX_EPIPE once the channel is closed, ZYNTAX_ESTALE, ZYNTAX_ECANCELED (destroyed while waiting),
 * ZYNTAX_EINVAL, ZYNTAX_ENOMEM. Since 0.1. */
ZYNTAX_API PollStatus zyntax_channel_send(zyntax_channel *channel, zyntax_op *op, const void *item, Waker *waker,
                                          int64_t *result) ZYNTAX_NOEXCEPT;

/* Receives into *item; waits while the channel is empty. [rt] *result: 1 with an item, 0 when the channel is closed and
 * empty; errors as zyntax_channel_send. Since 0.1. */
ZYNTAX_API PollStatus zyntax_channel_recv(zyntax_channel *channel, zyntax_op *op, void *item, Waker *waker,
                                          int64_t *result) ZYNTAX_NOEXCEPT;

/* Closes: later sends fail, queued items can still be received. [rt] 0 or ZYNTAX_ESTALE; twice is fine. Since 0.1. */
ZYNTAX_API int32_t zyntax_channel_close(zyntax_channel *channel) ZYNTAX_NOEXCEPT;

/* Destroys the channel and its items; operations that wait end with ZYNTAX_ECANCELED. [rt] 0 or ZYNTAX_ESTALE. The
 * runtime destroys the channels that are left. Since 0.1. */
ZYNTAX_API int32_t zyntax_channel_destroy(zyntax_channel *channel) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 8. Configuration, host loops, other threads
 * ---------------------------------------------------------------------------------------------------------------- */

/* zyntax_runtime_config.flags */
enum {
    /* run, block_on and a turn without a limit return ZYNTAX_EDEADLK when live tasks are left but nothing is ready,
     * timed, waiting for I/O, in the blocking pool, posted or held. Without the flag they sleep, as a copy of a waker
     * may be anywhere. */
    ZYNTAX_DETECT_STALL = 1
};

/* Zero-initialise, set `size`, then other members. A larger size than this library knows is accepted if the rest is
 * 0. */
typedef struct zyntax_runtime_config {
    size_t size;                                          /* sizeof(zyntax_runtime_config) */
    void *(*alloc)(void *ctx, size_t size, size_t align); /* NULL: the C library's. Both or none. Called on the */
    void (*free)(void *ctx, void *ptr, size_t size, size_t align); /* runtime's thread, and where a post is made */
    void *alloc_ctx;
    uint64_t (*clock_ns)(void *ctx); /* NULL: the system's monotonic clock. Must not go back, else time stands */
    void *clock_ctx;
    uint32_t poll_budget;      /* polls between two checks of I/O and timers; 0: 256 */
    uint32_t spin_us;          /* busy-wait this long before sleeping in the kernel; 0: sleep at once */
    uint32_t blocking_threads; /* pool threads at most, half of them for name look-ups; 0: 16 */
    uint32_t flags;            /* ZYNTAX_DETECT_STALL */
    uint32_t await_budget;     /* see convention 6; 0: 128, UINT32_MAX: no limit. Since 0.2 */
} zyntax_runtime_config;

/* Creates a runtime. [any] `config` may be NULL and is copied. On failure NULL, with the reason in *error unless that
 * is NULL: ZYNTAX_ENOMEM, ZYNTAX_EMFILE, ZYNTAX_ENFILE, or ZYNTAX_EINVAL for an unknown flag, an incomplete allocator
 * pair or a size that ends inside a member. *error is 0 on success. Since 0.1. */
ZYNTAX_API zyntax_runtime *zyntax_runtime_create_with(const zyntax_runtime_config *config,
                                                      int32_t *error) ZYNTAX_NOEXCEPT;

/* One round: checks I/O, timers and other threads' wakes, waits up to timeout_ns when no task is ready (0: not at all,
 * < 0: without limit), then polls ready tasks, at most poll_budget times. [drives]
 * Returns the number of live tasks (at most INT32_MAX), or ZYNTAX_ECANCELED, ZYNTAX_EBUSY, ZYNTAX_EINVAL,
 * ZYNTAX_EDEADLK (only for a timeout_ns < 0) or the kernel's error as zyntax_runtime_block_on does. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_turn(zyntax_runtime *runtime, int64_t timeout_ns) ZYNTAX_NOEXCEPT;

/* Makes the current run, block_on or turn, or else the next one, return ZYNTAX_ECANCELED soon. [any] Tasks stay alive;
 * driving again continues. If the stopped round made the last poll of zyntax_promise_block_on's promise, that call
 * returns the value and the next call is stopped. Not from a signal handler. Since 0.1. */
ZYNTAX_API void zyntax_runtime_stop(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* Runs fn(arg) once on the runtime's thread, outside any poll, in order of posting. [any] fn may call the same
 * functions as a DropFn. Each post takes 32 bytes from the allocator. Callbacks that are still posted when the runtime
 * is destroyed run then, on that thread. Returns 0, ZYNTAX_EINVAL, ZYNTAX_ENOMEM, or, from a drop or callback while the
 * runtime is being destroyed, ZYNTAX_ECANCELED: fn will not run. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_post(zyntax_runtime *runtime, void (*fn)(void *), void *arg) ZYNTAX_NOEXCEPT;

/* Announces that an outside event will wake a task: stall detection counts it as work. [any] Since 0.1. */
ZYNTAX_API void zyntax_runtime_hold(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* Reverts one zyntax_runtime_hold. [any] Since 0.1. */
ZYNTAX_API void zyntax_runtime_release(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* A descriptor for the host's own poll or epoll: readable when zyntax_runtime_turn(runtime, 0) has work, except timers
 * (see zyntax_runtime_next_timeout_ns). [rt] -1 if the backend has none. Do not read, change or close it. Since 0.1. */
ZYNTAX_API intptr_t zyntax_runtime_backend_fd(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* Nanoseconds until zyntax_runtime_turn has work without an event: 0 now, -1 never (no timers). [rt] With many timers
 * close together it may be less than the time to the next deadline, never more. Since 0.1. */
ZYNTAX_API int64_t zyntax_runtime_next_timeout_ns(zyntax_runtime *runtime) ZYNTAX_NOEXCEPT;

/* The runtime whose task this thread polls, else NULL. [any] Inside a callback of a nested runtime: the outer one.
 * Since 0.1. */
ZYNTAX_API zyntax_runtime *zyntax_current_runtime(void) ZYNTAX_NOEXCEPT;

/* Copies the waker of the task that this thread polls. [any] 0, or ZYNTAX_EINVAL outside a poll or for NULL.
 * Since 0.1. */
ZYNTAX_API int32_t zyntax_current_waker(Waker *out) ZYNTAX_NOEXCEPT;

/* Wakes from a signal handler: async-signal-safe, errno untouched. [any] Accepts wakers of this library; others and
 * NULL are ignored. Store the waker before you install the handler. For stall detection, a task that waits for a
 * handler's wake is not work unless the runtime is held. A task in zyntax_signal_wait is work. Since 0.1. */
ZYNTAX_API void zyntax_wake_from_signal(const Waker *waker) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 9. Zyntax promises
 * ---------------------------------------------------------------------------------------------------------------- */

/* The return type of Zyntax's compiled async functions. poll: 0 = pending, > 0 = value, < 0 = failure. PollStatus means
 * the opposite, hence the separate entry points. */
typedef struct zyntax_promise {
    void *state;
    int64_t (*poll)(void *state);
} zyntax_promise;

/* Spawns a task that polls *promise (copied) until the value is not 0, and stores it in *result (unless NULL). [rt] If
 * the task is cancelled *result becomes ZYNTAX_ECANCELED. The poll function calls zyntax_current_waker for its waker.
 * After a poll that returned 0 the next poll follows at once, as compiled code returns 0 also for "advanced", unless
 *  - an operation that stores the task's waker is pending, in this or another runtime,
 *  - or the poll took the waker, and no operation that the poll called stored it or was ready: the host then keeps the
 *    waker.
 * Returns NULL when memory is short or `runtime`, `promise` or its poll is NULL; and during destroy, with *result set
 * to ZYNTAX_ECANCELED. Since 0.1. */
ZYNTAX_API zyntax_task *zyntax_promise_spawn(zyntax_runtime *runtime, const zyntax_promise *promise,
                                             int64_t *result) ZYNTAX_NOEXCEPT;

/* Spawns a promise and drives the runtime until it has ended. [drives] Returns its value, or ZYNTAX_ENOMEM,
 * ZYNTAX_EINVAL, or the error of zyntax_runtime_block_on (the promise is then cancelled). Since 0.1. */
ZYNTAX_API int64_t zyntax_promise_block_on(zyntax_runtime *runtime, const zyntax_promise *promise) ZYNTAX_NOEXCEPT;

/* A host's hooks around a promise's polls. All are called on the runtime's thread; NULL: no hook. */
typedef struct zyntax_promise_hooks {
    size_t size;                              /* sizeof(zyntax_promise_hooks) */
    void (*enter)(void *ctx);                 /* before each poll; see zyntax_task_local, too */
    void (*leave)(void *ctx);                 /* after each poll */
    void (*drop)(void *ctx, int32_t outcome); /* once, at the end, as a DropFn: frees the promise's state */
    void *ctx;
    /* For each promise given to zyntax_promise_spawn_child, within the parent's poll. The child has its parent's hooks,
     * including this one, with the returned pointer as `ctx`, NULL or not. NULL: children have no hooks. */
    void *(*child)(void *ctx, const zyntax_promise *child);
} zyntax_promise_hooks;

/* As zyntax_promise_spawn, with hooks (copied; NULL: none). [rt] Hooks may end before `child`, which is then NULL.
 * Also returns NULL for hooks of another size, unless it is larger and all bytes after the members of this header are
 * zero. When it returns NULL, nothing has changed and no hook was called. Exception: during destroy, drop was called
 * with ZYNTAX_ECANCELED. Since 0.2. */
ZYNTAX_API zyntax_task *zyntax_promise_spawn_with(zyntax_runtime *runtime, const zyntax_promise *promise,
                                                  int64_t *result, const zyntax_promise_hooks *hooks) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 10. Promises that compiled code awaits
 *
 * Compiled code of Zyntax awaits by calling a function that returns a zyntax_promise *, and polling that promise on
 * every poll of its own until the value is not 0. It has no waker, no op and no runtime. These functions are called
 * inside a poll of a promise task (zyntax_promise_spawn, _spawn_with or _block_on), at any depth. The returned promise
 * belongs to that task: it is freed when it has given its value, or with the task. Only that task polls it.
 *  - A value is never 0. Handles are positive numbers: the arguments of the functions of sections 5 and 7, as int64_t.
 *  - Polling a promise that was freed is ZYNTAX_ESTALE: through the pointer until 64 more promises have been freed and
 *    a new promise may have its place; through a copy of the two words for ever. A poll outside the promise's task is
 *    also ZYNTAX_ESTALE.
 *  - A poll of a promise from within its own poll (code under a limit polls that limit) is ZYNTAX_EDEADLK.
 *    No promise is freed during its own poll, not even by the code that it polls.
 *  - They never return NULL. On failure the promise fails: with ZYNTAX_EPERM outside a promise task, ZYNTAX_ENOMEM, or
 *    ZYNTAX_EINVAL for a forbidden NULL or count. It belongs to no task, is never freed, and fails again at each poll.
 *  - Buffers and items, except those that are copied, must live until the value has come.
 *  - After a task's poll that returned 0 the next poll follows at once when one of these promises gave its value during
 *    the poll, or nothing that it polled is pending. So no code's progress waits for an unrelated event.
 * ---------------------------------------------------------------------------------------------------------------- */

/* The end of a stream, as 0 cannot be a value. It is not an error: zyntax_error_name does not know it. */
enum { ZYNTAX_EOF = -4095 };

/* 1 after a duration, which begins with this call. [rt] Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_sleep(uint64_t duration_ns) ZYNTAX_NOEXCEPT;

/* 1 when every other ready task has been polled. [rt] Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_yield(void) ZYNTAX_NOEXCEPT;

/* Reads up to `len` bytes. [rt] Bytes read, ZYNTAX_EOF (also for an empty datagram), ZYNTAX_EINVAL for a `len` of 0, or
 * as zyntax_io_read. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_read(zyntax_io *io, void *buf, size_t len) ZYNTAX_NOEXCEPT;

/* Writes all of `len` bytes. [rt] `len`, ZYNTAX_EINVAL for a `len` of 0 (a value is never 0; zyntax_io_write sends an
 * empty message), or an error as zyntax_io_write. After an error or an interrupt the number of bytes that went out is
 * unknown; zyntax_promise_write_all counts them. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_write(zyntax_io *io, const void *buf, size_t len) ZYNTAX_NOEXCEPT;

/* The ready set, as zyntax_io_ready. [rt] Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_ready(zyntax_io *io, uint32_t interest) ZYNTAX_NOEXCEPT;

/* A connection: its zyntax_io * as a number, or an error as zyntax_tcp_accept. [rt] An accepted connection that no poll
 * has taken is closed with the task, or when a time limit ends the promise. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_accept(zyntax_io *listener) ZYNTAX_NOEXCEPT;

/* The same for zyntax_tcp_connect, which begins with this call. [rt] `host` is copied. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_connect(const char *host, uint16_t port) ZYNTAX_NOEXCEPT;

/* 1, or an error as zyntax_channel_send, which begins with this call. [rt] The item is copied. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_send(zyntax_channel *channel, const void *item) ZYNTAX_NOEXCEPT;

/* 1 with an item, ZYNTAX_EOF when the channel is closed and empty, or an error. [rt] Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_recv(zyntax_channel *channel, void *item) ZYNTAX_NOEXCEPT;

/* The result of fn(arg) on the blocking pool, 1 if it was 0, or an error as zyntax_blocking, which begins with this
 * call. [rt] With an arg_size the argument is copied, and the copy discarded; else `arg` is passed. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_blocking(int64_t (*fn)(void *), void *arg, size_t arg_size) ZYNTAX_NOEXCEPT;

/* The value of a promise of this section or a compiled one (the two words are copied), or ZYNTAX_ETIMEDOUT when the
 * duration is over, which begins with this call. [rt] At the end of the duration, or when this promise is cancelled,
 * the inner promise ends: a promise of this section is cancelled and freed, and a compiled promise is not polled again.
 * So a child under a limit is cancelled, as by zyntax_promise_cancel. The task's end only frees both promises. Since
 * 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_timeout(zyntax_promise *promise, uint64_t duration_ns) ZYNTAX_NOEXCEPT;

/* 1 + the lowest index of a ready promise among n promises of this section or compiled ones (their words are copied).
 * [rt] A ready promise of this section keeps its value for its next await; the value of a compiled promise is lost
 * (make it a child to keep it). The others go on. A freed promise is ready. ZYNTAX_EINVAL for n == 0 or a NULL among
 * them. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_select(zyntax_promise *const *promises, size_t n) ZYNTAX_NOEXCEPT;

/* Spawns a promise (its two words are copied) as a separate task and gives its value. [rt] The child ends early when
 * the returned promise is cancelled, or a limit over it ends. It goes on when the parent's task ends. The parent's
 * `child` hook, if set, is called, and the child has hooks. The child's drop hook is then called once even if memory is
 * short: within this call, with ZYNTAX_ECANCELED. A promise of this section cannot be a child, as it belongs to its
 * task and the host cannot free it: ZYNTAX_EINVAL, and no hook is called. Since 0.2. */
ZYNTAX_API zyntax_promise *zyntax_promise_spawn_child(const zyntax_promise *promise) ZYNTAX_NOEXCEPT;

/* Cancels a promise of this section: its value is ZYNTAX_ECANCELED, unless it already has one. [rt] Code under a limit
 * or in a select may cancel that limit or select: the code is not polled again, and the value that it returns is lost.
 * A child's task is cancelled; the value comes with the task's end. Returns 0, or ZYNTAX_ESTALE for NULL, a freed
 * promise, a promise that a failed call returned, and a compiled promise. Since 0.2. */
ZYNTAX_API int32_t zyntax_promise_cancel(zyntax_promise *promise) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 11. Seeing inside, versions, JITs
 * ---------------------------------------------------------------------------------------------------------------- */

/* Counters since creation, and gauges of the present state. Set `size` before the call. */
typedef struct zyntax_runtime_stats {
    size_t size;          /* in: sizeof(zyntax_runtime_stats); out: bytes that were filled */
    uint64_t tasks_alive; /* gauge */
    uint64_t tasks_spawned;
    uint64_t polls;
    uint64_t wakes;          /* of live tasks, including coalesced ones; from the runtime's thread */
    uint64_t wakes_remote;   /* from elsewhere: other threads, signal handlers, or while no thread drove */
    uint64_t kernel_waits;   /* calls of the kernel's wait, with and without a timeout */
    uint64_t kernel_events;  /* descriptor events that these waits returned */
    uint64_t events_stale;   /* of these events, for a descriptor that was no longer registered */
    uint64_t timers_pending; /* gauge */
    uint64_t timers_fired;
    uint64_t io_open;          /* gauge */
    uint64_t blocking_pending; /* gauge: jobs queued or running */
    uint64_t bytes_reserved;   /* gauge: from the allocator, and in blocks of tasks, operations and handles */
    uint64_t bytes_in_use;     /* gauge: of these bytes, in live tasks, states, operations, handles and channels */
} zyntax_runtime_stats;

/* Fills *stats, whole members only. [rt] 0, or ZYNTAX_EINVAL for NULL or a size below the first two members.
 * Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_get_stats(zyntax_runtime *runtime, zyntax_runtime_stats *stats) ZYNTAX_NOEXCEPT;

/* The state of a task. */
typedef enum zyntax_wait {
    ZYNTAX_WAIT_UNKNOWN = 0, /* a copy of its waker may be in a place that this library does not know */
    ZYNTAX_WAIT_RUNNING = 1,
    ZYNTAX_WAIT_QUEUED = 2,
    ZYNTAX_WAIT_TIMER = 3,
    ZYNTAX_WAIT_READABLE = 4, /* also the end of a process */
    ZYNTAX_WAIT_WRITABLE = 5,
    ZYNTAX_WAIT_JOIN = 6,     /* join, join_all, join_until, select, a scope */
    ZYNTAX_WAIT_BLOCKING = 7, /* zyntax_blocking, a name look-up, or a file's operation on the pool */
    ZYNTAX_WAIT_CHANNEL = 8,  /* a channel or a port */
    ZYNTAX_WAIT_SIGNAL = 9    /* since 0.3 */
} zyntax_wait;
ZYNTAX_CHECK_ENUM(zyntax_wait);

/* One live task, as zyntax_runtime_dump shows it. */
typedef struct zyntax_task_info {
    size_t size; /* of this struct in the library */
    zyntax_task *task;
    FutureState state;
    PollFn poll;
    uint64_t polls;    /* so far */
    zyntax_wait waits; /* the last wait that its last poll began, unless running or queued */
    /* Since 0.2: of these polls, those followed by another at once, as a promise answered 0 and had advanced, or
     * nothing that it polled was pending. If it grows without end, the code awaits a value of 0. */
    uint64_t polls_again;
    const char *name; /* Since 0.3: as zyntax_task_name gave it; NULL: none */
} zyntax_task_info;

/* Calls visit for every live task. [rt] `visit` may call of this API only zyntax_error_name, zyntax_strerror and
 * zyntax_task_alive; *info and its name are valid during the call. Returns the number of live tasks (at most INT32_MAX)
 * or ZYNTAX_EINVAL. Since 0.1. */
ZYNTAX_API int32_t zyntax_runtime_dump(zyntax_runtime *runtime, void (*visit)(void *user, const zyntax_task_info *info),
                                       void *user) ZYNTAX_NOEXCEPT;

/* The poller of this build: "epoll", "kqueue", "iocp", "poll". [any] Since 0.1. */
ZYNTAX_API const char *zyntax_runtime_backend(void) ZYNTAX_NOEXCEPT;

/* ZYNTAX_ASYNC_RUNTIME_VERSION of the library. [any] Since 0.1. */
ZYNTAX_API uint32_t zyntax_runtime_version(void) ZYNTAX_NOEXCEPT;

/* A function of this header, for a JIT's symbol table. */
typedef struct zyntax_symbol {
    const char *name;
    void *address;
} zyntax_symbol;

/* All functions of this header, sorted by name; their number in *count unless NULL. [any] Static memory, ended by a
 * NULL name. Using the table links the whole archive in. Since 0.1. */
ZYNTAX_API const zyntax_symbol *zyntax_runtime_symbols(size_t *count) ZYNTAX_NOEXCEPT;

/* A function of this header with its types, for code generators. `types` has a letter for the result, then one for
 * each parameter:
 *   v  no value (as a result)      i  int32_t and every enum      q  uint64_t
 *   h  uint16_t                    u  uint32_t                    z  size_t and intptr_t, as wide as a pointer
 *                                  l  int64_t                     p  a pointer, to data or to a function
 * So zyntax_sleep, "ippqp", returns an int32_t and takes two pointers, a uint64_t and a pointer. */
typedef struct zyntax_signature {
    const char *name;
    void *address;
    const char *types;
} zyntax_signature;

/* As zyntax_runtime_symbols, with types. [any] Since 0.2. */
ZYNTAX_API const zyntax_signature *zyntax_runtime_signatures(size_t *count) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 12. Addresses, names, sockets
 * ---------------------------------------------------------------------------------------------------------------- */

/* An IPv4 or IPv6 address with a port. 24 bytes without padding on every system: memcmp compares two of them. */
typedef struct zyntax_address {
    uint16_t family; /* 4, 6, or 0: none, as of a Unix socket */
    uint16_t port;   /* as a number */
    uint32_t scope;  /* the interface's number, for a link-local IPv6 address; else 0 */
    uint8_t ip[16];  /* in network order. IPv4 is in the first four bytes, and the others are zero */
} zyntax_address;

/* Options of zyntax_io_set, with their values. */
enum {
    ZYNTAX_NO_DELAY = 1,    /* 0 or 1: TCP sends small writes at once (TCP_NODELAY) */
    ZYNTAX_KEEP_ALIVE = 2,  /* 0: off; 1 to 32767: TCP looks for a dead peer after so many idle seconds */
    ZYNTAX_LINGER = 3,      /* -1: off; 0: closing resets a TCP connection; to 32767: closing waits so many seconds */
    ZYNTAX_SEND_BUFFER = 4, /* bytes, at least 1. The system may take more or fewer (Linux takes twice as many) */
    ZYNTAX_RECEIVE_BUFFER = 5, /* the same */
    ZYNTAX_BROADCAST = 6,      /* 0 or 1: datagrams may be sent to a broadcast address */
    ZYNTAX_TTL = 7,            /* 1 to 255: routers that a packet may pass */
    ZYNTAX_MULTICAST_TTL = 8,  /* 0 to 255: the same for datagrams to a group; 1 unless set */
    ZYNTAX_MULTICAST_LOOP = 9  /* 0 or 1: this host receives its own datagrams to a group; 1 unless set */
};

/* A part of a scattered buffer. */
typedef struct zyntax_slice {
    void *data;
    size_t len;
} zyntax_slice;

/* Reads a numeric address: "1.2.3.4", "1.2.3.4:80", "::1", "[::1]", "[::1]:80", "fe80::1%2" or "[fe80::1%lo]:80". [any]
 * Accepts what inet_pton accepts, and behind it a scope and a port: decimal numbers without leading zeros, or the name
 * of an interface (see PLATFORM DIFFERENCES). Without a port the port is 0. "::ffff:1.2.3.4" has family 6.
 * Returns 0, or ZYNTAX_EINVAL for NULL, any other text and an unknown interface, with *out unchanged. Since 0.3. */
ZYNTAX_API int32_t zyntax_address_parse(const char *text, zyntax_address *out) ZYNTAX_NOEXCEPT;

/* Writes an address as getnameinfo does (NI_NUMERICHOST), with the scope as a number. [any] Port 0 is not shown. An
 * IPv6 address with a port is in brackets. zyntax_address_parse reads the same address back.
 * Returns the length without the final NUL, at most 58, or ZYNTAX_EINVAL for NULL and families other than 4 and 6. At
 * most `len` bytes are written, as by snprintf: a longer text is cut off, and the last byte is always NUL. `buf` may be
 * NULL with a `len` of 0. Since 0.3. */
ZYNTAX_API int32_t zyntax_address_format(const zyntax_address *address, char *buf, size_t len) ZYNTAX_NOEXCEPT;

/* The socket's own address. [rt] The IPv4 address of a dual-stack socket has family 4. A Unix socket has family 0.
 * Returns 0 or ZYNTAX_ESTALE, ZYNTAX_EINVAL (NULL; on Windows also a socket that was never bound), ZYNTAX_EOPNOTSUPP
 * (neither an IP nor a Unix socket), ZYNTAX_EBADF (see zyntax_io_close). *out is unchanged on failure. Since 0.3. */
ZYNTAX_API int32_t zyntax_io_local(zyntax_io *io, zyntax_address *out) ZYNTAX_NOEXCEPT;

/* The address of the connected peer. [rt] As zyntax_io_local; ZYNTAX_ENOTCONN without a peer. Since 0.3. */
ZYNTAX_API int32_t zyntax_io_peer(zyntax_io *io, zyntax_address *out) ZYNTAX_NOEXCEPT;

/* Sets an option of a socket. [rt] Returns 0 or ZYNTAX_ESTALE, ZYNTAX_EINVAL (an unknown option or value),
 * ZYNTAX_EOPNOTSUPP (not a socket, or the socket does not have the option), ZYNTAX_EBADF (see zyntax_io_close) or an
 * error of the system, such as ZYNTAX_ENOBUFS for a buffer that is too large on macOS. Since 0.3. */
ZYNTAX_API int32_t zyntax_io_set(zyntax_io *io, int32_t option, int64_t value) ZYNTAX_NOEXCEPT;

/* Sets a deadline for one or both directions (ZYNTAX_READABLE, ZYNTAX_WRITABLE), in nanoseconds of zyntax_now_ns;
 * UINT64_MAX: none. [rt]
 *  - From the deadline on, an operation on the handle and direction that would have to wait ends with
 *    ZYNTAX_ETIMEDOUT: ready (with both directions at the earlier deadline), read, write, accept, datagrams and
 *    passed descriptors.
 *  - An operation tries first: data, room or a connection that is there is still given.
 *  - The deadline stays until it is replaced. A new one also applies to operations that already wait.
 *  - The handle remains usable. An accepted connection has no deadline.
 *  - A handle's deadlines are one timer of the runtime. timers_pending counts it until the deadline is over or
 *    removed, or the handle ends.
 * Returns 0, ZYNTAX_EINVAL (directions that are empty or unknown), ZYNTAX_ESTALE, ZYNTAX_ENOMEM, ZYNTAX_ECANCELED
 * (the runtime is being destroyed). Since 0.3. */
ZYNTAX_API int32_t zyntax_io_deadline(zyntax_io *io, uint32_t directions, uint64_t deadline_ns) ZYNTAX_NOEXCEPT;

/* Reads into n slices, in their order: tries first, waits when there is no data. [rt] One call of the system, so that a
 * datagram is spread over the slices. *result: bytes read (> 0), 0 at the end of the stream; otherwise as
 * zyntax_io_read. Slices without a byte are skipped; with no byte at all the result is 0 at once. More slices than the
 * system takes at once (1,024), or more than 2^31 - 1 bytes, are a short read. A NULL `data` with a `len`, or NULL
 * slices with an n, is ZYNTAX_EINVAL. The array of slices may be at another address in the next call. Since 0.3. */
ZYNTAX_API PollStatus zyntax_io_readv(zyntax_io *io, zyntax_op *op, const zyntax_slice *slices, size_t n, Waker *waker,
                                      int64_t *result) ZYNTAX_NOEXCEPT;

/* Writes n slices, in their order: tries first, waits when there is no room. [rt] *result: bytes written, which may be
 * fewer; otherwise as zyntax_io_write, with slices as in zyntax_io_readv. On a message socket they are one message,
 * which is empty when there is no byte. More slices than the system takes at once are ZYNTAX_EMSGSIZE there. Since
 * 0.3. */
ZYNTAX_API PollStatus zyntax_io_writev(zyntax_io *io, zyntax_op *op, const zyntax_slice *slices, size_t n, Waker *waker,
                                       int64_t *result) ZYNTAX_NOEXCEPT;

/* Writes all of `len` bytes, with as many writes as that takes. [rt] Each of them counts in the await budget. *done is
 * a word of the caller's state, 0 before the first call: the number of bytes that were written, also after an error, a
 * cancel or a deadline. *result: `len`, ZYNTAX_EINVAL for a *done above `len`, or an error as zyntax_io_write. A `len`
 * of 0 is as in zyntax_io_write. Tasks that write to one handle at the same time mix their bytes. Since 0.3. */
ZYNTAX_API PollStatus zyntax_io_write_all(zyntax_io *io, zyntax_op *op, const void *buf, size_t len, size_t *done,
                                          Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of the number of bytes read, of ZYNTAX_EOF (also for an empty datagram), of ZYNTAX_EINVAL for slices
 * without a byte, or of an error as zyntax_io_readv. [rt] The slices and their memory must live until the value has
 * come. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_readv(zyntax_io *io, const zyntax_slice *slices, size_t n) ZYNTAX_NOEXCEPT;

/* A promise that writes all bytes of the slices. [rt] Its value is the number of bytes, ZYNTAX_EINVAL when there is
 * none, or an error as zyntax_io_writev. The slices and their memory must live until the value has come. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_writev(zyntax_io *io, const zyntax_slice *slices, size_t n) ZYNTAX_NOEXCEPT;

/* As zyntax_promise_write. [rt] *done, which is 0 before the call, counts the bytes that were written. `buf` and
 * *done must live until the value has come. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_write_all(zyntax_io *io, const void *buf, size_t len,
                                                    size_t *done) ZYNTAX_NOEXCEPT;

/* Sends a copy of *item if there is a place that no waiting sender has reserved. [rt] It never waits and spends no
 * await budget. Returns 0, ZYNTAX_EAGAIN (the channel is full, earlier callers wait, or the place is reserved for a
 * sender that was woken), ZYNTAX_EPIPE once the channel is closed, ZYNTAX_ESTALE, ZYNTAX_EINVAL (a NULL item).
 * Since 0.3. */
ZYNTAX_API int32_t zyntax_channel_try_send(zyntax_channel *channel, const void *item) ZYNTAX_NOEXCEPT;

/* Receives into *item if there is an item that no waiting receiver has reserved. [rt] Otherwise as
 * zyntax_channel_try_send. Returns 1 with an item, ZYNTAX_EAGAIN (the channel is empty, or its items are reserved), 0
 * when the channel is closed and empty, ZYNTAX_ESTALE, ZYNTAX_EINVAL. On failure *item is unchanged. Since 0.3. */
ZYNTAX_API int32_t zyntax_channel_try_recv(zyntax_channel *channel, void *item) ZYNTAX_NOEXCEPT;

/* Looks a name up on the blocking pool, as zyntax_tcp_connect does, and stores up to `room` of its addresses, each once
 * and with port 0, in the order of the system. [rt] `host` is copied; a numeric address, as in zyntax_tcp_listen, is
 * ready at once. `out` is written to in the call that returns POLL_READY, and may be NULL with a `room` of 0.
 * *result: the number of addresses, which may be more than `room`, or an error as zyntax_tcp_connect. Since 0.3. */
ZYNTAX_API PollStatus zyntax_resolve(zyntax_runtime *runtime, zyntax_op *op, const char *host, zyntax_address *out,
                                     size_t room, Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of the number of addresses + 1, or of an error as zyntax_resolve. [rt] The look-up begins with this
 * call, which copies `host`. `out` must live until the value has come. See section 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_resolve(const char *host, zyntax_address *out, size_t room) ZYNTAX_NOEXCEPT;

/* Connects to the first of n addresses that answers, in a race as in zyntax_tcp_connect. [rt] The addresses are
 * copied. Each has its own port. The deadline is in nanoseconds of zyntax_now_ns; UINT64_MAX: none.
 * *result: 0 and *out, or the error of the first address; ZYNTAX_ETIMEDOUT once the deadline is over (if it was over
 * before the call, no attempt begins); ZYNTAX_EINVAL for an n of 0 and a family other than 4 and 6; ZYNTAX_ENOMEM;
 * ZYNTAX_ECANCELED (the runtime is being destroyed). Since 0.3. */
ZYNTAX_API PollStatus zyntax_tcp_connect_to(zyntax_runtime *runtime, zyntax_op *op, const zyntax_address *addresses,
                                            size_t n, uint64_t deadline_ns, Waker *waker, zyntax_io **out,
                                            int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of a connection, its zyntax_io * as a number, or of an error as zyntax_tcp_connect_to. [rt] The connect
 * begins with this call, which copies the addresses. A connection that no poll has taken is closed. See section 10.
 * Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_connect_to(const zyntax_address *addresses, size_t n,
                                                     uint64_t deadline_ns) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 13. Datagrams and Unix-domain sockets
 * ---------------------------------------------------------------------------------------------------------------- */

/* Opens a UDP socket. [rt] `local` is copied. NULL: every interface, IPv6 and IPv4 where the system can, and a free
 * port. Port 0: a free port; zyntax_io_local tells which. An IPv6 address has IPv6 only; an IPv4-mapped address is the
 * IPv4 address. The port is exclusive, unless all of its sockets were opened with ZYNTAX_LISTEN_SHARED: the system then
 * spreads datagrams among them, and each gets those of its multicast groups.
 * zyntax_io_read, _write, _ready, _close and _detach work as on any handle: a write sends to the connected peer, and a
 * read does not tell that a datagram was cut off.
 * Returns 0, or ZYNTAX_EINVAL (NULL, an unknown flag or family, a link-local address without a scope),
 * ZYNTAX_EADDRINUSE, ZYNTAX_EADDRNOTAVAIL, ZYNTAX_EAFNOSUPPORT, ZYNTAX_EACCES, ZYNTAX_ENOSYS (as
 * zyntax_tcp_listen_with), ZYNTAX_EMFILE, ZYNTAX_ENOMEM or similar. Since 0.3. */
ZYNTAX_API int32_t zyntax_udp_open(zyntax_runtime *runtime, const zyntax_address *local, uint32_t flags,
                                   zyntax_io **out) ZYNTAX_NOEXCEPT;

/* Sets the peer of a datagram socket, which replaces an earlier one; NULL: none. [rt] From then on only datagrams from
 * the peer arrive. Datagrams that have arrived before are still received. If the network reports that the peer's port
 * has no receiver, one send or receive ends with ZYNTAX_ECONNREFUSED, and the socket stays usable. (Not on Windows.) A
 * socket without a peer does not report this error. The call sends nothing.
 * Returns 0, or ZYNTAX_EINVAL (port 0, an unknown family), ZYNTAX_EAFNOSUPPORT (IPv6 on an IPv4 socket, or IPv4 on a
 * socket that has IPv6 only), ZYNTAX_ESTALE, ZYNTAX_EOPNOTSUPP (no datagram socket), or an error of the system, such as
 * ZYNTAX_ENETUNREACH; the socket then has no peer. ZYNTAX_EADDRINUSE: when the socket left its former peer, another
 * program took the free port that Linux had chosen. Since 0.3. */
ZYNTAX_API int32_t zyntax_udp_connect(zyntax_io *io, const zyntax_address *peer) ZYNTAX_NOEXCEPT;

/* Sends one datagram: tries first, waits when there is no room. [rt] `to` NULL: to the connected peer. An IPv4 address
 * works on a socket that has IPv6 and IPv4. A `len` of 0 sends an empty datagram. The longest has 65,507 bytes (IPv6:
 * 65,527). A successful send does not guarantee delivery.
 * *result: `len`, or ZYNTAX_EMSGSIZE, ZYNTAX_ENOTCONN (no peer), ZYNTAX_ECONNREFUSED (see zyntax_udp_connect; nothing
 * was sent), ZYNTAX_EINVAL, ZYNTAX_EAFNOSUPPORT, ZYNTAX_EOPNOTSUPP (no datagram socket), ZYNTAX_EACCES (a broadcast
 * that the socket does not allow), ZYNTAX_ENETUNREACH, ZYNTAX_ENOBUFS (the datagram was dropped) and the like, or as
 * zyntax_io_write. Unix datagram sockets send to their peer only. Since 0.3. */
ZYNTAX_API PollStatus zyntax_udp_send(zyntax_io *io, zyntax_op *op, const void *buf, size_t len,
                                      const zyntax_address *to, Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of `len`, of 1 for an empty datagram, or of an error as zyntax_udp_send. [rt] `buf` and *to must live
 * until the value has come. See section 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_udp_send(zyntax_io *io, const void *buf, size_t len,
                                                   const zyntax_address *to) ZYNTAX_NOEXCEPT;

/* Receives one datagram: tries first, waits when there is none. [rt] Its first `len` bytes are stored, and the rest of
 * it is lost. *from, unless NULL, becomes the sender's address: family 4 also on a socket that has IPv6 and IPv4,
 * family 0 for a Unix socket. Any number of tasks may wait; a datagram goes to one of them. *result: the datagram's
 * length: 0 for an empty datagram, more than `len` for a truncated datagram (`len` + 1 where the system does not tell
 * the length: Windows, macOS, the BSDs). A `len` of 0 takes a datagram, too. Or ZYNTAX_ECONNREFUSED (see
 * zyntax_udp_connect), ZYNTAX_EOPNOTSUPP (no datagram socket), ZYNTAX_EINVAL, or as zyntax_io_read. Since 0.3. */
ZYNTAX_API PollStatus zyntax_udp_recv(zyntax_io *io, zyntax_op *op, void *buf, size_t len, zyntax_address *from,
                                      Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of the datagram's length + 1, or of an error as zyntax_udp_recv. [rt] `buf` and *from must live until
 * the value has come. See section 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_udp_recv(zyntax_io *io, void *buf, size_t len,
                                                   zyntax_address *from) ZYNTAX_NOEXCEPT;

/* Joins (`join` 1) or leaves (0) a multicast group on an interface. [rt] Interface 0: the scope of *group, or the
 * system's choice. The port of *group does not matter.
 * Returns 0, or ZYNTAX_EINVAL (NULL, another `join`, no multicast address, an unknown interface), ZYNTAX_EADDRINUSE (a
 * member already), ZYNTAX_EADDRNOTAVAIL (no member), ZYNTAX_EAFNOSUPPORT (as zyntax_udp_connect), ZYNTAX_ESTALE,
 * ZYNTAX_EOPNOTSUPP (no datagram socket), or an error of the system. Since 0.3. */
ZYNTAX_API int32_t zyntax_udp_member(zyntax_io *io, const zyntax_address *group, uint32_t interface_index,
                                     int32_t join) ZYNTAX_NOEXCEPT;

/* Listens on a path, as a Unix-domain stream socket. [rt] `len` is the number of bytes of `path`, without a NUL; a path
 * may fill all the room that the system has (108 bytes on Linux and Windows, 104 on macOS and the BSDs). On Linux a
 * leading NUL makes an abstract name: all bytes count, and there is no file.
 * zyntax_tcp_accept accepts from the handle, and zyntax_tcp_shutdown shuts an accepted connection down. zyntax_io_close
 * closes the handle. The library unlinks nothing: a path that exists is ZYNTAX_EADDRINUSE, also the socket file of a
 * process that has ended, and the file stays when the handle is closed. The file's mode is 0777 less umask.
 * Returns 0 or ZYNTAX_EINVAL (NULL, a len that is 0 or too long, a NUL inside of a path, an abstract name on another
 * system than Linux), ZYNTAX_EADDRINUSE, ZYNTAX_ENOENT, ZYNTAX_ENOTDIR, ZYNTAX_EACCES, ZYNTAX_EMFILE, ZYNTAX_ENOMEM,
 * ZYNTAX_ENOSYS, or another error of the system. On failure there is no file, unless the system refused to register the
 * socket (ZYNTAX_ENOSPC). Since 0.3. */
ZYNTAX_API int32_t zyntax_unix_listen(zyntax_runtime *runtime, const char *path, size_t len,
                                      zyntax_io **out) ZYNTAX_NOEXCEPT;

/* Connects to a path or an abstract name, as in zyntax_unix_listen. [rt] The path is copied by the first call. While
 * the listener's queue is full the call waits. Linux has no event for that: it tries again within 50 ms. The only time
 * limit is zyntax_join_until on the task.
 * *result: 0 and *out, or ZYNTAX_EINVAL as zyntax_unix_listen, ZYNTAX_ENOENT, ZYNTAX_ECONNREFUSED (no listener: another
 * kind of file, or the socket file of a process that has ended), ZYNTAX_EACCES, ZYNTAX_EOPNOTSUPP (a socket that is no
 * stream), ZYNTAX_EMFILE, ZYNTAX_ENOMEM, ZYNTAX_ECANCELED (the runtime is being destroyed), ZYNTAX_ENOSYS, or another
 * error of the system. Since 0.3. */
ZYNTAX_API PollStatus zyntax_unix_connect(zyntax_runtime *runtime, zyntax_op *op, const char *path, size_t len,
                                          Waker *waker, zyntax_io **out, int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of a connection, its zyntax_io * as a number, or of an error as zyntax_unix_connect. [rt] The connect
 * begins with this call, which copies the path. See section 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_unix_connect(const char *path, size_t len) ZYNTAX_NOEXCEPT;

/* Two Unix-domain stream sockets that are connected to each other. [rt] Returns 0, ZYNTAX_EINVAL (NULL, or the same
 * pointer twice), ZYNTAX_EMFILE, ZYNTAX_ENFILE, ZYNTAX_ENOMEM, ZYNTAX_ENOSPC, ZYNTAX_ECANCELED or ZYNTAX_ENOSYS
 * (Windows, WASI); on failure both are untouched. Since 0.3. */
ZYNTAX_API int32_t zyntax_unix_pair(zyntax_runtime *runtime, zyntax_io **one, zyntax_io **other) ZYNTAX_NOEXCEPT;

/* Sends a descriptor and one zero byte over a Unix-domain stream socket, after everything that was written before. [rt]
 * The receiver gets a duplicate. The caller keeps `fd`, which must stay open until the result has come.
 * *result: 1, or ZYNTAX_EBADF (`fd` is no open descriptor), ZYNTAX_EOPNOTSUPP (`io` is no Unix-domain stream socket, or
 * the system does not pass such a descriptor), ZYNTAX_EPIPE, ZYNTAX_ENOTCONN, ZYNTAX_EMFILE (more are on their way than
 * the system lets one user have), ZYNTAX_ENOSYS (Windows, WASI); otherwise as zyntax_io_write. Since 0.3. */
ZYNTAX_API PollStatus zyntax_unix_send_fd(zyntax_io *io, zyntax_op *op, intptr_t fd, Waker *waker,
                                          int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of 1, or of an error as zyntax_unix_send_fd. [rt] `fd` must stay open until the value has come. See
 * section 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_unix_send_fd(zyntax_io *io, intptr_t fd) ZYNTAX_NOEXCEPT;

/* Receives one byte with a descriptor from a Unix-domain stream socket. [rt] *fd is the caller's to close. It is
 * close-on-exec; whether it blocks is as the sender left it.
 * *result: 1 and *fd; 0 at the end of the stream; ZYNTAX_EPROTO for a byte that has no descriptor, or more than one
 * (the byte is consumed, and all of its descriptors are closed); ZYNTAX_EMFILE while the process can have no further
 * descriptor (nothing is consumed, unless another thread takes the last number at that moment); ZYNTAX_EOPNOTSUPP and
 * ZYNTAX_ENOSYS as zyntax_unix_send_fd; otherwise as zyntax_io_read. *fd is written with the result 1 only.
 * Descriptors that zyntax_io_read meets are closed. Descriptors that are still on their way when the receiving socket
 * is closed are closed, too. Since 0.3. */
ZYNTAX_API PollStatus zyntax_unix_recv_fd(zyntax_io *io, zyntax_op *op, intptr_t *fd, Waker *waker,
                                          int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of the descriptor + 1, as a value is never 0, of ZYNTAX_EOF, or of an error as zyntax_unix_recv_fd. [rt]
 * A descriptor that no poll has taken is closed with the task, or when a time limit ends the promise. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_unix_recv_fd(zyntax_io *io) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 14. Signals, child processes, files
 * ---------------------------------------------------------------------------------------------------------------- */

/* A subscription to one of the process's signals. A number behind a pointer type, with a generation. */
typedef struct zyntax_signal zyntax_signal;

/* Begins to count a signal, by the system's number (on Windows see PLATFORM DIFFERENCES). [rt] Any number of handles,
 * of any runtimes, may have one number; each counts every delivery. From then on the signal does not have its usual
 * effect on the process, such as ending it.
 *  - The first handle of a number installs a handler for the process, with SA_RESTART and SA_ONSTACK; a later handle
 *    installs it again if the host has changed the action meanwhile. The old action is not called. Closing the last
 *    handle restores the old action, unless the host has changed it since.
 *  - No thread's signal mask is changed. A thread that blocks the signal leaves it to others.
 *  - A forked child has the handler, which does nothing there, so the signal has no effect. A runtime of the child
 *    may open signals. A program that is executed begins with default actions.
 * Returns 0, ZYNTAX_EINVAL (NULL, no number of a signal, SIGKILL, SIGSTOP, a fault: SIGSEGV, SIGBUS, SIGFPE, SIGILL,
 * SIGTRAP, SIGSYS; or a number that the C library uses), ZYNTAX_ENOMEM, ZYNTAX_ECANCELED (the runtime is being
 * destroyed) or ZYNTAX_ENOSYS. Takes 600 bytes for the runtime from the C library; they are kept for a later runtime.
 * Since 0.3. */
ZYNTAX_API int32_t zyntax_signal_open(zyntax_runtime *runtime, int32_t number, zyntax_signal **out) ZYNTAX_NOEXCEPT;

/* Waits for the signal. [rt] The call is ready at once when the signal has come since the handle was opened, or
 * since the last result.
 * *result: the number of times that it has come in this time (> 0), or ZYNTAX_ESTALE, ZYNTAX_ECANCELED (closed while
 * waiting), ZYNTAX_EINVAL, ZYNTAX_ENOMEM. The handler's calls are counted: while a standard signal is pending, the
 * system drops further ones; it queues real-time signals.
 * Any number of tasks may wait on a handle, first come, first served. The first task gets the whole count, and the
 * others wait on. To tell several tasks, open a handle for each. The next wait gets the count that a cancelled wait
 * has not taken.
 * For ZYNTAX_DETECT_STALL a task that waits here counts as held. Since 0.3. */
ZYNTAX_API PollStatus zyntax_signal_wait(zyntax_signal *signal, zyntax_op *op, Waker *waker,
                                         int64_t *result) ZYNTAX_NOEXCEPT;

/* Ends the subscription: operations that wait end with ZYNTAX_ECANCELED. [rt] Returns 0 or ZYNTAX_ESTALE. The runtime
 * closes the handles that are left when it is destroyed. Once the last handle of the process is closed, no thread runs
 * the handler: the library may be unloaded when all runtimes are destroyed. Since 0.3. */
ZYNTAX_API int32_t zyntax_signal_close(zyntax_signal *signal) ZYNTAX_NOEXCEPT;

/* A promise of the count, or of an error, as zyntax_signal_wait. [rt] See section 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_signal_wait(zyntax_signal *signal) ZYNTAX_NOEXCEPT;

/* A child process whose end is awaited. A number behind a pointer type, with a generation. */
typedef struct zyntax_process zyntax_process;

/* What a child's descriptor 0, 1 or 2 is, instead of a descriptor of the host. */
enum {
    ZYNTAX_STDIO_INHERIT = -1, /* the host's own; closed if that is closed or close-on-exec */
    ZYNTAX_STDIO_NULL = -2,    /* the null device */
    ZYNTAX_STDIO_PIPE = -3     /* a new pipe; its other end is in `pipes` */
};

/* Flags of zyntax_process_options. */
enum {
    ZYNTAX_PROCESS_GROUP = 1,            /* leads a group of its own, which zyntax_process_signal reaches */
    ZYNTAX_PROCESS_DETACHED = 2,         /* leads a session of its own, without the host's terminal or console */
    ZYNTAX_PROCESS_KILL_WITH_RUNTIME = 4 /* zyntax_runtime_destroy kills it, also after zyntax_process_close */
};

/* The program that zyntax_process_spawn starts. Set `size`, `file` and `stdio` (0 is the host's descriptor 0), and
 * zero the other members unless you need them. The call reads the struct and the memory behind its pointers, and
 * keeps neither. Texts are UTF-8 on Windows. Since 0.3. */
typedef struct zyntax_process_options {
    size_t size;             /* sizeof(zyntax_process_options) */
    const char *file;        /* without a slash: searched in the host's PATH */
    const char *const *args; /* as argv: begins with the program's name, ends with NULL; NULL: the file alone */
    const char *const *env;  /* "NAME=value" ..., ends with NULL; NULL: the host's environment */
    const char *directory;   /* the child's working directory, in which a relative file is found; NULL: the host's */
    intptr_t stdio[3];       /* a descriptor of the host (>= 0), which stays the host's, or ZYNTAX_STDIO_... */
    uint32_t flags;          /* ZYNTAX_PROCESS_... */
} zyntax_process_options;

/* Starts a program as a child process. [rt] When the call returns 0, the program has begun (exec has succeeded).
 *  - `pipes` gets the host's ends of the pipes that `stdio` asks for, and NULL elsewhere. The host writes to
 *    pipes[0] and reads from pipes[1] and pipes[2]. They are I/O handles of the caller, which closes them with
 *    zyntax_io_close. `pipes` may be NULL if no pipe is asked for.
 *  - The child inherits no other descriptor, not even a descriptor that another thread opens meanwhile. One
 *    descriptor may serve two of the child's three, and they may be exchanged. The child's end of a pipe is
 *    blocking.
 *  - The child's signals have their default actions, and none is blocked. No handler of the host runs in it.
 *  - The file is searched as by execvp, in the parts of PATH one by one. The result is ZYNTAX_EACCES if the search
 *    found only files that may not be run. A script without "#!" is ZYNTAX_ENOEXEC: no shell runs it.
 *  - The runtime reaps the child while it is driven, also after zyntax_process_close. It installs no handler of
 *    SIGCHLD and waits for no child that it has not made. If the host waits for the child (waitpid with its number
 *    or -1), the status is lost (see zyntax_process_wait).
 *  - zyntax_runtime_destroy reaps a child that has ended. It leaves a running child alone, and the later zombie to
 *    the host. With ZYNTAX_PROCESS_KILL_WITH_RUNTIME it kills the child (with ZYNTAX_PROCESS_GROUP its group), waits
 *    for its end and reaps it.
 *  - io_open of zyntax_runtime_stats counts each process whose end is awaited.
 * Returns 0, or ZYNTAX_ENOENT (no such file or directory), ZYNTAX_EACCES, ZYNTAX_ENOEXEC, ZYNTAX_E2BIG,
 * ZYNTAX_ENOTDIR, ZYNTAX_ENAMETOOLONG, ZYNTAX_ELOOP, ZYNTAX_EBADF (a descriptor that is not open), ZYNTAX_EAGAIN
 * (too many processes), ZYNTAX_EMFILE, ZYNTAX_ENFILE, ZYNTAX_ENOMEM, ZYNTAX_ECANCELED (the runtime is being
 * destroyed), ZYNTAX_EINVAL (a NULL, an empty `args`, an unknown flag, stdio value or `size`), ZYNTAX_ENOSYS (see
 * Processes in PLATFORM DIFFERENCES) or another error of the system. A call that fails changes nothing: there is no
 * process and no pipe, and *out and `pipes` are as before. Since 0.3. */
ZYNTAX_API int32_t zyntax_process_spawn(zyntax_runtime *runtime, const zyntax_process_options *options,
                                        zyntax_io *pipes[3], zyntax_process **out) ZYNTAX_NOEXCEPT;

/* Watches a child that the host has made and reaps itself. [rt] `pid` is its number in the system. The runtime
 * observes the child's end and does not reap it: the host's waitpid still gets the status. Any number of handles may
 * watch one process.
 * Returns 0, ZYNTAX_ECHILD (not a child of this process), ZYNTAX_ESRCH (no such process, or it was reaped),
 * ZYNTAX_EINVAL (a NULL, a number below 1), ZYNTAX_ECANCELED (the runtime is being destroyed), ZYNTAX_ENOMEM or
 * ZYNTAX_ENOSYS (WASI). Since 0.3. */
ZYNTAX_API int32_t zyntax_process_watch(zyntax_runtime *runtime, int64_t pid, zyntax_process **out) ZYNTAX_NOEXCEPT;

/* Waits until the process has ended. [rt] It may be called again after the end, with the same result. Any number of
 * tasks may wait. The end of the process always ends the wait.
 * *result: the exit status (0 to 255), 256 + the number of the signal that ended it, ZYNTAX_ECHILD (it has ended,
 * and the host has taken the status, or ignores SIGCHLD), ZYNTAX_ESTALE, ZYNTAX_ECANCELED (closed while waiting) or
 * ZYNTAX_ENOMEM. zyntax_runtime_dump shows such a wait as ZYNTAX_WAIT_READABLE. Since 0.3. */
ZYNTAX_API PollStatus zyntax_process_wait(zyntax_process *process, zyntax_op *op, Waker *waker,
                                          int64_t *result) ZYNTAX_NOEXCEPT;

/* Sends a signal to the process, and with ZYNTAX_PROCESS_GROUP to its group. [rt] It never reaches another process
 * that has got the same number. The number 0 sends nothing and only checks. Returns 0, ZYNTAX_ESRCH once the process
 * has ended, ZYNTAX_EPERM, ZYNTAX_EINVAL (no such signal), or ZYNTAX_ESTALE. Since 0.3. */
ZYNTAX_API int32_t zyntax_process_signal(zyntax_process *process, int32_t number) ZYNTAX_NOEXCEPT;

/* The number of the process in the system, also after its end, or ZYNTAX_ESTALE. [rt] Since 0.3. */
ZYNTAX_API int64_t zyntax_process_id(zyntax_process *process) ZYNTAX_NOEXCEPT;

/* Ends the handle. [rt] The process goes on, and a child that was spawned is still reaped. Operations that wait end
 * with ZYNTAX_ECANCELED. Returns 0 or ZYNTAX_ESTALE. Since 0.3. */
ZYNTAX_API int32_t zyntax_process_close(zyntax_process *process) ZYNTAX_NOEXCEPT;

/* A promise of 1 + the status, as a value is never 0, or of an error as zyntax_process_wait. [rt] 1 is an exit with
 * 0, and 257 + n is the end by signal n. It is called inside a poll of a promise task, as the functions of section
 * 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_process_wait(zyntax_process *process) ZYNTAX_NOEXCEPT;

/* An open file. A number behind a pointer type, with a generation.
 *
 * Operations on a regular file or a block device run in threads of the blocking pool (see zyntax_blocking), which work
 * on memory of their own: bytes to write and paths are copied in the first call, bytes that were read are copied into
 * `buf` in the call that returns POLL_READY. So a call moves at most 1 MiB, and an operation that was cancelled never
 * touches the caller's memory. A cancelled operation that has not begun never happens; a write, sync or open that runs
 * still happens.
 * Offsets: UINT64_MAX is the current position, which the operation moves. Calls at the position take effect in the
 * order in which they were made, one after the other. A read at the position that is cancelled moves the position back,
 * so that the next read finds the bytes. A read also moves it back when its task, once woken, is polled and does not
 * call again; the task's later call begins anew. Operations at offsets run in parallel and leave the position alone. A
 * file that appends writes every time at its end, and ignores the offset. Each write is one system call: on a local
 * file system the bytes of two writes never mix.
 *
 * A pollable descriptor (a pipe, FIFO, terminal, socket) waits by readiness, as with zyntax_io_open: reads and writes
 * are those of zyntax_io_read and _write, which need `buf` in each call. It takes no offset (ZYNTAX_ESPIPE), has size
 * 0, and has nothing to sync. */
typedef struct zyntax_file zyntax_file;

/* Flags of zyntax_file_open. READ or WRITE or both; the others need WRITE. */
enum {
    ZYNTAX_FILE_READ = 1,
    ZYNTAX_FILE_WRITE = 2,
    ZYNTAX_FILE_CREATE = 4,    /* makes a file that is missing, with mode 0666 less the process's umask */
    ZYNTAX_FILE_NEW = 8,       /* makes the file, which must be missing (ZYNTAX_EEXIST); implies CREATE */
    ZYNTAX_FILE_TRUNCATE = 16, /* empties it */
    ZYNTAX_FILE_APPEND = 32    /* every write goes to the end, even while other processes write */
};

/* Opens a file; `path` is UTF-8 on Windows and bytes elsewhere, and is copied. [rt] The descriptor is close-on-exec.
 * An open never waits for the other end of a FIFO: a reader's first read waits for the first writer, and opening for
 * writing without a reader is ZYNTAX_EPIPE. A terminal does not become the controlling one.
 * *result: 0 and *out, or ZYNTAX_EINVAL (flags, NULL), ZYNTAX_ENOENT, ZYNTAX_ENOTDIR, ZYNTAX_EISDIR (a directory, also
 * for reading), ZYNTAX_EACCES, ZYNTAX_EEXIST, ZYNTAX_EROFS, ZYNTAX_ELOOP, ZYNTAX_ENAMETOOLONG, ZYNTAX_ENOSPC,
 * ZYNTAX_EMFILE, ZYNTAX_EOPNOTSUPP (a socket's file), ZYNTAX_EAGAIN (no thread could be started), ZYNTAX_ENOMEM,
 * ZYNTAX_ECANCELED (the runtime is being destroyed), or another error of the system. Cancelling closes what was opened;
 * a file that was made or emptied stays so. Since 0.3. */
ZYNTAX_API PollStatus zyntax_file_open(zyntax_runtime *runtime, zyntax_op *op, const char *path, uint32_t flags,
                                       Waker *waker, zyntax_file **out, int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of the zyntax_file * as a number, or of an error as zyntax_file_open. [rt] The open begins with this
 * call, which copies `path`. An opened file that no poll has taken is closed with the task, or when a time limit
 * ends the promise. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_file_open(const char *path, uint32_t flags) ZYNTAX_NOEXCEPT;

/* Makes a file of a descriptor of any kind, such as standard input (on Windows a HANDLE or a SOCKET). [rt] On
 * success the runtime owns the descriptor until close or detach. Give the same descriptor only once. A pollable
 * descriptor is registered and made non-blocking, as by zyntax_io_open. Operations on any other descriptor run on
 * the pool, and its settings stay as they are.
 * Returns 0, ZYNTAX_EBADF, ZYNTAX_EISDIR (a directory), ZYNTAX_EEXIST (pollable, and already registered),
 * ZYNTAX_ENOMEM, ZYNTAX_ENOSPC, ZYNTAX_EINVAL, ZYNTAX_ECANCELED (the runtime is being destroyed) or ZYNTAX_ENOSYS
 * (WASI). On failure the descriptor remains the caller's, unchanged. Since 0.3. */
ZYNTAX_API int32_t zyntax_file_from(zyntax_runtime *runtime, intptr_t fd, zyntax_file **out) ZYNTAX_NOEXCEPT;

/* Reads up to `len` bytes at `offset`. [rt]
 * *result: bytes read, which may be fewer; 0 at the end of the file and for a `len` of 0; ZYNTAX_EINVAL (an offset
 * above INT64_MAX that is not UINT64_MAX, NULL), ZYNTAX_ESPIPE (an offset where there is none), ZYNTAX_EBADF (not open
 * for reading), ZYNTAX_EIO, ZYNTAX_EAGAIN (no thread could be started), ZYNTAX_ENOMEM, ZYNTAX_ESTALE, ZYNTAX_ECANCELED
 * (closed while waiting, or the runtime is being destroyed). Since 0.3. */
ZYNTAX_API PollStatus zyntax_file_read(zyntax_file *file, zyntax_op *op, void *buf, size_t len, uint64_t offset,
                                       Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of the number of bytes read, of ZYNTAX_EOF, of ZYNTAX_EINVAL for a `len` of 0, or of an error as
 * zyntax_file_read. [rt] The read begins with this call. `buf` must live until the value has come. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_file_read(zyntax_file *file, void *buf, size_t len,
                                                    uint64_t offset) ZYNTAX_NOEXCEPT;

/* Writes up to `len` bytes at `offset`; a hole before it reads as zeroes. [rt]
 * *result: bytes written, which may be fewer; ZYNTAX_ENOSPC for a full disk (some systems tell zyntax_file_sync only),
 * ZYNTAX_EFBIG above a limit of size, never SIGXFSZ; ZYNTAX_EBADF (not open for writing); otherwise as
 * zyntax_file_read. Since 0.3. */
ZYNTAX_API PollStatus zyntax_file_write(zyntax_file *file, zyntax_op *op, const void *buf, size_t len, uint64_t offset,
                                        Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of the number of bytes written, which may be fewer than `len`, of ZYNTAX_EINVAL for a `len` of 0, or of
 * an error as zyntax_file_write. [rt] The write begins with this call. `buf` must live until the value has come.
 * Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_file_write(zyntax_file *file, const void *buf, size_t len,
                                                     uint64_t offset) ZYNTAX_NOEXCEPT;

/* Waits until the disk has the data of all writes that have ended. [rt] *result: 0, also where there is nothing to
 * store (pollable descriptors, devices without a disk), ZYNTAX_EIO, ZYNTAX_ENOSPC, ZYNTAX_EROFS; ZYNTAX_EAGAIN,
 * ZYNTAX_ENOMEM, ZYNTAX_ESTALE, ZYNTAX_ECANCELED as zyntax_file_read. Since 0.3. */
ZYNTAX_API PollStatus zyntax_file_sync(zyntax_file *file, zyntax_op *op, Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of 1, or of an error as zyntax_file_sync. [rt] The sync begins with this call. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_file_sync(zyntax_file *file) ZYNTAX_NOEXCEPT;

/* Finds the size of the file. [rt] *result: the size in bytes, which is 0 for pollable descriptors, devices and most
 * files of /proc; or an error as zyntax_file_sync. Since 0.3. */
ZYNTAX_API PollStatus zyntax_file_size(zyntax_file *file, zyntax_op *op, Waker *waker, int64_t *result) ZYNTAX_NOEXCEPT;

/* A promise of the size in bytes + 1, or of an error as zyntax_file_size. [rt] The operation begins with this call.
 * Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_file_size(zyntax_file *file) ZYNTAX_NOEXCEPT;

/* Closes the file. [rt] Every operation that waits on it ends with ZYNTAX_ECANCELED. An operation that runs in a thread
 * finishes, and its result is discarded. The descriptor is closed after it, so no operation can meet another file under
 * the same number. Errors of earlier writes are not reported: use zyntax_file_sync. Returns 0 or ZYNTAX_ESTALE. Since
 * 0.3. */
ZYNTAX_API int32_t zyntax_file_close(zyntax_file *file) ZYNTAX_NOEXCEPT;

/* Ends the handle and returns the descriptor, open. [rt] ZYNTAX_EBUSY, with nothing changed, while an operation of the
 * file on the pool has not ended, even if it was cancelled. A pollable descriptor is detached as by zyntax_io_detach:
 * waits end with ZYNTAX_ECANCELED, and it is blocking again if it was so before zyntax_file_from.
 * Returns 0, ZYNTAX_EBUSY, ZYNTAX_ESTALE, ZYNTAX_EINVAL for a NULL `fd`, or ZYNTAX_EBADF as zyntax_io_detach.
 * Since 0.3. */
ZYNTAX_API int32_t zyntax_file_detach(zyntax_file *file, intptr_t *fd) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 15. Tasks that belong together
 * ---------------------------------------------------------------------------------------------------------------- */

/* A group of tasks that are awaited and cancelled together, as the nurseries of Trio and Java's structured scopes. A
 * number with a generation. The cost of a task's end does not depend on the number of tasks. */
typedef struct zyntax_scope zyntax_scope;

/* Creates a scope without tasks. [rt] Returns 0, ZYNTAX_EINVAL (NULL), ZYNTAX_ENOMEM, or ZYNTAX_ECANCELED while the
 * runtime is being destroyed. Since 0.3. */
ZYNTAX_API int32_t zyntax_scope_create(zyntax_runtime *runtime, zyntax_scope **out) ZYNTAX_NOEXCEPT;

/* Starts a task in the scope, as zyntax_runtime_spawn_with. [rt] It takes 80 bytes more than such a task; 32 of them
 * are kept after its end until zyntax_scope_next reports it or the scope ends.
 * Returns NULL, after `drop` was called with ZYNTAX_ECANCELED and an owned state was freed, when the scope was
 * cancelled or the runtime is being destroyed. Returns NULL with nothing changed when memory is short, `poll` is NULL
 * or the scope is stale. Since 0.3. */
ZYNTAX_API zyntax_task *zyntax_scope_spawn(zyntax_scope *scope, FutureState state, PollFn poll, DropFn drop,
                                           size_t owned) ZYNTAX_NOEXCEPT;

/* Waits until a task of the scope has ended. [rt] Each ended task is reported to one caller, in the order of the
 * ends; callers are served first come, first served. The drop function of the task has run before.
 * *result: 1 and the task in *ended, whose handle is stale and only identifies it; 0 and NULL when no task is left;
 * ZYNTAX_EDEADLK for a task of the scope when it is the only one left; ZYNTAX_ESTALE, ZYNTAX_ECANCELED (the scope
 * was destroyed while waiting), ZYNTAX_EINVAL, ZYNTAX_ENOMEM. Since 0.3. */
ZYNTAX_API PollStatus zyntax_scope_next(zyntax_scope *scope, zyntax_op *op, Waker *waker, zyntax_task **ended,
                                        int64_t *result) ZYNTAX_NOEXCEPT;

/* Waits until every task of the scope has ended and its drop function has run. [rt] *result: 0, or an error as
 * zyntax_scope_next. If zyntax_scope_next was never called for the scope, the records of its ended tasks are freed.
 * Otherwise zyntax_scope_next still reports these tasks. Since 0.3. */
ZYNTAX_API PollStatus zyntax_scope_join(zyntax_scope *scope, zyntax_op *op, Waker *waker,
                                        int64_t *result) ZYNTAX_NOEXCEPT;

/* Cancels every task of the scope, as zyntax_task_cancel. [any] When the call has returned, no later spawn succeeds,
 * in any thread, and no task of the scope is polled again, except for a poll in progress. Scopes that these tasks
 * have made are not cancelled: the tasks' drop functions destroy them.
 * Returns 0, also for a cancelled scope, or ZYNTAX_ESTALE. Since 0.3. */
ZYNTAX_API int32_t zyntax_scope_cancel(zyntax_scope *scope) ZYNTAX_NOEXCEPT;

/* Cancels every task of the scope, as zyntax_scope_cancel, and ends the handle. [rt] Callers that wait end with
 * ZYNTAX_ECANCELED. When the poll of a task of the scope calls it, that poll decides about its own task, as with
 * zyntax_task_cancel. Returns 0 or ZYNTAX_ESTALE. The runtime destroys the scopes that are left. Since 0.3. */
ZYNTAX_API int32_t zyntax_scope_destroy(zyntax_scope *scope) ZYNTAX_NOEXCEPT;

/* Interrupts a task: one of its await points ends with ZYNTAX_EINTR, and the task goes on, unlike a cancelled one.
 * [any]
 *  - The await point where the task waits ends. If the task does not wait, the next await point that would have to
 *    wait ends.
 *  - An await point tries first. A result that is there is given, and the interrupt stays for the next await point.
 *    A call that waits on an I/O handle of another runtime ends without another try.
 *  - Two interrupts before one is seen are one.
 *  - A task that waits for a waker of its own is polled once, and the interrupt stays.
 *  - The operation is given up as by zyntax_op_cancel. No byte, item or connection is lost. *done of
 *    zyntax_io_write_all counts the bytes that were written. The result of a running job is discarded, and a job that
 *    has not begun does not begin. A joined task is not interrupted.
 *  - Interrupts end every call that takes an op, and the promises of this library; of nested promises the innermost
 *    ends.
 *  - zyntax_sleep, zyntax_sleep_until and zyntax_join_all have no result and end with POLL_READY: see
 *    zyntax_task_interrupted.
 * Returns 0, also for a cancelled task, which it does not affect, or ZYNTAX_ESTALE once the task has ended. Since
 * 0.3. */
ZYNTAX_API int32_t zyntax_task_interrupt(zyntax_task *task) ZYNTAX_NOEXCEPT;

/* Tells whether an interrupt has ended the newest await point that has ended in this poll. [any] Returns 1 if it
 * has. Returns 0 otherwise, also after a call that returned 1, and outside of polls. Since 0.3. */
ZYNTAX_API int32_t zyntax_task_interrupted(void) ZYNTAX_NOEXCEPT;

/* A promise of the ended task as a number, of ZYNTAX_EOF when no task is left, or of an error as zyntax_scope_next.
 * [rt] See section 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_scope_next(zyntax_scope *scope) ZYNTAX_NOEXCEPT;

/* A promise of 1, or of an error as zyntax_scope_join. [rt] See section 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_scope_join(zyntax_scope *scope) ZYNTAX_NOEXCEPT;

/* Returns the local word of the task whose poll or drop function this thread is running, innermost first; NULL
 * elsewhere. [any] A compiler keeps values there that belong to a task and to no single function: a context, a
 * current span, a dynamic scope.
 *  - A task begins with a copy of its spawner's word when a task's poll or drop function spawns it, in any runtime,
 *    with zyntax_runtime_spawn, zyntax_scope_spawn, zyntax_promise_spawn_child or the like. It begins with NULL when
 *    the host or a posted function spawns it.
 *  - The drop function of a task has the task's word. The drop function of a refused spawn has its caller's word,
 *    and a word that it sets holds until it returns.
 *  - Hooks of section 9 may use the word instead of `enter` and `leave`: the code that a promise polls, and `drop`,
 *    find their context here, and children begin with it.
 * Since 0.3. */
ZYNTAX_API void *zyntax_task_local(void) ZYNTAX_NOEXCEPT;

/* Sets the local word of the task whose poll or drop function this thread is running; elsewhere it does nothing.
 * [any] The library copies the word and never reads the memory that it points to. Tasks that exist keep their words.
 * A task's first word that is not NULL takes 32 bytes until the task's end; when memory for them is short, the task
 * keeps NULL. In a drop function, and for a task that began with a word, the call never fails. Since 0.3. */
ZYNTAX_API void zyntax_task_set_local(void *word) ZYNTAX_NOEXCEPT;

/* Names a live task, for zyntax_runtime_dump and traces. [rt] The UTF-8 text is copied, and is cut after at most 31
 * bytes, at the end of a character. NULL removes the name. A name takes 64 bytes until the task's end. Children have
 * no name.
 * Returns 0, ZYNTAX_ESTALE (also once the task's drop function runs), or ZYNTAX_ENOMEM, which changes nothing. Since
 * 0.3. */
ZYNTAX_API int32_t zyntax_task_name(zyntax_task *task, const char *name) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 16. Between threads
 * ---------------------------------------------------------------------------------------------------------------- */

/* A bounded queue of items between threads: tasks of any runtimes, and any threads; many senders to many receivers. A
 * number with a generation. A port belongs to no runtime and outlives them. The memory of its items comes from the C
 * library. */
typedef struct zyntax_port zyntax_port;

/* Creates a port for `capacity` items of `item_size` bytes each. [any] A port with an item_size of 0 counts signals.
 * Ports work between threads and belong to no runtime; the caller destroys them.
 * Returns 0, ZYNTAX_EINVAL (a capacity of 0, NULL), ZYNTAX_ENOMEM (also beyond a million ports). Since 0.3. */
ZYNTAX_API int32_t zyntax_port_create(size_t capacity, size_t item_size, zyntax_port **out) ZYNTAX_NOEXCEPT;

/* Sends a copy of *item; waits while the port is full. [rt] Must be called inside the poll of a task, of any runtime.
 * Callers that wait are served first come, first served. A caller that was woken has its turn until its task's next
 * poll, or until another caller asks while no thread drives the task's runtime. So a runtime that stands still never
 * stops the other callers. No item is lost or doubled when a caller that waits is cancelled or forgotten, or its
 * runtime ends. A task that waits counts as held (zyntax_runtime_hold) for stall detection.
 * *result: 0, ZYNTAX_EPIPE once the port is closed, ZYNTAX_ESTALE, ZYNTAX_ECANCELED (destroyed while waiting),
 * ZYNTAX_EINVAL (outside a poll, NULL), ZYNTAX_ENOMEM. Since 0.3. */
ZYNTAX_API PollStatus zyntax_port_send(zyntax_port *port, zyntax_op *op, const void *item, Waker *waker,
                                       int64_t *result) ZYNTAX_NOEXCEPT;

/* Receives into *item; waits while the port is empty. [rt] As zyntax_port_send. *result: 1 with an item, 0 when the
 * port is closed and empty; errors as zyntax_port_send. Since 0.3. */
ZYNTAX_API PollStatus zyntax_port_recv(zyntax_port *port, zyntax_op *op, void *item, Waker *waker,
                                       int64_t *result) ZYNTAX_NOEXCEPT;

/* Sends without waiting. [any] Returns 0, ZYNTAX_EAGAIN (full, or the places are reserved for callers that waited
 * before), ZYNTAX_EPIPE, ZYNTAX_ESTALE, ZYNTAX_EINVAL. Since 0.3. */
ZYNTAX_API int32_t zyntax_port_try_send(zyntax_port *port, const void *item) ZYNTAX_NOEXCEPT;

/* Receives without waiting. [any] Returns 1 with an item, 0 when the port is closed and empty, ZYNTAX_EAGAIN (empty, or
 * the items are reserved), ZYNTAX_ESTALE, ZYNTAX_EINVAL. Since 0.3. */
ZYNTAX_API int32_t zyntax_port_try_recv(zyntax_port *port, void *item) ZYNTAX_NOEXCEPT;

/* Closes the port: later sends fail, and queued items can still be received. [any] Returns 0, also for a closed
 * port, or ZYNTAX_ESTALE. Since 0.3. */
ZYNTAX_API int32_t zyntax_port_close(zyntax_port *port) ZYNTAX_NOEXCEPT;

/* Destroys the port and drops the bytes of its items; callers that wait end with ZYNTAX_ECANCELED. [any] Close and
 * drain the port first when its items own something. Returns 0 or ZYNTAX_ESTALE. Since 0.3. */
ZYNTAX_API int32_t zyntax_port_destroy(zyntax_port *port) ZYNTAX_NOEXCEPT;

/* A promise of 1, or of an error as zyntax_port_send. [rt] The send begins with this call, which copies the item.
 * See section 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_port_send(zyntax_port *port, const void *item) ZYNTAX_NOEXCEPT;

/* A promise of 1 with an item, of ZYNTAX_EOF when the port is closed and empty, or of an error as zyntax_port_recv.
 * [rt] `item` must live until the value has come. See section 10. Since 0.3. */
ZYNTAX_API zyntax_promise *zyntax_promise_port_recv(zyntax_port *port, void *item) ZYNTAX_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------------------------
 * 17. Traces
 * ---------------------------------------------------------------------------------------------------------------- */

/* Starts a trace of what the runtime does, or ends it with a NULL `write`. [rt] A second call replaces the trace.
 * The trace is text in Chrome's trace event format, which Perfetto opens and tools/trace_view.py turns into a page. It
 * is an array of JSON, and can be opened while it grows: the format allows an array without an end.
 *  - Each task has a track. The track's number is the index in the handle (its low 32 bits); its name is the task's
 *    name, or the handle in hex. Each poll is a complete event of the category "poll", with the handle, the number of
 *    the poll and what the task waits for then (as zyntax_wait), or with "ended". Instants "spawn" and "end" stand at
 *    the end of the poll in which they happened. The drop of a cancelled task is a complete event of the category
 *    "drop". Tasks that exist already get their track at their next poll.
 *  - An arrow (a flow event named "wake") leads from each poll to the polls of the tasks that it woke or spawned.
 *  - Further tracks:
 *    - "kernel": the waits in the kernel (those without a sleep only if they found events), and slices "outside polls"
 *      in which events, timers or the host woke tasks,
 *    - "posted calls",
 *    - "pool": jobs of the blocking pool, as the loop sees them begin and end,
 *    - "other threads": wakes of other threads and of the host, when the loop takes them.
 *  - Counters are at least half a millisecond apart.
 *  - `ts` and `dur` are microseconds of the runtime's clock with three decimals. Handles and other numbers of 64 bits
 *    are strings in hex. Slices and instants come in the order in which they end; an arrow's end follows its slice.
 * `write` gets whole events, at most 64 KiB at a time. It is called on the runtime's thread, outside polls: before each
 * sleep in the kernel (also of a host, see zyntax_runtime_backend_fd), when half of 64 KiB has collected, at the end of
 * the trace and in destroy. It may not call this API. With a negative result the trace ends, and `write` is not called
 * again. If the events of a single poll exceed 64 KiB, the rest of them is lost, and an event named "lost events"
 * reports it.
 * A call inside a poll takes effect when that poll has returned: `write` and `ctx` of a trace that it ends or replaces
 * must live until then. A trace that it starts begins with the rest of that poll. A forked child's copy writes nothing.
 * While there is no trace, polls are as fast as without this function.
 * Returns 0, ZYNTAX_EINVAL (a NULL runtime, or a call by `write`), ZYNTAX_ENOMEM (no trace has begun), or
 * ZYNTAX_ECANCELED (a start while the runtime is being destroyed). Since 0.3. */
ZYNTAX_API int32_t zyntax_runtime_trace(zyntax_runtime *runtime,
                                        int32_t (*write)(void *ctx, const char *bytes, size_t len),
                                        void *ctx) ZYNTAX_NOEXCEPT;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ZYNTAX_ASYNC_RUNTIME_H */
