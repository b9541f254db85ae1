// Buffers that reach beyond mapped memory. The kernel reports an error or transfers less, and no task waits for ever.
#include "io_support.h"

using namespace support;

TEST_CASE("a_write_from_bad_memory_is_efault") {
    SKIP_WHEN(on_windows, "Winsock looks at buffers before the kernel does");
    Runtime rt;
    EndingMemory memory(64 * kib);
    for (MakePair make : pairs_from_runtime()) {
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        CHECK(await(rt, writing(io, memory.bad(), 100)) == ZYNTAX_EFAULT);
        CHECK(await(rt, writing(io, "good", 4)) == 4);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

// The valid part is written, in a short write; the next write reports the error.
TEST_CASE("a_write_that_runs_into_bad_memory_ends_with_efault_and_does_not_wait") {
    SKIP_WHEN(on_windows, "Winsock looks at buffers before the kernel does");
    Runtime rt;
    for (MakePair make : pairs_from_runtime()) {
        for (size_t good : {size_t(4 * kib), size_t(128 * kib), mib}) {
            CAPTURE(good);
            EndingMemory memory(good);
            Pair pair = make();
            zyntax_io *io = adopt(rt, pair.near);
            size_t done = 0;
            int64_t n = 0;
            while (n >= 0) {
                Await write(rt, writing(io, memory.at + done, good + 100 - done));
                REQUIRE(rt.drive_until([&] {
                    take(pair.far);
                    return !write.alive();
                }));
                n = write.result;
                done += n > 0 ? size_t(n) : 0;
                REQUIRE(done <= good);
            }
            CHECK(n == ZYNTAX_EFAULT);
            CHECK(await(rt, writing(io, "good", 4)) == 4);
        }
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_read_into_bad_memory_is_efault_and_the_bytes_stay_unless_they_are_short_of_it") {
    SKIP_WHEN(under_emulation(), "the emulator looks at whole buffers before the kernel does");
    SKIP_WHEN(on_windows, "Winsock looks at buffers before the kernel does");
    Runtime rt;
    EndingMemory memory(4 * kib);
    for (MakePair make : pairs_to_runtime()) {
        Pair pair = make();
        zyntax_io *io = adopt(rt, pair.near);
        deliver(pair.far, io, "0123");
        CHECK(await(rt, reading(io, memory.bad(), 4)) == ZYNTAX_EFAULT);
        CHECK(await(rt, reading(io, memory.bad() - 4, 100)) == 4);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}
