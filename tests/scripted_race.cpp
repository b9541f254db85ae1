// The race of connects (RFC 8305) in virtual time: the start of each attempt, the winner, and the cleanup.
#include "dump_support.h"
#include "host_support.h"
#include "scripted_world.h"

#include <algorithm>
#include <vector>

using namespace support;
using namespace scripted;

namespace {

constexpr uint64_t delay = 250 * ms;
constexpr uint64_t no_deadline = UINT64_MAX;

// Addresses of these families, numbered from 0.
std::vector<zyntax_address> addresses_of(const std::string &families) {
    std::vector<zyntax_address> list;
    for (char family : families)
        list.push_back({uint16_t(family - '0'), 80, 0, {uint8_t(list.size()), uint8_t(list.size() >> 8)}});
    return list;
}

// A connect to addresses whose attempts have the outcomes of world.connects, in order; EAGAIN: no answer.
struct Contest {
    Sim &sim;
    std::vector<zyntax_address> addresses;
    uint64_t deadline_ns;
    uint64_t began;
    zyntax_io *io = nullptr;
    Await task;

    Contest(Sim &s, const std::string &families, std::deque<int32_t> outcomes, uint64_t limit_ns = no_deadline)
        : sim(s),
          addresses(addresses_of(families)),
          deadline_ns(limit_ns == no_deadline ? no_deadline : s.world.now_ns + limit_ns),
          began(s.world.now_ns),
          task(s.rt, [this, &s, outcomes, first = true](zyntax_op *op, Waker *waker, int64_t *result) mutable {
              if (std::exchange(first, false)) s.world.connects = outcomes;
              return zyntax_tcp_connect_to(s.rt, op, addresses.data(), addresses.size(), deadline_ns, waker, &io,
                                           result);
          }) {}

    // To its end; how long it took.
    uint64_t run() {
        CHECK(zyntax_runtime_run(sim.rt) == 0);
        return sim.world.now_ns - began;
    }
    void live(uint64_t duration_ns) const {
        uint64_t end = sim.world.now_ns + duration_ns;
        while (sim.world.now_ns < end) REQUIRE(zyntax_runtime_turn(sim.rt, int64_t(end - sim.world.now_ns)) >= 0);
        sim.settle();
    }
    bool alive() const { return task.alive(); }
    int64_t result() const { return task.result; }

    // Checks the rest: a connection or nothing.
    void has_won(intptr_t fd) const {
        CHECK(result() == 0);
        CHECK(zyntax_io_fd(io) == fd);
        CHECK(sim.world.descriptors.size() == 1);
        CHECK(sim.rt.stats().io_open == 1);
        CHECK(sim.rt.stats().timers_pending == 0);
    }
    void has_failed(int64_t error) const {
        CHECK(result() == error);
        CHECK(io == nullptr);
        has_left_nothing();
    }
    void has_left_nothing() const {
        CHECK(sim.world.descriptors.empty());
        CHECK(sim.rt.stats().io_open == 0);
        CHECK(sim.rt.stats().timers_pending == 0);
    }
};

// The deed of a descriptor's peer, at its time.
void answer(Sim &sim, intptr_t fd, uint64_t after_ns, int32_t error = 0) {
    sim.world.after(after_ns, [&world = sim.world, fd, error] {
        Endpoint &endpoint = world.descriptors.at(fd);
        endpoint.connecting = false;
        endpoint.error = error;
    });
}

std::string in_order(const std::vector<std::string> &tried) {
    std::string all;
    for (const std::string &one : tried) all += (all.empty() ? "" : " ") + one;
    return all;
}

constexpr int32_t silent = ZYNTAX_EAGAIN, refused = ZYNTAX_ECONNREFUSED, unreachable = ZYNTAX_ENETUNREACH;

} // namespace

TEST_CASE("a_first_address_that_never_answers_costs_250_ms_exactly") {
    Sim sim;
    Contest contest(sim, "44", {silent, 0});
    CHECK(contest.run() == delay);
    contest.has_won(4);
    CHECK(in_order(sim.world.tried) == "4#0 4#1");
}

TEST_CASE("a_connect_asks_for_an_error_after_an_event_only") {
    for (int32_t outcome : {0, silent, refused}) {
        CAPTURE(outcome);
        Sim sim;
        Contest contest(sim, "4", {outcome ? silent : 0});
        if (outcome) answer(sim, 3, 5 * ms, outcome == refused ? refused : 0);
        contest.run();
        CHECK(contest.result() == (outcome == refused ? refused : 0));
        CHECK(sim.world.errors_asked == (outcome != 0));
    }
}

TEST_CASE("by_name_it_costs_the_same") {
    Sim sim;
    zyntax_io *io = nullptr;
    sim.world.names["host"] = 2;
    sim.world.families = "64";
    sim.world.connects = {silent, 0};
    Await task(sim.rt, connecting(sim.rt, "host", 80, &io));
    uint64_t began = sim.world.now_ns;
    CHECK(zyntax_runtime_run(sim.rt) == 0);
    CHECK(task.result == 0);
    CHECK(sim.world.now_ns - began == delay);
    CHECK(in_order(sim.world.tried) == "6#0 4#1");
    CHECK(sim.world.descriptors.size() == 1);
}

TEST_CASE("each_silent_address_costs_250_ms_more") {
    for (size_t dead : {1u, 2u, 7u, 300u}) {
        CAPTURE(dead);
        Sim sim;
        std::deque<int32_t> outcomes(dead, silent);
        outcomes.push_back(0);
        Contest contest(sim, std::string(dead + 1, '4'), outcomes);
        CHECK(contest.run() == dead * delay);
        contest.has_won(intptr_t(3 + dead));
        CHECK(sim.world.tried.size() == dead + 1);
    }
}

TEST_CASE("an_address_that_refuses_costs_nothing") {
    for (size_t dead : {1u, 2u, 500u}) {
        CAPTURE(dead);
        Sim sim;
        std::deque<int32_t> outcomes(dead, refused);
        outcomes.push_back(0);
        Contest contest(sim, std::string(dead + 1, '6'), outcomes);
        CHECK(contest.run() == 0);
        contest.has_won(3);
    }
}

TEST_CASE("an_address_that_refuses_later_costs_the_time_until_then") {
    Sim sim;
    Contest contest(sim, "444", {silent, silent, 0});
    answer(sim, 3, 30 * ms, refused);
    answer(sim, 3, 100 * ms, unreachable); // the second has the number by then
    CHECK(contest.run() == 100 * ms);
    CHECK(contest.result() == 0);
    CHECK(in_order(sim.world.tried) == "4#0 4#1 4#2");
}

TEST_CASE("the_delay_is_counted_from_the_last_attempt") {
    Sim sim;
    Contest contest(sim, "4444", {silent, silent, silent, 0});
    answer(sim, 3, 100 * ms, refused);
    // Attempts at 0, 100 (as the first failed), 350 and 600.
    CHECK(contest.run() == 600 * ms);
    CHECK(contest.result() == 0);
}

TEST_CASE("one_failure_begins_one_attempt") {
    Sim sim;
    Contest contest(sim, "444444", std::deque<int32_t>(6, silent));
    contest.live(2 * delay);
    CHECK(sim.world.tried.size() == 3);
    for (auto &[fd, endpoint] : sim.world.descriptors) endpoint.error = refused;
    sim.settle();
    CHECK(sim.world.tried.size() == 4);
    CHECK(contest.alive());
    contest.task.cancel();
    sim.settle();
    contest.has_left_nothing();
}

TEST_CASE("families_alternate_and_begin_with_the_first") {
    struct {
        const char *families, *order;
    } const lists[] = {
        {"4", "4#0"},
        {"64", "6#0 4#1"},
        {"46", "4#0 6#1"},
        {"6644", "6#0 4#2 6#1 4#3"},
        {"446664", "4#0 6#2 4#1 6#3 4#5 6#4"},
        {"66664", "6#0 4#4 6#1 6#2 6#3"},
        {"6444", "6#0 4#1 4#2 4#3"},
        {"464646", "4#0 6#1 4#2 6#3 4#4 6#5"},
        {"666", "6#0 6#1 6#2"},
    };
    for (const auto &list : lists) {
        const char *families = list.families, *order = list.order;
        CAPTURE(families);
        Sim sim;
        Contest contest(sim, families, std::deque<int32_t>(std::strlen(families), refused));
        contest.run();
        contest.has_failed(refused);
        CHECK(in_order(sim.world.tried) == order);

        Sim *again = &sim;
        zyntax_io *io = nullptr;
        again->world.tried.clear();
        again->world.names["host"] = int32_t(std::strlen(families));
        again->world.families = families;
        again->world.connects.assign(std::strlen(families), refused);
        CHECK(await(sim.rt, connecting(sim.rt, "host", 80, &io)) == refused);
        CHECK(in_order(sim.world.tried) == order);
    }
}

TEST_CASE("when_all_fail_it_is_the_first_addresss_error_whenever_that_came") {
    {
        Sim sim;
        Contest contest(sim, "444", {unreachable, refused, ZYNTAX_EHOSTUNREACH});
        CHECK(contest.run() == 0);
        contest.has_failed(unreachable);
    }
    {
        Sim sim;
        Contest contest(sim, "464", {silent, refused, ZYNTAX_EHOSTUNREACH});
        answer(sim, 3, 21 * second, ZYNTAX_ETIMEDOUT);
        CHECK(contest.run() == 21 * second);
        contest.has_failed(ZYNTAX_ETIMEDOUT);
    }
}

TEST_CASE("the_first_connection_wins_and_the_losers_are_closed_before_the_call_returns") {
    Sim sim;
    Contest contest(sim, "444", {silent, silent, silent});
    sim.world.after(2 * delay + 1, [&] { answer(sim, 4, 100 * ms); });
    CHECK(contest.run() == 2 * delay + 1 + 100 * ms);
    contest.has_won(4);
}

TEST_CASE("of_connections_at_the_same_moment_the_older_attempt_wins") {
    Sim sim;
    Contest contest(sim, "444", {silent, silent, silent});
    contest.live(2 * delay);
    REQUIRE(sim.world.descriptors.size() == 3);
    for (auto &[fd, endpoint] : sim.world.descriptors) endpoint.connecting = fd == 3;
    contest.run();
    contest.has_won(4);
}

TEST_CASE("a_connection_that_comes_with_the_timer_wins_and_no_attempt_begins") {
    Sim sim;
    Contest contest(sim, "44", {silent, silent});
    answer(sim, 3, delay);
    contest.run();
    contest.has_won(3);
    CHECK(sim.world.tried.size() == 1);
}

TEST_CASE("a_single_address_needs_no_timer_and_several_need_one") {
    Sim sim;
    {
        Contest alone(sim, "4", {silent});
        sim.settle();
        CHECK(sim.rt.stats().timers_pending == 0);
    }
    sim.settle();
    Contest several(sim, "4444", {silent, silent, silent, silent});
    for (int i = 0; i < 3; i++) {
        several.live(i ? delay : 0);
        sim.settle();
        CHECK(sim.rt.stats().timers_pending == 1);
    }
    several.live(delay);
    CHECK(sim.world.descriptors.size() == 4);
    CHECK(sim.rt.stats().timers_pending == 0); // no address is left
    several.task.cancel();
    sim.settle();
    several.has_left_nothing();
}

TEST_CASE("spurious_reports_begin_no_attempt") {
    Sim sim;
    Contest contest(sim, "44", {silent, silent});
    sim.settle();
    for (int i = 0; i < 5; i++) {
        sim.world.report(3, every_bit);
        sim.settle();
    }
    CHECK(sim.world.tried.size() == 1);
    CHECK(contest.alive());
    answer(sim, 3, 10 * ms);
    CHECK(contest.run() == 10 * ms);
    contest.has_won(3);
}

TEST_CASE("without_descriptors_the_next_address_waits_for_one_and_is_not_lost") {
    Sim sim;
    sim.world.descriptors_max = 1;
    Contest contest(sim, "444", {silent, silent, 0});
    contest.live(2 * delay); // the attempts at 250 and 500 ms found none
    CHECK(contest.alive());
    CHECK(sim.rt.stats().timers_pending == 1);
    CHECK(sim.world.descriptors.size() == 1);
    sim.world.descriptors_max = SIZE_MAX;
    sim.world.connects = {0};
    CHECK(contest.run() == 3 * delay);
    contest.has_won(4);
    CHECK(sim.world.tried.back() == "4#1");
}

TEST_CASE("a_failed_attempt_makes_room_for_the_next_address") {
    Sim sim;
    sim.world.descriptors_max = 1;
    Contest contest(sim, "444", {silent, silent, 0});
    contest.live(delay);
    sim.world.connects = {0};
    answer(sim, 3, 10 * ms, refused);
    CHECK(contest.run() == delay + 10 * ms);
    contest.has_won(3);
    CHECK(sim.world.tried.back() == "4#1");
}

TEST_CASE("without_any_descriptor_it_is_emfile_at_once") {
    Sim sim;
    sim.world.descriptors_max = 0;
    Contest contest(sim, "4444", {});
    CHECK(contest.run() == 0);
    contest.has_failed(ZYNTAX_EMFILE);
}

TEST_CASE("without_a_registration_the_next_address_waits_too") {
    Sim sim;
    Contest contest(sim, "44", {silent, 0, 0});
    sim.settle();
    sim.world.add_error = ZYNTAX_ENOSPC;
    CHECK(contest.run() == 2 * delay);
    contest.has_won(4);
}

TEST_CASE("a_deadline_ends_all_attempts_at_its_time") {
    for (uint64_t limit : {uint64_t{1}, 100 * ms, delay, delay + 1, 600 * ms, 3600 * second}) {
        CAPTURE(limit);
        Sim sim;
        Contest contest(sim, "446", std::deque<int32_t>(3, silent), limit);
        CHECK(contest.run() == limit);
        contest.has_failed(ZYNTAX_ETIMEDOUT);
        CHECK(sim.world.tried.size() == std::min<uint64_t>(3, 1 + (limit - 1) / delay));
    }
}

TEST_CASE("a_deadline_does_not_change_a_race_that_ends_before_it") {
    Sim sim;
    Contest contest(sim, "44", {silent, 0}, delay + 1);
    CHECK(contest.run() == delay);
    contest.has_won(4);
    Sim *same = &sim;
    CHECK(zyntax_io_close(contest.io) == 0);
    Contest refusing(*same, "44", {refused, unreachable}, second);
    CHECK(refusing.run() == 0);
    refusing.has_failed(refused);
}

TEST_CASE("a_connection_at_the_deadline_wins") {
    Sim sim;
    Contest contest(sim, "4", {silent}, 100 * ms);
    answer(sim, 3, 100 * ms);
    contest.run();
    contest.has_won(3);
}

TEST_CASE("a_deadline_that_has_passed_begins_nothing") {
    Sim sim;
    const auto addresses = addresses_of("44");
    zyntax_io *io = nullptr;
    for (uint64_t deadline : {uint64_t{0}, sim.world.now_ns - 1, sim.world.now_ns}) {
        int64_t result = await(sim.rt, connecting_to(sim.rt, addresses.data(), addresses.size(), deadline, &io));
        CHECK(result == ZYNTAX_ETIMEDOUT);
    }
    CHECK(sim.world.tried.empty());
    CHECK(io == nullptr);
}

TEST_CASE("arguments_that_are_no_addresses_are_einval_and_begin_nothing") {
    Sim sim;
    auto good = addresses_of("46"), bad = addresses_of("460");
    zyntax_io *io = nullptr;
    auto result = [&](const zyntax_address *list, size_t n, zyntax_io **out) {
        return await(sim.rt, connecting_to(sim.rt, list, n, no_deadline, out));
    };
    CHECK(result(nullptr, 2, &io) == ZYNTAX_EINVAL);
    CHECK(result(good.data(), 0, &io) == ZYNTAX_EINVAL);
    CHECK(result(bad.data(), 3, &io) == ZYNTAX_EINVAL);
    CHECK(result(good.data(), 2, nullptr) == ZYNTAX_EINVAL);
    CHECK(await(sim.rt, connecting_to(nullptr, good.data(), 2, no_deadline, &io)) == ZYNTAX_EINVAL);
    for (uint16_t family : {1, 2, 5, 10, 23, 65535}) {
        good[0].family = family;
        CHECK(result(good.data(), 2, &io) == ZYNTAX_EINVAL);
    }
    CHECK(sim.world.tried.empty());
    CHECK(sim.rt.stats().io_open == 0);
}

TEST_CASE("the_addresses_are_copied_by_the_first_call") {
    Sim sim;
    Contest contest(sim, "464", {silent, silent, 0});
    sim.settle();
    std::memset(contest.addresses.data(), 0xa5, contest.addresses.size() * sizeof contest.addresses[0]);
    contest.addresses.clear();
    CHECK(contest.run() == 2 * delay);
    CHECK(contest.result() == 0);
    CHECK(in_order(sim.world.tried) == "4#0 6#1 4#2");
}

TEST_CASE("a_race_can_be_cancelled_at_every_step") {
    for (int steps = 0; steps < 30; steps++) {
        for (int end = 0; end < 4; end++) {
            CAPTURE(steps);
            CAPTURE(end);
            Sim sim;
            std::deque<int32_t> outcomes;
            for (int i = 0; i < 40; i++) outcomes.push_back(i % 3 == 2 ? refused : silent);
            Contest contest(sim, "4646464646464646464646464646", outcomes, 100 * second);
            for (int i = 0; i < steps; i++) {
                sim.world.now_ns += i % 4 == 3 ? delay : 40 * ms;
                if (i % 5 == 4 && !sim.world.descriptors.empty()) sim.world.descriptors.begin()->second.error = refused;
                zyntax_runtime_turn(sim.rt, 0);
            }
            if (end == 0) contest.task.cancel();
            if (end == 1) zyntax_op_cancel(&contest.task.task.op);
            if (end == 2) sim.rt.destroy();
            if (end == 3) contest.task.task.op = 0; // forgotten: the end of the task frees it
            if (end == 3) contest.task.cancel();
            if (end == 2) {
                CHECK(sim.world.descriptors.empty());
                continue;
            }
            if (end == 1) contest.has_left_nothing();
            contest.task.cancel();
            sim.settle();
            contest.has_left_nothing();
        }
    }
}

TEST_CASE("a_race_without_memory_is_enomem_or_goes_on_and_leaves_nothing") {
    for (bool persistent : {false, true}) {
        uint64_t failed = 1;
        for (uint64_t nth = 1; failed; nth++) {
            CAPTURE(nth);
            CAPTURE(persistent);
            Sim sim;
            const auto addresses = addresses_of("4646464646");
            zyntax_io *io = nullptr;
            int64_t result = unfinished;
            Task task;
            task.on_poll = [&](Waker *waker) {
                return zyntax_tcp_connect_to(sim.rt, &task.op, addresses.data(), addresses.size(), no_deadline, waker,
                                             &io, &result);
            };
            sim.world.connects = {silent, silent, silent, silent, refused, silent, silent, silent, silent, 0};
            REQUIRE(task.spawn(sim.rt) != nullptr);
            sim.heap.persistent = persistent;
            sim.heap.fail_at = nth;
            for (int i = 0; i < 10; i++) {
                zyntax_runtime_turn(sim.rt, 0);
                sim.world.now_ns += delay;
            }
            failed = sim.heap.failures;
            sim.heap.fail_at = 0;
            for (int i = 0; i < 10; i++) {
                sim.world.now_ns += delay;
                for (auto &[fd, endpoint] : sim.world.descriptors) endpoint.connecting = false;
                zyntax_runtime_turn(sim.rt, 0);
            }
            CHECK_FALSE(task.alive());
            CHECK((result == 0 || (failed && result == ZYNTAX_ENOMEM)));
            CHECK(sim.world.descriptors.size() == (result == 0 ? 1 : 0));
            CHECK(sim.rt.stats().io_open == (result == 0 ? 1 : 0));
            CHECK(sim.rt.stats().timers_pending == 0);
        }
    }
}

TEST_CASE("more_addresses_than_memory_can_hold_are_enomem") {
    Sim sim;
    const auto address = addresses_of("4");
    zyntax_io *io = nullptr;
    sim.heap.persistent = true;
    sim.heap.fail_at = 1;
    std::vector<zyntax_address> many(100'000, address[0]);
    int64_t result = 0;
    zyntax_op op = 0;
    Waker waker = nobody();
    CHECK(zyntax_tcp_connect_to(sim.rt, &op, many.data(), many.size(), no_deadline, &waker, &io, &result) ==
          POLL_READY);
    CHECK(result == ZYNTAX_ENOMEM);
    CHECK(op == 0);
    sim.heap.fail_at = 0;
}

TEST_CASE("a_hosts_waker_is_called_once_for_all_that_happens_at_the_same_time") {
    Sim sim;
    const auto addresses = addresses_of("444");
    zyntax_io *io = nullptr;
    sim.world.connects = {silent, silent, silent};
    HostOp call(connecting_to(sim.rt, addresses.data(), addresses.size(), no_deadline, &io));
    CHECK(call.call() == POLL_PENDING);
    for (int i = 1; i <= 2; i++) {
        sim.turn_and_sleep();
        CHECK(call.host.wakes == i);
        sim.settle();
        CHECK(call.host.wakes == i);
        CHECK(call.call() == POLL_PENDING);
    }
    REQUIRE(sim.world.descriptors.size() == 3);
    for (auto &[fd, endpoint] : sim.world.descriptors) {
        endpoint.connecting = fd == 3;
        endpoint.error = fd == 3 ? refused : 0;
    }
    sim.settle();
    CHECK(call.host.wakes == 3);
    CHECK(call.call() == POLL_READY);
    CHECK(call.result == 0);
    sim.settle();
    CHECK(call.host.wakes == 3);
    CHECK_FALSE(call.host.was_inline);
    CHECK_FALSE(call.host.was_late);
    CHECK(zyntax_io_fd(io) == 4);
    CHECK(sim.world.descriptors.size() == 1);
}

TEST_CASE("a_hosts_race_ends_with_the_runtime") {
    Sim sim;
    const auto addresses = addresses_of("444");
    zyntax_io *io = nullptr;
    sim.world.connects = {refused, silent, silent};
    HostOp call(connecting_to(sim.rt, addresses.data(), addresses.size(), no_deadline, &io));
    CHECK(call.call() == POLL_PENDING);
    call.host.action = [&] {
        CHECK(call.call() == POLL_READY);
        CHECK(call.result == ZYNTAX_ECANCELED);
    };
    sim.rt.destroy();
    CHECK(call.host.wakes <= 1);
    CHECK(sim.world.descriptors.empty());
}

TEST_CASE("another_task_may_go_on_with_a_race") {
    Sim sim;
    const auto addresses = addresses_of("44");
    zyntax_io *io = nullptr;
    zyntax_op op = 0;
    int64_t result = unfinished;
    sim.world.connects = {silent, 0};
    auto poll = [&](Waker *waker) {
        return zyntax_tcp_connect_to(sim.rt, &op, addresses.data(), addresses.size(), no_deadline, waker, &io, &result);
    };
    Task first{poll}, second{poll};
    first.spawn(sim.rt);
    sim.settle();
    second.spawn(sim.rt);
    sim.settle();
    CHECK(zyntax_task_cancel(first.handle) == 0);
    sim.settle();
    CHECK(second.alive());
    CHECK(zyntax_runtime_run(sim.rt) == 0);
    CHECK(result == 0);
    CHECK(sim.world.descriptors.size() == 1);
}

TEST_CASE("an_op_of_another_kind_of_connect_is_cancelled_and_the_call_begins_anew") {
    Sim sim;
    const auto addresses = addresses_of("6");
    zyntax_io *io = nullptr;
    int64_t result = unfinished;
    int polls = 0;
    Task task;
    task.on_poll = [&](Waker *waker) {
        if (polls++ == 0) return zyntax_tcp_connect(sim.rt, &task.op, "10.0.0.1", 80, waker, &io, &result);
        return zyntax_tcp_connect_to(sim.rt, &task.op, addresses.data(), 1, no_deadline, waker, &io, &result);
    };
    sim.world.connects = {silent, silent};
    task.spawn(sim.rt);
    sim.settle();
    CHECK(in_order(sim.world.tried) == "4#0");
    sim.world.report(3, writable);
    sim.settle();
    CHECK(in_order(sim.world.tried) == "4#0 6#0");
    CHECK(sim.world.descriptors.size() == 1);
}

TEST_CASE("the_dump_shows_a_look_up_and_then_a_race") {
    Sim sim;
    zyntax_io *io = nullptr;
    sim.world.names["host"] = 2;
    sim.world.connects = {silent, silent};
    CHECK(waits_for(sim.rt, connecting(sim.rt, "host", 80, &io)) == ZYNTAX_WAIT_BLOCKING);
    Await task(sim.rt, connecting(sim.rt, "host", 80, &io));
    sim.settle();
    sim.world.run_threads();
    sim.settle();
    CHECK(dump(sim.rt)[task.task.handle].waits == ZYNTAX_WAIT_WRITABLE);
}

TEST_CASE("at_the_end_of_time_a_race_waits_without_a_timer") {
    Sim sim(UINT64_MAX - 1);
    Contest contest(sim, "44", {silent, silent});
    sim.settle();
    sim.world.now_ns = UINT64_MAX;
    for (int i = 0; i < 5; i++) sim.settle();
    CHECK(contest.alive());
    CHECK(sim.rt.stats().timers_pending == 0);
    answer(sim, 3, 0);
    contest.run();
    CHECK(contest.result() == 0);
}

TEST_CASE("resolve_counts_every_address_once_and_stores_those_that_there_is_room_for") {
    for (int32_t count : {1, 8, 9, 300}) {
        for (size_t room : {0u, 1u, 8u, 9u, 400u}) {
            CAPTURE(count);
            CAPTURE(room);
            Sim sim;
            sim.world.names["host"] = count;
            sim.world.families = "46";
            std::vector<zyntax_address> found(room + 1);
            std::memset(found.data(), 0xa5, found.size() * sizeof found[0]);
            const zyntax_address untouched = found[0];
            zyntax_address *out = room ? found.data() : nullptr;
            CHECK(await(sim.rt, resolving(sim.rt, "host", out, room)) == count);
            for (size_t i = 0; i < found.size(); i++) {
                bool is_stored = i < std::min(room, size_t(count));
                zyntax_address expected = {uint16_t(i == 1 ? 6 : 4), 0, 0, {uint8_t(i), uint8_t(i >> 8)}};
                CHECK(std::memcmp(&found[i], is_stored ? &expected : &untouched, sizeof expected) == 0);
            }
            CHECK(sim.world.looked_up == (count > 8 ? 2 : 1));
            CHECK(sim.rt.stats().blocking_pending == 0);
        }
    }
}

TEST_CASE("resolve_leaves_out_addresses_that_were_there_already") {
    Sim sim;
    sim.world.names["host"] = 12;
    sim.world.names_differ = 3;
    sim.world.families = "444444444446"; // the last has the number of another one, but not its family
    zyntax_address found[8] = {};
    CHECK(await(sim.rt, resolving(sim.rt, "host", found, 8)) == 4);
    CHECK(found[2].ip[0] == 2);
    CHECK(found[3].family == 6);
    CHECK(found[4].family == 0);
}

TEST_CASE("resolve_of_a_numeric_host_is_ready_at_once") {
    Sim sim;
    zyntax_address found = {};
    int64_t result = unfinished;
    Task task;
    task.on_poll = [&](Waker *waker) {
        CHECK(zyntax_resolve(sim.rt, &task.op, "10.0.0.1", &found, 1, waker, &result) == POLL_READY);
        return POLL_READY;
    };
    task.spawn(sim.rt);
    sim.settle();
    CHECK(result == 1);
    CHECK(found.family == 4);
    CHECK(sim.world.threads.empty());
}

TEST_CASE("errors_of_a_look_up_are_resolves") {
    Sim sim;
    zyntax_address found = {};
    sim.world.names["busy"] = ZYNTAX_EAGAIN;
    CHECK(await(sim.rt, resolving(sim.rt, "nobody", &found, 1)) == ZYNTAX_ENOENT);
    CHECK(await(sim.rt, resolving(sim.rt, "busy", &found, 1)) == ZYNTAX_EAGAIN);
    CHECK(await(sim.rt, resolving(sim.rt, nullptr, &found, 1)) == ZYNTAX_EINVAL);
    CHECK(await(sim.rt, resolving(sim.rt, std::string(256, 'a').c_str(), &found, 1)) == ZYNTAX_EINVAL);
    CHECK(await(sim.rt, resolving(sim.rt, "host", nullptr, 1)) == ZYNTAX_EINVAL);
    CHECK(await(sim.rt, resolving(nullptr, "host", &found, 1)) == ZYNTAX_EINVAL);
    sim.world.can_start_threads = false;
    sim.world.names["host"] = 1;
    CHECK(found.family == 0);
}

TEST_CASE("resolve_can_be_cancelled_forgotten_and_destroyed_at_every_step") {
    for (int steps = 0; steps < 6; steps++) {
        for (int end = 0; end < 4; end++) {
            CAPTURE(steps);
            CAPTURE(end);
            Sim sim;
            sim.world.names["host"] = 20;
            zyntax_address found[20] = {};
            Await task(sim.rt, resolving(sim.rt, "host", found, 20));
            for (int i = 0; i < steps; i++) {
                if (i % 2) sim.world.run_threads();
                else zyntax_runtime_turn(sim.rt, 0);
            }
            if (end == 0) task.cancel();
            if (end == 1) zyntax_op_cancel(&task.task.op);
            if (end == 2) task.task.op = 0;
            if (end == 3) {
                sim.rt.destroy();
                continue;
            }
            task.cancel();
            sim.settle();
            sim.world.run_threads();
            sim.settle();
            CHECK(sim.rt.stats().blocking_pending == 0);
        }
    }
}

TEST_CASE("resolve_without_memory_is_enomem_and_leaves_nothing") {
    for (bool persistent : {false, true}) {
        uint64_t failed = 1;
        for (uint64_t nth = 1; failed; nth++) {
            CAPTURE(nth);
            Sim sim;
            sim.world.names["host"] = 20;
            zyntax_address found[20] = {};
            Task task;
            int64_t result = unfinished;
            task.on_poll = [&](Waker *waker) {
                return zyntax_resolve(sim.rt, &task.op, "host", found, 20, waker, &result);
            };
            REQUIRE(task.spawn(sim.rt) != nullptr);
            sim.heap.persistent = persistent;
            sim.heap.fail_at = nth;
            for (int i = 0; i < 10; i++) {
                zyntax_runtime_turn(sim.rt, 0);
                sim.world.run_threads();
            }
            failed = sim.heap.failures;
            sim.heap.fail_at = 0;
            CHECK_FALSE(task.alive());
            CHECK((result == 20 || (failed && result == ZYNTAX_ENOMEM)));
            CHECK(sim.rt.stats().blocking_pending == 0);
        }
    }
}
