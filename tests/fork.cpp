// After a fork the child may destroy its copy of a runtime, and may create its own. This takes nothing from the parent.
#include "blocking_support.h"
#include "channel_support.h"
#include "host_support.h"

#include <deque>
#include <vector>

using namespace support;

namespace {

#define NEEDS_FORK                                  \
    SKIP_WHEN(!has_fork, "this system has no fork") \
    SKIP_WHEN(on_libkqueue, "libkqueue's thread does not exist in a forked child");

// Leaves a child with the number of the check that failed.
#define EXPECT_IN_CHILD(condition, number) \
    if (!(condition)) return number

// A runtime with an operation of each kind under way.
struct Parent {
    Heap heap;
    Runtime rt{heap.config(with_threads(2))};
    Held held;
    std::deque<Pair> pairs;
    std::deque<zyntax_io *> ios;
    std::deque<char> bytes;
    std::deque<Await> readers;
    zyntax_channel *channel = channel_of(rt, 1);
    int item = 0;
    int drops = 0;
    std::unique_ptr<Await> receiver, timer, running, idle;
    Task parked{[](Waker *) { return POLL_PENDING; }, [this](int32_t) { drops++; }};
    HostOp host{receiving(channel_of(rt, 1), &item)};

    explicit Parent(bool with_jobs) {
        for (int i = 0; i < 4; i++) {
            Pair &pair = pairs.emplace_back(i % 2 == 0 ? socket_pair() : tcp_pair());
            ios.push_back(adopt(rt, pair.near));
            readers.emplace_back(rt, reading(ios.back(), &bytes.emplace_back(), 1));
            readers.back().task.on_drop = [this](int32_t) { drops++; };
        }
        receiver = std::make_unique<Await>(rt, receiving(channel, &item));
        timer = std::make_unique<Await>(rt, sleeping(rt, 50 * ms));
        parked.spawn(rt);
        CHECK(host.call() == POLL_PENDING);
        void *state = zyntax_state_alloc(rt, 100);
        auto poll = [](FutureState, Waker *) { return POLL_PENDING; };
        REQUIRE(zyntax_runtime_spawn_with(rt, state, poll, nullptr, 100) != nullptr);
        settle(rt);
        if (!with_jobs) return;
        Job job = [](void *) { return int64_t(3); };
        CHECK(await(rt, blocking(rt, job, nullptr, 0)) == 3); // its thread stays
        running = std::make_unique<Await>(rt, blocking(rt, Held::job, &held, 0));
        CHECK(rt.drive_until([&] { return held.begun == 1; }));
    }
    // In the child: destroys the copy. This calls no user code and frees no memory of the parent.
    int destroy_copy() {
        std::vector<bool> blocking_before;
        for (zyntax_io *io : ios) blocking_before.push_back(is_blocking(Descriptor(zyntax_io_fd(io))));
        std::vector<int> fds;
        for (zyntax_io *io : ios) fds.push_back(duplicate(Descriptor(zyntax_io_fd(io))));
        int before = drops;
        rt.destroy();
        EXPECT_IN_CHILD(drops == before && host.host.wakes == 0, 1);
        EXPECT_IN_CHILD(heap.balanced(), 2);
        for (size_t i = 0; i < fds.size(); i++) EXPECT_IN_CHILD(is_blocking(fds[i]) == blocking_before[i], 3);
        return 0;
    }
    // As check_goes_on, in a process without doctest.
    bool still_reads() {
        for (Pair &pair : pairs) put(pair.far, "x");
        return rt.drive_until(
            [&] {
                for (Await &reader : readers)
                    if (reader.alive()) return false;
                return true;
            },
            3000);
    }
    // In the parent: everything goes on as if there had been no fork.
    void check_goes_on() {
        for (size_t i = 0; i < ios.size(); i++) CHECK_FALSE(is_blocking(Descriptor(zyntax_io_fd(ios[i]))));
        CHECK(drops == 0);
        int sent = 9;
        CHECK(at_once(sending(channel, &sent)) == 0);
        for (Pair &pair : pairs) put(pair.far, "x");
        held.gate.open();
        CHECK(rt.drive_until(
            [&] {
                for (Await &reader : readers)
                    if (reader.alive()) return false;
                return !receiver->alive() && !timer->alive() && !(running && running->alive());
            },
            3000));
        for (Await &reader : readers) CHECK(reader.result == 1);
        CHECK(item == 9);
        CHECK(drops == int(readers.size()));
        // A second round on the same descriptors, and a wake from another thread.
        std::deque<Await> again;
        for (size_t i = 0; i < ios.size(); i++) again.emplace_back(rt, reading(ios[i], &bytes[i], 1));
        settle(rt);
        for (Pair &pair : pairs) put(pair.far, "y");
        static std::atomic<bool> posted;
        posted = false;
        Thread([&] {
            zyntax_runtime_post(
                rt, [](void *) { posted = true; }, nullptr);
        }).join();
        CHECK(rt.drive_until(
            [&] {
                for (Await &reader : again)
                    if (reader.alive()) return false;
                return posted.load();
            },
            3000));
        if (running)
            CHECK(await(rt, blocking(
                                rt, [](void *) { return int64_t(4); }, nullptr, 0)) == 4);
        CHECK(rt.idle_waits() <= idle_budget);
        again.clear();
        rt.destroy();
        CHECK(drops == int(readers.size()) + 1);
        CHECK(heap.balanced());
    }
};

// A runtime of the child that uses each facility once; 0 if it works.
int works(bool with_jobs = true) {
    Heap heap;
    {
        Runtime rt(heap.config());
        Pair pair = socket_pair();
        zyntax_io *io = adopt(rt, pair.near);
        char byte = 0;
        int item = 3, out = 0;
        zyntax_channel *channel = channel_of(rt, 1);
        Await reader(rt, reading(io, &byte, 1)), receiver(rt, receiving(channel, &out)), timer(rt, sleeping(rt, ms));
        settle(rt);
        put(pair.far, "x");
        EXPECT_IN_CHILD(at_once(sending(channel, &item)) == 0, 20);
        EXPECT_IN_CHILD(rt.drain(3000), 21);
        EXPECT_IN_CHILD(reader.result == 1 && receiver.result == 1 && out == 3 && timer.result == 0, 22);
        Job job = [](void *) { return int64_t(5); };
        if (with_jobs) EXPECT_IN_CHILD(await(rt, blocking(rt, job, nullptr, 0), 3000) == 5, 23);
        rt.destroy();
    }
    EXPECT_IN_CHILD(heap.balanced(), 24);
    return 0;
}

// ThreadSanitizer starts no threads in the child of a process that has some.
constexpr bool may_start_threads = !sanitized;

} // namespace

TEST_CASE("a_child_that_destroys_its_copy_takes_nothing_from_the_parent") {
    NEEDS_FORK
    Parent parent(false);
    Child child([&] { return parent.destroy_copy(); });
    CHECK(child.end() == 0);
    parent.check_goes_on();
}

TEST_CASE("a_child_that_destroys_its_copy_waits_for_no_thread") {
    NEEDS_FORK
    Parent parent(true);
    Child child([&] { return parent.destroy_copy(); });
    CHECK(child.end() == 0);
    parent.check_goes_on();
}

TEST_CASE("a_child_that_does_nothing_takes_nothing_from_the_parent") {
    NEEDS_FORK
    Parent parent(true);
    Child child([] { return 0; });
    CHECK(child.end() == 0);
    parent.check_goes_on();
}

TEST_CASE("a_child_may_make_its_own_runtimes_whether_it_destroyed_its_copy_or_not") {
    NEEDS_FORK
    SKIP_WHEN(under_emulation(), "a child of the emulator's can start no thread");
    for (bool destroys : {true, false}) {
        CAPTURE(destroys);
        Parent parent(may_start_threads);
        Child child([&] {
            if (destroys) EXPECT_IN_CHILD(parent.destroy_copy() == 0, 10);
            for (int round = 0; round < 5; round++) {
                int failed = works(may_start_threads);
                if (failed) return failed;
            }
            return 0;
        });
        CHECK(child.end() == 0);
        parent.check_goes_on();
    }
}

TEST_CASE("a_child_may_destroy_its_copy_after_it_made_its_own") {
    NEEDS_FORK
    Parent parent(false);
    Child child([&] {
        int failed = works(may_start_threads);
        if (failed) return failed;
        Runtime own;
        EXPECT_IN_CHILD(parent.destroy_copy() == 0, 10);
        Await timer(own, sleeping(own, ms));
        EXPECT_IN_CHILD(own.drain(3000), 11);
        return works(may_start_threads);
    });
    CHECK(child.end() == 0);
    parent.check_goes_on();
}

TEST_CASE("a_childs_child_may_do_the_same") {
    NEEDS_FORK
    Parent parent(false);
    Child child([&] {
        Runtime own;
        Pair pair = socket_pair();
        char byte = 0;
        Await reader(own, reading(adopt(own, pair.near), &byte, 1));
        settle(own);
        Child childs_child([&] {
            own.destroy();
            return parent.destroy_copy();
        });
        EXPECT_IN_CHILD(childs_child.end() == 0, 30);
        put(pair.far, "x");
        EXPECT_IN_CHILD(own.drain(3000) && reader.result == 1, 31);
        return parent.destroy_copy();
    });
    CHECK(child.end() == 0);
    parent.check_goes_on();
}

TEST_CASE("many_children_may_come_and_go") {
    NEEDS_FORK
    Parent parent(false);
    for (int i = 0; i < 10; i++) {
        Child child([&] { return parent.destroy_copy(); });
        CHECK(child.end() == 0);
        zyntax_runtime_turn(parent.rt, 0);
    }
    parent.check_goes_on();
}

TEST_CASE("a_fork_inside_a_poll_a_drop_or_a_posted_function_leaves_the_parent_as_it_was") {
    NEEDS_FORK
    Parent parent(true);
    int forks = 0;
    auto fork_here = [&] {
        Child child([] { return 7; });
        forks += child.end() == 7;
    };
    Task task{[&](Waker *) {
                  fork_here();
                  return POLL_READY;
              },
              [&](int32_t) { fork_here(); }};
    task.spawn(parent.rt);
    settle(parent.rt);
    std::function<void()> posted = fork_here;
    auto call = [](void *function) { (*static_cast<std::function<void()> *>(function))(); };
    CHECK(zyntax_runtime_post(parent.rt, call, &posted) == 0);
    settle(parent.rt);
    CHECK(forks == 3);
    parent.check_goes_on();
}

TEST_CASE("a_child_may_make_runtimes_though_another_thread_was_making_some_when_it_was_forked") {
    NEEDS_FORK
    std::atomic<bool> over{false};
    std::atomic<int> made{0};
    Thread other([&] {
        while (!over) {
            Runtime rt;
            Task task{[](Waker *) { return POLL_READY; }};
            task.spawn(rt);
            zyntax_runtime_turn(rt, 0);
            rt.destroy();
            made++;
        }
    });
    for (int i = 0; i < scaled(100); i++) {
        int before = made;
        Child child([] {
            for (int round = 0; round < 3; round++) {
                Runtime rt;
                Task task{[](Waker *) { return POLL_READY; }};
                task.spawn(rt);
                EXPECT_IN_CHILD(zyntax_runtime_turn(rt, 0) == 0, 40);
                EXPECT_IN_CHILD(task.drops == 1, 41);
                rt.destroy();
            }
            return 0;
        });
        int end = child.end();
        CHECK(end == 0);
        if (end != 0) break;
        CHECK(eventually([&] { return made > before; }));
    }
    over = true;
    other.join();
}

TEST_CASE("a_waker_and_a_handle_of_a_copy_that_was_destroyed_do_nothing_in_the_child") {
    NEEDS_FORK
    Parent parent(false);
    WakerKeeper task;
    task.spawn(parent.rt);
    settle(parent.rt);
    Child child([&] {
        EXPECT_IN_CHILD(parent.destroy_copy() == 0, 10);
        task.wake();
        EXPECT_IN_CHILD(zyntax_task_alive(task.handle) == 0, 11);
        EXPECT_IN_CHILD(zyntax_task_cancel(task.handle) == ZYNTAX_ESTALE, 12);
        EXPECT_IN_CHILD(zyntax_io_fd(parent.ios[0]) == -1, 13);
        EXPECT_IN_CHILD(zyntax_io_close(parent.ios[1]) == ZYNTAX_ESTALE, 14);
        EXPECT_IN_CHILD(zyntax_channel_close(parent.channel) == ZYNTAX_ESTALE, 15);
        zyntax_op op = parent.readers[0].task.op;
        zyntax_op_cancel(&op);
        return 0;
    });
    CHECK(child.end() == 0);
    CHECK(task.polls == 1);
    task.wake();
    settle(parent.rt);
    CHECK(task.polls == 2);
    parent.check_goes_on();
}

TEST_CASE("a_wake_in_a_child_writes_to_no_descriptor_that_took_a_number_of_the_parents") {
    NEEDS_FORK
    Runtime rt;
    WakerKeeper task;
    task.spawn(rt);
    zyntax_runtime_hold(rt);
    settle(rt);
    zyntax_runtime_backend_fd(rt); // the loop is asleep between turns, so a wake has to wake it
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    Child child([&] {
        for (intptr_t fd = 3; fd < 256; fd++) {
            bool is_other = fd != intptr_t(pair.near) && fd != intptr_t(pair.far);
            if (is_other && is_open(fd)) EXPECT_IN_CHILD(duplicate_as(pair.far, Descriptor(fd)), 10);
        }
        task.wake();
        zyntax_runtime_stop(rt);
        zyntax_runtime_release(rt);
        char byte = 0;
        EXPECT_IN_CHILD(receive_some(pair.near, &byte, 1) < 0 && would_block(), 11);
        return 0;
    });
    CHECK(child.end() == 0);
    task.wake();
    settle(rt);
    CHECK(task.polls == 2);
    zyntax_runtime_release(rt);
}

TEST_CASE("a_child_that_was_made_without_the_c_library_has_a_copy_as_any_other") {
    NEEDS_FORK
    Parent parent(true);
    Child child([&] { return parent.destroy_copy(); }, ForkBy::bare_clone);
    CHECK(child.end() == 0);
    parent.check_goes_on();
}

TEST_CASE("a_child_with_its_parents_process_number_has_a_copy_as_any_other") {
    NEEDS_FORK
    constexpr int impossible = 77;
    for (ForkBy by : {ForkBy::fork, ForkBy::bare_clone}) {
        Child outer([&] {
            if (!begin_process_numbers_again()) return impossible;
            Child first([&] {
                Parent parent(may_start_threads);
                if (!is_first_process() || !begin_process_numbers_again()) return impossible;
                Child second([&] { return is_first_process() ? parent.destroy_copy() : 50; }, by);
                int end = second.end();
                bool reads = parent.still_reads();
                parent.held.gate.open();
                EXPECT_IN_CHILD(end == 0, end);
                EXPECT_IN_CHILD(reads, 51);
                return works(false); // from here on it can start no thread
            });
            return first.end();
        });
        int end = outer.end();
        SKIP_WHEN(end == impossible, "this user cannot create namespaces");
        CHECK(end == 0);
    }
}
