// SPDX-License-Identifier: Apache-2.0
//
// zyntax_async.zrtl: this runtime as a plugin for a Zyntax that knows nothing of it. Compiled code calls $Async$sleep
// and similar functions, which return promises. The polls of these promises drive the runtime: the host calls nothing
// else here.
//
// Driving. A host's executor polls all pending promises in turn, again and again, and would spin. So one pending
// promise, the driver, runs turns of the runtime in its own poll: without a wait while there is progress, and with a
// wait after several rounds of polls without progress. The other promises only look for their values. When the driver
// ends, or is not polled any more, the next promise that is polled becomes the driver. The wait ends with the first
// event or deadline, and after 10 ms in any case, as the host may have work that this runtime does not know.
//
// Threads. Each thread has its own runtime, as Zyntax's executor keeps everything by thread. The runtime ends with the
// thread or when the plugin is unloaded. The only exports are the four symbols that Zyntax's loader knows.
//
// Memory. Promises are in slots, whose numbers have a generation and whose memory is kept until the thread ends:
// compiled code frees nothing, and may poll late.
#include "zyntax_async_runtime.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

namespace {

// ---- the tables of Zyntax's loader ----

// Types of arguments: flags << 24 | id << 8 | category. Pointers and promises are declared as numbers: a grammar maps
// the category of pointers (0x0D) to its type Any, and Zyntax would then pass a box with the pointer.
enum : uint32_t { type_i64 = 0x0402, type_string = 0x05 };

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

// ---- strings ----

// A Zyntax string is a header and its bytes, without a zero. The header is the length in bytes; in newer versions it
// has all of these members. Only the loader of those versions calls _zrtl_set_immortal_table.
struct StringHeader {
    uint32_t bytes, characters;
    uint32_t aux;   // a hash, or 0
    uint32_t flags; // `marked`, and `is_utf8`
};
constexpr uint32_t is_utf8 = 1, marked = 1u << 31;
constexpr size_t short_header = sizeof(uint32_t);
static_assert(sizeof(StringHeader) == 16);

// Set while the plugin is loaded, before compiled code runs.
size_t header_size = short_header;
void *(*allocate)(size_t) = malloc; // for strings that compiled code frees

constexpr uint32_t longest_name = 255;

// A copy with a zero, for the caller to free; null without memory, or if the string cannot be a name.
char *to_text(const void *string) {
    StringHeader header = {};
    if (!string) return nullptr;
    memcpy(&header, string, header_size);
    if (header_size > short_header && !(header.flags & marked)) return nullptr;
    const char *bytes = static_cast<const char *>(string) + header_size;
    if (header.bytes > longest_name || memchr(bytes, 0, header.bytes)) return nullptr;
    auto *text = static_cast<char *>(malloc(header.bytes + 1));
    if (!text) return nullptr;
    text[header.bytes] = 0;
    return static_cast<char *>(memcpy(text, bytes, header.bytes));
}

// A string of ASCII characters as a value. Compiled code frees it.
int64_t to_string(const char *text) {
    auto length = static_cast<uint32_t>(strlen(text));
    StringHeader header = {length, length, 0, marked | is_utf8};
    auto *string = static_cast<char *>(allocate(header_size + length));
    if (!string) return ZYNTAX_ENOMEM;
    memcpy(string, &header, header_size);
    memcpy(string + header_size, text, length);
    return static_cast<int64_t>(reinterpret_cast<uintptr_t>(string));
}

// ---- promises ----

constexpr int64_t wait_ns = 10'000'000;
constexpr uint32_t patience = 32; // turns of the driver without progress, before it waits: a value deep inside other
                                  // promises takes some rounds to reach the outermost promise

// A pending call of compiled code. The runtime polls `leaf` in a task; the host polls `promise`.
struct Op {
    zyntax_promise promise; // {number of the slot, poll}
    uint32_t generation;    // odd: in use
    uint32_t next;          // free: the next free slot
    zyntax_promise *(*make)(Op *);
    zyntax_promise *leaf;
    zyntax_task *task;
    zyntax_op join; // the op id of a task of this runtime that polls the promise
    int64_t value;  // 0: pending
    uint64_t seen;  // Thread::polls_of_driver at the last poll; 0: never polled
    union {
        int64_t number;
        zyntax_io *io;
        zyntax_promise compiled;
    };
    void *buf;
    size_t len;
    char *text;      // owned
    bool is_spawned; // set by async_spawn: the value stays until it is joined
};

// A job of the pool stores its text here. It outlives the op, which may be abandoned first.
struct Answer {
    uint64_t number; // of the op that waits for the text, or 0
    char *text;      // owned
};
pthread_mutex_t answers_lock = PTHREAD_MUTEX_INITIALIZER;

struct Slot {
    Op op;
    Answer answer; // under the lock
};

constexpr uint32_t chunk = 256;    // slots
constexpr uint32_t chunks = 16384; // four million at once

struct Thread {
    zyntax_runtime *runtime;
    Slot *slots[chunks];
    uint32_t made, first_free, last_free; // numbers of slots; 0: none, as slot 0 is not used
    uint32_t driver;                      // its slot, or 0
    uint64_t polls_of_driver, progress, progress_seen;
    uint32_t idle;
    Thread *next, *prev;
};

pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;
Thread *threads;
pthread_key_t key;
bool has_key;

Slot *place(Thread *thread, uint32_t index) { return &thread->slots[index / chunk][index % chunk]; }
Op *slot(Thread *thread, uint32_t index) { return &place(thread, index)->op; }

void end_thread(void *self) {
    auto *thread = static_cast<Thread *>(self);
    zyntax_runtime_destroy(thread->runtime);
    pthread_mutex_lock(&threads_lock);
    (thread->prev ? thread->prev->next : threads) = thread->next;
    if (thread->next) thread->next->prev = thread->prev;
    pthread_mutex_unlock(&threads_lock);
    for (uint32_t index = 1; index < thread->made; index++) {
        free(slot(thread, index)->text);
        free(place(thread, index)->answer.text);
    }
    for (Slot *slots : thread->slots) free(slots);
    free(thread);
}

__attribute__((constructor)) void load() { has_key = pthread_key_create(&key, end_thread) == 0; }

// While a plugin is unloaded, no other thread runs its code.
__attribute__((destructor)) void unload() {
    while (threads) end_thread(threads);
    if (has_key) pthread_key_delete(key);
}

// The state of this thread; null without memory or descriptors.
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
zyntax_promise *make_look_up(Op *op);

// Free slots are used again in order, oldest first, so that a stale pointer names no promise for a long time.
Op *take_op(Thread *thread) {
    uint32_t index = thread->first_free;
    if (index) {
        thread->first_free = slot(thread, index)->next;
    } else {
        index = thread->made;
        if (index / chunk >= chunks) return nullptr;
        Slot *&slots = thread->slots[index / chunk];
        if (!slots && !(slots = static_cast<Slot *>(calloc(chunk, sizeof(Slot))))) return nullptr;
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

// The text of the op's job, for the caller to free; null if there is none.
char *take_answer(Thread *thread, const Op *op) {
    if (op->make != make_look_up) return nullptr;
    Answer &answer = place(thread, index_of(op))->answer;
    pthread_mutex_lock(&answers_lock);
    char *text = answer.text;
    answer = {};
    pthread_mutex_unlock(&answers_lock);
    return text;
}

void free_op(Thread *thread, Op *op) {
    uint32_t index = index_of(op);
    if (thread->driver == index) thread->driver = 0;
    zyntax_op_cancel(&op->join);
    free(take_answer(thread, op));
    free(op->text);
    op->text = nullptr;
    op->generation++;
    op->next = 0;
    if (thread->first_free) slot(thread, thread->last_free)->next = index;
    else thread->first_free = index;
    thread->last_free = index;
}

// The poll function of the op's task, which makes the leaf in its first call.
int64_t poll_leaf(void *self) {
    auto *op = static_cast<Op *>(self);
    if (!op->leaf) op->leaf = op->make(op);
    return op->leaf->poll(op->leaf->state);
}

void ended(void *self, int32_t outcome) {
    auto *op = static_cast<Op *>(self);
    if (outcome) op->value = outcome;
    auto *thread = static_cast<Thread *>(pthread_getspecific(key));
    if (thread) thread->progress++;
}

Op *make_op(zyntax_promise *(*make)(Op *)) {
    Thread *thread = this_thread();
    Op *op = thread ? take_op(thread) : nullptr;
    if (op) op->make = make;
    return op;
}

// False without memory; the op is freed then.
bool start(Op *op) {
    Thread *thread = this_thread();
    zyntax_promise_hooks hooks = {};
    hooks.size = sizeof hooks;
    hooks.drop = ended;
    hooks.ctx = op;
    zyntax_promise watched = {op, poll_leaf};
    op->task = zyntax_promise_spawn_with(thread->runtime, &watched, &op->value, &hooks);
    thread->progress++;
    if (!op->task) free_op(thread, op);
    return op->task != nullptr;
}

// A promise that fails: compiled code does not check for null.
template <int32_t code> zyntax_promise *failing() {
    static zyntax_promise promise = {nullptr, [](void *) -> int64_t { return code; }};
    return &promise;
}

// The promise of an op for compiled code; a failing one for null.
zyntax_promise *begin(Op *op) { return op && start(op) ? &op->promise : failing<ZYNTAX_ENOMEM>(); }

// Drives the runtime: see the top of this file.
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

// The poll function of all promises here. Its caller is the host, or a task of this runtime that was spawned or is
// blocked on.
int64_t poll(void *number) {
    Thread *thread = this_thread();
    Op *op = find(thread, reinterpret_cast<uintptr_t>(number));
    if (!op) return ZYNTAX_ESTALE;
    Waker waker;
    if (op->value) {
        // Nothing to drive.
    } else if (zyntax_current_runtime() == thread->runtime && zyntax_current_waker(&waker) == 0) {
        int64_t joined;
        zyntax_task_join(op->task, &op->join, &waker, &joined);
    } else {
        drive(thread, op);
    }
    int64_t value = op->value;
    if (!value) return 0;
    thread->progress++;
    if (char *text = value > 0 ? take_answer(thread, op) : nullptr) {
        value = to_string(text);
        free(text);
    }
    free_op(thread, op);
    return value;
}

// ---- the functions for compiled code ----

zyntax_promise *make_sleep(Op *op) { return zyntax_promise_sleep(static_cast<uint64_t>(op->number) * 1'000'000); }
zyntax_promise *async_sleep(int64_t ms) noexcept {
    Op *op = make_op(make_sleep);
    if (op) op->number = ms < 0 ? 0 : ms > INT64_MAX / 1'000'000 ? INT64_MAX / 1'000'000 : ms;
    return begin(op);
}

zyntax_promise *make_yield(Op *) { return zyntax_promise_yield(); }
zyntax_promise *async_yield() noexcept { return begin(make_op(make_yield)); }

// A call with a name, which the op then owns.
zyntax_promise *begin_named(zyntax_promise *(*make)(Op *), char *text, int64_t number) {
    Op *op = make_op(make);
    if (op) {
        op->text = text;
        op->number = number;
    } else {
        free(text);
    }
    return begin(op);
}

int64_t to_value(zyntax_io *io) { return static_cast<int64_t>(reinterpret_cast<uintptr_t>(io)); }
zyntax_io *to_io(int64_t value) { return reinterpret_cast<zyntax_io *>(static_cast<uintptr_t>(value)); }

zyntax_promise *make_connect(Op *op) { return zyntax_promise_connect(op->text, static_cast<uint16_t>(op->number)); }
zyntax_promise *async_tcp_connect(const void *host, int64_t port) noexcept {
    char *text = port >= 1 && port <= 65535 ? to_text(host) : nullptr;
    return text ? begin_named(make_connect, text, port) : failing<ZYNTAX_EINVAL>();
}

// Returns a listener > 0 or an error. An empty address means every interface.
int64_t async_tcp_listen(const void *address, int64_t port) noexcept {
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
    if (!buf || len < 1) return failing<ZYNTAX_EINVAL>();
    Op *op = make_op(make);
    if (op) {
        op->io = to_io(io);
        op->buf = buf;
        op->len = static_cast<size_t>(len);
    }
    return begin(op);
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

// The argument of a job of the pool, which the library copies.
struct LookUp {
    Answer *answer;
    uint64_t number;
    char host[longest_name + 1];
};

// Runs in the pool. 1, with a text for the op if that still waits, or an error. Never calls Zyntax's allocator.
int64_t look_up(void *arg) {
    auto *job = static_cast<LookUp *>(arg);
    addrinfo hints = {}, *list = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    int error = getaddrinfo(job->host, nullptr, &hints, &list);
    if (error) return error == EAI_MEMORY ? ZYNTAX_ENOMEM : error == EAI_AGAIN ? ZYNTAX_EAGAIN : ZYNTAX_ENOENT;
    char text[64];
    error = getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    freeaddrinfo(list);
    if (error) return ZYNTAX_EIO;
    char *copy = strdup(text);
    if (!copy) return ZYNTAX_ENOMEM;
    pthread_mutex_lock(&answers_lock);
    bool is_wanted = job->answer->number == job->number;
    if (is_wanted) job->answer->text = copy;
    pthread_mutex_unlock(&answers_lock);
    if (!is_wanted) free(copy);
    return 1;
}

zyntax_promise *make_look_up(Op *op) {
    Thread *thread = this_thread();
    LookUp job = {&place(thread, index_of(op))->answer, number_of(index_of(op), op->generation), {}};
    strcpy(job.host, op->text);
    pthread_mutex_lock(&answers_lock);
    job.answer->number = job.number;
    pthread_mutex_unlock(&answers_lock);
    return zyntax_promise_blocking(look_up, &job, sizeof job);
}
zyntax_promise *async_resolve(const void *host) noexcept {
    char *text = to_text(host);
    if (text && *text) return begin_named(make_look_up, text, 0);
    free(text);
    return failing<ZYNTAX_EINVAL>();
}

// Starts a task that polls the promise. Returns the task > 0, or an error. The value stays until it is joined.
zyntax_promise *make_spawned(Op *op) { return &op->compiled; }
int64_t async_spawn(const zyntax_promise *promise) noexcept {
    if (!promise || !promise->poll) return ZYNTAX_EINVAL;
    Op *op = make_op(make_spawned);
    if (!op) return ZYNTAX_ENOMEM;
    op->compiled = *promise;
    op->is_spawned = true;
    uint64_t number = number_of(index_of(op), op->generation);
    return start(op) ? static_cast<int64_t>(number) : int64_t{ZYNTAX_ENOMEM};
}

// A promise for the value of a task, which is given once. The promise is the task's own.
zyntax_promise *async_join(int64_t task) noexcept {
    Op *op = find(this_thread(), static_cast<uint64_t>(task));
    return op && op->is_spawned ? &op->promise : failing<ZYNTAX_ESTALE>();
}

// Returns 1, or ZYNTAX_ESTALE for a task whose value was taken. A task that has ended keeps its value.
int64_t async_cancel(int64_t task) noexcept {
    Op *op = find(this_thread(), static_cast<uint64_t>(task));
    if (!op || !op->is_spawned) return ZYNTAX_ESTALE;
    zyntax_task_cancel(op->task);
    return 1;
}

// Waits for a promise without the host's executor, in code that is not async.
int64_t async_block_on(const zyntax_promise *promise) noexcept {
    Thread *thread = this_thread();
    return thread ? zyntax_promise_block_on(thread->runtime, promise) : int64_t{ZYNTAX_ENOMEM};
}

constexpr uint8_t effectful = 4;
const Signature of_nothing = {0, effectful, type_i64, {}};
const Signature of_number = {1, effectful, type_i64, {type_i64}};
const Signature of_string = {1, effectful, type_i64, {type_string}};
const Signature of_string_and_port = {2, effectful, type_i64, {type_string, type_i64}};
const Signature of_transfer = {3, effectful, type_i64, {type_i64, type_i64, type_i64}};

template <class F> const void *address(F *function) { return reinterpret_cast<const void *>(function); }

} // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED const Info _zrtl_info;
EXPORTED const Symbol _zrtl_symbols[];
EXPORTED void _zrtl_set_allocator(void *(*allocate_string)(size_t), void (*free_string)(void *)) noexcept;
EXPORTED void _zrtl_set_immortal_table(const void *table) noexcept;

// Compiled code frees the strings, so they come from its heap. Some versions of the loader call this function and have
// the short header.
void _zrtl_set_allocator(void *(*allocate_string)(size_t), void (*)(void *)) noexcept {
    allocate = allocate_string ? allocate_string : malloc;
}

// The table holds strings of fewer than two characters; the plugin makes none of these.
void _zrtl_set_immortal_table(const void *) noexcept { header_size = sizeof(StringHeader); }

const Info _zrtl_info = {1, "zyntax_async"};

const Symbol _zrtl_symbols[] = {
    {"$Async$sleep", address(async_sleep), &of_number},
    {"$Async$yield", address(async_yield), &of_nothing},
    {"$Async$tcp_connect", address(async_tcp_connect), &of_string_and_port},
    {"$Async$tcp_listen", address(async_tcp_listen), &of_string_and_port},
    {"$Async$tcp_port", address(async_tcp_port), &of_number},
    {"$Async$tcp_accept", address(async_tcp_accept), &of_number},
    {"$Async$tcp_read", address(async_tcp_read), &of_transfer},
    {"$Async$tcp_write", address(async_tcp_write), &of_transfer},
    {"$Async$tcp_close", address(async_tcp_close), &of_number},
    {"$Async$resolve", address(async_resolve), &of_string},
    {"$Async$spawn", address(async_spawn), &of_number},
    {"$Async$join", address(async_join), &of_number},
    {"$Async$cancel", address(async_cancel), &of_number},
    {"$Async$block_on", address(async_block_on), &of_number},
    {nullptr, nullptr, nullptr},
};
