/* A program written against the design document's own declarations, void pointers and all, links and runs unmodified.
 * It must not include the library's header. */
#include <stddef.h>
#include <stdio.h>

typedef enum { POLL_READY, POLL_PENDING } PollStatus;

typedef struct {
    void *data;
    void (*wake)(void *);
} Waker;

typedef void *FutureState;
typedef PollStatus (*PollFn)(FutureState, Waker *);

void *zyntax_runtime_create(void);
void zyntax_runtime_destroy(void *runtime);
void *zyntax_runtime_spawn(void *runtime, FutureState state, PollFn poll);
void zyntax_runtime_block_on(void *runtime, void *task);
void zyntax_runtime_run(void *runtime);

struct steps {
    int state_id;
    int left;
};

/* Yields `left` times, as a state machine made by a compiler would. */
static PollStatus steps_poll(FutureState state, Waker *waker) {
    struct steps *self = state;
    self->state_id++;
    if (self->left == 0) return POLL_READY;
    self->left--;
    waker->wake(waker->data);
    return POLL_PENDING;
}

static int failures;

static void expect(int condition, const char *what) {
    if (condition) return;
    failures++;
    fprintf(stderr, "failed: %s\n", what);
}

int main(void) {
    struct steps one = {0, 3}, two = {0, 5}, three = {0, 0};
    void *runtime = zyntax_runtime_create();
    expect(runtime != NULL, "create");

    void *task = zyntax_runtime_spawn(runtime, &one, steps_poll);
    expect(task != NULL, "spawn");
    expect(one.state_id == 0, "spawn does not poll");
    zyntax_runtime_block_on(runtime, task);
    expect(one.state_id == 4 && one.left == 0, "block_on drives the task to its end");
    zyntax_runtime_block_on(runtime, task);
    expect(one.state_id == 4, "block_on a task that has ended returns at once");

    zyntax_runtime_spawn(runtime, &two, steps_poll);
    zyntax_runtime_spawn(runtime, &three, steps_poll);
    zyntax_runtime_run(runtime);
    expect(two.state_id == 6 && three.state_id == 1, "run drives every task to its end");

    zyntax_runtime_destroy(runtime);
    return failures != 0;
}
