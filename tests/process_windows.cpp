// Child processes on Windows. The child is this program, which looks for its task before main begins.
#include "await_support.h"
#include "io_support.h"

#include <shellapi.h>

using namespace support;

namespace {

std::string to_utf8(const wchar_t *text) {
    std::string bytes(size_t(WideCharToMultiByte(CP_UTF8, 0, text, -1, nullptr, 0, nullptr, nullptr)), 0);
    WideCharToMultiByte(CP_UTF8, 0, text, -1, bytes.data(), int(bytes.size()), nullptr, nullptr);
    bytes.pop_back();
    return bytes;
}

void write_out(DWORD which, const std::string &text) {
    DWORD written;
    WriteFile(GetStdHandle(which), text.data(), DWORD(text.size()), &written, nullptr);
}

int be_child(const std::string &task) {
    if (task == "args") {
        int count = 0;
        wchar_t **words = CommandLineToArgvW(GetCommandLineW(), &count);
        for (int i = 1; i < count; i++) write_out(STD_OUTPUT_HANDLE, "<" + to_utf8(words[i]) + ">");
    } else if (task == "cat") {
        char block[4096];
        DWORD n;
        while (ReadFile(GetStdHandle(STD_INPUT_HANDLE), block, sizeof block, &n, nullptr) && n > 0)
            write_out(STD_OUTPUT_HANDLE, std::string(block, n));
        write_out(STD_ERROR_HANDLE, "end of input\n");
    } else if (task == "env") {
        wchar_t value[100] = L"";
        GetEnvironmentVariableW(L"ZYNTAX_TEST_VALUE", value, 100);
        write_out(STD_OUTPUT_HANDLE, to_utf8(value));
    } else if (task == "directory") {
        wchar_t path[MAX_PATH];
        GetCurrentDirectoryW(MAX_PATH, path);
        write_out(STD_OUTPUT_HANDLE, to_utf8(path));
    } else if (task.rfind("handle ", 0) == 0) {
        DWORD flags;
        bool is_there = GetHandleInformation(HANDLE(std::strtoull(task.c_str() + 7, nullptr, 10)), &flags);
        write_out(STD_OUTPUT_HANDLE, is_there ? "inherited" : "none");
    } else if (task == "sleep") {
        Sleep(60'000);
    }
    return task.rfind("exit ", 0) == 0 ? std::atoi(task.c_str() + 5) : 0;
}

const bool is_child = [] {
    if (const char *task = std::getenv("ZYNTAX_TEST_CHILD")) ExitProcess(UINT(be_child(task)));
    return false;
}();

struct Own {
    std::string task;
    std::vector<std::string> args{};
    intptr_t stdio[3] = {ZYNTAX_STDIO_NULL, ZYNTAX_STDIO_NULL, ZYNTAX_STDIO_NULL};
    std::string directory{};
    uint32_t flags = 0;
    bool replaces_env = false;

    int32_t spawn(zyntax_runtime *rt, zyntax_io **pipes, zyntax_process **out) const {
        wchar_t path[MAX_PATH];
        GetModuleFileNameW(nullptr, path, MAX_PATH);
        std::string file = to_utf8(path), setting = "ZYNTAX_TEST_CHILD=" + task;
        std::vector<const char *> words{"child"};
        for (auto &word : args) words.push_back(word.c_str());
        words.push_back(nullptr);
        const char *const env[] = {"zzz=1", setting.c_str(), "ZYNTAX_TEST_VALUE=gr\xc3\xbc\xc3\x9f", "A=b", nullptr};
        zyntax_process_options options{};
        options.size = sizeof options;
        options.file = file.c_str();
        options.args = words.data();
        options.env = replaces_env ? env : nullptr;
        options.directory = directory.empty() ? nullptr : directory.c_str();
        for (int i = 0; i < 3; i++) options.stdio[i] = stdio[i];
        options.flags = flags;
        if (!replaces_env) SetEnvironmentVariableA("ZYNTAX_TEST_CHILD", task.c_str());
        int32_t error = zyntax_process_spawn(rt, &options, pipes, out);
        SetEnvironmentVariableA("ZYNTAX_TEST_CHILD", nullptr);
        return error;
    }
};

Operation ending(zyntax_process *process) {
    return
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_process_wait(process, op, waker, result); };
}

std::string output_of(Runtime &rt, Own own) {
    zyntax_io *pipes[3];
    zyntax_process *process = nullptr;
    own.stdio[1] = ZYNTAX_STDIO_PIPE;
    REQUIRE(own.spawn(rt, pipes, &process) == 0);
    std::string text;
    {
        Reader reader(rt, pipes[1]);
        CHECK(rt.drive_until([&] { return !reader.alive(); }));
        CHECK(reader.last == 0);
        text = reader.data;
    }
    CHECK(await(rt, ending(process)) == 0);
    CHECK(zyntax_process_close(process) == 0);
    CHECK(zyntax_io_close(pipes[1]) == 0);
    return text;
}

int32_t spawn_file(Runtime &rt, const char *file, const char *directory = nullptr) {
    zyntax_process_options options{};
    zyntax_process *process = nullptr;
    options.size = sizeof options;
    options.file = file;
    options.directory = directory;
    for (intptr_t &what : options.stdio) what = ZYNTAX_STDIO_NULL;
    int32_t error = zyntax_process_spawn(rt, &options, nullptr, &process);
    if (error == 0) CHECK(zyntax_process_close(process) == 0);
    return error;
}

} // namespace

TEST_CASE("a_child_ends_with_its_exit_code") {
    CHECK_FALSE(is_child);
    Runtime rt;
    for (int code : {0, 5, 255, 1000}) {
        zyntax_process *process = nullptr;
        REQUIRE(Own{"exit " + std::to_string(code)}.spawn(rt, nullptr, &process) == 0);
        CHECK(zyntax_process_id(process) > 0);
        for (int i = 0; i < 2; i++) CHECK(await(rt, ending(process)) == code);
        CHECK(zyntax_process_signal(process, 15) == ZYNTAX_ESRCH);
        CHECK(zyntax_process_close(process) == 0);
    }
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("words_reach_a_child_as_they_are") {
    Runtime rt;
    Own own{"args"};
    own.args = {"a",           "",  "b c", "\"", "\\", "a\\\"b\\", "c d\\", "\\\\\"", "tab\t", "gr\xc3\xbc\xc3\x9f",
                "&|<>^%PATH%", "\n"};
    std::string expected;
    for (auto &word : own.args) expected += "<" + word + ">";
    CHECK(output_of(rt, own) == expected);
}

TEST_CASE("pipes_carry_data_to_and_from_a_child") {
    Runtime rt;
    Own own{"cat"};
    for (intptr_t &what : own.stdio) what = ZYNTAX_STDIO_PIPE;
    zyntax_io *pipes[3];
    zyntax_process *process = nullptr;
    REQUIRE(own.spawn(rt, pipes, &process) == 0);
    std::string text(300'000, 'd');
    {
        Reader out(rt, pipes[1]), err(rt, pipes[2]);
        Writer in(rt, pipes[0], text);
        CHECK(rt.drive_until([&] { return !in.alive(); }));
        CHECK(zyntax_io_close(pipes[0]) == 0);
        CHECK(rt.drive_until([&] { return !out.alive() && !err.alive(); }));
        CHECK(out.data == text);
        CHECK(err.data == "end of input\n");
    }
    CHECK(await(rt, ending(process)) == 0);
    CHECK(zyntax_io_close(pipes[1]) == 0);
    CHECK(zyntax_io_close(pipes[2]) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_child_gets_another_environment_and_directory") {
    Runtime rt;
    Own own{"env"};
    own.replaces_env = true;
    CHECK(output_of(rt, own) == "gr\xc3\xbc\xc3\x9f");
    own.replaces_env = false;
    CHECK(output_of(rt, own).empty());
    own.task = "directory";
    own.directory = "C:\\windows";
    CHECK(output_of(rt, own) == "C:\\windows");
}

TEST_CASE("a_child_inherits_its_three_handles_only") {
    Runtime rt;
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    std::vector<HANDLE> events; // the last has a number that no child comes to by itself
    while (events.size() < 2000) events.push_back(CreateEventW(&inherited, TRUE, FALSE, nullptr));
    CHECK(output_of(rt, Own{"handle " + std::to_string(uintptr_t(events.back()))}) == "none");
    for (HANDLE event : events) CHECK(CloseHandle(event));
}

TEST_CASE("a_program_that_cannot_begin_is_an_error") {
    Runtime rt;
    int before = fd_count();
    CHECK(spawn_file(rt, "C:\\no\\such\\file.exe") == ZYNTAX_ENOENT);
    CHECK(spawn_file(rt, "no-such-program") == ZYNTAX_ENOENT);
    CHECK(spawn_file(rt, "cmd.exe", "C:\\no\\such\\directory") == ZYNTAX_ENOENT);
    CHECK(spawn_file(rt, "bad\xff") == ZYNTAX_EINVAL);
    CHECK(spawn_file(rt, "cmd") == 0);
    Own own{"exit 0"};
    zyntax_process *process = nullptr;
    own.stdio[1] = 0x7ffffff0;
    CHECK(own.spawn(rt, nullptr, &process) == ZYNTAX_EBADF);
    CHECK(fd_count() == before);
}

TEST_CASE("a_signal_ends_a_process_with_256_and_its_number") {
    Runtime rt;
    for (int number : {9, 15}) {
        zyntax_process *process = nullptr;
        REQUIRE(Own{"sleep"}.spawn(rt, nullptr, &process) == 0);
        Await task(rt, ending(process));
        settle(rt);
        CHECK(rt.idle_waits() <= idle_budget);
        CHECK(task.alive());
        CHECK(zyntax_process_signal(process, 0) == 0);
        CHECK(zyntax_process_signal(process, 10) == ZYNTAX_ENOSYS);
        CHECK(zyntax_process_signal(process, number) == 0);
        CHECK(rt.drain());
        CHECK(task.result == 256 + number);
    }
}

TEST_CASE("close_ends_waits_and_destroy_kills_children_that_must_die_with_the_runtime") {
    Runtime rt;
    Own own{"sleep"};
    zyntax_process *kept = nullptr, *closed = nullptr, *watched = nullptr, *watching = nullptr;
    REQUIRE(own.spawn(rt, nullptr, &watched) == 0);
    own.flags = ZYNTAX_PROCESS_KILL_WITH_RUNTIME;
    REQUIRE(own.spawn(rt, nullptr, &kept) == 0);
    REQUIRE(own.spawn(rt, nullptr, &closed) == 0);
    Await task(rt, ending(closed));
    settle(rt);
    CHECK(zyntax_process_close(closed) == 0);
    CHECK(rt.drain());
    CHECK(task.result == ZYNTAX_ECANCELED);
    HANDLE handles[2] = {OpenProcess(SYNCHRONIZE, FALSE, DWORD(zyntax_process_id(kept))),
                         OpenProcess(SYNCHRONIZE | PROCESS_TERMINATE, FALSE, DWORD(zyntax_process_id(watched)))};
    REQUIRE(zyntax_process_watch(rt, zyntax_process_id(watched), &watching) == 0);
    rt.destroy();
    CHECK(WaitForSingleObject(handles[0], 0) == WAIT_OBJECT_0);
    CHECK(WaitForSingleObject(handles[1], 0) == WAIT_TIMEOUT); // it lives on
    TerminateProcess(handles[1], 0);
    for (HANDLE handle : handles) CloseHandle(handle);
}

TEST_CASE("any_process_can_be_watched") {
    Runtime rt;
    zyntax_process *process = nullptr, *watching = nullptr;
    REQUIRE(Own{"sleep"}.spawn(rt, nullptr, &process) == 0);
    int64_t pid = zyntax_process_id(process);
    CHECK(zyntax_process_watch(rt, pid + 1, &watching) == ZYNTAX_ESRCH);
    CHECK(zyntax_process_watch(rt, INT64_MAX, &watching) == ZYNTAX_ESRCH);
    REQUIRE(zyntax_process_watch(rt, pid, &watching) == 0);
    Await task(rt, ending(watching));
    settle(rt);
    CHECK(zyntax_process_signal(process, 9) == 0);
    CHECK(rt.drain());
    CHECK(task.result == 256 + 9);
}

TEST_CASE("ends_that_come_while_handles_close_are_no_danger") {
    Heap heap;
    {
        Runtime rt(heap.config());
        for (int i = 0; i < 20; i++) {
            zyntax_process *process = nullptr, *watching = nullptr;
            REQUIRE(Own{"exit 0"}.spawn(rt, nullptr, &process) == 0);
            int32_t watched = zyntax_process_watch(rt, zyntax_process_id(process), &watching);
            if (i % 3 == 0) zyntax_runtime_turn(rt, 0);
            if (i % 2 == 0) sleep_for(std::chrono::milliseconds(i));
            if (watched == 0) CHECK(zyntax_process_close(watching) == 0);
            CHECK(zyntax_process_close(process) == 0);
        }
    }
    CHECK(heap.balanced());
}
