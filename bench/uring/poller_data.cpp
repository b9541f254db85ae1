// Limits of the experiment: one runtime in a process, and 16,384 descriptors. A task that leaves received bytes unread
// keeps buffers that others may need. A failed send is not reported, and zyntax_tcp_shutdown overtakes written bytes.
#include "../../platform/io_poller.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace zyntax {

namespace {

constexpr uint32_t descriptors = 16'384, buffers = 256, buffer_size = 4096;
constexpr uint16_t no_buffer = 0xFFFF;

// The kind of a completion: the two high bits of the lower half of its 64 bits. The descriptor is below, the generation
// above.
enum What : uint32_t { of_event = 0, of_send = 1u << 30, of_rest = 2u << 30, of_nothing = 3u << 30 };
constexpr uint32_t what_mask = 3u << 30;

// A registered descriptor.
struct Endpoint {
    uintptr_t word; // 0: the eventfd, or not registered
    uint32_t generation;
    bool is_connection;
    bool is_stuck = false;                        // the kernel had no room: no writes until the rest is sent
    bool wants_write = false;                     // a write had no room
    int32_t end = ZYNTAX_EAGAIN;                  // the result of reads behind the received bytes
    uint16_t first = no_buffer, last = no_buffer; // received buffers, linked by `next`
    uint16_t taken = 0;                           // bytes of the first one that were read
    uint16_t to_send = no_buffer;
    uint16_t sending = 0; // bytes in it
};

// A list that needs no memory.
template <uint32_t capacity> struct List {
    uint32_t count;
    uint32_t items[capacity];
    void push(uint32_t item) { items[count++ % capacity] = item; }
    uint32_t pop() { return items[--count]; }
};

struct State {
    Endpoint endpoints[descriptors];
    List<buffers> unused;      // buffers to send from: the last one first, as the cache has it
    List<descriptors> dirty;   // endpoints with bytes to send
    List<descriptors> starved; // their receives have found no buffer
    List<descriptors> roomy;   // to be reported as writable
    uint16_t lengths[buffers]; // of received buffers
    uint16_t next[buffers];
    uint16_t provided_tail;
    bool is_awaited; // a write waits for the next sends, which have no completion
    alignas(4096) io_uring_buf provided[buffers];
    alignas(4096) char received[buffers][buffer_size];
    alignas(4096) char sent[buffers][buffer_size];
};

State *state;
Uring *uring;

void provide(uint16_t buffer) {
    io_uring_buf &entry = state->provided[state->provided_tail++ % buffers];
    entry.addr = reinterpret_cast<uintptr_t>(state->received[buffer]);
    entry.len = buffer_size;
    entry.bid = buffer;
    auto *ring = reinterpret_cast<io_uring_buf_ring *>(state->provided);
    __atomic_store_n(&ring->tail, state->provided_tail, __ATOMIC_RELEASE);
}

uint64_t name_of(uint32_t fd, What what) { return uint64_t{state->endpoints[fd].generation} << 32 | what | fd; }

io_uring_sqe *submit(uint8_t opcode, uint32_t fd, What what) {
    io_uring_sqe *submission = uring->next();
    submission->opcode = opcode;
    submission->fd = static_cast<int>(fd);
    submission->user_data = name_of(fd, what);
    return submission;
}

void arm(uint32_t fd) {
    if (!state->endpoints[fd].is_connection) {
        io_uring_sqe *poll = submit(IORING_OP_POLL_ADD, fd, of_event);
        poll->len = IORING_POLL_ADD_MULTI;
        poll->poll32_events = POLLIN | POLLOUT | POLLRDHUP;
        return;
    }
    io_uring_sqe *receive = submit(IORING_OP_RECV, fd, of_event);
    receive->ioprio = IORING_RECV_MULTISHOT | IORING_RECVSEND_POLL_FIRST;
    receive->flags = IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
}

// Gives the ring a file of its own under the same number, or takes it away: sends need not look it up.
void set_file(uint32_t fd, int file) {
    io_uring_files_update update = {fd, 0, reinterpret_cast<uintptr_t>(&file)};
    syscall(__NR_io_uring_register, uring->fd(), IORING_REGISTER_FILES_UPDATE, &update, 1);
}

// ---- sends ----

// With MSG_DONTWAIT the kernel is done with the buffer when `enter` returns, and completes failures only.
void push_send(uint32_t fd, int flag, What what) {
    const Endpoint &endpoint = state->endpoints[fd];
    io_uring_sqe *send = submit(IORING_OP_SEND, fd, what);
    send->addr = reinterpret_cast<uintptr_t>(state->sent[endpoint.to_send]);
    send->len = endpoint.sending;
    send->msg_flags = static_cast<uint32_t>(MSG_NOSIGNAL | MSG_WAITALL | flag);
    send->flags = what == of_send ? IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS : IOSQE_FIXED_FILE;
}

void end_send(uint32_t fd) {
    Endpoint &endpoint = state->endpoints[fd];
    state->unused.push(endpoint.to_send);
    endpoint.to_send = no_buffer;
    endpoint.sending = 0;
    endpoint.is_stuck = false;
    if (endpoint.wants_write) state->roomy.push(fd);
    endpoint.wants_write = false;
}

// The kernel takes the rest when there is room. The experiment does not end a connection whose send has failed.
void keep_rest(uint32_t fd, int32_t sent) {
    Endpoint &endpoint = state->endpoints[fd];
    if (sent < 0 && sent != -EAGAIN) return;
    endpoint.is_stuck = true;
    uint32_t done = sent > 0 ? static_cast<uint32_t>(sent) : 0;
    endpoint.sending = static_cast<uint16_t>(endpoint.sending - done);
    char *bytes = state->sent[endpoint.to_send];
    memmove(bytes, bytes + done, endpoint.sending);
    push_send(fd, 0, of_rest);
}

// Submits all sends together with the other entries, and waits.
int32_t enter(uint32_t completions, int64_t timeout_ns) {
    for (uint32_t i = 0; i < state->dirty.count; i++) push_send(state->dirty.items[i], MSG_DONTWAIT, of_send);
    uint32_t before = uring->end();
    int32_t error = uring->enter(completions, timeout_ns);
    state->is_awaited = false;
    if (!state->dirty.count) return error;
    for (uint32_t i = before; i != uring->end(); i++) {
        const io_uring_cqe &completion = uring->at(i);
        auto fd = static_cast<uint32_t>(completion.user_data) & ~what_mask;
        if (completion.user_data == name_of(fd, of_send)) keep_rest(fd, completion.res);
    }
    while (state->dirty.count) {
        uint32_t fd = state->dirty.pop();
        if (!state->endpoints[fd].is_stuck) end_send(fd);
    }
    return error;
}

int64_t write_to(uint32_t fd, const void *from, size_t len) {
    Endpoint &endpoint = state->endpoints[fd];
    if (endpoint.end < 0 && endpoint.end != ZYNTAX_EAGAIN) return endpoint.end;
    size_t room = endpoint.is_stuck ? 0 : buffer_size - endpoint.sending;
    if (!room) {
        endpoint.wants_write = true;
        if (!endpoint.is_stuck) state->is_awaited = true;
        return ZYNTAX_EAGAIN;
    }
    if (!endpoint.sending) {
        if (!state->unused.count) enter(0, 0);
        if (!state->unused.count) os::panic("the experiment has too few buffers\n");
        endpoint.to_send = static_cast<uint16_t>(state->unused.pop());
        state->dirty.push(fd);
    }
    size_t n = len < room ? len : room;
    memcpy(state->sent[endpoint.to_send] + endpoint.sending, from, n);
    endpoint.sending = static_cast<uint16_t>(endpoint.sending + n);
    return static_cast<int64_t>(n);
}

// ---- receives ----

uint32_t received(const io_uring_cqe &completion, uint32_t fd) {
    Endpoint &endpoint = state->endpoints[fd];
    if (completion.res > 0) {
        auto buffer = static_cast<uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
        state->lengths[buffer] = static_cast<uint16_t>(completion.res);
        state->next[buffer] = no_buffer;
        (endpoint.first == no_buffer ? endpoint.first : state->next[endpoint.last]) = buffer;
        endpoint.last = buffer;
        if (!(completion.flags & IORING_CQE_F_MORE)) arm(fd);
        return readable;
    }
    if (completion.res == -ENOBUFS) {
        state->starved.push(fd);
        return 0;
    }
    endpoint.end = completion.res ? os::code_of(-completion.res) : 0;
    return completion.res ? everything : readable | read_closed;
}

int64_t read_from(uint32_t fd, char *to, size_t len) {
    Endpoint &endpoint = state->endpoints[fd];
    if (endpoint.first == no_buffer) return endpoint.end;
    size_t done = 0;
    while (done < len && endpoint.first != no_buffer) {
        uint16_t buffer = endpoint.first;
        size_t left = state->lengths[buffer] - size_t{endpoint.taken};
        size_t n = len - done < left ? len - done : left;
        memcpy(to + done, state->received[buffer] + endpoint.taken, n);
        done += n;
        endpoint.taken = static_cast<uint16_t>(endpoint.taken + n);
        if (n < left) break;
        endpoint.taken = 0;
        endpoint.first = state->next[buffer];
        provide(buffer);
    }
    return static_cast<int64_t>(done);
}

uint32_t ready_of(const io_uring_cqe &completion) {
    auto low = static_cast<uint32_t>(completion.user_data);
    uint32_t fd = low & ~what_mask, what = low & what_mask;
    if (state->endpoints[fd].generation != completion.user_data >> 32) {
        if (what == of_event && (completion.flags & IORING_CQE_F_BUFFER))
            provide(static_cast<uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT));
        return 0;
    }
    if (what == of_rest) end_send(fd);
    if (what != of_event) return 0;
    if (state->endpoints[fd].is_connection) return received(completion, fd);
    if (!(completion.flags & IORING_CQE_F_MORE)) arm(fd);
    return os::to_readiness(static_cast<short>(completion.res));
}

} // namespace

int32_t DataPoller::open(Memory &) {
    int32_t error = uring_.open(4096, 16'384);
    if (error) return error;
    void *memory = mmap(nullptr, sizeof(State), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return ZYNTAX_ENOMEM;
    state = static_cast<State *>(memory);
    uring = &uring_;
    io_uring_buf_reg ring = {};
    ring.ring_addr = reinterpret_cast<uintptr_t>(state->provided);
    ring.ring_entries = buffers;
    if (syscall(__NR_io_uring_register, uring_.fd(), IORING_REGISTER_PBUF_RING, &ring, 1) < 0) return os::last_error();
    io_uring_rsrc_register files = {descriptors, IORING_RSRC_REGISTER_SPARSE, 0, 0, 0};
    if (syscall(__NR_io_uring_register, uring_.fd(), IORING_REGISTER_FILES2, &files, sizeof files) < 0)
        return os::last_error();
    for (uint16_t i = buffers; i-- > 0;) {
        provide(i);
        state->unused.push(i);
    }
    wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    arm(static_cast<uint32_t>(wake_));
    return 0;
}

void DataPoller::close(bool) {
    uring_.close();
    os::close(wake_);
    munmap(state, sizeof(State));
}

int32_t DataPoller::add(intptr_t number, uintptr_t word, void **) {
    auto fd = static_cast<uint32_t>(number);
    if (fd >= descriptors) return ZYNTAX_EMFILE;
    sockaddr_storage peer;
    socklen_t size = sizeof peer;
    bool is_connection = getpeername(static_cast<int>(fd), reinterpret_cast<sockaddr *>(&peer), &size) == 0;
    Endpoint &endpoint = state->endpoints[fd];
    endpoint = {word, endpoint.generation, is_connection};
    if (is_connection) set_file(fd, static_cast<int>(fd));
    arm(fd);
    return 0;
}

bool DataPoller::remove(intptr_t number, void *) {
    auto fd = static_cast<uint32_t>(number);
    Endpoint &endpoint = state->endpoints[fd];
    enter(0, 0); // the written bytes are sent
    io_uring_sqe *cancel = submit(IORING_OP_ASYNC_CANCEL, fd, of_nothing);
    cancel->fd = -1;
    cancel->flags = IOSQE_CQE_SKIP_SUCCESS;
    cancel->addr = name_of(fd, of_event);
    endpoint.word = 0;
    endpoint.generation++;
    for (uint16_t buffer = endpoint.first; buffer != no_buffer; buffer = state->next[buffer]) provide(buffer);
    enter(0, 0);
    if (endpoint.is_connection) set_file(fd, -1);
    return true;
}

int32_t DataPoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    bool is_over = timeout_ns == 0 || uring_.first() != uring_.end() || state->roomy.count || state->is_awaited;
    for (; state->starved.count; is_over = true) arm(state->starved.pop());
    int32_t error = enter(is_over ? 0 : 1, timeout_ns);
    if (error) return error;
    uint32_t count = 0, index = uring_.first();
    for (uint32_t end = uring_.end(); index != end && count < max; index++) {
        uint32_t ready = ready_of(uring_.at(index));
        auto fd = static_cast<uint32_t>(uring_.at(index).user_data) & ~what_mask;
        if (ready && state->endpoints[fd].word) events[count++] = {state->endpoints[fd].word, ready};
    }
    uring_.free_until(index);
    while (count < max && state->roomy.count) {
        events[count] = {state->endpoints[state->roomy.pop()].word, writable};
        count += events[count].word != 0;
    }
    return static_cast<int32_t>(count);
}

void DataPoller::wake() {
    const uint64_t one = 1;
    while (::write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

} // namespace zyntax

// The linker puts these in the place of os::read and os::write, --wrap of GNU ld: see bench/uring/meson.build.
using zyntax::os::Kind;
extern "C" int64_t real_read(intptr_t, Kind *, void *, size_t) __asm__("__real__ZN6zyntax2os4readElPNS0_4KindEPvm");
extern "C" int64_t wrap_read(intptr_t, Kind *, void *, size_t) __asm__("__wrap__ZN6zyntax2os4readElPNS0_4KindEPvm");
extern "C" int64_t real_write(intptr_t, Kind *, const void *,
                              size_t) __asm__("__real__ZN6zyntax2os5writeElPNS0_4KindEPKvm");
extern "C" int64_t wrap_write(intptr_t, Kind *, const void *,
                              size_t) __asm__("__wrap__ZN6zyntax2os5writeElPNS0_4KindEPKvm");

int64_t wrap_read(intptr_t fd, Kind *kind, void *buf, size_t len) {
    if (!zyntax::state->endpoints[fd].is_connection) return real_read(fd, kind, buf, len);
    return zyntax::read_from(static_cast<uint32_t>(fd), static_cast<char *>(buf), len);
}

int64_t wrap_write(intptr_t fd, Kind *kind, const void *buf, size_t len) {
    if (!zyntax::state->endpoints[fd].is_connection) return real_write(fd, kind, buf, len);
    return zyntax::write_to(static_cast<uint32_t>(fd), buf, len);
}
