// Signals that interrupt every call disturb no operation and no timer.
#include "io_support.h"

using namespace support;

namespace {

std::atomic<int> alarms{0};

void count_alarm(int) { alarms++; }

} // namespace

TEST_CASE("bytes_arrive_whole_while_signals_interrupt") {
    Runtime rt;
    for (auto make : pairs_to_runtime()) {
        Pair pair = make();
        zyntax_io *in = adopt(rt, pair.near), *out = adopt(rt, pair.far);
        std::string text(4 * mib, 's');
        Interruptions storm(200, count_alarm);
        Reader reader(rt, in, text.size());
        Writer writer(rt, out, text);
        CHECK(rt.drain());
        CHECK(reader.data == text);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("connections_are_made_while_signals_interrupt") {
    Runtime rt;
    zyntax_io *listener = nullptr, *client = nullptr, *server = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    {
        Interruptions storm(200, count_alarm);
        for (int i = 0; i < 50; i++) {
            Await accept(rt, accepting(listener, &server));
            const char *host = i % 5 == 0 ? "localhost" : "127.0.0.1";
            CHECK(await(rt, connecting(rt, host, uint16_t(zyntax_tcp_port(listener)), &client)) == 0);
            CHECK(rt.drain());
            CHECK(accept.result == 0);
            CHECK(zyntax_io_close(client) == 0);
            CHECK(zyntax_io_close(server) == 0);
        }
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_timer_is_neither_early_nor_pushed_out_by_signals") {
    Runtime rt;
    alarms = 0;
    Interruptions storm(200, count_alarm);
    Limit limit(rt);
    do {
        uint64_t begin = zyntax_now_ns(rt);
        Await timer(rt, sleeping(rt, 100 * ms));
        REQUIRE(zyntax_runtime_block_on(rt, timer.task.handle) == 0); // else it was pushed out until the limit
        CHECK(zyntax_now_ns(rt) - begin >= 100 * ms);
    } while (alarms <= 10);
}
