#include "uring.h"

#include <algorithm>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace zyntax {

namespace {

void *map(int fd, size_t size, off_t what) {
    void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
    return at == MAP_FAILED ? nullptr : at;
}

} // namespace

// Deferred task work runs in `enter` alone: no event interrupts the program, and events come in batches.
int32_t Uring::open(uint32_t submissions, uint32_t completions) {
    io_uring_params params = {};
    params.flags =
        IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    params.cq_entries = completions;
    fd_ = static_cast<int>(syscall(__NR_io_uring_setup, submissions, &params));
    if (fd_ < 0) return os::last_error();
    rings_size_ = std::max(params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe),
                           params.sq_off.array + params.sq_entries * sizeof(uint32_t));
    submissions_size_ = params.sq_entries * sizeof(io_uring_sqe);
    rings_ = map(fd_, rings_size_, IORING_OFF_SQ_RING);
    submissions_ = static_cast<io_uring_sqe *>(map(fd_, submissions_size_, IORING_OFF_SQES));
    if (!rings_ || !submissions_) return ZYNTAX_ENOMEM;
    auto word = [this](uint32_t offset) { return reinterpret_cast<uint32_t *>(static_cast<char *>(rings_) + offset); };
    queued_ = word(params.sq_off.tail);
    submitted_ = word(params.sq_off.head);
    freed_ = word(params.cq_off.head);
    completed_ = word(params.cq_off.tail);
    completions_ = reinterpret_cast<io_uring_cqe *>(word(params.cq_off.cqes));
    submission_mask_ = params.sq_entries - 1;
    completion_mask_ = params.cq_entries - 1;
    for (uint32_t i = 0; i < params.sq_entries; i++) word(params.sq_off.array)[i] = i;
    return 0;
}

void Uring::close() {
    if (rings_) munmap(rings_, rings_size_);
    if (submissions_) munmap(submissions_, submissions_size_);
    if (fd_ >= 0) os::close(fd_);
    *this = Uring();
}

io_uring_sqe *Uring::next() {
    auto is_full = [this] { return tail_ - __atomic_load_n(submitted_, __ATOMIC_ACQUIRE) > submission_mask_; };
    if (is_full()) enter(0, 0);
    if (is_full()) os::panic("zyntax: io_uring takes no submissions from this thread\n");
    auto *submission = &submissions_[tail_++ & submission_mask_];
    return static_cast<io_uring_sqe *>(memset(submission, 0, sizeof *submission));
}

int32_t Uring::enter(uint32_t completions, int64_t timeout_ns) {
    __kernel_timespec limit = {};
    io_uring_getevents_arg argument = {};
    if (completions && timeout_ns >= 0) {
        timespec timeout = os::to_timeout(timeout_ns);
        limit = {timeout.tv_sec, timeout.tv_nsec};
        argument.ts = reinterpret_cast<uintptr_t>(&limit);
    }
    __atomic_store_n(queued_, tail_, __ATOMIC_RELEASE);
    uint32_t count = tail_ - __atomic_load_n(submitted_, __ATOMIC_ACQUIRE);
    constexpr unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    long n = syscall(__NR_io_uring_enter, fd_, count, completions, flags, &argument, sizeof argument);
    return n >= 0 || errno == ETIME || errno == EINTR ? 0 : os::last_error();
}

} // namespace zyntax
