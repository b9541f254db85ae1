// Connecting to addresses.
#include "../../platform/addresses.h"
#include "race.h"

using namespace zyntax;

namespace {

bool are_addresses(const zyntax_address *addresses, size_t n) {
    if (!addresses || !n) return false;
    for (size_t i = 0; i < n; i++) {
        if (addresses[i].family != 4 && addresses[i].family != 6) return false;
    }
    return true;
}

Race *begin_connect_to(Runtime *runtime, zyntax_op *op_id, const zyntax_address *addresses, size_t n, Waker *waker) {
    if (n > UINT32_MAX) return nullptr;
    Race *race = begin_race(runtime, op_id, false, waker);
    auto count = static_cast<uint32_t>(n);
    if (!race) return nullptr;
    if (!make_room(runtime, &race->look_up, count)) {
        zyntax_op_cancel(op_id);
        return nullptr;
    }
    for (uint32_t i = 0; i < count; i++) race->look_up.names->list()[i] = os::to_system(addresses[i]);
    race->look_up.count = count;
    return race;
}

} // namespace

PollStatus zyntax_tcp_connect_to(zyntax_runtime *runtime, zyntax_op *op_id, const zyntax_address *addresses, size_t n,
                                 uint64_t deadline_ns, Waker *waker, zyntax_io **out, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    if (!runtime || !out) return refuse(op_id, result, ZYNTAX_EINVAL);
    check_thread(runtime);
    os::KeepErrors keep;
    Race *race = race_of(runtime, op_id, false);
    if (!race) {
        if (!are_addresses(addresses, n)) return complete(op_id, result, ZYNTAX_EINVAL);
        if (deadline_ns <= runtime->now_ns() && deadline_ns != never_ns)
            return complete(op_id, result, ZYNTAX_ETIMEDOUT);
        race = begin_connect_to(runtime, op_id, addresses, n, waker);
        if (!race) return not_armed(op_id, result);
        race->deadline_ns = deadline_ns;
    }
    return go_on(runtime, race, op_id, waker, out, result);
}
