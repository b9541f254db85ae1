// Connecting: look the name up, unless it is an address, then try one address after the other.
#include "runtime.h"

#include <string.h>

using namespace zyntax;

namespace {

constexpr uint32_t max_addresses = 8;

struct Addresses {
    os::Address list[max_addresses];
    uint32_t count;
};

struct Lookup {
    char host[256]; // the longest name is 253 characters
    uint16_t port;
    Addresses found;
};

// An attempt to connect that waits for an answer. The op names a node that has it as its source and is in no list;
// the attempt's own op waits for the socket.
struct Attempt : Source {
    Addresses addresses;
    uint32_t next; // address to try when this one fails
    zyntax_op op;
    zyntax_io *io; // null: none in progress
    int32_t error; // of the last address
};

int64_t look_up(void *arg) {
    auto *lookup = static_cast<Lookup *>(arg);
    int32_t n = os::look_up(lookup->host, lookup->port, false, lookup->found.list, max_addresses);
    lookup->found.count = n <= 0                                     ? 0
                          : static_cast<uint32_t>(n) < max_addresses ? static_cast<uint32_t>(n)
                                                                     : max_addresses;
    return n;
}

void abandon(Runtime *runtime, Node *node) {
    auto *attempt = static_cast<Attempt *>(node->source);
    zyntax_op_cancel(&attempt->op);
    if (attempt->io) zyntax_io_close(attempt->io);
    runtime->arena.give(attempt, sizeof(Attempt));
}

bool is_attempt(const Node *node) { return node->source && node->source->abandoned == abandon; }

// Opens a socket towards the next address. 0: *io is connected; ZYNTAX_EAGAIN: in progress.
int32_t try_address(Runtime *runtime, const os::Address *address, zyntax_io **io) {
    Io *reserved;
    int32_t error = reserve_io(runtime, &reserved);
    if (error) return error;
    bool in_progress;
    intptr_t fd = os::connect(address, &in_progress);
    if (fd < 0) {
        unreserve_io(runtime, reserved);
        return static_cast<int32_t>(fd);
    }
    error = register_io(runtime, reserved, fd, os::Kind::tcp, in_progress ? 0 : readable | writable, io);
    if (error) os::close(fd);
    return error ? error : in_progress ? ZYNTAX_EAGAIN : 0;
}

// Goes on with an attempt as far as it goes without waiting. POLL_READY: attempt->error tells, 0 with attempt->io.
PollStatus advance(Runtime *runtime, Attempt *attempt, Waker *waker) {
    for (;;) {
        if (attempt->io) {
            int64_t set = 0;
            IoRef ref = find_io(attempt->io);
            attempt->error = ref.object ? os::connect_result(ref.object->fd) : int32_t{ZYNTAX_ECANCELED};
            if (attempt->error == ZYNTAX_EAGAIN) {
                Node *node = io_waiter(ref, &attempt->op);
                if (node) return still_pending(runtime, node, waker);
                if (wait_io(ref, writable, &attempt->op, waker, &set) == POLL_PENDING) return POLL_PENDING;
                attempt->error = ZYNTAX_ENOMEM;
            }
            zyntax_op_cancel(&attempt->op);
            if (attempt->error == 0) {
                ref.object->ready = readable | writable;
                return POLL_READY;
            }
            zyntax_io_close(attempt->io);
            attempt->io = nullptr;
        }
        if (attempt->next == attempt->addresses.count) return POLL_READY;
        zyntax_io *io = nullptr;
        attempt->error = try_address(runtime, &attempt->addresses.list[attempt->next++], &io);
        if (attempt->error == 0 || attempt->error == ZYNTAX_EAGAIN) attempt->io = io;
        if (attempt->error == 0) return POLL_READY;
    }
}

PollStatus begin(Runtime *runtime, zyntax_op *op, const Addresses &addresses, Waker *waker, zyntax_io **out,
                 int64_t *result) {
    void *memory = runtime->arena.take(sizeof(Attempt));
    Node *node = memory ? arm(runtime, op, ZYNTAX_WAIT_WRITABLE, waker) : nullptr;
    if (!node) {
        if (memory) runtime->arena.give(memory, sizeof(Attempt));
        return ready(op, result, ZYNTAX_ENOMEM);
    }
    auto *attempt = ::new (memory) Attempt();
    attempt->fired = nullptr;
    attempt->abandoned = abandon;
    attempt->addresses = addresses;
    node->source = attempt;
    node->woken = true; // it is the socket's node that wakes
    return zyntax_tcp_connect(runtime, op, nullptr, 0, waker, out, result);
}

} // namespace

PollStatus zyntax_tcp_connect(zyntax_runtime *runtime, zyntax_op *op, const char *host, uint16_t port, Waker *waker,
                              zyntax_io **out, int64_t *result) noexcept {
    if (!valid(op, waker, result)) return POLL_READY;
    if (!runtime || !out) return ready(op, result, ZYNTAX_EINVAL);
    check_thread(runtime);
    Node *node = my_node(runtime, op, [](const Node *n) { return is_attempt(n) || is_job(n, look_up); });
    if (node && is_attempt(node)) {
        auto *attempt = static_cast<Attempt *>(node->source);
        if (advance(runtime, attempt, waker) == POLL_PENDING) return still_pending(runtime, node, waker);
        int32_t error = attempt->error;
        if (error == 0) *out = attempt->io;
        runtime->arena.give(attempt, sizeof(Attempt));
        free_node(runtime, node);
        return ready(op, result, error);
    }

    Addresses addresses = {};
    Lookup lookup = {};
    if (!host || strlen(host) >= sizeof lookup.host) return ready(op, result, ZYNTAX_EINVAL);
    if (os::look_up(host, port, true, addresses.list, 1) == 1) {
        addresses.count = 1;
        return begin(runtime, op, addresses, waker, out, result);
    }
    memcpy(lookup.host, host, strlen(host));
    lookup.port = port;
    int64_t found;
    if (zyntax_blocking(runtime, op, look_up, &lookup, sizeof lookup, waker, &found) == POLL_PENDING)
        return POLL_PENDING;
    if (found <= 0) return ready(op, result, found);
    return begin(runtime, op, lookup.found, waker, out, result);
}
