// Shared by the tests of channels.
#pragma once

#include "await_support.h"

namespace support {

inline zyntax_channel *channel_of(zyntax_runtime *rt, size_t capacity, size_t item_size = sizeof(int)) {
    zyntax_channel *channel = nullptr;
    REQUIRE(zyntax_channel_create(rt, capacity, item_size, &channel) == 0);
    REQUIRE(channel != nullptr);
    return channel;
}

inline Operation sending(zyntax_channel *channel, const void *item) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_channel_send(channel, op, item, waker, result);
    };
}
inline Operation receiving(zyntax_channel *channel, void *item) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_channel_recv(channel, op, item, waker, result);
    };
}

// Sends an item in its own task. The send must not wait.
inline void send_now(Runtime &rt, zyntax_channel *channel, int item) { CHECK(await(rt, sending(channel, &item)) == 0); }

// Receives one int in its own task; -1 if there is none.
inline int receive_now(Runtime &rt, zyntax_channel *channel) {
    int item = -1;
    CHECK(await(rt, receiving(channel, &item)) == 1);
    return item;
}

} // namespace support
