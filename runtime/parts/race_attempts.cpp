// The attempts of a race of connects: sockets that are being connected.
#include "race.h"

#include "io.h"

namespace zyntax {

namespace {

// Opens a socket towards an address. Returns 0 with *io, or an error.
int32_t try_address(Runtime *runtime, const os::Address *address, zyntax_io **io) {
    Io *reserved;
    int32_t error = reserve_io(runtime, &reserved);
    if (error) return error;
    return register_new_io(runtime, reserved, os::connect(address), os::Kind::tcp, 0, io);
}

// Whether the attempt goes on (ZYNTAX_EAGAIN), has won (0) or has failed. An interrupted call asks for an error without
// an event, too: a result that is there wins against the interrupt.
int32_t look_at(Runtime *runtime, Race *race, Attempt *attempt) {
    const Runtime *polling = driven();
    bool is_interrupted = polling && polling->ends_wait();
    bool waits = pending_op(runtime, &attempt->op_id);
    if (waits && !is_interrupted) return ZYNTAX_EAGAIN;
    IoRef ref = find_io(attempt->io);
    if (!ref.object) return ZYNTAX_ECANCELED;
    int32_t error = os::connect_result(ref.object->fd, ref.object->readiness || is_interrupted);
    if (error == ZYNTAX_EAGAIN && !waits) {
        Waker nobody = {};
        int64_t result;
        if (wait_io(ref, writable, &attempt->op_id, &nobody, &result) == POLL_READY)
            return static_cast<int32_t>(result);
        find_op(attempt->op_id)->source = race;
    } else if (!error) {
        ref.object->readiness = readable | writable;
    }
    return error;
}

} // namespace

void end_attempt(Runtime *runtime, Attempt **list) {
    Attempt *attempt = *list;
    *list = attempt->next;
    zyntax_op_cancel(&attempt->op_id);
    if (attempt->io) zyntax_io_close(attempt->io);
    runtime->arena.give(attempt, sizeof(Attempt));
}

int32_t settle_attempt(Runtime *runtime, Race *race, Attempt **list) {
    Attempt *attempt = *list;
    int32_t error = look_at(runtime, race, attempt);
    if (error == ZYNTAX_EAGAIN) return error;
    if (error && !attempt->address) race->error = error;
    if (!error) {
        race->winner = attempt->io;
        attempt->io = nullptr;
    }
    end_attempt(runtime, list);
    return error;
}

int32_t begin_attempt(Runtime *runtime, Race *race) {
    void *memory = runtime->arena.take(sizeof(Attempt));
    zyntax_io *io = nullptr;
    int32_t error =
        memory ? try_address(runtime, &race->look_up.names->list()[race->next], &io) : int32_t{ZYNTAX_ENOMEM};
    if (!io) {
        if (memory) runtime->arena.give(memory, sizeof(Attempt));
        if (error == ZYNTAX_EAGAIN) error = ZYNTAX_ENOBUFS; // Linux's word for a full routing cache
        if (!race->next) race->error = error;
        return error;
    }
    Attempt **end = &race->attempts;
    while (*end) end = &(*end)->next;
    *end = ::new (memory) Attempt{nullptr, race->next, io, 0};
    return settle_attempt(runtime, race, end);
}

} // namespace zyntax
