// Every function of the header, for a JIT's symbol table. Taking it links everything in, so it is a file of its own.
#include "../../include/zyntax_async_runtime.h"

namespace {

// Sorted by name; ended by a null.
const zyntax_symbol table[] = {
#define SYMBOL(name) \
    { #name, reinterpret_cast < void *>(name) }
    SYMBOL(zyntax_blocking),
    SYMBOL(zyntax_channel_close),
    SYMBOL(zyntax_channel_create),
    SYMBOL(zyntax_channel_destroy),
    SYMBOL(zyntax_channel_recv),
    SYMBOL(zyntax_channel_send),
    SYMBOL(zyntax_current_runtime),
    SYMBOL(zyntax_current_waker),
    SYMBOL(zyntax_error_name),
    SYMBOL(zyntax_io_close),
    SYMBOL(zyntax_io_detach),
    SYMBOL(zyntax_io_fd),
    SYMBOL(zyntax_io_open),
    SYMBOL(zyntax_io_read),
    SYMBOL(zyntax_io_ready),
    SYMBOL(zyntax_io_write),
    SYMBOL(zyntax_join_all),
    SYMBOL(zyntax_join_until),
    SYMBOL(zyntax_now_ns),
    SYMBOL(zyntax_op_cancel),
    SYMBOL(zyntax_promise_block_on),
    SYMBOL(zyntax_promise_spawn),
    SYMBOL(zyntax_runtime_backend),
    SYMBOL(zyntax_runtime_backend_fd),
    SYMBOL(zyntax_runtime_block_on),
    SYMBOL(zyntax_runtime_create),
    SYMBOL(zyntax_runtime_create_with),
    SYMBOL(zyntax_runtime_destroy),
    SYMBOL(zyntax_runtime_dump),
    SYMBOL(zyntax_runtime_get_stats),
    SYMBOL(zyntax_runtime_hold),
    SYMBOL(zyntax_runtime_next_timeout_ns),
    SYMBOL(zyntax_runtime_post),
    SYMBOL(zyntax_runtime_release),
    SYMBOL(zyntax_runtime_run),
    SYMBOL(zyntax_runtime_spawn),
    SYMBOL(zyntax_runtime_spawn_with),
    SYMBOL(zyntax_runtime_stop),
    SYMBOL(zyntax_runtime_symbols),
    SYMBOL(zyntax_runtime_turn),
    SYMBOL(zyntax_runtime_version),
    SYMBOL(zyntax_select),
    SYMBOL(zyntax_sleep),
    SYMBOL(zyntax_sleep_until),
    SYMBOL(zyntax_state_alloc),
    SYMBOL(zyntax_state_free),
    SYMBOL(zyntax_strerror),
    SYMBOL(zyntax_task_alive),
    SYMBOL(zyntax_task_cancel),
    SYMBOL(zyntax_task_join),
    SYMBOL(zyntax_tcp_accept),
    SYMBOL(zyntax_tcp_connect),
    SYMBOL(zyntax_tcp_listen),
    SYMBOL(zyntax_tcp_listen_with),
    SYMBOL(zyntax_tcp_port),
    SYMBOL(zyntax_tcp_shutdown),
    SYMBOL(zyntax_wake_from_signal),
#undef SYMBOL
    {nullptr, nullptr},
};

} // namespace

const zyntax_symbol *zyntax_runtime_symbols(size_t *count) noexcept {
    if (count) *count = sizeof table / sizeof table[0] - 1;
    return table;
}
