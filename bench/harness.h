// Shared by the workloads: a side to measure, clocks, a place to run, and the run of alternating pairs.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace bench {

constexpr int max_extras = 2;

constexpr double absent = std::numeric_limits<double>::quiet_NaN();

// One run of one side: the cost of an operation, and up to two further figures.
struct Measurement {
    double value;
    double extras[max_extras] = {absent, absent};
};

// The runtime, or the floor, ready to run one workload again and again. Set-up is the constructor's.
class Side {
public:
    virtual ~Side() = default;
    virtual Measurement run(uint64_t ops) = 0;
};

struct Workload {
    const char *name;
    const char *what;
    uint64_t ops;
    uint64_t quick_ops;
    std::unique_ptr<Side> (*make_runtime)();
    std::unique_ptr<Side> (*make_floor)();
    const char *unit = "ns";
    const char *extras[max_extras] = {};
    bool by_name_only = false; // a run without names leaves it out
};

template <class S, auto... args> std::unique_ptr<Side> make() { return std::make_unique<S>(args...); }

// One function a topic. Workloads whose floor needs Linux exist on Linux only.
void add_tasks(std::vector<Workload> &all);
void add_timers(std::vector<Workload> &all);
void add_channels(std::vector<Workload> &all);
void add_wakes(std::vector<Workload> &all);
void add_io(std::vector<Workload> &all);
void add_echo(std::vector<Workload> &all);
void add_memory(std::vector<Workload> &all);
void add_lifecycle(std::vector<Workload> &all);

struct Options {
    bool quick = false;
    bool runtime = true;
    bool floor = true;
    int pairs = 0; // 0: 9, or 7 when quick
    int warm_ups = 1;
    uint64_t ops = 0; // 0: the workload's own number
    std::string json;
    std::vector<std::string> filters;
};

// Measures the workloads that pass the filters and prints a row each. Returns the process's exit code.
int run_all(const std::vector<Workload> &all, const Options &options);

// Runs a workload for each line of standard input, until its end. Returns the process's exit code.
int serve(const std::vector<Workload> &all, bool with_floor);

// Prints the names and descriptions of the workloads.
void list(const std::vector<Workload> &all);

std::string compiler();

// The time that this thread has had a CPU for, kernel included: other programs do not count. Where a thread sleeps or
// two threads meet, the wall clock is the one to use.
uint64_t cpu_ns();
uint64_t wall_ns();

// Keeps the calling thread on one CPU: the main thread on one, its counterpart on another if there is one. Does nothing
// where the system has no such call.
enum class Place { main, counterpart };
void pin(Place place);

// Ends the process with a message: a workload that did not do its work has no figure.
[[noreturn]] void fail(const char *what);
inline void expect(bool holds, const char *what) {
    if (!holds) [[unlikely]]
        fail(what);
}

double median(std::vector<double> values);

} // namespace bench
