// The lock of data that several threads change: pools and ports.
#pragma once

#include <assert.h>
#include <atomic>
#include <stdint.h>

#include "../platform/os.h"

namespace zyntax {

// Holds a spin lock for a scope. Spinning is enough: no holder waits. The holder is a process, not a thread: a forked
// child takes the lock over, because the thread that held it does not exist there.
class Lock {
public:
    explicit Lock(std::atomic<uint32_t> *held_by) : held_by_(held_by), process_(os::process_mark() + 1) {
        for (uint32_t tries = 1; !take(0); tries++) {
            uint32_t holder = held_by_->load(std::memory_order_relaxed);
            if (holder && holder != process_ && take(holder)) return;
            if (tries % 64) os::relax();
            else os::yield();
        }
    }
    ~Lock() {
        assert(held_by_->load(std::memory_order_relaxed) == process_);
        held_by_->store(0, std::memory_order_release);
    }
    Lock(const Lock &) = delete;
    Lock &operator=(const Lock &) = delete;

private:
    bool take(uint32_t holder) {
        return held_by_->compare_exchange_strong(holder, process_, std::memory_order_acquire);
    }

    os::KeepErrors keep_; // a holder may ask the system for memory
    std::atomic<uint32_t> *held_by_;
    uint32_t process_;
};

} // namespace zyntax
