// A million parked tasks cost 64 bytes each, and little more. A file of its own, because it needs a fresh process.
#include "support.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

using namespace support;

namespace {

constexpr uint64_t task_count = 1'000'000;

PollStatus park(FutureState polls, Waker *) {
    ++*static_cast<uint64_t *>(polls);
    return POLL_PENDING;
}

} // namespace

TEST_CASE("a_million_parked_tasks_take_at_most_72_bytes_each") {
    SKIP_WHEN(sanitized, "a sanitizer's own memory would be counted");
    SKIP_WHEN(!has_resident_bytes, "WASI does not say what memory is resident");
#ifdef __GLIBC__
    mallopt(M_PERTURB, 0); // a test runner may make malloc fill, and so touch, reserved memory
#endif
    Runtime rt;
    uint64_t polls = 0;
    zyntax_runtime_spawn(rt, &polls, park);
    zyntax_runtime_turn(rt, 0);
    uint64_t before = usage().resident_bytes, failed = 0;
    for (uint64_t i = 0; i < task_count; i++) failed += zyntax_runtime_spawn(rt, &polls, park) == nullptr;
    CHECK(failed == 0);
    REQUIRE(rt.drive_until([&] { return polls == task_count + 1; }));
    uint64_t each = (usage().resident_bytes - before) / task_count;
    CAPTURE(each);
    CHECK(each <= 72);
    CHECK(rt.stats().tasks_alive == task_count + 1);
}
