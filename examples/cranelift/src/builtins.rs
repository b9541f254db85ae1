// SPDX-License-Identifier: Apache-2.0
//! The built-in functions of the language, one row each: the name, and the call of the runtime.

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Builtin {
    // At once.
    Print,
    Cancel,
    Interrupt,
    TcpListen,
    Close,
    Port,
    Channel,
    CloseChannel,
    // Awaited.
    SleepMs,
    YieldNow,
    Join,
    Select,
    Timeout,
    TcpConnect,
    Accept,
    ReadByte,
    WriteByte,
    Send,
    Recv,
    BlockingAdd,
    // Of `scope` blocks; programs cannot name them.
    ScopeCreate,
    ScopeDestroy,
    ScopeJoin,
}

pub struct Row {
    pub name: &'static str,
    pub builtin: Builtin,
    pub params: usize,
    pub is_async: bool,
    /// The function that it calls, and a letter for each argument of that: see ops.rs.
    pub function: &'static str,
    pub args: &'static str,
}

const fn now(name: &'static str, builtin: Builtin, params: usize, function: &'static str, args: &'static str) -> Row {
    Row { name, builtin, params, is_async: false, function, args }
}

const fn wait(name: &'static str, builtin: Builtin, params: usize, function: &'static str, args: &'static str) -> Row {
    Row { name, builtin, params, is_async: true, function, args }
}

const ROWS: [Row; 23] = [
    now("print", Builtin::Print, 1, "zy_print", "h0"),
    now("cancel", Builtin::Cancel, 1, "zyntax_task_cancel", "T"),
    now("interrupt", Builtin::Interrupt, 1, "zyntax_task_interrupt", "T"),
    now("tcp_listen", Builtin::TcpListen, 1, "zyntax_tcp_listen", "rLpI"),
    now("close", Builtin::Close, 1, "zyntax_io_close", "0"),
    now("port", Builtin::Port, 1, "zyntax_tcp_port", "0"),
    now("channel", Builtin::Channel, 1, "zyntax_channel_create", "rc8I"),
    now("close_channel", Builtin::CloseChannel, 1, "zyntax_channel_close", "0"),
    wait("sleep_ms", Builtin::SleepMs, 1, "zyntax_sleep", "ro0w"),
    wait("yield_now", Builtin::YieldNow, 0, "", ""),
    wait("join", Builtin::Join, 1, "zyntax_task_join", "TowR"),
    wait("select", Builtin::Select, 2, "zyntax_select", "S2owR"),
    wait("timeout", Builtin::Timeout, 2, "zyntax_join_until", "To1wR"),
    wait("tcp_connect", Builtin::TcpConnect, 1, "zyntax_tcp_connect", "roLpwIR"),
    wait("accept", Builtin::Accept, 1, "zyntax_tcp_accept", "0owIR"),
    wait("read_byte", Builtin::ReadByte, 1, "zyntax_io_read", "0oIbwR"),
    wait("write_byte", Builtin::WriteByte, 2, "zyntax_io_write", "0oVbwR"),
    wait("send", Builtin::Send, 2, "zyntax_channel_send", "0oVwR"),
    wait("recv", Builtin::Recv, 1, "zyntax_channel_recv", "0oIwR"),
    wait("blocking_add", Builtin::BlockingAdd, 2, "zyntax_blocking", "rofA6wR"),
    now("scope", Builtin::ScopeCreate, 0, "zyntax_scope_create", "rI"),
    now("scope", Builtin::ScopeDestroy, 1, "zyntax_scope_destroy", "0"),
    wait("scope", Builtin::ScopeJoin, 1, "zyntax_scope_join", "0owR"),
];

pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

impl Builtin {
    pub fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}
