// Shared by the tests of the blocking pool.
#pragma once

#include "io_support.h"

namespace support {

using Job = int64_t (*)(void *);

inline Operation blocking(zyntax_runtime *rt, Job job, void *arg, size_t arg_size) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_blocking(rt, op, job, arg, arg_size, waker, result);
    };
}

// The data of a job that waits for the test; passed by pointer with arg_size 0.
struct Held {
    Gate gate;
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};

    static int64_t job(void *arg) {
        auto *self = static_cast<Held *>(arg);
        self->begun++;
        bool passed = self->gate.pass();
        self->ended++;
        return passed ? 1 : -1;
    }
};

inline zyntax_runtime_config with_threads(uint32_t threads) {
    zyntax_runtime_config c = config();
    c.blocking_threads = threads;
    return c;
}

// A runtime with one thread, which is busy until the gate opens.
struct Occupied : Runtime {
    Held held;
    std::unique_ptr<Await> occupier;
    Occupied() : Runtime(with_threads(1)) {
        occupier = std::make_unique<Await>(rt, blocking(rt, Held::job, &held, 0));
        CHECK(drive_until([&] { return held.begun == 1; }));
    }
};

} // namespace support
