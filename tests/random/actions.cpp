// The actions of tasks, drops, hosts, callbacks and the main thread: one function each.
#include "program.h"

#include <cstring>

namespace random_test {

uint32_t Program::any_runtime() {
    uint32_t r = below(max_runtimes);
    for (uint32_t i = 0; i < max_runtimes; i++) {
        if (rts_[(r + i) % max_runtimes].rt) return (r + i) % max_runtimes;
    }
    return max_runtimes;
}

uint32_t Program::any_actor() {
    uint32_t a = below(max_actors);
    for (uint32_t i = 0; i < max_actors; i++) {
        if (actors_[(a + i) % max_actors].alive) return (a + i) % max_actors;
    }
    return a;
}

uint32_t Program::any_channel() {
    uint32_t c = below(max_channels);
    return channels_[c].id ? c : below(max_channels);
}

uint32_t Program::any_io() {
    uint32_t i = below(max_ios);
    for (uint32_t n = 0; n < max_ios; n++) {
        if (ios_[(i + n) % max_ios].id) return (i + n) % max_ios;
    }
    return i;
}

void Program::keep_old(zyntax_task *task, const Waker *waker, zyntax_op op, void *handle) {
    uint32_t i = uint32_t(++progress_) % max_old;
    if (task) old_tasks_[i] = task;
    if (waker && waker->wake) old_wakers_[i] = *waker;
    if (op) old_ops_[i] = op;
    if (handle) old_handles_[i] = handle;
}

// ---- wakers and hosts ----

Wakee Program::host_wakee(Waker *out) {
    uint32_t i = 0;
    for (uint32_t n = 0; n < max_wakers; n++) {
        i = next_waker_++ % max_wakers;
        const HostWaker &waker = wakers_[i];
        const Reg &reg = regs_[waker.reg];
        if (!waker.id || reg.id != waker.reg_id || waker.state >= HostWaker::canceled) break;
    }
    wakers_[i] = {new_id(), 0, 0, HostWaker::armed};
    *out = {reinterpret_cast<void *>(uintptr_t{wakers_[i].id} * max_wakers + i), host_wake};
    return {Wakee::host, 0, wakers_[i].id, uint16_t(i)};
}

// Mostly the task's own waker; sometimes a host's, or another task's.
Wakee Program::choose_wakee(Actor *actor, Waker *own, Waker *out) {
    if (mood(moods_.host)) return host_wakee(out);
    if (actor && !chance(32)) {
        *out = *own;
        return {Wakee::task, uint8_t(actor - actors_), actor->id, 0};
    }
    uint32_t a = any_actor();
    Actor &other = actors_[a];
    if (!other.alive || !other.waker.wake) return host_wakee(out);
    *out = other.waker;
    return {Wakee::task, uint8_t(a), other.id, 0};
}

// A host that waits: outside of every poll, or inside a poll.
void Program::host_awaits() {
    Word &word = hosts_[below(max_hosts)].word;
    if (word.args.kind != Kind::none && below(3) == 0) return cancel_word(word);
    if (word.args.kind != Kind::none && mood(moods_.forget)) return forget_word(word);
    uint32_t r = any_runtime();
    if (r == max_runtimes || (rts_[r].driving && inner() != r)) return;
    if (word.args.kind == Kind::none) choose_args(word, r);
    if (word.args.kind == Kind::none || !rts_[word.args.rt].rt || rts_[word.args.rt].id != word.args.rt_id) return;
    Waker waker = {};
    Wakee wakee = host_wakee(&waker);
    TRACE("a host:");
    call(word, &waker, wakee);
}

void Program::wake(uint32_t a) {
    Actor &actor = actors_[a];
    if (!actor.waker.wake) return;
    bool by_signal = below(4) == 3;
    TRACE("wake %u%s", a, by_signal ? " from a signal" : "");
    in_call_ = true;
    if (by_signal) zyntax_wake_from_signal(&actor.waker);
    else actor.waker.wake(actor.waker.data);
    in_call_ = false;
    if (is_live(actor) && !actor.canceled) actor.must_poll = true;
}

void Program::cancel(uint32_t a) {
    Actor &actor = actors_[a];
    if (!actor.task) return;
    bool alive = is_live(actor);
    TRACE("cancel %u", a);
    in_call_ = true;
    int32_t error = zyntax_task_cancel(actor.task);
    in_call_ = false;
    if (!actor.finishing)
        expect(error == (alive ? 0 : ZYNTAX_ESTALE), "cancel", "0 for a live task, ESTALE for an ended one");
    if (error == 0) {
        actor.canceled = true;
        expect(zyntax_task_alive(actor.task) == 1, "alive", "a cancelled task lives until its drop");
    }
}

void Program::interrupt(uint32_t a) {
    Actor &actor = actors_[a];
    if (!actor.task) return;
    bool alive = is_live(actor);
    TRACE("interrupt %u", a);
    in_call_ = true;
    int32_t error = zyntax_task_interrupt(actor.task);
    in_call_ = false;
    if (!actor.finishing)
        expect(error == (alive ? 0 : ZYNTAX_ESTALE), "interrupt", "0 for a live task, ESTALE for an ended one");
    if (error || actor.canceled) return;
    if (is_live(actor)) actor.must_poll = true;
    actor.was_interrupted = true;
    bool is_late = inner() != actor.rt && rts_[actor.rt].driving; // the runtime takes it later
    (is_late ? actor.interrupted_later : actor.interrupted) = true;
}

// ---- choosing an await point ----

void Program::choose_target(Target &target, uint32_t r, bool same_runtime) {
    uint32_t how = below(16);
    if (how == 15 && !is_without("null_task")) {
        target = {nullptr, 0, Target::null, false};
        return;
    }
    uint32_t a = any_actor();
    if (actors_[a].rt != r && how < 12) a = any_actor();
    if (how == 14 || !actors_[a].task || (same_runtime && actors_[a].rt != r)) {
        target = {old_tasks_[below(max_old)], 0, Target::stale, false};
        if (!target.task) target.task = reinterpret_cast<zyntax_task *>(uintptr_t{77});
        if (zyntax_task_alive(target.task)) target.task = reinterpret_cast<zyntax_task *>(uintptr_t{77});
        return;
    }
    target = {actors_[a].task, actors_[a].id, uint8_t(a), false};
}

// The arguments of a new await point of a task or host of runtime r.
void Program::choose_args(Word &word, uint32_t r) {
    Args &args = word.args;
    args = {};
    if (moods_.scopes && below(4) == 3 && choose_scope(args)) return;
    constexpr uint32_t of_scopes = 2; // kinds
    uint32_t kind = 1 + below(uint32_t(Kind::count) - 1 - of_scopes);
    args.kind = static_cast<Kind>(kind < uint32_t(Kind::scope_next) ? kind : kind + of_scopes);
    args.rt = uint8_t(r);
    args.rt_id = rts_[r].id;
    static constexpr uint64_t times[] = {0, 1, 1000, ms, 3 * ms, 50 * ms, 3600'000 * ms, UINT64_MAX};
    args.time_ns = times[below(8)];
    if (args.time_ns > 1 && args.time_ns < 50 * ms) args.time_ns += below(256) * 4000;
    switch (args.kind) {
    case Kind::sleep_until:
    case Kind::join_until:
        if (args.time_ns != UINT64_MAX) args.time_ns += now(r);
        args.count = args.kind == Kind::join_until;
        break;
    case Kind::join:
        args.count = 1;
        break;
    case Kind::join_all:
    case Kind::select:
        args.count = uint8_t(below(5));
        break;
    case Kind::send:
    case Kind::recv: {
        args.object = uint8_t(any_channel());
        Channel &channel = channels_[args.object];
        args.object_id = channel.id;
        args.handle = channel.handle;
        args.value = ++last_item_;
        if (!channel.id || (rts_[channel.rt].driving && channel.rt != inner())) args.kind = Kind::none;
        else args.rt = channel.rt;
        if (channel.loose && args.kind == Kind::send) items_[args.value % 1024] = {args.value, channel.id, false};
        break;
    }
    case Kind::read:
    case Kind::write:
    case Kind::ready:
    case Kind::accept: {
        args.object = uint8_t(any_io());
        Io &io = ios_[args.object];
        args.object_id = io.id;
        args.handle = io.handle;
        if (io.listens && args.kind <= Kind::write) args.kind = Kind::accept; // a listener cannot be read
        args.value = args.kind == Kind::ready ? 1 + below(3) : below(8);
        if constexpr (!outside::scripted) {
            args.datagram = args.kind <= Kind::write && (io.datagrams || chance(16)) && below(4);
            args.to_port = args.datagram && below(2) ? outside::port(below(4)) : uint16_t{0};
        }
        if (!io.id || (rts_[io.rt].driving && io.rt != inner())) args.kind = Kind::none;
        else args.rt = io.rt;
        if (args.kind == Kind::accept && !io.listens && is_without("accept_kind")) args.kind = Kind::none;
        break;
    }
    case Kind::connect:
        args.value = below(outside::scripted ? 8 : 64);
        args.time_ns = 1 + below(4);
        break;
    case Kind::blocking: {
        args.value = below(max_jobs);
        if (jobs_[args.value].id) args.kind = Kind::none;
        else {
            jobs_[args.value] = {};
            jobs_[args.value].id = new_id();
            jobs_[args.value].rt = args.rt;
            jobs_[args.value].drops = below(2) && !is_without("blocking_with");
            args.time_ns = jobs_[args.value].drops;
            args.object_id = jobs_[args.value].id;
            uint32_t arg[4] = {args.object_id, args.value, 0, 0};
            std::memcpy(word.buffer, arg, sizeof arg);
        }
        break;
    }
    default:
        break;
    }
    for (uint32_t i = 0; i < args.count; i++) {
        choose_target(args.targets[i], r, args.count > 1 && is_without("mixed_groups"));
    }
    if (args.count) args.rt = uint8_t(runtime_of(args));
    args.rt_id = rts_[args.rt].id;
}

// ---- objects ----

// A send or a receive that does not wait: EAGAIN is the answer where a first call would have to wait.
void Program::try_channel(Channel &channel, uint32_t c) {
    if (channel.loose) return;
    Word word = {};
    word.args.kind = below(2) ? Kind::send : Kind::recv;
    word.args.rt = channel.rt;
    word.args.object = uint8_t(c);
    word.args.object_id = channel.id;
    word.args.handle = channel.handle;
    word.args.value = ++last_item_;
    std::memset(word.buffer, 0x5a, sizeof word.buffer);
    std::memcpy(word.buffer, &word.args.value, sizeof word.args.value);
    in_call_ = true;
    word.result = word.args.kind == Kind::send ? zyntax_channel_try_send(channel.handle, word.buffer)
                                               : zyntax_channel_try_recv(channel.handle, word.buffer);
    in_call_ = false;
    TRACE("try to %s on channel %u: %d", name_of(word.args.kind), c, int(word.result));
    check_channel_call(word, nullptr, word.result == ZYNTAX_EAGAIN ? POLL_PENDING : POLL_READY, false);
}

void Program::act_on_channels() {
    uint32_t c = below(max_channels), what = below(8);
    Channel &channel = channels_[c];
    if (!channel.id) {
        uint32_t r = any_runtime();
        if (r == max_runtimes || (rts_[r].driving && r != inner())) return;
        static constexpr uint32_t sizes[] = {4, 0, 1, 8, 24};
        uint32_t capacity = 1 + below(4), size = sizes[below(5)];
        uint64_t failures = rts_[r].heap.failures;
        in_call_ = true;
        zyntax_channel *handle = nullptr;
        int32_t error = zyntax_channel_create(rts_[r].rt, capacity, size, &handle);
        in_call_ = false;
        TRACE("channel %u of %u on %u: %d", c, capacity, r, error);
        if (rts_[r].refuses)
            expect(error == ZYNTAX_ECANCELED, "open_ending", "nothing new while it is being destroyed");
        else if (error && !rts_[r].ending)
            expect(error == ZYNTAX_ENOMEM && failures != rts_[r].heap.failures, "enomem", "channel_create");
        if (error == 0) {
            channel = {};
            channel.id = new_id();
            channel.handle = handle;
            channel.rt = uint8_t(r);
            channel.capacity = capacity;
            channel.item_size = size;
            channel.loose = moods_.leaf && below(2);
        }
        return;
    }
    if ((rts_[channel.rt].driving && channel.rt != inner()) || rts_[channel.rt].ending) return;
    if (what == 0) {
        TRACE("close channel %u", c);
        in_call_ = true;
        expect(zyntax_channel_close(channel.handle) == 0, "channel_close", "close gives 0");
        in_call_ = false;
        channel.closed = true;
    } else if (what == 1) {
        TRACE("destroy channel %u", c);
        in_call_ = true;
        expect(zyntax_channel_destroy(channel.handle) == 0, "channel_close", "destroy gives 0");
        in_call_ = false;
        keep_old(nullptr, nullptr, 0, channel.handle);
        channel.id = 0;
    } else if (what <= 3) {
        try_channel(channel, c);
    } else {
        host_awaits();
    }
}

void Program::open_io() {
    uint32_t r = any_runtime();
    if (r == max_runtimes || (rts_[r].driving && r != inner())) return;
    zyntax_io *io = nullptr, *other = nullptr;
    if (!outside::scripted && below(4) == 0) {
        in_call_ = true;
        int32_t error = outside::unix_pair(rts_[r].rt, &io, &other);
        in_call_ = false;
        TRACE("pair on %u: %d", r, error);
        if (rts_[r].refuses)
            expect(error == ZYNTAX_ECANCELED, "open_ending", "nothing new while it is being destroyed");
        if (error == 0) {
            new_io(io, r, false);
            new_io(other, r, false);
        }
        return;
    }
    intptr_t fd = outside::make(below(4));
    if (fd < 0) return;
    in_call_ = true;
    int32_t error = zyntax_io_open(rts_[r].rt, fd, &io);
    in_call_ = false;
    TRACE("open %d on %u: %d", int(fd), r, error);
    if (rts_[r].refuses) expect(error == ZYNTAX_ECANCELED, "open_ending", "nothing new while it is being destroyed");
    if (error) outside::close(fd);
    else new_io(io, r, false);
}

// A datagram socket, mostly with a peer.
void Program::open_udp() {
    if constexpr (!outside::scripted) {
        uint32_t r = any_runtime();
        if (r == max_runtimes || (rts_[r].driving && r != inner())) return;
        const zyntax_address local = {4, 0, 0, {127, 0, 0, 1}};
        uint32_t flags = below(4) ? 0 : ZYNTAX_LISTEN_SHARED;
        zyntax_io *io = nullptr;
        in_call_ = true;
        int32_t error = zyntax_udp_open(rts_[r].rt, below(2) ? &local : nullptr, flags, &io);
        in_call_ = false;
        TRACE("datagrams on %u: %d", r, error);
        if (rts_[r].refuses)
            expect(error == ZYNTAX_ECANCELED, "open_ending", "nothing new while it is being destroyed");
        Io *made = error ? nullptr : new_io(io, r, false);
        if (!made) return;
        made->datagrams = true;
        change_udp(*made);
    }
}

// Another peer, none, or a group.
void Program::change_udp(Io &io) {
    if constexpr (!outside::scripted) {
        zyntax_address peer = {4, 0, 0, {127, 0, 0, 1}};
        const zyntax_address group = {4, 0, 0, {239, 255, 0, uint8_t(below(3))}};
        uint32_t what = below(8);
        if (what < 5) peer.port = outside::meet(io.fd);
        if (what < 4 && !peer.port) return;
        uint16_t port = uint16_t(zyntax_tcp_port(io.handle));
        in_call_ = true;
        int32_t error = what == 7   ? zyntax_udp_member(io.handle, &group, 0, int32_t(below(2)))
                        : what == 6 ? zyntax_udp_connect(io.handle, nullptr)
                        : what < 4  ? zyntax_udp_connect(io.handle, &peer)
                                    : 0;
        in_call_ = false;
        TRACE("datagram socket %d changes, %u: %d", int(io.fd), what, error);
        if (what == 7 || !io.datagrams || io.shared) return;
        if (error == ZYNTAX_EADDRINUSE) return; // another program has taken the free port meanwhile
        expect(error == 0, "udp_connect", "a peer on this machine is taken, and left");
        expect(zyntax_tcp_port(io.handle) == port, "udp_port", "a socket keeps its port");
    }
}

void Program::listen() {
    uint32_t r = any_runtime();
    if (r == max_runtimes || (rts_[r].driving && r != inner())) return;
    zyntax_io *io = nullptr;
    if (!outside::scripted && below(3) == 0) {
        in_call_ = true;
        int32_t error = outside::unix_listen(rts_[r].rt, below(4), &io);
        in_call_ = false;
        TRACE("listen on a name on %u: %d", r, error);
        if (rts_[r].refuses)
            expect(error == ZYNTAX_ECANCELED, "open_ending", "nothing new while it is being destroyed");
        if (error == 0) new_io(io, r, true);
        return;
    }
    const Io &other = ios_[any_io()]; // on the port of another listener, sometimes
    bool again = below(4) == 3 && other.id && other.listens && !rts_[other.rt].ending &&
                 (!rts_[other.rt].driving || other.rt == inner());
    int32_t taken = again ? zyntax_tcp_port(other.handle) : 0;
    auto port = uint16_t(taken > 0 ? taken : 0);
    again = again && taken > 0; // otherwise it listens on a name
    uint32_t flags = again && below(2) ? ZYNTAX_LISTEN_SHARED : 0;
    in_call_ = true;
    int32_t error = zyntax_tcp_listen_with(rts_[r].rt, "127.0.0.1", port, flags, &io);
    in_call_ = false;
    if (again && !flags) expect(error != 0, "port_taken", "a port is taken once");
    TRACE("listen on %u: %d", r, error);
    if (rts_[r].refuses) expect(error == ZYNTAX_ECANCELED, "open_ending", "nothing new while it is being destroyed");
    if (error == 0) {
        expect(zyntax_tcp_port(io) > 0, "port", "a listener has a port");
        new_io(io, r, true);
    }
}

// A second handle for the same open file, perhaps of another runtime; or another process makes the file blocking for
// all.
void Program::share_io() {
    Io &io = ios_[any_io()];
    uint32_t r = any_runtime();
    if (!io.id || io.is_lost || r == max_runtimes || rts_[io.rt].ending || !outside::is_open(io.fd)) return;
    if (below(2)) {
        TRACE("%d is made blocking", int(io.fd));
        return outside::make_blocking(io.fd);
    }
    if (rts_[r].driving && r != inner()) return;
    intptr_t fd = outside::duplicate(io.fd);
    if (fd < 0) return;
    zyntax_io *other = nullptr;
    in_call_ = true;
    int32_t error = zyntax_io_open(rts_[r].rt, fd, &other);
    in_call_ = false;
    TRACE("%d is opened again as %d on %u: %d", int(io.fd), int(fd), r, error);
    if (error) outside::close(fd);
    else if (Io *made = new_io(other, r, io.listens)) made->shared = io.shared = true;
}

// The host closes a descriptor behind the library's back.
void Program::lose_io() {
    Io &io = ios_[any_io()];
    if (!io.id || io.is_lost || io.shared || rts_[io.rt].ending || !outside::is_open(io.fd)) return;
    TRACE("%d is closed behind its handle", int(io.fd));
    io.is_lost = true;
    outside::lose(io.fd);
}

// A handle whose descriptor's number may name another file by now touches nothing when it is closed.
void Program::close_lost(Io &io) {
    Io lost = io;
    TRACE("close of the lost %d", int(lost.fd));
    keep_old(nullptr, nullptr, 0, lost.handle);
    io.id = 0;
    bool was_open = outside::is_open(lost.fd);
    intptr_t fd = -1;
    in_call_ = true;
    int32_t error = below(2) ? zyntax_io_close(lost.handle) : zyntax_io_detach(lost.handle, &fd);
    in_call_ = false;
    expect(error == 0 || error == ZYNTAX_EBADF, "io_close", "close of a handle whose descriptor is gone");
    expect(!was_open || outside::is_open(lost.fd), "stranger", "a stale handle closes a stranger's descriptor");
}

// The addresses of a handle, as text and back, and an option.
void Program::ask_addresses(const Io &io) {
    if constexpr (!outside::scripted) {
        zyntax_address address = {}, again = {};
        char text[64];
        for (auto ask : {zyntax_io_local, zyntax_io_peer}) {
            int32_t error = ask(io.handle, &address);
            expect(error <= 0 && error != ZYNTAX_ESTALE, "address", "an address, or an error of the system");
            if (error || !address.family) continue;
            expect(zyntax_address_format(&address, text, sizeof text) > 0, "address", "an address has a text");
            bool same = zyntax_address_parse(text, &again) == 0 && std::memcmp(&address, &again, sizeof again) == 0;
            expect(same || io.shared, "address", "an address survives the way through its text");
        }
        int32_t error = zyntax_io_set(io.handle, ZYNTAX_NO_DELAY, below(2));
        expect(error <= 0 && error != ZYNTAX_ESTALE && error != ZYNTAX_EINVAL, "option", "0, or no such option here");
    }
}

// Deadlines in the past and the near future, or none.
void Program::limit_io(Io &io) {
    uint32_t directions = 1 + below(3), what = below(8);
    uint64_t deadline_ns = what < 2 ? UINT64_MAX : what == 2 ? 1 : now(io.rt) + below(20) * ms;
    uint64_t failures = rts_[io.rt].heap.failures;
    in_call_ = true;
    int32_t error = zyntax_io_deadline(io.handle, directions, deadline_ns);
    in_call_ = false;
    TRACE("deadline of %d for %u: %llu: %d", int(io.fd), directions, static_cast<unsigned long long>(deadline_ns),
          error);
    if (error) {
        expect(error == ZYNTAX_ENOMEM && failures != rts_[io.rt].heap.failures, "enomem", "io_deadline");
        return;
    }
    if (directions & 1) io.reads_until_ns = deadline_ns;
    if (directions & 2) io.writes_until_ns = deadline_ns;
}

void Program::act_on_io() {
    if (mood(moods_.share)) return is_without("losing") || below(3) ? share_io() : lose_io();
    if constexpr (!outside::scripted) {
        if (below(8) == 0) return open_udp();
    }
    if (below(3) == 0) return open_io();
    uint32_t i = any_io();
    Io &io = ios_[i];
    if (!io.id || (rts_[io.rt].driving && io.rt != inner())) return below(2) ? open_io() : listen();
    if (rts_[io.rt].ending) { // it may be closed already
        zyntax_io_close(io.handle);
        io.id = 0;
        return;
    }
    if (io.is_lost) return close_lost(io);
    if (!moods_.leaf && below(4) == 0) return limit_io(io);
    switch (below(5)) {
    case 0:
        expect(zyntax_io_fd(io.handle) == io.fd, "io_fd", "a handle keeps its descriptor");
        ask_addresses(io);
        break;
    case 1:
        if (io.datagrams) change_udp(io);
        else zyntax_tcp_shutdown(io.handle);
        break;
    case 2: {
        TRACE("detach %d", int(io.fd));
        intptr_t fd = -1;
        keep_old(nullptr, nullptr, 0, io.handle);
        io.id = 0;
        in_call_ = true;
        expect(zyntax_io_detach(io.handle, &fd) == 0 && fd == io.fd, "detach", "detach gives the descriptor back");
        in_call_ = false;
        outside::close(io.fd);
        break;
    }
    case 3:
        TRACE("close %d", int(io.fd));
        keep_old(nullptr, nullptr, 0, io.handle);
        io.id = 0;
        in_call_ = true;
        expect(zyntax_io_close(io.handle) == 0, "io_close", "close gives 0");
        in_call_ = false;
        break;
    default:
        peer();
    }
}

void Program::peer() {
    if (below(3) == 2) return outside::answer(below(16), below(4) == 3);
    Io &io = ios_[any_io()];
    if (!io.id || io.is_lost || rts_[io.rt].ending || !outside::is_open(io.fd)) return;
    auto what = static_cast<Deed>(below(uint32_t(Deed::count)));
    TRACE("peer of %d: %u", int(io.fd), unsigned(what));
    outside::deed(io.fd, what);
}

// ---- runtimes ----

void Program::post(uint32_t r) {
    for (Post &post : posts_) {
        if (post.pending || !rts_[r].rt) continue;
        post = {this, new_id(), uint8_t(r), true};
        rts_[r].posted++;
        uint64_t failures = rts_[r].heap.failures;
        in_call_ = true;
        int32_t error = zyntax_runtime_post(rts_[r].rt, run_post, &post);
        in_call_ = false;
        TRACE("post on %u: %d", r, error);
        if (error == 0) return;
        post.pending = false;
        rts_[r].posted--;
        bool no_memory = error == ZYNTAX_ENOMEM && rts_[r].heap.failures != failures;
        expect(no_memory || (error == ZYNTAX_ECANCELED && rts_[r].ending), "post", "a post is taken");
        return;
    }
}

void Program::act_on_runtime() {
    uint32_t r = any_runtime();
    if (r == max_runtimes) return;
    RuntimeModel &rt = rts_[r];
    switch (below(8)) {
    case 0:
    case 1:
    case 2:
        return post(r);
    case 3:
        TRACE("hold %u", r);
        zyntax_runtime_hold(rt.rt);
        rt.holds++;
        break;
    case 4:
    case 5:
        if (rt.holds <= 0) break;
        TRACE("release %u", r);
        rt.holds--;
        zyntax_runtime_release(rt.rt);
        break;
    case 6:
        if (below(4)) break;
        TRACE("stop %u", r);
        if (rt.stop == 0) rt.stop = 1;
        zyntax_runtime_stop(rt.rt);
        break;
    default:
        if (rt.driving && r != inner()) break;
        TRACE("backend_fd of %u", r);
        rt.host_fd = zyntax_runtime_backend_fd(rt.rt);
        rt.host_waits = rt.host_fd >= 0;
        if (rt.host_waits && !outside::scripted && below(2) && !is_without("edges"))
            rt.edges = !std::strcmp(zyntax_runtime_backend(), "epoll");
    }
}

void Program::scope_canceled(const Scope &scope) {
    for (Actor &actor : actors_) {
        if (actor.scope_id == scope.id && is_live(actor)) actor.canceled = true;
    }
}

void Program::cancel_scope(Scope &scope) {
    struct Errand {
        zyntax_scope *handle;
        int32_t error;
        static void run(void *at) {
            auto *self = static_cast<Errand *>(at);
            self->error = zyntax_scope_cancel(self->handle);
        }
    } errand{scope.handle, 1};
    TRACE("cancel scope %u", unsigned(&scope - scopes_));
    in_call_ = true;
    if (!outside::scripted && below(4) == 3) outside::on_other_thread(Errand::run, &errand);
    else Errand::run(&errand);
    in_call_ = false;
    expect(errand.error == 0 || errand.error == 1, "scope_cancel", "cancel of a scope gives 0"); // 1: no thread
    if (errand.error) return;
    scope.canceled = true;
    scope_canceled(scope);
}

void Program::act_on_scopes() {
    uint32_t s = below(max_scopes);
    Scope &scope = scopes_[s];
    uint32_t r = scope.id ? scope.rt : any_runtime();
    if (r == max_runtimes || rts_[r].ending || (rts_[r].driving && r != inner())) return;
    if (!scope.id) {
        uint64_t failures = rts_[r].heap.failures;
        zyntax_scope *handle = nullptr;
        in_call_ = true;
        int32_t error = zyntax_scope_create(rts_[r].rt, &handle);
        in_call_ = false;
        TRACE("scope %u on %u: %d", s, r, error);
        if (error) expect(error == ZYNTAX_ENOMEM && failures != rts_[r].heap.failures, "enomem", "scope_create");
        if (error) return;
        scope = {};
        scope.id = new_id();
        scope.handle = handle;
        scope.rt = uint8_t(r);
        return;
    }
    uint32_t what = below(8);
    if (what == 0) return cancel_scope(scope);
    if (what > 1) return spawn(r);
    TRACE("destroy scope %u", s);
    in_call_ = true;
    int32_t error = zyntax_scope_destroy(scope.handle);
    in_call_ = false;
    expect(error == 0, "scope_destroy", "destroy of a scope gives 0");
    scope_canceled(scope);
    scope.id = 0;
    expect(zyntax_scope_destroy(scope.handle) == ZYNTAX_ESTALE, "stale", "scope_destroy of a stale handle");
}

// Whether a wait is on a scope.
bool Program::choose_scope(Args &args) {
    const Scope &scope = scopes_[args.object = uint8_t(below(max_scopes))];
    if (!scope.id || (rts_[scope.rt].driving && scope.rt != inner())) return false;
    args.kind = below(2) ? Kind::scope_next : Kind::scope_join;
    args.object_id = scope.id;
    args.handle = scope.handle;
    args.rt = scope.rt;
    args.rt_id = rts_[scope.rt].id;
    return true;
}

void Program::act_on_states() {
    if (moods_.scopes && below(4)) return act_on_scopes();
    auto &state = states_[below(8)];
    if (state.at) {
        if (rts_[state.rt].driving && state.rt != inner()) return;
        for (uint32_t i = 1; i < state.size; i++)
            expect(static_cast<unsigned char *>(state.at)[i] == 0, "state", "state memory is nobody else's");
        zyntax_state_free(rts_[state.rt].rt, state.at, state.size);
        state.at = nullptr;
        return;
    }
    uint32_t r = any_runtime();
    if (r == max_runtimes || (rts_[r].driving && r != inner())) return;
    state.rt = uint8_t(r);
    state.size = 1 + below(2000);
    state.at = zyntax_state_alloc(rts_[r].rt, state.size);
    if (!state.at) return;
    for (uint32_t i = 0; i < state.size; i++)
        expect(static_cast<unsigned char *>(state.at)[i] == 0, "state", "state memory is zeroed");
    static_cast<unsigned char *>(state.at)[0] = 1;
}

void Program::look_inside() {
    uint32_t r = any_runtime();
    if (r == max_runtimes || (rts_[r].driving && r != inner())) return;
    if (below(4) == 3) {
        struct Count {
            uint32_t n;
            static void visit(void *self, const zyntax_task_info *info) {
                if (info->task) static_cast<Count *>(self)->n++;
            }
        } count{0};
        int32_t n = zyntax_runtime_dump(rts_[r].rt, Count::visit, &count);
        expect(n == int32_t(count.n), "dump", "dump visits as many as it says");
        return;
    }
    zyntax_runtime_stats stats = {};
    stats.size = sizeof stats;
    zyntax_runtime_get_stats(rts_[r].rt, &stats);
    expect(stats.bytes_reserved >= stats.bytes_in_use, "stats", "not more is in use than was reserved");
    zyntax_runtime_next_timeout_ns(rts_[r].rt);
    expect(zyntax_now_ns(rts_[r].rt) <= now(r), "clock", "the runtime's time is the clock's");
    Waker waker;
    zyntax_runtime *current = zyntax_current_runtime();
    for (uint32_t i = stack_size_; i-- > 0;) { // a callback of a runtime that a poll of another drives
        uint8_t polled = rts_[stack_[i]].current;
        if (!polled) continue;
        actors_[polled - 1].took_waker = true;
        expect(current == rts_[stack_[i]].rt, "current", "the innermost poll's runtime is the current one");
        break;
    }
    expect((zyntax_current_waker(&waker) == 0) == (current != nullptr), "current", "a waker when something is polled");
}

void Program::inject() {
    uint32_t r = any_runtime();
    if (r == max_runtimes) return;
    switch (below(4)) {
    case 0:
        if (!mood(moods_.oom)) break;
        rts_[r].heap.fail_in = 1 + below(4);
        rts_[r].heap.fail_run = below(2) ? 1 + below(3) : 200;
        TRACE("memory of %u runs out, %u times after %u", r, rts_[r].heap.fail_run.load(), rts_[r].heap.fail_in.load());
        break;
    case 1:
        outside::refuse_descriptors(below(2));
        break;
    case 2:
        outside::refuse_threads(below(2));
        break;
    default:
        outside::fail_next(below(4));
    }
}

// A runtime is driven inside a poll of another runtime; or inside a poll of itself, which is refused.
void Program::nest() {
    uint32_t r = any_runtime();
    if (r == max_runtimes || depth_ > 3) return;
    if (rts_[r].ending) return;
    if (below(8) == 7 && !rts_[r].driving && stack_size_) return destroy_runtime(r);
    bool blocks = below(4) == 3;
    drive(r, blocks ? 3 : 0, 0, 0);
}

// ---- stale and mixed-up ops, handles and wakers ----

void Program::use_stale() {
    static constexpr zyntax_op made_up[] = {1, 0x8000000000000001, UINT64_MAX, 0x0010000000000000};
    Waker waker = old_wakers_[below(max_old)];
    if (waker.wake) {
        waker.wake(waker.data);
        zyntax_wake_from_signal(&waker);
        for (Actor &actor : actors_) { // it may be the waker of a live task
            if (actor.waker.data == waker.data && is_live(actor) && !actor.canceled) actor.must_poll = true;
        }
    }
    zyntax_op op = below(2) ? old_ops_[below(max_old)] : made_up[below(4)];
    for (uint32_t i = 0; i < regs_used_; i++) {
        if (regs_[i].id && regs_[i].op == op) return; // not stale at all
    }
    uint32_t r = any_runtime();
    void *handle = below(2) ? old_handles_[below(max_old)] : reinterpret_cast<void *>(uintptr_t(made_up[below(4)]));
    if (r == max_runtimes || (rts_[r].driving && r != inner())) return;
    for (Channel &channel : channels_) {
        if (channel.id && channel.handle == handle) return;
    }
    for (Io &io : ios_) {
        if (io.id && io.handle == handle) return;
    }
    constexpr uint32_t calls = outside::scripted ? 3 : 5; // of await points
    Actor *polled = polled_actor();
    if (polled && spent_at_most(*polled) + calls > rts_[polled->rt].await_budget) return;
    if (polled) polled->spent_most += calls;
    auto *channel = static_cast<zyntax_channel *>(handle);
    auto *io = static_cast<zyntax_io *>(handle);
    zyntax_op copy = op;
    int64_t result = 1;
    char byte[32];
    Waker own;
    Wakee wakee = host_wakee(&own);
    in_call_ = true;
    zyntax_op_cancel(&copy);
    expect(copy == 0, "op_zero", "a cancelled op is zero");
    expect(zyntax_channel_close(channel) == ZYNTAX_ESTALE, "stale", "channel_close of a stale handle");
    expect(zyntax_channel_destroy(channel) == ZYNTAX_ESTALE, "stale", "channel_destroy of a stale handle");
    expect(zyntax_io_close(io) == ZYNTAX_ESTALE, "stale", "io_close of a stale handle");
    expect(zyntax_io_fd(io) == -1, "stale", "io_fd of a stale handle");
    expect(zyntax_tcp_port(io) == ZYNTAX_ESTALE, "stale", "tcp_port of a stale handle");
    expect(zyntax_tcp_shutdown(io) == ZYNTAX_ESTALE, "stale", "tcp_shutdown of a stale handle");
    copy = op;
    expect(zyntax_channel_recv(channel, &copy, byte, &own, &result) == POLL_READY && result < 0, "stale", "recv");
    copy = op;
    expect(zyntax_io_read(io, &copy, byte, 1, &own, &result) == POLL_READY && result < 0, "stale", "io_read");
    copy = op;
    if constexpr (!outside::scripted) {
        expect(zyntax_udp_connect(io, nullptr) == ZYNTAX_ESTALE, "stale", "udp_connect of a stale handle");
        copy = op;
        expect(zyntax_udp_recv(io, &copy, byte, 1, nullptr, &own, &result) == POLL_READY && result < 0, "stale",
               "udp_recv");
        copy = op;
        expect(zyntax_udp_send(io, &copy, byte, 1, nullptr, &own, &result) == POLL_READY && result < 0, "stale",
               "udp_send");
        copy = op;
    }
    if (op) expect(zyntax_sleep(rts_[r].rt, &copy, 1000, &own) == POLL_READY, "stale_op", "a sleep with a stale op");
    in_call_ = false;
    end_waker(wakee, HostWaker::ended);
}

// Ops change places, or are used for another purpose.
void Program::disturb_words(Actor &actor) {
    Word &a = actor.words[below(max_words)], &b = actor.words[below(max_words)];
    if (&a == &b || a.args.kind == Kind::none || b.args.kind == Kind::none) return;
    bool jobs = a.args.kind == Kind::blocking || b.args.kind == Kind::blocking;
    bool groups = (a.args.kind == Kind::join_all || a.args.kind == Kind::select || a.args.kind == Kind::connect ||
                   a.args.kind == Kind::join_until || a.args.kind == Kind::sleep || a.args.kind == Kind::sleep_until) &&
                  same_point(a.args, b.args);
    auto is_group = [](Kind kind) { return kind >= Kind::join_until && kind <= Kind::select; };
    if (is_without("swapping_groups") && is_group(a.args.kind) && is_group(b.args.kind)) return;
    if (jobs || groups) return; // their targets cannot be told
    TRACE("ops of %s and %s change places", name_of(a.args.kind), name_of(b.args.kind));
    Word copy = a;
    a.op = b.op;
    a.reg = b.reg;
    a.reg_id = b.reg_id;
    b.op = copy.op;
    b.reg = copy.reg;
    b.reg_id = copy.reg_id;
    if (below(2)) { // and one word is a copy
        if (Reg *reg = reg_of(b)) reg->forgotten = true;
        b.op = a.op;
        b.reg = a.reg;
        b.reg_id = a.reg_id;
    }
}

// ---- other threads ----

// The actions of any thread, while the loop waits.
void Program::remote_action(bool other_thread) {
    struct Errand {
        Program *self;
        uint32_t what, actor, r;
        static void run(void *at) {
            auto &errand = *static_cast<Errand *>(at);
            Program &self = *errand.self;
            if (errand.what == 0) self.wake(errand.actor);
            else if (errand.what == 1) self.cancel(errand.actor);
            else if (errand.what == 2) self.post(errand.r);
            else self.act_on_runtime();
        }
    };
    Errand errand{this, below(8), any_actor(), any_runtime()};
    if (errand.r == max_runtimes) return;
    if (errand.what > 3) return peer();
    if (errand.what == 3 && other_thread) errand.what = 2;
    if (errand.what == 1 && !other_thread) errand.what = 0;
    TRACE("meanwhile%s:", other_thread ? ", in another thread" : "");
    if (other_thread) outside::on_other_thread(Errand::run, &errand);
    else Errand::run(&errand);
}

// ---- all together ----

void Program::side_action() {
    if (depth_ > 8 || choices_->over()) return;
    steps_++;
    uint8_t what = choices_->byte();
    if (what >= 252) interrupt(any_actor());
    else action(what % 24);
}

void Program::action(uint32_t what) {
    uint32_t r;
    switch (what) {
    case 0:
    case 1:
    case 2:
        return wake(any_actor());
    case 3:
    case 4:
        r = any_runtime();
        if (r < max_runtimes && (!rts_[r].driving || r == inner())) spawn(r);
        return;
    case 5:
        return cancel(any_actor());
    case 6:
    case 7:
    case 8:
        return act_on_channels();
    case 9:
    case 10:
        return act_on_io();
    case 11:
        return peer();
    case 12:
        return act_on_runtime();
    case 13:
    case 14:
    case 15:
    case 16:
        return host_awaits();
    case 17:
        return act_on_states();
    case 18:
        return look_inside();
    case 19:
        return mood(moods_.stale) ? use_stale() : void();
    case 20:
        return mood(moods_.nest) ? nest() : void();
    case 21:
        return inject();
    case 22:
        return outside::pass(uint64_t{below(256)} * 8000);
    default:
        if (moods_.leaf == 0) return;
        if (below(4) == 0) return use_no_task();
        if (below(2)) return ask_from_elsewhere(nullptr);
        Actor &actor = actors_[any_actor()];
        cancel_leaf(actor, actor.leaves[below(max_leaves)]);
    }
}

} // namespace random_test
