// Files: handles whose operations are jobs of the blocking pool, or whose descriptor waits by readiness.
#pragma once

#include "../../platform/files.h"
#include "thread_pool.h"

namespace zyntax {

struct File;

// An operation of a file. A thread of the pool works on the job's own memory; the caller's memory is only accessed in
// the caller's calls.
struct alignas(16) FileJob : Work, Source {
    enum Action : uint8_t { open, read, write, sync, size };
    enum State : uint8_t {
        waiting,   // set when the job is made: it waits for its turn at the file's position
        submitted, // set by submit_job; ends when the message arrives or the operation is canceled
        done,      // set by the message, or without memory or threads; the next call or a cancel ends the job
        unheard    // set by a cancel while the job runs; the message ends the job
    };

    File *file;
    Op *op; // null: the state is `unheard`
    FileJob *next, *prev;
    Action action;
    State state;
    bool is_ordered; // in the file's list `ordered`. Set by begin_file_job; cleared when the job is done, unless it is
                     // a read at the position
    uint32_t flags;  // of an open
    size_t room;     // bytes behind this struct
    size_t given;    // of the bytes that were read: the caller has them
    os::FileCall call;
    os::FileKind kind;      // of the opened file
    std::atomic<bool> stop; // a read that waits for a stream ends. Set by a cancel while the job runs, never cleared

    size_t bytes() const { return sizeof(FileJob) + room; }
    unsigned char *data() { return reinterpret_cast<unsigned char *>(this + 1); }
};
static_assert(sizeof(FileJob) % 16 == 0);

struct FileJobs {
    FileJob *first, *last;
    void add(FileJob *);
    void remove(FileJob *);
};

// A file may be closed while jobs run: then it has no handle, and its descriptor is closed after the last of them.
struct File {
    void *handle;     // null: closed
    zyntax_io *io;    // waits by readiness, and has the descriptor; null: operations run on the pool
    intptr_t fd;      // -1: being opened, or the io's
    bool is_stream;   // see FileKind
    bool appends;     // every write goes to the end. Both set by adopt_descriptor
    FileJobs ordered; // jobs at the position, oldest first. Only the first is in the pool, or is a read that is done
    FileJobs others;  // jobs that need no order, and those at the position that have moved it
    bool is_ending;   // set and cleared by end_file: no job's end is the file's
    FileJob *kept;    // a canceled read of a stream, whose bytes are for the next read; null: none
};

using FileRef = Ref<File>;

// ---- file.cpp ----

FileRef find_file(zyntax_file *); // only files that have been opened

// ---- file_work.cpp ----

// A new job of the file with that much memory, in no list; null without memory.
FileJob *make_file_job(Runtime *, File *, FileJob::Action, size_t room);
void free_file_job(Runtime *, FileJob *);

// Up to `len` bytes of `kept`, which is not null.
int64_t take_kept(Runtime *, File *, void *buf, size_t len);

// ---- file_jobs.cpp ----

// The end of a call's arguments. Nothing is pending behind the op id.
struct FileRequest {
    zyntax_op *op_id;
    Waker *waker;
    int64_t *result;
};

// Begins a new job; null: there was no memory for it. POLL_READY with an error frees it.
PollStatus begin_file_job(Runtime *, FileJob *, bool is_ordered, const FileRequest &);

// Ends a job that is done, with its operation.
void end_file_call(Runtime *, FileJob *);

// Ends the handle and every wait. The descriptor is closed now, or after the last running job.
void end_file(Runtime *, File *);

// Frees a file without jobs, but not its descriptor.
void release_file(Runtime *, File *);

// The job of an operation, or null.
FileJob *file_job_of(const Op *);

} // namespace zyntax
