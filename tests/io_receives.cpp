// The number of receive calls: one for each message, also where a read may end early. An executable of its own, because
// its `recv` and `recvmsg` count.
#include "io_support.h"

#include <sys/syscall.h>
#include <sys/wait.h>

using namespace support;

namespace {
std::atomic<int> receives{0};
}

extern "C" ssize_t recv(int fd, void *bytes, size_t size, int flags) {
    receives++;
    return recvfrom(fd, bytes, size, flags, nullptr, nullptr);
}
extern "C" ssize_t recvmsg(int fd, msghdr *message, int flags) {
    receives++;
    return syscall(SYS_recvmsg, fd, message, flags);
}

namespace {

constexpr int messages = 1'000;

// A task that reads all messages, and reports each one by a call.
struct Echo {
    std::unique_ptr<Reader> reader;
    Pair pair;
    Runtime &rt;

    Echo(Runtime &runtime, Pair ends) : pair(std::move(ends)), rt(runtime) {
        reader = std::make_unique<Reader>(rt, adopt(rt, pair.near), size_t(messages) * 4);
        settle(rt);
    }
    void message() {
        size_t before = reader->data.size();
        put(pair.far, "four");
        CHECK(rt.drive_until([&] { return reader->data.size() == before + 4; }));
    }
};

int receives_of_messages(Pair pair) {
    Runtime rt;
    Echo echo(rt, std::move(pair));
    int before = receives;
    for (int i = 0; i < messages; i++) echo.message();
    CHECK(rt.drain());
    CHECK(echo.reader->reads == messages);
    CHECK(rt.idle_waits() <= idle_budget);
    return receives - before;
}

// The passed descriptors are closed, and the bytes behind each one are read.
void read_behind_descriptors(bool readers_first) {
    Runtime rt;
    Pair pair = socket_pair();
    int before = fd_count();
    Reader reader(rt, adopt(rt, pair.near), 9);
    if (readers_first) settle(rt);
    put(pair.far, "a");
    send_with_descriptor(pair.far, "bc");
    send_with_descriptor(pair.far, "d");
    put(pair.far, "ef");
    send_with_descriptor(pair.far, "ghi");
    CHECK(rt.drain());
    CHECK(reader.data == "abcdefghi");
    CHECK(fd_count() == before);
    CHECK(rt.idle_waits() <= idle_budget);
}

void put_from_another_process(Descriptor fd, const char *text) {
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) _exit(write(fd, text, std::strlen(text)) < 0);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
}

} // namespace

TEST_CASE("a_message_of_a_stream_costs_one_receive") {
    SKIP_WHEN(on_libkqueue, "libkqueue does not tell whether there is an urgent mark");
    CHECK(receives_of_messages(socket_pair()) <= messages + 1); // the first read tries too early
    CHECK(receives_of_messages(tcp_pair()) <= messages + 1);
}

TEST_CASE("bytes_behind_passed_descriptors_are_read_and_the_descriptors_are_closed") {
    read_behind_descriptors(true);
    read_behind_descriptors(false);
}

TEST_CASE("bytes_of_another_sender_are_read_although_the_kernel_stops_there") {
    for (bool reader_first : {false, true}) {
        Runtime rt;
        Pair pair = socket_pair();
        set_option(pair.near, SOL_SOCKET, SO_PASSCRED, 1);
        zyntax_io *io = adopt(rt, pair.near);
        std::unique_ptr<Reader> reader;
        if (reader_first) reader = std::make_unique<Reader>(rt, io, 6), settle(rt);
        put(pair.far, "ab");
        put_from_another_process(pair.far, "cd");
        put(pair.far, "ef");
        if (!reader_first) reader = std::make_unique<Reader>(rt, io, 6);
        CHECK(rt.drain());
        CHECK(reader->data == "abcdef");
        CHECK(reader->reads == 3);
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("credentials_that_are_asked_for_later_end_no_read_too_early") {
    Runtime rt;
    Pair pair = socket_pair();
    Descriptor near = pair.near;
    Echo echo(rt, std::move(pair));
    echo.message();
    set_option(near, SOL_SOCKET, SO_PASSCRED, 1);
    put(echo.pair.far, "ab");
    put_from_another_process(echo.pair.far, "cd");
    CHECK(rt.drive_until([&] { return echo.reader->data == "fourabcd"; }));
}
