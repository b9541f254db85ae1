// The signal numbers that a task can wait for, on each system.
#include "await_support.h"

#include <csignal>
#include <set>

using namespace support;

namespace {

// The code of an attempt_to_open, which is undone.
int32_t attempt_to_open(zyntax_runtime *rt, int32_t number) {
    zyntax_signal *signal = nullptr;
    int32_t error = zyntax_signal_open(rt, number, &signal);
    CHECK((signal == nullptr) == (error != 0));
    if (signal) CHECK(zyntax_signal_close(signal) == 0);
    return error;
}

} // namespace

TEST_CASE("numbers_that_no_program_can_wait_for_are_einval") {
    SKIP_WHEN(!has_threads, "a WASI program has no signals");
    Runtime rt;
    for (int32_t number : {0, -1, 128, 129, 1000, INT32_MAX, INT32_MIN})
        CHECK(attempt_to_open(rt, number) == ZYNTAX_EINVAL);
#ifdef SIGKILL
    for (int32_t number : {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) {
        CAPTURE(number);
        CHECK(attempt_to_open(rt, number) == ZYNTAX_EINVAL);
    }
#endif
}

TEST_CASE("every_other_number_is_opened_or_refused_and_nothing_else") {
    SKIP_WHEN(!has_threads, "a WASI program has no signals");
    Runtime rt;
    std::set<int32_t> opened;
    for (int32_t number = 1; number < 128; number++) {
        int32_t error = attempt_to_open(rt, number);
        if (!error) opened.insert(number);
        else CHECK(error == ZYNTAX_EINVAL);
    }
    if (on_windows) CHECK(opened == std::set<int32_t>{1, 2, 15});
    for (int32_t number : {1, SIGINT, SIGTERM}) CHECK(opened.count(number) == 1);
#ifdef SIGRTMIN
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) CHECK(opened.count(number) == 1);
#endif
}

TEST_CASE("signals_are_enosys_where_the_system_has_none") {
    SKIP_WHEN(has_threads, "this system has signals");
    Runtime rt;
    for (int32_t number : {-1, 1, 2, 15}) CHECK(attempt_to_open(rt, number) == ZYNTAX_ENOSYS);
}
