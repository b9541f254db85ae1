// The memory of a file's jobs, and their work in a thread of the pool.
#include "file.h"

#include <string.h>

namespace zyntax {

void FileJobs::add(FileJob *job) {
    job->next = nullptr;
    job->prev = last;
    (last ? last->next : first) = job;
    last = job;
}

void FileJobs::remove(FileJob *job) {
    (job->prev ? job->prev->next : first) = job->next;
    (job->next ? job->next->prev : last) = job->prev;
}

// In a thread of the pool.
static int64_t run_file_job(void *arg) {
    auto *job = static_cast<FileJob *>(arg);
    switch (job->action) {
    case FileJob::open:
        return os::open_file(reinterpret_cast<const char *>(job->call.data), job->data(), job->flags, &job->kind);
    case FileJob::read:
        return os::read_file(job->call);
    case FileJob::write:
        return os::write_file(job->call);
    case FileJob::sync:
        return os::sync_file(job->call.fd);
    case FileJob::size:
        return os::size_of_file(job->call.fd);
    }
    return ZYNTAX_EINVAL;
}

FileJob *make_file_job(Runtime *runtime, File *file, FileJob::Action action, size_t room) {
    void *memory = runtime->arena.take(sizeof(FileJob) + room);
    if (!memory) return nullptr;
    auto *job = ::new (memory) FileJob();
    job->fn = run_file_job;
    job->arg = job;
    job->file = file;
    job->action = action;
    job->room = room;
    job->call = {file->fd, job->data(), room, 0, &job->stop};
    return job;
}

void free_file_job(Runtime *runtime, FileJob *job) { runtime->arena.give(job, job->bytes()); }

int64_t take_kept(Runtime *runtime, File *file, void *buf, size_t len) {
    FileJob *kept = file->kept;
    auto left = static_cast<size_t>(kept->outcome) - kept->given, n = left < len ? left : len;
    memcpy(buf, kept->data() + kept->given, n);
    kept->given += n;
    if (n == left) {
        free_file_job(runtime, kept);
        file->kept = nullptr;
    }
    return static_cast<int64_t>(n);
}

} // namespace zyntax
