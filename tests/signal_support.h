// Shared by the tests of signals. Only for systems with POSIX signals.
#pragma once

#include "await_support.h"

#include <csignal>

namespace support {

inline zyntax_signal *signal_of(zyntax_runtime *rt, int number) {
    zyntax_signal *signal = nullptr;
    REQUIRE(zyntax_signal_open(rt, number, &signal) == 0);
    REQUIRE(signal != nullptr);
    return signal;
}

inline Operation waiting_for(zyntax_signal *signal) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_signal_wait(signal, op, waker, result); };
}

inline void raise_times(int number, int times) {
    for (int i = 0; i < times; i++) raise(number);
}

// The host's action for a signal, while the object lives.
struct HostAction {
    static inline std::atomic<int> calls{0}; // of `counted`, since the newest object was made
    int number;
    struct sigaction before {}; // the opening of a signal

    explicit HostAction(int which, void (*handler)(int) = count_call, int flags = 0) : number(which) {
        calls = 0;
        set(handler, flags);
        sigaction(number, nullptr, &before);
    }
    ~HostAction() { ::signal(number, SIG_DFL); }
    HostAction(const HostAction &) = delete;
    HostAction &operator=(const HostAction &) = delete;

    void set(void (*handler)(int), int flags = 0) const {
        struct sigaction now {};
        now.sa_handler = handler;
        now.sa_flags = flags;
        sigaddset(&now.sa_mask, SIGURG);
        REQUIRE(sigaction(number, &now, nullptr) == 0);
    }
    // Whether the host's action is there, to the last detail.
    bool is_there() const {
        struct sigaction now {};
        sigaction(number, nullptr, &now);
        return now.sa_handler == before.sa_handler && now.sa_flags == before.sa_flags &&
               sigismember(&now.sa_mask, SIGURG) == sigismember(&before.sa_mask, SIGURG) &&
               sigismember(&now.sa_mask, SIGHUP) == sigismember(&before.sa_mask, SIGHUP);
    }
    static void count_call(int) { calls++; }
};

inline struct sigaction action_of(int number) {
    struct sigaction now {};
    REQUIRE(sigaction(number, nullptr, &now) == 0);
    return now;
}

} // namespace support
