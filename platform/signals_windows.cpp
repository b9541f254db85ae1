// signals.h on Windows: the events of the console, under the numbers of the corresponding signals. The system starts a
// thread for each event, which calls the handlers, the newest first, until one returns TRUE.
#include "signals.h"

#if defined(_WIN32)

#include "win32.h"

#include <assert.h>
#include <atomic>

namespace zyntax::os {

namespace {

constexpr int32_t hang_up = 1, interrupt = 2, terminate = 15;

constinit std::atomic<SignalHook *> console_hook;
constinit std::atomic<uint32_t> taken_events;  // a bit for each number that is taken
constinit std::atomic<uint32_t> events_inside; // threads that are in the handler
constinit std::atomic<bool> console_closes; // a thread sleeps in the handler, or may be about to. Set by handle_event
                                            // at a close event, cleared by it if no handle wants the event
bool is_handler_installed = false;          // set by take_signal, cleared by give_signal

int32_t number_of(DWORD event) {
    return event == CTRL_C_EVENT       ? interrupt
           : event == CTRL_BREAK_EVENT ? terminate
           : event == CTRL_CLOSE_EVENT ? hang_up
                                       : 0;
}

bool is_taken(int32_t number) { return taken_events.load(std::memory_order_seq_cst) >> number & 1; }

// After a close event the system ends the process as soon as the handler returns, and in any case after some seconds.
// So the thread sleeps until then, as libuv's does, and the program ends by itself.
BOOL WINAPI handle_event(DWORD event) {
    int32_t number = number_of(event);
    bool closes = number == hang_up;
    if (closes) console_closes.store(true, std::memory_order_seq_cst);
    events_inside.fetch_add(1, std::memory_order_seq_cst);
    bool is_ours = number && is_taken(number);
    if (is_ours) console_hook.load(std::memory_order_acquire)(number);
    else if (closes) console_closes.store(false, std::memory_order_seq_cst);
    if (is_ours && closes) ::Sleep(INFINITE);
    events_inside.fetch_sub(1, std::memory_order_release);
    return is_ours;
}

} // namespace

int32_t check_signal(int32_t number) {
    return number == hang_up || number == interrupt || number == terminate ? 0 : ZYNTAX_EINVAL;
}

int32_t take_signal(int32_t number, SignalHook *hook) {
    assert(check_signal(number) == 0);
    console_hook.store(hook, std::memory_order_release);
    taken_events.fetch_or(1u << number, std::memory_order_seq_cst);
    if (is_handler_installed) return 0;
    is_handler_installed = SetConsoleCtrlHandler(handle_event, TRUE);
    if (is_handler_installed) return 0;
    int32_t error = last_error();
    taken_events.fetch_and(~(1u << number), std::memory_order_seq_cst);
    return error;
}

// The handlers of the system are called under a lock, which a removal waits for. So once a handler sleeps, or may be
// about to, the handler stays installed: the process is ending. Either the handler sees that the number is not taken,
// or this thread sees console_closes.
void give_signal(int32_t number) {
    uint32_t left = taken_events.fetch_and(~(1u << number), std::memory_order_seq_cst) & ~(1u << number);
    if (left || console_closes.load(std::memory_order_seq_cst)) return;
    SetConsoleCtrlHandler(handle_event, FALSE);
    is_handler_installed = false;
    while (events_inside.load(std::memory_order_acquire) != 0 && !console_closes.load(std::memory_order_acquire))
        yield();
}

} // namespace zyntax::os

#endif // _WIN32
