// Differences between compilers, not between systems: visibility, thread-local pointers, AddressSanitizer's view of
// memory, prefetching. This file declares no system call.
#pragma once

#include <stddef.h>

// Position-independent code of these compilers reaches a symbol through a table, unless the symbol is hidden.
#if defined(__GNUC__) && !defined(_WIN32)
#define ZYNTAX_INTERNAL [[gnu::visibility("hidden")]]
#else
#define ZYNTAX_INTERNAL
#endif

// A pointer with one value per thread: ZYNTAX_TLS extern constinit ZYNTAX_THREAD_LOCAL os::ThreadPointer<T> name.
// GCC for Windows keeps thread_local variables in a table of libgcc, which needs a threads library. There the pointer
// is in the section that the system copies for each thread. The other compilers use this section for thread_local.
#if defined(__GNUC__) && !defined(_WIN32)
#define ZYNTAX_TLS [[gnu::tls_model("initial-exec")]]
#define ZYNTAX_THREAD_LOCAL thread_local
#elif defined(__GNUC__) && !defined(__clang__)
#define ZYNTAX_TLS [[gnu::section(".tls$ZYNTAX")]] // linkers sort sections by name: it precedes the end, .tls$ZZZ
#define ZYNTAX_THREAD_LOCAL
#define ZYNTAX_THREAD_SECTIONS
extern "C" char *_tls_start;         // the beginning of the section; the C runtime defines both names
extern "C" unsigned long _tls_index; // the index of this module's copy among the copies of a thread
#else
#define ZYNTAX_TLS
#define ZYNTAX_THREAD_LOCAL thread_local
#endif

#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
#include <xmmintrin.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define ZYNTAX_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ZYNTAX_ASAN 1
#endif
#endif

#ifdef ZYNTAX_ASAN
extern "C" void __asan_poison_memory_region(const volatile void *, size_t);
extern "C" void __asan_unpoison_memory_region(const volatile void *, size_t);
#endif

namespace zyntax::os {

// Marks memory of the arena as free, so that AddressSanitizer reports each access to it.
inline void poison([[maybe_unused]] const void *at, [[maybe_unused]] size_t size) {
#ifdef ZYNTAX_ASAN
    __asan_poison_memory_region(at, size);
#endif
}
inline void unpoison([[maybe_unused]] const void *at, [[maybe_unused]] size_t size) {
#ifdef ZYNTAX_ASAN
    __asan_unpoison_memory_region(at, size);
#endif
}

// Fetches the cache line of memory that will soon be written.
inline void prefetch([[maybe_unused]] const void *at) {
#if defined(__GNUC__)
    __builtin_prefetch(at, 1);
#elif defined(_M_X64) || defined(_M_IX86)
    _mm_prefetch(static_cast<const char *>(at), _MM_HINT_T0);
#endif
}

// The pointer, which the compiler does not check.
template <class T> T *nonnull(T *at) {
#if defined(__GNUC__)
    if (!at) __builtin_unreachable();
#endif
    return at;
}

#ifdef ZYNTAX_THREAD_SECTIONS
// This thread's copy of the section. The thread's block has, at a fixed offset, a pointer to the copies of all modules.
inline char *thread_section() {
    char **sections;
#if defined(__x86_64__)
    __asm__("movq %%gs:0x58, %0" : "=r"(sections));
#elif defined(__i386__)
    __asm__("movl %%fs:0x2c, %0" : "=r"(sections));
#else
#error "GCC for Windows on this processor: the pointer to a thread's .tls sections is unknown"
#endif
    return sections[_tls_index];
}

template <class T> class ThreadPointer {
public:
    operator T *() { return mine(); }
    T *operator->() { return mine(); }
    void operator=(T *value) { mine() = value; }
    T **operator&() { return &mine(); }

private:
    T *&mine() {
        auto offset = reinterpret_cast<char *>(this) - reinterpret_cast<char *>(&_tls_start);
        return *reinterpret_cast<T **>(thread_section() + offset);
    }
    T *value_ = nullptr; // the initial value in every thread
};
#else
template <class T> using ThreadPointer = T *;
#endif

} // namespace zyntax::os
