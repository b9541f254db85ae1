// The cost of an operation does not grow with the number of waiters: bursts of thousands in one poll.
#include "channel_support.h"
#include "host_support.h"
#include "steps_support.h"

#include <vector>

using namespace support;

namespace {

// A crowd, and a step that is repeated `size` times over it.
struct Burst {
    virtual ~Burst() = default;
    virtual void step(int i) = 0;
};

// The cost of one of `size` steps, in steps of the library.
template <class Make> double cost_of(Make make, int size) {
    std::unique_ptr<Burst> burst = make(size);
    uint64_t before = steps();
    for (int i = 0; i < size; i++) burst->step(i);
    return double(steps() - before) / size;
}

// A step among 16,000 costs less than twice as much as a step among 500. With a linear cost it would be 32 times as
// much.
template <class Make> void cost_does_not_grow(Make make) {
    double few = cost_of(make, 500), many = cost_of(make, 16'000);
    CAPTURE(few);
    CAPTURE(many);
    CHECK(few >= 1); // otherwise nothing is counted
    CHECK(many < few * 2);
}

// Hosts that wait; their wakers do nothing. Tasks would do too, but they have to be polled first.
struct Crowd : Burst {
    Runtime rt;
    std::vector<zyntax_op> ops;
    Waker waker = nobody();
    int item = 1;
    int64_t result = 0;

    explicit Crowd(int size) : ops(size_t(size)) {}
    void all_wait(const Operation &operation) {
        for (zyntax_op &op : ops) REQUIRE(operation(&op, &waker, &result) == POLL_PENDING);
    }
    void now(PollStatus status, int64_t expected) {
        REQUIRE(status == POLL_READY);
        REQUIRE(result == expected);
    }
};

struct Receivers : Crowd {
    zyntax_channel *channel;
    explicit Receivers(int size) : Crowd(size), channel(channel_of(rt, size_t(size))) {
        all_wait(receiving(channel, &item));
    }
    void send() {
        zyntax_op op = 0;
        now(zyntax_channel_send(channel, &op, &item, &waker, &result), 0);
    }
    void step(int) override { send(); }
};

struct Senders : Crowd {
    zyntax_channel *channel;
    explicit Senders(int size) : Crowd(size), channel(channel_of(rt, size_t(size))) {
        for (int i = 0; i < size; i++) {
            zyntax_op op = 0;
            now(zyntax_channel_send(channel, &op, &item, &waker, &result), 0);
        }
        all_wait(sending(channel, &item));
    }
    void receive() {
        zyntax_op op = 0;
        now(zyntax_channel_recv(channel, &op, &item, &waker, &result), 1);
    }
    void step(int) override { receive(); }
};

// All waiters are notified, and then they give up one after the other, or take their turns.
template <class Base> struct Notified : Base {
    explicit Notified(int size) : Base(size) {
        for (int i = 0; i < size; i++) Base::step(i);
    }
};
template <class Base> struct GivingUp : Notified<Base> {
    using Notified<Base>::Notified;
    void step(int i) override { zyntax_op_cancel(&this->ops[size_t(i)]); }
};
template <class Base> struct GivingUpFromBehind : Notified<Base> {
    using Notified<Base>::Notified;
    void step(int i) override { zyntax_op_cancel(&this->ops[this->ops.size() - 1 - size_t(i)]); }
};
struct Taking : Notified<Receivers> {
    using Notified<Receivers>::Notified;
    void step(int i) override { now(zyntax_channel_recv(channel, &ops[size_t(i)], &item, &waker, &result), 1); }
};

// One waiter after the other is notified and gives up, while all other waiters wait.
template <class Base> struct GivingUpAtTheFront : Base {
    explicit GivingUpAtTheFront(int size) : Base(size) { Base::step(0); }
    void step(int i) override { zyntax_op_cancel(&this->ops[size_t(i)]); }
};

// No waiter was notified, and all give up.
template <class Base> struct Resigning : Base {
    using Base::Base;
    void step(int i) override { zyntax_op_cancel(&this->ops[size_t(i)]); }
};

template <class T> std::unique_ptr<Burst> of(int size) { return std::make_unique<T>(size); }

// Tasks that wait on one side, and a single poll that serves them all.
template <bool of_receivers> struct Tasks : Burst {
    struct Served {
        zyntax_channel *channel;
        zyntax_op op = 0;
        int item = 0;
        int64_t result = 0;
        static PollStatus poll(FutureState state, Waker *waker) {
            auto *self = static_cast<Served *>(state);
            return of_receivers ? zyntax_channel_recv(self->channel, &self->op, &self->item, waker, &self->result)
                                : zyntax_channel_send(self->channel, &self->op, &self->item, waker, &self->result);
        }
    };
    Runtime rt;
    zyntax_channel *channel;
    std::vector<Served> tasks;
    explicit Tasks(int size) : channel(channel_of(rt, size_t(size))), tasks(size_t(size), Served{channel}) {
        if (!of_receivers)
            for (int i = 0; i < size; i++) serve(true);
        for (Served &task : tasks) REQUIRE(zyntax_runtime_spawn(rt, &task, Served::poll) != nullptr);
        REQUIRE(rt.drive_until([&] { return rt.stats().polls == uint64_t(size); }));
    }
    void serve(bool sends) {
        int item = 1;
        REQUIRE(at_once(sends ? sending(channel, &item) : receiving(channel, &item)) == (sends ? 0 : 1));
    }
    void step(int) override { serve(of_receivers); }
    ~Tasks() override { rt.destroy(); }
};

} // namespace

TEST_CASE("sending_to_many_receivers_costs_no_more_than_sending_to_few") { cost_does_not_grow(of<Receivers>); }

TEST_CASE("receiving_from_many_senders_costs_no_more_than_receiving_from_few") { cost_does_not_grow(of<Senders>); }

TEST_CASE("tasks_that_wait_in_thousands_cost_no_more_than_few") {
    cost_does_not_grow(of<Tasks<true>>);
    cost_does_not_grow(of<Tasks<false>>);
}

TEST_CASE("taking_a_turn_costs_no_more_among_many") { cost_does_not_grow(of<Taking>); }

TEST_CASE("giving_up_after_a_notification_costs_no_more_among_many") {
    cost_does_not_grow(of<GivingUp<Receivers>>);
    cost_does_not_grow(of<GivingUp<Senders>>);
    cost_does_not_grow(of<GivingUpFromBehind<Receivers>>);
    cost_does_not_grow(of<GivingUpFromBehind<Senders>>);
    cost_does_not_grow(of<GivingUpAtTheFront<Receivers>>);
    cost_does_not_grow(of<GivingUpAtTheFront<Senders>>);
}

TEST_CASE("giving_up_without_a_notification_costs_no_more_among_many") {
    cost_does_not_grow(of<Resigning<Receivers>>);
    cost_does_not_grow(of<Resigning<Senders>>);
}

namespace {

// Thousands of tasks that do not call after they were notified, while one pair passes items to and fro.
struct PassedOver : Burst {
    struct Absent {
        zyntax_channel *channel;
        zyntax_op op = 0;
        int item = 0;
        int64_t result = 0;
        int polls = 0;
        static PollStatus poll(FutureState state, Waker *waker) {
            auto *self = static_cast<Absent *>(state);
            if (self->polls++ > 0) return POLL_PENDING;
            return zyntax_channel_recv(self->channel, &self->op, &self->item, waker, &self->result);
        }
    };
    Runtime rt;
    zyntax_channel *channel;
    std::vector<Absent> tasks;
    explicit PassedOver(int size) : channel(channel_of(rt, size_t(size) + 1)), tasks(size_t(size), Absent{channel}) {
        int item = 1;
        for (Absent &task : tasks) REQUIRE(zyntax_runtime_spawn(rt, &task, Absent::poll) != nullptr);
        REQUIRE(rt.drive_until([&] { return rt.stats().polls == uint64_t(size); }));
        for (int i = 0; i < size; i++) REQUIRE(at_once(sending(channel, &item)) == 0);
        REQUIRE(rt.drive_until([&] { return rt.stats().polls == uint64_t(size) * 2; }));
        settle(rt);
        for (int i = 0; i < size; i++) REQUIRE(at_once(receiving(channel, &item)) == 1);
    }
    void step(int) override {
        int item = 1;
        REQUIRE(at_once(sending(channel, &item)) == 0);
        REQUIRE(at_once(receiving(channel, &item)) == 1);
    }
    ~PassedOver() override { rt.destroy(); }
};

// Tasks or hosts that wait for the end of one task, or of one handle, and give up.
struct Joiners : Crowd {
    Task target{[](Waker *) { return POLL_PENDING; }};
    explicit Joiners(int size) : Crowd(size) {
        target.spawn(rt);
        all_wait([&](zyntax_op *op, Waker *w, int64_t *r) { return zyntax_task_join(target.handle, op, w, r); });
    }
    void step(int i) override { zyntax_op_cancel(&ops[size_t(i)]); }
};

// A turn among many that sleep and wait costs no more than among few.
struct Bystanders : Crowd {
    zyntax_channel *channel;
    explicit Bystanders(int size) : Crowd(size), channel(channel_of(rt, 1)) {
        all_wait(receiving(channel, &item));
        settle(rt);
    }
    void step(int) override { zyntax_runtime_turn(rt, 0); }
};

} // namespace

TEST_CASE("an_item_that_passes_many_absent_waiters_costs_no_more") { cost_does_not_grow(of<PassedOver>); }

TEST_CASE("giving_up_a_join_costs_no_more_among_many") { cost_does_not_grow(of<Joiners>); }

TEST_CASE("a_turn_costs_no_more_among_many_waiters") { cost_does_not_grow(of<Bystanders>); }
