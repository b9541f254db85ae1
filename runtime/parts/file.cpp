// Handles of files: opened, taken from the host, closed, given back. A pollable descriptor is registered with the
// poller.
#include "file.h"
#include "io.h"

#include <string.h>

namespace zyntax {

namespace {

void destroy_file(Runtime *runtime, void *object) { end_file(runtime, static_cast<File *>(object)); }

uint64_t count_file_waiting(const void *) { return 0; } // jobs are in no ring

void forget_file(void *object) {
    auto *file = static_cast<File *>(object);
    if (file->fd >= 0) os::close_file(file->fd);
}

const HandleKind file_handle_kind = {destroy_file, count_file_waiting, nullptr, forget_file};

} // namespace

FileRef find_file(zyntax_file *handle) {
    FileRef ref = find<File>(handle, &file_handle_kind);
    if (ref.object && !ref.object->io && ref.object->fd < 0) ref.object = nullptr;
    return ref;
}

} // namespace zyntax

using namespace zyntax;

namespace {

constexpr size_t longest_file_path = size_t{1} << 16; // every system's limit is lower

File *make_file(Runtime *runtime) {
    void *memory = runtime->arena.take(sizeof(File));
    if (!memory) return nullptr;
    auto *file = ::new (memory) File();
    file->fd = -1;
    file->handle = take_handle(runtime, &file_handle_kind, file);
    if (file->handle) return file;
    runtime->arena.give(memory, sizeof(File));
    return nullptr;
}

bool are_open_flags(uint32_t flags) {
    constexpr uint32_t known = (ZYNTAX_FILE_APPEND << 1) - 1;
    constexpr uint32_t ways = ZYNTAX_FILE_READ | ZYNTAX_FILE_WRITE;
    return !(flags & ~known) && (flags & ways) && ((flags & ZYNTAX_FILE_WRITE) || !(flags & ~ways));
}

// Gives a new file its descriptor. 0, or an error: the descriptor is still the caller's.
int32_t adopt_descriptor(Runtime *runtime, File *file, intptr_t fd, const os::FileKind &kind, bool is_opened_here) {
    file->is_stream = kind.is_stream;
    file->appends = kind.appends;
    zyntax_io *io;
    int32_t error = kind.may_be_pollable ? zyntax_io_open(runtime, fd, &io) : int32_t{ZYNTAX_EPERM};
    if (error && error != ZYNTAX_EPERM) return error;
    if (error) {
        if (is_opened_here && kind.may_be_pollable) os::set_blocking(fd);
        file->fd = fd;
        return 0;
    }
    file->io = io;
    // A read before the first writer would be the end of the file. The poller reports the writer.
    if (is_opened_here && kind.is_fifo) find_io(io).object->readiness &= ~bits_of(readable);
    return 0;
}

PollStatus begin_open(Runtime *runtime, const char *path, uint32_t flags, const FileRequest &to) {
    if (!path || !are_open_flags(flags)) return complete(to.op_id, to.result, ZYNTAX_EINVAL);
    size_t size = strlen(path) + 1, scratch = size * os::path_scratch;
    if (size > longest_file_path) return complete(to.op_id, to.result, ZYNTAX_ENAMETOOLONG);
    File *file = make_file(runtime);
    if (!file) return not_armed(to.op_id, to.result);
    FileJob *job = make_file_job(runtime, file, FileJob::open, scratch + size);
    if (job) {
        job->flags = flags;
        job->call.data = memcpy(job->data() + scratch, path, size);
    }
    PollStatus status = begin_file_job(runtime, job, false, to);
    if (status == POLL_READY) release_file(runtime, file);
    return status;
}

} // namespace

PollStatus zyntax_file_open(zyntax_runtime *runtime, zyntax_op *op_id, const char *path, uint32_t flags, Waker *waker,
                            zyntax_file **out, int64_t *result) noexcept {
    if (Answer answer = answer_at_once(op_id, waker, result)) return *answer;
    if (!runtime || !out) return refuse(op_id, result, ZYNTAX_EINVAL);
    check_thread(runtime);
    if (!os::has_file_calls) return refuse(op_id, result, ZYNTAX_ENOSYS);
    if (runtime->is_ending) return refuse(op_id, result, ZYNTAX_ECANCELED);
    os::KeepErrors keep;
    auto is_it = [](const Op *n) {
        const FileJob *job = file_job_of(n);
        return job && job->action == FileJob::open;
    };
    Op *op = my_op(runtime, op_id, is_it);
    if (!op) return begin_open(runtime, path, flags, {op_id, waker, result});
    FileJob *job = file_job_of(op);
    if (job->state != FileJob::done) return still_pending(runtime, op, waker);
    int64_t error = job->outcome;
    if (error >= 0) error = adopt_descriptor(runtime, job->file, static_cast<intptr_t>(job->outcome), job->kind, true);
    if (!error) {
        *out = static_cast<zyntax_file *>(job->file->handle);
        job->outcome = -1; // the file has the descriptor
    }
    end_file_call(runtime, job);
    return complete(op_id, result, error);
}

int32_t zyntax_file_from(zyntax_runtime *runtime, intptr_t fd, zyntax_file **out) noexcept {
    if (!runtime || !out) return ZYNTAX_EINVAL;
    check_thread(runtime);
    os::KeepErrors keep;
    os::FileKind kind;
    if (runtime->is_ending) return ZYNTAX_ECANCELED;
    int32_t error = os::file_kind(fd, &kind);
    if (error) return error;
    File *file = make_file(runtime);
    if (!file) return ZYNTAX_ENOMEM;
    error = adopt_descriptor(runtime, file, fd, kind, false);
    if (error) release_file(runtime, file);
    else *out = static_cast<zyntax_file *>(file->handle);
    return error;
}

int32_t zyntax_file_close(zyntax_file *handle) noexcept {
    os::KeepErrors keep;
    FileRef ref = find_file(handle);
    if (!ref.object) return ZYNTAX_ESTALE;
    end_file(ref.runtime, ref.object);
    return 0;
}

int32_t zyntax_file_detach(zyntax_file *handle, intptr_t *fd) noexcept {
    if (!fd) return ZYNTAX_EINVAL;
    os::KeepErrors keep;
    auto [runtime, file] = find_file(handle);
    if (!file) return ZYNTAX_ESTALE;
    if (file->ordered.first || file->others.first) return ZYNTAX_EBUSY;
    int32_t error = file->io ? zyntax_io_detach(file->io, fd) : 0;
    if (!file->io) *fd = file->fd;
    release_file(runtime, file);
    return error;
}
