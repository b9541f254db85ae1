// Shared by the tests of files: names in a folder of their own, and the operations.
#pragma once

#include "blocking_support.h"

#include <filesystem>
#include <fstream>

namespace support {

constexpr uint64_t here = UINT64_MAX; // the current position

inline std::filesystem::path from_utf8(const std::string &text) { return std::u8string(text.begin(), text.end()); }

// A folder that is removed with its contents.
struct FileFolder {
    std::filesystem::path at;
    FileFolder() {
        static std::atomic<unsigned> made{0};
        auto now = std::chrono::steady_clock::now().time_since_epoch().count();
        auto name = "zyntax-files-" + std::to_string(now) + "-" + std::to_string(made++);
        at = std::filesystem::temp_directory_path() / name;
        REQUIRE(std::filesystem::create_directory(at));
    }
    ~FileFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(at, ignored);
    }
    FileFolder(const FileFolder &) = delete;
    FileFolder &operator=(const FileFolder &) = delete;
    std::string path(const std::string &name) const {
        auto utf8 = (at / from_utf8(name)).u8string();
        return std::string(utf8.begin(), utf8.end());
    }
};

inline std::string contents(const std::string &path) {
    std::ifstream file(from_utf8(path), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
}
inline void store(const std::string &path, const std::string &text) {
    std::ofstream file(from_utf8(path), std::ios::binary);
    file << text;
    file.close();
    REQUIRE(file.good());
}

inline Operation opening(zyntax_runtime *rt, const std::string &path, uint32_t flags, zyntax_file **out) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_file_open(rt, op, path.c_str(), flags, waker, out, result);
    };
}
inline Operation reading(zyntax_file *file, void *buf, size_t len, uint64_t offset) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_file_read(file, op, buf, len, offset, waker, result);
    };
}
inline Operation writing(zyntax_file *file, const std::string &text, uint64_t offset) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) {
        return zyntax_file_write(file, op, text.data(), text.size(), offset, waker, result);
    };
}
inline Operation syncing(zyntax_file *file) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_file_sync(file, op, waker, result); };
}
inline Operation sizing(zyntax_file *file) {
    return [=](zyntax_op *op, Waker *waker, int64_t *result) { return zyntax_file_size(file, op, waker, result); };
}

// An open file.
inline zyntax_file *opened(Runtime &rt, const std::string &path, uint32_t flags) {
    zyntax_file *file = nullptr;
    REQUIRE(await(rt, opening(rt, path, flags, &file)) == 0);
    REQUIRE(file != nullptr);
    return file;
}

constexpr uint32_t both_ways = ZYNTAX_FILE_READ | ZYNTAX_FILE_WRITE;
inline zyntax_file *created(Runtime &rt, const std::string &path, uint32_t more = 0) {
    return opened(rt, path, both_ways | ZYNTAX_FILE_CREATE | more);
}

// Up to `len` bytes from there, or the error as a text.
inline std::string text_at(Runtime &rt, zyntax_file *file, size_t len, uint64_t offset = here) {
    std::string text(len, '?');
    int64_t n = await(rt, reading(file, text.data(), len, offset));
    if (n < 0) return zyntax_error_name(n);
    text.resize(size_t(n));
    return text;
}

} // namespace support
