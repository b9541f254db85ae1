// Connecting: looks the name up, unless it is an address, then tries one address after the other. It never blocks: the
// pool looks names up.
#include "io.h"
#include "thread_pool.h"

#include <string.h>

using namespace zyntax;

namespace {

constexpr uint32_t usual_addresses = 8; // room at first

// The argument of a look-up's job: the name, and behind it in memory the addresses.
struct alignas(os::Address) Names {
    char host[256];    // the longest name is 253 characters
    uint32_t capacity; // room for addresses
    uint16_t port;

    os::Address *list() { return reinterpret_cast<os::Address *>(this + 1); }
    size_t size() const { return sizeof(Names) + capacity * sizeof(os::Address); }
};

// A pending connect. The caller's op id names an operation whose source is the attempt and which is in no ring. The
// attempt's own op id waits for the look-up, then for the socket.
struct Attempt : Source {
    Names *names;
    uint32_t count; // of addresses; 0: the look-up has not ended
    uint32_t next;  // index of the next address to try
    zyntax_op op_id;
    zyntax_io *io; // the socket in progress, or connected; null: none
    int32_t error; // of the look-up, or of the last address
};

int64_t look_up_names(void *arg) {
    auto *names = static_cast<Names *>(arg);
    return os::look_up(names->host, names->port, false, names->list(), names->capacity);
}

void free_attempt(Runtime *runtime, Attempt *attempt) {
    if (attempt->names) runtime->arena.give(attempt->names, attempt->names->size());
    runtime->arena.give(attempt, sizeof(Attempt));
}

void attempt_canceled(Runtime *runtime, Op *op) {
    auto *attempt = static_cast<Attempt *>(op->source);
    zyntax_op_cancel(&attempt->op_id);
    if (attempt->io) zyntax_io_close(attempt->io);
    free_attempt(runtime, attempt);
}

// Makes room for `capacity` addresses of the same host; false without memory.
bool make_room(Runtime *runtime, Attempt *attempt, uint32_t capacity) {
    Names *before = attempt->names;
    assert(!attempt->count && capacity > (before ? before->capacity : 0));
    auto *names = static_cast<Names *>(runtime->arena.take(sizeof(Names) + capacity * sizeof(os::Address)));
    if (!names) return false;
    *names = before ? *before : Names{};
    names->capacity = capacity;
    if (before) runtime->arena.give(before, before->size());
    attempt->names = names;
    return true;
}

// Looks the name up, and looks it up again when it has more addresses than there is room for.
PollStatus find_addresses(Runtime *runtime, Attempt *attempt, Waker *waker) {
    assert(!attempt->count && !attempt->io);
    for (;;) {
        Names *names = attempt->names;
        int64_t n = 0;
        if (look_up_in_pool(runtime, &attempt->op_id, look_up_names, names, names->size(), waker, &n) == POLL_PENDING)
            return POLL_PENDING;
        auto count = static_cast<uint32_t>(n < 0 ? 0 : n);
        attempt->error = n < 0 ? static_cast<int32_t>(n) : 0;
        if (count <= names->capacity) {
            attempt->count = count;
            return POLL_READY;
        }
        if (!make_room(runtime, attempt, count)) {
            attempt->error = ZYNTAX_ENOMEM;
            return POLL_READY;
        }
    }
}

bool is_attempt(const Op *op) { return op->source && op->source->canceled == attempt_canceled; }

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

// Goes on until the attempt has to wait or has ended. POLL_READY: attempt->error is set, and is 0 with attempt->io.
PollStatus advance(Runtime *runtime, Attempt *attempt, Waker *waker) {
    for (;;) {
        assert(attempt->next <= attempt->count);
        if (attempt->io) {
            int64_t set = 0;
            IoRef ref = find_io(attempt->io);
            attempt->error = ref.object ? os::connect_result(ref.object->fd) : int32_t{ZYNTAX_ECANCELED};
            if (attempt->error == ZYNTAX_EAGAIN) {
                Op *op = io_waiter(ref, writable, &attempt->op_id);
                if (op) return still_pending(runtime, op, waker);
                if (wait_io(ref, writable, &attempt->op_id, waker, &set) == POLL_PENDING) return POLL_PENDING;
                attempt->error = ZYNTAX_ENOMEM;
            }
            zyntax_op_cancel(&attempt->op_id);
            if (ref.object && attempt->error == 0) {
                ref.object->readiness = readable | writable;
                return POLL_READY;
            }
            zyntax_io_close(attempt->io);
            attempt->io = nullptr;
        }
        if (attempt->next == attempt->count) return POLL_READY;
        zyntax_io *io = nullptr;
        attempt->error = try_address(runtime, &attempt->names->list()[attempt->next++], &io);
        if (attempt->error == 0 || attempt->error == ZYNTAX_EAGAIN) attempt->io = io;
        if (attempt->error == 0) return POLL_READY;
    }
}

// The operation of a new attempt, its number in *op_id; null without memory.
Op *begin_attempt(Runtime *runtime, zyntax_op *op_id, const char *host, uint16_t port, Waker *waker) {
    assert(!*op_id);
    void *memory = runtime->arena.take(sizeof(Attempt));
    if (!memory) return nullptr;
    auto *attempt = ::new (memory) Attempt();
    attempt->fired = nullptr;
    attempt->canceled = attempt_canceled;
    os::Address numeric = {};
    bool is_numeric = os::look_up(host, port, true, &numeric, 1) == 1;
    Op *op = nullptr;
    if (make_room(runtime, attempt, is_numeric ? 1 : usual_addresses))
        op = arm(runtime, op_id, is_numeric ? ZYNTAX_WAIT_WRITABLE : ZYNTAX_WAIT_BLOCKING, waker);
    if (!op) {
        free_attempt(runtime, attempt);
        return nullptr;
    }
    memcpy(attempt->names->host, host, strlen(host));
    attempt->names->port = port;
    if (is_numeric) attempt->names->list()[attempt->count++] = numeric;
    op->source = attempt;
    op->woken = true; // the task waits for the attempt's own operation
    return op;
}

} // namespace

PollStatus zyntax_tcp_connect(zyntax_runtime *runtime, zyntax_op *op_id, const char *host, uint16_t port, Waker *waker,
                              zyntax_io **out, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    if (!runtime || !out) return refuse(op_id, result, ZYNTAX_EINVAL);
    check_thread(runtime);
    os::KeepErrors keep;
    Op *op = my_op(runtime, op_id, is_attempt);
    if (!op) {
        if (!host || strlen(host) >= sizeof Names::host) return complete(op_id, result, ZYNTAX_EINVAL);
        op = begin_attempt(runtime, op_id, host, port, waker);
        if (!op) return complete(op_id, result, ZYNTAX_ENOMEM);
    }

    auto *attempt = static_cast<Attempt *>(op->source);
    bool found = attempt->count > 0 || find_addresses(runtime, attempt, waker) == POLL_READY;
    if (found && attempt->count) op->waits = ZYNTAX_WAIT_WRITABLE;
    if (!found || advance(runtime, attempt, waker) == POLL_PENDING) return still_pending(runtime, op, waker);
    int32_t error = attempt->error;
    assert(!attempt->op_id && (error == 0) == (attempt->io != nullptr));
    if (error == 0) *out = attempt->io;
    free_attempt(runtime, attempt);
    free_op(runtime, op);
    return complete(op_id, result, error);
}
