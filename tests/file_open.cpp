// zyntax_file_open: flags, errors, and opened files that no task takes.
#include "file_support.h"

using namespace support;

#define NEEDS_FILES SKIP_WHEN(!has_threads, "files need threads")

TEST_CASE("flags_that_make_no_sense_are_einval") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = nullptr;
    std::string path = folder.path("a");
    constexpr uint32_t reads = ZYNTAX_FILE_READ, writes = ZYNTAX_FILE_WRITE;
    for (uint32_t flags : {0u, reads | ZYNTAX_FILE_CREATE, reads | ZYNTAX_FILE_NEW, reads | ZYNTAX_FILE_TRUNCATE,
                           reads | ZYNTAX_FILE_APPEND, uint32_t{ZYNTAX_FILE_CREATE}, uint32_t{ZYNTAX_FILE_APPEND},
                           writes | 64u, writes | 0x80000000u}) {
        CAPTURE(flags);
        CHECK(await(rt, opening(rt, path, flags, &file)) == ZYNTAX_EINVAL);
    }
    CHECK(file == nullptr);
    CHECK_FALSE(std::filesystem::exists(folder.at / "a"));
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        int64_t r[4] = {1, 1, 1, 1};
        const char *name = path.c_str();
        CHECK(zyntax_file_open(rt, op, nullptr, reads, waker, &file, &r[0]) == POLL_READY);
        CHECK(zyntax_file_open(rt, op, name, reads, waker, nullptr, &r[1]) == POLL_READY);
        CHECK(zyntax_file_open(rt, op, name, reads, nullptr, &file, &r[2]) == POLL_READY);
        CHECK(zyntax_file_open(nullptr, op, name, reads, waker, &file, &r[3]) == POLL_READY);
        for (int64_t code : r) CHECK(code == ZYNTAX_EINVAL);
        CHECK(zyntax_file_open(rt, op, name, reads, waker, &file, nullptr) == POLL_READY);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
}

TEST_CASE("create_new_truncate_and_append_do_what_they_say") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = nullptr;
    std::string path = folder.path("a");
    CHECK(await(rt, opening(rt, path, both_ways, &file)) == ZYNTAX_ENOENT);
    CHECK(await(rt, opening(rt, path, ZYNTAX_FILE_WRITE | ZYNTAX_FILE_TRUNCATE, &file)) == ZYNTAX_ENOENT);
    zyntax_file_close(opened(rt, path, ZYNTAX_FILE_WRITE | ZYNTAX_FILE_NEW));
    CHECK(std::filesystem::exists(folder.at / "a"));
    CHECK(await(rt, opening(rt, path, ZYNTAX_FILE_WRITE | ZYNTAX_FILE_NEW, &file)) == ZYNTAX_EEXIST);
    store(path, "content");
    CHECK(await(rt, opening(rt, path, ZYNTAX_FILE_WRITE | ZYNTAX_FILE_NEW | ZYNTAX_FILE_TRUNCATE, &file)) ==
          ZYNTAX_EEXIST);
    zyntax_file_close(created(rt, path));
    CHECK(contents(path) == "content");
    file = opened(rt, path, ZYNTAX_FILE_WRITE | ZYNTAX_FILE_APPEND);
    CHECK(await(rt, writing(file, "+", 2)) == 1);
    zyntax_file_close(file);
    CHECK(contents(path) == "content+");
    zyntax_file_close(opened(rt, path, ZYNTAX_FILE_WRITE | ZYNTAX_FILE_TRUNCATE));
    CHECK(contents(path) == "");
    store(path, "content");
    file = opened(rt, path, ZYNTAX_FILE_WRITE | ZYNTAX_FILE_TRUNCATE | ZYNTAX_FILE_APPEND | ZYNTAX_FILE_CREATE);
    CHECK(await(rt, writing(file, "a", here)) == 1);
    CHECK(await(rt, writing(file, "b", 0)) == 1);
    CHECK(await(rt, syncing(file)) == 0);
    zyntax_file_close(file);
    CHECK(contents(path) == "ab");
}

TEST_CASE("errors_of_paths_have_their_names") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = nullptr;
    store(folder.path("file"), "x");
    auto open = [&](const std::string &path, uint32_t flags) { return await(rt, opening(rt, path, flags, &file)); };
    CHECK(open("", ZYNTAX_FILE_READ) == ZYNTAX_ENOENT);
    CHECK(open(folder.path("none"), ZYNTAX_FILE_READ) == ZYNTAX_ENOENT);
    CHECK(open(folder.path("none/a"), ZYNTAX_FILE_WRITE | ZYNTAX_FILE_CREATE) == ZYNTAX_ENOENT);
    CHECK(open(folder.path(""), ZYNTAX_FILE_READ) == ZYNTAX_EISDIR);
    CHECK(open(folder.path(""), ZYNTAX_FILE_WRITE) == ZYNTAX_EISDIR);
    int64_t below_a_file = open(folder.path("file/a"), ZYNTAX_FILE_READ);
    CHECK((below_a_file == ZYNTAX_ENOTDIR || (on_windows && below_a_file == ZYNTAX_ENOENT)));
    CHECK(open(std::string(100'000, 'a'), ZYNTAX_FILE_READ) == ZYNTAX_ENAMETOOLONG);
    int64_t long_name = open(folder.path(std::string(300, 'a')), ZYNTAX_FILE_READ);
    CHECK((long_name == ZYNTAX_ENAMETOOLONG || on_windows));
    CHECK(file == nullptr);
    CHECK(rt.stats().blocking_pending == 0);
}

TEST_CASE("names_are_utf_8") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    std::string path = folder.path("\xc3\xa4\xe2\x82\xac \xf0\x9f\x98\x80");
    zyntax_file *file = created(rt, path);
    CHECK(await(rt, writing(file, "x", 0)) == 1);
    zyntax_file_close(file);
    CHECK(contents(path) == "x");
}

TEST_CASE("the_path_is_copied_by_the_first_call") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    std::string path = folder.path("a");
    store(path, "x");
    zyntax_file *file = nullptr;
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_file_open(rt, op, path.c_str(), ZYNTAX_FILE_READ, waker, &file, result);
    });
    zyntax_runtime_turn(rt, 0);
    path.assign(path.size(), '?');
    CHECK(rt.drain());
    CHECK(task.result == 0);
    CHECK(text_at(rt, file, 5) == "x");
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("an_open_that_is_cancelled_at_any_moment_leaves_no_descriptor") {
    NEEDS_FILES
    FileFolder folder;
    store(folder.path("a"), "x");
    int before = fd_count();
    {
        Runtime rt;
        for (int turns = 0; turns < 6; turns++) {
            zyntax_file *file = nullptr;
            Await task(rt, opening(rt, folder.path("a"), ZYNTAX_FILE_READ, &file));
            for (int i = 0; i < turns; i++) zyntax_runtime_turn(rt, turns > 3 ? 5 * int64_t(ms) : 0);
            task.cancel();
            CHECK(rt.drain());
            CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
            if (file) zyntax_file_close(file);
        }
        settle(rt);
        uint64_t in_use = rt.stats().bytes_in_use;
        zyntax_file_close(opened(rt, folder.path("a"), ZYNTAX_FILE_READ));
        CHECK(rt.stats().bytes_in_use == in_use);
    }
    CHECK(fd_count() == before);
}

TEST_CASE("an_open_whose_op_is_forgotten_leaves_no_descriptor_behind_its_task") {
    NEEDS_FILES
    FileFolder folder;
    store(folder.path("a"), "x");
    Runtime rt;
    zyntax_file_close(opened(rt, folder.path("a"), ZYNTAX_FILE_READ));
    int before = fd_count();
    zyntax_file *file = nullptr;
    zyntax_op forgotten = 0;
    {
        ScopedTask task(rt);
        task.on_poll = [&](Waker *waker) {
            int64_t result;
            if (!forgotten)
                zyntax_file_open(rt, &forgotten, folder.path("a").c_str(), ZYNTAX_FILE_READ, waker, &file, &result);
            return POLL_PENDING;
        };
        task.start();
        CHECK(rt.drive_until([&] { return task.polls > 1; }));
    }
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    settle(rt);
    CHECK(fd_count() == before);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("destroying_a_runtime_closes_its_files_also_those_being_opened") {
    NEEDS_FILES
    FileFolder folder;
    store(folder.path("a"), "x");
    Heap heap;
    {
        Runtime warm;
        zyntax_file_close(opened(warm, folder.path("a"), ZYNTAX_FILE_READ));
    }
    int before = fd_count();
    {
        Runtime rt(heap.config());
        zyntax_file *file = opened(rt, folder.path("a"), ZYNTAX_FILE_READ), *late = nullptr;
        Task opener{[&](Waker *waker) {
            int64_t result;
            return zyntax_file_open(rt, &opener.op, folder.path("a").c_str(), ZYNTAX_FILE_READ, waker, &late, &result);
        }};
        opener.spawn(rt);
        zyntax_runtime_turn(rt, 0);
        rt.destroy();
        CHECK(zyntax_file_close(file) == ZYNTAX_ESTALE);
    }
    CHECK(heap.balanced());
    CHECK(fd_count() == before);
}

TEST_CASE("a_drop_of_a_runtime_that_ends_can_open_and_begin_nothing") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = created(rt, folder.path("a"));
    int64_t results[3] = {1, 1, 1};
    Task task{[](Waker *) { return POLL_PENDING; }};
    WakerKeeper keeper;
    task.on_drop = [&](int32_t) {
        zyntax_op op = 0;
        zyntax_file *out = nullptr;
        char byte;
        CHECK(zyntax_file_open(rt, &op, "x", ZYNTAX_FILE_READ, &keeper.kept, &out, &results[0]) == POLL_READY);
        CHECK(zyntax_file_read(file, &op, &byte, 1, 0, &keeper.kept, &results[1]) == POLL_READY);
        results[2] = zyntax_file_from(rt, 0, &out);
    };
    keeper.spawn(rt);
    task.spawn(rt);
    settle(rt);
    zyntax_runtime_destroy(rt.rt);
    rt.rt = nullptr;
    for (int64_t result : results) CHECK(result == ZYNTAX_ECANCELED);
}

TEST_CASE("files_keep_errno") {
    NEEDS_FILES
    FileFolder folder;
    Runtime rt;
    auto kept = [](auto call) {
        errno = 4711;
        auto result = call();
        int now = errno;
        CHECK(now == 4711);
        return result;
    };
    auto awaited = [&](Operation operation) {
        return await(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
            return kept([&] { return operation(op, waker, result); });
        });
    };
    zyntax_file *file = nullptr;
    char byte;
    intptr_t fd = -1;
    CHECK(awaited(opening(rt, folder.path("a"), ZYNTAX_FILE_READ, &file)) == ZYNTAX_ENOENT);
    CHECK(awaited(opening(rt, folder.path("a"), ZYNTAX_FILE_WRITE | ZYNTAX_FILE_CREATE, &file)) == 0);
    CHECK(awaited(writing(file, "x", 0)) == 1);
    CHECK(awaited(reading(file, &byte, 1, here)) == ZYNTAX_EBADF);
    CHECK(awaited(sizing(file)) == 1);
    CHECK(awaited(syncing(file)) == 0);
    CHECK(kept([&] { return zyntax_file_detach(file, &fd); }) == 0);
    CHECK(kept([&] { return zyntax_file_from(rt, fd, &file); }) == 0);
    CHECK(kept([&] { return zyntax_file_from(rt, -1, &file); }) == ZYNTAX_EBADF);
    CHECK(kept([&] { return zyntax_file_close(file); }) == 0);
}
