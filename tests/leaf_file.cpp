// Promises of files, as compiled code awaits them.
#include "compiled_support.h"
#include "file_support.h"

using namespace support;

namespace {

zyntax_file *to_file(int64_t value) { return reinterpret_cast<zyntax_file *>(static_cast<uintptr_t>(value)); }

} // namespace

TEST_CASE("files_are_opened_written_read_measured_and_synced_by_promises") {
    FileFolder folder;
    Runtime rt;
    char buf[8] = {};
    Compiled *self = nullptr;
    auto file = [&] { return to_file(self->values[0]); };
    Compiled code({[&] {
                       std::string path = folder.path("a"); // gone before the value comes
                       return zyntax_promise_file_open(path.c_str(), both_ways | ZYNTAX_FILE_CREATE);
                   },
                   [&] { return zyntax_promise_file_size(file()); },
                   [&] { return zyntax_promise_file_write(file(), "hello", 5, here); },
                   [&] { return zyntax_promise_file_read(file(), buf, 8, here); },
                   [&] { return zyntax_promise_file_read(file(), buf, 8, 1); },
                   [&] { return zyntax_promise_file_size(file()); }, [&] { return zyntax_promise_file_sync(file()); }});
    self = &code;
    CHECK(run(rt, code) == 1);
    REQUIRE(code.values.size() == 7);
    CHECK(code.values[0] > 0);
    CHECK(std::vector<int64_t>(code.values.begin() + 1, code.values.end()) ==
          std::vector<int64_t>{1, 5, ZYNTAX_EOF, 4, 6, 1});
    CHECK(std::string(buf) == "ello");
    CHECK(zyntax_file_close(file()) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("failures_of_files_are_values") {
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = created(rt, folder.path("a"));
    char buf[1];
    Compiled code({[&] { return zyntax_promise_file_open(folder.path("none").c_str(), ZYNTAX_FILE_READ); },
                   [&] { return zyntax_promise_file_open(folder.path("none").c_str(), 0); },
                   [&] { return zyntax_promise_file_open(nullptr, ZYNTAX_FILE_READ); },
                   [&] { return zyntax_promise_file_read(file, nullptr, 1, 0); },
                   [&] { return zyntax_promise_file_read(file, buf, 0, 0); },
                   [&] { return zyntax_promise_file_write(file, nullptr, 1, 0); },
                   [&] { return zyntax_promise_file_write(file, buf, 0, 0); },
                   [&] { return zyntax_promise_file_read(file, buf, 1, uint64_t(1) << 63); },
                   [&] { return zyntax_promise_file_read(nullptr, buf, 1, 0); },
                   [&] { return zyntax_promise_file_sync(nullptr); },
                   [&] { return zyntax_promise_file_size(nullptr); }});
    run(rt, code);
    constexpr int64_t einval = ZYNTAX_EINVAL, estale = ZYNTAX_ESTALE;
    CHECK(code.values == std::vector<int64_t>{ZYNTAX_ENOENT, einval, einval, einval, einval, einval, einval, einval,
                                              estale, estale, estale});
    zyntax_promise *outside = zyntax_promise_file_size(file);
    CHECK(outside->poll(outside->state) == ZYNTAX_EPERM);
}

TEST_CASE("calls_at_the_position_begin_with_the_calls_that_make_the_promises") {
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = created(rt, folder.path("a"));
    std::vector<zyntax_promise *> made;
    std::vector<Maker> makers{[&] {
        for (const char *word : {"one ", "two ", "three "})
            made.push_back(zyntax_promise_file_write(file, word, std::strlen(word), here));
        return made[2];
    }};
    makers.push_back([&] { return made[0]; });
    makers.push_back([&] { return made[1]; });
    Compiled code(makers);
    run(rt, code);
    CHECK(code.values == std::vector<int64_t>{6, 4, 4});
    CHECK(contents(folder.path("a")) == "one two three ");
}

TEST_CASE("an_opened_file_that_no_poll_has_taken_is_closed_with_its_task") {
    FileFolder folder;
    store(folder.path("a"), "x");
    Runtime rt;
    zyntax_file_close(opened(rt, folder.path("a"), ZYNTAX_FILE_READ));
    int before = fd_count();
    std::string path = folder.path("a");
    Compiled code({[&] {
        zyntax_promise_file_open(path.c_str(), ZYNTAX_FILE_READ); // no code awaits it
        zyntax_promise *limit =
            zyntax_promise_timeout(zyntax_promise_file_open(path.c_str(), ZYNTAX_FILE_READ), 3600'000 * ms);
        zyntax_promise_cancel(limit);
        return zyntax_promise_sleep(20 * ms);
    }});
    run(rt, code);
    zyntax_promise *open = nullptr;
    Compiled chooser({[&] {
        open = zyntax_promise_file_open(path.c_str(), ZYNTAX_FILE_READ);
        return zyntax_promise_select(&open, 1); // leaves the value where it is
    }});
    CHECK(run(rt, chooser) == 1);
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    settle(rt);
    CHECK(fd_count() == before);
}

TEST_CASE("a_read_under_a_limit_that_is_over_leaves_the_callers_memory_alone") {
    FileFolder folder;
    store(folder.path("a"), "0123456789");
    Runtime rt;
    zyntax_file *file = opened(rt, folder.path("a"), ZYNTAX_FILE_READ);
    auto buf = std::make_unique<char[]>(4);
    Compiled code({[&] { return zyntax_promise_timeout(zyntax_promise_file_read(file, buf.get(), 4, here), 0); }});
    int64_t value = run(rt, code);
    CHECK((value == ZYNTAX_ETIMEDOUT || value == 4));
    buf.reset();
    CHECK(rt.drive_until([&] { return rt.stats().blocking_pending == 0; }));
    if (value == ZYNTAX_ETIMEDOUT) CHECK(text_at(rt, file, 4) == "0123");
}
