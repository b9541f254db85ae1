// processes.h on Unix: the child between fork and exec. It makes only calls that are async-signal-safe, as other
// threads of the host may hold locks, and on Linux it shares the host's memory until exec (vfork). All signals are
// blocked at first, so that no handler of the host runs here.
#include "process_plan_unix.h"

#if !defined(_WIN32) && !defined(__wasi__)

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace zyntax::os {

namespace {

// As the descriptors 0 to 2 are replaced one by one, a source among them moves out of the way first.
bool set_up_stdio(const Plan &plan) {
    int from[3];
    for (int i = 0; i < 3; i++) {
        intptr_t given = plan.options.stdio[i];
        if (given == ZYNTAX_STDIO_NULL) from[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        else from[i] = static_cast<int>(given);
        bool is_there = given == ZYNTAX_STDIO_INHERIT || from[i] == i;
        if (!is_there && from[i] >= 0 && from[i] < first_other) from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, first_other);
        if (from[i] < 0 && given != ZYNTAX_STDIO_INHERIT) return false;
    }
    for (int i = 0; i < 3; i++) {
        if (plan.options.stdio[i] == ZYNTAX_STDIO_INHERIT) continue;
        if (from[i] == i ? fcntl(i, F_SETFD, 0) < 0 : dup2(from[i], i) < 0) return false;
    }
    return true;
}

void close_on_exec(int fd) {
    if (fd >= first_other) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

#if defined(__linux__)
int to_number(const char *digits) { // 0 for "." and ".."
    int number = 0;
    for (; *digits >= '0' && *digits <= '9'; digits++) number = number * 10 + (*digits - '0');
    return number;
}
#endif

// Kernels before 5.11. The directory is read without memory.
bool close_listed_on_exec() {
#if defined(__linux__)
    struct Entry {
        uint64_t number;
        int64_t offset;
        unsigned short size;
        unsigned char type;
        char name[1];
    };
    alignas(Entry) char buffer[1024];
    int list = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (list < 0) return false;
    long n;
    while ((n = syscall(SYS_getdents64, list, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < n; at += reinterpret_cast<Entry *>(buffer + at)->size)
            close_on_exec(to_number(reinterpret_cast<Entry *>(buffer + at)->name));
    }
    return n == 0;
#else
    return false;
#endif
}

// Also descriptors that other threads have opened without the flag: the child has its own table.
void close_others_on_exec() {
#if defined(SYS_close_range) && defined(__linux__)
    constexpr unsigned on_exec = 4; // CLOSE_RANGE_CLOEXEC
    if (syscall(SYS_close_range, first_other, ~0u, on_exec) == 0) return;
#endif
    if (close_listed_on_exec()) return;
    constexpr rlim_t most = 1 << 20;
    rlimit limit = {most, most};
    getrlimit(RLIMIT_NOFILE, &limit);
    auto end = static_cast<int>(limit.rlim_cur < most ? limit.rlim_cur : most);
    for (int fd = first_other; fd < end; fd++) close_on_exec(fd);
}

// exec undoes handlers, but not SIG_IGN and the mask.
void reset_signals() {
    struct sigaction by_default = {};
    by_default.sa_handler = SIG_DFL;
    constexpr int beyond_all = 128;
    for (int number = 1; number < beyond_all; number++) sigaction(number, &by_default, nullptr);
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

// As execvp, without a shell for files that the system cannot run. Sets errno.
void search_and_exec(const Plan &plan) {
    const char *file = plan.options.file;
    size_t len = strlen(file);
    if (!len || strchr(file, '/')) {
        execve(file, plan.args, plan.env);
        return;
    }
    char name[PATH_MAX];
    bool is_forbidden = false;
    errno = ENOENT;
    for (const char *part = plan.path, *end; part; part = *end ? end + 1 : nullptr) {
        end = part + strcspn(part, ":");
        auto size = static_cast<size_t>(end - part);
        if (size + len + 2 > sizeof name) {
            errno = ENAMETOOLONG;
            continue;
        }
        memcpy(name, part, size);
        if (size) name[size++] = '/'; // an empty part is the working directory
        memcpy(name + size, file, len + 1);
        execve(name, plan.args, plan.env);
        is_forbidden = is_forbidden || errno == EACCES;
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ENAMETOOLONG) return;
    }
    if (is_forbidden) errno = EACCES;
}

} // namespace

void run_child(Plan *plan) {
    plan->shares = true;
    uint32_t flags = plan->options.flags;
    bool has_group = flags & ZYNTAX_PROCESS_DETACHED ? setsid() >= 0
                     : flags & ZYNTAX_PROCESS_GROUP  ? setpgid(0, 0) == 0
                                                     : true;
    const char *directory = plan->options.directory;
    if (has_group && set_up_stdio(*plan) && (!directory || chdir(directory) == 0)) {
        close_others_on_exec();
        reset_signals();
        search_and_exec(*plan);
    }
    int error = errno;
    while (::write(plan->report, &error, sizeof error) < 0 && errno == EINTR) {
    }
    _exit(127);
}

} // namespace zyntax::os

#endif // !_WIN32 && !__wasi__
