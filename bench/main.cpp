// The benchmark: every workload on the runtime and, in the same process and minute, as bare C++.
#include "harness.h"
#include "zyntax_async_runtime.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr const char *usage =
    "usage: bench [options] [NAME...]      a NAME selects that workload, or all whose name contains it\n"
    "  --quick             short runs\n"
    "  --list              names and descriptions\n"
    "  --version           version, poller and compiler\n"
    "  --serve             a run for each line SIDE NAME OPS of standard input, answered with a line of JSON\n"
    "  --json FILE         also write every single run to FILE\n"
    "  --only SIDE         runtime or floor alone, for strace, valgrind and perf\n"
    "  --pairs N           measured runs a side (9, or 7 with --quick)\n"
    "  --warm-ups N        runs before those (1)\n"
    "  --ops N             operations a run\n";

#ifdef __linux__
constexpr const char *left_out = "";
#else
constexpr const char *left_out = "skipped, because their floors are Linux's own calls: task_bytes, "
                                 "wake_busy_distinct, wake_busy_same, wake_asleep, socketpair, echo_1, echo_50, "
                                 "echo_500, create_destroy, process_start\n";
#endif

std::vector<bench::Workload> all_workloads() {
    std::vector<bench::Workload> all;
#ifdef __linux__
    bench::add_memory(all); // before other workloads leave free task records behind
#endif
    bench::add_tasks(all);
#ifdef __linux__
    bench::add_wakes(all);
#endif
    bench::add_timers(all);
    bench::add_channels(all);
#ifdef __linux__
    bench::add_io(all);
    bench::add_echo(all);
    bench::add_lifecycle(all);
#endif
    return all;
}

[[noreturn]] void fail(const char *argument) {
    std::fprintf(stderr, "bench: cannot use '%s'\n%s", argument, usage);
    std::exit(2);
}

uint64_t parse_number(const char *text, uint64_t least, uint64_t most) {
    char *end = nullptr;
    unsigned long long value = std::strtoull(text, &end, 10);
    if (*text == '\0' || *text == '-' || *end != '\0' || value < least || value > most) fail(text);
    return value;
}

void parse_option(bench::Options &options, const char *name, const char *value) {
    if (value == nullptr) fail(name);
    if (std::strcmp(name, "--json") == 0) {
        options.json = value;
    } else if (std::strcmp(name, "--only") == 0) {
        options.runtime = std::strcmp(value, "runtime") == 0;
        options.floor = std::strcmp(value, "floor") == 0;
        if (!options.runtime && !options.floor) fail(value);
    } else if (std::strcmp(name, "--pairs") == 0) {
        options.pairs = static_cast<int>(parse_number(value, 1, 10'000));
    } else if (std::strcmp(name, "--warm-ups") == 0) {
        options.warm_ups = static_cast<int>(parse_number(value, 0, 10'000));
    } else if (std::strcmp(name, "--ops") == 0) {
        options.ops = parse_number(value, 1, 1'000'000'000'000);
    } else {
        fail(name);
    }
}

void print_version() {
    unsigned version = zyntax_runtime_version();
    std::printf("zyntax %u.%u.%u, %s poller, %s\n", version / 10'000, version / 100 % 100, version % 100,
                zyntax_runtime_backend(), bench::compiler().c_str());
}

} // namespace

int main(int argc, char **argv) {
    bench::Options options;
    std::vector<bench::Workload> all = all_workloads();
    for (int i = 1; i < argc; i++) {
        if (std::strcmp(argv[i], "--help") == 0) {
            std::printf("%s", usage);
            return 0;
        }
        if (std::strcmp(argv[i], "--list") == 0) {
            bench::list(all);
            return 0;
        }
        if (std::strcmp(argv[i], "--version") == 0) {
            print_version();
            return 0;
        }
        if (std::strcmp(argv[i], "--serve") == 0) {
            bench::pin(bench::Place::main);
            return bench::serve(all, true);
        }
        if (std::strcmp(argv[i], "--quick") == 0) {
            options.quick = true;
        } else if (argv[i][0] == '-') {
            const char *name = argv[i++];
            parse_option(options, name, i < argc ? argv[i] : nullptr);
        } else {
            options.filters.push_back(argv[i]);
        }
    }
    if (options.pairs == 0) options.pairs = options.quick ? 7 : 9;
    std::printf("%s", left_out);
    return bench::run_all(all, options);
}
