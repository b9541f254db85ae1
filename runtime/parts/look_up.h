// Look-ups of names, for operations of several steps.
#pragma once

#include "thread_pool.h"

namespace zyntax {

// The argument of a look-up's job: the name, and behind it in memory the addresses.
struct alignas(os::Address) Names {
    char host[256];    // the longest name is 253 characters
    uint32_t capacity; // room for addresses
    uint16_t port;

    os::Address *list() { return reinterpret_cast<os::Address *>(this + 1); }
    static size_t size(uint32_t capacity) { return sizeof(Names) + capacity * sizeof(os::Address); }
};

struct LookUp {
    Names *names;
    uint32_t count; // of addresses; 0: the look-up has not ended, or has failed
    zyntax_op op_id;
};

inline bool is_host(const char *host) { return host && __builtin_strlen(host) < sizeof Names::host; }

// Makes room for `capacity` addresses, and keeps the host; false without memory.
bool make_room(Runtime *, LookUp *, uint32_t capacity);
void end_look_up(Runtime *, LookUp *); // of any state

// Copies the host. A numeric host has its address at once. False without memory.
bool begin_look_up(Runtime *, LookUp *, const char *host, uint16_t port);

// POLL_READY: `count` is set, or *error if that is 0. The waker is stored otherwise.
PollStatus find_addresses(Runtime *, LookUp *, Waker *, int32_t *error);

} // namespace zyntax
