// SPDX-License-Identifier: Apache-2.0
//! Sockets: TCP, UDP and Unix domain.

use std::ffi::CString;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use crate::io::Handle;
use crate::{sys, Error};

#[macro_use]
mod stream;
pub mod tcp;
mod udp;
#[cfg(unix)]
pub mod unix;

pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
#[cfg(unix)]
pub use unix::{UnixDatagram, UnixListener, UnixStream};

/// An address in the library's text form: without the port, with the scope (an interface number).
fn numeric(address: &SocketAddr) -> CString {
    let text = match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
    };
    CString::new(text).expect("a number has no NUL")
}

const NO_ADDRESS: sys::zyntax_address = sys::zyntax_address { family: 0, port: 0, scope: 0, ip: [0; 16] };

/// An address as the library has it. It has no flow information.
fn to_library(address: &SocketAddr) -> sys::zyntax_address {
    let mut raw = sys::zyntax_address { port: address.port(), ..NO_ADDRESS };
    match address {
        SocketAddr::V4(v4) => {
            raw.family = 4;
            raw.ip[..4].copy_from_slice(&v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            raw.family = 6;
            raw.scope = v6.scope_id();
            raw.ip = v6.ip().octets();
        }
    }
    raw
}

fn from_library(raw: &sys::zyntax_address) -> io::Result<SocketAddr> {
    match raw.family {
        4 => {
            let [a, b, c, d, ..] = raw.ip;
            Ok(SocketAddr::new(IpAddr::from([a, b, c, d]), raw.port))
        }
        6 => Ok(SocketAddrV6::new(raw.ip.into(), raw.port, 0, raw.scope).into()),
        _ => Err(Error::INVALID.into()),
    }
}

impl Handle {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        let mut raw = NO_ADDRESS;
        // SAFETY: this is the handle's thread; a stale one is an error.
        Error::check(unsafe { sys::zyntax_io_local(self.0, &mut raw) }.into())?;
        from_library(&raw)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        let mut raw = NO_ADDRESS;
        // SAFETY: this is the handle's thread; a stale one is an error.
        Error::check(unsafe { sys::zyntax_io_peer(self.0, &mut raw) }.into())?;
        from_library(&raw)
    }

    /// Sets an option: one of the library's constants.
    fn set(&self, option: i32, value: i64) -> io::Result<()> {
        // SAFETY: this is the handle's thread; a stale one is an error.
        Ok(Error::check(unsafe { sys::zyntax_io_set(self.0, option, value) }.into()).map(drop)?)
    }
}
