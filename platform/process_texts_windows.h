// The texts of a new process on Windows. No file but processes_windows.cpp may include it.
#pragma once

#include "allocator.h"
#include "win32.h"

namespace zyntax::os {

// A text for the system. At first text() is null.
class Wide {
public:
    explicit Wide(Memory &memory) : memory_(memory) {}
    ~Wide() { memory_.give(text_, size_); }
    Wide(const Wide &) = delete;
    Wide &operator=(const Wide &) = delete;

    wchar_t *take(size_t length);              // null without memory
    int32_t set(const char *utf8, size_t len); // `len` bytes, which may have zeros. 0 or an error
    wchar_t *text() const { return text_; }
    size_t length() const { return size_ / sizeof(wchar_t); } // of take

private:
    Memory &memory_;
    wchar_t *text_ = nullptr;
    size_t size_ = 0;
};

// The words as CommandLineToArgvW reads them: 0 or an error.
int32_t to_command_line(Memory &, const char *const *words, Wide *out);

// The settings, sorted by name. 0 or an error.
int32_t to_environment(Memory &, const char *const *settings, Wide *out);

} // namespace zyntax::os
