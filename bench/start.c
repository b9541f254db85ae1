/* A process from its start to its first poll, for the workload process_start.
 *
 *     start runtime    creates a runtime and spawns a task, which ends the process in its first poll
 *     start floor      ends the process at once
 */
#include "zyntax_async_runtime.h"

#include <string.h>
#include <unistd.h>

static PollStatus end_process(FutureState state, Waker *waker) {
    (void)state;
    (void)waker;
    _exit(0);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "floor") == 0) _exit(0);
    zyntax_runtime *runtime = zyntax_runtime_create();
    if (runtime == NULL || zyntax_runtime_spawn(runtime, NULL, end_process) == NULL) return 1;
    zyntax_runtime_run(runtime);
    return 1;
}
