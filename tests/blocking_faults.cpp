// A fault in a job belongs to the host: the host's signal handlers run in the pool's threads.
#include "blocking_support.h"

using namespace support;

TEST_CASE("a_hosts_handler_is_called_for_every_fault_that_a_job_raises") {
    SKIP_WHEN(!has_signals, "no signals");
    FaultHandlers handlers;
    Runtime rt;
    for (int number : FaultHandlers::numbers) {
        CAPTURE(number);
        Job job = [](void *arg) { return int64_t(FaultHandlers::after_raising(*static_cast<int *>(arg))); };
        CHECK(await(rt, blocking(rt, job, &number, sizeof number)) == number);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_hosts_handler_is_called_for_a_write_that_a_job_may_not_make") {
    SKIP_WHEN(!has_signals, "no signals");
    FaultHandlers handlers;
    Runtime rt;
    EndingMemory memory(64 * kib);
    char *bad = memory.bad();
    Job job = [](void *arg) { return int64_t(FaultHandlers::after_writing(*static_cast<char **>(arg))); };
    for (int i = 0; i < 2; i++) {
        auto number = int(await(rt, blocking(rt, job, &bad, sizeof bad)));
        CHECK(FaultHandlers::is_fault(number));
    }
    CHECK(rt.idle_waits() <= idle_budget);
}
