// Random programs over every maker of promises: nested limits and selects, compiled code inside them that cancels,
// polls and makes others, children and hooks. Each promise ends once, no value is 0, and all resources are given back
// when the tasks have ended.
#include "channel_support.h"
#include "compiled_support.h"
#include "io_support.h"

#include <random>

using namespace support;

namespace {

class RandomPromises {
    static constexpr int64_t code_value = 1'000; // of code; and its index above
    static constexpr size_t most_alive = 60;

    // Compiled code: each poll takes a random action.
    struct Code {
        RandomPromises *world;
        zyntax_promise entry{this, poll};
        zyntax_promise *awaited = nullptr;
        int polls = 0;
        bool is_inside = false;

        explicit Code(RandomPromises *w) : world(w) {}
        Code(const Code &) = delete;
        Code &operator=(const Code &) = delete;
        static int64_t poll(void *self) { return static_cast<Code *>(self)->step(); }

        int64_t step() {
            if (is_inside || world->depth_ > 12) return ZYNTAX_EDEADLK; // code that polls itself: its own affair
            is_inside = true;
            world->depth_++;
            int64_t value = world->act(this);
            world->depth_--;
            is_inside = false;
            return ++polls > 20 && !value ? code_value : value;
        }
    };

    struct Hooked {
        RandomPromises *world;
        int entered = 0, left = 0;
    };

    std::mt19937 random_;
    Clock clock_;
    Heap heap_;
    Runtime rt_{heap_.config(clock_.config())};
    Pair pair_ = socket_pair();
    zyntax_io *io_ = adopt(rt_, pair_.near), *listener_ = nullptr;
    uint16_t port_ = 0;
    zyntax_channel *channel_ = channel_of(rt_, 2);
    std::vector<zyntax_promise *> pointers_; // every promise that was made lately
    std::vector<zyntax_promise> copies_;     // and words of old ones
    std::vector<std::unique_ptr<Code>> codes_;
    std::vector<zyntax_task *> tasks_;
    char buf_[8] = {};
    int item_ = 1;
    int depth_ = 0, hooked_ = 0, unhooked_ = 0;

    uint32_t below(uint32_t n) { return random_() % n; }
    uint64_t some_time() { return below(4) == 0 ? UINT64_MAX : below(6) * ms; }

    zyntax_promise *any_promise() {
        if (pointers_.empty() || below(3) == 0) return new_code();
        auto recent = uint32_t(std::min<size_t>(pointers_.size(), below(2) ? 6 : most_alive));
        return pointers_[pointers_.size() - 1 - below(recent)];
    }
    zyntax_promise *new_code() {
        codes_.push_back(std::make_unique<Code>(this));
        return &codes_.back()->entry;
    }

    // A poll that a cancel from the inside has to end.
    struct Frame {
        zyntax_promise polled;
        bool is_cancelled = false;
    };
    std::vector<Frame> frames_;

    bool same(const zyntax_promise &a, const zyntax_promise &b) { return a.state == b.state && a.poll == b.poll; }

    int64_t poll(zyntax_promise promise) {
        frames_.push_back({promise});
        int64_t value = promise.poll(promise.state);
        if (frames_.back().is_cancelled) CHECK(value == ZYNTAX_ECANCELED);
        frames_.pop_back();
        if (value > 1'000'000) CHECK(zyntax_io_close(reinterpret_cast<zyntax_io *>(uintptr_t(value))) == 0);
        return value;
    }
    void cancel(zyntax_promise *promise) {
        zyntax_promise words = *promise;
        if (zyntax_promise_cancel(promise) < 0) return;
        for (Frame &frame : frames_) { // one inside of it, if any, is told of a deadlock
            if (!same(frame.polled, words)) continue;
            frame.is_cancelled = true;
            return;
        }
    }

    static int64_t job(void *arg) { return arg ? *static_cast<int64_t *>(arg) : 0; }

    zyntax_promise *make() {
        int64_t number = 5;
        switch (below(20)) {
        case 0:
            return zyntax_promise_sleep(some_time());
        case 1:
            return zyntax_promise_yield();
        case 2:
            return zyntax_promise_read(io_, buf_, below(3));
        case 3:
            return zyntax_promise_write(io_, buf_, below(3));
        case 4:
            return zyntax_promise_ready(below(4) ? io_ : nullptr, below(4));
        case 5:
            return zyntax_promise_accept(listener_);
        case 6:
            return zyntax_promise_connect(below(8) ? "127.0.0.1" : "::::", port_);
        case 7:
            return zyntax_promise_send(channel_, below(8) ? &item_ : nullptr);
        case 8:
            return zyntax_promise_recv(channel_, &item_);
        case 9:
            return has_threads ? zyntax_promise_blocking(job, &number, sizeof number) : zyntax_promise_yield();
        case 10:
        case 11:
        case 12:
            return zyntax_promise_timeout(any_promise(), some_time());
        case 13:
            return zyntax_promise_timeout(zyntax_promise_timeout(any_promise(), some_time()), some_time());
        case 14:
        case 15:
        case 16: {
            zyntax_promise *list[4];
            uint32_t n = below(5);
            for (uint32_t i = 0; i < n; i++) list[i] = any_promise();
            return zyntax_promise_select(list, n);
        }
        case 17:
            return zyntax_promise_spawn_child(below(10) ? new_code() : nullptr);
        case 18:
            return zyntax_promise_timeout(zyntax_promise_accept(listener_), some_time());
        default:
            return zyntax_promise_timeout(zyntax_promise_spawn_child(new_code()), some_time());
        }
    }

    zyntax_promise *made() {
        zyntax_promise *promise = make();
        REQUIRE(promise != nullptr);
        pointers_.push_back(promise);
        if (below(4) == 0) copies_.push_back(*promise);
        return promise;
    }

    int64_t act(Code *code) {
        if (below(30) == 0) heap_.fail_at = 1 + below(3);
        switch (below(10)) {
        case 0:
            return code_value;
        case 1:
            return -1 - int64_t(below(5));
        case 2:
            return 0; // advanced
        case 3:
        case 4:
            zyntax_promise_cancel(any_promise());
            break;
        case 5:
            poll(*any_promise());
            break;
        case 6:
            if (!copies_.empty()) {
                zyntax_promise copy = copies_[below(uint32_t(copies_.size()))];
                poll(copy);
                cancel(&copy);
            }
            break;
        case 7:
            if (!tasks_.empty() && below(6) == 0) zyntax_task_cancel(tasks_[below(uint32_t(tasks_.size()))]);
            break;
        default:
            break;
        }
        if (!code->awaited) code->awaited = made();
        if (poll(*code->awaited)) code->awaited = nullptr;
        return 0;
    }

    void spawn() {
        zyntax_promise_hooks hooks{};
        hooks.size = sizeof hooks;
        hooks.ctx = new Hooked{this};
        hooks.enter = [](void *ctx) {
            auto *h = static_cast<Hooked *>(ctx);
            h->entered++;
            if (h->world->below(20) == 0) h->world->made();
        };
        hooks.leave = [](void *ctx) {
            auto *h = static_cast<Hooked *>(ctx);
            h->left++;
            if (h->world->below(20) == 0) h->world->cancel(h->world->any_promise());
        };
        hooks.child = [](void *ctx, const zyntax_promise *) -> void * {
            auto *world = static_cast<Hooked *>(ctx)->world;
            if (world->below(20) == 0) world->cancel(world->any_promise());
            world->hooked_++;
            return new Hooked{world};
        };
        hooks.drop = [](void *ctx, int32_t) {
            auto *h = static_cast<Hooked *>(ctx);
            CHECK(h->entered == h->left);
            h->world->unhooked_++;
            zyntax_promise_cancel(h->world->any_promise());
            delete h;
        };
        heap_.fail_at = 0;
        zyntax_task *task = zyntax_promise_spawn_with(rt_, new_code(), nullptr, &hooks);
        REQUIRE(task != nullptr);
        hooked_++;
        tasks_.push_back(task);
    }

    void outside() {
        switch (below(6)) {
        case 0:
            clock_.now += ms;
            break;
        case 1:
            send_now_if_room();
            break;
        case 2:
            zyntax_promise_cancel(any_promise());
            break;
        case 3:
            put(pair_.far, "x");
            break;
        case 4:
            take(pair_.far);
            break;
        default:
            break;
        }
    }
    void send_now_if_room() {
        zyntax_op op = 0;
        Waker waker{nullptr, [](void *) {}};
        int64_t result = 0;
        zyntax_channel_send(channel_, &op, &item_, &waker, &result);
        zyntax_op_cancel(&op);
    }

    void end_tasks() {
        auto cancel = [](void *, const zyntax_task_info *info) { zyntax_task_cancel(info->task); };
        CHECK(rt_.drive_until([&] { return zyntax_runtime_dump(rt_, cancel, nullptr) == 0; }));
        CHECK(rt_.drive_until([this] { return rt_.stats().blocking_pending == 0; }));
        settle(rt_);
        CHECK(hooked_ == unhooked_);
        CHECK(rt_.stats().io_open == 2); // the pair's end, and the listener
        CHECK(rt_.stats().timers_pending == 0);
    }

public:
    explicit RandomPromises(uint32_t seed) : random_(seed) {
        REQUIRE(zyntax_tcp_listen(rt_, "127.0.0.1", 0, &listener_) == 0);
        port_ = uint16_t(zyntax_tcp_port(listener_));
        make_nonblocking(pair_.far);
    }

    void run(int steps) {
        for (int i = 0; i < steps; i++) {
            if (rt_.stats().tasks_alive < 4) spawn();
            outside();
            heap_.fail_at = 0;
            zyntax_runtime_turn(rt_, 0);
        }
        heap_.fail_at = 0;
        if (below(2)) end_tasks(); // else they end with the runtime
        rt_.destroy();
        CHECK(hooked_ == unhooked_);
        for (const zyntax_promise &copy : copies_) REQUIRE(copy.poll(copy.state) < 0);
        CHECK(heap_.balanced());
    }
};

} // namespace

TEST_CASE("random_programs_of_promises_leave_nothing") {
    SKIP_WHEN(!has_sockets, "a WASI program can make no socket");
    const char *from = std::getenv("LEAF_SEED"), *to = std::getenv("LEAF_SEEDS");
    uint32_t first = from ? uint32_t(std::atoi(from)) : 1,
             count = to ? uint32_t(std::atoi(to)) : uint32_t(scaled(3000));
    for (uint32_t seed = first; seed < first + count; seed++) {
        CAPTURE(seed);
        RandomPromises(seed).run(60);
    }
}
