// processes.h on Windows. A process is a handle. A thread of the system waits for its end and reports it.
#include "processes.h"

#if defined(_WIN32)

#include "process_texts_windows.h"
#include "sockets.h"

#include <string.h>

namespace zyntax::os {

namespace {

constexpr DWORD by_signal = 256; // + its number: the exit code of a process that a signal ended

HANDLE handle_of(const Child &child) { return reinterpret_cast<HANDLE>(child.process); }

int32_t spawn_error(DWORD error = GetLastError()) {
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
        return ZYNTAX_ENOENT;
    case ERROR_DIRECTORY:
        return ZYNTAX_ENOTDIR;
    case ERROR_BAD_EXE_FORMAT:
    case ERROR_EXE_MACHINE_TYPE_MISMATCH:
        return ZYNTAX_ENOEXEC;
    case ERROR_FILENAME_EXCED_RANGE:
        return ZYNTAX_E2BIG;
    default:
        return code_of(static_cast<int>(error));
    }
}

// Inheritable copies of the three handles, of which no other child of the host knows.
struct Stdio {
    HANDLE handles[3] = {};
    HANDLE list[3];
    DWORD count = 0;

    Stdio() = default;
    Stdio(const Stdio &) = delete;
    Stdio &operator=(const Stdio &) = delete;
    ~Stdio() {
        for (DWORD i = 0; i < count; i++) CloseHandle(list[i]);
    }
    int32_t take(int i, intptr_t given) {
        constexpr DWORD standard[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
        HANDLE from = reinterpret_cast<HANDLE>(given), self = GetCurrentProcess();
        if (given == ZYNTAX_STDIO_INHERIT) from = GetStdHandle(standard[i]);
        if (given == ZYNTAX_STDIO_NULL)
            from = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr,
                               OPEN_EXISTING, 0, nullptr);
        bool is_none = given == ZYNTAX_STDIO_INHERIT && (!from || from == INVALID_HANDLE_VALUE);
        if (is_none) return 0;
        bool is_good = DuplicateHandle(self, from, self, &handles[i], 0, TRUE, DUPLICATE_SAME_ACCESS);
        int32_t error = is_good ? 0 : spawn_error();
        if (given == ZYNTAX_STDIO_NULL && from != INVALID_HANDLE_VALUE) CloseHandle(from);
        if (is_good) list[count++] = handles[i];
        return error;
    }
};

// The program's whole path. The system would run a batch file with a shell, for which the words are not quoted.
int32_t find_program(const wchar_t *file, const wchar_t *directory, wchar_t (&path)[MAX_PATH]) {
    bool has_folder = wcspbrk(file, L"/\\:");
    wchar_t *name = nullptr;
    DWORD length = SearchPathW(has_folder && directory ? directory : nullptr, file, L".exe", MAX_PATH, path, &name);
    if (!length || !name) return length ? int32_t{ZYNTAX_EACCES} : spawn_error();
    if (length >= MAX_PATH) return ZYNTAX_ENAMETOOLONG;
    const wchar_t *end = wcsrchr(name, L'.');
    return end && (!_wcsicmp(end, L".bat") || !_wcsicmp(end, L".cmd")) ? int32_t{ZYNTAX_ENOEXEC} : 0;
}

struct Texts {
    const wchar_t *path;
    wchar_t *command, *environment; // the latter may be null, as may the directory
    const wchar_t *directory;
};

// The child gets the handles of the list and no other.
int32_t create_process(const Texts &texts, uint32_t flags, Stdio *stdio, PROCESS_INFORMATION *made) {
    alignas(16) unsigned char attributes[256];
    auto *list = reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(attributes);
    SIZE_T size = sizeof attributes;
    if (!InitializeProcThreadAttributeList(list, 1, 0, &size)) return spawn_error();
    STARTUPINFOEXW start = {};
    start.StartupInfo.cb = sizeof start;
    start.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    start.StartupInfo.hStdInput = stdio->handles[0];
    start.StartupInfo.hStdOutput = stdio->handles[1];
    start.StartupInfo.hStdError = stdio->handles[2];
    start.lpAttributeList = list;
    bool inherits = stdio->count > 0;
    DWORD how = CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT |
                (flags & ZYNTAX_PROCESS_GROUP ? CREATE_NEW_PROCESS_GROUP : 0) |
                (flags & ZYNTAX_PROCESS_DETACHED ? DETACHED_PROCESS : 0);
    bool is_good = !inherits || UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, stdio->list,
                                                          stdio->count * sizeof(HANDLE), nullptr, nullptr);
    is_good = is_good && CreateProcessW(texts.path, texts.command, nullptr, nullptr, inherits, how, texts.environment,
                                        texts.directory, &start.StartupInfo, made);
    int32_t error = is_good ? 0 : spawn_error();
    DeleteProcThreadAttributeList(list);
    return error;
}

// Whether it may be a child's working directory: 0 or an error.
int32_t check_directory(const wchar_t *directory) {
    DWORD attributes = directory ? GetFileAttributesW(directory) : FILE_ATTRIBUTE_DIRECTORY;
    if (attributes == INVALID_FILE_ATTRIBUTES) return spawn_error();
    return attributes & FILE_ATTRIBUTE_DIRECTORY ? 0 : ZYNTAX_ENOTDIR;
}

void CALLBACK process_ended(void *context, BOOLEAN) {
    const auto *child = static_cast<const Child *>(context);
    child->tell(child->arg);
}

} // namespace

int32_t spawn(Memory &memory, const zyntax_process_options &options, Child *out) {
    Wide file(memory), directory(memory), command(memory), environment(memory);
    const char *alone[] = {options.file, nullptr};
    int32_t error = file.set(options.file, strlen(options.file) + 1);
    if (!error && options.directory) error = directory.set(options.directory, strlen(options.directory) + 1);
    if (!error) error = to_command_line(memory, options.args ? options.args : alone, &command);
    if (!error && options.env) error = to_environment(memory, options.env, &environment);
    if (!error) error = check_directory(directory.text());
    wchar_t path[MAX_PATH];
    if (!error) error = find_program(file.text(), directory.text(), path);
    Stdio stdio;
    for (int i = 0; i < 3 && !error; i++) error = stdio.take(i, options.stdio[i]);
    PROCESS_INFORMATION made;
    const Texts texts = {path, command.text(), environment.text(), directory.text()};
    if (!error) error = create_process(texts, options.flags, &stdio, &made);
    if (error) return error;
    CloseHandle(made.hThread);
    out->pid = made.dwProcessId;
    out->process = reinterpret_cast<intptr_t>(made.hProcess);
    return 0;
}

// The system ignores the lowest two bits of a number.
int32_t find_child(int64_t pid, Child *out) {
    constexpr DWORD rights = SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_TERMINATE;
    HANDLE process = pid > UINT32_MAX ? nullptr : OpenProcess(rights, FALSE, static_cast<DWORD>(pid));
    bool is_forbidden = !process && pid <= UINT32_MAX && GetLastError() == ERROR_ACCESS_DENIED;
    if (process && GetProcessId(process) != pid) {
        CloseHandle(process);
        process = nullptr;
    }
    out->pid = pid;
    out->process = process ? reinterpret_cast<intptr_t>(process) : -1;
    return process ? 0 : is_forbidden ? ZYNTAX_ECHILD : ZYNTAX_ESRCH;
}

Report await_end(Child *child, intptr_t, uintptr_t, bool) {
    constexpr ULONG how = WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD;
    bool is_good = RegisterWaitForSingleObject(&child->wait, handle_of(*child), process_ended, child, INFINITE, how);
    if (!is_good) child->wait = nullptr;
    return is_good ? Report::by_call : Report::never;
}

int64_t look_at(const Child &child, bool) {
    DWORD code = 0;
    if (WaitForSingleObject(handle_of(child), 0) != WAIT_OBJECT_0) return ZYNTAX_EAGAIN;
    return GetExitCodeProcess(handle_of(child), &code) ? int64_t{code} : int64_t{ZYNTAX_ECHILD};
}

int32_t signal_process(const Child &child, int32_t number, bool) {
    if (number == 0) return 0;
    if (number != 9 && number != 15) return ZYNTAX_ENOSYS;
    if (TerminateProcess(handle_of(child), by_signal + static_cast<DWORD>(number))) return 0;
    return look_at(child, false) == ZYNTAX_EAGAIN ? last_error() : int32_t{ZYNTAX_ESRCH};
}

int64_t kill_and_reap(const Child &child, bool with_group) {
    if (signal_process(child, 9, with_group) == 0) WaitForSingleObject(handle_of(child), INFINITE);
    return look_at(child, true);
}

// Waits for a call of `tell` that has begun.
void end_child(Child *child) {
    if (child->wait) UnregisterWaitEx(child->wait, INVALID_HANDLE_VALUE);
    child->wait = nullptr;
    if (child->process >= 0) CloseHandle(handle_of(*child));
    child->process = -1;
}

void forget_child(const Child &) {}

} // namespace zyntax::os

#endif // _WIN32
