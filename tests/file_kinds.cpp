// Files of every kind on Unix: pipes, FIFOs, terminals, sockets, devices, /proc. And the limits of the system.
#include "file_support.h"

#include <sys/stat.h>
#include <sys/un.h>

using namespace support;

namespace {

zyntax_file *from(zyntax_runtime *rt, Fd &fd) {
    zyntax_file *file = nullptr;
    REQUIRE(zyntax_file_from(rt, fd, &file) == 0);
    fd.release();
    return file;
}

Fd open_plain(const std::string &path, int flags) { return Fd(open(path.c_str(), flags | O_CLOEXEC, 0666)); }

std::string make_fifo(const FileFolder &folder) {
    std::string path = folder.path("fifo");
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    return path;
}

void takes_no_offset(Runtime &rt, zyntax_file *file) {
    char byte = 'x';
    CHECK(await(rt, reading(file, &byte, 1, 0)) == ZYNTAX_ESPIPE);
    CHECK(await(rt, writing(file, "x", 5)) == ZYNTAX_ESPIPE);
    CHECK(await(rt, sizing(file)) == 0);
    CHECK(await(rt, syncing(file)) == 0);
}

} // namespace

TEST_CASE("a_pipe_waits_by_readiness_without_a_thread") {
    Runtime rt;
    Pair pair = pipe_to_runtime();
    zyntax_file *file = from(rt, pair.near);
    char buf[8] = {};
    Await reader(rt, reading(file, buf, sizeof buf, here));
    settle(rt);
    CHECK(reader.alive());
    CHECK(rt.stats().blocking_pending == 0);
    CHECK(rt.idle_waits() <= idle_budget);
    put(pair.far, "abc");
    CHECK(rt.drain());
    CHECK(reader.result == 3);
    CHECK(std::string(buf) == "abc");
    takes_no_offset(rt, file);
    pair.far.reset();
    CHECK(await(rt, reading(file, buf, sizeof buf, here)) == 0);
    CHECK(zyntax_file_close(file) == 0);
    CHECK(rt.stats().io_open == 0);
}

TEST_CASE("a_full_pipe_makes_a_write_wait_and_a_closed_one_is_epipe") {
    Runtime rt;
    Pair pair = pipe_from_runtime();
    make_nonblocking(pair.near);
    size_t filled = fill(pair.near);
    zyntax_file *file = from(rt, pair.near);
    Await writer(rt, writing(file, "more", here));
    settle(rt);
    CHECK(writer.alive());
    CHECK(take(pair.far).size() == filled);
    CHECK(rt.drain());
    CHECK(writer.result == 4);
    pair.far.reset();
    CHECK(await(rt, writing(file, "x", here)) == ZYNTAX_EPIPE);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_terminal_and_a_socket_work_as_files") {
    Runtime rt;
    for (MakePair make : {MakePair(terminal), MakePair([] { return socket_pair(); })}) {
        Pair pair = make();
        zyntax_file *file = from(rt, pair.near);
        char buf[16] = {};
        Await reader(rt, reading(file, buf, sizeof buf, here));
        settle(rt);
        CHECK(reader.alive());
        put(pair.far, "line\n");
        CHECK(rt.drain());
        CHECK(reader.result == 5);
        CHECK(await(rt, writing(file, "out", here)) == 3);
        CHECK(wait_for(pair.far, POLLIN));
        CHECK(take(pair.far).substr(0, 3) == "out");
        takes_no_offset(rt, file);
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("closing_a_pipe_ends_its_waits_and_detaching_gives_it_back_as_it_was") {
    Runtime rt;
    Pair pair = pipe_to_runtime(), other = pipe_to_runtime();
    Descriptor number = pair.near;
    REQUIRE(is_blocking(number));
    zyntax_file *file = from(rt, pair.near), *closed = from(rt, other.near), *twin = nullptr;
    CHECK(zyntax_file_from(rt, number, &twin) == ZYNTAX_EEXIST);
    char byte;
    Await waits(rt, reading(file, &byte, 1, here)), waits_too(rt, reading(closed, &byte, 1, here));
    settle(rt);
    intptr_t fd = -1;
    CHECK(zyntax_file_detach(file, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_file_detach(file, &fd) == 0);
    CHECK(zyntax_file_close(closed) == 0);
    CHECK(rt.drain());
    CHECK(waits.result == ZYNTAX_ECANCELED);
    CHECK(waits_too.result == ZYNTAX_ECANCELED);
    CHECK(fd == number);
    Fd back((Descriptor(fd)));
    CHECK(is_blocking(back));
}

TEST_CASE("a_fifos_first_read_waits_for_its_first_writer_and_then_for_the_end") {
    FileFolder folder;
    std::string path = make_fifo(folder);
    Runtime rt;
    zyntax_file *file = opened(rt, path, ZYNTAX_FILE_READ);
    char buf[8] = {};
    {
        Await reader(rt, reading(file, buf, sizeof buf, here));
        settle(rt);
        CHECK(reader.alive());
        CHECK(rt.stats().blocking_pending == 0);
        CHECK(rt.idle_waits() <= idle_budget);
        Fd writer = open_plain(path, O_WRONLY);
        settle(rt);
        put(writer, "abc");
        CHECK(rt.drain());
        CHECK(reader.result == 3);
        Await next(rt, reading(file, buf, sizeof buf, here));
        settle(rt);
        CHECK(next.alive());
        writer.reset();
        CHECK(rt.drain());
        CHECK(next.result == 0);
    }
    takes_no_offset(rt, file);
    CHECK(zyntax_file_close(file) == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_fifo_that_already_has_a_writer_and_data_is_read_at_once") {
    FileFolder folder;
    std::string path = make_fifo(folder);
    Runtime rt;
    Fd both = open_plain(path, O_RDWR);
    put(both, "early");
    zyntax_file *file = opened(rt, path, ZYNTAX_FILE_READ);
    CHECK(text_at(rt, file, 10) == "early");
}

TEST_CASE("opening_a_fifo_for_writing_is_epipe_until_it_has_a_reader") {
    FileFolder folder;
    std::string path = make_fifo(folder);
    Runtime rt;
    zyntax_file *file = nullptr;
    int before = 0;
    CHECK(await(rt, opening(rt, path, ZYNTAX_FILE_WRITE, &file)) == ZYNTAX_EPIPE);
    before = fd_count();
    CHECK(await(rt, opening(rt, path, ZYNTAX_FILE_WRITE, &file)) == ZYNTAX_EPIPE);
    CHECK(fd_count() == before);
    Fd reader = open_plain(path, O_RDONLY | O_NONBLOCK);
    file = opened(rt, path, ZYNTAX_FILE_WRITE | ZYNTAX_FILE_CREATE | ZYNTAX_FILE_APPEND);
    CHECK(await(rt, writing(file, "to", here)) == 2);
    CHECK(take(reader) == "to");
}

TEST_CASE("a_regular_file_from_the_host_keeps_its_position_and_its_descriptor") {
    FileFolder folder;
    Runtime rt;
    store(folder.path("a"), "0123456789");
    Fd fd = open_plain(folder.path("a"), O_RDWR);
    Descriptor number = fd;
    REQUIRE(lseek(number, 4, SEEK_SET) == 4);
    zyntax_file *file = from(rt, fd);
    CHECK(text_at(rt, file, 3) == "456");
    CHECK(text_at(rt, file, 2, 0) == "01");
    intptr_t back = -1;
    CHECK(zyntax_file_detach(file, &back) == 0);
    REQUIRE(back == number);
    Fd again(number);
    CHECK(lseek(number, 0, SEEK_CUR) == 7);
    CHECK(zyntax_file_detach(file, &back) == ZYNTAX_ESTALE);
}

TEST_CASE("an_appending_descriptor_of_the_host_appends") {
    FileFolder folder;
    Runtime rt;
    store(folder.path("a"), "begin");
    Fd fd = open_plain(folder.path("a"), O_WRONLY | O_APPEND);
    zyntax_file *file = from(rt, fd);
    CHECK(await(rt, writing(file, "1", 0)) == 1);
    CHECK(await(rt, writing(file, "2", here)) == 1);
    CHECK(contents(folder.path("a")) == "begin12");
}

TEST_CASE("a_directory_and_a_bad_descriptor_are_refused_and_stay_the_hosts") {
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = nullptr;
    Fd directory = open_plain(folder.path(""), O_RDONLY);
    CHECK(zyntax_file_from(rt, directory, &file) == ZYNTAX_EISDIR);
    CHECK(is_open(directory));
    CHECK(zyntax_file_from(rt, 12'345, &file) == ZYNTAX_EBADF);
    CHECK(zyntax_file_from(rt, -1, &file) == ZYNTAX_EBADF);
    if (sizeof(intptr_t) > sizeof(int)) CHECK(zyntax_file_from(rt, intptr_t(uint64_t(1) << 40), &file) == ZYNTAX_EBADF);
    CHECK(zyntax_file_from(nullptr, directory, &file) == ZYNTAX_EINVAL);
    CHECK(zyntax_file_from(rt, directory, nullptr) == ZYNTAX_EINVAL);
    CHECK(file == nullptr);
}

TEST_CASE("a_sockets_file_cannot_be_opened") {
    FileFolder folder;
    Runtime rt;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string path = folder.path("s");
    REQUIRE(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    Fd fd(make_socket(AF_UNIX, SOCK_STREAM));
    REQUIRE(bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
    zyntax_file *file = nullptr;
    CHECK(await(rt, opening(rt, path, both_ways, &file)) == ZYNTAX_EOPNOTSUPP);
}

TEST_CASE("a_link_to_itself_is_eloop_and_a_file_without_permission_eacces") {
    FileFolder folder;
    Runtime rt;
    zyntax_file *file = nullptr;
    REQUIRE(symlink("loop", folder.path("loop").c_str()) == 0);
    CHECK(await(rt, opening(rt, folder.path("loop"), ZYNTAX_FILE_READ, &file)) == ZYNTAX_ELOOP);
    SKIP_WHEN(geteuid() == 0, "root may open every file");
    store(folder.path("a"), "x");
    REQUIRE(chmod(folder.path("a").c_str(), 0) == 0);
    CHECK(await(rt, opening(rt, folder.path("a"), ZYNTAX_FILE_READ, &file)) == ZYNTAX_EACCES);
}

TEST_CASE("a_new_file_has_mode_0666_less_the_umask_and_is_close_on_exec") {
    FileFolder folder;
    Runtime rt;
    mode_t before = umask(027);
    zyntax_file *file = created(rt, folder.path("a"));
    umask(before);
    intptr_t fd = -1;
    REQUIRE(zyntax_file_detach(file, &fd) == 0);
    Fd plain((Descriptor(fd)));
    struct stat info;
    REQUIRE(fstat(plain, &info) == 0);
    CHECK((info.st_mode & 0777) == 0640);
    CHECK_FALSE(is_inheritable(plain));
    CHECK(is_blocking(plain));
}

TEST_CASE("no_descriptors_left_is_emfile_and_opens_nothing") {
    FileFolder folder;
    store(folder.path("a"), "x");
    Child child([&] {
        Runtime rt;
        zyntax_file *file = nullptr;
        zyntax_file_close(opened(rt, folder.path("a"), ZYNTAX_FILE_READ)); // the pool's thread is there
        rlimit limit{3, 3};
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
        int64_t error = await(rt, opening(rt, folder.path("a"), ZYNTAX_FILE_READ, &file));
        return error == ZYNTAX_EMFILE && !file && rt.stats().blocking_pending == 0 ? 0 : 2;
    });
    CHECK(child.end() == 0);
}

TEST_CASE("a_limit_of_size_is_efbig_and_no_signal") {
    FileFolder folder;
    Child child([&] {
        Runtime rt;
        std::signal(SIGXFSZ, SIG_DFL);
        rlimit limit{1000, 1000};
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
        zyntax_file *file = created(rt, folder.path("a"));
        std::string text(600, 'x');
        if (await(rt, writing(file, text, here)) != 600) return 2;
        if (await(rt, writing(file, text, here)) != 400) return 3;
        for (int i = 0; i < 3; i++)
            if (await(rt, writing(file, text, i ? 5000 : here)) != ZYNTAX_EFBIG) return 4;
        if (await(rt, writing(file, text, 500)) != 500) return 5;
        sigset_t pending;
        sigpending(&pending);
        return sigismember(&pending, SIGXFSZ) ? 6 : 0;
    });
    CHECK(child.end() == 0);
}

TEST_CASE("signals_interrupt_no_operation") {
    FileFolder folder;
    Runtime rt;
    store(folder.path("a"), std::string(200'000, 'a'));
    Interruptions storm(200, [](int) {});
    for (int i = 0; i < scaled(300); i++) {
        zyntax_file *file = opened(rt, folder.path("a"), both_ways);
        std::string block(200'000, 0);
        CHECK(await(rt, reading(file, block.data(), block.size(), here)) == 200'000);
        CHECK(await(rt, writing(file, "b", 0)) == 1);
        CHECK(zyntax_file_close(file) == 0);
    }
}

TEST_CASE("a_forked_child_that_destroys_its_copy_closes_its_copies_of_files_only") {
    SKIP_WHEN(on_libkqueue, "libkqueue's thread does not exist in a forked child");
    FileFolder folder;
    Runtime rt;
    store(folder.path("a"), "0123");
    Fd fd = open_plain(folder.path("a"), O_RDONLY);
    Descriptor number = fd;
    zyntax_file *file = from(rt, fd);
    CHECK(text_at(rt, file, 2) == "01");
    Child child([&] {
        rt.destroy();
        return is_open(number) ? 1 : 0;
    });
    CHECK(child.end() == 0);
    CHECK(text_at(rt, file, 2) == "23");
}

#if defined(__linux__)
TEST_CASE("files_of_proc_read_with_and_without_offsets") {
    Runtime rt;
    for (const char *path : {"/proc/self/status", "/proc/self/mounts", "/proc/version"}) {
        CAPTURE(path);
        std::string all = contents(path);
        zyntax_file *file = opened(rt, path, ZYNTAX_FILE_READ);
        CHECK(await(rt, sizing(file)) == 0);
        CHECK(text_at(rt, file, 10) == all.substr(0, 10));
        CHECK(text_at(rt, file, 5, 5) == all.substr(5, 5));
        Fd fd = open_plain(path, O_RDONLY);
        CHECK(text_at(rt, from(rt, fd), 10) == all.substr(0, 10));
    }
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("devices_work_and_a_full_one_is_enospc") {
    Runtime rt;
    zyntax_file *null = opened(rt, "/dev/null", both_ways), *zero = opened(rt, "/dev/zero", both_ways),
                *full = opened(rt, "/dev/full", both_ways);
    CHECK(await(rt, writing(null, "x", here)) == 1);
    CHECK(text_at(rt, null, 5) == "");
    CHECK(text_at(rt, zero, 3) == std::string(3, '\0'));
    CHECK(await(rt, writing(full, "x", here)) == ZYNTAX_ENOSPC);
    for (zyntax_file *file : {null, zero, full}) {
        CHECK(await(rt, sizing(file)) == 0);
        CHECK(await(rt, syncing(file)) == 0);
    }
}

TEST_CASE("standard_input_of_any_kind_can_be_opened_again_by_its_name") {
    FileFolder folder;
    store(folder.path("a"), "text");
    Child child([&] {
        Runtime rt;
        Fd fd = open_plain(folder.path("a"), O_RDONLY);
        if (dup2(fd, 0) != 0) return 1;
        zyntax_file *file = opened(rt, "/dev/stdin", ZYNTAX_FILE_READ);
        if (text_at(rt, file, 10) != "text") return 2;
        Pair pair = pipe_to_runtime();
        put(pair.far, "piped");
        if (dup2(pair.near, 0) != 0) return 3;
        if (text_at(rt, opened(rt, "/dev/stdin", ZYNTAX_FILE_READ), 10) != "piped") return 4;
        return 0;
    });
    CHECK(child.end() == 0);
}
#endif
