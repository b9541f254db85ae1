// I/O handles: a descriptor is registered once, edge-triggered, and what is known of its readiness is kept beside it.
// No data is moved from here.
#include "runtime.h"

#include <initializer_list>
#include <string.h>

namespace zyntax {

// A descriptor that was blocking is so again when its handle goes: others may have it, too, as the shell has a
// terminal. But the flag belongs to the open file. If another handle shares that, it stays as the loop needs it, and
// the duty is the other handle's from then on.
static void restore_blocking(Runtime *runtime, const Io *io) {
    if (!io->was_blocking) return;
    uint64_t file = runtime->given_nonblocking ? os::file_identity(io->fd) : 0;
    os::set_blocking(io->fd);
    if (!file) return;
    each_io(runtime, [&](Io *other) {
        if (!file || other == io || other->file != file) return;
        if (!os::is_blocking(other->fd)) return; // the same file, opened on its own
        os::set_nonblocking(other->fd, &other->was_blocking);
        file = 0;
    });
}

intptr_t remove_io(Runtime *runtime, Io *io) {
    intptr_t fd = io->fd;
    runtime->poller.remove(fd, io->registration);
    Io **link = runtime->ios.link_of(fd);
    if (*link == io) *link = io->next;
    restore_blocking(runtime, io);
    intptr_t unregistered = io->unregistered;
    io->unregistered = -1;
    if (unregistered >= 0) os::close(unregistered);
    if (Node *timer = pending_node(runtime, &io->retry)) free_node(runtime, timer);
    if (io->file) runtime->given_nonblocking--;
    fire_all(runtime, &io->readers);
    fire_all(runtime, &io->writers);
    fire_all(runtime, &io->either);
    unreserve_io(runtime, io);
    return fd;
}

namespace {

void destroy_io(Runtime *runtime, void *object) { os::close(remove_io(runtime, static_cast<Io *>(object))); }

uint64_t count_io_waiting([[maybe_unused]] const void *object) {
    uint64_t count = 0;
#ifndef NDEBUG
    auto *io = static_cast<const Io *>(object);
    for (const Ring *ring : {&io->readers, &io->writers, &io->either}) count += count_waiting(*ring, Node::io_waiting);
#endif
    return count;
}

} // namespace

const HandleKind io_kind = {destroy_io, count_io_waiting};

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

int32_t reserve_io(Runtime *runtime, Io **out) {
    if (runtime->is_ending) return ZYNTAX_ECANCELED; // nobody would close it
    bool has_room = runtime->poller.reserve() && runtime->ios.reserve(runtime->counts.io_open + 1);
    void *memory = has_room ? runtime->arena.take(sizeof(Io)) : nullptr;
    if (!memory) return ZYNTAX_ENOMEM;
    *out = ::new (memory) Io(); // before a handle leads to it: see forget_copy
    void *handle = take_handle(runtime, &io_kind, memory);
    if (!handle) {
        runtime->arena.give(memory, sizeof(Io));
        return ZYNTAX_ENOMEM;
    }
    (*out)->handle = handle;
    runtime->counts.io_open++;
    return 0;
}

void unreserve_io(Runtime *runtime, Io *io) {
    give_handle(runtime, io->handle);
    runtime->arena.give(io, sizeof(Io));
    runtime->counts.io_open--;
}

int32_t register_io(Runtime *runtime, Io *io, intptr_t fd, os::Kind kind, uint32_t ready, zyntax_io **out) {
    io->fd = fd;
    io->kind = kind;
    io->readiness = ready;
    int32_t error = runtime->poller.add(fd, to_bits(io->handle), &io->registration);
    if (error) {
        unreserve_io(runtime, io);
        return error;
    }
    assert(io->handle && io->fd >= 0);
    Io **link = runtime->ios.link_of(fd); // one that is there was closed behind our back
    io->next = *link ? (*link)->next : nullptr;
    *link = io;
    *out = static_cast<zyntax_io *>(io->handle);
    return 0;
}

static Ring *waiters_of(Io *io, uint32_t directions) {
    return directions == readable ? &io->readers : directions == writable ? &io->writers : &io->either;
}

Node *find_io_waiter(const IoRef &ref, uint32_t directions, zyntax_op *op) {
    const Ring *ring = waiters_of(ref.object, directions);
    return my_node(ref.runtime, op,
                   [ring](const Node *node) { return node->place == Node::io_waiting && node->ring == ring; });
}

Node *join_waiters(const IoRef &ref, uint32_t directions, zyntax_op *op, Waker *waker) {
    zyntax_wait waits = directions == writable ? ZYNTAX_WAIT_WRITABLE : ZYNTAX_WAIT_READABLE;
    Node *node = arm(ref.runtime, op, waits, waker);
    if (!node) return nullptr;
    wait_in(waiters_of(ref.object, directions), node, Node::io_waiting);
    ref.runtime->io_waiting++;
    return node;
}

PollStatus wait_io(const IoRef &ref, uint32_t directions, zyntax_op *op, Waker *waker, int64_t *result) {
    if (!join_waiters(ref, directions, op, waker)) return complete(op, result, ZYNTAX_ENOMEM);
    ref.runtime->poller.want(ref.object->fd, ref.object->registration, directions);
    return POLL_PENDING;
}

// Everyone who waits is woken: who is first takes what is there, the others wait again.
void dispatch(Runtime *runtime, const Event &event) {
    const Handle *handle = find_alive(handles, event.word);
    bool is_ours = handle && handle->owner.load(std::memory_order_relaxed) == runtime->inbox->id;
    if (!is_ours || handle->kind != &io_kind) {
        runtime->counts.events_stale++;
        return;
    }
    auto *io = static_cast<Io *>(handle->object);
    io->readiness |= event.ready;
    // Reads stop there: short no longer means empty.
    if (event.ready & urgent && io->kind == os::Kind::tcp) io->kind = os::Kind::socket;
    if (event.ready & bits_of(readable)) fire_all(runtime, &io->readers);
    if (event.ready & bits_of(writable)) fire_all(runtime, &io->writers);
    fire_all(runtime, &io->either);
}

} // namespace zyntax
