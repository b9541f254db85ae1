// zyntax_async.zrtl under a model of Zyntax's own executor, which polls every pending root in turn, without a pause. An
// executable of its own, which is not linked with the library.
#include "compiled_support.h"

#include <cstddef>
#include <ctime>
#include <deque>
#include <dlfcn.h>
#include <sys/resource.h>

using namespace support;

namespace {

// The data that Zyntax's loader reads.
struct Signature {
    uint8_t parameters, flags;
    uint32_t result, types[16];
};
struct Symbol {
    const char *name;
    const void *function;
    const Signature *signature;
};
struct Info {
    uint32_t version;
    const char *name;
};

struct Plugin {
    void *handle = dlopen(ZYNTAX_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    const Symbol *symbols = nullptr;

    Plugin() {
        REQUIRE(handle != nullptr);
        symbols = static_cast<const Symbol *>(dlsym(handle, "_zrtl_symbols"));
        REQUIRE(symbols != nullptr);
    }
    ~Plugin() { dlclose(handle); }
    Plugin(const Plugin &) = delete;
    Plugin &operator=(const Plugin &) = delete;

    template <class Function> Function *find(const char *name) const {
        for (const Symbol *symbol = symbols; symbol->name != nullptr; symbol++) {
            if (std::strcmp(symbol->name, name) == 0)
                return reinterpret_cast<Function *>(const_cast<void *>(symbol->function));
        }
        FAIL("no symbol ", name);
        return nullptr;
    }

    using Number = int64_t(int64_t);
    using Await = zyntax_promise *(int64_t);
    using Transfer = zyntax_promise *(int64_t, void *, int64_t);

    zyntax_promise *sleep(int64_t ms_) const { return find<Await>("$Async$sleep")(ms_); }
    zyntax_promise *yield() const { return find<zyntax_promise *()>("$Async$yield")(); }
    zyntax_promise *accept(int64_t l) const { return find<Await>("$Async$tcp_accept")(l); }
    zyntax_promise *read(int64_t io, void *buf, int64_t n) const {
        return find<Transfer>("$Async$tcp_read")(io, buf, n);
    }
    zyntax_promise *write(int64_t io, const void *buf, int64_t n) const {
        return find<Transfer>("$Async$tcp_write")(io, const_cast<void *>(buf), n);
    }
    zyntax_promise *join(int64_t task) const { return find<Await>("$Async$join")(task); }
    int64_t close(int64_t io) const { return find<Number>("$Async$tcp_close")(io); }
    int64_t port(int64_t io) const { return find<Number>("$Async$tcp_port")(io); }
    int64_t cancel(int64_t task) const { return find<Number>("$Async$cancel")(task); }
    int64_t spawn(const zyntax_promise *p) const { return find<int64_t(const zyntax_promise *)>("$Async$spawn")(p); }
    int64_t block_on(const zyntax_promise *p) const {
        return find<int64_t(const zyntax_promise *)>("$Async$block_on")(p);
    }
};

// The layout of strings in newer versions of Zyntax, with a header of 16 bytes. Older versions have the first member
// alone.
struct Header {
    uint32_t bytes, characters, aux, flags;
};
constexpr uint32_t is_utf8 = 1, marked = 1u << 31;
constexpr size_t short_header = 4;

// A string as Zyntax passes it: no byte more than it has.
struct String {
    std::unique_ptr<char[]> bytes;
    explicit String(const std::string &text, size_t header_size = short_header, uint32_t flags = marked | is_utf8)
        : bytes(new char[header_size + text.size()]) {
        Header header = {uint32_t(text.size()), uint32_t(text.size()), 0, flags};
        std::memcpy(bytes.get(), &header, header_size);
        std::memcpy(bytes.get() + header_size, text.data(), text.size());
    }
    const void *get() const { return bytes.get(); }
};

zyntax_promise *resolve(const Plugin &plugin, const String &host) {
    return plugin.find<zyntax_promise *(const void *)>("$Async$resolve")(host.get());
}
int64_t listen(const Plugin &plugin, const String &address = String("127.0.0.1")) {
    return plugin.find<int64_t(const void *, int64_t)>("$Async$tcp_listen")(address.get(), 0);
}
zyntax_promise *connect(const Plugin &plugin, const String &host, int64_t port) {
    return plugin.find<zyntax_promise *(const void *, int64_t)>("$Async$tcp_connect")(host.get(), port);
}
zyntax_promise *connect(const Plugin &plugin, const std::string &host, int64_t port) {
    return connect(plugin, String(host), port);
}

// The data that the loader of a newer version hands over.
size_t allocated, freed;
void *allocate_string(size_t size) {
    allocated++;
    return std::malloc(size);
}
void free_string(void *string) {
    freed++;
    std::free(string);
}
void set_allocator(const Plugin &plugin) {
    using Set = void(void *(*)(size_t), void (*)(void *));
    auto *set = reinterpret_cast<Set *>(dlsym(plugin.handle, "_zrtl_set_allocator"));
    REQUIRE((set != nullptr));
    allocated = freed = 0;
    set(allocate_string, free_string);
}
void set_immortal_table(const Plugin &plugin) {
    auto *set = reinterpret_cast<void (*)(const void *)>(dlsym(plugin.handle, "_zrtl_set_immortal_table"));
    REQUIRE((set != nullptr));
    static const char table[16] = {};
    set(table);
}

// The text of a string that the plugin made.
std::string text_of(int64_t value, size_t header_size) {
    Header header = {};
    REQUIRE(value > 0);
    auto *string = reinterpret_cast<const char *>(uintptr_t(value));
    std::memcpy(&header, string, header_size);
    if (header_size > short_header) {
        CHECK(header.characters == header.bytes);
        CHECK(header.aux == 0);
        CHECK(header.flags == (marked | is_utf8));
    }
    return std::string(string + header_size, header.bytes);
}

// Zyntax's drive_until: every pending root is polled, again and again. The number of rounds, or 0 after deadline_ms.
uint64_t drive_until(std::vector<Compiled *> roots) {
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
    for (uint64_t rounds = 1;; rounds++) {
        bool pending = false;
        for (Compiled *root : roots) {
            if (root->result != unfinished) continue;
            int64_t value = Compiled::poll(root);
            if (value != 0) root->result = value;
            pending = pending || value == 0;
        }
        if (!pending) return rounds;
        if (std::chrono::steady_clock::now() >= end) return 0;
    }
}

// A grammar keeps numbers of 64 bits and strings as they are. It takes pointers for its type Any, which Zyntax boxes,
// and numbers as wide as a pointer for 32 bits; a result of 32 bits loses its sign in an await.
bool is_kept_by_a_grammar(uint32_t type) { return type == 0x0402 || type == 0x05; }

double cpu_ms() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    auto milliseconds = [](const timeval &t) { return double(t.tv_sec) * 1e3 + double(t.tv_usec) / 1e3; };
    return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
}
double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace

TEST_CASE("the_loader_finds_its_symbols_and_nothing_else_is_exported") {
    Plugin plugin;
    auto *info = static_cast<const Info *>(dlsym(plugin.handle, "_zrtl_info"));
    REQUIRE(info != nullptr);
    CHECK(info->version == 1);
    CHECK(std::string(info->name) == "zyntax_async");
    static_assert(sizeof(Symbol) == 24 && sizeof(Signature) == 72);
    size_t count = 0;
    for (const Symbol *symbol = plugin.symbols; symbol->name != nullptr; symbol++, count++) {
        CAPTURE(symbol->name);
        CHECK(std::strncmp(symbol->name, "$Async$", 7) == 0);
        CHECK(symbol->function != nullptr);
        REQUIRE(symbol->signature != nullptr);
        CHECK(symbol->signature->parameters <= 3);
        CHECK(symbol->signature->result != 0);
        for (int i = 0; i < 16; i++) CHECK((symbol->signature->types[i] != 0) == (i < symbol->signature->parameters));
        CHECK(is_kept_by_a_grammar(symbol->signature->result));
        for (int i = 0; i < symbol->signature->parameters; i++)
            CHECK(is_kept_by_a_grammar(symbol->signature->types[i]));
    }
    CHECK(count == 14);
    for (const char *name : {"zyntax_runtime_create", "zyntax_promise_sleep", "zyntax_runtime_symbols"})
        CHECK(dlsym(plugin.handle, name) == nullptr);
}

TEST_CASE("many_sleeps_take_the_time_of_the_longest_and_next_to_no_work") {
    Plugin plugin;
    Compiled warm({[&] { return plugin.sleep(1); }});
    drive_until({&warm});
    std::deque<Compiled> sleepers;
    std::vector<Compiled *> roots;
    constexpr int64_t longest = 120;
    for (int i = 0; i < 2 * deadline_ms / longest; i++) { // too many to sleep one after the other
        sleepers.emplace_back(std::vector<Maker>{[&] { return plugin.sleep(longest); }});
        roots.push_back(&sleepers.back());
    }
    double begin = now_ms(), cpu = cpu_ms();
    uint64_t rounds = drive_until(roots);
    double took = now_ms() - begin;
    for (Compiled &sleeper : sleepers) CHECK(sleeper.result == 1);
    CHECK(took >= longest);
    CHECK(rounds > 0);   // 0: not within deadline_ms
    CHECK(rounds < 500); // a host that spins makes millions
    CHECK(cpu_ms() - cpu < took / 4);
}

TEST_CASE("a_read_beside_a_sleep_is_answered_when_it_is_there") {
    Plugin plugin;
    int64_t listener = listen(plugin);
    REQUIRE(listener > 0);
    char buf[16];
    int64_t port = plugin.port(listener);
    double answered = 0, begin = now_ms();
    Compiled server({[&] { return plugin.accept(listener); },
                     [&] { return plugin.read(server.values[0], buf, sizeof buf); },
                     [&] { return plugin.read(server.values[0], buf, sizeof buf); }});
    server.returns = [&](Compiled &self) {
        answered = now_ms() - begin;
        return self.values[1] * 10000 - self.values[2];
    };
    Compiled client({[&] { return connect(plugin, "127.0.0.1", port); }, [&] { return plugin.sleep(50); },
                     [&] { return plugin.write(client.values[0], "hello", 5); }});
    client.returns = [&](Compiled &self) { return plugin.close(self.values[0]); };
    Compiled sleeper({[&] { return plugin.sleep(300); }});
    double cpu = cpu_ms();
    uint64_t rounds = drive_until({&server, &client, &sleeper});
    CHECK(server.result == 5 * 10000 + 4095); // five bytes, then the end
    CHECK(client.result == 1);
    CHECK(answered >= 50);
    CHECK(answered < 150); // not when the sleep is over
    CHECK(now_ms() - begin >= 300);
    CHECK(rounds < 2000);
    CHECK(cpu_ms() - cpu < 50);
    CHECK(plugin.close(server.values[0]) == 1);
    CHECK(plugin.close(listener) == 1);
    CHECK(plugin.close(listener) == ZYNTAX_ESTALE);
}

TEST_CASE("a_thousand_reads_at_once_wait_without_work") {
    Plugin plugin;
    int64_t listener = listen(plugin);
    REQUIRE(listener > 0);
    int64_t port = plugin.port(listener);
    constexpr size_t count = 1000;
    std::vector<std::unique_ptr<Compiled>> roots;
    std::vector<char> bytes(2 * count);
    std::vector<Compiled *> all;
    std::vector<int64_t> handles;
    for (size_t i = 0; i < count; i++) {
        roots.push_back(std::make_unique<Compiled>(
            std::vector<Maker>{[&] { return plugin.accept(listener); },
                               [&, i] { return plugin.read(roots[2 * i]->values[0], &bytes[2 * i], 1); }}));
        roots.push_back(std::make_unique<Compiled>(
            std::vector<Maker>{[&] { return connect(plugin, "127.0.0.1", port); }, [&] { return plugin.sleep(400); },
                               [&, i] { return plugin.write(roots[2 * i + 1]->values[0], "x", 1); }}));
    }
    for (auto &root : roots) all.push_back(root.get());
    // Until all of them wait: only the waiting is measured.
    auto everybody_waits = [&] {
        for (auto &root : roots) {
            if (root->values.empty()) return false;
        }
        return true;
    };
    for (int i = 0; i < 100'000 && !everybody_waits(); i++) {
        for (Compiled *root : all) Compiled::poll(root);
    }
    REQUIRE(everybody_waits());
    double begin = now_ms(), cpu = cpu_ms();
    while (now_ms() - begin < 200) {
        for (Compiled *root : all) Compiled::poll(root);
    }
    CHECK(cpu_ms() - cpu < 100); // of 200; most of it are the rounds before the first wait
    begin = now_ms();
    CHECK(drive_until(all) > 0);
    CHECK(now_ms() - begin < 2000);
    for (auto &root : roots) {
        REQUIRE(root->result == 1);
        plugin.close(root->values[0]);
    }
    plugin.close(listener);
}

TEST_CASE("tasks_are_spawned_joined_and_cancelled") {
    Plugin plugin;
    Compiled child(
        {[&] { return plugin.sleep(10); }, [&] { return plugin.yield(); }, [&] { return plugin.sleep(10); }});
    child.returns = [](Compiled &) { return int64_t(77); };
    Compiled endless({[&] { return plugin.sleep(1'000'000); }});
    int64_t task = plugin.spawn(&child.entry), doomed = plugin.spawn(&endless.entry);
    CHECK(task > 0);
    CHECK(doomed > 0);
    Compiled main({[&] { return plugin.join(task); },
                   [&] {
                       CHECK(plugin.cancel(doomed) == 1);
                       return plugin.join(doomed);
                   },
                   [&] { return plugin.join(task); }});
    double cpu = cpu_ms();
    CHECK(drive_until({&main}) > 0);
    CHECK(main.values == std::vector<int64_t>{77, ZYNTAX_ECANCELED, ZYNTAX_ESTALE});
    CHECK(cpu_ms() - cpu < 20);
    CHECK(plugin.cancel(task) == ZYNTAX_ESTALE);
    CHECK(plugin.cancel(-1) == ZYNTAX_ESTALE);
    CHECK(plugin.spawn(nullptr) == ZYNTAX_EINVAL);
}

TEST_CASE("a_task_awaits_what_the_plugin_gives_and_other_tasks") {
    Plugin plugin;
    Compiled inner({[&] { return plugin.sleep(20); }});
    inner.returns = [](Compiled &) { return int64_t(5); };
    int64_t first = 0;
    Compiled outer({[&] {
                        first = plugin.spawn(&inner.entry);
                        return plugin.sleep(5);
                    },
                    [&] { return plugin.join(first); }});
    outer.returns = [](Compiled &self) { return self.awaited_value + 1; };
    int64_t second = plugin.spawn(&outer.entry);
    Compiled main({[&] { return plugin.join(second); }});
    double cpu = cpu_ms();
    CHECK(drive_until({&main}) > 0);
    CHECK(main.result == 6);
    CHECK(outer.polls < 20); // it does not spin inside either
    CHECK(cpu_ms() - cpu < 20);
}

TEST_CASE("block_on_needs_no_executor") {
    Plugin plugin;
    Compiled code({[&] { return plugin.sleep(20); }, [&] { return plugin.sleep(20); }});
    code.returns = [](Compiled &) { return int64_t(-9); };
    double begin = now_ms(), cpu = cpu_ms();
    CHECK(plugin.block_on(&code.entry) == -9);
    CHECK(now_ms() - begin >= 40);
    CHECK(cpu_ms() - cpu < 20);
    CHECK(code.polls < 10);
}

TEST_CASE("names_are_looked_up_and_errors_are_values") {
    Plugin plugin;
    char byte = 0;
    String loopback("127.0.0.1"), none(""), too_long(std::string(256, 'x')), zero(std::string("127.0.0.1\0.x", 12));
    Compiled code({[&] { return resolve(plugin, loopback); }, [&] { return resolve(plugin, none); },
                   [&] { return resolve(plugin, too_long); }, [&] { return resolve(plugin, zero); },
                   [&] { return connect(plugin, "127.0.0.1", 0); }, [&] { return connect(plugin, "127.0.0.1", 65536); },
                   [&] { return connect(plugin, zero, 1); }, [&] { return plugin.read(0, &byte, 1); },
                   [&] { return plugin.read(1, nullptr, 1); }, [&] { return plugin.accept(12345); }});
    CHECK(drive_until({&code}) > 0);
    REQUIRE(code.values.size() == 10);
    CHECK(text_of(code.values[0], short_header) == "127.0.0.1");
    std::free(reinterpret_cast<void *>(uintptr_t(code.values[0])));
    CHECK(std::vector<int64_t>(code.values.begin() + 1, code.values.end()) ==
          std::vector<int64_t>{ZYNTAX_EINVAL, ZYNTAX_EINVAL, ZYNTAX_EINVAL, ZYNTAX_EINVAL, ZYNTAX_EINVAL, ZYNTAX_EINVAL,
                               ZYNTAX_ESTALE, ZYNTAX_EINVAL, ZYNTAX_ESTALE});
    CHECK(listen(plugin, zero) == ZYNTAX_EINVAL);
}

TEST_CASE("strings_with_the_header_of_newer_versions_are_understood_and_made") {
    Plugin plugin;
    set_allocator(plugin);
    set_immortal_table(plugin);
    String loopback("127.0.0.1", sizeof(Header)), none("", sizeof(Header)),
        unmarked("127.0.0.1", sizeof(Header), is_utf8);
    int64_t listener = listen(plugin, loopback);
    REQUIRE(listener > 0);
    int64_t port = plugin.port(listener);
    Compiled code({[&] { return resolve(plugin, loopback); }, [&] { return connect(plugin, loopback, port); },
                   [&] { return resolve(plugin, unmarked); }, [&] { return resolve(plugin, none); }});
    CHECK(drive_until({&code}) > 0);
    REQUIRE(code.values.size() == 4);
    CHECK(text_of(code.values[0], sizeof(Header)) == "127.0.0.1");
    CHECK(allocated == 1);
    free_string(reinterpret_cast<void *>(uintptr_t(code.values[0])));
    CHECK(code.values[1] > 0);
    CHECK(code.values[2] == ZYNTAX_EINVAL);
    CHECK(code.values[3] == ZYNTAX_EINVAL);
    CHECK(plugin.close(code.values[1]) == 1);
    CHECK(plugin.close(listener) == 1);
}

TEST_CASE("an_allocator_alone_says_nothing_of_the_header") {
    Plugin plugin;
    set_allocator(plugin);
    String loopback("::1");
    Compiled code({[&] { return resolve(plugin, loopback); }});
    CHECK(drive_until({&code}) > 0);
    CHECK(text_of(code.result, short_header) == "::1");
    CHECK(allocated == 1);
    free_string(reinterpret_cast<void *>(uintptr_t(code.result)));
}

TEST_CASE("an_abandoned_look_up_leaves_no_string") {
    Plugin plugin;
    set_allocator(plugin);
    String loopback("127.0.0.1");
    Compiled canceled({[&] { return resolve(plugin, loopback); }});
    int64_t task = plugin.spawn(&canceled.entry);
    zyntax_promise *abandoned = resolve(plugin, loopback);
    CHECK(abandoned->poll(abandoned->state) == 0);
    Compiled main({[&] {
                       CHECK(plugin.cancel(task) == 1);
                       return plugin.join(task);
                   },
                   [&] { return plugin.sleep(20); }, [&] { return resolve(plugin, loopback); }});
    CHECK(drive_until({&main}) > 0);
    CHECK(main.values[0] == ZYNTAX_ECANCELED);
    CHECK(text_of(main.result, short_header) == "127.0.0.1");
    free_string(reinterpret_cast<void *>(uintptr_t(main.result)));
    CHECK(allocated == 1);
}

TEST_CASE("without_a_runtime_every_maker_gives_a_promise_that_fails") {
    Plugin plugin;
    String loopback("127.0.0.1");
    char byte = 0;
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit none = {0, before.rlim_max};
    std::vector<zyntax_promise *> made;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    made = {plugin.sleep(1),           plugin.yield(),
            plugin.accept(1),          plugin.read(1, &byte, 1),
            plugin.write(1, &byte, 1), connect(plugin, loopback, 1),
            resolve(plugin, loopback), plugin.join(1)};
    int64_t listener = listen(plugin), task = plugin.spawn(made[0]);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    for (size_t i = 0; i < made.size(); i++) {
        CAPTURE(i);
        REQUIRE(made[i] != nullptr);
        CHECK(made[i]->poll(made[i]->state) == (i + 1 < made.size() ? ZYNTAX_ENOMEM : ZYNTAX_ESTALE));
    }
    CHECK(listener == ZYNTAX_ENOMEM);
    CHECK(task == ZYNTAX_ENOMEM);
}

TEST_CASE("a_poll_of_a_freed_promise_is_stale_and_a_driver_without_polls_is_replaced") {
    Plugin plugin;
    zyntax_promise *abandoned = plugin.sleep(1'000'000);
    CHECK(abandoned->poll(abandoned->state) == 0); // it drives, and is never polled again
    Compiled code({[&] { return plugin.sleep(20); }});
    CHECK(drive_until({&code}) > 0);
    CHECK(code.result == 1);
    zyntax_promise *late = plugin.yield();
    while (late->poll(late->state) == 0) {
    }
    CHECK(late->poll(late->state) == ZYNTAX_ESTALE);
}

TEST_CASE("threads_have_runtimes_of_their_own_and_unloading_leaves_nothing") {
    int before = fd_count();
    for (int round = 0; round < 20; round++) {
        Plugin plugin;
        Compiled here({[&] { return plugin.sleep(1); }}), there({[&] { return plugin.sleep(1); }});
        std::thread other([&] { drive_until({&there}); });
        drive_until({&here});
        other.join();
        CHECK(here.result == 1);
        CHECK(there.result == 1);
        int64_t listener = listen(plugin);
        REQUIRE(listener > 0);
        zyntax_promise *pending = plugin.accept(listener);
        CHECK(pending->poll(pending->state) == 0);
    }
    void *loaded = dlopen(ZYNTAX_PLUGIN, RTLD_NOW | RTLD_NOLOAD);
    CHECK(loaded == nullptr);
    CHECK(fd_count() == before);
}
