// zyntax_runtime_get_stats: bytes_in_use counts live tasks, states, operations, handles and channels. It does not count
// the library's own memory.
#include "blocking_support.h"
#include "channel_support.h"

using namespace support;

namespace {

int64_t await_a_job_and_a_sleep(void *state) {
    auto **awaited = static_cast<zyntax_promise **>(state);
    Job job = [](void *) { return int64_t(1); };
    if (!awaited[0]) awaited[0] = zyntax_promise_blocking(job, nullptr, 0);
    if (!awaited[1]) awaited[1] = zyntax_promise_sleep(ms);
    if (awaited[2]) return awaited[1]->poll(awaited[1]->state);
    if (awaited[0]->poll(awaited[0]->state)) awaited[2] = awaited[0];
    return 0;
}

} // namespace

TEST_CASE("no_bytes_are_in_use_once_everything_has_ended") {
    Runtime rt;
    REQUIRE(rt.stats().bytes_in_use == 0);
    CHECK(await(rt, sleeping(rt, ms)) == 0);
    CHECK(rt.stats().bytes_in_use == 0);
    CHECK(await(rt, blocking(
                        rt, [](void *) { return int64_t(1); }, nullptr, 0)) == 1);
    CHECK(rt.stats().bytes_in_use == 0);

    zyntax_promise *awaited[3] = {};
    zyntax_promise promise{awaited, await_a_job_and_a_sleep};
    CHECK(zyntax_promise_block_on(rt, &promise) == 1);
    CHECK(rt.stats().bytes_in_use == 0);

    zyntax_io *listener = nullptr, *client = nullptr, *server = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    CHECK(await(rt, connecting(rt, "localhost", uint16_t(zyntax_tcp_port(listener)), &client)) == 0);
    CHECK(await(rt, accepting(listener, &server)) == 0);
    CHECK(rt.stats().bytes_in_use > 0);
    for (zyntax_io *io : {listener, client, server}) CHECK(zyntax_io_close(io) == 0);
    CHECK(rt.stats().bytes_in_use == 0);

    zyntax_channel *channel = channel_of(rt, 4);
    CHECK(rt.stats().bytes_in_use > 0);
    CHECK(zyntax_channel_destroy(channel) == 0);
    CHECK(rt.stats().bytes_in_use == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}
