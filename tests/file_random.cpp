// Random tasks on files whose system calls are interrupted, short, late or failing at random. A model knows the right
// bytes. An executable of its own, because it replaces these calls.
#include "file_support.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <deque>
#include <random>

using namespace support;

namespace {

std::atomic<bool> fails{false};
thread_local bool is_driver = false; // the test's own thread: its calls always succeed
std::atomic<uint32_t> dice{1};

uint32_t roll(uint32_t n) {
    uint32_t seen = dice.load(), next;
    do {
        next = seen * 1664525u + 1013904223u;
    } while (!dice.compare_exchange_weak(seen, next));
    return (next >> 8) % n;
}

// The outcome of a call of a pool's thread: an error, or 0 and perhaps fewer bytes.
int fate(size_t *size, int hard) {
    if (!fails || is_driver) return 0;
    switch (roll(12)) {
    case 0:
    case 1:
        return EINTR;
    case 2:
        return hard;
    case 3:
    case 4:
        if (size && *size > 1) *size = 1 + roll(uint32_t(*size - 1));
        return 0;
    case 5:
        sleep_for(std::chrono::microseconds(roll(300)));
        return 0;
    default:
        return 0;
    }
}

bool fails_with(int error) {
    if (error) errno = error;
    return error != 0;
}

} // namespace

extern "C" {
ssize_t read(int fd, void *bytes, size_t size) {
    if (fails_with(fate(&size, EIO))) return -1;
    return syscall(SYS_read, fd, bytes, size);
}
ssize_t pread64(int fd, void *bytes, size_t size, off64_t at) {
    if (fails_with(fate(&size, EIO))) return -1;
    return syscall(SYS_pread64, fd, bytes, size, at);
}
ssize_t write(int fd, const void *bytes, size_t size) {
    if (fails_with(fate(&size, ENOSPC))) return -1;
    return syscall(SYS_write, fd, bytes, size);
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    if (fails_with(fate(&size, ENOSPC))) return -1;
    return syscall(SYS_pwrite64, fd, bytes, size, at);
}
int fsync(int fd) {
    if (fails_with(fate(nullptr, EIO))) return -1;
    return int(syscall(SYS_fsync, fd));
}
}

namespace {

// The bytes of a record: two that name it, again and again.
std::string record(uint32_t number, size_t size) {
    std::string text(size, 0);
    for (size_t i = 0; i < size; i++) text[i] = char(i % 2 ? 0x80 | number >> 7 : number & 0x7f);
    return text;
}

// A call at the position, in the order of the calls.
struct Call {
    std::string text;
    int64_t result = unfinished; // or it was given up
};

constexpr int64_t input_size = 20'000;
constexpr int workers = 6;

struct World {
    FileFolder folder;
    Heap heap;
    Runtime rt{heap.config(with_threads(3))};
    zyntax_file *input = nullptr, *output = nullptr, *log = nullptr, *table = nullptr;
    std::string all = record(0x1234, size_t(input_size));
    std::string taken;         // of the input, at its position
    std::deque<Call> written;  // to the output, at its position
    std::deque<Call> appended; // to the log
    uint32_t records = 0;
    int calls_left;
    int given_up = 0;
};

// One task: it makes one random call after the other, and gives some of them up.
struct Worker {
    World &world;
    uint64_t index;
    ScopedTask task;
    uint32_t what = 0;
    int patience = 0; // polls until the call is given up
    bool begun = false;
    std::unique_ptr<char[]> buf;
    size_t size = 0;
    uint64_t offset = 0;
    Call *call = nullptr;
    std::string text;
    zyntax_file *opened_here = nullptr;

    Worker(World &w, int i) : world(w), index(uint64_t(i)), task(w.rt) {
        task.on_poll = [this](Waker *waker) { return poll(waker); };
        task.start();
    }

    void choose() {
        what = roll(9);
        patience = roll(3) ? 1000 : int(roll(2));
        size = 1 + roll(roll(4) ? 200 : 3000);
        buf.reset(new char[size]);
        call = nullptr;
        if (what != 1 && what != 2 && what != 4) return;
        text = record(++world.records, size);
        if (what == 1) call = &world.written.emplace_back(Call{text});
        if (what == 2) call = &world.appended.emplace_back(Call{text});
        offset = index * 10'000; // each worker has a part of the table
    }

    PollStatus ask(Waker *waker, int64_t *n) {
        zyntax_op *op = &task.op;
        switch (what) {
        case 0:
            return zyntax_file_read(world.input, op, buf.get(), size, here, waker, n);
        case 1:
            return zyntax_file_write(world.output, op, text.data(), size, here, waker, n);
        case 2:
            return zyntax_file_write(world.log, op, text.data(), size, 7, waker, n);
        case 3:
            offset = roll(uint32_t(input_size));
            if (begun) offset = kept_offset;
            kept_offset = offset;
            return zyntax_file_read(world.input, op, buf.get(), size, offset, waker, n);
        case 4:
            return zyntax_file_write(world.table, op, text.data(), size, offset, waker, n);
        case 5:
            return zyntax_file_sync(world.output, op, waker, n);
        case 6:
            return zyntax_file_size(world.input, op, waker, n);
        default:
            return zyntax_file_open(world.rt, op, world.folder.path(what == 7 ? "input" : "missing").c_str(),
                                    ZYNTAX_FILE_READ, waker, &opened_here, n);
        }
    }
    uint64_t kept_offset = 0;

    void check(int64_t n) {
        bool is_error = n == (what == 1 || what == 2 || what == 4 ? ZYNTAX_ENOSPC : ZYNTAX_EIO);
        if (call) call->result = n;
        switch (what) {
        case 0:
            if (n > 0) world.taken.append(buf.get(), size_t(n));
            CHECK((is_error || (n >= 0 && n <= int64_t(size))));
            break;
        case 3:
            CHECK((is_error || (n >= 0 && n <= int64_t(size))));
            if (n > 0) CHECK(world.all.compare(size_t(offset), size_t(n), buf.get(), size_t(n)) == 0);
            break;
        case 5:
            CHECK((is_error || n == 0));
            break;
        case 6:
            CHECK(n == input_size);
            break;
        case 7:
            CHECK(n == 0);
            CHECK(zyntax_file_close(opened_here) == 0);
            break;
        case 8:
            CHECK(n == ZYNTAX_ENOENT);
            break;
        default:
            CHECK((is_error || (n > 0 && n <= int64_t(size))));
        }
    }

    void give_up() {
        zyntax_op_cancel(&task.op);
        begun = false;
        world.given_up++;
    }

    PollStatus poll(Waker *waker) {
        if (begun && !roll(5)) give_up(); // it may be done
        if (begun && !roll(8)) {          // makes another call first
            waker->wake(waker->data);
            return POLL_PENDING;
        }
        for (;;) {
            if (!begun && world.calls_left-- <= 0) return POLL_READY;
            if (!begun) choose();
            int64_t n = unfinished;
            if (ask(waker, &n) == POLL_READY) {
                check(n);
                begun = false;
                continue;
            }
            begun = true;
            if (patience-- > 0) {
                if (patience < 2) waker->wake(waker->data); // to give it up soon
                return POLL_PENDING;
            }
            give_up();
        }
    }
};

// The file must be the records in their order, each as far as its call said, or as far as a call that was given up
// came.
void check_records(const std::string &found, const std::deque<Call> &calls) {
    size_t at = 0;
    for (const Call &call : calls) {
        size_t n = call.result > 0 ? size_t(call.result) : 0;
        if (call.result == unfinished)
            while (n < call.text.size() && at + n < found.size() && found[at + n] == call.text[n]) n++;
        REQUIRE(found.compare(at, n, call.text, 0, n) == 0);
        at += n;
    }
    CHECK(at == found.size());
}

void run_world(uint32_t seed) {
    CAPTURE(seed);
    is_driver = true;
    dice = seed;
    int before = fd_count();
    {
        World world;
        world.calls_left = sanitized ? 300 : 1500;
        store(world.folder.path("input"), world.all);
        world.input = opened(world.rt, world.folder.path("input"), ZYNTAX_FILE_READ);
        world.output = created(world.rt, world.folder.path("output"));
        world.log = created(world.rt, world.folder.path("log"), ZYNTAX_FILE_APPEND);
        world.table = created(world.rt, world.folder.path("table"));
        uint64_t in_use = world.rt.stats().bytes_in_use;
        fails = true;
        {
            std::deque<Worker> all;
            for (int i = 0; i < workers; i++) all.emplace_back(world, i);
            CHECK(world.rt.drain());
            CHECK(world.rt.drive_until([&] { return world.rt.stats().blocking_pending == 0; }));
        }
        fails = false;
        CHECK(world.given_up > 0);
        CHECK(world.rt.stats().bytes_in_use == in_use);
        std::string rest = text_at(world.rt, world.input, size_t(input_size));
        CHECK((world.taken + rest == world.all));
        check_records(contents(world.folder.path("output")), world.written);
        check_records(contents(world.folder.path("log")), world.appended);
        world.rt.destroy();
        CHECK(world.heap.balanced());
    }
    CHECK(fd_count() == before);
}

} // namespace

TEST_CASE("random_tasks_on_files_lose_no_byte_and_no_descriptor") {
    for (uint32_t seed = 1; seed <= 6; seed++) run_world(seed);
    run_world(std::random_device()());
}
