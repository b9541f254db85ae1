// SPDX-License-Identifier: Apache-2.0
//! TCP.

use std::ffi::CString;
use std::fmt;
use std::future::{poll_fn, Future};
use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ptr;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use super::numeric;
use crate::io::{Direction, Handle};
use crate::op::OpSlot;
use crate::runtime::current;
use crate::{sys, Error};

fn port(handle: &Handle) -> io::Result<u16> {
    // SAFETY: this is the handle's thread, as it is not `Send`; a stale one is an error.
    Ok(Error::check(unsafe { sys::zyntax_tcp_port(handle.0) }.into())? as u16)
}

/// A TCP listener. Dropping it closes it.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::TcpListener>();
/// ```
pub struct TcpListener(Handle);

impl TcpListener {
    /// Listens on the first address that works. Port 0 takes a free port. This call looks up a name, which may block; a
    /// numeric address needs no look-up. The scope of an IPv6 address is used, its flow information is not.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        TcpListener::bind_with(address, 0)
    }

    /// As [`TcpListener::bind`]. Other listeners that were bound with this function may share the port.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn bind_shared(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        TcpListener::bind_with(address, sys::ZYNTAX_LISTEN_SHARED)
    }

    #[track_caller]
    fn bind_with(address: impl ToSocketAddrs, flags: u32) -> io::Result<TcpListener> {
        let runtime = current("TcpListener::bind");
        let mut error = Error::INVALID;
        for address in address.to_socket_addrs()? {
            let text = numeric(&address);
            let mut handle = ptr::null_mut();
            // SAFETY: the runtime lives, this is its thread, and the pointers are valid for the call.
            let code = unsafe {
                sys::zyntax_tcp_listen_with(runtime.as_ptr(), text.as_ptr(), address.port(), flags, &mut handle)
            };
            match Error::check(code.into()) {
                Ok(_) => return Ok(TcpListener(Handle(handle))),
                Err(why) => error = why,
            }
        }
        Err(error.into())
    }

    /// Converts a listener of the standard library, which becomes non-blocking.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    #[cfg(any(unix, windows))]
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        Handle::open(listener, "TcpListener::from_std").map(TcpListener)
    }

    /// Converts this into a listener of the standard library. It is non-blocking: `set_nonblocking(false)` changes
    /// that.
    #[cfg(any(unix, windows))]
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        self.0.into_owned().map(Into::into)
    }

    /// The local port.
    pub fn port(&self) -> io::Result<u16> {
        port(&self.0)
    }

    /// The local address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The next connection.
    pub fn accept(&self) -> impl Future<Output = io::Result<TcpStream>> + '_ {
        let mut slot = OpSlot::new();
        poll_fn(move |cx| {
            let (mut handle, mut result) = (ptr::null_mut(), 0);
            ready!(slot.call(cx, |op, waker| {
                // SAFETY: this is the handle's thread, and the pointers are valid for the call.
                unsafe { sys::zyntax_tcp_accept(self.0 .0, op, waker, &mut handle, &mut result) }
            }));
            Poll::Ready(Error::check(result).map(|_| TcpStream::new(Handle(handle))).map_err(Into::into))
        })
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpListener").field(&self.0 .0).finish()
    }
}

/// A TCP connection. Dropping it closes it.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::TcpStream>();
/// ```
pub struct TcpStream {
    // Dropped in this order: pending waits are given up before the handle is closed.
    reading: Direction,
    writing: Direction,
    handle: Handle,
}

impl TcpStream {
    /// Connects to a numeric address, such as `"127.0.0.1"`, `"::1"` or `"fe80::1%2"` (on interface 2), or to a name.
    /// The blocking pool looks up a name.
    ///
    /// # Panics
    /// When the future is polled outside of a runtime.
    pub fn connect(host: &str, port: u16) -> impl Future<Output = io::Result<TcpStream>> {
        TcpStream::connect_text(CString::new(host).ok(), port)
    }

    /// Connects to an address. The scope of an IPv6 address is used, its flow information is not.
    ///
    /// # Panics
    /// When the future is polled outside of a runtime.
    pub fn connect_to(address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> {
        TcpStream::connect_text(Some(numeric(&address)), address.port())
    }

    fn connect_text(host: Option<CString>, port: u16) -> impl Future<Output = io::Result<TcpStream>> {
        let mut slot = OpSlot::new();
        poll_fn(move |cx| {
            let Some(host) = &host else { return Poll::Ready(Err(Error::INVALID.into())) };
            let runtime = current("TcpStream::connect");
            let (runtime, mut handle, mut result) = (runtime.as_ptr(), ptr::null_mut(), 0);
            ready!(slot.call(cx, |op, waker| {
                // SAFETY: the runtime lives, this is its thread, and the pointers are valid for the call.
                unsafe { sys::zyntax_tcp_connect(runtime, op, host.as_ptr(), port, waker, &mut handle, &mut result) }
            }));
            Poll::Ready(Error::check(result).map(|_| TcpStream::new(Handle(handle))).map_err(Into::into))
        })
    }

    /// The local port.
    pub fn port(&self) -> io::Result<u16> {
        port(&self.handle)
    }

    /// The local address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle.local_addr()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.handle.peer_addr()
    }

    /// Whether small writes are sent at once (Nagle's algorithm is off). [`TcpStream::connect`] and
    /// [`TcpListener::accept`] set this.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.handle.set(sys::ZYNTAX_NO_DELAY, on.into())
    }

    /// Whether small writes are sent at once.
    #[cfg(any(unix, windows))]
    pub fn nodelay(&self) -> io::Result<bool> {
        self.handle.as_std(|stream: &std::net::TcpStream| stream.nodelay())
    }

    /// Sets the number of hops that a packet may take.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.handle.set(sys::ZYNTAX_TTL, ttl.into())
    }

    /// The number of hops that a packet may take.
    #[cfg(any(unix, windows))]
    pub fn ttl(&self) -> io::Result<u32> {
        self.handle.as_std(|stream: &std::net::TcpStream| stream.ttl())
    }
}

/// The addresses of a half that owns.
macro_rules! addresses {
    ($half:ident) => {
        impl $half {
            /// The local address.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.handle.local_addr()
            }

            /// The peer's address.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.handle.peer_addr()
            }
        }
    };
}

addresses!(OwnedReadHalf);
addresses!(OwnedWriteHalf);

stream!(TcpStream, std::net::TcpStream, "zyntax_async_runtime::net::tcp");
