// The creation and the destruction of a runtime, and a process up to its first poll.
#include "linux.h"
#include "zyntax_async_runtime.h"

#include <spawn.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/wait.h>

namespace bench {

namespace {

double per_op(uint64_t start_ns, uint64_t ops) {
    return static_cast<double>(cpu_ns() - start_ns) / static_cast<double>(ops);
}

class CreateRuntime : public Side {
public:
    Measurement run(uint64_t ops) override {
        uint64_t start = cpu_ns();
        for (uint64_t i = 0; i < ops; i++) {
            zyntax_runtime *rt = zyntax_runtime_create();
            expect(rt != nullptr, "create a runtime");
            zyntax_runtime_destroy(rt);
        }
        return {per_op(start, ops)};
    }
};

class CreateEpoll : public Side {
public:
    Measurement run(uint64_t ops) override {
        uint64_t start = cpu_ns();
        for (uint64_t i = 0; i < ops; i++) {
            Fd epoll(epoll_create1(EPOLL_CLOEXEC));
            Fd event(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
            watch(epoll, event, EPOLLIN | EPOLLET, nullptr);
        }
        return {per_op(start, ops)};
    }
};

// The program in this program's folder that is built of start.c.
std::string path_of_start() {
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    expect(length > 0 && length < ssize_t(sizeof path), "find this program");
    std::string own(path, static_cast<size_t>(length));
    return own.substr(0, own.rfind('/') + 1) + "start";
}

class StartProcess : public Side {
public:
    explicit StartProcess(const char *what) : what(what) {}
    Measurement run(uint64_t ops) override {
        char *arguments[] = {path.data(), what.data(), nullptr};
        char *environment[] = {nullptr};
        uint64_t start = wall_ns();
        for (uint64_t i = 0; i < ops; i++) {
            pid_t child = 0;
            expect(posix_spawn(&child, path.c_str(), nullptr, nullptr, arguments, environment) == 0, "start a process");
            int status = 0;
            expect(waitpid(child, &status, 0) == child && status == 0, "end a process in its first poll");
        }
        return {static_cast<double>(wall_ns() - start) / static_cast<double>(ops)};
    }

private:
    std::string path = path_of_start(), what;
};

} // namespace

void add_lifecycle(std::vector<Workload> &all) {
    all.push_back({"create_destroy", "create and destroy a runtime; floor: epoll and eventfd, registered", 5'000, 1'000,
                   make<CreateRuntime>, make<CreateEpoll>});
    all.push_back({"process_start", "a process from its start to its first poll; floor: to main, wall-clock time", 500,
                   100, [] { return std::unique_ptr<Side>(new StartProcess("runtime")); },
                   [] { return std::unique_ptr<Side>(new StartProcess("floor")); }});
}

} // namespace bench
