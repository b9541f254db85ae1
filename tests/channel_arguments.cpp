// Channel functions with invalid arguments.
#include "channel_support.h"

using namespace support;

namespace {

// An allocator that has no gibibyte to give; sanitizers abort where malloc would return NULL.
struct ModestHeap : Heap {
    static void *allocate(void *self, size_t size, size_t align) {
        return size >> 30 != 0 ? nullptr : Heap::alloc(self, size, align);
    }
    zyntax_runtime_config config() {
        zyntax_runtime_config c = Heap::config();
        c.alloc = allocate;
        return c;
    }
};

} // namespace

TEST_CASE("a_capacity_of_zero_and_null_pointers_are_einval") {
    Runtime rt;
    uint64_t in_use = rt.stats().bytes_in_use;
    zyntax_channel *channel = nullptr;
    CHECK(zyntax_channel_create(rt, 0, 4, &channel) == ZYNTAX_EINVAL);
    CHECK(zyntax_channel_create(rt, 1, 4, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_channel_create(nullptr, 1, 4, &channel) == ZYNTAX_EINVAL);
    CHECK(rt.stats().bytes_in_use == in_use);
}

TEST_CASE("absurd_sizes_are_enomem") {
    ModestHeap heap;
    Runtime rt(heap.config());
    zyntax_channel *channel = nullptr;
    size_t half = SIZE_MAX / 2 + 1;
    CHECK(zyntax_channel_create(rt, SIZE_MAX, SIZE_MAX, &channel) == ZYNTAX_ENOMEM);
    CHECK(zyntax_channel_create(rt, 1, SIZE_MAX, &channel) == ZYNTAX_ENOMEM);
    CHECK(zyntax_channel_create(rt, SIZE_MAX, 1, &channel) == ZYNTAX_ENOMEM);
    CHECK(zyntax_channel_create(rt, half, 2, &channel) == ZYNTAX_ENOMEM);     // the product wraps to 0
    CHECK(zyntax_channel_create(rt, half + 1, 2, &channel) == ZYNTAX_ENOMEM); // and to 2
    CHECK(zyntax_channel_create(rt, half, 8, &channel) == ZYNTAX_ENOMEM);
    CHECK(zyntax_channel_create(rt, 3, SIZE_MAX / 3, &channel) == ZYNTAX_ENOMEM);
    send_now(rt, channel_of(rt, 1), 1); // and all is well
    rt.destroy();
    CHECK(heap.balanced());
}

TEST_CASE("null_arguments_of_send_and_recv_are_einval_and_ready") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 2);
    int item = 1;
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        int64_t r[6] = {1, 1, 1, 1, 1, 1};
        CHECK(zyntax_channel_send(channel, nullptr, &item, waker, &r[0]) == POLL_READY);
        CHECK(zyntax_channel_send(channel, op, nullptr, waker, &r[1]) == POLL_READY);
        CHECK(zyntax_channel_send(channel, op, &item, nullptr, &r[2]) == POLL_READY);
        CHECK(zyntax_channel_recv(channel, nullptr, &item, waker, &r[3]) == POLL_READY);
        CHECK(zyntax_channel_recv(channel, op, nullptr, waker, &r[4]) == POLL_READY);
        CHECK(zyntax_channel_recv(channel, op, &item, nullptr, &r[5]) == POLL_READY);
        for (int64_t code : r) CHECK(code == ZYNTAX_EINVAL);
        CHECK(zyntax_channel_send(channel, op, &item, waker, nullptr) == POLL_READY);
        CHECK(zyntax_channel_recv(channel, op, &item, waker, nullptr) == POLL_READY);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
    // Nothing was sent.
    Await receiver(rt, receiving(channel, &item));
    settle(rt);
    CHECK(receiver.alive());
}

TEST_CASE("items_of_no_size_need_no_item") {
    Runtime rt;
    zyntax_channel *channel = channel_of(rt, 1, 0);
    CHECK(await(rt, sending(channel, nullptr)) == 0);
    CHECK(await(rt, receiving(channel, nullptr)) == 1);
}
