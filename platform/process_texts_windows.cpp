// The command line and the environment of a new process on Windows.
#if defined(_WIN32)

#include "process_texts_windows.h"

#include <algorithm>
#include <limits.h>
#include <string.h>

namespace zyntax::os {

wchar_t *Wide::take(size_t length) {
    assert(!text_ && length > 0);
    text_ = static_cast<wchar_t *>(memory_.take(length * sizeof(wchar_t)));
    size_ = text_ ? length * sizeof(wchar_t) : 0;
    return text_;
}

int32_t Wide::set(const char *utf8, size_t len) {
    if (len > INT_MAX) return ZYNTAX_E2BIG;
    auto bytes = static_cast<int>(len);
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8, bytes, nullptr, 0);
    if (length <= 0) return ZYNTAX_EINVAL;
    if (!take(static_cast<size_t>(length))) return ZYNTAX_ENOMEM;
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8, bytes, text_, length);
    return 0;
}

namespace {

// Bytes one after the other, which are only counted at first.
struct Bytes {
    char *at;
    size_t count;

    void put(char c, size_t times = 1) {
        for (; times > 0; times--, count++) {
            if (at) at[count] = c;
        }
    }
};

// Backslashes are plain, except for those before a quotation mark.
void put_word(Bytes *out, const char *word) {
    bool needs_marks = !*word || strpbrk(word, " \t\n\v\"");
    size_t backslashes = 0;
    if (needs_marks) out->put('"');
    for (; *word; word++) {
        if (*word == '"') out->put('\\', backslashes + 1);
        backslashes = *word == '\\' ? backslashes + 1 : 0;
        out->put(*word);
    }
    if (!needs_marks) return;
    out->put('\\', backslashes);
    out->put('"');
}

void put_words(Bytes *out, const char *const *words) {
    for (; *words; words++) {
        put_word(out, *words);
        out->put(words[1] ? ' ' : '\0');
    }
}

void put_settings(Bytes *out, const char *const *settings) {
    for (; *settings; settings++) {
        for (const char *c = *settings; *c; c++) out->put(*c);
        out->put('\0');
    }
    out->put('\0');
}

int32_t to_wide(Memory &memory, void (*put_all)(Bytes *, const char *const *), const char *const *texts, Wide *out) {
    Bytes counted = {nullptr, 0};
    put_all(&counted, texts);
    Bytes written = {static_cast<char *>(memory.take(counted.count)), 0};
    if (!written.at) return ZYNTAX_ENOMEM;
    put_all(&written, texts);
    int32_t error = out->set(written.at, written.count);
    memory.give(written.at, written.count);
    return error;
}

// By name, without case, as the system looks names up.
bool is_before(const wchar_t *a, const wchar_t *b) {
    auto name_length = [](const wchar_t *text) { return static_cast<int>(wcscspn(text + (*text == L'='), L"=")); };
    return CompareStringOrdinal(a, name_length(a), b, name_length(b), TRUE) == CSTR_LESS_THAN;
}

} // namespace

int32_t to_command_line(Memory &memory, const char *const *words, Wide *out) {
    return to_wide(memory, put_words, words, out);
}

int32_t to_environment(Memory &memory, const char *const *settings, Wide *out) {
    size_t count = 0;
    while (settings[count]) count++;
    Wide unsorted(memory);
    int32_t error = to_wide(memory, put_settings, settings, &unsorted);
    if (error) return error;
    size_t size = (count + 1) * sizeof(wchar_t *);
    auto **sorted = static_cast<const wchar_t **>(memory.take(size));
    wchar_t *to = sorted ? out->take(unsorted.length() + 1) : nullptr;
    if (to) {
        const wchar_t *from = unsorted.text();
        for (size_t i = 0; i < count; i++, from += wcslen(from) + 1) sorted[i] = from;
        std::sort(sorted, sorted + count, is_before);
        for (size_t i = 0; i < count; i++, to += wcslen(to) + 1) wcscpy(to, sorted[i]);
        to[0] = to[1] = L'\0'; // an empty block has two
    }
    memory.give(sorted, size);
    return to ? 0 : ZYNTAX_ENOMEM;
}

} // namespace zyntax::os

#endif // _WIN32
