#include "harness.h"
#include "zyntax_async_runtime.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>

#ifdef __linux__
#include <sched.h>
#include <sys/utsname.h>
#endif

namespace bench {

namespace {

struct Row {
    const Workload *workload;
    uint64_t ops;
    std::vector<Measurement> runtime;
    std::vector<Measurement> floor;
};

struct Machine {
    std::string cpu = "unknown CPU";
    std::string kernel = "unknown system";
    std::string compiler;
};

std::vector<double> values(const std::vector<Measurement> &runs) {
    std::vector<double> out;
    for (const Measurement &run : runs) out.push_back(run.value);
    return out;
}

// Empty for a figure that this side does not have.
std::vector<double> extras(const std::vector<Measurement> &runs, int index) {
    std::vector<double> out;
    for (const Measurement &run : runs) {
        if (!std::isnan(run.extras[index])) out.push_back(run.extras[index]);
    }
    return out;
}

std::vector<double> ratios(const Row &row) {
    std::vector<double> out;
    for (size_t i = 0; i < std::min(row.runtime.size(), row.floor.size()); i++) {
        out.push_back(row.runtime[i].value / row.floor[i].value);
    }
    return out;
}

Machine describe_machine() {
    Machine machine;
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.rfind("model name", 0) != 0) continue;
        machine.cpu = line.substr(line.find(':') + 2);
        break;
    }
#ifdef __linux__
    utsname name{};
    if (uname(&name) == 0) machine.kernel = std::string(name.sysname) + " " + name.release;
#endif
    machine.compiler = compiler();
    return machine;
}

// A filter that equals a workload's name selects that workload. Any other filter selects all workloads whose names
// contain it.
bool selects(const std::string &filter, const Workload &workload, const std::vector<Workload> &all) {
    for (const Workload &other : all) {
        if (filter == other.name) return &other == &workload;
    }
    return std::string(workload.name).find(filter) != std::string::npos;
}

bool wanted(const Workload &workload, const std::vector<Workload> &all, const std::vector<std::string> &filters) {
    if (filters.empty()) return !workload.by_name_only;
    return std::any_of(filters.begin(), filters.end(),
                       [&](const std::string &filter) { return selects(filter, workload, all); });
}

Row measure(const Workload &workload, const Options &options) {
    Row row{&workload, options.ops, {}, {}};
    if (row.ops == 0) row.ops = options.quick ? workload.quick_ops : workload.ops;
    std::unique_ptr<Side> runtime = options.runtime ? workload.make_runtime() : nullptr;
    std::unique_ptr<Side> floor = options.floor ? workload.make_floor() : nullptr;
    for (int i = -options.warm_ups; i < options.pairs; i++) {
        if (runtime) {
            Measurement run = runtime->run(row.ops);
            if (i >= 0) row.runtime.push_back(run);
        }
        if (floor) {
            Measurement run = floor->run(row.ops);
            if (i >= 0) row.floor.push_back(run);
        }
    }
    return row;
}

void print_side(const std::vector<Measurement> &runs) {
    if (runs.empty()) {
        std::printf(" %10s", "-");
    } else {
        std::printf(" %10.1f", median(values(runs)));
    }
}

void print_extras(const Row &row) {
    for (int i = 0; i < max_extras; i++) {
        if (row.workload->extras[i] == nullptr) continue;
        std::vector<double> runtime = extras(row.runtime, i);
        std::vector<double> floor = extras(row.floor, i);
        if (runtime.empty() && floor.empty()) continue;
        std::printf("  %s", row.workload->extras[i]);
        if (!runtime.empty()) std::printf(" %.4g", median(runtime));
        if (!floor.empty()) std::printf(" (floor %.4g)", median(floor));
    }
}

void print_row(const Row &row) {
    std::printf("%-22s", row.workload->name);
    print_side(row.runtime);
    print_side(row.floor);
    std::printf(" %-5s", row.workload->unit);
    std::vector<double> all = ratios(row);
    if (!all.empty()) {
        auto [low, high] = std::minmax_element(all.begin(), all.end());
        std::printf(" %6.2f  %.2f..%.2f", median(all), *low, *high);
    }
    print_extras(row);
    std::printf("\n");
    std::fflush(stdout);
}

void write_numbers(FILE *file, const char *name, const char *suffix, const std::vector<double> &numbers) {
    std::fprintf(file, ", \"%s%s\": [", name, suffix);
    for (size_t i = 0; i < numbers.size(); i++) std::fprintf(file, "%s%.6g", i ? ", " : "", numbers[i]);
    std::fprintf(file, "]");
}

void write_side(FILE *file, const char *name, const std::vector<Measurement> &runs) {
    write_numbers(file, name, "", values(runs));
    write_numbers(file, name, "_extra_0", extras(runs, 0));
    write_numbers(file, name, "_extra_1", extras(runs, 1));
}

void write_row(FILE *file, const Row &row) {
    std::fprintf(file, "    {\"name\": \"%s\", \"what\": \"%s\", \"unit\": \"%s\", \"ops\": %llu", row.workload->name,
                 row.workload->what, row.workload->unit, static_cast<unsigned long long>(row.ops));
    std::fprintf(file, ", \"extras\": [");
    for (int i = 0; i < max_extras && row.workload->extras[i]; i++) {
        std::fprintf(file, "%s\"%s\"", i ? ", " : "", row.workload->extras[i]);
    }
    std::fprintf(file, "]");
    write_side(file, "runtime", row.runtime);
    write_side(file, "floor", row.floor);
    std::fprintf(file, "}");
}

bool write_json(const std::string &path, const Machine &machine, const std::vector<Row> &rows) {
    FILE *file = std::fopen(path.c_str(), "w");
    if (file == nullptr) return false;
    std::fprintf(file, "{\n  \"cpu\": \"%s\",\n  \"kernel\": \"%s\",\n  \"compiler\": \"%s\",\n", machine.cpu.c_str(),
                 machine.kernel.c_str(), machine.compiler.c_str());
    std::fprintf(file, "  \"version\": %u,\n  \"rows\": [\n", zyntax_runtime_version());
    for (size_t i = 0; i < rows.size(); i++) {
        write_row(file, rows[i]);
        std::fprintf(file, "%s\n", i + 1 < rows.size() ? "," : "");
    }
    std::fprintf(file, "  ]\n}\n");
    return std::fclose(file) == 0;
}

#ifdef __linux__
// The CPUs of the process before any thread was pinned.
const std::vector<int> &allowed_cpus() {
    static const std::vector<int> cpus = [] {
        std::vector<int> found;
        cpu_set_t set;
        CPU_ZERO(&set);
        if (sched_getaffinity(0, sizeof set, &set) != 0) return found;
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (CPU_ISSET(cpu, &set)) found.push_back(cpu);
        }
        return found;
    }();
    return cpus;
}
#endif

} // namespace

std::string compiler() {
#ifdef __clang__
    return __VERSION__; // names itself
#else
    return std::string("GCC ") + __VERSION__;
#endif
}

uint64_t wall_ns() {
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

uint64_t cpu_ns() {
#ifdef CLOCK_THREAD_CPUTIME_ID
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
#else
    return wall_ns();
#endif
}

void pin(Place place) {
#ifdef __linux__
    const std::vector<int> &cpus = allowed_cpus();
    if (cpus.size() < 2) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpus[place == Place::main ? 1 : 0], &set);
    sched_setaffinity(0, sizeof set, &set);
#else
    (void)place;
#endif
}

void fail(const char *what) {
    std::fprintf(stderr, "bench: failed: %s\n", what);
    std::_Exit(1);
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    size_t middle = values.size() / 2;
    std::sort(values.begin(), values.end());
    return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

int run_all(const std::vector<Workload> &all, const Options &options) {
    pin(Place::main);
    Machine machine = describe_machine();
    std::vector<Row> rows;
    std::printf("%-22s %10s %10s %-5s %6s  %s\n", "workload", "runtime", "floor", "unit", "ratio", "min..max");
    for (const Workload &workload : all) {
        if (!wanted(workload, all, options.filters)) continue;
        rows.push_back(measure(workload, options));
        print_row(rows.back());
    }
    if (rows.empty()) {
        std::fprintf(stderr, "bench: unknown workload; --list prints the names\n");
        return 2;
    }
    std::printf("\nMedians of %d alternating runs a side; ratio = median of the pairs' ratios.\n", options.pairs);
    std::printf("%s, %s, %s, %s poller.\n", machine.cpu.c_str(), machine.kernel.c_str(), machine.compiler.c_str(),
                zyntax_runtime_backend());
    if (!options.json.empty() && !write_json(options.json, machine, rows)) {
        std::fprintf(stderr, "bench: cannot write %s\n", options.json.c_str());
        return 1;
    }
    return 0;
}

} // namespace bench
