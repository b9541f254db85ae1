/* SPDX-License-Identifier: Apache-2.0
 *
 * C++20 coroutines on the C API, in three parts: operation<> turns an await point (a zyntax_op and a Waker) into
 * something to co_await; task<T> is a coroutine that other coroutines co_await; spawn() makes a task<> a task of the
 * runtime, whose poll resumes the innermost coroutine and whose drop destroys them all. So cancelling a task runs the
 * destructors of everything that is alive in it, and those give up the operation that it waits for.
 *
 * Output:
 *     read: one
 *     read: two
 *     read: three
 *     3 lines read
 *     cancelled: a pending sleep and its locals are gone
 */
#include "system.h"
#include "trace.h"
#include "zyntax_async_runtime.h"

#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace {

using namespace std::string_view_literals;

/* ---- await points ---- */

struct await_point {
    virtual PollStatus poll(Waker *waker) = 0;

protected:
    ~await_point() = default;
};

/* One chain of coroutines, each awaiting the next. Only the innermost waits for the runtime. */
struct chain {
    Waker *waker = nullptr; /* of the current poll */
    std::coroutine_handle<> innermost;
    await_point *waits_for = nullptr;
};

/* `call(op, waker, result)` is polled until it is ready; co_await gives its result. */
template <class Call> class operation final : await_point {
public:
    explicit operation(Call call) : call_(std::move(call)) {}
    operation(const operation &) = delete;
    operation &operator=(const operation &) = delete;
    ~operation() { zyntax_op_cancel(&op_); }

    bool await_ready() const noexcept { return false; }

    template <class Promise> bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
        chain &c = *self.promise().in;
        if (poll(c.waker) == POLL_READY) return false; /* goes on without having been suspended */
        c.innermost = self;
        c.waits_for = this;
        return true;
    }

    int64_t await_resume() const noexcept { return result_; }

private:
    PollStatus poll(Waker *waker) override { return call_(&op_, waker, &result_); }

    Call call_;
    zyntax_op op_ = 0;
    int64_t result_ = 0;
};

auto sleep_for(uint64_t duration_ns) {
    return operation([=](zyntax_op *op, Waker *waker, int64_t *) {
        return zyntax_sleep(zyntax_current_runtime(), op, duration_ns, waker);
    });
}

auto read_some(zyntax_io *io, void *buffer, size_t size) {
    return operation([=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_io_read(io, op, buffer, size, waker, result);
    });
}

auto write_some(zyntax_io *io, const void *bytes, size_t size) {
    return operation([=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_io_write(io, op, bytes, size, waker, result);
    });
}

auto join(zyntax_task *task) {
    return operation(
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_task_join(task, op, waker, result); });
}

/* ---- coroutines ---- */

template <class T> class task;

struct promise_base {
    struct return_to_caller {
        bool await_ready() const noexcept { return false; }
        template <class Promise> std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
            return self.promise().caller;
        }
        void await_resume() const noexcept {}
    };

    std::suspend_always initial_suspend() const noexcept { return {}; }
    return_to_caller final_suspend() const noexcept { return {}; }
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

    chain *in = nullptr;
    std::coroutine_handle<> caller = std::noop_coroutine();
};

template <class T> struct promise : promise_base {
    task<T> get_return_object() noexcept;
    void return_value(T v) noexcept { value = std::move(v); }
    T value{};
};

template <> struct promise<void> : promise_base {
    task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
};

/* Owns a coroutine that starts when it is awaited. */
template <class T = void> class [[nodiscard]] task {
public:
    using promise_type = promise<T>;
    using handle = std::coroutine_handle<promise_type>;

    explicit task(handle h) noexcept : handle_(h) {}
    task(task &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    task &operator=(task &&) = delete;
    ~task() {
        if (handle_) handle_.destroy();
    }

    bool await_ready() const noexcept { return false; }

    template <class Promise> handle await_suspend(std::coroutine_handle<Promise> caller) noexcept {
        handle_.promise().in = caller.promise().in;
        handle_.promise().caller = caller;
        return handle_;
    }

    T await_resume() noexcept {
        if constexpr (!std::is_void_v<T>) return std::move(handle_.promise().value);
    }

    handle get() const noexcept { return handle_; }

private:
    handle handle_;
};

template <class T> task<T> promise<T>::get_return_object() noexcept {
    return task<T>(std::coroutine_handle<promise>::from_promise(*this));
}

task<void> promise<void>::get_return_object() noexcept {
    return task<void>(std::coroutine_handle<promise>::from_promise(*this));
}

/* ---- tasks of the runtime ---- */

struct root {
    explicit root(task<> t) noexcept : body(std::move(t)) {
        body.get().promise().in = &coroutines;
        coroutines.innermost = body.get();
    }

    PollStatus poll(Waker *waker) noexcept {
        coroutines.waker = waker;
        if (coroutines.waits_for != nullptr && coroutines.waits_for->poll(waker) == POLL_PENDING) return POLL_PENDING;
        coroutines.waits_for = nullptr;
        coroutines.innermost.resume(); /* until one of the chain waits, or all have returned */
        return body.get().done() ? POLL_READY : POLL_PENDING;
    }

    task<> body;
    chain coroutines;
};

/* Returns NULL when memory is short. Not for drops: in a runtime that is being destroyed NULL means that the state has
 * been dropped already. */
zyntax_task *spawn(zyntax_runtime *runtime, task<> body) {
    root *state = new (std::nothrow) root(std::move(body));
    if (state == nullptr) return nullptr;
    zyntax_task *spawned = zyntax_runtime_spawn_with(
        runtime, state, [](FutureState s, Waker *waker) { return static_cast<root *>(s)->poll(waker); },
        [](FutureState s, int32_t) { delete static_cast<root *>(s); }, 0);
    if (spawned == nullptr) delete state;
    return spawned;
}

/* ---- the program ---- */

constexpr uint64_t millisecond = 1'000'000;

/* Owns one end of a pair of streams. */
class stream {
public:
    stream(zyntax_runtime *runtime, intptr_t fd) {
        if (zyntax_io_open(runtime, fd, &io_) < 0) system_close(fd);
    }
    stream(stream &&other) noexcept : io_(std::exchange(other.io_, nullptr)) {}
    stream &operator=(stream &&) = delete;
    ~stream() { zyntax_io_close(io_); }

    zyntax_io *get() const noexcept { return io_; }

private:
    zyntax_io *io_ = nullptr;
};

task<bool> write_all(const stream &out, std::string_view text) {
    while (!text.empty()) {
        int64_t written = co_await write_some(out.get(), text.data(), text.size());
        if (written < 0) co_return false;
        text.remove_prefix(static_cast<size_t>(written));
    }
    co_return true;
}

/* The line without its end; empty at the end of the stream. */
task<std::string> read_line(const stream &in) {
    std::string line;
    char c = 0;
    while (co_await read_some(in.get(), &c, 1) == 1 && c != '\n') line += c;
    co_return line;
}

task<> writer(stream out) {
    for (std::string_view line : {"one\n"sv, "two\n"sv, "three\n"sv}) {
        co_await sleep_for(5 * millisecond);
        if (!co_await write_all(out, line)) co_return;
    }
}

task<> reader(stream in) {
    int lines = 0;
    for (;;) {
        std::string line = co_await read_line(in);
        if (line.empty()) break;
        std::printf("read: %s\n", line.c_str());
        ++lines;
    }
    std::printf("%d lines read\n", lines);
}

task<> forever() {
    struct local {
        ~local() { std::puts("cancelled: a pending sleep and its locals are gone"); }
    } guard;
    co_await sleep_for(UINT64_MAX);
}

task<> program(zyntax_runtime *runtime) {
    intptr_t ends[2];
    if (system_stream_pair(ends) != 0) co_return;
    zyntax_task *reads = spawn(runtime, reader(stream(runtime, ends[0])));
    zyntax_task *writes = spawn(runtime, writer(stream(runtime, ends[1])));
    co_await join(writes); /* its drop closes the stream, which ends the reader */
    co_await join(reads);

    zyntax_task *sleeper = spawn(runtime, forever());
    co_await sleep_for(5 * millisecond);
    zyntax_task_cancel(sleeper);
    co_await join(sleeper);
}

} // namespace

int main() {
    zyntax_runtime *runtime = zyntax_runtime_create();
    trace_start(runtime);
    zyntax_task *main_task = runtime != nullptr ? spawn(runtime, program(runtime)) : nullptr;
    int32_t error = main_task != nullptr ? zyntax_runtime_block_on(runtime, main_task) : ZYNTAX_ENOMEM;
    if (error < 0) std::fprintf(stderr, "coroutines: %s\n", zyntax_strerror(error));
    zyntax_runtime_destroy(runtime);
    return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
