// Threads, on systems whose tests have them. A system without threads can give these names another meaning.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace sys {

constexpr bool has_threads = true;

using Thread = std::thread;
using Mutex = std::mutex;
using Lock = std::unique_lock<std::mutex>;
using Condition = std::condition_variable;
using ThreadId = std::thread::id;

inline ThreadId this_thread_id() { return std::this_thread::get_id(); }
inline void yield() { std::this_thread::yield(); }

} // namespace sys
