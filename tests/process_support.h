// Shared by the tests of child processes: commands, their output, and a search for remaining children.
#pragma once

#include "io_support.h"

#include <csignal>
#include <string>
#include <vector>

namespace support {

// Options of a spawn, with the memory that they point to.
struct Command {
    std::vector<std::string> args;
    std::vector<std::string> env{};
    bool has_env = false;
    std::string directory{};
    intptr_t stdio[3] = {ZYNTAX_STDIO_NULL, ZYNTAX_STDIO_NULL, ZYNTAX_STDIO_NULL};
    uint32_t flags = 0;
    std::string file{}; // empty: args[0]

    int32_t spawn(zyntax_runtime *rt, zyntax_io **pipes, zyntax_process **out) const {
        std::vector<const char *> words, settings;
        for (auto &word : args) words.push_back(word.c_str());
        for (auto &setting : env) settings.push_back(setting.c_str());
        words.push_back(nullptr);
        settings.push_back(nullptr);
        zyntax_process_options options{};
        options.size = sizeof options;
        options.file = file.empty() ? args[0].c_str() : file.c_str();
        options.args = words.data();
        options.env = has_env ? settings.data() : nullptr;
        options.directory = directory.empty() ? nullptr : directory.c_str();
        for (int i = 0; i < 3; i++) options.stdio[i] = stdio[i];
        options.flags = flags;
        return zyntax_process_spawn(rt, &options, pipes, out);
    }
    Command with(int descriptor, intptr_t what) const {
        Command other = *this;
        other.stdio[descriptor] = what;
        return other;
    }
    Command with_flags(uint32_t more) const {
        Command other = *this;
        other.flags |= more;
        return other;
    }
};

// A child that lives until it is killed.
inline Command sleeper() { return {{"/bin/sleep", "60"}}; }

// Whether the system tells the state of a process in a file.
inline bool has_proc() { return std::filesystem::exists("/proc/self/status"); }

// Whether this process has no child left, also no zombie.
inline bool has_no_child() {
    siginfo_t info{};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

// Whether a process exists, as a zombie too.
inline bool exists(int64_t pid) { return kill(pid_t(pid), 0) == 0; }

inline Command shell(const std::string &script) { return {{"/bin/sh", "-c", script}}; }

inline Operation ending(zyntax_process *process) {
    return
        [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_process_wait(process, op, waker, result); };
}

// Spawns a program that must start.
inline zyntax_process *begin(zyntax_runtime *rt, const Command &command, zyntax_io **pipes = nullptr) {
    zyntax_process *process = nullptr;
    REQUIRE(command.spawn(rt, pipes, &process) == 0);
    REQUIRE(process != nullptr);
    return process;
}

// The standard output of a command, and its end. Closes the handle.
struct Output {
    std::string text;
    int64_t status;
};
inline Output output_of(Runtime &rt, const Command &command) {
    zyntax_io *pipes[3];
    zyntax_process *process = begin(rt, command.with(1, ZYNTAX_STDIO_PIPE), pipes);
    Output output;
    {
        Reader reader(rt, pipes[1]);
        rt.drive_until([&] { return !reader.alive(); });
        CHECK(reader.last == 0);
        output.text = reader.data;
    }
    for (zyntax_io *io : pipes)
        if (io) CHECK(zyntax_io_close(io) == 0);
    output.status = await(rt, ending(process));
    CHECK(zyntax_process_close(process) == 0);
    return output;
}

} // namespace support
