// The least of io_uring over raw system calls: a ring of submissions, a ring of completions, one call for both.
#pragma once

#include "../../platform/posix.h"

#include <linux/io_uring.h>

namespace zyntax {

class Uring {
public:
    int32_t open(uint32_t submissions, uint32_t completions); // 0 or an error; then close undoes the finished steps
    void close();
    int fd() const { return fd_; }

    // A cleared submission, which the next enter takes. Enters when there is no room.
    io_uring_sqe *next();
    bool has_submissions() const { return tail_ != __atomic_load_n(submitted_, __ATOMIC_ACQUIRE); }

    // Submits, runs deferred work, and waits for that many completions, at most timeout_ns (< 0: no limit). 0, also
    // when the time is over, or an error.
    int32_t enter(uint32_t completions, int64_t timeout_ns);

    // The completions that are there, by index from first to end, until they are freed.
    uint32_t first() const { return first_; }
    uint32_t end() const { return __atomic_load_n(completed_, __ATOMIC_ACQUIRE); }
    const io_uring_cqe &at(uint32_t index) const { return completions_[index & completion_mask_]; }
    void free_until(uint32_t index) { __atomic_store_n(freed_, first_ = index, __ATOMIC_RELEASE); }

private:
    int fd_ = -1;
    void *rings_ = nullptr;
    io_uring_sqe *submissions_ = nullptr;
    io_uring_cqe *completions_ = nullptr;
    size_t rings_size_ = 0, submissions_size_ = 0;
    uint32_t submission_mask_ = 0, completion_mask_ = 0;
    uint32_t tail_ = 0, first_ = 0;                              // ours
    uint32_t *queued_ = nullptr, *freed_ = nullptr;              // ours, as the kernel sees them
    const uint32_t *submitted_ = nullptr, *completed_ = nullptr; // the kernel's
};

} // namespace zyntax
