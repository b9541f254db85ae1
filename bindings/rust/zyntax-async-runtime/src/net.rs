// SPDX-License-Identifier: Apache-2.0
//! Sockets: TCP, UDP and Unix domain.

use std::ffi::CString;
use std::net::SocketAddr;

#[macro_use]
mod stream;
pub mod tcp;

pub use tcp::{TcpListener, TcpStream};

/// An address in the library's text form: without the port, with the scope (an interface number).
fn numeric(address: &SocketAddr) -> CString {
    let text = match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
    };
    CString::new(text).expect("a number has no NUL")
}
