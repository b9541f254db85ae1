// A sandbox, or an older kernel, refuses a system call that has an older form. The older form does the work.
#include "filter_support.h"
#include "io_support.h"

using namespace support;

namespace {

#if defined(__linux__) && __has_include(<linux/seccomp.h>)
// The calls with an older form that the built-in poller and TCP may make.
const Refused newer_calls[] = {
    {"accept4", SYS_accept4},
    {"eventfd2", SYS_eventfd2},
    {"epoll_create1", SYS_epoll_create1},
    {"pipe2 with flags", SYS_pipe2, O_CLOEXEC | O_NONBLOCK}, // without flags the C library makes it from pipe
    {"socket with flags", SYS_socket, SOCK_CLOEXEC | SOCK_NONBLOCK},
    {"ppoll", SYS_ppoll},
#ifdef SYS_epoll_pwait2
    {"epoll_pwait2", SYS_epoll_pwait2},
#endif
};

// A write to a pipe that neither waits nor raises a signal, and a write that does not wait. The flags are the last
// argument.
constexpr uint32_t no_signal = 0x100;
const Refused newer_writes[] = {{"pwritev2 without a signal", SYS_pwritev2, no_signal, 5}, {"pwritev2", SYS_pwritev2}};

bool has_silent_writes() {
    int fds[2];
    make_pipe(fds);
    iovec part = {fds, 1};
    bool has = syscall(SYS_pwritev2, fds[1], &part, 1, -1L, -1L, no_signal) == 1;
    for (int fd : fds) ::close(fd);
    return has;
}

// Whether this processor's kernel has the older form at all.
bool has_older_form(const Refused &call) {
#ifdef SYS_epoll_create
    constexpr bool has_all = true;
#else
    constexpr bool has_all = false;
#endif
    return has_all || call.bits || call.number == SYS_accept4 || std::strstr(call.name, "pwait2");
}
#else
const Refused newer_calls[] = {{"none", 0}}, newer_writes[] = {{"none", 0}};
bool has_older_form(const Refused &) { return false; }
#endif

bool is_private_and_nonblocking(zyntax_io *io) {
    auto fd = Descriptor(zyntax_io_fd(io));
    return !is_blocking(fd) && !is_inheritable(fd);
}

// A runtime sleeps, is woken from another thread, listens, connects, accepts and reads. 0, or the number of the check
// that failed.
int works() {
    if (zyntax_runtime *probe = zyntax_runtime_create()) zyntax_runtime_destroy(probe);
    else return 11;
    Runtime rt;
    uint64_t before = zyntax_now_ns(rt);
    if (await(rt, sleeping(rt, 2 * ms)) != 0) return 1;
    if (zyntax_now_ns(rt) - before < 2 * ms) return 2;
    if (rt.idle_waits() > idle_budget) return 3;
    zyntax_io *listener = nullptr, *client = nullptr, *server = nullptr;
    if (zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) != 0) return 4;
    auto port = uint16_t(zyntax_tcp_port(listener));
    if (await(rt, connecting(rt, "127.0.0.1", port, &client)) != 0) return 5;
    if (await(rt, accepting(listener, &server)) != 0) return 6;
    for (zyntax_io *io : {listener, client, server})
        if (!is_private_and_nonblocking(io)) return 7;
    if (await(rt, writing(client, "hello", 5)) != 5) return 8;
    char buf[8];
    if (await(rt, reading(server, buf, sizeof buf)) != 5) return 9;
    zyntax_runtime *raw = rt;
    Task waiting{[](Waker *) { return POLL_PENDING; }};
    waiting.spawn(rt);
    Thread stopper([raw] { zyntax_runtime_stop(raw); });
    int32_t stopped = zyntax_runtime_run(rt);
    stopper.join();
    return stopped == ZYNTAX_ECANCELED ? 0 : 10;
}

// As works, for a pipe: a write with a reader, and writes without a reader.
int pipe_works() {
    auto action = SigpipeAction::deadly();
    Runtime rt;
    Pair pair = pipe_from_runtime();
    zyntax_io *io = adopt(rt, pair.near);
    if (await(rt, writing(io, "hello", 5)) != 5) return 1;
    char buf[8];
    if (receive_some(pair.far, buf, sizeof buf) != 5) return 2;
    pair.far.reset();
    for (int again = 0; again < 2; again++)
        if (await(rt, writing(io, "x", 1)) != ZYNTAX_EPIPE) return 3;
    return SigpipeAction::is_pending() ? 4 : 0;
}

// Checks that a function returns 0 in a process to which the call is refused with each error. False: nothing can be
// refused here.
bool check_without(const Refused &call, int (*works_without)()) {
    for (int error : {EPERM, EACCES, EINVAL, ENOSYS, EOPNOTSUPP}) {
        CAPTURE(std::string(call.name));
        CAPTURE(error);
        Child child([&] { return refuse(call, error) ? works_without() : no_filters; });
        int end = child.end();
        if (end == no_filters) {
            MESSAGE("skipped: this process cannot install a filter of system calls");
            return false;
        }
        CHECK(end == 0);
    }
    return true;
}

} // namespace

TEST_CASE("a_write_to_a_pipe_works_where_the_newer_calls_are_refused") {
    SKIP_WHEN(!has_filters, "only Linux filters system calls");
    for (const Refused &call : newer_writes)
        if (!check_without(call, pipe_works)) return;
}

TEST_CASE("a_write_to_a_pipe_is_one_system_call_where_the_kernel_can_raise_no_signal") {
    SKIP_WHEN(!has_filters, "only Linux filters system calls");
#ifdef SYS_pwritev2
    SKIP_WHEN(!has_silent_writes(), "this kernel has no RWF_NOSIGNAL");
    Child child([&] {
        Runtime rt;
        Pair pair = pipe_from_runtime();
        zyntax_io *io = adopt(rt, pair.near);
        for (auto number : {SYS_rt_sigprocmask, SYS_rt_sigtimedwait, SYS_rt_sigpending, SYS_fcntl})
            if (!refuse({"another call", uint32_t(number)}, EPERM)) return no_filters;
        Task writer;
        int64_t result = unfinished;
        writer.on_poll = [&](Waker *waker) { return zyntax_io_write(io, &writer.op, "hello", 5, waker, &result); };
        writer.spawn(rt);
        return zyntax_runtime_run(rt) == 0 && result == 5 ? 0 : 1;
    });
    int end = child.end();
    SKIP_WHEN(end == no_filters, "this process cannot install a filter of system calls");
    CHECK(end == 0);
#endif
}

TEST_CASE("a_runtime_works_where_a_newer_system_call_is_refused") {
    SKIP_WHEN(!has_filters, "only Linux filters system calls");
    SKIP_WHEN(on_libkqueue, "libkqueue makes calls of its own");
    for (const Refused &call : newer_calls)
        if (has_older_form(call) && !check_without(call, works)) return;
}

// The loop has no other call to wait with. It must not spin.
TEST_CASE("a_drive_whose_wait_is_refused_altogether_ends_with_the_systems_error") {
    SKIP_WHEN(!has_filters, "only Linux filters system calls");
#if defined(SYS_epoll_wait) && defined(SYS_epoll_pwait2)
    SKIP_WHEN(std::strcmp(zyntax_runtime_backend(), "epoll") != 0, "another poller");
    for (int error : {EPERM, ENOSYS, EACCES}) {
        CAPTURE(error);
        Child child([&] {
            Runtime rt;
            for (auto number : {SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2})
                if (!refuse({"wait", uint32_t(number)}, error)) return no_filters;
            Task waiting{[](Waker *) { return POLL_PENDING; }};
            waiting.spawn(rt);
            bool as_it_says = zyntax_runtime_run(rt) == -error;
            uint64_t waits = rt.stats().kernel_waits;
            return as_it_says && waits <= 2 ? 0 : 1;
        });
        int end = child.end();
        SKIP_WHEN(end == no_filters, "this process cannot install a filter of system calls");
        CHECK(end == 0);
    }
#endif
}
