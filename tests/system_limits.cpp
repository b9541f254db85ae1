// A missing facility of a system is reported by an error code, and everything else works.
#include "await_support.h"

using namespace support;

TEST_CASE("without_sockets_listening_and_connecting_are_enosys") {
    SKIP_WHEN(has_sockets, "this system has sockets");
    Runtime rt;
    zyntax_io *io = nullptr;
    CHECK(zyntax_tcp_listen(rt, nullptr, 0, &io) == ZYNTAX_ENOSYS);
    CHECK(zyntax_tcp_listen(rt, "127.0.0.1", 80, &io) == ZYNTAX_ENOSYS);
    CHECK(await(rt, connecting(rt, "::1", 80, &io)) == ZYNTAX_ENOSYS);
    CHECK(await(rt, connecting(rt, "a.name", 80, &io)) == ZYNTAX_ENOSYS);
    CHECK(zyntax_udp_open(rt, nullptr, 0, &io) == ZYNTAX_ENOSYS);
    CHECK(io == nullptr);
    CHECK(rt.stats().io_open == 0);
    CHECK(await(rt, sleeping(rt, ms)) == 0);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("without_threads_a_blocking_job_is_eagain_and_does_not_run") {
    SKIP_WHEN(has_threads, "this system has threads");
    Runtime rt;
    static int ran = 0;
    auto job = [](void *) -> int64_t { return ++ran; };
    int64_t result = await(rt, [&](zyntax_op *op, Waker *waker, int64_t *out) {
        return zyntax_blocking(rt, op, job, nullptr, 0, waker, out);
    });
    CHECK(result == ZYNTAX_EAGAIN);
    CHECK(ran == 0);
    CHECK(rt.stats().blocking_pending == 0);
}

TEST_CASE("without_threads_and_signals_a_wait_that_nothing_can_end_is_edeadlk") {
    SKIP_WHEN(has_threads || has_signals, "a thread or a signal handler could still wake the task");
    Runtime rt;
    Task task{[](Waker *) { return POLL_PENDING; }};
    task.spawn(rt);
    CHECK(zyntax_runtime_turn(rt, 0) == 1);
    CHECK(zyntax_runtime_turn(rt, -1) == ZYNTAX_EDEADLK);
    CHECK(zyntax_runtime_block_on(rt, task.handle) == ZYNTAX_EDEADLK);
    CHECK(zyntax_runtime_run(rt) == ZYNTAX_EDEADLK);
    CHECK(task.alive());
    CHECK(await(rt, sleeping(rt, ms)) == 0);
}
