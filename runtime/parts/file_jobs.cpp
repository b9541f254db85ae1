// The jobs of files. Jobs at a file's position run one after the other, in the order of the calls.
//
// A read at the position has a turn when it is done: the next job begins once the caller has taken the bytes. If the
// caller is canceled instead, or does not call in its next poll, the position moves back, so that no byte is lost. A
// write at the position is over when it is done: the next job begins at once.
#include "file.h"
#include "turns.h"

#include <initializer_list>

namespace zyntax {

namespace {

bool reads_at_position(const FileJob *job) {
    return job->action == FileJob::read && job->call.offset == os::at_position;
}

void wake_file_caller(Runtime *runtime, FileJob *job, int64_t outcome) {
    assert(job->op->source == job && job->op->place == Op::nowhere && !job->op->woken);
    job->outcome = outcome;
    job->state = FileJob::done;
    if (reads_at_position(job)) return give_turn(runtime, job->op);
    if (job->is_ordered) {
        job->file->ordered.remove(job);
        job->is_ordered = false;
        job->file->others.add(job);
    }
    wake_waiter(runtime, job->op);
}

int32_t submit_file_job(Runtime *runtime, FileJob *job) {
    job->state = FileJob::submitted;
    return submit(runtime, job);
}

// Begins the oldest job at the position, unless it has begun.
void begin_next_at_position(Runtime *runtime, File *file) {
    while (FileJob *job = file->ordered.first) {
        if (job->state != FileJob::waiting) return;
        int32_t error = 0;
        if (!(reads_at_position(job) && file->kept)) {
            error = submit_file_job(runtime, job);
            if (!error) return;
        }
        wake_file_caller(runtime, job, error);
    }
}

// Ends a closed file without jobs.
void end_if_unused(Runtime *runtime, File *file) {
    assert(!file->handle && !file->io);
    if (file->ordered.first || file->others.first) return;
    if (file->fd >= 0) os::close_file(file->fd);
    release_file(runtime, file);
}

// Takes the job out of its file, whose end this may be.
void leave_file(Runtime *runtime, FileJob *job) {
    File *file = job->file;
    (job->is_ordered ? file->ordered : file->others).remove(job);
    if (file->handle) return begin_next_at_position(runtime, file);
    if (!file->is_ending) end_if_unused(runtime, file);
}

// Ends a job whose outcome was not taken, or was taken in part.
void end_file_job(Runtime *runtime, FileJob *job) {
    File *file = job->file;
    int64_t left = job->outcome - static_cast<int64_t>(job->given);
    bool has_run = job->state == FileJob::done || job->state == FileJob::unheard;
    bool is_left = has_run && reads_at_position(job) && left > 0, is_kept = is_left && file->is_stream && file->handle;
    if (has_run && job->action == FileJob::open && left >= 0) os::close_file(static_cast<intptr_t>(left));
    if (is_left && !file->is_stream) os::seek_back(file->fd, left);
    if (is_kept) {
        assert(!file->kept);
        file->kept = job;
    }
    leave_file(runtime, job);
    if (!is_kept) free_file_job(runtime, job);
}

// A file whose open has failed or was canceled ends with the job.
void abandon_open(Runtime *runtime, FileJob *job) {
    File *file = job->file;
    if (job->action != FileJob::open || !file->handle) return;
    give_handle(runtime, file->handle);
    file->handle = nullptr;
}

void file_job_arrived(Runtime *runtime, Message *message) {
    auto *job = static_cast<FileJob *>(message);
    os::KeepErrors keep;
    count_end(runtime, job);
    if (job->state == FileJob::unheard) return end_file_job(runtime, job);
    assert(job->state == FileJob::submitted);
    File *file = job->file;
    wake_file_caller(runtime, job, job->outcome);
    begin_next_at_position(runtime, file);
}

// The operation ends. A running job continues, and its outcome is discarded.
void drop_file_caller(Runtime *runtime, FileJob *job) {
    os::KeepErrors keep;
    job->op = nullptr;
    abandon_open(runtime, job);
    if (job->state == FileJob::submitted && !withdraw(runtime, job)) {
        job->stop.store(true, std::memory_order_relaxed);
        job->state = FileJob::unheard;
        return;
    }
    if (job->state == FileJob::submitted) job->state = FileJob::waiting; // it has not run
    end_file_job(runtime, job);
}

void file_job_canceled(Runtime *runtime, Op *op) {
    auto *job = static_cast<FileJob *>(op->source);
    assert(job->op == op && job->state != FileJob::unheard);
    drop_file_caller(runtime, job);
}

void file_job_discarded(Runtime *runtime, Work *work) {
    auto *job = static_cast<FileJob *>(work);
    assert(runtime->is_ending && job->state == FileJob::submitted);
    Op *op = job->op;
    op->source = nullptr;
    fire(runtime, op);
    job->op = nullptr;
    job->state = FileJob::waiting;
    abandon_open(runtime, job);
    end_file_job(runtime, job);
}

} // namespace

void release_file(Runtime *runtime, File *file) {
    assert(!file->ordered.first && !file->others.first);
    if (file->handle) give_handle(runtime, file->handle);
    if (file->kept) free_file_job(runtime, file->kept);
    runtime->arena.give(file, sizeof(File));
}

void end_file(Runtime *runtime, File *file) {
    if (file->io) {
        zyntax_io_close(file->io);
        return release_file(runtime, file);
    }
    give_handle(runtime, file->handle);
    file->handle = nullptr;
    file->is_ending = true;
    for (FileJobs *jobs : {&file->ordered, &file->others}) {
        for (FileJob *job = jobs->first, *next; job; job = next) {
            next = job->next;
            if (!job->op) continue;
            job->op->source = nullptr;
            fire(runtime, job->op);
            drop_file_caller(runtime, job);
        }
    }
    file->is_ending = false;
    end_if_unused(runtime, file);
}

PollStatus begin_file_job(Runtime *runtime, FileJob *job, bool is_ordered, const FileRequest &to) {
    if (!job) return not_armed(to.op_id, to.result);
    assert(!*to.op_id);
    job->run = file_job_arrived;
    job->discard = file_job_discarded;
    job->canceled = file_job_canceled;
    File *file = job->file;
    Op *op = arm(runtime, to.op_id, ZYNTAX_WAIT_BLOCKING, to.waker);
    bool waits = is_ordered && file->ordered.first;
    int32_t error = op && !waits ? submit_file_job(runtime, job) : 0;
    if (!op || error) {
        if (op) free_op(runtime, op);
        free_file_job(runtime, job);
        return op ? complete(to.op_id, to.result, error) : not_armed(to.op_id, to.result);
    }
    op->source = job;
    job->op = op;
    job->is_ordered = is_ordered;
    (is_ordered ? file->ordered : file->others).add(job);
    return POLL_PENDING;
}

void end_file_call(Runtime *runtime, FileJob *job) {
    assert(job->state == FileJob::done);
    free_op(runtime, job->op);
    job->op = nullptr;
    if (!job->file->io && job->file->fd < 0) abandon_open(runtime, job);
    end_file_job(runtime, job);
}

FileJob *file_job_of(const Op *op) {
    bool is_it = op->source && op->source->canceled == file_job_canceled;
    return is_it ? static_cast<FileJob *>(op->source) : nullptr;
}

} // namespace zyntax
