// Shared by the tests of ports.
#pragma once

#include "await_support.h"

namespace support {

// A port that is destroyed with its object.
struct Port {
    zyntax_port *handle = nullptr;

    explicit Port(size_t capacity, size_t item_size = sizeof(int)) {
        REQUIRE(zyntax_port_create(capacity, item_size, &handle) == 0);
        REQUIRE(handle != nullptr);
    }
    ~Port() { zyntax_port_destroy(handle); }
    Port(const Port &) = delete;
    Port &operator=(const Port &) = delete;
    operator zyntax_port *() const { return handle; }

    int32_t put(int item) const { return zyntax_port_try_send(handle, &item); }

    // The next item, or -1.
    int get() const {
        int item = -1;
        return zyntax_port_try_recv(handle, &item) == 1 ? item : -1;
    }
};

inline Operation port_sending(zyntax_port *port, const void *item) {
    return
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_port_send(port, op, item, waker, result); };
}
inline Operation port_receiving(zyntax_port *port, void *item) {
    return
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_port_recv(port, op, item, waker, result); };
}

// A task that receives one item.
struct Receiver {
    int item = -1;
    Await await;

    Receiver(zyntax_runtime *rt, zyntax_port *port) : await(rt, port_receiving(port, &item)) {}
    bool has_item() const { return await.result == 1; }
};

} // namespace support
