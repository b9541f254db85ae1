// zyntax_tcp_accept: every connection once, and none lost when descriptors run out.
#include "io_support.h"

#include <deque>
#include <set>

using namespace support;

namespace {

struct Listener {
    zyntax_io *io = nullptr;
    uint16_t port = 0;
    explicit Listener(Runtime &rt) {
        REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &io) == 0);
        port = uint16_t(zyntax_tcp_port(io));
    }
};

} // namespace

TEST_CASE("an_accept_waits_for_a_client") {
    Runtime rt;
    Listener listener(rt);
    zyntax_io *accepted = nullptr;
    Await accept(rt, accepting(listener.io, &accepted));
    settle(rt);
    CHECK(accept.alive());
    CHECK(rt.idle_waits() <= idle_budget);
    Fd client = plain_client(listener.port);
    CHECK(rt.drain());
    CHECK(accept.result == 0);
    put(client, "hello");
    char buf[8];
    CHECK(await(rt, reading(accepted, buf, sizeof buf)) == 5);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_accepted_socket_does_not_delay_block_or_outlive_exec") {
    Runtime rt;
    Listener listener(rt);
    Fd client = plain_client(listener.port);
    zyntax_io *accepted = nullptr;
    REQUIRE(await(rt, accepting(listener.io, &accepted)) == 0);
    Descriptor fd = Descriptor(zyntax_io_fd(accepted));
    CHECK(get_option(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK_FALSE(is_blocking(fd));
    CHECK_FALSE(is_inheritable(fd));
    CHECK(zyntax_tcp_port(accepted) == listener.port);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_sockets_of_a_listener_that_the_host_made_do_not_delay_either") {
    Runtime rt;
    Fd plain = plain_listener(1);
    uint16_t port = port_of(plain);
    zyntax_io *listener = adopt(rt, plain), *accepted = nullptr;
    Fd client = plain_client(port);
    REQUIRE(await(rt, accepting(listener, &accepted)) == 0);
    int no_delay = get_option(Descriptor(zyntax_io_fd(accepted)), IPPROTO_TCP, TCP_NODELAY);
    CHECK(no_delay == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("two_hundred_clients_are_each_accepted_once") {
    Runtime rt;
    Listener listener(rt);
    std::deque<Fd> clients;
    std::set<zyntax_io *> accepted;
    ScopedTask task(rt);
    zyntax_io *one = nullptr;
    task.on_poll = [&](Waker *waker) {
        int64_t result = 0;
        while (accepted.size() < 200) {
            if (zyntax_tcp_accept(listener.io, &task.op, waker, &one, &result) == POLL_PENDING) return POLL_PENDING;
            CHECK(result == 0);
            accepted.insert(one);
        }
        return POLL_READY;
    };
    task.start();
    for (int i = 0; i < 200; i++) {
        clients.push_back(plain_client(listener.port));
        if (i % 50 == 0) zyntax_runtime_turn(rt, 0);
    }
    CHECK(rt.drain());
    CHECK(rt.stats().io_open == 201);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("every_one_of_many_accepts_on_one_listener_gets_a_client") {
    Runtime rt;
    Listener listener(rt);
    zyntax_io *accepted[20] = {};
    std::deque<Await> accepts;
    for (zyntax_io *&out : accepted) accepts.emplace_back(rt, accepting(listener.io, &out));
    settle(rt);
    std::deque<Fd> clients;
    for (int i = 0; i < 20; i++) clients.push_back(plain_client(listener.port));
    CHECK(rt.drain());
    for (const Await &accept : accepts) CHECK(accept.result == 0);
    CHECK(std::set<zyntax_io *>(accepted, accepted + 20).size() == 20);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("closing_the_listener_ends_its_accepts_with_ecanceled") {
    Runtime rt;
    Listener listener(rt);
    zyntax_io *a = nullptr, *b = nullptr;
    Await first(rt, accepting(listener.io, &a)), second(rt, accepting(listener.io, &b));
    settle(rt);
    CHECK(zyntax_io_close(listener.io) == 0);
    CHECK(rt.drain());
    CHECK(first.result == ZYNTAX_ECANCELED);
    CHECK(second.result == ZYNTAX_ECANCELED);
    CHECK(await(rt, accepting(listener.io, &a)) == ZYNTAX_ESTALE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_handle_that_is_no_listener_is_einval") {
    Runtime rt;
    Pair tcp = tcp_pair(), other = pairs_to_runtime().back()();
    Fd bound = plain_listener(-1), datagrams(sys::make_socket(AF_INET, SOCK_DGRAM));
    for (Fd *fd : {&tcp.near, &other.near, &bound, &datagrams}) {
        zyntax_io *out = nullptr, *io = adopt(rt, *fd);
        CHECK(await(rt, accepting(io, &out)) == ZYNTAX_EINVAL);
        char byte;
        { // also when it is known that there is nothing to read
            Await reader(rt, reading(io, &byte, 1));
            settle(rt);
        }
        CHECK(await(rt, accepting(io, &out)) == ZYNTAX_EINVAL);
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_socket_that_listens_only_later_accepts_then") {
    Runtime rt;
    Fd socket = plain_listener(-1);
    zyntax_io *io = adopt(rt, socket), *out = nullptr;
    CHECK(await(rt, accepting(io, &out)) == ZYNTAX_EINVAL);
    REQUIRE(listen(Descriptor(zyntax_io_fd(io)), 1) == 0);
    Await accept(rt, accepting(io, &out));
    settle(rt);
    Fd client = plain_client(uint16_t(zyntax_tcp_port(io)));
    CHECK(rt.drain());
    CHECK(accept.result == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("null_arguments_are_einval_and_accept_nothing") {
    Runtime rt;
    Listener listener(rt);
    Fd client = plain_client(listener.port);
    zyntax_io *out = nullptr;
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        int64_t r[3] = {1, 1, 1};
        CHECK(zyntax_tcp_accept(listener.io, nullptr, waker, &out, &r[0]) == POLL_READY);
        CHECK(zyntax_tcp_accept(listener.io, op, nullptr, &out, &r[1]) == POLL_READY);
        CHECK(zyntax_tcp_accept(listener.io, op, waker, nullptr, &r[2]) == POLL_READY);
        for (int64_t code : r) CHECK(code == ZYNTAX_EINVAL);
        CHECK(zyntax_tcp_accept(listener.io, op, waker, &out, nullptr) == POLL_READY);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
    CHECK(rt.stats().io_open == 1);
    CHECK(await(rt, accepting(listener.io, &out)) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_client_that_is_gone_before_it_is_accepted_does_not_end_the_listener") {
    Runtime rt;
    Listener listener(rt);
    Fd gone = plain_client(listener.port);
    REQUIRE(wait_for(gone, POLLOUT));
    reset_connection(gone);
    Fd client = plain_client(listener.port);
    put(client, "x");
    int64_t got = 0;
    for (int tries = 0; tries < 2 && got != 1; tries++) { // some kernels hand out the dead one first
        zyntax_io *accepted = nullptr;
        REQUIRE(await(rt, accepting(listener.io, &accepted)) == 0);
        char byte;
        got = await(rt, reading(accepted, &byte, 1));
    }
    CHECK(got == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("without_free_descriptors_an_accept_waits_without_spinning_and_recovers") {
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    Runtime rt;
    Listener listener(rt);
    Fd client = plain_client(listener.port);
    REQUIRE(wait_for(client, POLLOUT));
    zyntax_io *accepted = nullptr;
    Await accept(rt, accepting(listener.io, &accepted));
    {
        FewDescriptors none;
        settle(rt);
        CHECK(rt.idle_waits() <= idle_budget);
        CHECK(rt.idle_waits() <= idle_budget);
        CHECK(accept.alive());
    }
    CHECK(rt.drain());
    CHECK(accept.result == 0);
    put(client, "x");
    char byte;
    CHECK(await(rt, reading(accepted, &byte, 1)) == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_accept_that_waits_before_descriptors_run_out_recovers_too") {
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    Runtime rt;
    Listener listener(rt);
    zyntax_io *first = nullptr, *second = nullptr;
    Await a(rt, accepting(listener.io, &first)), b(rt, accepting(listener.io, &second));
    settle(rt);
    Fd clients[2] = {plain_client(listener.port), plain_client(listener.port)};
    {
        FewDescriptors none;
        settle(rt);
        CHECK(rt.idle_waits() <= 2 * idle_budget); // two tasks try again
        CHECK(a.alive());
        CHECK(b.alive());
    }
    CHECK(rt.drain());
    CHECK(a.result == 0);
    CHECK(b.result == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_accept_that_is_cancelled_while_descriptors_are_short_leaves_the_client_for_the_next") {
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    Runtime rt;
    Listener listener(rt);
    Fd client = plain_client(listener.port);
    REQUIRE(wait_for(client, POLLOUT));
    zyntax_io *out = nullptr;
    {
        FewDescriptors none;
        Await accept(rt, accepting(listener.io, &out));
        settle(rt);
        accept.cancel();
        CHECK(rt.drain());
        CHECK(accept.result == unfinished);
        CHECK(rt.stats().timers_pending == 0);
    }
    CHECK(await(rt, accepting(listener.io, &out)) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("closing_a_listener_that_waits_for_descriptors_ends_the_accept") {
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    Runtime rt;
    Listener listener(rt);
    Fd client = plain_client(listener.port);
    REQUIRE(wait_for(client, POLLOUT));
    zyntax_io *out = nullptr;
    FewDescriptors none;
    Await accept(rt, accepting(listener.io, &out));
    settle(rt);
    CHECK(zyntax_io_close(listener.io) == 0);
    CHECK(rt.stats().timers_pending == 0);
    settle(rt); // at once, and not when the time to try again has come
    CHECK(accept.result == ZYNTAX_ECANCELED);
    CHECK(rt.idle_waits() <= idle_budget);
}
