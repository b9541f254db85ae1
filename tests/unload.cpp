// A host may unload the library once its runtimes are destroyed: none of its code runs any more. An executable of its
// own, which is not linked with the library.
#include "support.h"

#include <csignal>
#include <dlfcn.h>

using namespace support;

namespace {

// The library, for as long as it is loaded.
struct Library {
    void *handle = dlopen(ZYNTAX_LIBRARY, RTLD_NOW | RTLD_LOCAL);

    Library() = default;
    ~Library() {
        if (handle) dlclose(handle);
    }
    Library(const Library &) = delete;
    Library &operator=(const Library &) = delete;
    template <class Function> Function *find(Function *, const char *name) const {
        return reinterpret_cast<Function *>(dlsym(handle, name));
    }
    static bool is_loaded() {
        void *found = dlopen(ZYNTAX_LIBRARY, RTLD_NOW | RTLD_NOLOAD);
        if (found) dlclose(found);
        return found != nullptr;
    }
};
#define FIND(library, name) (library).find(static_cast<decltype(::name) *>(nullptr), #name)

struct Job {
    decltype(zyntax_blocking) *blocking;
    zyntax_runtime *rt;
    zyntax_op op = 0;
    int64_t result = 0;

    static int64_t work(void *) { return 1; }
    static PollStatus poll(FutureState state, Waker *waker) {
        auto *self = static_cast<Job *>(state);
        return self->blocking(self->rt, &self->op, work, nullptr, 0, waker, &self->result);
    }
};

// The number of loads. Each load keeps its addresses, and a 32-bit process has addresses for a few loads only.
constexpr int rounds = sizeof(void *) == 8 ? 100 : 4;

// Loads the library, uses its threads, destroys the runtime and unloads it. 0 if all went well.
int load_use_and_unload(bool drives_to_the_end) {
    constexpr int jobs = 8;
    {
        Library library;
        if (!library.handle) return 2;
        auto *create = FIND(library, zyntax_runtime_create);
        auto *destroy = FIND(library, zyntax_runtime_destroy);
        auto *spawn = FIND(library, zyntax_runtime_spawn);
        auto *run = FIND(library, zyntax_runtime_run);
        auto *turn = FIND(library, zyntax_runtime_turn);
        auto *blocking = FIND(library, zyntax_blocking);
        if (!create || !destroy || !spawn || !run || !turn || !blocking) return 3;
        zyntax_runtime *rt = create();
        if (!rt) return 4;
        Job all[jobs];
        for (Job &job : all) {
            job = {blocking, rt};
            if (!spawn(rt, &job, Job::poll)) return 5;
        }
        if (drives_to_the_end) {
            if (run(rt) != 0) return 6;
        } else {
            turn(rt, 0);
        }
        destroy(rt);
    }
    if (Library::is_loaded()) return 7; // then the test has no effect
    // A thread that is still there finds its code gone when it goes on.
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (usage().threads > 1 && std::chrono::steady_clock::now() < end) yield();
    return usage().threads > 1 ? 8 : 0;
}

} // namespace

TEST_CASE("the_library_may_be_unloaded_after_destroy") {
    SKIP_WHEN(under_emulation(), "the emulator has threads of its own");
    SKIP_WHEN(on_libkqueue, "libkqueue may be unloaded while its thread still runs in it");
    for (bool drives_to_the_end : {true, false}) {
        CAPTURE(drives_to_the_end);
        Child child([drives_to_the_end] {
            for (int round = 0; round < rounds; round++) {
                int failed = load_use_and_unload(drives_to_the_end);
                if (failed) return failed;
            }
            return 0;
        });
        CHECK(child.end() == 0);
    }
}

TEST_CASE("the_library_may_be_unloaded_without_having_been_used") {
    {
        Library library;
        CHECK(library.handle != nullptr);
        auto *version = FIND(library, zyntax_runtime_version);
        REQUIRE(bool(version));
        CHECK(version() == ZYNTAX_ASYNC_RUNTIME_VERSION);
    }
    CHECK_FALSE(Library::is_loaded());
}

TEST_CASE("no_handler_of_a_signal_is_left_when_the_library_is_unloaded") {
    SKIP_WHEN(on_libkqueue, "libkqueue may be unloaded while its thread still runs in it");
    static std::atomic<int> calls;
    calls = 0;
    auto before = std::signal(SIGUSR1, [](int) { calls++; });
    {
        Library library;
        REQUIRE(library.handle != nullptr);
        auto *create = FIND(library, zyntax_runtime_create);
        auto *destroy = FIND(library, zyntax_runtime_destroy);
        auto *open_signal = FIND(library, zyntax_signal_open);
        REQUIRE((create && destroy && open_signal));
        zyntax_runtime *rt = create();
        zyntax_signal *signal = nullptr;
        CHECK(open_signal(rt, SIGUSR1, &signal) == 0);
        raise(SIGUSR1);
        CHECK(calls == 0);
        destroy(rt);
    }
    CHECK_FALSE(Library::is_loaded());
    raise(SIGUSR1);
    CHECK(calls == 1);
    std::signal(SIGUSR1, before);
}
