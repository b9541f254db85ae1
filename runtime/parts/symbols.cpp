// Every function of the header, for a JIT's symbol table. Its use links every part, so it is a file of its own.
#include "../../include/zyntax_async_runtime.h"

// X(name, types), sorted by name. The types: the result's, then the parameters' (see zyntax_signature).
// clang-format off
#define SIGNATURES(X) \
    X(zyntax_address_format, "ippz") \
    X(zyntax_address_parse, "ipp") \
    X(zyntax_blocking, "ippppzpp") \
    X(zyntax_blocking_with, "ipppppzpp") \
    X(zyntax_channel_close, "ip") \
    X(zyntax_channel_create, "ipzzp") \
    X(zyntax_channel_destroy, "ip") \
    X(zyntax_channel_recv, "ippppp") \
    X(zyntax_channel_send, "ippppp") \
    X(zyntax_channel_try_recv, "ipp") \
    X(zyntax_channel_try_send, "ipp") \
    X(zyntax_current_runtime, "p") \
    X(zyntax_current_waker, "ip") \
    X(zyntax_error_name, "pl") \
    X(zyntax_file_close, "ip") \
    X(zyntax_file_detach, "ipp") \
    X(zyntax_file_from, "ipzp") \
    X(zyntax_file_open, "ipppuppp") \
    X(zyntax_file_read, "ipppzqpp") \
    X(zyntax_file_size, "ipppp") \
    X(zyntax_file_sync, "ipppp") \
    X(zyntax_file_write, "ipppzqpp") \
    X(zyntax_io_close, "ip") \
    X(zyntax_io_deadline, "ipuq") \
    X(zyntax_io_detach, "ipp") \
    X(zyntax_io_fd, "zp") \
    X(zyntax_io_local, "ipp") \
    X(zyntax_io_open, "ipzp") \
    X(zyntax_io_peer, "ipp") \
    X(zyntax_io_read, "ipppzpp") \
    X(zyntax_io_readv, "ipppzpp") \
    X(zyntax_io_ready, "ippupp") \
    X(zyntax_io_set, "ipil") \
    X(zyntax_io_write, "ipppzpp") \
    X(zyntax_io_write_all, "ipppzppp") \
    X(zyntax_io_writev, "ipppzpp") \
    X(zyntax_join_all, "ipzpp") \
    X(zyntax_join_until, "ippqpp") \
    X(zyntax_now_ns, "qp") \
    X(zyntax_op_cancel, "vp") \
    X(zyntax_port_close, "ip") \
    X(zyntax_port_create, "izzp") \
    X(zyntax_port_destroy, "ip") \
    X(zyntax_port_recv, "ippppp") \
    X(zyntax_port_send, "ippppp") \
    X(zyntax_port_try_recv, "ipp") \
    X(zyntax_port_try_send, "ipp") \
    X(zyntax_process_close, "ip") \
    X(zyntax_process_id, "lp") \
    X(zyntax_process_signal, "ipi") \
    X(zyntax_process_spawn, "ipppp") \
    X(zyntax_process_wait, "ipppp") \
    X(zyntax_process_watch, "iplp") \
    X(zyntax_promise_accept, "pp") \
    X(zyntax_promise_block_on, "lpp") \
    X(zyntax_promise_blocking, "pppz") \
    X(zyntax_promise_cancel, "ip") \
    X(zyntax_promise_connect, "pph") \
    X(zyntax_promise_connect_to, "ppzq") \
    X(zyntax_promise_file_open, "ppu") \
    X(zyntax_promise_file_read, "pppzq") \
    X(zyntax_promise_file_size, "pp") \
    X(zyntax_promise_file_sync, "pp") \
    X(zyntax_promise_file_write, "pppzq") \
    X(zyntax_promise_port_recv, "ppp") \
    X(zyntax_promise_port_send, "ppp") \
    X(zyntax_promise_process_wait, "pp") \
    X(zyntax_promise_read, "pppz") \
    X(zyntax_promise_readv, "pppz") \
    X(zyntax_promise_ready, "ppu") \
    X(zyntax_promise_recv, "ppp") \
    X(zyntax_promise_resolve, "pppz") \
    X(zyntax_promise_scope_join, "pp") \
    X(zyntax_promise_scope_next, "pp") \
    X(zyntax_promise_select, "ppz") \
    X(zyntax_promise_send, "ppp") \
    X(zyntax_promise_signal_wait, "pp") \
    X(zyntax_promise_sleep, "pq") \
    X(zyntax_promise_spawn, "pppp") \
    X(zyntax_promise_spawn_child, "pp") \
    X(zyntax_promise_spawn_with, "ppppp") \
    X(zyntax_promise_timeout, "ppq") \
    X(zyntax_promise_udp_recv, "pppzp") \
    X(zyntax_promise_udp_send, "pppzp") \
    X(zyntax_promise_unix_connect, "ppz") \
    X(zyntax_promise_unix_recv_fd, "pp") \
    X(zyntax_promise_unix_send_fd, "ppz") \
    X(zyntax_promise_write, "pppz") \
    X(zyntax_promise_write_all, "pppzp") \
    X(zyntax_promise_writev, "pppz") \
    X(zyntax_promise_yield, "p") \
    X(zyntax_resolve, "ippppzpp") \
    X(zyntax_runtime_backend, "p") \
    X(zyntax_runtime_backend_fd, "zp") \
    X(zyntax_runtime_block_on, "ipp") \
    X(zyntax_runtime_create, "p") \
    X(zyntax_runtime_create_with, "ppp") \
    X(zyntax_runtime_destroy, "vp") \
    X(zyntax_runtime_dump, "ippp") \
    X(zyntax_runtime_get_stats, "ipp") \
    X(zyntax_runtime_hold, "vp") \
    X(zyntax_runtime_next_timeout_ns, "lp") \
    X(zyntax_runtime_post, "ippp") \
    X(zyntax_runtime_release, "vp") \
    X(zyntax_runtime_run, "ip") \
    X(zyntax_runtime_signatures, "pp") \
    X(zyntax_runtime_spawn, "pppp") \
    X(zyntax_runtime_spawn_with, "pppppz") \
    X(zyntax_runtime_stop, "vp") \
    X(zyntax_runtime_symbols, "pp") \
    X(zyntax_runtime_trace, "ippp") \
    X(zyntax_runtime_turn, "ipl") \
    X(zyntax_runtime_version, "u") \
    X(zyntax_scope_cancel, "ip") \
    X(zyntax_scope_create, "ipp") \
    X(zyntax_scope_destroy, "ip") \
    X(zyntax_scope_join, "ipppp") \
    X(zyntax_scope_next, "ippppp") \
    X(zyntax_scope_spawn, "pppppz") \
    X(zyntax_select, "ipzppp") \
    X(zyntax_signal_close, "ip") \
    X(zyntax_signal_open, "ipip") \
    X(zyntax_signal_wait, "ipppp") \
    X(zyntax_sleep, "ippqp") \
    X(zyntax_sleep_until, "ippqp") \
    X(zyntax_state_alloc, "ppz") \
    X(zyntax_state_free, "vppz") \
    X(zyntax_strerror, "pl") \
    X(zyntax_task_alive, "ip") \
    X(zyntax_task_cancel, "ip") \
    X(zyntax_task_interrupt, "ip") \
    X(zyntax_task_interrupted, "i") \
    X(zyntax_task_join, "ipppp") \
    X(zyntax_task_local, "p") \
    X(zyntax_task_name, "ipp") \
    X(zyntax_task_set_local, "vp") \
    X(zyntax_tcp_accept, "ippppp") \
    X(zyntax_tcp_connect, "ippphppp") \
    X(zyntax_tcp_connect_to, "ipppzqppp") \
    X(zyntax_tcp_listen, "ipphp") \
    X(zyntax_tcp_listen_with, "ipphup") \
    X(zyntax_tcp_port, "ip") \
    X(zyntax_tcp_shutdown, "ip") \
    X(zyntax_udp_connect, "ipp") \
    X(zyntax_udp_member, "ippui") \
    X(zyntax_udp_open, "ippup") \
    X(zyntax_udp_recv, "ipppzppp") \
    X(zyntax_udp_send, "ipppzppp") \
    X(zyntax_unix_connect, "ipppzppp") \
    X(zyntax_unix_listen, "ippzp") \
    X(zyntax_unix_pair, "ippp") \
    X(zyntax_unix_recv_fd, "ippppp") \
    X(zyntax_unix_send_fd, "ippzpp") \
    X(zyntax_wake_from_signal, "vp")
// clang-format on

namespace {

#define SYMBOL(name, types) {#name, reinterpret_cast<void *>(name)},
#define SIGNATURE(name, types) {#name, reinterpret_cast<void *>(name), types},
const zyntax_symbol symbols[] = {SIGNATURES(SYMBOL){nullptr, nullptr}};
const zyntax_signature signatures[] = {SIGNATURES(SIGNATURE){nullptr, nullptr, nullptr}};
constexpr size_t functions = sizeof symbols / sizeof symbols[0] - 1;

} // namespace

const zyntax_symbol *zyntax_runtime_symbols(size_t *count) noexcept {
    if (count) *count = functions;
    return symbols;
}

const zyntax_signature *zyntax_runtime_signatures(size_t *count) noexcept {
    if (count) *count = functions;
    return signatures;
}
