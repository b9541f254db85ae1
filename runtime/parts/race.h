// A race of connects to the addresses of one peer, as RFC 8305 (Happy Eyeballs) describes it: the address families
// alternate, beginning with that of the first address; the next attempt begins 250 ms after the last one, or as soon as
// one fails; the first connection wins.
#pragma once

#include "look_up.h"

namespace zyntax {

// A socket that is being connected. Its operation waits until the socket is writable.
struct Attempt {
    Attempt *next;
    uint32_t address; // its index
    zyntax_io *io;
    zyntax_op op_id;
};

// A pending connect. The caller's op id names an operation whose source is the race and which is in no ring. Each
// attempt and the timer have operations of their own with the same source. These have no waker: when one is fired, the
// race wakes the caller's operation, once for each pending call.
struct Race : Source {
    LookUp look_up; // and its addresses
    bool is_by_name;
    Op *op;                 // the caller's
    Attempt *attempts;      // under way, in the order in which they began
    uint32_t next;          // index of the next address to try; look_up.count: none
    uint32_t after_next[2]; // by family (of the first address; other): all earlier addresses of it were tried
    bool is_next_of_others; // the next address is not of the first address's family. Changed by choose_next only
    zyntax_op timer;        // fires at next_ns or deadline_ns; zero until the first use
    uint64_t next_ns;       // time of the next attempt, if there are addresses left
    uint64_t deadline_ns;   // never_ns: none
    zyntax_io *winner;      // connected; null: none
    int32_t error;          // of the look-up, of the first address, or of the whole race
};

// The operation's race if the call with that operation may go on with it.
Race *race_of(Runtime *, zyntax_op *op_id, bool is_by_name);

// A new race without addresses, and its operation; null without memory.
Race *begin_race(Runtime *, zyntax_op *op_id, bool is_by_name, Waker *);

// Ends a call, when the addresses are known or could not be found.
PollStatus go_on(Runtime *, Race *, zyntax_op *op_id, Waker *, zyntax_io **out, int64_t *result);

// ---- race_attempts.cpp ----

// Ends the first attempt of the list, and closes its socket.
void end_attempt(Runtime *, Attempt **list);

// Looks at the first attempt of the list. ZYNTAX_EAGAIN: it goes on. Otherwise it has ended: 0 with race->winner, or
// an error, which is race->error if the address is the first one.
int32_t settle_attempt(Runtime *, Race *, Attempt **list);

// Begins an attempt with race->next. Returns as settle_attempt.
int32_t begin_attempt(Runtime *, Race *);

} // namespace zyntax
