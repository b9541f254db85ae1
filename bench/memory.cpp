// Resident memory of a parked task, in a process of its own.
#include "executors.h"
#include "linux.h"

#include <cstdio>
#include <functional>
#include <sys/wait.h>

namespace bench {

namespace {

constexpr uint64_t first_tasks = 10'000;

// Runs `body` in a child process and returns its result.
Measurement in_child(const std::function<Measurement()> &body) {
    int ends[2];
    expect(pipe(ends) == 0, "make a pipe");
    Fd reader(ends[0]);
    Fd writer(ends[1]);
    pid_t child = fork();
    expect(child >= 0, "fork");
    if (child == 0) {
        Measurement result = body();
        bool written = write(writer.get(), &result, sizeof result) == ssize_t(sizeof result);
        _exit(written ? 0 : 1);
    }
    Measurement result{};
    writer = Fd();
    bool complete = read(reader.get(), &result, sizeof result) == ssize_t(sizeof result);
    int status = 0;
    expect(waitpid(child, &status, 0) == child && status == 0 && complete, "measure in a child process");
    return result;
}

double resident_bytes() {
    long size = 0;
    long resident = 0;
    FILE *file = std::fopen("/proc/self/statm", "r");
    expect(file != nullptr && std::fscanf(file, "%ld %ld", &size, &resident) == 2, "read /proc/self/statm");
    std::fclose(file);
    return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

PollStatus count_and_park(FutureState state, Waker *) {
    ++*static_cast<uint64_t *>(state);
    return POLL_PENDING;
}

// Bytes of resident memory for a task, from first_tasks to `tasks` parked tasks that share one state.
class TaskBytesOnRuntime : public Side {
public:
    Measurement run(uint64_t tasks) override {
        return in_child([tasks] {
            OnRuntime executor;
            uint64_t polls = 0;
            park(executor, first_tasks, polls);
            double before = resident_bytes();
            zyntax_runtime_stats stats_before = executor.stats();
            park(executor, tasks - first_tasks, polls);
            zyntax_runtime_stats stats = executor.stats();
            auto more = static_cast<double>(tasks - first_tasks);
            return Measurement{(resident_bytes() - before) / more,
                               {static_cast<double>(stats.bytes_in_use - stats_before.bytes_in_use) / more,
                                static_cast<double>(stats.bytes_reserved - stats_before.bytes_reserved) / more}};
        });
    }

private:
    static void park(OnRuntime &executor, uint64_t tasks, uint64_t &polls) {
        uint64_t target = polls + tasks;
        for (uint64_t i = 0; i < tasks; i++) {
            expect(executor.spawn(&polls, count_and_park) != nullptr, "spawn a task");
        }
        while (polls < target) zyntax_runtime_turn(executor.rt, 0);
    }
};

class TaskBytesOnBareLoop : public Side {
public:
    Measurement run(uint64_t tasks) override {
        return in_child([tasks] {
            uint64_t polls = 0;
            park(first_tasks, polls);
            double before = resident_bytes();
            park(tasks - first_tasks, polls);
            expect(polls == tasks, "poll every bare task");
            return Measurement{(resident_bytes() - before) / static_cast<double>(tasks - first_tasks)};
        });
    }

private:
    static void park(uint64_t tasks, uint64_t &polls) {
        for (uint64_t i = 0; i < tasks; i++) bare::spawn(&polls, count_and_park);
        bare::run();
    }
};

} // namespace

void add_memory(std::vector<Workload> &all) {
    all.push_back({"task_bytes",
                   "resident memory for a parked task, 10,000 to 1,000,000 of them",
                   1'000'000,
                   1'000'000,
                   make<TaskBytesOnRuntime>,
                   make<TaskBytesOnBareLoop>,
                   "bytes",
                   {"in use", "reserved"}});
}

} // namespace bench
