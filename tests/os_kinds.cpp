// os::kind_of and plain TCP, where a short read means that the buffer is empty. In doubt it says no.
#include "io_support.h"

#include "../platform/os.h"

using namespace support;
using zyntax::os::Kind;

namespace {

Kind kind_of(Descriptor fd) {
    Kind kind = Kind::other;
    REQUIRE(zyntax::os::kind_of(fd, &kind) == 0);
    return kind;
}

} // namespace

TEST_CASE("tcp_is_tcp") {
    Pair pair = tcp_pair();
    CHECK(kind_of(pair.near) == Kind::tcp);
    CHECK(kind_of(plain_listener(1)) == Kind::tcp);
    if (has_ipv6()) CHECK(kind_of(plain_listener(1, AF_INET6)) == Kind::tcp);
}

TEST_CASE("unix_streams_are_told_apart_where_reads_report_passed_descriptors") {
    SKIP_WHEN(!has_local_sockets, "socket pairs are TCP");
    CHECK(kind_of(socket_pair().near) == (on_linux ? Kind::local : Kind::socket));
}

TEST_CASE("sockets_whose_writes_are_messages_are_told_apart") {
    CHECK(kind_of(Fd(sys::make_socket(AF_INET, SOCK_DGRAM))) == Kind::messages);
    if (has_local_sockets) CHECK(kind_of(socket_pair(SOCK_DGRAM).near) == Kind::messages);
    if (has_sequenced_packets) CHECK(kind_of(socket_pair(SOCK_SEQPACKET).near) == Kind::messages);
}

TEST_CASE("pipes_and_terminals_are_told_apart") {
    SKIP_WHEN(on_windows, "only sockets are pollable on Windows");
    CHECK(kind_of(pipe_to_runtime().near) == Kind::pipe);
    CHECK(kind_of(terminal().near) == Kind::other);
}

TEST_CASE("stream_sockets_of_other_protocols_are_not_tcp") {
    int seen = 0;
    for (int protocol : {132 /* SCTP */, 262 /* MPTCP */}) {
        Descriptor made = make_socket_of(protocol);
        if (made < 0) continue; // the system does not have it
        CAPTURE(protocol);
        CHECK(kind_of(Fd(made)) == Kind::socket);
        seen++;
    }
    if (!seen) MESSAGE("no stream protocol beside TCP here");
}

TEST_CASE("tcp_below_another_protocol_of_the_kernels_is_not_tcp") {
    Pair pair = tcp_pair();
    SKIP_WHEN(!attach_tls(pair.near), "the kernel has no TLS");
    CHECK(kind_of(pair.near) == Kind::socket);
}
