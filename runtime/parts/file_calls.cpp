// Operations of files. The first call makes a job, and the last one takes its outcome. The functions of I/O handles
// serve pollable descriptors.
#include "file.h"

#include <string.h>

using namespace zyntax;

namespace {

constexpr size_t most_bytes = size_t{1} << 20; // of a read or write

// The file's job of that kind that the op waits for, or null.
FileJob *find_file_job(const FileRef &ref, FileJob::Action action, uint64_t offset, zyntax_op *op_id) {
    Op *op = my_op(ref.runtime, op_id, [&](const Op *n) {
        const FileJob *job = file_job_of(n);
        return job && job->file == ref.object && job->action == action && job->call.offset == offset;
    });
    return op ? file_job_of(op) : nullptr;
}

PollStatus begin_transfer(const FileRef &ref, FileJob::Action action, const void *data, size_t len, uint64_t offset,
                          const FileRequest &to) {
    auto [runtime, file] = ref;
    if (runtime->is_ending) return complete(to.op_id, to.result, ZYNTAX_ECANCELED);
    FileJob *job = make_file_job(runtime, file, action, len < most_bytes ? len : most_bytes);
    if (job) {
        job->call.offset = offset;
        if (data) memcpy(job->data(), data, job->room);
    }
    return begin_file_job(runtime, job, offset == os::at_position || os::offsets_move_position, to);
}

// The error of a read or a write that is refused, or 0.
int32_t transfer_problem(const File *file, const void *buf, size_t len, uint64_t offset) {
    if (!buf && len) return ZYNTAX_EINVAL;
    if (offset == os::at_position) return 0;
    if (offset > INT64_MAX) return ZYNTAX_EINVAL;
    return file->io || file->is_stream ? ZYNTAX_ESPIPE : 0;
}

// An operation without bytes.
PollStatus ask(zyntax_file *handle, FileJob::Action action, const FileRequest &to) {
    if (Answer answer = answer_at_once(to.op_id, to.waker, to.result)) return *answer;
    FileRef ref = find_file(handle);
    if (!ref.object) return dead_handle(to.op_id, to.result);
    if (ref.object->io || ref.object->is_stream) return refuse(to.op_id, to.result, 0);
    os::KeepErrors keep;
    FileJob *job = find_file_job(ref, action, 0, to.op_id);
    if (!job) return begin_transfer(ref, action, nullptr, 0, 0, to);
    if (job->state != FileJob::done) return still_pending(ref.runtime, job->op, to.waker);
    int64_t outcome = job->outcome;
    end_file_call(ref.runtime, job);
    return complete(to.op_id, to.result, outcome);
}

} // namespace

PollStatus zyntax_file_read(zyntax_file *handle, zyntax_op *op_id, void *buf, size_t len, uint64_t offset, Waker *waker,
                            int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    FileRef ref = find_file(handle);
    auto [runtime, file] = ref;
    if (!file) return dead_handle(op_id, result);
    int32_t problem = transfer_problem(file, buf, len, offset);
    if (problem || !len) return refuse(op_id, result, problem);
    if (file->io) return zyntax_io_read(file->io, op_id, buf, len, waker, result);
    os::KeepErrors keep;
    FileJob *job = find_file_job(ref, FileJob::read, offset, op_id);
    bool has_turn = job ? job->state == FileJob::done : !file->ordered.first;
    bool takes_kept = offset == os::at_position && file->kept && has_turn;
    if (!job && !takes_kept) return begin_transfer(ref, FileJob::read, nullptr, len, offset, {op_id, waker, result});
    if (job && job->state != FileJob::done) return still_pending(runtime, job->op, waker);
    int64_t n = takes_kept ? take_kept(runtime, file, buf, len) : job->outcome;
    if (!takes_kept && n > 0) {
        job->given = static_cast<size_t>(n) < len ? static_cast<size_t>(n) : len;
        memcpy(buf, job->data(), job->given);
        n = static_cast<int64_t>(job->given);
    }
    if (job) end_file_call(runtime, job);
    return complete(op_id, result, n);
}

PollStatus zyntax_file_write(zyntax_file *handle, zyntax_op *op_id, const void *buf, size_t len, uint64_t offset,
                             Waker *waker, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    FileRef ref = find_file(handle);
    auto [runtime, file] = ref;
    if (!file) return dead_handle(op_id, result);
    int32_t problem = transfer_problem(file, buf, len, offset);
    if (problem) return refuse(op_id, result, problem);
    if (file->io) return zyntax_io_write(file->io, op_id, buf, len, waker, result);
    if (!len) return refuse(op_id, result, 0);
    os::KeepErrors keep;
    if (file->appends) offset = os::at_position;
    FileJob *job = find_file_job(ref, FileJob::write, offset, op_id);
    if (!job) return begin_transfer(ref, FileJob::write, buf, len, offset, {op_id, waker, result});
    if (job->state != FileJob::done) return still_pending(runtime, job->op, waker);
    int64_t n = job->outcome;
    end_file_call(runtime, job);
    return complete(op_id, result, n);
}

PollStatus zyntax_file_sync(zyntax_file *file, zyntax_op *op_id, Waker *waker, int64_t *result) noexcept {
    return ask(file, FileJob::sync, {op_id, waker, result});
}

PollStatus zyntax_file_size(zyntax_file *file, zyntax_op *op_id, Waker *waker, int64_t *result) noexcept {
    return ask(file, FileJob::size, {op_id, waker, result});
}
