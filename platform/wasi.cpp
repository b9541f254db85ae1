// os.h on WASI: a program in a sandbox, without threads, without signals, and without calls that open sockets. It can
// read, write, and accept from the descriptors that its host hands in.
#include "os.h"

#if defined(__wasi__)

#include "posix.h"

#include <stdlib.h>
#include <sys/socket.h>

namespace zyntax::os {

// A module has no addresses without memory: a reservation takes memory, so it has to be small.
void *reserve_pages(size_t size) {
    constexpr size_t most = size_t{16} << 20, page = size_t{64} << 10;
    if (size > most) return nullptr;
    void *at = sbrk(static_cast<intptr_t>((size + page - 1) / page * page)); // zeroed: it has never been used
    return at == reinterpret_cast<void *>(-1) ? nullptr : at;
}

bool commit_pages(void *, size_t) { return true; }

size_t address_limit(size_t) { return SIZE_MAX; } // reserve_pages has its own
uint32_t process_mark() { return 0; }

void *allocate(size_t size, size_t align) {
    if (align <= alignof(max_align_t)) return malloc(size);
    void *at = nullptr;
    return posix_memalign(&at, align, size) == 0 ? at : nullptr;
}

bool start_thread(Thread *) { return false; }
void join_thread(Thread *) {}
void relax() {}
void yield() {}

// There is no other thread. The pool never waits, as it has no threads.
void Monitor::init() {}
void Monitor::destroy() {}
void Monitor::lock() {}
void Monitor::unlock() {}
bool Monitor::wait_for(uint64_t) { return false; }
void Monitor::signal() {}
void Monitor::broadcast() {}

bool is_plain_tcp(int) { return false; }
bool tells_passed_descriptors(int) { return false; }
ssize_t write_without_sigpipe(Write *write_it, int fd, const iovec *parts, int n) { return write_it(fd, parts, n); }

// No other process shares the program's files.
ssize_t read_at_once(int fd, const iovec *parts, int n) { return ::readv(fd, parts, n); }
ssize_t write_at_once(int fd, const iovec *parts, int n) { return ::writev(fd, parts, n); }
ssize_t write_without_signal(int fd, const iovec *parts, int n) { return ::writev(fd, parts, n); }

// Never called: see is_received.
int64_t receive_parts(int, Kind *, const iovec *, int) { return ZYNTAX_ENOSYS; }
int64_t send_parts(int, const iovec *, int) { return ZYNTAX_ENOSYS; }

// No thread could write to it while the loop waits.
int32_t open_pipe(int (&)[2]) { return 0; }

intptr_t accept(intptr_t listener, bool) {
    int fd = accept4(static_cast<int>(listener), nullptr, nullptr, SOCK_NONBLOCK);
    if (fd >= 0) return fd;
    return errno == ENOTSOCK ? int32_t{ZYNTAX_EINVAL} : last_error();
}

bool accept_passes(int64_t error) { return error == ZYNTAX_ECONNABORTED; }

// Every text is accepted: no address can be listened on or connected to.
int32_t look_up(const char *, uint16_t, bool, Address *, uint32_t) { return 1; }
intptr_t listen(const Address *, bool, bool) { return ZYNTAX_ENOSYS; }
bool listens(intptr_t) { return true; } // accept tells
intptr_t connect(const Address *) { return ZYNTAX_ENOSYS; }
int32_t connect_result(intptr_t, bool) { return ZYNTAX_ENOSYS; }
int32_t local_port(intptr_t) { return ZYNTAX_ENOSYS; }

} // namespace zyntax::os

#endif // __wasi__
