// A sandbox for tests: a process to which a system call is refused, as by a filter or an older kernel. Linux only.
#pragma once

#include "support.h"

#if defined(__linux__) && __has_include(<linux/seccomp.h>)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

namespace support {

constexpr int no_filters = 99; // a child could not install its filter

#if defined(__linux__) && __has_include(<linux/seccomp.h>)
constexpr bool has_filters = true;

// A call that is refused when its argument (the second) has one of the bits; any call when there are none.
struct Refused {
    const char *name;
    uint32_t number;
    uint32_t bits = 0, argument = 1;
};

// This process is refused the call from now on.
inline bool refuse(const Refused &call, int error) {
    constexpr uint32_t number = offsetof(seccomp_data, nr);
    auto argument = uint32_t(offsetof(seccomp_data, args) + call.argument * sizeof(uint64_t));
    constexpr uint32_t low_half = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
    uint8_t allow = call.bits ? 3 : 1;
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, allow),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument + low_half),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, call.bits, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | uint32_t(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    if (!call.bits) { // without the look at the argument
        program[2] = program[4];
        program[3] = program[5];
    }
    sock_fprog filter{static_cast<unsigned short>(call.bits ? 6 : 4), program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}
#else
constexpr bool has_filters = false;
struct Refused {
    const char *name;
    int number;
};
inline bool refuse(const Refused &, int) { return false; }
#endif

} // namespace support
