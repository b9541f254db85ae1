// The signals that a job's thread blocks. A process that the job starts inherits this mask. Signals that end or stop a
// process, or that report children and timers, are not blocked.
#include "blocking_support.h"

using namespace support;

namespace {

struct Command {
    const char *text;
    int number;
};

// A job that runs a command of the shell.
int64_t run_command(void *arg) {
    auto *command = static_cast<Command *>(arg);
    return end_of_command(command->text, command->number);
}

int64_t end_in_a_job(Runtime &rt, Command command) {
    return await(rt, blocking(rt, run_command, &command, sizeof command));
}

int64_t store_mask(void *arg) {
    *static_cast<std::set<int> *>(arg) = blocked_signals();
    return 1;
}

std::set<int> mask_of_a_job() {
    Runtime rt;
    std::set<int> mask;
    CHECK(await(rt, blocking(rt, store_mask, &mask, 0)) == 1);
    return mask;
}

} // namespace

TEST_CASE("a_job_blocks_the_signals_that_the_header_lists_and_no_other") {
    SKIP_WHEN(!has_signals, "no signals");
    CHECK(mask_of_a_job() == signals_blocked_in_jobs());
}

// A host that waits for signals in its own thread blocks them in all other threads.
TEST_CASE("signals_blocked_in_the_runtimes_thread_are_blocked_in_its_jobs_except_faults") {
    SKIP_WHEN(!has_signals, "no signals");
    for (int number : ending_signals) {
        CAPTURE(number);
        BlockedSignal blocked(number);
        CHECK(mask_of_a_job().count(number) == 1);
    }
    for (int number : FaultHandlers::numbers) {
        CAPTURE(number);
        BlockedSignal blocked(number);
        CHECK(mask_of_a_job() == signals_blocked_in_jobs());
    }
}

TEST_CASE("a_process_that_a_job_started_is_ended_by_the_signals_for_that") {
    SKIP_WHEN(!has_signals, "no signals");
    Runtime rt;
    for (int number : ending_signals) {
        CAPTURE(number);
        CHECK(end_in_a_job(rt, {"echo; exec sleep 30", number}) == 1000 + number);
    }
    CHECK(end_in_a_job(rt, {"echo; exec sleep 30", other_signal}) == 1000 + other_signal);
}

// A shell that waits for its children sleeps until SIGCHLD comes.
TEST_CASE("a_process_that_a_job_started_hears_of_its_own_children") {
    SKIP_WHEN(!has_signals, "no signals");
    Runtime rt;
    CHECK(end_in_a_job(rt, {"sleep 0.1 & wait; exit 7", 0}) == 7);
}
