// The poller of Windows when the kernel fails: no memory for a packet or for a poll, sockets of layered providers,
// cancelled polls. The system functions that it uses are replaced here.
#include "poller_support.h"

#include <mswsock.h>
#include <winternl.h>

using namespace support;

namespace {

template <class Function> Function real(const wchar_t *library, const char *name) {
    auto function = reinterpret_cast<void *>(GetProcAddress(GetModuleHandleW(library), name));
    return reinterpret_cast<Function>(function);
}

std::atomic<int> packets_to_lose{0};
std::atomic<int> polls_to_fail{0};
std::atomic<int> failed_polls{0};
std::atomic<bool> layered{false}; // sockets do not tell their base, only the socket that a poll would use

BOOL WINAPI post(HANDLE port, DWORD bytes, ULONG_PTR key, OVERLAPPED *overlapped) {
    static const auto system = real<decltype(&PostQueuedCompletionStatus)>(L"kernel32", "PostQueuedCompletionStatus");
    if (packets_to_lose.load() > 0 && packets_to_lose.fetch_sub(1) > 0) {
        SetLastError(ERROR_NO_SYSTEM_RESOURCES);
        return FALSE;
    }
    return system(port, bytes, key, overlapped);
}

SOCKET below(SOCKET socket) { return socket & ~SOCKET(1); } // numbers are multiples of 4

int WSAAPI ioctl(SOCKET socket, DWORD code, void *in, DWORD in_size, void *out, DWORD out_size, DWORD *size,
                 WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
    static const auto system = real<decltype(&WSAIoctl)>(L"ws2_32", "WSAIoctl");
    if (layered && (socket & 1)) {
        if (code == SIO_BSP_HANDLE_POLL) {
            *static_cast<SOCKET *>(out) = below(socket);
            return 0;
        }
        SetLastError(WSAEOPNOTSUPP);
        return SOCKET_ERROR;
    }
    return system(socket, code, in, in_size, out, out_size, size, overlapped, routine);
}

} // namespace

extern "C" {
// The pointers through which calls of the system go, in place of the import libraries' pointers.
decltype(&PostQueuedCompletionStatus) __imp_PostQueuedCompletionStatus = post;
decltype(&WSAIoctl) __imp_WSAIoctl = ioctl;

NTSTATUS NTAPI NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, void *context,
                                     IO_STATUS_BLOCK *status, ULONG code, void *in, ULONG in_size, void *out,
                                     ULONG out_size) {
    static const auto system = real<decltype(&NtDeviceIoControlFile)>(L"ntdll", "NtDeviceIoControlFile");
    constexpr auto insufficient_resources = NTSTATUS(0xC000009A);
    if (polls_to_fail.load() > 0 && polls_to_fail.fetch_sub(1) > 0) {
        failed_polls++;
        return insufficient_resources;
    }
    return system(file, event, routine, context, status, code, in, in_size, out, out_size);
}
}

TEST_CASE("wakes_whose_packets_cannot_be_posted_arrive_within_a_second") {
    Watched watched;
    for (int round = 0; round < 3; round++) {
        CAPTURE(round);
        Thread waker([&] {
            for (Stopwatch watch; watch.ns() < 50 * int64_t(ms);) yield();
            packets_to_lose = 1000;
            watched.poller.wake();
        });
        Stopwatch watch;
        CHECK(watched.wait(deadline_ms * int64_t(ms)) == 0);
        CHECK(watch.ns() < 1000 * int64_t(ms));
        waker.join();
        packets_to_lose = 0;
    }
    watched.poller.wake();
    CHECK(watched.wait(deadline_ms * int64_t(ms)) == 0);
}

TEST_CASE("a_poll_that_the_kernel_has_no_memory_for_is_tried_again_without_spinning") {
    Watched watched;
    Pair pair = socket_pair();
    watched.add(pair.near, 1);
    watched.want(pair.near, 1, readable);
    failed_polls = 0;
    polls_to_fail = 4;
    put(pair.far, "x");
    CHECK(watched.reported(1, readable));
    CHECK(failed_polls == 4);

    watched.want(pair.near, 1, writable);
    failed_polls = 0;
    polls_to_fail = INT_MAX;
    Stopwatch watch;
    watched.wait(300 * int64_t(ms));
    CHECK(watch.ns() >= 300 * int64_t(ms));
    CHECK(failed_polls <= 20);
    polls_to_fail = 0;
    CHECK(watched.reported(1, writable));
    watched.remove(pair.near, 1);
}

TEST_CASE("a_socket_that_layered_providers_made_is_polled_through_the_one_below") {
    Watched watched;
    Pair pair = socket_pair();
    intptr_t upper = pair.near | 1;
    layered = true;
    int32_t error = watched.try_to_add(upper, 1);
    layered = false;
    REQUIRE(error == 0);
    watched.want(upper, 1, readable);
    put(pair.far, "x");
    CHECK(watched.reported(1, readable));
    watched.remove(upper, 1);
}

TEST_CASE("closing_takes_a_thousand_pending_polls_back") {
    constexpr uint32_t count = 1000;
    std::vector<Fd> sockets;
    for (uint32_t i = 0; i < count; i++) {
        sockets.emplace_back(sys::make_socket(AF_INET, SOCK_DGRAM));
        Address any = loopback(0);
        REQUIRE(bind(SOCKET(sockets.back().fd), any.raw(), any.length) == 0);
    }
    for (int round = 0; round < 3; round++) {
        Watched watched; // checks that all memory comes back
        for (uint32_t i = 0; i < count; i++) {
            watched.add(sockets[i], i + 1);
            watched.want(sockets[i], i + 1, readable);
        }
        watched.wait(0);
        for (uint32_t i = 0; i < count; i += 3) watched.remove(sockets[i], i + 1); // their packets are not taken
    }
}

TEST_CASE("a_direction_wanted_later_is_reported_while_the_first_is_not_ready") {
    Watched watched;
    Pair pair = socket_pair();
    make_nonblocking(pair.near);
    for (uint32_t round = 1; round <= 100; round++) {
        CAPTURE(round);
        watched.add(pair.near, round);
        watched.want(pair.near, round, readable);
        watched.wait(0);
        watched.want(pair.near, round, writable);
        REQUIRE(watched.reported(round, writable));
        CHECK((watched.bits(round) & readable) == 0);
        put(pair.far, "x");
        REQUIRE(watched.reported(round, readable));
        take(pair.near);
        watched.remove(pair.near, round);
        watched.forget();
    }
}

TEST_CASE("urgent_data_that_nobody_takes_does_not_spin") {
    Watched watched;
    Pair pair = socket_pair();
    watched.add(pair.near, 1);
    watched.want(pair.near, 1, readable);
    REQUIRE(send(SOCKET(pair.far.fd), "!", 1, MSG_OOB) == 1);
    CHECK(watched.reported(1, readable | zyntax::urgent));
    watched.want(pair.near, 1, readable);
    watched.wait(0);
    watched.want(pair.near, 1, readable);
    CHECK(watched.idle_returns() <= int(idle_budget));
    watched.remove(pair.near, 1);
}

TEST_CASE("a_socket_closed_behind_the_pollers_back_ends_its_waits") {
    Watched watched;
    Pair pair = socket_pair(), other = socket_pair();
    watched.add(pair.near, 1);
    watched.want(pair.near, 1, readable);
    watched.wait(0);
    watched.add(other.near, 2);
    watched.want(other.near, 2, readable);
    intptr_t closed = pair.near, never_polled = other.near;
    pair.near.reset();
    other.near.reset();
    CHECK(watched.reported(1, every_bit));
    CHECK(watched.reported(2, every_bit));
    watched.remove(closed, 1);
    watched.remove(never_polled, 2);
}
