// Items from a producer task to a consumer task of the same runtime.
#include "executors.h"

namespace bench {

namespace {

// A ring of items between two bare tasks: a task that finds it full or empty leaves a waker.
class BareChannel {
public:
    explicit BareChannel(size_t capacity) : items(capacity) {}

    [[gnu::noinline]] bool send(uint64_t item, const Waker *waker) {
        if (count == items.size()) {
            sender = *waker;
            return false;
        }
        items[tail] = item;
        tail = tail + 1 == items.size() ? 0 : tail + 1;
        count++;
        wake(receiver);
        return true;
    }

    [[gnu::noinline]] bool receive(uint64_t &item, const Waker *waker) {
        if (count == 0) {
            receiver = *waker;
            return false;
        }
        item = items[head];
        head = head + 1 == items.size() ? 0 : head + 1;
        count--;
        wake(sender);
        return true;
    }

private:
    static void wake(Waker &waiting) {
        if (waiting.wake == nullptr) return;
        Waker waker = waiting;
        waiting.wake = nullptr;
        waker.wake(waker.data);
    }

    std::vector<uint64_t> items;
    size_t head = 0;
    size_t tail = 0;
    size_t count = 0;
    Waker sender{};
    Waker receiver{};
};

class ChannelOnBareLoop : public OnBareLoop {
public:
    explicit ChannelOnBareLoop(size_t capacity) : channel(capacity) {}

    bool send(zyntax_op *, const uint64_t &item, Waker *waker) { return channel.send(item, waker); }
    bool receive(zyntax_op *, uint64_t &item, Waker *waker) { return channel.receive(item, waker); }

private:
    BareChannel channel;
};

class ChannelOnRuntime : public OnRuntime {
public:
    explicit ChannelOnRuntime(size_t capacity) {
        expect(zyntax_channel_create(rt, capacity, sizeof(uint64_t), &channel) == 0, "create a channel");
    }

    bool send(zyntax_op *op, const uint64_t &item, Waker *waker) {
        int64_t result = 0;
        if (zyntax_channel_send(channel, op, &item, waker, &result) == POLL_PENDING) return false;
        expect(result == 0, "send an item");
        return true;
    }
    bool receive(zyntax_op *op, uint64_t &item, Waker *waker) {
        int64_t result = 0;
        if (zyntax_channel_recv(channel, op, &item, waker, &result) == POLL_PENDING) return false;
        expect(result == 1, "receive an item");
        return true;
    }

private:
    zyntax_channel *channel = nullptr;
};

class PortOnRuntime : public OnRuntime {
public:
    explicit PortOnRuntime(size_t capacity) {
        expect(zyntax_port_create(capacity, sizeof(uint64_t), &port) == 0, "create a port");
    }
    ~PortOnRuntime() { zyntax_port_destroy(port); }
    PortOnRuntime(const PortOnRuntime &) = delete;
    PortOnRuntime &operator=(const PortOnRuntime &) = delete;

    bool send(zyntax_op *op, const uint64_t &item, Waker *waker) {
        int64_t result = 0;
        if (zyntax_port_send(port, op, &item, waker, &result) == POLL_PENDING) return false;
        expect(result == 0, "send an item");
        return true;
    }
    bool receive(zyntax_op *op, uint64_t &item, Waker *waker) {
        int64_t result = 0;
        if (zyntax_port_recv(port, op, &item, waker, &result) == POLL_PENDING) return false;
        expect(result == 1, "receive an item");
        return true;
    }

private:
    zyntax_port *port = nullptr;
};

template <class Executor> class ChannelHop : public Side {
public:
    explicit ChannelHop(size_t capacity) : executor(capacity) {}

    Measurement run(uint64_t ops) override {
        producer = {this, 0, 0};
        consumer = {this, 0, 0};
        items = ops;
        uint64_t start = cpu_ns();
        executor.spawn(&producer, produce);
        executor.spawn(&consumer, consume);
        executor.run();
        double value = static_cast<double>(cpu_ns() - start) / static_cast<double>(ops);
        expect(consumer.done == ops, "receive every item");
        return {value};
    }

private:
    struct alignas(64) Party {
        ChannelHop *bench = nullptr;
        zyntax_op op = 0;
        uint64_t done = 0;
    };

    static PollStatus produce(FutureState state, Waker *waker) {
        auto *self = static_cast<Party *>(state);
        ChannelHop *bench = self->bench;
        while (self->done < bench->items) {
            if (!bench->executor.send(&self->op, self->done, waker)) return POLL_PENDING;
            self->done++;
        }
        return POLL_READY;
    }

    static PollStatus consume(FutureState state, Waker *waker) {
        auto *self = static_cast<Party *>(state);
        ChannelHop *bench = self->bench;
        while (self->done < bench->items) {
            uint64_t item = 0;
            if (!bench->executor.receive(&self->op, item, waker)) return POLL_PENDING;
            expect(item == self->done, "receive the items in order");
            self->done++;
        }
        return POLL_READY;
    }

    Executor executor;
    Party producer;
    Party consumer;
    uint64_t items = 0;
};

} // namespace

void add_channels(std::vector<Workload> &all) {
    all.push_back({"channel_1", "producer task to consumer task, capacity 1; per item", 2'000'000, 300'000,
                   make<ChannelHop<ChannelOnRuntime>, 1>, make<ChannelHop<ChannelOnBareLoop>, 1>});
    all.push_back({"channel_64", "producer task to consumer task, capacity 64; per item", 3'000'000, 500'000,
                   make<ChannelHop<ChannelOnRuntime>, 64>, make<ChannelHop<ChannelOnBareLoop>, 64>});
    all.push_back({"port_64", "the same through a port, which threads could share; per item", 2'000'000, 300'000,
                   make<ChannelHop<PortOnRuntime>, 64>, make<ChannelHop<ChannelOnBareLoop>, 64>});
}

} // namespace bench
