// SPDX-License-Identifier: Apache-2.0
//
// zyntax_async.zrtl: this runtime as a plugin for a Zyntax that knows nothing of it. Compiled code calls $Async$sleep
// and its like, which return promises; whoever polls those drives the runtime, as nothing else of this file is ever
// called.
//
// Driving. A host's executor polls all that is pending in turn, again and again, and would spin. So one of the pending
// promises, the driver, takes turns of the runtime from its own poll: without waiting as long as anything goes on, and
// with a wait when several rounds of polls have brought nothing. The others only look whether their value has come.
// When the driver ends, or is not polled any more, the next promise that is polled takes over. The wait ends with the
// first event or deadline, and after 10 ms in any case, as the host may have things to do that this runtime knows
// nothing of.
//
// Threads. Each has a runtime of its own, as Zyntax's executor keeps everything by thread; it goes when the thread ends
// or the plugin is unloaded. Nothing here is exported but the two symbols that Zyntax's loader reads.
//
// Memory. Promises live in slots that are never given back while the thread lives, and whose numbers carry a
// generation: compiled code frees nothing, and may poll late.
#include "zyntax_async_runtime.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

namespace {

// ---- what Zyntax's loader reads ----

// Types of arguments: flags << 24 | id << 8 | category.
enum : uint32_t { type_void = 0x00, type_i64 = 0x0402, type_string = 0x05, type_pointer = 0x0D };

struct Signature {
    uint8_t parameters, flags; // 4: has effects
    uint32_t result;
    uint32_t types[16];
};
struct Symbol {
    const char *name;
    const void *function;
    const Signature *signature;
};
struct Info {
    uint32_t version;
    const char *name;
};
static_assert(sizeof(Signature) == 72 && sizeof(Symbol) == 24 && sizeof(Info) == 16); // on 64-bit systems, as Zyntax is

// A string: its length in bytes, then the bytes, without a zero. A copy with one, to be freed; null without memory, or
// for what can be no name.
char *to_text(const int32_t *string) {
    if (!string || *string < 0 || *string > 255) return nullptr;
    auto length = static_cast<size_t>(*string);
    auto *text = static_cast<char *>(malloc(length + 1));
    if (!text) return nullptr;
    text[length] = 0;
    return static_cast<char *>(memcpy(text, string + 1, length));
}

// ---- promises ----

constexpr int64_t wait_ns = 10'000'000;
constexpr uint32_t patience = 32; // turns of the driver that bring nothing, before it waits: what is awaited deep
                                  // inside others takes some rounds to reach who waits for it

// What is awaited. The runtime polls `leaf` in a task; the host polls `promise`.
struct Op {
    zyntax_promise promise; // {number of the slot, poll}
    uint32_t generation;    // odd: in use
    uint32_t next;          // free: the next that is
    zyntax_promise *(*make)(Op *);
    zyntax_promise *leaf;
    zyntax_task *task;
    zyntax_op join; // of the task of this runtime that polls the promise, if one does
    int64_t value;  // 0: it has not come
    uint64_t seen;  // Thread::polls_of_driver when it was polled last
    union {
        int64_t number;
        zyntax_io *io;
        zyntax_promise compiled;
    };
    void *buf;
    size_t len;
    char *text;      // owned
    bool is_spawned; // its value stays until it is joined
};

constexpr uint32_t chunk = 256;    // slots
constexpr uint32_t chunks = 16384; // four million at once

struct Thread {
    zyntax_runtime *runtime;
    Op *slots[chunks];
    uint32_t made, first_free, last_free; // slots; 0: none, as slot 0 is nobody's
    uint32_t driver;                      // its slot, or 0
    uint64_t polls_of_driver, progress, progress_seen;
    uint32_t idle;
    Thread *next, *prev;
};

pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;
Thread *threads;
pthread_key_t key;
bool has_key;

Op *slot(Thread *thread, uint32_t index) { return &thread->slots[index / chunk][index % chunk]; }

void end_thread(void *self) {
    auto *thread = static_cast<Thread *>(self);
    zyntax_runtime_destroy(thread->runtime);
    pthread_mutex_lock(&threads_lock);
    (thread->prev ? thread->prev->next : threads) = thread->next;
    if (thread->next) thread->next->prev = thread->prev;
    pthread_mutex_unlock(&threads_lock);
    for (Op *ops : thread->slots) free(ops);
    free(thread);
}

__attribute__((constructor)) void load() { has_key = pthread_key_create(&key, end_thread) == 0; }

// No other thread runs code of a plugin that is unloaded.
__attribute__((destructor)) void unload() {
    while (threads) end_thread(threads);
    if (has_key) pthread_key_delete(key);
}

// This thread's; null without memory or descriptors.
Thread *this_thread() {
    auto *thread = static_cast<Thread *>(has_key ? pthread_getspecific(key) : nullptr);
    if (thread || !has_key) return thread;
    thread = static_cast<Thread *>(calloc(1, sizeof(Thread)));
    if (!thread) return nullptr;
    thread->runtime = zyntax_runtime_create();
    if (!thread->runtime || pthread_setspecific(key, thread)) {
        zyntax_runtime_destroy(thread->runtime);
        free(thread);
        return nullptr;
    }
    thread->made = 1;
    pthread_mutex_lock(&threads_lock);
    thread->next = threads;
    if (threads) threads->prev = thread;
    threads = thread;
    pthread_mutex_unlock(&threads_lock);
    return thread;
}

uint64_t number_of(uint32_t index, uint32_t generation) { return uint64_t{generation} << 32 | index; }

// The op of a number, or null.
Op *find(Thread *thread, uint64_t number) {
    auto index = static_cast<uint32_t>(number);
    if (!thread || !index || index >= thread->made) return nullptr;
    Op *op = slot(thread, index);
    return op->generation == number >> 32 && (op->generation & 1) ? op : nullptr;
}

int64_t poll(void *number);

// Slots are used again in the order in which they became free, so that a pointer that was kept names nothing for long.
Op *take_op(Thread *thread) {
    uint32_t index = thread->first_free;
    if (index) {
        thread->first_free = slot(thread, index)->next;
    } else {
        index = thread->made;
        Op *&ops = thread->slots[index / chunk < chunks ? index / chunk : 0];
        if (index / chunk >= chunks || (!ops && !(ops = static_cast<Op *>(calloc(chunk, sizeof(Op)))))) return nullptr;
        thread->made++;
    }
    Op *op = slot(thread, index);
    uint32_t generation = (op->generation + 1) & 0x7FFFFFFF; // numbers are positive
    *op = {};
    op->generation = generation;
    uint64_t number = number_of(index, generation);
    op->promise = {reinterpret_cast<void *>(static_cast<uintptr_t>(number)), poll};
    return op;
}

uint32_t index_of(const Op *op) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(op->promise.state)); }

void free_op(Thread *thread, Op *op) {
    uint32_t index = index_of(op);
    if (thread->driver == index) thread->driver = 0;
    zyntax_op_cancel(&op->join);
    free(op->text);
    op->generation++;
    op->next = 0;
    if (thread->first_free) slot(thread, thread->last_free)->next = index;
    else thread->first_free = index;
    thread->last_free = index;
}

// In a task of the runtime: what the leaf waits for. No leaf: there was no memory for one.
int64_t poll_leaf(void *self) {
    auto *op = static_cast<Op *>(self);
    if (!op->leaf) op->leaf = op->make(op);
    return op->leaf ? op->leaf->poll(op->leaf->state) : int64_t{ZYNTAX_ENOMEM};
}

void ended(void *self, int32_t outcome) {
    auto *op = static_cast<Op *>(self);
    if (outcome) op->value = outcome;
    auto *thread = static_cast<Thread *>(pthread_getspecific(key));
    if (thread) thread->progress++;
}

zyntax_promise *begin(Op *op) {
    Thread *thread = this_thread();
    zyntax_promise_hooks hooks = {};
    hooks.size = sizeof hooks;
    hooks.drop = ended;
    hooks.ctx = op;
    zyntax_promise watched = {op, poll_leaf};
    op->task = zyntax_promise_spawn_with(thread->runtime, &watched, &op->value, &hooks);
    thread->progress++;
    if (op->task) return &op->promise;
    free_op(thread, op);
    return nullptr;
}

Op *make_op(zyntax_promise *(*make)(Op *)) {
    Thread *thread = this_thread();
    Op *op = thread ? take_op(thread) : nullptr;
    if (op) op->make = make;
    return op;
}

// Lets the runtime go on: see the top of this file.
void drive(Thread *thread, Op *op) {
    uint32_t index = index_of(op);
    bool is_first = op->seen == 0, driver_is_gone = op->seen == thread->polls_of_driver;
    if (!thread->driver || (driver_is_gone && !is_first)) thread->driver = index;
    bool is_driver = thread->driver == index;
    if (is_driver) {
        thread->polls_of_driver++;
        thread->idle = thread->progress == thread->progress_seen ? thread->idle + 1 : 0;
        thread->progress_seen = thread->progress;
    }
    op->seen = thread->polls_of_driver;
    if (is_driver || is_first) zyntax_runtime_turn(thread->runtime, is_driver && thread->idle > patience ? wait_ns : 0);
}

// A promise of this file, as the host polls it, or as a task of this runtime does: what was spawned, or is blocked on.
int64_t poll(void *number) {
    Thread *thread = this_thread();
    Op *op = find(thread, reinterpret_cast<uintptr_t>(number));
    if (!op) return ZYNTAX_ESTALE;
    Waker waker;
    if (op->value) {
        // It has come.
    } else if (zyntax_current_runtime() == thread->runtime && zyntax_current_waker(&waker) == 0) {
        int64_t joined;
        zyntax_task_join(op->task, &op->join, &waker, &joined);
    } else {
        drive(thread, op);
    }
    int64_t value = op->value;
    if (!value) return 0;
    thread->progress++;
    free_op(thread, op);
    return value;
}

// ---- what compiled code calls ----

zyntax_promise *make_sleep(Op *op) { return zyntax_promise_sleep(static_cast<uint64_t>(op->number) * 1'000'000); }
zyntax_promise *async_sleep(int64_t ms) noexcept {
    Op *op = make_op(make_sleep);
    if (!op) return nullptr;
    op->number = ms < 0 ? 0 : ms > INT64_MAX / 1'000'000 ? INT64_MAX / 1'000'000 : ms;
    return begin(op);
}

zyntax_promise *make_yield(Op *) { return zyntax_promise_yield(); }
zyntax_promise *async_yield() noexcept {
    Op *op = make_op(make_yield);
    return op ? begin(op) : nullptr;
}

int64_t to_value(zyntax_io *io) { return static_cast<int64_t>(reinterpret_cast<uintptr_t>(io)); }
zyntax_io *to_io(int64_t value) { return reinterpret_cast<zyntax_io *>(static_cast<uintptr_t>(value)); }

zyntax_promise *make_connect(Op *op) { return zyntax_promise_connect(op->text, static_cast<uint16_t>(op->number)); }
zyntax_promise *async_tcp_connect(const int32_t *host, int64_t port) noexcept {
    Op *op = make_op(make_connect);
    if (!op) return nullptr;
    op->number = port;
    op->text = to_text(host);
    if (!op->text || port < 1 || port > 65535) op->value = ZYNTAX_EINVAL;
    return op->value ? &op->promise : begin(op);
}

// A listener > 0, or an error, at once. An empty address is every interface.
int64_t async_tcp_listen(const int32_t *address, int64_t port) noexcept {
    Thread *thread = this_thread();
    if (!thread) return ZYNTAX_ENOMEM;
    char *text = to_text(address);
    zyntax_io *listener;
    int32_t error = ZYNTAX_EINVAL;
    if (text && port >= 0 && port <= 65535)
        error = zyntax_tcp_listen(thread->runtime, *text ? text : nullptr, static_cast<uint16_t>(port), &listener);
    free(text);
    return error ? error : to_value(listener);
}

int64_t async_tcp_port(int64_t io) noexcept { return zyntax_tcp_port(to_io(io)); }
int64_t async_tcp_close(int64_t io) noexcept {
    int32_t error = zyntax_io_close(to_io(io));
    return error ? error : 1;
}

zyntax_promise *make_accept(Op *op) { return zyntax_promise_accept(op->io); }
zyntax_promise *make_read(Op *op) { return zyntax_promise_read(op->io, op->buf, op->len); }
zyntax_promise *make_write(Op *op) { return zyntax_promise_write(op->io, op->buf, op->len); }

zyntax_promise *begin_io(zyntax_promise *(*make)(Op *), int64_t io, void *buf, int64_t len) {
    Op *op = make_op(make);
    if (!op) return nullptr;
    op->io = to_io(io);
    op->buf = buf;
    op->len = static_cast<size_t>(len);
    if (!buf || len < 1) op->value = ZYNTAX_EINVAL;
    return op->value ? &op->promise : begin(op);
}
zyntax_promise *async_tcp_accept(int64_t listener) noexcept {
    static char unused;
    return begin_io(make_accept, listener, &unused, 1);
}
zyntax_promise *async_tcp_read(int64_t io, void *buf, int64_t len) noexcept {
    return begin_io(make_read, io, buf, len);
}
zyntax_promise *async_tcp_write(int64_t io, void *buf, int64_t len) noexcept {
    return begin_io(make_write, io, buf, len);
}

// In the pool: a string for the caller to free, or an error.
int64_t look_up(void *arg) {
    const char *host = static_cast<const char *>(arg);
    addrinfo hints = {}, *list = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    int error = getaddrinfo(host, nullptr, &hints, &list);
    if (error) return error == EAI_MEMORY ? ZYNTAX_ENOMEM : error == EAI_AGAIN ? ZYNTAX_EAGAIN : ZYNTAX_ENOENT;
    char text[64];
    error = getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    freeaddrinfo(list);
    if (error) return ZYNTAX_EIO;
    size_t length = strlen(text);
    auto *string = static_cast<int32_t *>(malloc(sizeof(int32_t) + length));
    if (!string) return ZYNTAX_ENOMEM;
    *string = static_cast<int32_t>(length);
    memcpy(string + 1, text, length);
    return static_cast<int64_t>(reinterpret_cast<uintptr_t>(string));
}
zyntax_promise *make_look_up(Op *op) { return zyntax_promise_blocking(look_up, op->text, strlen(op->text) + 1); }
zyntax_promise *async_resolve(const int32_t *host) noexcept {
    Op *op = make_op(make_look_up);
    if (!op) return nullptr;
    op->text = to_text(host);
    if (!op->text || !*op->text) op->value = ZYNTAX_EINVAL;
    return op->value ? &op->promise : begin(op);
}

// A task > 0 that polls a promise beside everything else, or an error. Its value stays until it is joined.
zyntax_promise *make_spawned(Op *op) { return &op->compiled; }
int64_t async_spawn(const zyntax_promise *promise) noexcept {
    if (!promise || !promise->poll) return ZYNTAX_EINVAL;
    Op *op = make_op(make_spawned);
    if (!op) return ZYNTAX_ENOMEM;
    op->compiled = *promise;
    op->is_spawned = true;
    uint64_t number = number_of(index_of(op), op->generation);
    return begin(op) ? static_cast<int64_t>(number) : int64_t{ZYNTAX_ENOMEM};
}

// The value of a task, once. A task is its own promise.
zyntax_promise *async_join(int64_t task) noexcept {
    Op *op = find(this_thread(), static_cast<uint64_t>(task));
    if (op && op->is_spawned) return &op->promise;
    op = make_op(nullptr);
    if (!op) return nullptr;
    op->value = ZYNTAX_ESTALE;
    return &op->promise;
}

// 1, or ZYNTAX_ESTALE for a task whose value was taken. One that has ended keeps its value.
int64_t async_cancel(int64_t task) noexcept {
    Op *op = find(this_thread(), static_cast<uint64_t>(task));
    if (!op || !op->is_spawned) return ZYNTAX_ESTALE;
    zyntax_task_cancel(op->task);
    return 1;
}

// Waits for a promise, without the host's executor: for code that is not async.
int64_t async_block_on(const zyntax_promise *promise) noexcept {
    Thread *thread = this_thread();
    return thread ? zyntax_promise_block_on(thread->runtime, promise) : int64_t{ZYNTAX_ENOMEM};
}

constexpr uint8_t effectful = 4;
const Signature of_nothing = {0, effectful, type_pointer, {}};
const Signature of_number = {1, effectful, type_pointer, {type_i64}};
const Signature of_number_to_number = {1, effectful, type_i64, {type_i64}};
const Signature of_string = {1, effectful, type_pointer, {type_string}};
const Signature of_string_and_port = {2, effectful, type_pointer, {type_string, type_i64}};
const Signature of_string_and_port_to_number = {2, effectful, type_i64, {type_string, type_i64}};
const Signature of_transfer = {3, effectful, type_pointer, {type_i64, type_pointer, type_i64}};
const Signature of_promise_to_number = {1, effectful, type_i64, {type_pointer}};

template <class F> const void *address(F *function) { return reinterpret_cast<const void *>(function); }

} // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED const Info _zrtl_info;
EXPORTED const Symbol _zrtl_symbols[];

const Info _zrtl_info = {1, "zyntax_async"};

const Symbol _zrtl_symbols[] = {
    {"$Async$sleep", address(async_sleep), &of_number},
    {"$Async$yield", address(async_yield), &of_nothing},
    {"$Async$tcp_connect", address(async_tcp_connect), &of_string_and_port},
    {"$Async$tcp_listen", address(async_tcp_listen), &of_string_and_port_to_number},
    {"$Async$tcp_port", address(async_tcp_port), &of_number_to_number},
    {"$Async$tcp_accept", address(async_tcp_accept), &of_number},
    {"$Async$tcp_read", address(async_tcp_read), &of_transfer},
    {"$Async$tcp_write", address(async_tcp_write), &of_transfer},
    {"$Async$tcp_close", address(async_tcp_close), &of_number_to_number},
    {"$Async$resolve", address(async_resolve), &of_string},
    {"$Async$spawn", address(async_spawn), &of_promise_to_number},
    {"$Async$join", address(async_join), &of_number},
    {"$Async$cancel", address(async_cancel), &of_number_to_number},
    {"$Async$block_on", address(async_block_on), &of_promise_to_number},
    {nullptr, nullptr, nullptr},
};
