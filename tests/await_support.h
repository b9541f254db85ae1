// Shared by the tests of operations: tasks that await one operation, and threads that are held back.
#pragma once

#include "support.h"

namespace support {

// Kernel waits that an idle loop may make in 100 ms.
constexpr uint64_t idle_budget = 5;

// The value of Await::result before its operation has ended.
constexpr int64_t unfinished = INT64_MIN;

constexpr size_t kib = 1024;
constexpr size_t mib = 1024 * kib;

// Writes to a non-blocking descriptor until writes fail for `while_ms`: TCP frees room, as bytes reach the peer, long
// before POLLOUT reports room. With pairs of TCP sockets this time is longer than the delay of acknowledgements.
// Returns the number of bytes.
inline size_t fill(Descriptor fd) {
    constexpr int while_ms = has_local_sockets ? 20 : 60;
    std::string block(64 * kib, 'f');
    size_t total = 0, size = block.size();
    for (bool paused = false;;) {
        auto n = send_some(fd, block.data(), size);
        if (n > 0) {
            total += size_t(n);
            size = std::min(2 * size, block.size());
            paused = false;
        } else if (!would_block() || (size == 1 && paused)) {
            return total;
        } else if (size > 1) {
            size /= 2; // a pipe takes the bytes that fit in its last page
        } else {
            wait_for(fd, POLLOUT, while_ms);
            paused = true;
        }
    }
}

// Reads all bytes that are there, or on their way, from a non-blocking descriptor.
inline std::string take(Descriptor fd) {
    std::string data(64 * kib, 0), all;
    for (;;) {
        auto n = receive_some(fd, data.data(), data.size());
        if (n > 0) all.append(data.data(), size_t(n));
        else if (n == 0 || !would_block() || !wait_for(fd, POLLIN, delivery_ms)) return all;
    }
}

// A task that is cancelled with its object.
struct ScopedTask : Task {
    zyntax_runtime *runtime;

    explicit ScopedTask(zyntax_runtime *rt) : Task{}, runtime(rt) {}
    ~ScopedTask() {
        zyntax_task_cancel(handle);
        for (int round = 0; round < 100 && alive(); round++) zyntax_runtime_turn(runtime, 0);
    }
    ScopedTask(const ScopedTask &) = delete;
    ScopedTask &operator=(const ScopedTask &) = delete;
    void start() { REQUIRE(spawn(runtime) != nullptr); }
};

using Operation = std::function<PollStatus(zyntax_op *, Waker *, int64_t *)>;

// A task that awaits one operation and then ends.
struct Await {
    Operation operation;
    int64_t result = unfinished;
    ScopedTask task;

    Await(zyntax_runtime *rt, Operation o) : operation(std::move(o)), task(rt) {
        task.on_poll = [this](Waker *waker) {
            PollStatus status = operation(&task.op, waker, &result);
            if (status == POLL_READY) CHECK(task.op == 0);
            return status;
        };
        task.start();
    }

    bool alive() const { return task.alive(); }
    void cancel() { zyntax_task_cancel(task.handle); }
};

// Runs one operation in a task of its own to its end; `unfinished` if it does not end in time.
inline int64_t await(Runtime &rt, Operation operation, int64_t limit_ms = deadline_ms) {
    Await a(rt, std::move(operation));
    rt.drive_until([&] { return !a.alive(); }, limit_ms);
    return a.result;
}

inline Operation reading(zyntax_io *io, void *buf, size_t len) {
    return
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_io_read(io, op, buf, len, waker, result); };
}
inline Operation writing(zyntax_io *io, const void *buf, size_t len) {
    return
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_io_write(io, op, buf, len, waker, result); };
}
inline Operation readiness(zyntax_io *io, uint32_t interest) {
    return
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_io_ready(io, op, interest, waker, result); };
}
inline Operation accepting(zyntax_io *listener, zyntax_io **out) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_tcp_accept(listener, op, waker, out, result);
    };
}
inline Operation connecting(zyntax_runtime *rt, const char *host, uint16_t port, zyntax_io **out) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_tcp_connect(rt, op, host, port, waker, out, result);
    };
}
inline Operation connecting_to(zyntax_runtime *rt, const zyntax_address *addresses, size_t n, uint64_t deadline_ns,
                               zyntax_io **out) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_tcp_connect_to(rt, op, addresses, n, deadline_ns, waker, out, result);
    };
}
inline Operation resolving(zyntax_runtime *rt, const char *host, zyntax_address *out, size_t room) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_resolve(rt, op, host, out, room, waker, result);
    };
}
inline Operation sleeping(zyntax_runtime *rt, uint64_t duration_ns) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        PollStatus status = zyntax_sleep(rt, op, duration_ns, waker);
        if (status == POLL_READY) *result = 0;
        return status;
    };
}

// Waits for other threads without driving a runtime; false when deadline_ms have passed.
template <class Predicate> bool eventually(Predicate done, int64_t limit_ms = deadline_ms) {
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
    while (!done()) {
        if (std::chrono::steady_clock::now() >= end) return false;
        sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

// Holds threads back until it is opened, deadline_ms at most.
class Gate {
    Mutex mutex_;
    Condition opened_;
    bool open_ = false;

public:
    bool pass() {
        Lock lock(mutex_);
        return opened_.wait_for(lock, std::chrono::milliseconds(deadline_ms), [this] { return open_; });
    }
    void open() {
        Lock lock(mutex_);
        open_ = true;
        opened_.notify_all();
    }
};

} // namespace support
