// A world inside a test: time, descriptors and their peers, threads, and the poller that reports them. The runtime is
// compiled a second time against it, without a system underneath. Everything happens in the test's own thread, in an
// order that the script alone decides.
//
// The poller fulfils its contract exactly: it reports each wanted direction once, in order of the descriptors. The
// script adds the further reports that a real poller may make: stale, spurious, repeated and reordered ones.
#pragma once

#include "../platform/io_poller.h"
#include "await_support.h"

#include <deque>
#include <map>
#include <vector>

namespace scripted {

using zyntax::Event;
using zyntax::read_closed;
using zyntax::readable;
using zyntax::writable;
using zyntax::write_closed;

constexpr uint64_t second = 1000 * support::ms;
constexpr uint32_t every_bit = readable | writable | read_closed | write_closed;

// The state of a descriptor, as its peer and the kernel would make it.
struct Endpoint {
    zyntax::os::Kind kind = zyntax::os::Kind::socket;
    bool nonblocking = false;
    intptr_t duplicate_of = -1; // another number of the same open file; its `nonblocking` is valid for both
    bool listening = false;
    std::string in{};              // the bytes that reads return
    bool ended = false;            // and the end of the stream after that
    int32_t error = 0;             // the result of every call from now on
    std::string out{};             // the written bytes
    size_t room = SIZE_MAX;        // bytes that can still be written
    std::deque<int32_t> backlog{}; // connections to accept: 0, or the error in place of a connection
    bool connecting = false;
    int tries = 0; // reads and writes

    uint32_t readiness() const;
};

struct Registration {
    uintptr_t word;
    uint32_t wanted; // directions that were not reported since then
};

class World {
public:
    explicit World(uint64_t start_ns = 1'000'000'000);
    ~World();
    World(const World &) = delete;
    World &operator=(const World &) = delete;

    // ---- time: moves only while the poller waits, and by the script ----
    uint64_t now_ns;
    uint64_t late_ns = 0;     // added to every wait that times out
    uint32_t early_waits = 0; // of the next waits that time out: after half of their time

    // Runs `act` once the time has come, while the loop sleeps or when it looks: another thread's deed.
    void at(uint64_t time_ns, std::function<void()> act);
    void after(uint64_t duration_ns, std::function<void()> act) { at(now_ns + duration_ns, std::move(act)); }
    void run_deeds(); // the deeds that are due

    // ---- descriptors ----
    std::map<intptr_t, Endpoint> descriptors;
    size_t descriptors_max = SIZE_MAX;
    std::deque<int32_t> connects; // the results of the next attempts to connect: 0, an error, or EAGAIN: under way
    std::map<std::string, int32_t> names; // of hosts: how many addresses, or an error
    int32_t names_differ = INT32_MAX;     // so many addresses of a name are different
    std::string families;                 // of the addresses of every name: "4" or "6" for each; 4 behind its end
    std::vector<std::string> tried;       // by connects: family and number, as "6#1"; the number is ip[0] of an address
    int32_t names_grow = 0, names_max = 0; // so many addresses more each time, up to
    int looked_up = 0;                     // names, so far
    int32_t nonblocking_error = 0;         // of the next descriptor that is made non-blocking
    int errors_asked = 0;                  // of connects, so far

    int64_t open(Endpoint = {}); // the lowest free number, or an error

    // ---- the poller ----
    std::map<intptr_t, Registration> registered;
    std::deque<Event> reports; // the first reports of the next waits; a script adds to it
    uint32_t batch = UINT32_MAX;
    int32_t open_error = 0, add_error = 0, wait_error = 0; // of the next call
    std::function<void(int64_t timeout_ns)> before_wait;   // when a wait begins
    std::function<void()> before_reports;                  // in each wait, whenever `reports` may have grown

    std::vector<int64_t> timeouts;    // of every wait
    uint64_t reported = 0, stale = 0; // returned events; those of unregistered words
    uint64_t wakes = 0;
    bool woken = false;
    uint64_t exhausted_ns = 0; // the last time that a descriptor was refused

    void report(intptr_t fd, uint32_t ready); // as of now: a stale event if the descriptor is closed by then
    void collect();
    int32_t wait(Event *events, uint32_t max, int64_t timeout_ns);

    uint32_t process = 1; // the number of the running process

    // ---- requests to the system ----
    std::function<void()> before_commit, before_yield; // in any thread

    // ---- threads: run to their end, in order, when the loop sleeps or waits for them ----
    std::deque<zyntax::os::Thread *> threads; // started, and not run yet
    size_t unjoined = 0;
    bool can_start_threads = true;
    void run_threads();

    static World &current();

private:
    std::multimap<uint64_t, std::function<void()>> deeds_;

    bool pass_time(uint64_t limit);
    int32_t deliver(Event *events, uint32_t max);
};

// A world with a runtime in it, which leaves nothing behind.
struct Sim {
    World world;
    support::Heap heap;
    support::Runtime rt;

    explicit Sim(zyntax_runtime_config config = support::config()) : rt(heap.config(config)) {}
    explicit Sim(uint64_t start_ns) : world(start_ns), rt(heap.config()) {}
    ~Sim() {
        rt.destroy();
        CHECK(heap.balanced());
        CHECK(world.descriptors.empty());
        CHECK(world.registered.empty());
        CHECK(world.unjoined == 0);
    }

    // A new descriptor in the runtime's hands.
    zyntax_io *adopt(Endpoint descriptor = {}) {
        zyntax_io *io = nullptr;
        REQUIRE(zyntax_io_open(rt, intptr_t(world.open(std::move(descriptor))), &io) == 0);
        return io;
    }
    Endpoint &of(zyntax_io *io) { return world.descriptors.at(zyntax_io_fd(io)); }

    // Turns until no task is ready and nothing is reported, without letting time pass.
    void settle() {
        for (int i = 0; i < 3; i++) REQUIRE(zyntax_runtime_turn(rt, 0) >= 0);
    }
    // One turn that may sleep; the timeout that its wait was given, 0 if it made none.
    int64_t turn_and_sleep(int64_t timeout_ns = -1) {
        size_t before = world.timeouts.size();
        REQUIRE(zyntax_runtime_turn(rt, timeout_ns) >= 0);
        return world.timeouts.size() == before ? 0 : world.timeouts.back();
    }
};

} // namespace scripted
