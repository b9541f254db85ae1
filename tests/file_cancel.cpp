// Operations of files that end before their result is taken: by a cancel, a forgotten op, a close. And hosts that wait.
#include "file_support.h"
#include "host_support.h"

using namespace support;

#define NEEDS_FILES SKIP_WHEN(!has_threads, "files need threads")

namespace {

struct Digits {
    FileFolder folder;
    std::string path = folder.path("a");
    Runtime rt;
    zyntax_file *file;
    explicit Digits(const zyntax_runtime_config &c = config()) : rt(c) {
        store(path, "0123456789");
        file = opened(rt, path, both_ways);
    }
};

} // namespace

TEST_CASE("a_read_that_is_done_and_whose_task_never_calls_again_gives_its_bytes_to_the_next") {
    NEEDS_FILES
    Digits d;
    char buf[4];
    ScopedTask task(d.rt);
    task.on_poll = [&](Waker *waker) {
        int64_t n;
        if (task.polls == 1) zyntax_file_read(d.file, &task.op, buf, 4, here, waker, &n);
        return POLL_PENDING; // alive, but does not call again
    };
    task.start();
    CHECK(d.rt.drive_until([&] { return task.polls > 1; }));
    CHECK(text_at(d.rt, d.file, 3) == "012");
    CHECK(d.rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_read_that_is_cancelled_when_it_is_done_moves_the_position_back_for_those_that_wait") {
    NEEDS_FILES
    Digits d;
    char buf[4], next[5] = {};
    ScopedTask task(d.rt);
    std::optional<Await> second;
    task.on_poll = [&](Waker *waker) {
        int64_t n;
        if (task.polls == 1) return zyntax_file_read(d.file, &task.op, buf, 4, here, waker, &n);
        zyntax_op_cancel(&task.op);
        return POLL_READY;
    };
    task.start();
    second.emplace(d.rt, reading(d.file, next, 4, here));
    CHECK(d.rt.drain());
    CHECK(second->result == 4);
    CHECK(std::string(next) == "0123");
    CHECK(text_at(d.rt, d.file, 2) == "45");
}

TEST_CASE("a_smaller_buffer_at_the_end_leaves_the_rest_to_the_next_read") {
    NEEDS_FILES
    Digits d;
    char buf[8] = {};
    Await reader(d.rt, [&, len = size_t{8}](zyntax_op *op, Waker *waker, int64_t *result) mutable {
        PollStatus status = zyntax_file_read(d.file, op, buf, len, here, waker, result);
        len = 3;
        return status;
    });
    CHECK(d.rt.drain());
    CHECK(reader.result == 3);
    CHECK(std::string(buf) == "012");
    CHECK(text_at(d.rt, d.file, 3) == "345");
}

TEST_CASE("operations_that_have_not_begun_never_happen_once_cancelled") {
    NEEDS_FILES
    Digits d(with_threads(1));
    Held held;
    Await occupier(d.rt, blocking(d.rt, Held::job, &held, 0));
    CHECK(d.rt.drive_until([&] { return held.begun == 1; }));
    char buf[4];
    {
        Await reads(d.rt, reading(d.file, buf, 4, here)), writes(d.rt, writing(d.file, "abc", here)),
            writes_there(d.rt, writing(d.file, "abc", 5)), syncs(d.rt, syncing(d.file)), sizes(d.rt, sizing(d.file));
        settle(d.rt);
        // An operation at the position, and on Windows every operation, waits for the operation before it.
        CHECK(d.rt.stats().blocking_pending == (on_windows ? 2 : 5));
    }
    settle(d.rt);
    CHECK(d.rt.stats().blocking_pending == 1);
    held.gate.open();
    CHECK(d.rt.drain());
    CHECK(text_at(d.rt, d.file, 20) == "0123456789");
}

TEST_CASE("closing_ends_every_wait_and_closes_at_once_when_nothing_runs") {
    NEEDS_FILES
    Digits d(with_threads(1));
    Held held;
    Await occupier(d.rt, blocking(d.rt, Held::job, &held, 0));
    CHECK(d.rt.drive_until([&] { return held.begun == 1; }));
    int with_file = fd_count();
    char buf[4];
    Await reads(d.rt, reading(d.file, buf, 4, here)), writes(d.rt, writing(d.file, "abc", here)),
        writes_there(d.rt, writing(d.file, "abc", 5)), syncs(d.rt, syncing(d.file)), sizes(d.rt, sizing(d.file));
    HostOp host(reading(d.file, buf, 4, 0));
    CHECK(host.call() == POLL_PENDING);
    settle(d.rt);
    CHECK(zyntax_file_close(d.file) == 0);
    if (!on_windows) CHECK(fd_count() == with_file - 1);
    CHECK(d.rt.stats().blocking_pending == 1);
    settle(d.rt);
    for (Await *a : {&reads, &writes, &writes_there, &syncs, &sizes}) CHECK(a->result == ZYNTAX_ECANCELED);
    CHECK(host.host.wakes == 1);
    CHECK(host.call() == POLL_READY);
    CHECK(host.result == ZYNTAX_ECANCELED);
    held.gate.open();
    CHECK(d.rt.drain());
    CHECK(contents(d.path) == "0123456789");
}

TEST_CASE("detach_is_ebusy_while_a_result_waits_to_be_taken") {
    NEEDS_FILES
    Digits d;
    HostOp host(sizing(d.file));
    CHECK(host.call() == POLL_PENDING);
    intptr_t fd = -1;
    CHECK(zyntax_file_detach(d.file, &fd) == ZYNTAX_EBUSY);
    CHECK(d.rt.drive_until([&] { return host.host.wakes == 1; }));
    CHECK(zyntax_file_detach(d.file, &fd) == ZYNTAX_EBUSY);
    CHECK(host.call() == POLL_READY);
    CHECK(host.result == 10);
    CHECK_FALSE(host.host.was_inline);
    CHECK(zyntax_file_detach(d.file, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_file_detach(d.file, &fd) == 0);
    zyntax_file *again = nullptr;
    REQUIRE(zyntax_file_from(d.rt, fd, &again) == 0);
    CHECK(text_at(d.rt, again, 10) == "0123456789");
}

TEST_CASE("a_host_that_was_woken_for_a_read_at_the_position_keeps_its_bytes_until_it_calls") {
    NEEDS_FILES
    Digits d;
    char buf[5] = {};
    HostOp host(reading(d.file, buf, 4, here));
    CHECK(host.call() == POLL_PENDING);
    CHECK(d.rt.drive_until([&] { return host.host.wakes == 1; }));
    char next[4] = {};
    Await behind(d.rt, reading(d.file, next, 3, here));
    settle(d.rt);
    CHECK(behind.alive());
    CHECK(host.call() == POLL_READY);
    CHECK(std::string(buf) == "0123");
    CHECK(d.rt.drain());
    CHECK(std::string(next) == "456");
}

TEST_CASE("a_write_whose_result_nobody_takes_holds_nobody_up") {
    NEEDS_FILES
    Digits d;
    HostOp host(writing(d.file, "abc", here));
    CHECK(host.call() == POLL_PENDING);
    Await behind(d.rt, writing(d.file, "de", here));
    CHECK(d.rt.drain());
    CHECK(behind.result == 2);
    CHECK(host.call() == POLL_READY);
    CHECK(host.result == 3);
    CHECK(contents(d.path) == "abcde56789");
}

TEST_CASE("an_op_that_waits_for_something_else_is_cancelled_and_the_call_begins_anew") {
    NEEDS_FILES
    Digits d;
    char buf[4], text[3] = {};
    Await task(d.rt, [&, first = true](zyntax_op *op, Waker *waker, int64_t *result) mutable {
        if (std::exchange(first, false)) {
            CHECK(zyntax_file_read(d.file, op, buf, 4, here, waker, result) == POLL_PENDING);
            CHECK(zyntax_sleep(d.rt, op, 3600'000 * ms, waker) == POLL_PENDING);
        }
        return zyntax_file_read(d.file, op, text, 2, here, waker, result);
    });
    CHECK(d.rt.drain());
    CHECK(task.result == 2);
    CHECK(std::string(text) == "01");
}

TEST_CASE("every_allocation_may_fail_and_nothing_is_changed_or_lost") {
    NEEDS_FILES
    FileFolder folder;
    store(folder.path("a"), "0123456789");
    for (uint64_t n = 1;; n++) {
        CAPTURE(n);
        REQUIRE(n < 200);
        Heap heap;
        bool failed = false;
        {
            Runtime rt(heap.config());
            HostWaker host;
            Waker waker = host.handle();
            auto run = [&](const Operation &operation) {
                zyntax_op op = 0;
                int64_t result = unfinished;
                CHECK(rt.drive_until([&] { return operation(&op, &waker, &result) == POLL_READY; }));
                CHECK(op == 0);
                return result;
            };
            heap.fail_at = n;
            zyntax_file *file = nullptr;
            std::string text(300'000, 'a'), buf(200'000, 0); // more than the arena has at hand
            int64_t result;
            auto path = folder.path("new");
            while ((result = run(opening(rt, path, both_ways | ZYNTAX_FILE_NEW, &file))) == ZYNTAX_ENOMEM) {
                CHECK_FALSE(std::filesystem::exists(folder.at / "new"));
                CHECK(file == nullptr);
            }
            REQUIRE(result == 0);
            while ((result = run(writing(file, text, here))) == ZYNTAX_ENOMEM) {
            }
            CHECK(result == 300'000);
            while ((result = run(reading(file, buf.data(), buf.size(), 0))) == ZYNTAX_ENOMEM) {
            }
            CHECK(result == 200'000);
            while ((result = run(sizing(file))) == ZYNTAX_ENOMEM) {
            }
            CHECK(result == 300'000);
            intptr_t fd = -1;
            REQUIRE(zyntax_file_detach(file, &fd) == 0);
            int32_t error;
            while ((error = zyntax_file_from(rt, fd, &file)) == ZYNTAX_ENOMEM) {
            }
            CHECK(error == 0);
            failed = heap.failures > 0;
        }
        CHECK(heap.balanced());
        std::filesystem::remove(folder.at / "new");
        if (!failed) {
            CHECK(n > 4);
            break;
        }
    }
}
