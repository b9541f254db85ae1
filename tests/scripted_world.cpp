// The scripted poller, and the functions of platform/os.h in its world.
#include "scripted_world.h"

#include "../platform/addresses.h"

#include <algorithm>
#include <cstdio>
#include <new>

namespace scripted {

static World *the_world;

World &World::current() { return *the_world; }

World::World(uint64_t start_ns) : now_ns(start_ns) {
    REQUIRE(the_world == nullptr);
    the_world = this;
}

World::~World() { the_world = nullptr; }

uint32_t Endpoint::readiness() const {
    if (error) return every_bit;
    uint32_t ready = 0;
    if (!in.empty() || !backlog.empty()) ready |= readable;
    if (ended) ready |= readable | read_closed;
    if (room > 0 && !connecting) ready |= writable;
    return ready;
}

void World::at(uint64_t time_ns, std::function<void()> act) { deeds_.emplace(time_ns, std::move(act)); }

int64_t World::open(Endpoint descriptor) {
    if (descriptors.size() >= descriptors_max) {
        exhausted_ns = now_ns;
        return ZYNTAX_EMFILE;
    }
    intptr_t fd = 3;
    while (descriptors.count(fd)) fd++;
    descriptors[fd] = std::move(descriptor);
    return fd;
}

void World::report(intptr_t fd, uint32_t ready) { reports.push_back({registered.at(fd).word, ready}); }

void World::collect() {
    for (auto &[fd, registration] : registered) {
        uint32_t ready = descriptors.at(fd).readiness();
        uint32_t directions = ready & registration.wanted;
        if (!directions) continue;
        registration.wanted &= ~directions;
        if (ready != every_bit) ready &= directions | (directions & readable ? read_closed : 0);
        reports.push_back({registration.word, ready});
    }
}

void World::run_deeds() {
    while (!deeds_.empty() && deeds_.begin()->first <= now_ns) {
        auto act = std::move(deeds_.begin()->second);
        deeds_.erase(deeds_.begin());
        act();
    }
}

void World::run_threads() {
    while (!threads.empty()) {
        zyntax::os::Thread *thread = threads.front();
        threads.pop_front();
        thread->run(thread->arg);
    }
}

// Moves on to the next deed or to the limit; false when neither will ever come.
bool World::pass_time(uint64_t limit) {
    uint64_t next = deeds_.empty() ? UINT64_MAX : std::min(limit, deeds_.begin()->first);
    next = std::min(next, limit);
    if (next == UINT64_MAX) return false;
    now_ns = std::max(now_ns, next);
    return true;
}

int32_t World::deliver(Event *events, uint32_t max) {
    auto n = uint32_t(std::min<size_t>({reports.size(), max, batch}));
    for (uint32_t i = 0; i < n; i++) {
        const Event &event = events[i] = reports.front();
        auto same = [&](auto &entry) { return entry.second.word == event.word; };
        reported++;
        stale += std::none_of(registered.begin(), registered.end(), same);
        reports.pop_front();
    }
    return int32_t(n);
}

int32_t World::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    timeouts.push_back(timeout_ns);
    if (timeouts.size() == 1'000'000) zyntax::os::panic("scripted world: a million waits, so the loop spins\n");
    if (before_wait) before_wait(timeout_ns);
    if (wait_error) return std::exchange(wait_error, 0);
    auto rest = uint64_t(timeout_ns);
    if (timeout_ns > 0) rest = early_waits ? (early_waits--, rest / 2) : rest + late_ns;
    uint64_t limit = timeout_ns < 0 || rest > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + rest;
    for (;;) {
        run_deeds();
        if (timeout_ns != 0) run_threads();
        collect();
        if (before_reports) before_reports();
        if (!reports.empty() || woken || now_ns >= limit) break;
        if (!pass_time(limit)) return ZYNTAX_EDEADLK; // it would sleep for ever
    }
    woken = false;
    return deliver(events, max);
}

} // namespace scripted

using scripted::Endpoint;
using scripted::World;

namespace zyntax {

int32_t ScriptedPoller::open(Memory &memory) {
    if (int32_t error = std::exchange(World::current().open_error, 0)) return error;
    memory_ = &memory;
    block_ = memory.take(block_size);
    return block_ ? 0 : ZYNTAX_ENOMEM;
}

void ScriptedPoller::close(bool) { memory_->give(block_, block_size); }

int32_t ScriptedPoller::add(intptr_t fd, uintptr_t word, void **registration) {
    World &world = World::current();
    if (int32_t error = std::exchange(world.add_error, 0)) return error;
    if (!world.descriptors.count(fd)) return ZYNTAX_EBADF;
    auto [place, is_new] = world.registered.try_emplace(fd, scripted::Registration{word, 0});
    CHECK((is_new && word != 0));
    *registration = &place->second;
    return 0;
}

bool ScriptedPoller::remove(intptr_t fd, void *registration) {
    CHECK(&World::current().registered.at(fd) == registration);
    World::current().registered.erase(fd);
    return true;
}

void ScriptedPoller::want(intptr_t fd, void *registration, uint32_t directions) {
    scripted::Registration &known = World::current().registered.at(fd);
    CHECK(&known == registration);
    CHECK((directions != 0 && (directions & ~(readable | writable)) == 0));
    known.wanted |= directions;
}

bool ScriptedPoller::knows(intptr_t fd, uintptr_t word) {
    auto found = World::current().registered.find(fd);
    return found != World::current().registered.end() && found->second.word == word;
}

int32_t ScriptedPoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    return World::current().wait(events, max, timeout_ns);
}

void ScriptedPoller::wake() {
    World::current().wakes++;
    World::current().woken = true;
}

} // namespace zyntax

namespace zyntax::os {

namespace {

Endpoint *find(intptr_t fd) {
    auto found = World::current().descriptors.find(fd);
    return found == World::current().descriptors.end() ? nullptr : &found->second;
}

constexpr size_t most_memory = size_t{1} << 26;
constexpr std::align_val_t any_alignment{128};

} // namespace

void panic(const char *message) {
    std::fputs(message, stderr);
    std::abort();
}

uint64_t clock_ns() { return World::current().now_ns; }

void *reserve_pages(size_t size) { return size > most_memory ? nullptr : allocate(size, 128); }

bool commit_pages(void *at, size_t size) {
    if (World::current().before_commit) World::current().before_commit();
    return std::memset(at, 0, size);
}

size_t address_limit(size_t) { return SIZE_MAX; }

uint32_t process_mark() { return World::current().process; }

void *allocate(size_t size, size_t) { return ::operator new(size, any_alignment, std::nothrow); }

void release(void *at) { ::operator delete(at, any_alignment); }

bool start_thread(Thread *thread) {
    World &world = World::current();
    if (!world.can_start_threads) return false;
    world.threads.push_back(thread);
    world.unjoined++;
    return true;
}

void join_thread(Thread *thread) {
    World &world = World::current();
    if (std::find(world.threads.begin(), world.threads.end(), thread) != world.threads.end()) world.run_threads();
    world.unjoined--;
}

void relax() {
    World::current().now_ns += 30;
    World::current().run_deeds();
}
void yield() {
    if (World::current().before_yield) World::current().before_yield();
}

// Here one thread at a time runs to its end: no data has to be guarded, and a thread ends when it has no work.
void Monitor::init() {}
void Monitor::destroy() {}
void Monitor::lock() {}
void Monitor::unlock() {}
bool Monitor::wait_for(uint64_t) { return false; }
void Monitor::signal() {}
void Monitor::broadcast() {}

int32_t kind_of(intptr_t fd, Kind *kind) {
    Endpoint *descriptor = find(fd);
    if (!descriptor) return ZYNTAX_EBADF;
    *kind = descriptor->kind;
    return 0;
}

// The number of an open file under which its flags are kept.
static Endpoint &file_of(intptr_t fd) {
    Endpoint *descriptor = find(fd);
    Endpoint *original = find(descriptor->duplicate_of);
    return original ? *original : *descriptor;
}

int32_t set_nonblocking(intptr_t fd, bool *was_blocking) {
    int32_t error = std::exchange(World::current().nonblocking_error, 0);
    if (error) return error;
    *was_blocking = !file_of(fd).nonblocking;
    file_of(fd).nonblocking = true;
    return 0;
}

void set_blocking(intptr_t fd) { file_of(fd).nonblocking = false; }

int64_t read(intptr_t fd, Kind *, void *buf, size_t len) {
    Endpoint &descriptor = *find(fd);
    descriptor.tries++;
    if (descriptor.error) return descriptor.error;
    size_t n = std::min(len, descriptor.in.size());
    if (n == 0) return descriptor.ended ? 0 : int64_t{ZYNTAX_EAGAIN};
    std::memcpy(buf, descriptor.in.data(), n);
    descriptor.in.erase(0, n);
    return int64_t(n);
}

int64_t write(intptr_t fd, Kind *, const void *buf, size_t len) {
    Endpoint &descriptor = *find(fd);
    descriptor.tries++;
    if (descriptor.error) return descriptor.error;
    size_t n = std::min(len, descriptor.room);
    if (n == 0) return ZYNTAX_EAGAIN;
    descriptor.out.append(static_cast<const char *>(buf), n);
    if (descriptor.room != SIZE_MAX) descriptor.room -= n;
    return int64_t(n);
}

uint32_t poll_now(intptr_t fd, uint32_t interest) { return find(fd)->readiness() & interest; }

void close(intptr_t fd) { CHECK(World::current().descriptors.erase(fd) == 1); }

intptr_t listen(const Address *, bool, bool) {
    int64_t fd = World::current().open({Kind::tcp});
    if (fd >= 0) find(intptr_t(fd))->listening = true;
    return intptr_t(fd);
}

bool listens(intptr_t fd) { return find(fd)->listening; }

intptr_t accept(intptr_t listener, bool) {
    World &world = World::current();
    Endpoint &descriptor = *find(listener);
    if (descriptor.error) return descriptor.error;
    if (descriptor.backlog.empty()) return ZYNTAX_EAGAIN;
    if (descriptor.backlog.front() == 0) {
        int64_t made = world.open({Kind::tcp});
        if (made >= 0) descriptor.backlog.pop_front();
        return made;
    }
    int32_t error = descriptor.backlog.front();
    descriptor.backlog.pop_front();
    return error;
}

bool accept_passes(int64_t error) { return error == ZYNTAX_ECONNABORTED || error == ZYNTAX_EPROTO; }

// An address here is its family, as its size, and a number.
static Address make_address(char family, int32_t number) {
    return Address{{uint8_t(number), uint8_t(number >> 8)}, family == '6' ? 28u : 16u};
}
static int32_t number_of(const Address &address) { return address.bytes[0] | address.bytes[1] << 8; }
static char family_of(uint32_t size) { return size == 28 ? '6' : '4'; }

Address to_system(const zyntax_address &address, bool) {
    return make_address(char('0' + address.family), address.ip[0] | address.ip[1] << 8);
}

int32_t from_system(const void *name, size_t size, zyntax_address *out) {
    *out = {};
    out->family = uint16_t(family_of(uint32_t(size)) - '0');
    std::memcpy(out->ip, name, 2);
    return 0;
}

intptr_t connect(const Address *address) {
    World &world = World::current();
    world.tried.push_back(family_of(address->size) + std::string("#") + std::to_string(number_of(*address)));
    int32_t outcome = 0;
    if (!world.connects.empty()) {
        outcome = world.connects.front();
        world.connects.pop_front();
    }
    if (outcome != 0 && outcome != ZYNTAX_EAGAIN) return outcome;
    Endpoint descriptor{Kind::tcp};
    descriptor.connecting = outcome == ZYNTAX_EAGAIN;
    return world.open(descriptor);
}

int32_t connect_result(intptr_t fd, bool has_event) {
    Endpoint &descriptor = *find(fd);
    World::current().errors_asked += has_event;
    if (descriptor.error) return has_event ? descriptor.error : int32_t{ZYNTAX_EAGAIN};
    return descriptor.connecting ? int32_t{ZYNTAX_EAGAIN} : 0;
}

int32_t shut_down_writes(intptr_t fd) { return find(fd)->kind == Kind::tcp ? 0 : int32_t{ZYNTAX_EOPNOTSUPP}; }

int32_t local_port(intptr_t fd) { return find(fd)->kind == Kind::tcp ? 4711 : int32_t{ZYNTAX_EINVAL}; }

int32_t look_up(const char *host, uint16_t, bool numeric, Address *out, uint32_t max) {
    bool is_numeric = host[0] >= '0' && host[0] <= ':';
    if (numeric && !is_numeric) return ZYNTAX_ENOENT;
    int32_t count = 1;
    if (!is_numeric) {
        auto found = World::current().names.find(host);
        if (found == World::current().names.end()) return ZYNTAX_ENOENT;
        count = found->second;
        World::current().looked_up++;
        found->second = std::max(count, std::min(count + World::current().names_grow, World::current().names_max));
    }
    const std::string &families = World::current().families;
    for (int32_t i = 0; i < std::min(count, int32_t(max)); i++)
        out[i] =
            make_address(size_t(i) < families.size() ? families[size_t(i)] : '4', i % World::current().names_differ);
    return count;
}

} // namespace zyntax::os
