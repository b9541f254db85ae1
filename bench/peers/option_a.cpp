// Another library behind the design document's five functions (option A): the workloads of tasks.h that need no others.
//
// usage: option_a LIBRARY --list | --version | --serve
#include "../harness.h"
#include "../tasks.h"

#include <cstdio>
#include <cstring>
#include <dlfcn.h>

namespace bench {

namespace {

struct Functions {
    void *(*create)();
    void (*destroy)(void *runtime);
    void *(*spawn)(void *runtime, FutureState state, PollFn poll);
    void (*run)(void *runtime);
};

Functions functions;

class OnLibrary {
public:
    OnLibrary() : runtime(functions.create()) { expect(runtime != nullptr, "create a runtime"); }
    ~OnLibrary() { functions.destroy(runtime); }
    OnLibrary(const OnLibrary &) = delete;
    OnLibrary &operator=(const OnLibrary &) = delete;

    void spawn(FutureState state, PollFn poll) { functions.spawn(runtime, state, poll); }
    void run() { functions.run(runtime); }

private:
    void *runtime;
};

template <class Function> void look_up(void *library, const char *name, Function &function) {
    void *found = dlsym(library, name);
    expect(found != nullptr, "find a function in the library");
    std::memcpy(&function, &found, sizeof found);
}

void open_library(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    expect(library != nullptr, "open the library");
    look_up(library, "zyntax_runtime_create", functions.create);
    look_up(library, "zyntax_runtime_destroy", functions.destroy);
    look_up(library, "zyntax_runtime_spawn", functions.spawn);
    look_up(library, "zyntax_runtime_run", functions.run);
}

Workload workload(const char *name, std::unique_ptr<Side> (*make_side)()) {
    return {name, "", 0, 0, make_side, nullptr};
}

std::vector<Workload> all_workloads() {
    return {workload("spawn_batch", make<SpawnBatch<OnLibrary>>),
            workload("yield_1", make<Yield<OnLibrary>, 1>),
            workload("yield_10", make<Yield<OnLibrary>, 10>),
            workload("yield_100", make<Yield<OnLibrary>, 100>),
            workload("yield_1000", make<Yield<OnLibrary>, 1000>),
            workload("yield_10000", make<Yield<OnLibrary>, 10'000>),
            workload("yield_100000", make<Yield<OnLibrary>, 100'000>),
            workload("ping_pong", make<PingPong<OnLibrary>>)};
}

} // namespace

} // namespace bench

int main(int argc, char **argv) {
    const char *option = argc == 3 ? argv[2] : "";
    if (std::strcmp(option, "--list") == 0) {
        bench::list(bench::all_workloads());
    } else if (std::strcmp(option, "--version") == 0) {
        const char *slash = std::strrchr(argv[1], '/');
        std::printf("%s\n", slash ? slash + 1 : argv[1]);
    } else if (std::strcmp(option, "--serve") == 0) {
        bench::open_library(argv[1]);
        return bench::serve(bench::all_workloads(), false);
    } else {
        std::fprintf(stderr, "usage: option_a LIBRARY --list | --version | --serve\n");
        return 2;
    }
    return 0;
}
