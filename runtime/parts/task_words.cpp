// Words and names of tasks. Few tasks have them, so they are in a separate record. The heart looks at a record in its
// rare paths only: at a spawn by a task with a word, and at the end of a task with a record.
#include "../runtime.h"

#include <string.h>

namespace zyntax {

namespace {

constinit std::atomic<uint32_t> any_word; // 1: a task of this process has had a word. Never cleared

void note_word() {
    bool is_first = !any_word.load(std::memory_order_relaxed) && !any_word.exchange(1, std::memory_order_relaxed);
    if (is_first) count_rare_spawns(+1);
}

zyntax_task *spawn_with_word(Runtime *, FutureState, PollFn, DropFn, size_t owned, void *word);
void end_record(Runtime *, TaskRecord *, void *state, size_t owned, int32_t outcome);
constexpr RecordCalls record_calls = {spawn_with_word, end_record};

TaskRecord *take_record(Runtime *runtime) {
    void *memory = runtime->arena.take(sizeof(TaskRecord));
    return memory ? ::new (memory) TaskRecord() : nullptr;
}

void attach(Runtime *runtime, Task *task, TaskRecord *record) {
    assert(!(task->flags & Task::has_record));
    record->drop = task->drop;
    task->record = record;
    task->flags |= Task::has_record;
    runtime->records = &record_calls;
}

// The task's record, made when there is none; null without memory.
TaskRecord *record_of(Runtime *runtime, Task *task) {
    if (task->flags & Task::has_record) return task->record;
    TaskRecord *record = take_record(runtime);
    if (record) attach(runtime, task, record);
    return record;
}

void free_name(Runtime *runtime, TaskRecord *record) {
    if (record->name) runtime->arena.give(record->name, TaskRecord::name_bytes);
    record->name = nullptr;
}

zyntax_task *spawn_with_word(Runtime *runtime, FutureState state, PollFn poll, DropFn drop, size_t owned, void *word) {
    TaskRecord *record = take_record(runtime);
    if (!record) return nullptr;
    zyntax_task *task = spawn_plainly(runtime, state, poll, drop, owned);
    if (!task) {
        runtime->arena.give(record, sizeof(TaskRecord));
        return nullptr;
    }
    record->word = word;
    attach(runtime, find_task(task), record);
    return task;
}

void end_record(Runtime *runtime, TaskRecord *record, void *state, size_t owned, int32_t outcome) {
    DropFn drop = record->drop;
    void *word = record->word;
    free_name(runtime, record);
    runtime->arena.give(record, sizeof(TaskRecord));
    drop_with_word(runtime, state, drop, owned, outcome, word);
}

// The length of the longest beginning of UTF-8 text that ends with a character and fits into a record.
size_t length_of_name(const char *text) {
    constexpr size_t most = TaskRecord::name_bytes - 1;
    auto goes_on = [text](size_t at) { return (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80; };
    size_t cut = 0;
    while (cut < most && text[cut]) cut++;
    if (!text[cut]) return cut;
    while (cut > most - 3 && goes_on(cut)) cut--;
    return goes_on(cut) ? most : cut; // more than three such bytes are no UTF-8
}

} // namespace

} // namespace zyntax

using namespace zyntax;

void *zyntax_task_local(void) noexcept {
    const Runtime *runtime = driven();
    return runtime ? running_word(runtime) : nullptr;
}

void zyntax_task_set_local(void *word) noexcept {
    Runtime *runtime = driven();
    if (!runtime) return;
    if (word) note_word();
    if (runtime->dropping) {
        runtime->records = &record_calls;
        runtime->drop_word = word;
        runtime->dropping = word ? Runtime::with_word : Runtime::without_word;
    } else if (Task *task = runtime->current; task && (word || running_word(runtime))) {
        if (TaskRecord *record = record_of(runtime, task)) record->word = word;
    }
}

int32_t zyntax_task_name(zyntax_task *handle, const char *name) noexcept {
    Task *task = find_task(handle);
    Runtime *runtime = task ? usable_runtime(task->owner.load(std::memory_order_acquire)) : nullptr;
    if (!runtime) return ZYNTAX_ESTALE;
    bool is_named = task->flags & Task::has_record && task->record->name;
    if (!name) {
        if (is_named) free_name(runtime, task->record);
        return 0;
    }
    TaskRecord *record = record_of(runtime, task);
    if (record && !is_named) record->name = static_cast<char *>(runtime->arena.take(TaskRecord::name_bytes));
    if (!record || !record->name) return ZYNTAX_ENOMEM;
    size_t length = length_of_name(name);
    memmove(record->name, name, length);
    record->name[length] = '\0';
    return 0;
}
