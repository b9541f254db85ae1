// The name of a task, in the dump.
#include "dump_support.h"

#include <deque>
#include <string>

using namespace support;

namespace {

// A copy, as the pointer is valid during the visit only; "-" when there is none.
std::string name_shown(zyntax_runtime *rt, zyntax_task *task) {
    std::pair<zyntax_task *, std::string> search{task, "no such task"};
    auto visit = [](void *user, const zyntax_task_info *info) {
        auto *wanted = static_cast<decltype(search) *>(user);
        if (info->task == wanted->first) wanted->second = info->name ? info->name : "-";
    };
    zyntax_runtime_dump(rt, visit, &search);
    return search.second;
}

struct Nameable : Task {
    explicit Nameable(zyntax_runtime *rt) : Task{[](Waker *) { return POLL_PENDING; }} { REQUIRE(spawn(rt)); }
};

std::string shown_as(zyntax_runtime *rt, zyntax_task *task, const std::string &name) {
    CHECK(zyntax_task_name(task, name.c_str()) == 0);
    return name_shown(rt, task);
}

} // namespace

TEST_CASE("a_task_has_no_name_until_it_is_given_one_and_null_removes_it") {
    Runtime rt;
    Nameable task(rt), other(rt);
    CHECK(name_shown(rt, task.handle) == "-");
    CHECK(shown_as(rt, task.handle, "reader") == "reader");
    CHECK(name_shown(rt, other.handle) == "-");
    CHECK(shown_as(rt, task.handle, "a writer now") == "a writer now");
    CHECK(zyntax_task_name(task.handle, nullptr) == 0);
    CHECK(name_shown(rt, task.handle) == "-");
    CHECK(zyntax_task_name(task.handle, nullptr) == 0);
    CHECK(shown_as(rt, task.handle, "") == "");
    CHECK(shown_as(rt, task.handle, "again") == "again");
}

TEST_CASE("the_name_is_the_last_member_of_the_task_info") {
    size_t end = offsetof(zyntax_task_info, name) + sizeof(const char *); // padding may follow
    CHECK(end <= sizeof(zyntax_task_info));
    CHECK(sizeof(zyntax_task_info) - end < alignof(zyntax_task_info));
}

TEST_CASE("a_name_is_a_copy") {
    Runtime rt;
    Nameable task(rt);
    char text[] = "copied";
    REQUIRE(zyntax_task_name(task.handle, text) == 0);
    text[0] = 'X';
    CHECK(name_shown(rt, task.handle) == "copied");
}

TEST_CASE("a_name_is_cut_after_31_bytes") {
    Runtime rt;
    Nameable task(rt);
    for (size_t length : {size_t(1), size_t(30), size_t(31), size_t(32), size_t(100), size_t(5000)}) {
        std::string name(length, 'n');
        CHECK(shown_as(rt, task.handle, name) == name.substr(0, 31));
    }
    char unended[31]; // nothing behind the 31 bytes that count and the next one is read
    std::memset(unended, 'u', sizeof unended);
    std::string exact(unended, sizeof unended);
    CHECK(shown_as(rt, task.handle, exact) == exact);
}

TEST_CASE("a_name_is_cut_at_the_end_of_a_character") {
    Runtime rt;
    Nameable task(rt);
    const std::string characters[] = {"n", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\x80"};
    for (const std::string &character : characters) {
        for (size_t before = 0; before <= 31; before++) {
            CAPTURE(character);
            CAPTURE(before);
            std::string start(before, 'a'), name = start;
            while (name.size() < 40) name += character;
            size_t whole = (31 - before) / character.size();
            CHECK(shown_as(rt, task.handle, name) == name.substr(0, before + whole * character.size()));
        }
    }
}

TEST_CASE("a_name_that_is_no_utf_8_is_cut_after_31_bytes") {
    Runtime rt;
    Nameable task(rt);
    std::string name(40, '\x80');
    CHECK(shown_as(rt, task.handle, name) == name.substr(0, 31));
}

TEST_CASE("a_name_does_not_pass_to_children_or_to_the_next_task_in_the_place") {
    Runtime rt;
    Task child{[](Waker *) { return POLL_PENDING; }};
    ScopedTask parent(rt);
    parent.on_poll = [&](Waker *) {
        child.spawn(rt);
        return POLL_READY;
    };
    parent.start();
    CHECK(shown_as(rt, parent.handle, "parent") == "parent");
    settle(rt);
    CHECK(name_shown(rt, child.handle) == "-");
    std::deque<Nameable> next;
    for (int i = 0; i < 300; i++) CHECK(name_shown(rt, next.emplace_back(rt).handle) == "-");
}

TEST_CASE("name_and_word_go_together") {
    Runtime rt;
    int target = 0;
    void *seen = nullptr;
    Task task{[&](Waker *) {
        zyntax_task_set_local(&target);
        CHECK(zyntax_task_name(task.handle, "both") == 0);
        return POLL_PENDING;
    }};
    task.on_drop = [&](int32_t) { seen = zyntax_task_local(); };
    REQUIRE(task.spawn(rt) != nullptr);
    CHECK(zyntax_task_name(task.handle, "before") == 0);
    settle(rt);
    CHECK(name_shown(rt, task.handle) == "both");
    CHECK(zyntax_task_name(task.handle, nullptr) == 0);
    zyntax_task_cancel(task.handle);
    settle(rt);
    CHECK(seen == &target);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("only_a_live_task_has_a_name") {
    Runtime rt;
    Nameable task(rt);
    int32_t in_drop = 0;
    task.on_drop = [&](int32_t) { in_drop = zyntax_task_name(task.handle, "late"); };
    zyntax_task_cancel(task.handle);
    CHECK(shown_as(rt, task.handle, "canceled, not dropped") == "canceled, not dropped");
    settle(rt);
    CHECK(task.drops == 1);
    CHECK(in_drop == ZYNTAX_ESTALE);
    CHECK(zyntax_task_name(task.handle, "stale") == ZYNTAX_ESTALE);
    CHECK(zyntax_task_name(task.handle, nullptr) == ZYNTAX_ESTALE);
    CHECK(zyntax_task_name(nullptr, "nobody") == ZYNTAX_ESTALE);
    auto *random = reinterpret_cast<zyntax_task *>(uintptr_t(0x123457));
    CHECK(zyntax_task_name(random, "random") == ZYNTAX_ESTALE);
    CHECK(rt.stats().bytes_in_use == 0);
}

TEST_CASE("a_task_of_a_runtime_that_another_thread_drives_cannot_be_named") {
    SKIP_WHEN(!has_threads, "no threads");
    Runtime rt;
    Nameable task(rt);
    std::atomic<bool> drives{false}, done{false};
    ScopedTask gate(rt);
    gate.on_poll = [&](Waker *) {
        drives = true;
        while (!done) yield();
        return POLL_READY;
    };
    gate.start();
    Thread driver([&] { zyntax_runtime_turn(rt, 0); });
    while (!drives) yield();
    CHECK(zyntax_task_name(task.handle, "mine") == ZYNTAX_ESTALE);
    done = true;
    driver.join();
    CHECK(name_shown(rt, task.handle) == "-");
}

TEST_CASE("without_memory_nothing_changes") {
    constexpr size_t record_bytes = 4 * sizeof(void *), name_bytes = 32;
    Heap heap;
    {
        Runtime rt(heap.config());
        Nameable named(rt), other(rt);
        REQUIRE(zyntax_task_name(named.handle, "named") == 0);
        std::vector<std::pair<void *, size_t>> blocks;
        void *for_name = zyntax_state_alloc(rt, name_bytes), *for_record = zyntax_state_alloc(rt, record_bytes);
        heap.fail_at = 1;
        heap.persistent = true;
        for (size_t size : {name_bytes, record_bytes})
            while (void *block = zyntax_state_alloc(rt, size)) blocks.emplace_back(block, size);
        CHECK(zyntax_task_name(other.handle, "other") == ZYNTAX_ENOMEM);
        CHECK(name_shown(rt, other.handle) == "-");
        zyntax_state_free(rt, for_record, record_bytes);
        CHECK(zyntax_task_name(other.handle, "other") == ZYNTAX_ENOMEM);
        CHECK(name_shown(rt, other.handle) == "-");
        zyntax_state_free(rt, for_name, name_bytes);
        CHECK(shown_as(rt, named.handle, "needs no memory") == "needs no memory");
        CHECK(zyntax_task_name(other.handle, "other") == 0);
        heap.fail_at = 0;
        heap.persistent = false;
        for (auto [block, size] : blocks) zyntax_state_free(rt, block, size);
    }
    CHECK(heap.balanced());
}

TEST_CASE("names_come_and_go_without_an_allocation_when_warm") {
    Heap heap;
    Runtime rt(heap.config());
    auto round = [&] {
        Nameable task(rt);
        CHECK(zyntax_task_name(task.handle, "warm") == 0);
        zyntax_task_cancel(task.handle);
        settle(rt);
    };
    round();
    uint64_t allocations = heap.allocations;
    for (int i = 0; i < 10; i++) round();
    CHECK(heap.allocations == allocations);
    CHECK(rt.stats().bytes_in_use == 0);
}
