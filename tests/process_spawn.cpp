// zyntax_process_spawn: the child's descriptors, signals and texts, and the errors of programs that cannot start.
#include "process_support.h"

#include <csignal>
#include <sys/stat.h>

using namespace support;

namespace {

// A folder with files, which is removed with the object.
struct ScriptFolder {
    std::string path = "/tmp/zyntax-test-XXXXXX";
    ScriptFolder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
    ~ScriptFolder() { std::filesystem::remove_all(path); }
    ScriptFolder(const ScriptFolder &) = delete;
    ScriptFolder &operator=(const ScriptFolder &) = delete;
    void put_file(const std::string &name, const std::string &text, mode_t mode) const {
        std::string file = path + "/" + name;
        { std::ofstream(file) << text; }
        REQUIRE(chmod(file.c_str(), mode) == 0);
    }
};

// The host's PATH, while the object lives.
struct SearchPath {
    std::string before = std::getenv("PATH") ? std::getenv("PATH") : "";
    explicit SearchPath(const std::string &path) { setenv("PATH", path.c_str(), 1); }
    ~SearchPath() { setenv("PATH", before.c_str(), 1); }
    SearchPath(const SearchPath &) = delete;
    SearchPath &operator=(const SearchPath &) = delete;
};

// The error of a spawn, which must change nothing.
int32_t refused(Runtime &rt, const Command &command) {
    zyntax_io *untouched = reinterpret_cast<zyntax_io *>(uintptr_t(1)), *pipes[3] = {untouched, untouched, untouched};
    auto *nobody = reinterpret_cast<zyntax_process *>(uintptr_t(1)), *process = nobody;
    zyntax_runtime_stats before = rt.stats();
    int fds = fd_count();
    int32_t error = command.spawn(rt, pipes, &process);
    if (error == 0) return 0;
    CHECK(process == nobody);
    for (zyntax_io *io : pipes) CHECK(io == untouched);
    CHECK(fd_count() == fds);
    CHECK(rt.stats().io_open == before.io_open);
    CHECK(rt.stats().bytes_in_use == before.bytes_in_use);
    int status;
    CHECK(waitpid(-1, &status, WNOHANG) == -1); // no child is left
    CHECK(errno == ECHILD);
    return error;
}

} // namespace

TEST_CASE("a_child_gets_its_arguments_as_they_are") {
    Runtime rt;
    Command command{
        {"/bin/sh", "-c", "for word; do printf '<%s>' \"$word\"; done", "sh", "", "a b", "\"q\"", "\n", "*"}};
    CHECK(output_of(rt, command).text == "<><a b><\"q\"><\n><*>");
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("without_arguments_a_child_gets_the_file_alone") {
    Runtime rt;
    ScriptFolder folder;
    folder.put_file("count", "#!/bin/sh\necho \"$# $0\"\n", 0700);
    std::string file = folder.path + "/count";
    zyntax_process_options options{};
    options.size = sizeof options;
    options.file = file.c_str();
    options.stdio[0] = options.stdio[2] = ZYNTAX_STDIO_NULL;
    options.stdio[1] = ZYNTAX_STDIO_PIPE;
    zyntax_io *pipes[3];
    zyntax_process *process;
    REQUIRE(zyntax_process_spawn(rt, &options, pipes, &process) == 0);
    Reader reader(rt, pipes[1]);
    CHECK(rt.drive_until([&] { return !reader.alive(); }));
    CHECK(reader.data == "0 " + file + "\n");
    CHECK(await(rt, ending(process)) == 0);
}

TEST_CASE("the_first_argument_may_differ_from_the_file") {
    Runtime rt;
    Command command{{"another", "-c", "echo $0"}};
    command.file = "/bin/sh";
    CHECK(output_of(rt, command).text == "another\n");
}

TEST_CASE("a_child_inherits_the_environment_or_gets_another") {
    Runtime rt;
    setenv("ZYNTAX_TEST_SETTING", "from the host", 1);
    Command command = shell("echo ${ZYNTAX_TEST_SETTING-none} ${OTHER-none}");
    CHECK(output_of(rt, command).text == "from the host none\n");
    command.has_env = true;
    CHECK(output_of(rt, command).text == "none none\n");
    command.env = {"OTHER=new", "X="};
    CHECK(output_of(rt, command).text == "none new\n");
    unsetenv("ZYNTAX_TEST_SETTING");
}

TEST_CASE("an_environment_of_a_megabyte_arrives") {
    Runtime rt;
    Command command = shell("env | wc -c");
    command.has_env = true;
    command.env.push_back("PATH=/usr/bin:/bin");
    size_t size = 0;
    for (int i = 0; size < mib; i++) {
        command.env.push_back("V" + std::to_string(i) + "=" + std::string(1000, 'v'));
        size += command.env.back().size() + 1;
    }
    Output output = output_of(rt, command);
    CHECK(output.status == 0);
    CHECK(std::stoul(output.text) >= size);
}

TEST_CASE("arguments_or_an_environment_that_are_too_long_are_e2big") {
    Runtime rt;
    Command command = shell("true");
    command.args.push_back(std::string(16 * mib, 'a'));
    CHECK(refused(rt, command) == ZYNTAX_E2BIG);
    Command other = shell("true");
    other.has_env = true;
    other.env = {std::string(16 * mib, 'e')};
    CHECK(refused(rt, other) == ZYNTAX_E2BIG);
}

TEST_CASE("a_child_begins_in_the_directory_where_a_relative_file_is_found") {
    Runtime rt;
    ScriptFolder folder;
    folder.put_file("here", "#!/bin/sh\npwd\n", 0700);
    Command command{{"./here"}};
    command.directory = folder.path;
    CHECK(output_of(rt, command).text == std::filesystem::canonical(folder.path).string() + "\n");
    command.directory = "/";
    CHECK(refused(rt, command) == ZYNTAX_ENOENT);
}

TEST_CASE("a_directory_that_is_missing_or_none_is_an_error") {
    Runtime rt;
    Command command = shell("true");
    command.directory = "/no/such/directory";
    CHECK(refused(rt, command) == ZYNTAX_ENOENT);
    command.directory = "/bin/sh";
    CHECK(refused(rt, command) == ZYNTAX_ENOTDIR);
}

TEST_CASE("a_file_that_cannot_be_run_is_an_error") {
    Runtime rt;
    ScriptFolder folder;
    folder.put_file("forbidden", "#!/bin/sh\n", 0600);
    folder.put_file("script", "echo no shell runs this\n", 0700);
    folder.put_file("lost", "#!/no/such/interpreter\n", 0700);
    CHECK(refused(rt, {{"/no/such/file"}}) == ZYNTAX_ENOENT);
    CHECK(refused(rt, {{"/"}}) == ZYNTAX_EACCES);
    CHECK(refused(rt, {{"/bin/sh/x"}}) == ZYNTAX_ENOTDIR);
    CHECK(refused(rt, {{folder.path + "/forbidden"}}) == ZYNTAX_EACCES);
    CHECK(refused(rt, {{folder.path + "/script"}}) == ZYNTAX_ENOEXEC);
    CHECK(refused(rt, {{folder.path + "/lost"}}) == ZYNTAX_ENOENT);
    CHECK(refused(rt, {{"/" + std::string(10'000, 'n')}}) == ZYNTAX_ENAMETOOLONG);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_file_without_a_slash_is_searched_in_the_path_of_the_host") {
    Runtime rt;
    ScriptFolder first, second;
    first.put_file("program", "forbidden", 0600);
    second.put_file("program", "#!/bin/sh\necho found\n", 0700);
    Command command{{"program"}};
    CHECK(refused(rt, command) == ZYNTAX_ENOENT);
    {
        SearchPath both(first.path + ":/no/such:/bin/sh:" + std::string(5000, 'l') + ":" + second.path);
        CHECK(output_of(rt, command).text == "found\n"); // a file that may not be run is skipped
        command.has_env = true;                          // another PATH in the child changes nothing
        command.env = {"PATH=/nowhere"};
        CHECK(output_of(rt, command).text == "found\n");
    }
    {
        SearchPath forbidden(first.path + ":/no/such");
        CHECK(refused(rt, command) == ZYNTAX_EACCES);
    }
    {
        SearchPath script(first.path);
        first.put_file("script", "echo no shell runs this\n", 0700);
        CHECK(refused(rt, {{"script"}}) == ZYNTAX_ENOEXEC);
    }
    for (const char *path : {"", ":/no/such", "/no/such:"}) {
        SearchPath empty(path); // an empty part is the working directory
        Command here{{"program"}};
        here.directory = second.path;
        CHECK(output_of(rt, here).text == "found\n");
    }
    Command nameless{{"x"}};
    nameless.args[0].clear();
    CHECK(refused(rt, nameless) == ZYNTAX_ENOENT);
}

TEST_CASE("without_a_path_the_usual_folders_are_searched") {
    Runtime rt;
    SearchPath before("");
    unsetenv("PATH");
    CHECK(output_of(rt, {{"sh", "-c", "echo there"}}).text == "there\n");
}

TEST_CASE("pipes_carry_data_to_and_from_a_child") {
    Runtime rt;
    zyntax_io *pipes[3] = {nullptr, nullptr, nullptr};
    Command command = shell("cat; echo failure >&2; exit 3");
    for (intptr_t &what : command.stdio) what = ZYNTAX_STDIO_PIPE;
    zyntax_process *process = begin(rt, command, pipes);
    std::string text(mib, 'd');
    {
        Reader out(rt, pipes[1]), err(rt, pipes[2]);
        Writer in(rt, pipes[0], text);
        CHECK(rt.drive_until([&] { return !in.alive(); }));
        CHECK(in.last > 0);
        CHECK(zyntax_io_close(pipes[0]) == 0); // the child reads the end
        CHECK(rt.drive_until([&] { return !out.alive() && !err.alive(); }));
        CHECK(out.data == text);
        CHECK(err.data == "failure\n");
    }
    CHECK(await(rt, ending(process)) == 3);
    for (int i : {1, 2}) {
        CHECK_FALSE(is_inheritable(Descriptor(zyntax_io_fd(pipes[i]))));
        CHECK(zyntax_io_close(pipes[i]) == 0);
    }
    CHECK(rt.stats().io_open == 0);
    CHECK(rt.idle_waits() <= idle_budget);
}

TEST_CASE("a_pipe_that_was_not_asked_for_is_null") {
    Runtime rt;
    auto *other = reinterpret_cast<zyntax_io *>(uintptr_t(1));
    zyntax_io *pipes[3] = {other, other, other};
    zyntax_process *process = begin(rt, shell("true").with(2, ZYNTAX_STDIO_PIPE), pipes);
    CHECK(pipes[0] == nullptr);
    CHECK(pipes[1] == nullptr);
    CHECK(pipes[2] != nullptr);
    CHECK(zyntax_io_close(pipes[2]) == 0);
    CHECK(await(rt, ending(process)) == 0);
    process = begin(rt, shell("true"), nullptr);
    CHECK(await(rt, ending(process)) == 0);
}

TEST_CASE("the_pipes_of_a_child_block") {
    Runtime rt;
    zyntax_io *pipes[3];
    Command command = shell("read line; echo \"got $line\"").with(0, ZYNTAX_STDIO_PIPE).with(1, ZYNTAX_STDIO_PIPE);
    zyntax_process *process = begin(rt, command, pipes);
    Reader reader(rt, pipes[1]);
    CHECK_FALSE(rt.drive_until([&] { return !reader.alive(); }, 30)); // it waits for its line
    CHECK(await(rt, writing(pipes[0], "line\n", 5)) == 5);
    CHECK(rt.drive_until([&] { return !reader.alive(); }));
    CHECK(reader.data == "got line\n");
    CHECK(await(rt, ending(process)) == 0);
}

TEST_CASE("the_null_device_is_empty_and_takes_everything") {
    Runtime rt;
    CHECK(await(rt, ending(begin(rt, shell("read line && exit 1; echo x && echo y >&2")))) == 0);
}

TEST_CASE("one_descriptor_may_serve_two_of_the_child") {
    Runtime rt;
    Pair pair = pipe_to_runtime();
    Command command = shell("echo out; echo err >&2");
    command.stdio[1] = command.stdio[2] = pair.far;
    zyntax_process *process = begin(rt, command);
    CHECK(await(rt, ending(process)) == 0);
    CHECK(is_open(pair.far)); // it stays the host's
    CHECK_FALSE(is_inheritable(pair.far));
    pair.far.reset();
    zyntax_io *io = adopt(rt, pair.near);
    Reader reader(rt, io);
    CHECK(rt.drive_until([&] { return !reader.alive(); }));
    CHECK(reader.data == "out\nerr\n");
}

TEST_CASE("descriptors_0_to_2_can_be_exchanged_in_the_child") {
    Child child([] {
        Pair one = pipe_to_runtime(), two = pipe_to_runtime();
        dup2(one.far, 1);
        dup2(two.far, 2);
        one.far.reset();
        two.far.reset();
        Runtime rt;
        Command command = shell("echo out; echo err >&2");
        command.stdio[1] = 2;
        command.stdio[2] = 1;
        zyntax_process *process = nullptr;
        if (command.spawn(rt, nullptr, &process) != 0) return 1;
        if (await(rt, ending(process)) != 0) return 2;
        make_nonblocking(one.near);
        make_nonblocking(two.near);
        if (take(one.near) != "err\n" || take(two.near) != "out\n") return 3;
        command = shell("read line; echo $line >&0; echo err >&2"); // all three from one of these
        command.stdio[0] = command.stdio[1] = command.stdio[2] = 1;
        command.args[2] = "echo out; echo err >&2; echo in >&0";
        if (command.spawn(rt, nullptr, &process) != 0) return 4;
        if (await(rt, ending(process)) != 0) return 5;
        int result = take(one.near) == "out\nerr\nin\n" ? 0 : 6;
        int null = open("/dev/null", O_RDWR); // a sanitizer writes at the end
        return dup2(null, 1) == 1 && dup2(null, 2) == 2 ? result : 7;
    });
    CHECK(child.end() == 0);
}

TEST_CASE("descriptors_that_move_out_of_the_way_do_not_take_the_place_of_another") {
    Child child([] {
        Pair one = pipe_to_runtime(), two = pipe_to_runtime(), in = pipe_from_runtime();
        dup2(one.far, 1);
        dup2(two.far, 2);
        put(in.near, "in\n");
        in.near.reset();
        Runtime rt;
        close_descriptor(0);
        Command command = shell("cat; echo err >&2");
        command.stdio[0] = in.far;
        command.stdio[1] = 2;
        command.stdio[2] = 1;
        zyntax_process *process = nullptr;
        int result = command.spawn(rt, nullptr, &process) == 0 && await(rt, ending(process)) == 0 ? 0 : 1;
        make_nonblocking(one.near);
        make_nonblocking(two.near);
        if (take(one.near) != "err\n" || take(two.near) != "in\n") result = 2;
        int null = open("/dev/null", O_RDWR);
        return dup2(null, 1) == 1 && dup2(null, 2) == 2 ? result : 3;
    });
    CHECK(child.end() == 0);
}

// The pipes of the spawn itself, and those for the child, would have the free numbers.
TEST_CASE("a_host_without_descriptors_0_to_2_can_spawn") {
    for (int closed = 1; closed < 8; closed++) {
        CAPTURE(closed);
        Child child([&] {
            for (int fd = 0; fd < 3; fd++)
                if (closed & 1 << fd) close_descriptor(fd);
            Runtime rt;
            zyntax_io *pipes[3];
            zyntax_process *process = nullptr;
            Command command = shell("read line; echo $line $line");
            command.stdio[0] = command.stdio[1] = ZYNTAX_STDIO_PIPE;
            if (command.spawn(rt, pipes, &process) != 0) return 1;
            if (await(rt, writing(pipes[0], "hi\n", 3)) != 3) return 2;
            char buf[100];
            if (await(rt, reading(pipes[1], buf, sizeof buf)) != 6) return 3;
            if (await(rt, ending(process)) != 0) return 4;
            for (int fd = 0; fd < 3; fd++) { // a closed descriptor stays closed in a child
                Command look = shell("[ -e /dev/fd/" + std::to_string(fd) + " ]");
                for (intptr_t &what : look.stdio) what = ZYNTAX_STDIO_INHERIT;
                if (look.spawn(rt, nullptr, &process) != 0) return 5;
                if (await(rt, ending(process)) != (closed & 1 << fd ? 1 : 0)) return 10 + fd;
            }
            return 0;
        });
        CHECK(child.end() == 0);
    }
}

TEST_CASE("a_child_inherits_no_other_descriptor") {
    Runtime rt;
    Fd low(open("/dev/null", O_RDWR)), high(fcntl(low, F_DUPFD, 900));
    CHECK(is_inheritable(low));
    CHECK(is_inheritable(high));
    Command command = shell("n=0; while [ $n -lt 1000 ]; do [ -e /dev/fd/$n ] && echo $n; n=$((n + 1)); done");
    command.stdio[2] = low; // the child has this one, under its own number
    CHECK(output_of(rt, command).text == "0\n1\n2\n");
    CHECK(is_inheritable(low)); // nothing changes in the host
    CHECK(is_inheritable(high));
}

TEST_CASE("a_child_has_default_actions_and_blocks_no_signal") {
    SKIP_WHEN(!has_proc(), "only Linux tells the state of a process in a file");
    Child child([] {
        for (int number : {SIGINT, SIGTERM, SIGUSR1, SIGPIPE, SIGHUP}) signal(number, SIG_IGN);
        signal(SIGUSR2, [](int) {});
#ifdef SIGRTMAX
        signal(SIGRTMAX, SIG_IGN);
#endif
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, nullptr);
        Runtime rt;
        std::string ignored = output_of(rt, shell("grep -E 'SigIgn|SigBlk' /proc/self/status")).text;
        std::string none(16, '0');
        if (ignored != "SigBlk:\t" + none + "\nSigIgn:\t" + none + "\n") return 1;
        for (int number : {SIGINT, SIGTERM, SIGUSR1, SIGPIPE, SIGHUP, SIGUSR2, SIGKILL}) {
            zyntax_process *process = begin(rt, {{"/bin/sleep", "60"}});
            if (zyntax_process_signal(process, number) != 0) return 2;
            if (await(rt, ending(process)) != 256 + number) return 3;
        }
        sigset_t now;
        sigprocmask(SIG_SETMASK, nullptr, &now);
        return sigismember(&now, SIGUSR1) == 1 && signal(SIGTERM, SIG_DFL) == SIG_IGN ? 0 : 4;
    });
    int end = child.end();
    CHECK(end == 0);
}

TEST_CASE("a_group_and_a_session_of_its_own_are_flags") {
    SKIP_WHEN(!has_proc(), "only Linux tells the state of a process in a file");
    Runtime rt;
    Command command = shell("cut -d' ' -f1,5,6 /proc/$$/stat");
    for (uint32_t flags : {0u, uint32_t(ZYNTAX_PROCESS_GROUP), uint32_t(ZYNTAX_PROCESS_DETACHED), 3u}) {
        CAPTURE(flags);
        Output output = output_of(rt, command.with_flags(flags));
        long pid = 0, group = 0, session = 0;
        REQUIRE(std::sscanf(output.text.c_str(), "%ld %ld %ld", &pid, &group, &session) == 3);
        CHECK((group == pid) == (flags != 0));
        CHECK((session == pid) == ((flags & ZYNTAX_PROCESS_DETACHED) != 0));
    }
}

TEST_CASE("bad_options_are_einval_and_begin_nothing") {
    Runtime rt;
    zyntax_process *process = nullptr;
    zyntax_io *pipes[3];
    zyntax_process_options good{};
    good.size = sizeof good;
    good.file = "/bin/true";
    auto refuses = [&](auto change) {
        zyntax_process_options bad = good;
        change(bad);
        return zyntax_process_spawn(rt, &bad, pipes, &process) == ZYNTAX_EINVAL;
    };
    const char *const no_words[] = {nullptr};
    CHECK(refuses([](auto &bad) { bad.file = nullptr; }));
    CHECK(refuses([](auto &bad) { bad.size = 0; }));
    CHECK(refuses([](auto &bad) { bad.size = sizeof bad - 1; }));
    CHECK(refuses([](auto &bad) { bad.flags = 8; }));
    CHECK(refuses([](auto &bad) { bad.stdio[1] = -4; }));
    CHECK(refuses([&](auto &bad) { bad.args = no_words; }));
    CHECK(zyntax_process_spawn(nullptr, &good, pipes, &process) == ZYNTAX_EINVAL);
    CHECK(zyntax_process_spawn(rt, nullptr, pipes, &process) == ZYNTAX_EINVAL);
    CHECK(zyntax_process_spawn(rt, &good, pipes, nullptr) == ZYNTAX_EINVAL);
    good.stdio[0] = ZYNTAX_STDIO_PIPE;
    CHECK(zyntax_process_spawn(rt, &good, nullptr, &process) == ZYNTAX_EINVAL);
    struct {
        zyntax_process_options options;
        uint64_t unknown;
    } longer{good, 0};
    longer.options.size = sizeof longer;
    CHECK(zyntax_process_spawn(rt, &longer.options, pipes, &process) == 0);
    CHECK(await(rt, ending(process)) == 0);
    longer.unknown = 1;
    CHECK(zyntax_process_spawn(rt, &longer.options, pipes, &process) == ZYNTAX_EINVAL);
    for (intptr_t fd : {intptr_t(19'999), intptr_t(INT32_MAX), INTPTR_MAX})
        CHECK(refused(rt, shell("true").with(1, fd)) == ZYNTAX_EBADF);
}

TEST_CASE("errno_is_left_as_it_was") {
    Runtime rt;
    zyntax_process *process = nullptr;
    errno = 4242;
    bool good = shell("sleep 60").spawn(rt, nullptr, &process) == 0;
    good = good && Command{{"/no/such/file"}}.spawn(rt, nullptr, &process) == ZYNTAX_ENOENT;
    good = good && zyntax_process_signal(process, 0) == 0 && zyntax_process_signal(process, 9'999) == ZYNTAX_EINVAL;
    good = good && zyntax_process_signal(process, SIGKILL) == 0;
    int after = errno;
    CHECK(good);
    CHECK(after == 4242);
    CHECK(await(rt, ending(process)) == 256 + SIGKILL);
    CHECK(zyntax_process_close(process) == 0);
}
