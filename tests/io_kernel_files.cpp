// Descriptors that fstat calls files and that epoll can watch, on Linux. zyntax_io_open takes every descriptor that the
// poller takes, and no regular file.
#include "io_support.h"

#include <linux/fuse.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/mount.h>

using namespace support;

namespace {

#define NEEDS_EPOLL SKIP_WHEN(std::strcmp(zyntax_runtime_backend(), "epoll") != 0, "only epoll tells these from files")

int32_t open_file(Runtime &rt, const char *path, zyntax_io **io) {
    Fd fd(private_to_us(open(path, O_RDONLY)));
    REQUIRE(fd >= 0);
    int flags = fcntl(fd, F_GETFL);
    int32_t error = zyntax_io_open(rt, fd, io);
    if (error == 0) fd.release();
    else CHECK(fcntl(fd, F_GETFL) == flags);
    return error;
}

// A queue of a few short messages, or -1.
mqd_t make_queue() {
    mq_attr attributes{};
    attributes.mq_maxmsg = 4;
    attributes.mq_msgsize = 16;
    std::string name = "/zyntax-test-" + std::to_string(getpid());
    mqd_t queue = mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    if (queue >= 0) mq_unlink(name.c_str());
    return queue;
}

// Answers the kernel's questions about a file system that is one empty file, until it is unmounted.
void serve_one_file(int device) {
    alignas(8) char question[1 << 17];
    while (::read(device, question, sizeof question) > 0) {
        auto *in = reinterpret_cast<fuse_in_header *>(question);
        struct {
            fuse_out_header header;
            union {
                fuse_init_out init;
                fuse_open_out open;
                fuse_attr_out attr;
            };
        } out{};
        size_t size = 0;
        if (in->opcode == FUSE_INIT) {
            out.init.major = FUSE_KERNEL_VERSION;
            out.init.minor = FUSE_KERNEL_MINOR_VERSION;
            out.init.max_write = 4096;
            size = sizeof out.init;
        } else if (in->opcode == FUSE_OPEN) size = sizeof out.open;
        else if (in->opcode == FUSE_GETATTR) {
            out.attr.attr.ino = 1;
            out.attr.attr.mode = S_IFREG | 0600;
            out.attr.attr.nlink = 1;
            size = sizeof out.attr;
        } else out.header.error = -ENOSYS;
        out.header.unique = in->unique;
        out.header.len = uint32_t(sizeof out.header + size);
        if (::write(device, &out, out.header.len) < 0 && in->opcode != FUSE_FLUSH) return;
    }
}

} // namespace

TEST_CASE("a_queue_of_messages_can_be_waited_for") {
    NEEDS_EPOLL;
    Fd queue(make_queue());
    SKIP_WHEN(queue < 0, "the system has no queues of messages");
    mqd_t number = queue;
    Runtime rt;
    zyntax_io *io = nullptr;
    REQUIRE(zyntax_io_open(rt, queue, &io) == 0);
    queue.release();
    CHECK_FALSE(is_blocking(number));
    CHECK(await(rt, readiness(io, ZYNTAX_WRITABLE)) == ZYNTAX_WRITABLE);
    Await waiting(rt, readiness(io, ZYNTAX_READABLE));
    settle(rt);
    CHECK(waiting.alive());
    CHECK(rt.idle_waits() <= idle_budget);
    REQUIRE(mq_send(number, "x", 1, 0) == 0);
    CHECK(rt.drain());
    CHECK(waiting.result == ZYNTAX_READABLE);
    char message[16];
    CHECK(mq_receive(number, message, sizeof message, nullptr) == 1);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_file_of_the_kernels_that_tells_of_changes_can_be_opened") {
    NEEDS_EPOLL;
    Runtime rt;
    zyntax_io *io = nullptr;
    REQUIRE(open_file(rt, "/proc/self/mounts", &io) == 0);
    CHECK(await(rt, readiness(io, ZYNTAX_READABLE)) == ZYNTAX_READABLE);
    char buf[64];
    CHECK(await(rt, reading(io, buf, sizeof buf)) > 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("files_and_directories_of_the_kernels_are_eperm_like_any_other") {
    Runtime rt;
    zyntax_io *io = nullptr;
    for (const char *path : {"/proc/self/status", "/proc/self", "/sys", "/proc/self/exe"}) {
        CAPTURE(std::string(path));
        CHECK(open_file(rt, path, &io) == ZYNTAX_EPERM);
    }
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

// The kernel lets a program that serves files answer polls, and calls its files ready for ever when it does not.
TEST_CASE("a_regular_file_that_a_program_serves_is_eperm") {
    Child child([] {
        std::string place = "/tmp/zyntax-test-fuse-" + std::to_string(getpid());
        int device = open("/dev/fuse", O_RDWR | O_CLOEXEC), at = open(place.c_str(), O_CREAT | O_RDONLY, 0600);
        if (device < 0 || at < 0 || unshare(CLONE_NEWNS) != 0) return 99;
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        std::string options = "fd=" + std::to_string(device) + ",rootmode=100600,user_id=0,group_id=0";
        bool mounted = mount("test", place.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
        int end = 99;
        if (mounted) {
            Thread server([=] { serve_one_file(device); });
            {
                Runtime rt;
                zyntax_io *io = nullptr;
                Fd file(open(place.c_str(), O_RDONLY));
                end = file < 0 ? 2 : zyntax_io_open(rt, file, &io) == ZYNTAX_EPERM ? 0 : 1;
            }
            umount2(place.c_str(), MNT_DETACH);
            server.join();
        }
        unlink(place.c_str());
        return end;
    });
    int end = child.end();
    SKIP_WHEN(end == 99, "this process may not serve files");
    CHECK(end == 0);
}
