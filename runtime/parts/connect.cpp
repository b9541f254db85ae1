// Connecting by name: looks the name up, unless it is an address, and races the addresses.
#include "race.h"

using namespace zyntax;

namespace {

Race *begin_connect(Runtime *runtime, zyntax_op *op_id, const char *host, uint16_t port, Waker *waker) {
    Race *race = begin_race(runtime, op_id, true, waker);
    if (!race || begin_look_up(runtime, &race->look_up, host, port)) return race;
    zyntax_op_cancel(op_id);
    return nullptr;
}

} // namespace

PollStatus zyntax_tcp_connect(zyntax_runtime *runtime, zyntax_op *op_id, const char *host, uint16_t port, Waker *waker,
                              zyntax_io **out, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    if (!runtime || !out) return refuse(op_id, result, ZYNTAX_EINVAL);
    check_thread(runtime);
    os::KeepErrors keep;
    Race *race = race_of(runtime, op_id, true);
    if (!race && !is_host(host)) return complete(op_id, result, ZYNTAX_EINVAL);
    if (!race) race = begin_connect(runtime, op_id, host, port, waker);
    if (!race) return not_armed(op_id, result);
    if (!race->look_up.count) {
        race->op->woken = true; // the task waits for the job's operation
        race->op->waits = ZYNTAX_WAIT_BLOCKING;
        if (find_addresses(runtime, &race->look_up, waker, &race->error) == POLL_PENDING)
            return still_pending(runtime, race->op, waker);
    }
    return go_on(runtime, race, op_id, waker, out, result);
}
