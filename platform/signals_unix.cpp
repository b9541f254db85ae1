// signals.h on Unix: one handler for all numbers. A forked child inherits it; there it does nothing, until the child
// takes a signal itself.
#include "signals.h"

#if !defined(_WIN32) && !defined(__wasi__)

#include "posix.h"

#include <assert.h>
#include <atomic>
#include <signal.h>

namespace zyntax::os {

namespace {

// The process that has taken signals. Both numbers are compared: the mark is also right in the first process of a
// nested namespace, and the process number also in a child of vfork, which shares the parent's memory.
constinit std::atomic<uint32_t> taker_mark;
constinit std::atomic<pid_t> taker_number;

constinit std::atomic<SignalHook *> signal_hook;                 // set by the first take_signal
constinit std::atomic<uint32_t> handlers_inside[signal_numbers]; // threads that are in the handler
struct sigaction actions_before[signal_numbers];                 // the actions to restore

bool is_taker() {
    return taker_number.load(std::memory_order_relaxed) == getpid() &&
           taker_mark.load(std::memory_order_relaxed) == process_mark(); // after the first call only atomics
}

void handle_signal(int number) {
    KeepErrors keep;
    if (!is_taker()) return;
    handlers_inside[number].fetch_add(1, std::memory_order_acq_rel);
    signal_hook.load(std::memory_order_acquire)(number);
    handlers_inside[number].fetch_sub(1, std::memory_order_release);
}

// The threads of the parent that were in the handler do not exist in the child.
void become_taker() {
    uint32_t mark = process_mark();
    if (is_taker()) return;
    for (auto &inside : handlers_inside) inside.store(0, std::memory_order_relaxed);
    taker_mark.store(mark, std::memory_order_relaxed);
    taker_number.store(getpid(), std::memory_order_release);
}

} // namespace

// The C library's own numbers are refused by sigaction.
int32_t check_signal(int32_t number) {
    constexpr int32_t refused[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    for (int32_t each : refused) {
        if (number == each) return ZYNTAX_EINVAL;
    }
    struct sigaction now;
    bool exists = number > 0 && number < signal_numbers && sigaction(number, nullptr, &now) == 0;
    return exists ? 0 : ZYNTAX_EINVAL;
}

// The handler uses the thread's alternate stack, if there is one: hosts with small stacks require that. It blocks all
// signals, so that handlers never stack up on it.
int32_t take_signal(int32_t number, SignalHook *hook) {
    assert(check_signal(number) == 0);
    signal_hook.store(hook, std::memory_order_release);
    become_taker();
    struct sigaction action = {}, before;
    action.sa_handler = handle_signal;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    if (sigaction(number, &action, &before) != 0) return last_error();
    if (before.sa_handler != handle_signal) actions_before[number] = before;
    return 0;
}

void give_signal(int32_t number) {
    struct sigaction now;
    bool is_ours = sigaction(number, nullptr, &now) == 0 && now.sa_handler == handle_signal;
    if (is_ours) sigaction(number, &actions_before[number], nullptr);
    while (handlers_inside[number].load(std::memory_order_acquire) != 0) yield();
}

} // namespace zyntax::os

#endif // !_WIN32 && !__wasi__
