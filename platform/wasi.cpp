// os.h on WASI: a program alone in its sandbox, without threads, signals, or a way to open a socket. What its host
// hands in can be read, written, and accepted from.
#include "os.h"

#if defined(__wasi__)

#include "posix.h"

#include <stdlib.h>
#include <sys/socket.h>

namespace zyntax::os {

// A module's memory has no addresses without memory: what is reserved here is there, so that it has to stay modest.
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

// There is nobody to exclude. Waiting would never end, and the pool waits for threads only.
void Monitor::init() {}
void Monitor::destroy() {}
void Monitor::lock() {}
void Monitor::unlock() {}
bool Monitor::wait_for(uint64_t) { return false; }
void Monitor::signal() {}
void Monitor::broadcast() {}

bool is_plain_tcp(int) { return false; }
ssize_t write_without_sigpipe(Write *write_it, int fd, const void *buf, size_t len) { return write_it(fd, buf, len); }

// Nobody shares a program's files.
ssize_t read_at_once(int fd, void *buf, size_t len) { return ::read(fd, buf, len); }
ssize_t write_at_once(int fd, const void *buf, size_t len) { return ::write(fd, buf, len); }

// Nobody could write to it while the loop waits.
int32_t open_pipe(int (&)[2]) { return 0; }

intptr_t accept(intptr_t listener, bool) {
    int fd = accept4(static_cast<int>(listener), nullptr, nullptr, SOCK_NONBLOCK);
    if (fd >= 0) return fd;
    return errno == ENOTSOCK ? int32_t{ZYNTAX_EINVAL} : last_error();
}

bool accept_passes(int64_t error) { return error == ZYNTAX_ECONNABORTED; }

// Any address is understood, as none can be listened on or connected to.
int32_t look_up(const char *, uint16_t, bool, Address *, uint32_t) { return 1; }
intptr_t listen(const Address *, bool, bool) { return ZYNTAX_ENOSYS; }
bool listens(intptr_t) { return true; } // accept tells
intptr_t connect(const Address *, bool *) { return ZYNTAX_ENOSYS; }
int32_t connect_result(intptr_t) { return ZYNTAX_ENOSYS; }
int32_t local_port(intptr_t) { return ZYNTAX_ENOSYS; }

} // namespace zyntax::os

#endif // __wasi__
