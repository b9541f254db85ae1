// processes.h on Unix: how a child starts.
#include "process_plan_unix.h"

#if !defined(_WIN32) && !defined(__wasi__)

#include "posix.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#if defined(__APPLE__)
#include <crt_externs.h>
#define environ (*_NSGetEnviron())
#elif !defined(__linux__)
extern "C" char **environ;
#endif

namespace zyntax::os {

namespace {

// fork copies the page tables of a large host, and runs its handlers of pthread_atfork. vfork suspends this thread
// until exec. The child runs on this stack frame, so this function does nothing else.
[[gnu::noinline]] pid_t begin_child(Plan *plan) {
#if defined(__linux__)
    pid_t pid = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
#else
    pid_t pid = fork();
#endif
    if (pid == 0) run_child(plan); // NOLINT(clang-analyzer-unix.Vfork)
    return pid;
}

pid_t begin_without_signals(Plan *plan) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = begin_child(plan);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return pid;
}

// The error that the child reported, or 0 after its exec. If the child shares the parent's memory, the exec has
// happened, and the answer is read without a wait: a process that another thread has forked cannot delay it by holding
// the pipe.
int receive_report(int fd, bool has_happened) {
    pollfd asked = {fd, POLLIN, 0};
    while (!has_happened && poll(&asked, 1, -1) < 0 && errno == EINTR) {
    }
    int error = 0;
    ssize_t n;
    do {
        n = ::read(fd, &error, sizeof error);
    } while (n < 0 && errno == EINTR);
    return n == sizeof error ? error : 0;
}

int move_up(int fd) {
    if (fd >= first_other) return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, first_other), error = errno;
    ::close(fd);
    errno = error;
    return moved;
}

// Where the host has closed some of 0 to 2, a pipe would have their numbers.
int32_t open_pipe_above_stdio(int (&ends)[2]) {
    int32_t error = open_pipe(ends);
    if (error) return error;
    ends[0] = move_up(ends[0]);
    if (ends[0] < 0) error = last_error();
    ends[1] = move_up(ends[1]);
    if (ends[1] < 0 && !error) error = last_error();
    for (int end : ends) {
        if (error && end >= 0) ::close(end);
    }
    return error;
}

} // namespace

int32_t open_child_pipe(bool child_reads, intptr_t *ours, intptr_t *childs) {
    int ends[2];
    int32_t error = open_pipe_above_stdio(ends);
    if (error) return error;
    *ours = ends[child_reads];
    *childs = ends[!child_reads];
    set_blocking(*childs);
    return 0;
}

// The numbers of the caller's descriptors are checked before a new descriptor may get one of them.
int32_t spawn(Memory &, const zyntax_process_options &options, Child *out) {
    for (intptr_t fd : options.stdio) {
        if (fd >= 0 && (fd > INT_MAX || fcntl(static_cast<int>(fd), F_GETFD) < 0)) return ZYNTAX_EBADF;
    }
    int report[2];
    int32_t error = open_pipe_above_stdio(report);
    if (error) return error;
    const char *alone[] = {options.file, nullptr};
    const char *path = getenv("PATH"); // NOLINT(concurrency-mt-unsafe): the child gets the environment as it is, too
    auto to_vector = [](const char *const *texts) { return const_cast<char *const *>(texts); };
    Plan plan = {options,
                 to_vector(options.args ? options.args : alone),
                 options.env ? to_vector(options.env) : environ,
                 path ? path : "/usr/local/bin:/bin:/usr/bin",
                 report[1],
                 false};
    pid_t pid = begin_without_signals(&plan);
    if (pid < 0) error = last_error();
    ::close(report[1]);
    int reported = pid >= 0 ? receive_report(report[0], plan.shares) : 0;
    ::close(report[0]);
    if (reported) {
        siginfo_t ended;
        while (waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED) < 0 && errno == EINTR) {
        }
        return code_of(reported);
    }
    out->pid = pid;
    return error;
}

} // namespace zyntax::os

#endif // !_WIN32 && !__wasi__
