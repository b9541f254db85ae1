// The runtime opens few descriptors. None survives exec, and all are closed at the end.
#include "io_support.h"

using namespace support;

namespace {

// epoll also has an eventfd, and poll has both ends of a pipe; a kqueue wakes itself. On Windows only sockets count.
// The handles of the completion port, and of the driver that polls sockets, are not sockets.
int cost_of_a_runtime() {
    if (on_windows) return 0;
    return std::string(zyntax_runtime_backend()) == "kqueue" ? 1 : 2;
}

} // namespace

TEST_CASE("a_runtime_costs_two_descriptors_at_most_and_gives_them_back") {
    SKIP_WHEN(on_libkqueue, "libkqueue has descriptors of its own");
    int before = fd_count();
    zyntax_runtime *rt = zyntax_runtime_create();
    REQUIRE(rt != nullptr);
    CHECK(fd_count() == before + cost_of_a_runtime());
    zyntax_runtime_destroy(rt);
    CHECK(fd_count() == before);
}

TEST_CASE("every_descriptor_that_the_runtime_opens_is_close_on_exec") {
    std::set<Descriptor> before = open_descriptors();
    Runtime rt;
    zyntax_io *listener = nullptr, *every = nullptr, *client = nullptr, *server = nullptr;
    REQUIRE(zyntax_tcp_listen(rt, "127.0.0.1", 0, &listener) == 0);
    REQUIRE(zyntax_tcp_listen(rt, nullptr, 0, &every) == 0);
    REQUIRE(await(rt, connecting(rt, "localhost", uint16_t(zyntax_tcp_port(listener)), &client)) == 0);
    REQUIRE(await(rt, accepting(listener, &server)) == 0);
    zyntax_runtime_backend_fd(rt);
    int checked = 0;
    for (Descriptor fd : open_descriptors()) {
        if (before.count(fd) != 0) continue;
        CAPTURE(fd);
        CHECK_FALSE(is_inheritable(fd));
        checked++;
    }
    CHECK(checked >= 4 + cost_of_a_runtime());
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("without_free_descriptors_create_returns_null_with_emfile_and_leaves_nothing") {
    SKIP_WHEN(on_libkqueue, "libkqueue has descriptors of its own");
    SKIP_WHEN(!has_descriptor_limit, "Windows has no limit of handles to run into");
    int before = fd_count();
    for (int spare = 0; spare < cost_of_a_runtime(); spare++) {
        CAPTURE(spare);
        FewDescriptors few(spare);
        int32_t error = 1;
        CHECK(zyntax_runtime_create() == nullptr);
        CHECK(zyntax_runtime_create_with(nullptr, &error) == nullptr);
        CHECK(error == ZYNTAX_EMFILE);
        CHECK(zyntax_runtime_create_with(nullptr, nullptr) == nullptr);
    }
    CHECK(fd_count() == before);
    FewDescriptors enough(cost_of_a_runtime());
    zyntax_runtime *rt = zyntax_runtime_create();
    CHECK(rt != nullptr);
    zyntax_runtime_destroy(rt);
}

TEST_CASE("a_thousand_runtimes_one_after_the_other_leave_nothing_open") {
    int before = fd_count();
    for (int i = 0; i < scaled(1000); i++) {
        Runtime rt;
        Await task(rt, sleeping(rt, 1));
        zyntax_runtime_turn(rt, 0);
    }
    CHECK(fd_count() == before);
}
