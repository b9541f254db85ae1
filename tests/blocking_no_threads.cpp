// Without a thread of the system a blocking call returns its error, and the runtime goes on.
#include "blocking_support.h"

using namespace support;

TEST_CASE("without_a_thread_the_result_is_eagain_and_the_function_has_not_run") {
    SKIP_WHEN(sanitized, "a sanitizer needs the address space");
    SKIP_WHEN(under_emulation(), "the emulator's address space has no limit");
    SKIP_WHEN(!has_address_space_limit, "this system cannot limit address space, and so threads");
    Runtime rt;
    static std::atomic<int> runs;
    runs = 0;
    Job job = [](void *) { return int64_t(++runs); };
    char argument[64] = {};
    CHECK(await(rt, sleeping(rt, 1)) == 0); // the executor is warm
    std::free(std::malloc(64 * kib));
    int64_t result = 0;
    {
        NoAddressSpace no_room_for_a_stack;
        result = await(rt, blocking(rt, job, argument, sizeof argument));
    }
    CHECK(result == ZYNTAX_EAGAIN);
    CHECK(runs == 0);
    CHECK(rt.stats().blocking_pending == 0);

    CHECK(await(rt, blocking(rt, job, argument, sizeof argument)) == 1); // and now there is one
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("when_no_further_thread_can_be_started_those_that_run_do_the_work") {
    SKIP_WHEN(sanitized, "a sanitizer needs the address space");
    SKIP_WHEN(under_emulation(), "the emulator's address space has no limit");
    SKIP_WHEN(!has_address_space_limit, "this system cannot limit address space, and so threads");
    Runtime rt(with_threads(4));
    Held held;
    Await first(rt, blocking(rt, Held::job, &held, 0));
    CHECK(rt.drive_until([&] { return held.begun == 1; }));
    CHECK(await(rt, sleeping(rt, 1)) == 0);
    std::free(std::malloc(64 * kib));
    auto second = std::make_unique<Await>(rt, blocking(
                                                  rt, [](void *) { return int64_t(2); }, nullptr, 0));
    {
        NoAddressSpace no_room_for_a_stack;
        settle(rt);
    }
    CHECK(second->alive());
    held.gate.open();
    CHECK(rt.drain());
    CHECK(first.result == 1);
    CHECK(second->result == 2);
    CHECK(rt.idle_waits() <= idle_budget);
}
