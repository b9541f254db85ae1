// Console events of Windows as signals: Ctrl-C is 2, Ctrl-Break 15. The close of the console would end the tests.
#include "await_support.h"

#include <windows.h>

using namespace support;

namespace {

std::atomic<int> hosts_calls{0};

BOOL WINAPI hosts_handler(DWORD) {
    hosts_calls++;
    return TRUE;
}

// A handler of the host's, which also keeps an event from ending the tests.
struct HostHandler {
    HostHandler() {
        hosts_calls = 0;
        SetConsoleCtrlHandler(nullptr, FALSE); // the parent process may have ignored Ctrl-C
        REQUIRE(SetConsoleCtrlHandler(hosts_handler, TRUE));
    }
    ~HostHandler() { SetConsoleCtrlHandler(hosts_handler, FALSE); }
    HostHandler(const HostHandler &) = delete;
    HostHandler &operator=(const HostHandler &) = delete;
};

// False where this process has no console to get events from.
bool console_event(DWORD event) {
    int before = hosts_calls;
    if (!GenerateConsoleCtrlEvent(event, 0)) return false;
    return eventually([&] { return hosts_calls > before; }, 3000);
}

} // namespace

TEST_CASE("ctrl_c_and_ctrl_break_are_signals_2_and_15_while_a_handle_is_open") {
    HostHandler host;
    Runtime rt;
    bool has_events = console_event(CTRL_C_EVENT) && console_event(CTRL_BREAK_EVENT);
    SKIP_WHEN(!has_events, "this process gets no events of a console");
    int calls_before = hosts_calls;
    for (auto [event, number] : {std::pair<DWORD, int>{CTRL_C_EVENT, 2}, {CTRL_BREAK_EVENT, 15}}) {
        CAPTURE(number);
        zyntax_signal *signal = nullptr, *other = nullptr;
        REQUIRE(zyntax_signal_open(rt, number, &signal) == 0);
        REQUIRE(zyntax_signal_open(rt, 17 - number, &other) == 0);
        auto waiting = [&](zyntax_signal *which) -> Operation {
            return [=](zyntax_op *op, Waker *waker, int64_t *result) {
                return zyntax_signal_wait(which, op, waker, result);
            };
        };
        Await a(rt, waiting(signal)), b(rt, waiting(other));
        settle(rt);
        REQUIRE(GenerateConsoleCtrlEvent(event, 0));
        CHECK(rt.drive_until([&] { return !a.alive(); }));
        CHECK(a.result == 1);
        CHECK(b.alive());
        CHECK(zyntax_signal_close(signal) == 0);
        CHECK(zyntax_signal_close(other) == 0);
        CHECK(rt.drain());
        CHECK(b.result == ZYNTAX_ECANCELED);
        CHECK(hosts_calls == calls_before);
        CHECK(console_event(event));
        calls_before = hosts_calls;
    }
    CHECK(rt.idle_waits() <= idle_budget);
}
