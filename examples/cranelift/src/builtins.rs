// SPDX-License-Identifier: Apache-2.0
//! The functions that the language has by itself.

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Builtin {
    // At once.
    Print,
    Cancel,
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
}

/// Name, number of arguments, whether it is awaited.
const BUILTINS: [(&str, Builtin, usize, bool); 19] = [
    ("print", Builtin::Print, 1, false),
    ("cancel", Builtin::Cancel, 1, false),
    ("tcp_listen", Builtin::TcpListen, 1, false),
    ("close", Builtin::Close, 1, false),
    ("port", Builtin::Port, 1, false),
    ("channel", Builtin::Channel, 1, false),
    ("close_channel", Builtin::CloseChannel, 1, false),
    ("sleep_ms", Builtin::SleepMs, 1, true),
    ("yield_now", Builtin::YieldNow, 0, true),
    ("join", Builtin::Join, 1, true),
    ("select", Builtin::Select, 2, true),
    ("timeout", Builtin::Timeout, 2, true),
    ("tcp_connect", Builtin::TcpConnect, 1, true),
    ("accept", Builtin::Accept, 1, true),
    ("read_byte", Builtin::ReadByte, 1, true),
    ("write_byte", Builtin::WriteByte, 2, true),
    ("send", Builtin::Send, 2, true),
    ("recv", Builtin::Recv, 1, true),
    ("blocking_add", Builtin::BlockingAdd, 2, true),
];

/// The builtin of that name, its number of arguments, and whether it is awaited.
pub fn find(name: &str) -> Option<(Builtin, usize, bool)> {
    BUILTINS.iter().find(|row| row.0 == name).map(|row| (row.1, row.2, row.3))
}
