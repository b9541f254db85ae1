// I/O handles: a descriptor is registered once, edge-triggered, and its known readiness is kept in the handle. Nothing
// here reads or writes data.
#include "io.h"

#include <initializer_list>
#include <string.h>

namespace zyntax {

namespace {

// The open handles by descriptor, so that no descriptor is registered twice. About one handle a chain.
class IoTable : public Part {
public:
    explicit IoTable(Runtime *runtime) : Part(), memory_(runtime->memory) { forget = free_chains; }

    static void end(Runtime *, Part *part) { free_chains(part); }

    bool reserve(uint64_t count); // room for that many handles; false without memory

    // With room: the link to the handle with that descriptor, or the link to null at its place.
    Io **link_of(intptr_t fd) const {
        assert(std::has_single_bit(count_));
        uint64_t hash = static_cast<uint64_t>(fd) * 0x9E3779B97F4A7C15u; // descriptors of Windows are multiples of 4
        Io **link = &chains_[(hash >> 32) & (count_ - 1)];
        while (*link && (*link)->fd != fd) link = &(*link)->next;
        return link;
    }

private:
    static void free_chains(Part *part) {
        auto *self = static_cast<IoTable *>(part);
        self->block_.give(self->memory_);
    }

    Memory &memory_;
    GrowingBlock block_;
    Io **chains_ = nullptr;
    uint32_t count_ = 0; // a power of two, or 0
};

bool IoTable::reserve(uint64_t count) {
    if (count <= count_) return true;
    uint32_t count_before = count_, doubled = count_ ? count_ * 2 : 16;
    auto **chains = static_cast<Io **>(memory_.take(doubled * sizeof(Io *)));
    if (!chains) return false;
    Io **before = chains_;
    chains_ = static_cast<Io **>(memset(chains, 0, doubled * sizeof(Io *)));
    count_ = doubled;
    for (uint32_t i = 0; i < count_before; i++) {
        while (Io *io = before[i]) {
            before[i] = io->next;
            io->next = nullptr;
            *link_of(io->fd) = io;
        }
    }
    block_.replace(memory_, chains, doubled * sizeof(Io *));
    return true;
}

// Null without memory; never null while a handle is open.
IoTable *table_of(Runtime *runtime) { return find_or_make_part<IoTable>(runtime, IoTable::end); }

// For a handle that has no descriptor any more.
void fire_waiters(Runtime *runtime, Io *io) {
    for (Ring *ring : {&io->readers, &io->writers, &io->either}) fire_all(runtime, ring);
    assert(io->readers.empty() && io->writers.empty() && io->either.empty());
}

// Takes the descriptor from a handle. False: the kernel does not know the descriptor any more.
bool take_descriptor(Runtime *runtime, Io *io) {
    Io **link = table_of(runtime)->link_of(io->fd);
    assert(*link == io);
    *link = io->next;
    bool is_ours = runtime->poller.remove(io->fd, io->registration);
    io->fd = -1;
    return is_ours;
}

} // namespace

// A descriptor that was blocking becomes blocking again, as other processes may share its open file: the terminal of a
// shell. The library's own calls do not depend on that. A listener stays non-blocking: processes that share it could
// not accept from it otherwise. If the kernel does not know the descriptor any more, the host or another library has
// closed it, and its number may already name another file.
intptr_t remove_io(Runtime *runtime, Io *io) {
    intptr_t fd = io->fd;
    if (fd >= 0 && !take_descriptor(runtime, io)) fd = -1;
    if (fd >= 0 && io->was_blocking && !(os::is_socket(io->kind) && os::listens(fd))) os::set_blocking(fd);
    intptr_t unregistered = io->unregistered;
    io->unregistered = -1;
    if (unregistered >= 0) os::close(unregistered);
    if (io->timers) {
        for (zyntax_op *timer_id : {&io->timers->retry, &io->timers->deadline}) {
            if (Op *timer = pending_op(runtime, timer_id)) free_op(runtime, timer);
        }
        runtime->arena.give(io->timers, sizeof(IoTimers));
        io->timers = nullptr;
    }
    fire_waiters(runtime, io);
    unreserve_io(runtime, io);
    return fd;
}

void close_io(Runtime *runtime, Io *io) {
    intptr_t fd = remove_io(runtime, io);
    if (fd >= 0) os::close(fd);
}

namespace {

void destroy_io(Runtime *runtime, void *object) { close_io(runtime, static_cast<Io *>(object)); }

// Fires all operations that wait: the task that runs first takes the data, and the other tasks wait again.
void io_is_ready(Runtime *runtime, void *object, uint32_t ready) {
    auto *io = static_cast<Io *>(object);
    assert(io->index && runtime->is_driving && !runtime->current);
    io->readiness |= ready;
    io->reported |= ready;
    // Reads stop at an urgent byte: a short read no longer means that the buffer is empty.
    if (ready & urgent && os::short_read_empties(io->kind)) io->kind = os::Kind::socket;
    if (ready & bits_of(readable)) fire_all(runtime, &io->readers);
    if (ready & bits_of(writable)) fire_all(runtime, &io->writers);
    fire_all(runtime, &io->either);
}

// Closes the child's copies of the parent's descriptors.
void forget_io(void *object) {
    auto *io = static_cast<Io *>(object);
    os::close(io->fd);
    if (io->unregistered >= 0) os::close(io->unregistered);
}

uint64_t count_io_waiting([[maybe_unused]] const void *object) {
    uint64_t count = 0;
#ifndef NDEBUG
    auto *io = static_cast<const Io *>(object);
    for (const Ring *ring : {&io->readers, &io->writers, &io->either}) count += count_waiting(*ring, Op::io_waiting);
#endif
    return count;
}

} // namespace

const HandleKind io_kind = {destroy_io, count_io_waiting, io_is_ready, forget_io};

zyntax_io *handle_of(const Io *io) {
    uint32_t generation = handle_pool.at(io->index)->generation.load(std::memory_order_relaxed);
    assert(generation & 1);
    return static_cast<zyntax_io *>(to_pointer(handle_bits(io->index, generation)));
}

int32_t reserve_io(Runtime *runtime, Io **out) {
    if (runtime->is_ending) return ZYNTAX_ECANCELED; // nothing would close the handle
    IoTable *table = table_of(runtime);
    bool has_room = table && runtime->poller.reserve() && table->reserve(runtime->counts.io_open + 1);
    void *memory = has_room ? runtime->arena.take(sizeof(Io)) : nullptr;
    if (!memory) return ZYNTAX_ENOMEM;
    *out = ::new (memory) Io(); // before a handle leads to it: see forget_copy
    void *handle = take_handle(runtime, &io_kind, memory);
    if (!handle) {
        runtime->arena.give(memory, sizeof(Io));
        return ZYNTAX_ENOMEM;
    }
    (*out)->index = handle_index(to_bits(handle));
    runtime->counts.io_open++;
    return 0;
}

void unreserve_io(Runtime *runtime, Io *io) {
    assert(runtime->counts.io_open > 0 && io->unregistered < 0 && !io->timers);
    give_handle(runtime, handle_of(io));
    runtime->arena.give(io, sizeof(Io));
    runtime->counts.io_open--;
}

IoTimers *timers_of(Runtime *runtime, Io *io) {
    if (io->timers) return io->timers;
    void *memory = runtime->arena.take(sizeof(IoTimers));
    return io->timers = memory ? ::new (memory) IoTimers() : nullptr;
}

int32_t register_io(Runtime *runtime, Io *io, intptr_t fd, os::Kind kind, uint32_t ready, zyntax_io **out) {
    assert(fd >= 0 && io->fd < 0);
    const IoTable *table = table_of(runtime);
    if (Io *former = *table->link_of(fd)) { // its descriptor was closed: its operations find a bad descriptor
        take_descriptor(runtime, former);
        fire_waiters(runtime, former);
    }
    io->fd = fd;
    io->kind = kind;
    io->readiness = ready;
    // A message, or a part of a Unix stream, that leaves the socket's buffer makes room for more. Only TCP reports room
    // when a writer has missed it.
    if (os::is_socket(kind) && kind != os::Kind::tcp) io->registration = handle_of(io);
    int32_t error = runtime->poller.add(fd, to_bits(handle_of(io)), &io->registration);
    if (error) {
        unreserve_io(runtime, io);
        return error;
    }
    Io **link = table->link_of(fd);
    assert(io->fd >= 0 && !*link);
    *link = io;
    *out = handle_of(io);
    return 0;
}

int32_t register_new_io(Runtime *runtime, Io *io, intptr_t fd, os::Kind kind, uint32_t ready, zyntax_io **out) {
    if (fd < 0) {
        unreserve_io(runtime, io);
        return static_cast<int32_t>(fd);
    }
    int32_t error = register_io(runtime, io, fd, kind, ready, out);
    if (error) os::close(fd);
    return error;
}

const Io *io_of(Runtime *runtime, intptr_t fd) { return *table_of(runtime)->link_of(fd); }

static Ring *waiters_of(Io *io, uint32_t directions) {
    assert(directions && !(directions & ~(readable | writable)));
    return directions == readable ? &io->readers : directions == writable ? &io->writers : &io->either;
}

Op *find_io_waiter(const IoRef &ref, uint32_t directions, zyntax_op *op_id) {
    const Ring *ring = waiters_of(ref.object, directions);
    auto is_it = [ring](const Op *op) { return op->place == Op::io_waiting && op->ring == ring; };
    Op *op = my_op(ref.runtime, op_id, is_it);
    if (!op || interrupted_by(op_id) != ref.runtime) return op;
    zyntax_op_cancel(op_id); // the call tries again: an event since the loop's last look wins, and no operation begins
    ref.object->readiness |= directions;
    return nullptr;
}

Op *add_waiter(const IoRef &ref, uint32_t directions, zyntax_op *op_id, Waker *waker) {
    zyntax_wait waits = directions == writable ? ZYNTAX_WAIT_WRITABLE : ZYNTAX_WAIT_READABLE;
    Op *op = arm(ref.runtime, op_id, waits, waker);
    if (!op) return nullptr;
    wait_in(waiters_of(ref.object, directions), op, Op::io_waiting);
    ref.runtime->io_waiting++;
    return op;
}

PollStatus wait_io(const IoRef &ref, uint32_t directions, zyntax_op *op_id, Waker *waker, int64_t *result) {
    if (ref.object->fd < 0) return complete(op_id, result, ZYNTAX_EBADF);
    if (ref.object->overdue & directions) return complete(op_id, result, ZYNTAX_ETIMEDOUT);
    if (!add_waiter(ref, directions, op_id, waker)) return not_armed(op_id, result);
    ref.runtime->poller.want(ref.object->fd, ref.object->registration, directions);
    return POLL_PENDING;
}

} // namespace zyntax
