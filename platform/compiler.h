// What differs between compilers and not between systems: visibility, thread-local pointers, AddressSanitizer's view of
// memory, prefetching. It declares no call of the system.
#pragma once

#include <stddef.h>

// Compilers that reach everything in position-independent code through a table unless told that it stays inside.
#if defined(__GNUC__) && !defined(_WIN32)
#define ZYNTAX_INTERNAL [[gnu::visibility("hidden")]]
#else
#define ZYNTAX_INTERNAL
#endif

// A pointer that each thread has its own of: ZYNTAX_TLS extern constinit ZYNTAX_THREAD_LOCAL os::ThreadPointer<T> name.
// GCC for Windows keeps thread_local variables in a table of libgcc's, for which it brings a threads library: there the
// pointer stands in the section that the system copies for each thread, as with the other compilers.
#if defined(__GNUC__) && !defined(_WIN32)
#define ZYNTAX_TLS [[gnu::tls_model("initial-exec")]]
#define ZYNTAX_THREAD_LOCAL thread_local
#elif defined(__GNUC__) && !defined(__clang__)
#define ZYNTAX_TLS [[gnu::section(".tls$ZYNTAX")]] // linkers sort these: before the end, .tls$ZZZ
#define ZYNTAX_THREAD_LOCAL
#define ZYNTAX_THREAD_SECTIONS
extern "C" char *_tls_start;         // the section's beginning in the program; the C runtime has both
extern "C" unsigned long _tls_index; // which of the thread's copies is this module's
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

// Marks memory that nobody may touch, so that AddressSanitizer sees through the arena.
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

// Asks for the cache line of memory that will soon be written to.
inline void prefetch([[maybe_unused]] const void *at) {
#if defined(__GNUC__)
    __builtin_prefetch(at, 1);
#elif defined(_M_X64) || defined(_M_IX86)
    _mm_prefetch(static_cast<const char *>(at), _MM_HINT_T0);
#endif
}

#ifdef ZYNTAX_THREAD_SECTIONS
// This thread's copy of the section. Each thread's block points to those of all modules, at a fixed place.
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
    T *value_ = nullptr; // what every thread begins with
};
#else
template <class T> using ThreadPointer = T *;
#endif

} // namespace zyntax::os
