// Readiness from a completion port. Windows reports completed operations. The driver below Winsock (AFD) has an
// operation "poll", from which select is made: it completes when one of the requested events is there. wepoll and mio
// use it in the same way. A socket has at most one pending poll, and only while an operation waits for the socket.
//
// The kernel owns the record of a poll until the poll's packet arrives, even if the socket is closed. The packet of the
// last poll frees the record, and close waits for all packets. Packets carry the record, never the number of the
// socket, which the system reuses at once.
#include "io_poller.h"

#ifdef ZYNTAX_POLLER_IS_IOCP

#include "win32.h"

#include <assert.h>
#include <winternl.h>

namespace zyntax {

namespace {

// The driver's interface, unchanged since Windows 2000.
struct DriverPoll {
    int64_t timeout; // in 100 ns
    ULONG count;
    ULONG exclusive;
    HANDLE socket; // the first and only one of the list
    ULONG events;
    NTSTATUS status;
};

constexpr ULONG ioctl_poll = 0x00012024;

enum : ULONG {
    poll_receive = 0x001,
    poll_receive_expedited = 0x002,
    poll_send = 0x004,
    poll_disconnect = 0x008, // the peer's stream has ended
    poll_abort = 0x010,
    poll_local_close = 0x020,
    poll_accept = 0x080,
    poll_connect_fail = 0x100
};

constexpr NTSTATUS cancelled = static_cast<NTSTATUS>(0xC0000120);
constexpr NTSTATUS invalid_handle = static_cast<NTSTATUS>(0xC0000008);

bool is_error(NTSTATUS status) { return static_cast<uint32_t>(status) >> 30 == 3; }

constexpr uint32_t packets = 64; // taken in one call

// The longest sleep in the kernel while a poll could not be submitted, and the longest sleep at all: a wake whose
// packet could not be posted is seen after it. Both calls fail only when the kernel has no memory.
constexpr uint64_t retry_ns = 50'000'000;
constexpr uint64_t longest_ns = 500'000'000;

ULONG to_poll_events(uint32_t directions, bool knows_of_urgent) {
    ULONG events = poll_abort | poll_connect_fail | poll_local_close;
    if (directions & readable) events |= poll_receive | poll_accept | poll_disconnect;
    if ((directions & readable) && !knows_of_urgent) events |= poll_receive_expedited;
    if (directions & writable) events |= poll_send;
    return events;
}

uint32_t to_readiness(ULONG events) {
    uint32_t ready = 0;
    if (events & (poll_receive | poll_accept)) ready |= readable;
    if (events & poll_receive_expedited) ready |= readable | urgent;
    if (events & poll_send) ready |= writable;
    if (events & poll_disconnect) ready |= readable | read_closed;
    if (events & (poll_abort | poll_connect_fail | poll_local_close)) ready |= everything;
    return ready;
}

// The socket that the driver knows, below all layered providers; INVALID_SOCKET: there is none. Some providers refuse
// to name the lowest socket, but name the socket that select would use.
SOCKET base_of(SOCKET socket) {
    constexpr DWORD questions[] = {SIO_BASE_HANDLE, SIO_BSP_HANDLE_POLL, SIO_BSP_HANDLE_SELECT};
    constexpr int deepest = 8;
    for (int depth = 0; depth < deepest; depth++) {
        SOCKET below = INVALID_SOCKET;
        for (DWORD question : questions) {
            DWORD size;
            SOCKET answer;
            if (WSAIoctl(socket, question, nullptr, 0, &answer, sizeof answer, &size, nullptr, nullptr) != 0) continue;
            if (question == SIO_BASE_HANDLE) return answer;
            if (answer != socket) below = answer;
            if (below != INVALID_SOCKET) break;
        }
        if (below == INVALID_SOCKET) break;
        socket = below;
    }
    return INVALID_SOCKET;
}

// Opens the driver. The text after its name is free, but must not be empty.
NTSTATUS open_driver(HANDLE *driver) {
    wchar_t path[] = L"\\Device\\Afd\\Zyntax";
    UNICODE_STRING name = {};
    name.Buffer = path;
    name.Length = sizeof path - sizeof path[0];
    name.MaximumLength = sizeof path;
    OBJECT_ATTRIBUTES attributes = {};
    attributes.Length = sizeof attributes;
    attributes.ObjectName = &name;
    IO_STATUS_BLOCK status = {};
    return NtCreateFile(driver, SYNCHRONIZE, &attributes, &status, nullptr, 0, FILE_SHARE_READ | FILE_SHARE_WRITE,
                        FILE_OPEN, 0, nullptr, 0);
}

} // namespace

struct IocpPoller::Socket {
    IO_STATUS_BLOCK status; // while `pending`, the kernel owns this field and the next
    DriverPoll poll;
    SOCKET base;
    uintptr_t word;
    uint32_t wanted;      // directions to report. Set by want, cleared by their report
    uint32_t asked;       // directions of the last poll. Set by submit
    bool pending;         // a packet will arrive. Set when a poll is submitted, cleared by its packet
    bool removed;         // set by remove, cleared when add reuses the record
    bool changed;         // in the list of changes. Set by change, cleared by submit_changes
    bool knows_of_urgent; // urgent was reported, and lasts. Set by its report, cleared by add
    Socket *next_changed; // or the next free record
    Socket *next_record;

    // A poll that has ended before the call returns has a packet too, unless it failed.
    NTSTATUS submit(HANDLE driver) {
        ULONG events = to_poll_events(wanted, knows_of_urgent);
        poll = {INT64_MAX, 1, FALSE, reinterpret_cast<HANDLE>(base), events, 0};
        NTSTATUS result = NtDeviceIoControlFile(driver, nullptr, nullptr, this, &status, ioctl_poll, &poll, sizeof poll,
                                                &poll, sizeof poll);
        asked = wanted;
        pending = !is_error(result);
        return result;
    }

    // The kernel knows a poll by the beginning of OVERLAPPED. A poll that has ended cannot be canceled, and need not
    // be.
    void cancel(HANDLE driver) { CancelIoEx(driver, reinterpret_cast<OVERLAPPED *>(&status)); }
};

int32_t IocpPoller::open(Memory &memory) {
    assert(!port_ && !polls_);
    memory_ = &memory;
    WSADATA unused;
    int failed = WSAStartup(MAKEWORD(2, 2), &unused); // counts; close takes it back
    if (failed) return os::code_of(failed);
    int32_t error = 0;
    port_ = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
    if (!port_) error = os::last_error();
    NTSTATUS status = port_ ? open_driver(&driver_) : 0;
    if (is_error(status)) error = os::code_of(static_cast<int>(RtlNtStatusToDosError(status)));
    if (!error && !CreateIoCompletionPort(driver_, port_, 0, 0)) error = os::last_error();
    if (error) close();
    else SetFileCompletionNotificationModes(driver_, FILE_SKIP_SET_EVENT_ON_HANDLE); // no thread waits on the handle
    return error;
}

// There is no fork, and so no copy.
void IocpPoller::close(bool) {
    if (polls_) CancelIoEx(driver_, nullptr);
    while (polls_) {
        OVERLAPPED_ENTRY entries[packets];
        ULONG n = 0;
        GetQueuedCompletionStatusEx(port_, entries, packets, &n, INFINITE, FALSE);
        for (ULONG i = 0; i < n; i++) polls_ -= entries[i].lpOverlapped != nullptr;
    }
    while (Socket *socket = records_) {
        records_ = socket->next_record;
        memory_->give(socket, sizeof(Socket));
    }
    if (driver_) CloseHandle(driver_);
    if (port_) CloseHandle(port_);
    WSACleanup();
    port_ = driver_ = nullptr;
    free_ = changed_ = nullptr;
}

// ---- registrations ----

bool IocpPoller::reserve() {
    if (free_) return true;
    free_ = static_cast<Socket *>(memory_->take(sizeof(Socket)));
    if (!free_) return false;
    free_->next_changed = nullptr;
    free_->next_record = records_;
    records_ = free_;
    return true;
}

// Frees a record that was removed, unless the kernel or the list of changes still has it.
void IocpPoller::retire(Socket *socket) {
    assert(socket->removed);
    if (socket->pending || socket->changed) return;
    socket->next_changed = free_;
    free_ = socket;
}

int32_t IocpPoller::add(intptr_t fd, uintptr_t word, void **registration) {
    assert(word);
    SOCKET base = base_of(static_cast<SOCKET>(fd));
    if (base == INVALID_SOCKET) return GetLastError() == WSAENOTSOCK ? ZYNTAX_EBADF : ZYNTAX_EPERM;
    if (!reserve()) return ZYNTAX_ENOMEM;
    Socket *socket = free_;
    free_ = socket->next_changed;
    Socket *next_record = socket->next_record;
    *socket = {};
    socket->next_record = next_record;
    socket->base = base;
    socket->word = word;
    *registration = socket;
    return 0;
}

bool IocpPoller::remove(intptr_t, void *registration) {
    auto *socket = static_cast<Socket *>(registration);
    assert(!socket->removed);
    socket->removed = true;
    if (socket->pending) socket->cancel(driver_);
    else retire(socket);
    return true;
}

void IocpPoller::want(intptr_t, void *registration, uint32_t directions) {
    auto *socket = static_cast<Socket *>(registration);
    assert(!socket->removed && directions);
    socket->wanted |= directions;
    if (!socket->pending || (directions & ~socket->asked)) change(socket);
}

// ---- polls ----

void IocpPoller::change(Socket *socket) {
    assert(!socket->removed);
    if (socket->changed) return;
    socket->changed = true;
    socket->next_changed = changed_;
    changed_ = socket;
}

// Brings the polls in line with the wanted directions. A poll that asks for less is canceled, and its packet puts the
// socket into the list again. A socket that the host has closed is an event. After other failures it stays in the list.
uint32_t IocpPoller::submit_changes(Event *events, uint32_t max) {
    uint32_t count = 0;
    Socket *list = changed_;
    changed_ = nullptr;
    while (Socket *socket = list) {
        list = socket->next_changed;
        assert(socket->changed);
        socket->changed = false;
        if (socket->pending) {
            // The poll asks for too little, or remove has canceled it. Its packet continues in complete.
            if (!socket->removed) socket->cancel(driver_);
        } else if (socket->removed) {
            // No packet will arrive, and the list was the last user of the record.
            retire(socket);
        } else if (socket->wanted) {
            // No poll is pending, and a direction is wanted.
            NTSTATUS status = socket->submit(driver_);
            if (!is_error(status)) {
                // A packet will arrive, even if the poll has ended.
                polls_++;
            } else if (status == invalid_handle && count < max) {
                // The socket was closed without remove: the operation itself finds the error.
                socket->wanted = 0;
                events[count++] = {socket->word, everything};
            } else {
                // No memory, or no room for the event: the next wait tries again.
                change(socket);
            }
        }
    }
    return count;
}

// Handles a poll's packet. True when the packet is an event.
bool IocpPoller::complete(Socket *socket, Event *event) {
    assert(socket->pending && polls_ > 0);
    polls_--;
    socket->pending = false;
    NTSTATUS status = socket->status.Status;
    uint32_t ready = 0;
    if (!is_error(status)) ready = socket->poll.count ? to_readiness(socket->poll.events) : 0;
    else if (status != cancelled) ready = everything; // the operation itself finds out
    if (socket->removed) retire(socket);
    if (socket->removed) return false;
    assert(!(socket->asked & ~socket->wanted));
    socket->wanted &= ~ready;
    if (ready & urgent) socket->knows_of_urgent = true;
    if (socket->wanted) change(socket);
    if (!ready) return false;
    *event = {socket->word, ready};
    return true;
}

int32_t IocpPoller::wait(Event *events, uint32_t max, int64_t timeout_ns) {
    assert(port_ && max > 0);
    auto limit = static_cast<uint64_t>(timeout_ns);
    uint64_t start = timeout_ns > 0 ? os::clock_ns() : 0;
    for (;;) {
        uint32_t count = submit_changes(events, max);
        uint64_t left = timeout_ns < 0 ? longest_ns : 0;
        if (timeout_ns > 0) {
            uint64_t passed = os::clock_ns() - start;
            left = passed < limit ? limit - passed : 0;
        }
        uint64_t sleep_ns = left < longest_ns ? left : longest_ns;
        if (changed_ && sleep_ns > retry_ns) sleep_ns = retry_ns;
        if (count || woken_.load(std::memory_order_seq_cst)) sleep_ns = 0;

        OVERLAPPED_ENTRY entries[packets];
        ULONG room = max - count < packets ? max - count : packets, n = 0;
        if (room && !GetQueuedCompletionStatusEx(port_, entries, room, &n, os::to_ms_rounded_up(sleep_ns), FALSE)) {
            if (GetLastError() != WAIT_TIMEOUT) return os::last_error();
            n = 0;
        }
        for (ULONG i = 0; i < n; i++) {
            auto *socket = reinterpret_cast<Socket *>(entries[i].lpOverlapped); // null: a wake
            if (socket && complete(socket, &events[count])) count++;
        }
        bool woken = woken_.load(std::memory_order_relaxed) && woken_.exchange(false, std::memory_order_seq_cst);
        if (count || woken || left == 0) return static_cast<int32_t>(count);
    }
}

void IocpPoller::wake() {
    // At most one packet is pending, so wakes do not add up. If it cannot be posted, the next wait sees the flag.
    if (!woken_.exchange(true, std::memory_order_seq_cst)) PostQueuedCompletionStatus(port_, 0, 0, nullptr);
}

} // namespace zyntax

#endif // ZYNTAX_POLLER_IS_IOCP
