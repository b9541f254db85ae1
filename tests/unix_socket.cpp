// Unix-domain stream sockets: names, listeners, connections and pairs, and their errors.
#include "unix_support.h"

using namespace support;

TEST_CASE("a_path_is_listened_on_connected_to_and_accepted_from") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket");
    zyntax_io *listener = rt.listener(path), *near = rt.client(path), *far = rt.accept(listener);
    CHECK(is_socket_file(path));
    rt.talk(near, far);
    rt.talk(far, near);
    CHECK(zyntax_tcp_port(listener) == ZYNTAX_EINVAL);
    CHECK(rt.stats().io_open == 3);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("these_sockets_do_not_block_or_outlive_exec") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket");
    zyntax_io *listener = rt.listener(path), *near = rt.client(path), *far = rt.accept(listener);
    auto [one, other] = rt.pair();
    for (zyntax_io *io : {listener, near, far, one, other}) {
        CHECK_FALSE(is_blocking(rt.fd(io)));
        CHECK_FALSE(is_inheritable(rt.fd(io)));
    }
}

TEST_CASE("the_addresses_of_unix_sockets_are_of_no_family") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket");
    zyntax_io *listener = rt.listener(path), *near = rt.client(path), *far = rt.accept(listener);
    auto [one, other] = rt.pair();
    for (zyntax_io *io : {near, far, one, other, listener}) {
        zyntax_address local, peer;
        std::memset(&local, 0x5a, sizeof local);
        peer = local;
        CHECK(zyntax_io_local(io, &local) == 0);
        CHECK(local.family == 0);
        CHECK(zyntax_io_peer(io, &peer) == (io == listener ? ZYNTAX_ENOTCONN : 0));
        if (io != listener) CHECK(peer.family == 0);
    }
}

TEST_CASE("an_accept_waits_for_a_unix_client") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket");
    zyntax_io *made = nullptr;
    Await accept(rt, accepting(rt.listener(path), &made));
    settle(rt);
    CHECK(accept.alive());
    CHECK(rt.idle_waits() <= idle_budget);
    rt.client(path);
    CHECK(rt.drive_until([&] { return !accept.alive(); }));
    CHECK(accept.result == 0);
}

TEST_CASE("a_plain_unix_listener_given_to_io_open_is_accepted_from") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket");
    Fd plain = plain_unix_listener(path, 4);
    rt.talk_through(adopt(rt, plain), path);
}

TEST_CASE("a_shutdown_ends_the_stream_in_one_direction") {
    NEEDS_UNIX_SOCKETS
    UnixRuntime rt;
    auto [one, other] = rt.pair();
    char buf[4];
    CHECK(zyntax_tcp_shutdown(one) == 0);
    CHECK(await(rt, reading(other, buf, sizeof buf)) == 0);
    CHECK(await(rt, writing(one, "x", 1)) == ZYNTAX_EPIPE);
    rt.talk(other, one);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("the_length_counts_and_the_bytes_behind_it_are_not_read") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket"), more = path + "-and-more";
    zyntax_io *listener = nullptr;
    REQUIRE(zyntax_unix_listen(rt, more.data(), path.size(), &listener) == 0);
    CHECK(is_socket_file(path));
    CHECK_FALSE(is_socket_file(more));
    int64_t result = await(rt, [&](zyntax_op *op, Waker *waker, int64_t *r) {
        return zyntax_unix_connect(rt, op, more.data(), path.size(), waker, &rt.out, r);
    });
    CHECK(result == 0);
}

TEST_CASE("a_path_may_fill_all_the_room") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    for (size_t size : {longest_path - 1, longest_path}) {
        std::string path = folder.file(std::string(size - folder.path.size() - 1, 'p'));
        REQUIRE(path.size() == size);
        std::vector<char> exactly(path.begin(), path.end()); // a sanitizer sees a read behind it
        zyntax_io *listener = nullptr;
        REQUIRE(zyntax_unix_listen(rt, exactly.data(), exactly.size(), &listener) == 0);
        CHECK(is_socket_file(path));
        rt.talk_through(listener, path);
    }
    std::string longer(longest_path + 1, 'p');
    CHECK(rt.listen(longer) == ZYNTAX_EINVAL);
    CHECK(rt.connect(longer) == ZYNTAX_EINVAL);
}

TEST_CASE("lengths_and_bytes_that_no_name_has_are_einval") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    int before = fd_count();
    std::string path = folder.file("socket"), inside = path + std::string("\0x", 2), behind = path + '\0';
    for (const std::string &name : {std::string(), inside, behind}) {
        CHECK(rt.listen(name) == ZYNTAX_EINVAL);
        CHECK(rt.connect(name) == ZYNTAX_EINVAL);
    }
    for (size_t size : {longest_path + 1, size_t{1} << 31, SIZE_MAX}) { // nothing is read for them
        CHECK(zyntax_unix_listen(rt, path.data(), size, &rt.out) == ZYNTAX_EINVAL);
        CHECK(await(rt, [&](zyntax_op *op, Waker *waker, int64_t *r) {
                  return zyntax_unix_connect(rt, op, path.data(), size, waker, &rt.out, r);
              }) == ZYNTAX_EINVAL);
    }
    CHECK(std::filesystem::is_empty(folder.path));
    CHECK(rt.out == nullptr);
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
}

TEST_CASE("null_arguments_of_unix_sockets_are_einval") {
    UnixRuntime rt;
    zyntax_io *out = nullptr;
    CHECK(zyntax_unix_listen(nullptr, "a", 1, &out) == ZYNTAX_EINVAL);
    CHECK(zyntax_unix_listen(rt, nullptr, 1, &out) == ZYNTAX_EINVAL);
    CHECK(zyntax_unix_listen(rt, "a", 1, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_unix_pair(nullptr, &out, &rt.out) == ZYNTAX_EINVAL);
    CHECK(zyntax_unix_pair(rt, nullptr, &out) == ZYNTAX_EINVAL);
    CHECK(zyntax_unix_pair(rt, &out, nullptr) == ZYNTAX_EINVAL);
    CHECK(zyntax_unix_pair(rt, &out, &out) == ZYNTAX_EINVAL);
    Await task(rt, [&](zyntax_op *op, Waker *waker, int64_t *result) {
        int64_t r[6] = {1, 1, 1, 1, 1, 1};
        Waker none{};
        CHECK(zyntax_unix_connect(rt, op, nullptr, 1, waker, &out, &r[0]) == POLL_READY);
        CHECK(zyntax_unix_connect(rt, op, "a", 1, waker, nullptr, &r[1]) == POLL_READY);
        CHECK(zyntax_unix_connect(rt, op, "a", 1, nullptr, &out, &r[2]) == POLL_READY);
        CHECK(zyntax_unix_connect(rt, nullptr, "a", 1, waker, &out, &r[3]) == POLL_READY);
        CHECK(zyntax_unix_connect(nullptr, op, "a", 1, waker, &out, &r[4]) == POLL_READY);
        CHECK(zyntax_unix_connect(rt, op, "a", 1, &none, &out, &r[5]) == POLL_READY);
        for (int64_t code : r) CHECK(code == ZYNTAX_EINVAL);
        CHECK(zyntax_unix_connect(rt, op, "a", 1, waker, &out, nullptr) == POLL_READY);
        *result = 0;
        return POLL_READY;
    });
    CHECK(rt.drain());
    CHECK(rt.stats().io_open == 0);
}

TEST_CASE("all_bytes_of_an_abstract_name_count") {
    NEEDS_UNIX_SOCKETS
    UnixRuntime rt;
    Folder folder;
    std::string name = '\0' + folder.path;
    if (!has_abstract_names) {
        CHECK(rt.listen(name) == ZYNTAX_EINVAL);
        CHECK(rt.connect(name) == ZYNTAX_EINVAL);
        return;
    }
    std::vector<std::string> names{name, name + "2", name + '\0', name + std::string("\0x", 2)};
    names.push_back(name + std::string(longest_path - name.size(), 'n'));
    std::vector<zyntax_io *> listeners;
    for (const std::string &each : names) listeners.push_back(rt.listener(each));
    for (size_t i = 0; i < names.size(); i++) {
        rt.talk_through(listeners[i], names[i]); // not another one's
    }
    for (size_t i = 0; i < names.size(); i++) {
        Fd plain; // with the exact size
        REQUIRE(connect_plainly(names[i], &plain));
        zyntax_io_close(rt.accept(listeners[i]));
    }
    CHECK(rt.listen(name) == ZYNTAX_EADDRINUSE);
    CHECK(rt.connect(name + "3") == ZYNTAX_ECONNREFUSED);
    zyntax_io_close(listeners[0]);
    CHECK(rt.listen(name) == 0); // there is no file that stays
    CHECK(rt.listen(name + std::string(longest_path, 'n')) == ZYNTAX_EINVAL);
    CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("a_path_that_exists_is_eaddrinuse_and_nothing_is_unlinked") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    std::string alive = folder.file("alive"), dead = folder.file("dead"), file = folder.file("file");
    rt.listener(alive);
    Child child([&] { return zyntax_unix_listen(zyntax_runtime_create(), dead.data(), dead.size(), &rt.out) ? 1 : 0; });
    REQUIRE(child.end() == 0);
    REQUIRE(std::fclose(std::fopen(file.c_str(), "w")) == 0);
    int before = fd_count();
    for (const std::string &path : {alive, dead, file, folder.path}) {
        CAPTURE(path);
        CHECK(rt.listen(path) == ZYNTAX_EADDRINUSE);
        CHECK(std::filesystem::exists(path));
    }
    CHECK(is_socket_file(dead));
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 1);
    rt.client(alive); // it listens as before
    CHECK(rt.connect(dead) == ZYNTAX_ECONNREFUSED);
    std::filesystem::remove(dead);
    CHECK(rt.listen(dead) == 0);
}

TEST_CASE("the_file_stays_when_its_listener_is_closed") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    std::string path = folder.file("socket"), other = folder.file("other");
    {
        UnixRuntime rt;
        rt.listener(other);
        CHECK(zyntax_io_close(rt.listener(path)) == 0);
        CHECK(is_socket_file(path));
        CHECK(rt.connect(path) == ZYNTAX_ECONNREFUSED);
        CHECK(rt.listen(path) == ZYNTAX_EADDRINUSE);
    }
    CHECK(is_socket_file(other));
}

TEST_CASE("errors_of_the_file_system_are_the_results") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    int before = fd_count();
    std::string file = folder.file("file"), closed = folder.file("closed"), loop = folder.file("loop");
    REQUIRE(std::fclose(std::fopen(file.c_str(), "w")) == 0);
    std::filesystem::create_symlink(loop, loop);
    CHECK(rt.listen(folder.file("missing/socket")) == ZYNTAX_ENOENT);
    CHECK(rt.listen(file + "/socket") == ZYNTAX_ENOTDIR);
    CHECK(rt.listen(loop + "/socket") == ZYNTAX_ELOOP);
    CHECK(rt.connect(folder.file("missing/socket")) == ZYNTAX_ENOENT);
    CHECK(rt.connect(folder.file("missing")) == ZYNTAX_ENOENT);
    CHECK(rt.connect(file + "/socket") == ZYNTAX_ENOTDIR);
    CHECK(rt.connect(loop) == ZYNTAX_ELOOP);
    std::filesystem::create_directory(closed);
    std::filesystem::permissions(closed, std::filesystem::perms::none);
    if (!is_privileged()) {
        CHECK(rt.listen(closed + "/socket") == ZYNTAX_EACCES);
        CHECK(rt.connect(closed + "/socket") == ZYNTAX_EACCES);
    }
    std::filesystem::permissions(closed, std::filesystem::perms::all);
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
}

TEST_CASE("a_path_where_no_stream_listens_refuses") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    std::string bound = folder.file("bound"), file = folder.file("file"), datagrams = folder.file("datagrams");
    Fd quiet = plain_unix_listener(bound, -1), others = plain_unix_listener(datagrams, -1, SOCK_DGRAM);
    REQUIRE(std::fclose(std::fopen(file.c_str(), "w")) == 0);
    int before = fd_count();
    CHECK(rt.connect(bound) == ZYNTAX_ECONNREFUSED);
    CHECK(rt.connect(file) == ZYNTAX_ECONNREFUSED);
    CHECK(rt.connect(datagrams) == ZYNTAX_EOPNOTSUPP);
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_pair_is_connected_both_ways_and_either_end_may_close") {
    NEEDS_UNIX_SOCKETS
    UnixRuntime rt;
    int before = fd_count();
    auto [one, other] = rt.pair();
    CHECK(fd_count() == before + 2);
    rt.talk(one, other);
    rt.talk(other, one);
    char buf[4];
    zyntax_io_close(one);
    CHECK(await(rt, reading(other, buf, sizeof buf)) == 0);
    CHECK(await(rt, writing(other, "x", 1)) == ZYNTAX_EPIPE);
    zyntax_io_close(other);
    CHECK(fd_count() == before);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("without_a_free_descriptor_unix_sockets_are_emfile_and_change_nothing") {
    NEEDS_UNIX_SOCKETS
    SKIP_WHEN(on_libkqueue, "libkqueue closes its descriptors later, from a thread of its own");
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket"), another = folder.file("another");
    rt.listener(path);
    rt.out = nullptr;
    zyntax_io *one = nullptr, *other = nullptr;
    int before = fd_count();
    for (int spare : {0, 1}) {
        FewDescriptors few(spare);
        CHECK(zyntax_unix_pair(rt, &one, &other) == ZYNTAX_EMFILE);
        if (spare > 0) continue;
        CHECK(rt.listen(another) == ZYNTAX_EMFILE);
        CHECK(rt.connect(path) == ZYNTAX_EMFILE);
    }
    CHECK_FALSE(std::filesystem::exists(another));
    CHECK((rt.out == nullptr && one == nullptr && other == nullptr));
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 1);
    CHECK(rt.connect(path) == 0);
    CHECK(zyntax_unix_pair(rt, &one, &other) == 0);
}

TEST_CASE("without_memory_unix_sockets_are_enomem_and_change_nothing") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    std::string path = folder.file("socket");
    Fd listener = plain_unix_listener(path, 100);
    for (int call : {0, 1, 2}) {
        CAPTURE(call);
        uint64_t failures = 1, most = 0;
        for (uint64_t n = 1; failures; n++) {
            CAPTURE(n);
            Heap heap;
            {
                UnixRuntime rt(heap.config());
                int before = fd_count();
                std::string another = folder.file("another");
                zyntax_io *one = nullptr, *other = nullptr;
                ScopedTask task(rt);
                int64_t result = 1;
                task.on_poll = [&](Waker *waker) {
                    heap.fail_at = n;
                    if (call == 0) result = rt.listen(another);
                    if (call == 1) result = zyntax_unix_pair(rt, &one, &other);
                    if (call == 2)
                        CHECK(zyntax_unix_connect(rt, &task.op, path.data(), path.size(), waker, &one, &result) ==
                              POLL_READY);
                    heap.fail_at = 0;
                    return POLL_READY;
                };
                task.start();
                CHECK(rt.drain());
                failures = heap.failures;
                CHECK(result == (failures ? ZYNTAX_ENOMEM : 0));
                CHECK(std::filesystem::exists(another) == (call == 0 && !failures));
                if (failures) CHECK(fd_count() == before);
                if (failures) CHECK(rt.stats().io_open == 0);
                std::filesystem::remove(another);
                most = n;
            }
            CHECK(heap.balanced());
        }
        CHECK(most > 1); // some allocation failed
    }
}

TEST_CASE("a_thousand_connections_at_once") {
    NEEDS_UNIX_SOCKETS
    constexpr int count = scaled(1000);
    ManyDescriptors many;
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket");
    zyntax_io *listener = rt.listener(path);
    std::vector<zyntax_io *> near(count), far(count);
    std::vector<std::unique_ptr<Await>> connects, accepts;
    for (size_t i = 0; i < count; i++) {
        connects.push_back(std::make_unique<Await>(rt, unix_connecting(rt, path, &near[i])));
        accepts.push_back(std::make_unique<Await>(rt, accepting(listener, &far[i])));
    }
    CHECK(rt.drain());
    for (size_t i = 0; i < count; i++) REQUIRE((connects[i]->result == 0 && accepts[i]->result == 0));
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        auto number = uint32_t(i), got = uint32_t(0);
        CHECK(await(rt, writing(near[i], &number, sizeof number)) == sizeof number);
        CHECK(await(rt, reading(far[i], &got, sizeof got)) == sizeof got);
        sum += got;
    }
    CHECK(sum == int64_t(count) * (count - 1) / 2);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_forked_child_closes_its_copies_and_the_parent_goes_on") {
    NEEDS_UNIX_SOCKETS
    SKIP_WHEN(!has_fork || on_libkqueue, "this system has no fork, or libkqueue's thread is lost by it");
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket");
    zyntax_io *listener = rt.listener(path);
    auto [one, other] = rt.pair();
    Child child([&] {
        int before = fd_count();
        rt.destroy();
        return before - fd_count() >= 3 ? 0 : 1;
    });
    CHECK(child.end() == 0);
    rt.talk(one, other);
    rt.talk_through(listener, path);
}

TEST_CASE("nothing_is_opened_while_the_runtime_is_being_destroyed") {
    NEEDS_UNIX_SOCKETS
    Folder folder;
    UnixRuntime rt;
    std::string path = folder.file("socket");
    int before = fd_count();
    int32_t listened = 1, paired = 1;
    int64_t connected = 1;
    Task task;
    task.on_poll = [](Waker *) { return POLL_PENDING; };
    Waker nobody{nullptr, [](void *) {}};
    task.on_drop = [&](int32_t) {
        zyntax_io *one, *other;
        zyntax_op op = 0;
        listened = rt.listen(path);
        paired = zyntax_unix_pair(rt, &one, &other);
        CHECK(zyntax_unix_connect(rt, &op, path.data(), path.size(), &nobody, &one, &connected) == POLL_READY);
    };
    task.spawn(rt);
    zyntax_runtime_destroy(rt.rt);
    rt.rt = nullptr;
    CHECK(listened == ZYNTAX_ECANCELED);
    CHECK(paired == ZYNTAX_ECANCELED);
    CHECK(connected == ZYNTAX_ECANCELED);
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK(fd_count() <= before);
}

TEST_CASE("where_there_are_no_unix_sockets_the_system_or_the_library_says_so") {
    SKIP_WHEN(has_local_sockets, "this system has them");
    UnixRuntime rt;
    int before = fd_count();
    zyntax_io *one = nullptr, *other = nullptr;
    int32_t listened = rt.listen("zyntax-test-socket");
    int64_t connected = rt.connect("zyntax-test-missing");
    CHECK((listened == 0 || listened == ZYNTAX_EAFNOSUPPORT));
    CHECK((connected == ZYNTAX_ECONNREFUSED || connected == ZYNTAX_ENOENT || connected == ZYNTAX_EAFNOSUPPORT));
    CHECK(zyntax_unix_pair(rt, &one, &other) == ZYNTAX_ENOSYS);
    if (listened == 0) zyntax_io_close(rt.out);
    std::error_code ignored;
    std::filesystem::remove("zyntax-test-socket", ignored);
    CHECK(fd_count() == before);
    CHECK(rt.stats().io_open == 0);
}
