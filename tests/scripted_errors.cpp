// A poller that fails: the caller that drives or registers gets the error, and nothing else changes.
#include "scripted_world.h"

using namespace support;
using namespace scripted;

TEST_CASE("an_error_of_the_wait_reaches_run_block_on_and_turn_and_loses_nothing") {
    Sim sim;
    zyntax_io *io = sim.adopt();
    char byte;
    Await reader(sim.rt, reading(io, &byte, 1));
    Await sleeper(sim.rt, sleeping(sim.rt, 10 * ms));
    sim.settle();
    sim.world.wait_error = ZYNTAX_EBADF;
    CHECK(zyntax_runtime_run(sim.rt) == ZYNTAX_EBADF);
    sim.world.wait_error = ZYNTAX_EINVAL;
    CHECK(zyntax_runtime_block_on(sim.rt, sleeper.task.handle) == ZYNTAX_EINVAL);
    sim.world.wait_error = ZYNTAX_ENOMEM;
    CHECK(zyntax_runtime_turn(sim.rt, -1) == ZYNTAX_ENOMEM);
    sim.of(io).in = "x";
    CHECK(zyntax_runtime_run(sim.rt) == 0);
    CHECK(reader.result == 1);
    CHECK(sleeper.result == 0);
    CHECK(sim.rt.stats().kernel_waits == sim.world.timeouts.size());
}

TEST_CASE("ready_tasks_stay_ready_over_an_error_of_the_wait") {
    Sim sim;
    sim.adopt();
    Task tasks[3];
    for (Task &task : tasks) {
        task.on_poll = [](Waker *) { return POLL_READY; };
        task.spawn(sim.rt);
    }
    sim.world.wait_error = ZYNTAX_EBADF;
    CHECK(zyntax_runtime_turn(sim.rt, 0) == ZYNTAX_EBADF);
    CHECK(sim.rt.stats().polls == 0);
    CHECK(zyntax_runtime_turn(sim.rt, 0) == 0);
    for (Task &task : tasks) CHECK(task.outcome == 0);
}

TEST_CASE("wakes_and_posts_during_a_wait_that_failed_are_not_lost") {
    Sim sim;
    sim.adopt();
    Waker copy{};
    bool posted = false;
    Task waiting, canceled;
    waiting.on_poll = [&](Waker *waker) {
        copy = *waker;
        return waiting.polls == 1 ? POLL_PENDING : POLL_READY;
    };
    canceled.on_poll = [](Waker *) { return POLL_PENDING; };
    waiting.spawn(sim.rt);
    canceled.spawn(sim.rt);
    sim.settle();
    zyntax_wake_from_signal(&copy);
    zyntax_task_cancel(canceled.handle);
    zyntax_runtime_post(
        sim.rt, [](void *flag) { *static_cast<bool *>(flag) = true; }, &posted);
    sim.world.wait_error = ZYNTAX_EBADF;
    CHECK(zyntax_runtime_turn(sim.rt, -1) == ZYNTAX_EBADF);
    sim.settle();
    CHECK(waiting.outcome == 0);
    CHECK(canceled.drops == 1);
    CHECK(posted);
}

TEST_CASE("a_runtime_whose_poller_does_not_open_is_none") {
    World world;
    Heap heap;
    zyntax_runtime_config config = heap.config();
    for (int32_t error : {ZYNTAX_EMFILE, ZYNTAX_ENFILE, ZYNTAX_ENOMEM}) {
        int32_t given = 0;
        world.open_error = error;
        CHECK(zyntax_runtime_create_with(&config, &given) == nullptr);
        CHECK(given == error);
        CHECK(heap.balanced());
    }
}

TEST_CASE("a_descriptor_that_the_poller_refuses_stays_the_callers_and_as_it_was") {
    Sim sim;
    for (bool nonblocking : {false, true}) {
        intptr_t fd = intptr_t(sim.world.open({.nonblocking = nonblocking}));
        zyntax_io *io = nullptr;
        sim.world.add_error = ZYNTAX_ENOSPC;
        CHECK(zyntax_io_open(sim.rt, fd, &io) == ZYNTAX_ENOSPC);
        CHECK(io == nullptr);
        CHECK(sim.world.descriptors.at(fd).nonblocking == nonblocking);
        CHECK(sim.rt.stats().io_open == 0);
        CHECK(sim.rt.stats().bytes_in_use == 0);
        sim.world.descriptors.erase(fd);
    }
}

TEST_CASE("a_descriptor_that_cannot_be_made_non_blocking_is_not_registered") {
    Sim sim;
    auto fd = intptr_t(sim.world.open());
    zyntax_io *io = nullptr;
    sim.world.nonblocking_error = ZYNTAX_EBADF;
    CHECK(zyntax_io_open(sim.rt, fd, &io) == ZYNTAX_EBADF);
    CHECK(io == nullptr);
    CHECK(sim.world.registered.empty());
    CHECK(sim.rt.stats().io_open == 0);
    sim.world.descriptors.erase(fd);
}

TEST_CASE("a_socket_of_the_library_that_the_poller_refuses_is_closed") {
    Sim sim;
    zyntax_io *io = nullptr;
    sim.world.add_error = ZYNTAX_ENOMEM;
    CHECK(zyntax_tcp_listen(sim.rt, "127.0.0.1", 0, &io) == ZYNTAX_ENOMEM);
    CHECK(sim.world.descriptors.empty());

    zyntax_io *connected = nullptr;
    sim.world.add_error = ZYNTAX_ENOSPC;
    CHECK(await(sim.rt, connecting(sim.rt, "127.0.0.1", 80, &connected)) == ZYNTAX_ENOSPC);
    CHECK(sim.world.descriptors.empty());
    CHECK(sim.rt.stats().io_open == 0);
}
