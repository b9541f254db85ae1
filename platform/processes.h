// Child processes: spawn, end, signals. Implemented by processes_unix.cpp, process_start_unix.cpp,
// processes_windows.cpp and process_texts_windows.cpp. Nothing here waits for a process that the caller has not named.
#pragma once

#include "allocator.h"
#include "os.h"

namespace zyntax::os {

// A process whose end is awaited.
struct Child {
    int64_t pid = 0;
    intptr_t process = -1; // the system's reference: a pidfd or a HANDLE. -1: none, and calls use the number
    // The caller sets both before await_end. Another thread may call `tell`, once.
    void (*tell)(void *) = nullptr;
    void *arg = nullptr;
    void *wait = nullptr; // Windows: the registered wait
};

// How the end of a process is reported.
enum class Report : uint8_t {
    by_descriptor, // `process` becomes readable; the caller registers it
    by_queue,      // the poller's queue reports the word
    by_call,       // another thread calls `tell`
    never          // the caller has to look
};

// Starts a program. Each stdio of the options is ZYNTAX_STDIO_INHERIT, ZYNTAX_STDIO_NULL or a descriptor. 0 or an
// error: then there is no process.
int32_t spawn(Memory &, const zyntax_process_options &, Child *out);

// Finds a child that the host made. 0, ZYNTAX_ECHILD or ZYNTAX_ESRCH.
int32_t find_child(int64_t pid, Child *out);

// `queue` is the poller's host_fd. A process that was not spawned here may have other watchers.
Report await_end(Child *, intptr_t queue, uintptr_t word, bool is_ours);

// The end of a process: 0 to 255 (32 bits on Windows), or 256 + the signal. ZYNTAX_EAGAIN: it runs. ZYNTAX_ECHILD: the
// host has taken the status. `reaps`: afterwards the process is gone.
int64_t look_at(const Child &, bool reaps);

// 0 or an error. The process has not been reaped.
int32_t signal_process(const Child &, int32_t number, bool to_group);

// Kills a process that has not been reaped, waits for its end and reaps it. As look_at; ZYNTAX_EAGAIN: it cannot be
// killed.
int64_t kill_and_reap(const Child &, bool with_group);

// Gives the system's reference back. Afterwards `tell` is not called, but may have been called before.
void end_child(Child *);
void forget_child(const Child &); // in a copy after fork

// A pipe for one of the child's descriptors: a non-blocking end for the runtime, and a blocking end for the child.
int32_t open_child_pipe(bool child_reads, intptr_t *ours, intptr_t *childs);

} // namespace zyntax::os
