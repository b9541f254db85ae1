// Reads and writes of regular files: at offsets, at the position, at the end; large ones, holes, sizes, sync.
#include "file_support.h"

#include <deque>

using namespace support;

#define NEEDS_FILES SKIP_WHEN(!has_threads, "files need threads")

TEST_CASE("written_bytes_are_read_and_are_in_the_file") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = created(rt, folder.path("a"));
    CHECK(await(rt, writing(file, "hello world", 0)) == 11);
    CHECK(text_at(rt, file, 5, 6) == "world");
    CHECK(await(rt, sizing(file)) == 11);
    CHECK(await(rt, syncing(file)) == 0);
    CHECK(zyntax_file_close(file) == 0);
    CHECK(contents(folder.path("a")) == "hello world");
    CHECK(zyntax_file_close(file) == ZYNTAX_ESTALE);
    CHECK(rt.stats().blocking_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_position_moves_with_reads_and_writes_at_it_and_not_with_those_at_offsets") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    store(folder.path("a"), "0123456789");
    zyntax_file *file = opened(rt, folder.path("a"), both_ways);
    CHECK(text_at(rt, file, 3) == "012");
    CHECK(text_at(rt, file, 2, 8) == "89");
    CHECK(await(rt, writing(file, "X", 9)) == 1);
    CHECK(text_at(rt, file, 2) == "34");
    CHECK(await(rt, writing(file, "YZ", here)) == 2);
    CHECK(text_at(rt, file, 10) == "78X");
    CHECK(text_at(rt, file, 10) == "");
    CHECK(text_at(rt, file, 10, 0) == "01234YZ78X");
    CHECK(text_at(rt, file, 10, 100) == "");
}

TEST_CASE("calls_at_the_position_take_effect_in_the_order_of_the_calls") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = created(rt, folder.path("a"));
    std::string expected;
    {
        std::deque<Await> writers;
        for (int i = 0; i < 200; i++) {
            std::string text = std::to_string(i) + (i % 7 == 0 ? std::string(5000, 'x') : ";");
            writers.emplace_back(rt, writing(file, text, here));
            expected += text;
        }
        CHECK(rt.drain());
        for (auto &writer : writers) CHECK(writer.result > 0);
    }
    CHECK(contents(folder.path("a")) == expected);

    zyntax_file *again = opened(rt, folder.path("a"), ZYNTAX_FILE_READ);
    std::deque<std::string> parts;
    std::deque<Await> readers;
    for (int i = 0; i < 200; i++) {
        std::string &part = parts.emplace_back(97, '?');
        readers.emplace_back(rt, reading(again, part.data(), part.size(), here));
    }
    CHECK(rt.drain());
    std::string found;
    for (size_t i = 0; i < parts.size(); i++) found += parts[i].substr(0, size_t(readers[i].result));
    CHECK(found == expected.substr(0, found.size()));
    CHECK(found.size() == std::min(expected.size(), size_t(200 * 97)));
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("reads_at_offsets_run_side_by_side") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    std::string all;
    for (int i = 0; i < 5000; i++) all += std::to_string(i) + ",";
    store(folder.path("a"), all);
    zyntax_file *file = opened(rt, folder.path("a"), ZYNTAX_FILE_READ);
    std::deque<std::string> parts;
    std::deque<Await> readers;
    for (size_t at = 0; at + 100 <= all.size(); at += 50) {
        std::string &part = parts.emplace_back(100, '?');
        readers.emplace_back(rt, reading(file, part.data(), part.size(), at));
    }
    CHECK(rt.drain());
    for (size_t i = 0; i < parts.size(); i++) {
        CHECK(readers[i].result == 100);
        CHECK(parts[i] == all.substr(i * 50, 100));
    }
}

TEST_CASE("appends_of_two_tasks_do_not_tear") {
    NEEDS_FILES
    // Under Wine only calls on one handle exclude each other.
    FileFolder folder;
    Runtime rt;
    constexpr uint32_t flags = ZYNTAX_FILE_WRITE | ZYNTAX_FILE_CREATE | ZYNTAX_FILE_APPEND;
    zyntax_file *one = opened(rt, folder.path("log"), flags);
    zyntax_file *other = on_wine() ? one : opened(rt, folder.path("log"), flags);
    constexpr int each = 100;
    constexpr size_t size = 3000;
    int left[2] = {each, each};
    std::deque<ScopedTask> tasks;
    for (int i = 0; i < 2; i++) {
        ScopedTask &task = tasks.emplace_back(rt);
        task.on_poll = [&, i](Waker *waker) {
            std::string line(size - 1, char('a' + i));
            line += '\n';
            while (left[i] > 0) {
                int64_t n = 0;
                uint64_t offset = left[i] % 2 ? here : 0; // which is ignored
                if (zyntax_file_write(i ? one : other, &tasks[size_t(i)].op, line.data(), size, offset, waker, &n) ==
                    POLL_PENDING)
                    return POLL_PENDING;
                CHECK(n == int64_t(size));
                left[i]--;
            }
            return POLL_READY;
        };
        task.start();
    }
    CHECK(rt.drain());
    std::string all = contents(folder.path("log"));
    REQUIRE(all.size() == 2 * each * size);
    for (size_t at = 0; at < all.size(); at += size) {
        std::string line = all.substr(at, size - 1);
        CHECK(line == std::string(size - 1, all[at]));
        CHECK(all[at + size - 1] == '\n');
    }
}

TEST_CASE("a_large_transfer_is_short_and_goes_on") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    std::string all(3 * mib + 12345, 0);
    for (size_t i = 0; i < all.size(); i++) all[i] = char(i * 2654435761u >> 24);
    zyntax_file *file = created(rt, folder.path("a"));
    for (size_t at = 0; at < all.size();) {
        int64_t n = await(rt, writing(file, all.substr(at), at));
        REQUIRE(n > 0);
        CHECK(n <= int64_t(mib));
        at += size_t(n);
    }
    std::string found;
    std::string block(all.size(), 0);
    for (;;) {
        int64_t n = await(rt, reading(file, block.data(), block.size(), here));
        REQUIRE(n >= 0);
        CHECK(n <= int64_t(mib));
        if (n == 0) break;
        found.append(block, 0, size_t(n));
    }
    CHECK((found == all));
    CHECK(await(rt, reading(file, block.data(), SIZE_MAX / 2, 0)) > 0);
}

TEST_CASE("a_hole_reads_as_zeroes_and_files_above_4_gib_work") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    uint64_t far_away = (uint64_t{5} << 30) + 7;
    zyntax_file *file = created(rt, folder.path("a"));
    CHECK(await(rt, writing(file, "end", far_away)) == 3);
    CHECK(await(rt, sizing(file)) == int64_t(far_away + 3));
    CHECK(text_at(rt, file, 10, far_away) == "end");
    CHECK(text_at(rt, file, 4, uint64_t{1} << 32) == std::string(4, '\0'));
    zyntax_file_close(file);
    file = opened(rt, folder.path("a"), both_ways | ZYNTAX_FILE_APPEND);
    CHECK(await(rt, writing(file, "!", 0)) == 1);
    CHECK(text_at(rt, file, 10, far_away) == "end!");
    CHECK(text_at(rt, file, 4) == ""); // the position is at the end
    intptr_t fd = -1;
    REQUIRE(zyntax_file_detach(file, &fd) == 0);
    REQUIRE(zyntax_file_from(rt, fd, &file) == 0);
    CHECK(await(rt, sizing(file)) == int64_t(far_away + 4));
    CHECK(zyntax_file_close(file) == 0);
}

TEST_CASE("nothing_to_read_or_write_is_0_at_once") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = created(rt, folder.path("a"));
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        int64_t n[3] = {unset, unset, unset};
        CHECK(zyntax_file_read(file, op, nullptr, 0, 0, waker, &n[0]) == POLL_READY);
        CHECK(zyntax_file_read(file, op, nullptr, 0, here, waker, &n[1]) == POLL_READY);
        CHECK(zyntax_file_write(file, op, nullptr, 0, here, waker, &n[2]) == POLL_READY);
        for (int64_t value : n) CHECK(value == 0);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
    CHECK(rt.stats().blocking_pending == 0);
}

TEST_CASE("the_first_call_copies_the_bytes_to_write") {
    NEEDS_FILES
    FileFolder folder;
    Occupied rt;
    rt.held.gate.open();
    zyntax_file *file = created(rt, folder.path("a"));
    Held again;
    Await occupier(rt, blocking(rt, Held::job, &again, 0));
    CHECK(rt.drive_until([&] { return again.begun == 1; }));
    std::string text = "first";
    Await one(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_file_write(file, op, text.data(), text.size(), 0, waker, result);
    });
    settle(rt);
    text = "later";
    again.gate.open();
    CHECK(rt.drain());
    CHECK(one.result == 5);
    CHECK(contents(folder.path("a")) == "first");
}

TEST_CASE("bad_offsets_and_memory_are_einval") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = created(rt, folder.path("a"));
    char byte = 'x';
    CHECK(await(rt, reading(file, &byte, 1, uint64_t{1} << 63)) == ZYNTAX_EINVAL);
    CHECK(await(rt, reading(file, &byte, 1, UINT64_MAX - 1)) == ZYNTAX_EINVAL);
    CHECK(await(rt, writing(file, "x", uint64_t{1} << 63)) == ZYNTAX_EINVAL);
    CHECK(await(rt, reading(file, nullptr, 1, 0)) == ZYNTAX_EINVAL);
    CHECK(await(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
              return zyntax_file_write(file, op, nullptr, 1, 0, waker, result);
          }) == ZYNTAX_EINVAL);
    CHECK(await(rt, sizing(file)) == 0);
}

TEST_CASE("a_file_that_was_opened_for_one_direction_is_ebadf_for_the_other") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    store(folder.path("a"), "text");
    zyntax_file *reads = opened(rt, folder.path("a"), ZYNTAX_FILE_READ);
    zyntax_file *writes = opened(rt, folder.path("a"), ZYNTAX_FILE_WRITE);
    for (uint64_t offset : {uint64_t(0), here}) {
        CHECK(await(rt, writing(reads, "x", offset)) == ZYNTAX_EBADF);
        CHECK(text_at(rt, writes, 1, offset) == "EBADF");
    }
    CHECK(contents(folder.path("a")) == "text");
}

TEST_CASE("a_dead_file_is_estale_and_a_foreign_one_too") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = created(rt, folder.path("a"));
    zyntax_file_close(file);
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(rt, 1, 1, &channel) == 0);
    char byte;
    intptr_t fd = 7;
    for (zyntax_file *bad : {file, static_cast<zyntax_file *>(nullptr), reinterpret_cast<zyntax_file *>(channel),
                             reinterpret_cast<zyntax_file *>(uintptr_t(12345))}) {
        CHECK(await(rt, reading(bad, &byte, 1, 0)) == ZYNTAX_ESTALE);
        CHECK(await(rt, writing(bad, "x", 0)) == ZYNTAX_ESTALE);
        CHECK(await(rt, syncing(bad)) == ZYNTAX_ESTALE);
        CHECK(await(rt, sizing(bad)) == ZYNTAX_ESTALE);
        CHECK(zyntax_file_close(bad) == ZYNTAX_ESTALE);
        CHECK(zyntax_file_detach(bad, &fd) == ZYNTAX_ESTALE);
    }
    CHECK(fd == 7);
}

TEST_CASE("a_thousand_reads_cost_no_memory_once_warm") {
    NEEDS_FILES
    FileFolder folder;
    Heap heap;
    {
        Runtime rt(heap.config());
        store(folder.path("a"), std::string(100'000, 'a'));
        zyntax_file *file = opened(rt, folder.path("a"), ZYNTAX_FILE_READ);
        std::string block(50'000, 0);
        for (int i = 0; i < 20; i++) CHECK(await(rt, reading(file, block.data(), block.size(), 0)) == 50'000);
        uint64_t before = heap.allocations;
        uint64_t in_use = rt.stats().bytes_in_use;
        for (int i = 0; i < scaled(1000); i++) await(rt, reading(file, block.data(), block.size(), 0));
        CHECK(heap.allocations == before);
        CHECK(rt.stats().bytes_in_use == in_use);
    }
    CHECK(heap.balanced());
}
