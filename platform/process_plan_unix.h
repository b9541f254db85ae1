// Shared by process_child_unix.cpp and process_start_unix.cpp. No other file may include it.
#pragma once

#include "processes.h"

namespace zyntax::os {

inline constexpr int first_other = 3; // the lowest descriptor that is not one of a program's standard streams

// The data of a child, prepared before the fork.
struct Plan {
    const zyntax_process_options &options;
    char *const *args;
    char *const *env;
    const char *path;     // the host's PATH
    int report;           // where the child writes the error that keeps it from exec
    volatile bool shares; // set by the child: seen by the parent if they share memory, so that exec has happened
};

// The rest of the child's life, until exec.
[[noreturn]] void run_child(Plan *);

} // namespace zyntax::os
