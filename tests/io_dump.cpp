// zyntax_runtime_dump shows in which direction a task waits for a descriptor.
#include "dump_support.h"
#include "io_support.h"

using namespace support;

TEST_CASE("directions_of_io_are_shown") {
    Runtime rt;
    Pair pair = socket_pair();
    zyntax_io *io = adopt(rt, pair.near), *listener = nullptr, *accepted = nullptr;
    fill(Descriptor(zyntax_io_fd(io)));
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    char byte = 0;
    CHECK(waits_for(rt, reading(io, &byte, 1)) == ZYNTAX_WAIT_READABLE);
    CHECK(waits_for(rt, writing(io, &byte, 1)) == ZYNTAX_WAIT_WRITABLE);
    CHECK(waits_for(rt, readiness(io, ZYNTAX_READABLE)) == ZYNTAX_WAIT_READABLE);
    CHECK(waits_for(rt, readiness(io, ZYNTAX_WRITABLE)) == ZYNTAX_WAIT_WRITABLE);
    CHECK(waits_for(rt, accepting(listener, &accepted)) == ZYNTAX_WAIT_READABLE);
    SilentListener silent;
    CHECK(waits_for(rt, connecting(rt, "127.0.0.1", port_of(silent.fd), &accepted)) == ZYNTAX_WAIT_WRITABLE);
    CHECK(rt.idle_waits() <= idle_budget);
}
