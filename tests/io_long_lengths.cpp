// Lengths beyond INT_MAX on systems that refuse them, as macOS does for pipes and terminals. An executable of its own,
// because it replaces `read` and `write`.
#include "io_support.h"

#include <climits>
#include <sys/syscall.h>

using namespace support;

namespace {
std::atomic<int> refused{0};

bool is_refused(size_t size) {
    if (size <= INT_MAX) return false;
    refused++;
    errno = EINVAL;
    return true;
}
} // namespace

extern "C" ssize_t read(int fd, void *bytes, size_t size) {
    return is_refused(size) ? -1 : syscall(SYS_read, fd, bytes, size);
}
extern "C" ssize_t write(int fd, const void *bytes, size_t size) {
    return is_refused(size) ? -1 : syscall(SYS_write, fd, bytes, size);
}

namespace {

// Addresses for one length beyond INT_MAX, of which hardly any is ever touched.
struct Room {
    static constexpr size_t size = size_t{INT_MAX} + 4096;
    char *bytes = static_cast<char *>(
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    ~Room() { munmap(bytes, size); }
};

} // namespace

TEST_CASE("a_length_beyond_what_the_system_takes_is_a_short_read_or_write") {
    SKIP_WHEN(sizeof(size_t) == 4, "no such lengths");
    Room room;
    REQUIRE(room.bytes != MAP_FAILED);
    Runtime rt;
    for (auto make : {pipe_to_runtime, terminal}) {
        Pair pair = make();
        put(pair.far, "hello\n");
        CHECK(await(rt, reading(adopt(rt, pair.near), room.bytes, Room::size)) == 6);
        pair.far.reset();
    }
    Pair pipe = pipe_from_runtime();
    CHECK(await(rt, writing(adopt(rt, pipe.near), room.bytes, Room::size)) > 0);
    CHECK(refused == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}
