// The runtime installs no signal handler and changes no mask, whatever it does.
#include "blocking_support.h"

#include <csignal>
#include <vector>

using namespace support;

namespace {

struct Disposition {
    void *handler;
    int flags;
    bool blocked;
    bool operator==(const Disposition &) const = default;
};

std::vector<Disposition> dispositions() {
    std::vector<Disposition> all;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action {};
        if (sigaction(number, nullptr, &action) != 0) continue; // the C library's own
        all.push_back({reinterpret_cast<void *>(action.sa_handler), action.sa_flags, sigismember(&mask, number) == 1});
    }
    return all;
}

} // namespace

TEST_CASE("handlers_and_masks_are_the_same_before_during_and_after") {
    std::vector<Disposition> before = dispositions();
    {
        Runtime rt;
        CHECK(dispositions() == before);
        CHECK(await(rt, sleeping(rt, ms)) == 0);
        Pair socket = socket_pair(), pipe = pipe_from_runtime(), broken = pipe_from_runtime();
        CHECK(await(rt, writing(adopt(rt, socket.near), "x", 1)) == 1);
        CHECK(await(rt, writing(adopt(rt, pipe.near), "x", 1)) == 1);
        broken.far.reset();
        CHECK(await(rt, writing(adopt(rt, broken.near), "x", 1)) == ZYNTAX_EPIPE);
        CHECK(await(rt, blocking(
                            rt, [](void *) { return int64_t(1); }, nullptr, 0)) == 1);
        CHECK(dispositions() == before);
        CHECK(rt.idle_waits() <= idle_budget);
    }
    CHECK(dispositions() == before);
}

TEST_CASE("signals_for_the_process_are_not_taken_by_the_threads_of_the_pool") {
    Runtime rt;
    Job job = [](void *) {
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        return int64_t(sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM) == 1 &&
                       sigismember(&mask, SIGCHLD) == 1 && sigismember(&mask, SIGUSR1) == 1);
    };
    CHECK(await(rt, blocking(rt, job, nullptr, 0)) == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}
