// Deadlines of I/O handles. A handle has one for each direction, and one timer for the earlier of them. The timer's end
// fires the operations of that direction: their next calls ask the kernel once more, and wait_io refuses to wait (see
// Io::overdue).
#include "io.h"

using namespace zyntax;

namespace {

// The earliest deadline that is not over.
uint64_t next_deadline(const Runtime *runtime, const Io *io) {
    uint64_t next = never_ns;
    for (uint64_t deadline_ns : io->timers->deadlines_ns) {
        if (deadline_ns > runtime->seen_ns && deadline_ns < next) next = deadline_ns;
    }
    return next;
}

void fire_overdue(Runtime *runtime, Io *io) {
    uint64_t now = runtime->seen_ns - (runtime->seen_ns == never_ns);
    const uint64_t *deadlines_ns = io->timers->deadlines_ns;
    io->overdue = (deadlines_ns[0] <= now ? readable : 0) | (deadlines_ns[1] <= now ? writable : 0);
    if (io->overdue & readable) fire_all(runtime, &io->readers);
    if (io->overdue & writable) fire_all(runtime, &io->writers);
    if (io->overdue) fire_all(runtime, &io->either);
}

// Never called after the handle's end, which frees the timer.
void deadline_fired(Runtime *runtime, Op *timer) {
    const Handle *handle = handle_pool.at(timer->source_word);
    assert(handle->kind == &io_kind);
    auto *io = static_cast<Io *>(handle->object);
    assert(find_op(io->timers->deadline) == timer && timer->place == Op::nowhere);
    uint64_t next = next_deadline(runtime, io);
    if (next == never_ns) free_op(runtime, timer);
    else runtime->timers.insert(timer, next);
    fire_overdue(runtime, io);
}
constinit Source deadline_source = {deadline_fired, nullptr}; // only the handle has the op id

// Sets the timer for the next deadline; false without memory, which only a new timer needs.
bool set_timer(const IoRef &ref, uint64_t next) {
    auto [runtime, io] = ref;
    Op *timer = pending_op(runtime, &io->timers->deadline);
    if (next == never_ns) {
        if (timer) free_op(runtime, timer);
        return true;
    }
    if (timer) {
        if (timer->deadline_ns == next) return true;
        runtime->timers.remove(timer);
        runtime->timers.insert(timer, next);
        return true;
    }
    const Waker nobody = {};
    timer = arm_timer(runtime, &io->timers->deadline, ZYNTAX_WAIT_READABLE, next, &nobody);
    if (!timer) return false;
    timer->source = &deadline_source;
    timer->source_word = io->index;
    return true;
}

} // namespace

int32_t zyntax_io_deadline(zyntax_io *handle, uint32_t directions, uint64_t deadline_ns) noexcept {
    if (!directions || (directions & ~(readable | writable))) return ZYNTAX_EINVAL;
    IoRef ref = find_io(handle);
    Io *io = ref.object;
    if (!io) return ZYNTAX_ESTALE;
    if (ref.runtime->is_ending) return ZYNTAX_ECANCELED;
    if (!io->timers && deadline_ns == never_ns) return 0; // there is none
    if (!timers_of(ref.runtime, io)) return ZYNTAX_ENOMEM;
    uint64_t *deadlines_ns = io->timers->deadlines_ns;
    const uint64_t before[2] = {deadlines_ns[0], deadlines_ns[1]};
    if (directions & readable) deadlines_ns[0] = deadline_ns;
    if (directions & writable) deadlines_ns[1] = deadline_ns;
    if (!set_timer(ref, next_deadline(ref.runtime, io))) {
        deadlines_ns[0] = before[0];
        deadlines_ns[1] = before[1];
        return ZYNTAX_ENOMEM;
    }
    fire_overdue(ref.runtime, io);
    return 0;
}
