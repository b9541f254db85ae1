// Names to addresses, on the blocking pool.
#include "../../platform/addresses.h"
#include "look_up.h"

#include <string.h>

using namespace zyntax;

namespace {

// A pending call. The caller's op id names an operation whose source it is and which is in no ring.
struct Resolve : Source {
    LookUp look_up;
    Op *op; // null: the host is numeric
};

void free_resolve(Runtime *runtime, Resolve *call) {
    end_look_up(runtime, &call->look_up);
    runtime->arena.give(call, sizeof(Resolve));
}

void resolve_canceled(Runtime *runtime, Op *op) { free_resolve(runtime, static_cast<Resolve *>(op->source)); }

bool is_resolve(const Op *op) { return op->source && op->source->canceled == resolve_canceled; }

// Null without memory.
Resolve *begin_resolve(Runtime *runtime, zyntax_op *op_id, const char *host, Waker *waker) {
    assert(!*op_id);
    void *memory = runtime->arena.take(sizeof(Resolve));
    if (!memory) return nullptr;
    auto *call = ::new (memory) Resolve();
    call->canceled = resolve_canceled;
    bool begun = begin_look_up(runtime, &call->look_up, host, 0);
    if (begun && call->look_up.count) return call;
    call->op = begun ? arm(runtime, op_id, ZYNTAX_WAIT_BLOCKING, waker) : nullptr;
    if (!call->op) {
        free_resolve(runtime, call);
        return nullptr;
    }
    call->op->source = call;
    call->op->woken = true; // the task waits for the job's operation
    return call;
}

// Stores up to `room` addresses. Returns the number of different ones, or an error.
int64_t collect_addresses(const LookUp &look_up, zyntax_address *out, size_t room) {
    const os::Address *list = look_up.names->list();
    size_t found = 0;
    for (uint32_t i = 0; i < look_up.count; i++) {
        bool is_known = false;
        for (uint32_t j = 0; j < i && !is_known; j++)
            is_known = list[j].size == list[i].size && memcmp(list[j].bytes, list[i].bytes, list[i].size) == 0;
        if (is_known) continue;
        zyntax_address address;
        if (int32_t error = os::from_system(list[i], &address)) return error;
        if (found++ < room) out[found - 1] = address;
    }
    return static_cast<int64_t>(found);
}

} // namespace

PollStatus zyntax_resolve(zyntax_runtime *runtime, zyntax_op *op_id, const char *host, zyntax_address *out, size_t room,
                          Waker *waker, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    if (!runtime || (!out && room)) return refuse(op_id, result, ZYNTAX_EINVAL);
    check_thread(runtime);
    os::KeepErrors keep;
    Op *op = my_op(runtime, op_id, is_resolve);
    auto *call = op ? static_cast<Resolve *>(op->source) : nullptr;
    if (!call) {
        if (!is_host(host)) return complete(op_id, result, ZYNTAX_EINVAL);
        call = begin_resolve(runtime, op_id, host, waker);
        if (!call) return not_armed(op_id, result);
    }
    int32_t error = 0;
    if (find_addresses(runtime, &call->look_up, waker, &error) == POLL_PENDING)
        return still_pending(runtime, call->op, waker);
    int64_t count = error ? error : collect_addresses(call->look_up, out, room);
    op = call->op;
    free_resolve(runtime, call);
    if (op) free_op(runtime, op);
    return complete(op_id, result, count);
}
