// The world outside the runtime, for random programs: time, descriptors and their peers, threads, and their failures.
// outside_scripted.cpp has no kernel (the runtime is compiled against it), outside_real.cpp is the real system.
#pragma once

#include "choices.h"

#include "zyntax_async_runtime.h"

#include <cstddef>
#include <cstdint>

namespace random_test {

class Program;

// The deeds of a peer, or of the kernel, on a descriptor.
enum class Deed : uint8_t { send, take, send_more, take_more, end, reset, connect, refuse, arrive, arrive_dead, count };

namespace outside {

#ifdef RANDOM_REAL
constexpr bool scripted = false;
#else
constexpr bool scripted = true;
#endif

constexpr uint32_t readable = 1, writable = 2;

void begin(Program *, Choices *);
bool end();      // closes the peers; false when a descriptor of the program is still open
void calm(bool); // while it is, nothing is late, early, spurious or failing

uint64_t now_ns();
void pass(uint64_t ns); // lets time go by

intptr_t make(uint32_t kind);             // a descriptor with a peer; < 0: none left
void close(intptr_t fd);                  // an end that is the program's
void deed(intptr_t fd, Deed what);        // of its peer
void answer(uint32_t which, bool refuse); // a pending connect
void adopt(intptr_t fd, bool listens);    // a descriptor that the runtime made: its peer is made up where it can be
bool is_open(intptr_t fd);
uint32_t readiness(intptr_t fd);
bool has_backlog(intptr_t fd); // of a listener
bool hung_up(intptr_t fd);     // everything ends at once on it
uint32_t open_ends();          // descriptors that are open, of the program or of the runtime
uint32_t connecting();         // the pending connects without an answer
uint64_t refused_ns();         // when a descriptor was refused last

void refuse_descriptors(bool);
void refuse_threads(bool);
void fail_next(uint32_t what); // an error of the poller's or the system's next call; real: of a call for datagrams
void run_threads();            // the threads that have not run yet; scripted only

// Whether a host's descriptor of a runtime (zyntax_runtime_backend_fd) is readable, or soon is: another thread may be
// in the call that makes it readable.
bool host_readable(intptr_t fd, bool soon);

// The same for an edge-triggered host, real only: whether there was an edge since the last edge_taken.
bool edge_seen(intptr_t fd, bool soon);
bool edge_taken(intptr_t fd); // whether there was an edge
void edge_back(intptr_t fd);  // it was taken, and no turn followed
void edge_over(intptr_t fd);  // the host's descriptor is closed

// Describes the system's state of a host's descriptor, and of the descriptor that watches it for edges, real only.
void tell_host(intptr_t fd, void (*tell)(const char *name));

// Descriptors with other owners, real only. A duplicate: < 0: none.
intptr_t duplicate(intptr_t fd);
void make_blocking(intptr_t fd); // for all users of the open file
void lose(intptr_t fd);          // closes it without asking its owner

// A peer for a datagram socket that the runtime made, real only. The peer's port; 0: there is none.
uint16_t meet(intptr_t fd);

// The program goes on as a copy, after a fork.
void be_a_child();

// The targets of connects.
const char *host(uint32_t value);
uint16_t port(uint32_t value);

// Other calls of the shape of a connect, a read and a write, real only: Unix-domain sockets, a connect to a list of
// addresses, a look-up, which ends as a connect with ENOTCONN when it has found addresses. A descriptor that was
// received is closed at once. Scripted, and for most values, they do nothing and are false, or null.
bool other_connect(zyntax_runtime *, zyntax_op *, uint32_t value, Waker *, zyntax_io **, int64_t *, PollStatus *);
zyntax_promise *other_connect_promise(uint32_t value);
bool unix_read(zyntax_io *, zyntax_op *, uint32_t value, Waker *, int64_t *, PollStatus *);
bool unix_write(zyntax_io *, zyntax_op *, uint32_t value, Waker *, int64_t *, PollStatus *);
int32_t unix_pair(zyntax_runtime *, zyntax_io **one, zyntax_io **other);
int32_t unix_listen(zyntax_runtime *, uint32_t value, zyntax_io **);

// Runs `act` on another thread: to its end, or in parallel with this thread.
void on_other_thread(void (*act)(void *), void *arg);
void *begin_on_other_thread(void (*act)(void *), void *arg);
void join_other_thread(void *);

// Real only: a drive that may sleep for ever is stopped from another thread, until `stopped`.
void stop_later(zyntax_runtime *);
void stopped();

} // namespace outside

// ---- calls of the outside to the program (program.cpp) ----

void loop_waits(Program *, int64_t timeout_ns);               // the poller is about to wait
bool others_act(Program *);                                   // the deeds of other threads while it waits; false: none
void broken(Program *, const char *oracle, const char *text); // unless it is switched off
[[noreturn]] void report(Program *, const char *oracle, const char *text);

constexpr int32_t asleep_for_ever = -71; // the scripted poller's result instead (ZYNTAX_EPROTO)

} // namespace random_test
