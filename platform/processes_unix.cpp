// processes.h on Unix: the end of a process, and signals. There is no handler of SIGCHLD, and each wait names one
// process. A pidfd of Linux stays with its process. The number of a process may be reused after the reap, so it is used
// only before.
#include "processes.h"

#if !defined(_WIN32) && !defined(__wasi__)

#include "posix.h"

#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#if defined(__linux__)
#include <sys/syscall.h>
#else
#include <sys/event.h>
#endif

namespace zyntax::os {

namespace {

#if defined(__linux__)
// A descriptor that becomes readable when the process ends, or -1: kernels before 5.3, a sandbox, no descriptors left.
int open_process([[maybe_unused]] int64_t pid) {
#if defined(SYS_pidfd_open)
    return static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0u));
#else
    return -1;
#endif
}
#endif

int wait_for(const Child &child, siginfo_t *info, int options) {
    int failed;
    do {
        *info = {};
#if defined(SYS_pidfd_open)
        constexpr auto by_descriptor = static_cast<idtype_t>(3); // P_PIDFD, since 5.4
        failed = child.process >= 0 ? waitid(by_descriptor, static_cast<id_t>(child.process), info, options) : -1;
        if (child.process < 0 || (failed && errno == EINVAL))
#endif
            failed = waitid(P_PID, static_cast<id_t>(child.pid), info, options);
    } while (failed && errno == EINTR);
    return failed;
}

int64_t end_of(const Child &child, int options) {
    siginfo_t info;
    if (wait_for(child, &info, WEXITED | options) != 0) return ZYNTAX_ECHILD;
    if (!info.si_pid) return ZYNTAX_EAGAIN;
    return info.si_code == CLD_EXITED ? info.si_status & 0xff : 256 + info.si_status;
}

} // namespace

int64_t look_at(const Child &child, bool reaps) { return end_of(child, WNOHANG | (reaps ? 0 : WNOWAIT)); }

int32_t find_child(int64_t pid, Child *out) {
    out->pid = pid;
    if (pid > INT_MAX) return ZYNTAX_ESRCH;
    if (look_at(*out, false) != ZYNTAX_ECHILD) return 0;
    return kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH ? ZYNTAX_ESRCH : ZYNTAX_ECHILD;
}

// The queue has one watcher of a process, so only spawned processes use it. It refuses a process that has ended.
Report await_end(Child *child, [[maybe_unused]] intptr_t queue, [[maybe_unused]] uintptr_t word,
                 [[maybe_unused]] bool is_ours) {
#if defined(__linux__)
    child->process = open_process(child->pid);
    return child->process >= 0 ? Report::by_descriptor : Report::never;
#else
    if (queue < 0 || !is_ours) return Report::never;
    struct kevent change = {};
    change.ident = static_cast<uintptr_t>(child->pid);
    change.filter = EVFILT_PROC;
    change.flags = EV_ADD | EV_ONESHOT;
    change.fflags = NOTE_EXIT;
    change.udata = reinterpret_cast<void *>(word);
    return kevent(static_cast<int>(queue), &change, 1, nullptr, 0, nullptr) == 0 ? Report::by_queue : Report::never;
#endif
}

int32_t signal_process(const Child &child, int32_t number, bool to_group) {
    auto pid = static_cast<pid_t>(child.pid);
#if defined(SYS_pidfd_send_signal)
    if (!to_group && child.process >= 0 &&
        syscall(SYS_pidfd_send_signal, static_cast<int>(child.process), number, nullptr, 0u) == 0)
        return 0;
    if (!to_group && child.process >= 0 && errno != ENOSYS && errno != EPERM) return last_error();
#endif
    return kill(to_group ? -pid : pid, number) == 0 ? 0 : last_error();
}

// A process with another user's rights is not killed, and would not end.
int64_t kill_and_reap(const Child &child, bool with_group) {
    int64_t outcome = look_at(child, true);
    if (outcome != ZYNTAX_EAGAIN || signal_process(child, SIGKILL, with_group) != 0) return outcome;
    return end_of(child, 0);
}

void end_child(Child *child) {
    if (child->process >= 0) close(child->process);
    child->process = -1;
}

void forget_child(const Child &child) {
    if (child.process >= 0) close(child.process);
}

} // namespace zyntax::os

#endif // !_WIN32 && !__wasi__
