// Tasks that end when the test permits it, for calls that wait for several tasks.
#pragma once

#include "support.h"

#include <vector>

namespace support {

struct Gates {
    std::vector<Task> tasks;
    std::vector<Waker> wakers;
    std::vector<zyntax_task *> handles;

    Gates(zyntax_runtime *rt, size_t n) : tasks(n), wakers(n) {
        for (size_t i = 0; i < n; i++) {
            tasks[i].on_poll = [this, i](Waker *waker) {
                wakers[i] = *waker;
                return tasks[i].polls == 1 ? POLL_PENDING : POLL_READY;
            };
            handles.push_back(tasks[i].spawn(rt));
        }
    }
    void pass(size_t i) { wakers[i].wake(wakers[i].data); }
};

} // namespace support
