// A world without a kernel, for random programs: the poller, and the functions of platform/os.h. It is fast: fixed
// tables, and no allocation. The program chooses which reports are late, early, doubled, spurious or failing.
#include "../../platform/addresses.h"
#include "../../platform/io_poller.h"
#include "outside.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <pthread.h>
#include <sys/mman.h>

namespace random_test {

using zyntax::Event;
using zyntax::RandomPoller;
using zyntax::read_closed;
using zyntax::write_closed;

namespace {

constexpr uint32_t readable_only = zyntax::readable, writable_only = zyntax::writable;
constexpr uint32_t every_bit = readable_only | writable_only | read_closed | write_closed;
constexpr uint32_t max_ends = 64, max_pollers = 8, max_threads = 64;
constexpr intptr_t first_fd = 3, first_host_fd = 1000;

// A descriptor, and the effects of its peer's deeds.
struct End {
    bool open, listens, connecting, ended, nonblocking;
    zyntax::os::Kind kind;
    uint16_t port;
    int32_t error;          // the result of every call from now on
    uint32_t in, room;      // bytes to read, and that can be written
    uint32_t backlog, dead; // connections to accept, and of these, from the front, that have died
    uint32_t poller;        // where it is registered, + 1
    uint32_t wanted;
    uintptr_t word;
};

struct PollerState {
    bool open;
    bool woken;
};

struct World {
    Program *program;
    Choices *choices;
    bool calm;
    uint64_t now_ns, refused_ns;
    uint32_t process_mark;
    End ends[max_ends];
    uint32_t ends_used; // the highest that was, + 1
    PollerState pollers[max_pollers];
    zyntax::os::Thread *threads[max_threads];
    uint32_t first_thread, last_thread;
    bool refuses_descriptors, refuses_threads;
    int32_t wait_error, add_error, nonblocking_error, connect_error;
};
World world;

End *find(intptr_t fd) {
    auto i = static_cast<size_t>(fd - first_fd);
    return i < max_ends && world.ends[i].open ? &world.ends[i] : nullptr;
}

End &at(intptr_t fd) {
    End *end = find(fd);
    if (!end) report(world.program, "descriptor", "a system call on a descriptor that is not open");
    return *end;
}

int64_t open_end(zyntax::os::Kind kind) {
    if (world.refuses_descriptors) {
        world.refused_ns = world.now_ns;
        return ZYNTAX_EMFILE;
    }
    for (uint32_t i = 0; i < max_ends; i++) {
        if (world.ends[i].open) continue;
        world.ends[i] = {};
        world.ends[i].open = true;
        world.ends[i].kind = kind;
        world.ends[i].room = 4;
        if (i >= world.ends_used) world.ends_used = i + 1;
        return first_fd + intptr_t(i);
    }
    world.refused_ns = world.now_ns;
    return ZYNTAX_EMFILE;
}

uint32_t ready_of(const End &end) {
    if (end.error) return every_bit;
    uint32_t ready = 0;
    if (end.listens) return end.backlog ? readable_only : 0;
    if (end.in) ready |= readable_only;
    if (end.ended) ready |= readable_only | read_closed;
    if (end.room && !end.connecting) ready |= writable_only;
    return ready;
}

bool chance(uint32_t n) { return !world.calm && world.choices->chance(n); }

void run_all_threads() {
    while (world.first_thread != world.last_thread) {
        zyntax::os::Thread *thread = world.threads[world.first_thread++ % max_threads];
        thread->run(thread->arg);
    }
}

// Each direction that is wanted is reported once; some reports are late.
uint32_t collect(uint32_t poller, Event *events, uint32_t max) {
    uint32_t n = 0;
    uint32_t start = world.ends_used && !world.calm ? world.choices->below(world.ends_used) : 0;
    for (uint32_t i = 0; i < world.ends_used && n < max; i++) {
        End &end = world.ends[(start + i) % world.ends_used];
        if (!end.open || end.poller != poller + 1) continue;
        uint32_t ready = ready_of(end), directions = ready & end.wanted;
        if (!directions) continue;
        if (chance(8)) continue; // next time
        if (!chance(16)) end.wanted &= ~directions;
        if (ready != every_bit) ready &= directions | (directions & readable_only ? read_closed : 0);
        events[n++] = {end.word, ready};
    }
    if (n < max && world.ends_used && chance(8)) { // spurious, or for a removed descriptor
        End &end = world.ends[world.choices->below(world.ends_used)];
        uint32_t bits = world.choices->below(32);
        constexpr uintptr_t generation = uintptr_t(1) << (sizeof(uintptr_t) == 8 ? 32 : 20);
        if (end.poller == poller + 1) events[n++] = {end.word - generation * chance(2), bits};
    }
    return n;
}

// Lets time pass to the end of the wait; false when that would be for ever.
bool sleep_to(int64_t timeout_ns) {
    if (timeout_ns < 0) return false;
    auto rest = uint64_t(timeout_ns);
    if (chance(8)) rest /= 2;
    else if (chance(8)) rest += world.choices->below(256) * 1000;
    world.now_ns = rest > UINT64_MAX - world.now_ns ? UINT64_MAX : world.now_ns + rest;
    return true;
}

} // namespace

// ---- the program's deeds ----

namespace outside {

void begin(Program *program, Choices *choices) {
    world = {};
    world.program = program;
    world.choices = choices;
    world.now_ns = 1'000'000'000;
}

bool end() {
    for (const End &end : world.ends) {
        if (end.open) return false;
    }
    return true;
}

void calm(bool calm) {
    world.calm = calm;
    world.refuses_descriptors = world.refuses_threads = false;
    world.wait_error = world.add_error = world.nonblocking_error = world.connect_error = 0;
}

uint64_t now_ns() { return world.now_ns; }
void pass(uint64_t ns) { world.now_ns += ns; }
uint64_t refused_ns() { return world.refused_ns; }
void refuse_descriptors(bool refuse) { world.refuses_descriptors = refuse; }
void refuse_threads(bool refuse) { world.refuses_threads = refuse; }
void run_threads() { run_all_threads(); }

intptr_t make(uint32_t kind) { return intptr_t(open_end(kind % 2 ? zyntax::os::Kind::tcp : zyntax::os::Kind::socket)); }

void close(intptr_t fd) { at(fd) = {}; }
void adopt(intptr_t, bool) {}
bool is_open(intptr_t fd) { return find(fd); }
uint32_t readiness(intptr_t fd) { return ready_of(at(fd)) & (readable | writable); }
bool has_backlog(intptr_t fd) { return at(fd).backlog != 0 || at(fd).error; }
bool hung_up(intptr_t fd) { return at(fd).error != 0; }

uint32_t open_ends() {
    uint32_t n = 0;
    for (uint32_t i = 0; i < world.ends_used; i++) n += world.ends[i].open;
    return n;
}

uint32_t connecting() {
    uint32_t n = 0;
    for (uint32_t i = 0; i < world.ends_used; i++) {
        const End &end = world.ends[i];
        n += end.open && end.connecting && !end.error;
    }
    return n;
}

void answer(uint32_t which, bool refuse) {
    for (uint32_t i = 0; i < world.ends_used; i++) {
        End &end = world.ends[(which + i) % world.ends_used];
        if (!end.open || !end.connecting || end.error) continue;
        if (refuse) end.error = ZYNTAX_ECONNREFUSED;
        else end.connecting = false;
        return;
    }
}

void deed(intptr_t fd, Deed what) {
    End &end = at(fd);
    if (end.listens) {
        uint32_t dead = what == Deed::arrive_dead ? 1 : what == Deed::refuse ? 70 : 0; // more than a single call skips
        if (dead && end.dead == end.backlog) end.dead += dead;
        end.backlog += dead ? dead : 1;
        return;
    }
    switch (what) {
    case Deed::send:
        end.in++;
        break;
    case Deed::send_more:
        end.in += 5;
        break;
    case Deed::take:
        end.room++;
        break;
    case Deed::take_more:
        end.room += 5;
        break;
    case Deed::end:
        end.ended = true;
        break;
    case Deed::reset:
        end.error = end.connecting ? ZYNTAX_ECONNREFUSED : ZYNTAX_ECONNRESET;
        break;
    case Deed::refuse:
        if (end.connecting) end.error = ZYNTAX_ECONNREFUSED;
        break;
    case Deed::connect:
    case Deed::arrive:
    case Deed::arrive_dead:
    case Deed::count:
        end.connecting = false;
        break;
    }
}

void fail_next(uint32_t what) {
    switch (what % 4) {
    case 0:
        world.wait_error = ZYNTAX_ENOMEM;
        break;
    case 1:
        world.add_error = ZYNTAX_ENOSPC;
        break;
    case 2:
        world.nonblocking_error = ZYNTAX_EINVAL;
        break;
    case 3:
        world.connect_error = ZYNTAX_ENETUNREACH;
        break;
    }
}

bool host_readable(intptr_t fd, bool) {
    auto number = uint32_t(fd - first_host_fd);
    if (world.pollers[number].woken) return true;
    for (uint32_t i = 0; i < world.ends_used; i++) {
        const End &end = world.ends[i];
        if (end.open && end.poller == number + 1 && (ready_of(end) & end.wanted)) return true;
    }
    return false;
}

namespace {

struct Errand {
    void (*act)(void *);
    void *arg;
    static void *run(void *self) {
        static_cast<Errand *>(self)->act(static_cast<Errand *>(self)->arg);
        return nullptr;
    }
};

} // namespace

bool edge_seen(intptr_t, bool) { return true; }
bool edge_taken(intptr_t) { return false; }
void edge_back(intptr_t) {}
void edge_over(intptr_t) {}
void tell_host(intptr_t, void (*)(const char *)) {}
intptr_t duplicate(intptr_t) { return -1; }
void make_blocking(intptr_t) {}
void lose(intptr_t) {}
void be_a_child() { world.process_mark++; }

const char *host(uint32_t value) { return value % 4 == 0 ? "n1" : value % 4 == 1 ? "n9" : "10.0.0.1"; }
uint16_t port(uint32_t value) { return uint16_t(value); }

bool other_connect(zyntax_runtime *, zyntax_op *, uint32_t, Waker *, zyntax_io **, int64_t *, PollStatus *) {
    return false;
}
zyntax_promise *other_connect_promise(uint32_t) { return nullptr; }
bool unix_read(zyntax_io *, zyntax_op *, uint32_t, Waker *, int64_t *, PollStatus *) { return false; }
bool unix_write(zyntax_io *, zyntax_op *, uint32_t, Waker *, int64_t *, PollStatus *) { return false; }
int32_t unix_pair(zyntax_runtime *, zyntax_io **, zyntax_io **) { return ZYNTAX_ENOSYS; }
int32_t unix_listen(zyntax_runtime *, uint32_t, zyntax_io **) { return ZYNTAX_ENOSYS; }
void stop_later(zyntax_runtime *) {}
void stopped() {}

void *begin_on_other_thread(void (*act)(void *), void *arg) {
    on_other_thread(act, arg);
    return nullptr;
}
void join_other_thread(void *) {}

void on_other_thread(void (*act)(void *), void *arg) {
    Errand errand{act, arg};
    pthread_t thread;
    if (pthread_create(&thread, nullptr, Errand::run, &errand) != 0) return;
    pthread_join(thread, nullptr);
}

} // namespace outside

} // namespace random_test

// ---- the poller ----

using namespace random_test;

namespace zyntax {

int32_t RandomPoller::open(Memory &memory) {
    for (number_ = 0; number_ < max_pollers && world.pollers[number_].open; number_++) {
    }
    if (number_ == max_pollers || world.refuses_descriptors) return ZYNTAX_EMFILE;
    memory_ = &memory;
    block_ = memory.take(block_size);
    if (!block_) return ZYNTAX_ENOMEM;
    world.pollers[number_] = {true, false};
    return 0;
}

void RandomPoller::close(bool of_a_copy) {
    memory_->give(block_, block_size);
    for (End &end : world.ends) {
        if (end.poller != number_ + 1) continue;
        end = {};
        if (!of_a_copy) broken(world.program, "leak_registered", "a descriptor is registered with a poller that ends");
    }
    world.pollers[number_] = {};
}

int32_t RandomPoller::add(intptr_t fd, uintptr_t word, void **registration) {
    if (world.add_error) {
        int32_t error = world.add_error;
        world.add_error = 0;
        world.refused_ns = world.now_ns;
        return error;
    }
    End *end = find(fd);
    if (!end) return ZYNTAX_EBADF;
    if (end->poller) report(world.program, "registered", "a descriptor is registered twice");
    end->poller = number_ + 1;
    end->word = word;
    end->wanted = 0;
    *registration = end;
    return 0;
}

bool RandomPoller::remove(intptr_t fd, void *registration) {
    End &end = at(fd);
    if (end.poller != number_ + 1 || &end != registration) report(world.program, "remove", "of what was not added");
    end.poller = 0;
    end.wanted = 0;
    return true;
}

void RandomPoller::want(intptr_t fd, void *registration, uint32_t directions) {
    End &end = at(fd);
    if (end.poller != number_ + 1 || &end != registration) report(world.program, "want", "of what was not added");
    end.wanted |= directions;
}

bool RandomPoller::knows(intptr_t fd, uintptr_t word) { return at(fd).poller == number_ + 1 && at(fd).word == word; }

int32_t RandomPoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    loop_waits(world.program, timeout_ns);
    PollerState &state = world.pollers[number_];
    if (world.wait_error) {
        int32_t error = world.wait_error;
        world.wait_error = 0;
        return error;
    }
    if (timeout_ns != 0 || world.calm || chance(4)) run_all_threads();
    uint32_t n = collect(number_, events, max);
    for (int tries = 0; timeout_ns != 0 && n == 0 && !state.woken; tries++) {
        if (others_act(world.program)) run_all_threads();
        n = collect(number_, events, max);
        if (n || state.woken || (timeout_ns < 0 && tries < 4 && !world.calm)) continue;
        if (!sleep_to(timeout_ns)) return asleep_for_ever;
        break;
    }
    state.woken = false;
    return int32_t(n);
}

void RandomPoller::wake() { world.pollers[number_].woken = true; }

intptr_t RandomPoller::host_fd() { return first_host_fd + intptr_t(number_); }

} // namespace zyntax

// ---- the system ----

namespace zyntax::os {

namespace {

constexpr size_t most_memory = size_t{1} << 26;
constexpr std::align_val_t any_alignment{128};

} // namespace

void panic(const char *message) {
    std::fputs(message, stderr);
    std::abort();
}

uint64_t clock_ns() { return world.now_ns; }

// Not from the C library's allocator: some test runners make it fill each block.
void *reserve_pages(size_t size) {
    if (size > most_memory) return nullptr;
    void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? nullptr : at;
}
bool commit_pages(void *, size_t) { return true; }
void *allocate(size_t size, size_t) { return ::operator new(size, any_alignment, std::nothrow); }
void release(void *at) { ::operator delete(at, any_alignment); }

bool start_thread(Thread *thread) {
    if (world.refuses_threads || world.last_thread - world.first_thread == max_threads) return false;
    world.threads[world.last_thread++ % max_threads] = thread;
    return true;
}

void join_thread(Thread *) { run_all_threads(); }

size_t address_limit(size_t) { return SIZE_MAX; }
uint32_t process_mark() { return 1 + world.process_mark; }

void relax() { world.now_ns += 30; }
void yield() {}

// Here one thread at a time runs to its end: no data has to be guarded, and a thread ends when it has no work.
void Monitor::init() {}
void Monitor::destroy() {}
void Monitor::lock() {}
void Monitor::unlock() {}
bool Monitor::wait_for(uint64_t) { return false; }
void Monitor::signal() {}
void Monitor::broadcast() {}

int32_t kind_of(intptr_t fd, Kind *kind) {
    End *end = find(fd);
    if (!end) return ZYNTAX_EBADF;
    *kind = end->kind;
    return 0;
}

int32_t set_nonblocking(intptr_t fd, bool *was_blocking) {
    int32_t error = world.nonblocking_error;
    world.nonblocking_error = 0;
    if (error) return error;
    *was_blocking = !at(fd).nonblocking;
    at(fd).nonblocking = true;
    return 0;
}

void set_blocking(intptr_t fd) { at(fd).nonblocking = false; }

int64_t read(intptr_t fd, Kind *, void *buf, size_t len) {
    End &end = at(fd);
    if (end.error) return end.error;
    if (end.listens || end.connecting) return ZYNTAX_ENOTCONN;
    if (!end.in) return end.ended ? 0 : int64_t{ZYNTAX_EAGAIN};
    auto n = len < end.in ? uint32_t(len) : end.in;
    if (end.kind == Kind::socket && n > 1 && chance(4)) n--;
    std::memset(buf, 'x', n);
    end.in -= n;
    return n;
}

int64_t write(intptr_t fd, Kind *, const void *, size_t len) {
    End &end = at(fd);
    if (end.error) return end.error;
    if (end.listens || end.connecting) return ZYNTAX_ENOTCONN;
    if (!end.room) return ZYNTAX_EAGAIN;
    auto n = len < end.room ? uint32_t(len) : end.room;
    end.room -= n;
    return n;
}

uint32_t poll_now(intptr_t fd, uint32_t interest) { return ready_of(at(fd)) & interest; }

void close(intptr_t fd) {
    if (at(fd).poller && !world.process_mark)
        report(world.program, "close", "of a descriptor that is still registered");
    at(fd) = {};
}

intptr_t listen(const Address *address, bool, bool shared) {
    uint16_t port;
    std::memcpy(&port, address->bytes, sizeof port);
    for (const End &other : world.ends) {
        if (!shared && port && other.open && other.listens && other.port == port) return ZYNTAX_EADDRINUSE;
    }
    int64_t fd = open_end(Kind::tcp);
    if (fd < 0) return intptr_t(fd);
    End &end = at(intptr_t(fd));
    end.listens = true;
    end.port = port ? port : uint16_t(1000 + fd);
    return intptr_t(fd);
}

bool listens(intptr_t fd) { return at(fd).listens; }

intptr_t accept(intptr_t listener, bool) {
    End &end = at(listener);
    if (end.error) return end.error;
    if (!end.listens) return ZYNTAX_EINVAL;
    if (!end.backlog) return ZYNTAX_EAGAIN;
    if (end.dead) {
        end.dead--;
        end.backlog--;
        return ZYNTAX_ECONNABORTED;
    }
    int64_t made = open_end(Kind::tcp);
    if (made >= 0) end.backlog--;
    return intptr_t(made);
}

bool accept_passes(int64_t error) { return error == ZYNTAX_ECONNABORTED || error == ZYNTAX_EPROTO; }

intptr_t connect(const Address *) {
    if (world.connect_error) {
        int32_t error = world.connect_error;
        world.connect_error = 0;
        return error;
    }
    int64_t fd = open_end(Kind::tcp);
    if (fd < 0) return intptr_t(fd);
    at(intptr_t(fd)).connecting = !chance(4) && !world.calm;
    return intptr_t(fd);
}

int32_t connect_result(intptr_t fd, bool has_event) {
    End &end = at(fd);
    if (end.error) return has_event ? end.error : int32_t{ZYNTAX_EAGAIN};
    return end.connecting ? int32_t{ZYNTAX_EAGAIN} : 0;
}

int32_t shut_down_writes(intptr_t fd) { return at(fd).kind == Kind::tcp ? 0 : int32_t{ZYNTAX_EOPNOTSUPP}; }
int32_t local_port(intptr_t fd) { return at(fd).kind == Kind::tcp ? at(fd).port : int32_t{ZYNTAX_EINVAL}; }

// Names say how many addresses they have: "n3".
int32_t look_up(const char *host, uint16_t port, bool numeric, Address *out, uint32_t max) {
    bool is_numeric = host[0] >= '0' && host[0] <= ':';
    if (numeric && !is_numeric) return ZYNTAX_ENOENT;
    auto count = is_numeric ? 1u : uint32_t(host[1] - '0');
    if (count == 0) return ZYNTAX_ENOENT;
    for (uint32_t i = 0; i < count && i < max; i++) {
        out[i] = Address{{}, i % 3 ? 16u : 28u};
        std::memcpy(out[i].bytes, &port, sizeof port);
    }
    return int32_t(count);
}

Address to_system(const zyntax_address &address, bool) { return Address{{}, address.family == 6 ? 28u : 16u}; }
int32_t from_system(const void *, size_t size, zyntax_address *out) {
    *out = {};
    out->family = size == 28 ? 6 : 4;
    return 0;
}

} // namespace zyntax::os
