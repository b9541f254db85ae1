// The workloads of tasks.h on the runtime and on the bare loop.
#include "tasks.h"
#include "executors.h"

namespace bench {

namespace {

// For the plot of the cost against the number of tasks.
template <size_t tasks> Workload yield_among(const char *name, const char *what) {
    Workload workload{name, what, 3'000'000, 500'000, make<Yield<OnRuntime>, tasks>, make<Yield<OnBareLoop>, tasks>};
    workload.by_name_only = true;
    return workload;
}

} // namespace

void add_tasks(std::vector<Workload> &all) {
    all.push_back({"spawn_batch", "spawn 1,000 no-op tasks and run them to their end; per task", 2'000'000, 200'000,
                   make<SpawnBatch<OnRuntime>>, make<SpawnBatch<OnBareLoop>>});
    all.push_back({"spawn_join", "a task spawns a task and joins it, one at a time; per child", 1'000'000, 200'000,
                   make<SpawnJoin<OnRuntime>>, make<SpawnJoin<OnBareLoop>>});
    all.push_back({"yield_1", "one task wakes itself and is polled again; per poll", 3'000'000, 500'000,
                   make<Yield<OnRuntime>, 1>, make<Yield<OnBareLoop>, 1>});
    all.push_back({"yield_1000", "1,000 tasks wake themselves in turn; per poll", 3'000'000, 500'000,
                   make<Yield<OnRuntime>, 1000>, make<Yield<OnBareLoop>, 1000>});
    all.push_back({"ping_pong", "two tasks wake each other in turn; per switch", 3'000'000, 500'000,
                   make<PingPong<OnRuntime>>, make<PingPong<OnBareLoop>>});
    all.push_back(yield_among<10>("yield_10", "10 tasks wake themselves in turn; per poll"));
    all.push_back(yield_among<100>("yield_100", "100 tasks wake themselves in turn; per poll"));
    all.push_back(yield_among<10'000>("yield_10000", "10,000 tasks wake themselves in turn; per poll"));
    all.push_back(yield_among<100'000>("yield_100000", "100,000 tasks wake themselves in turn; per poll"));
}

} // namespace bench
