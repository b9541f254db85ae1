// SPDX-License-Identifier: Apache-2.0
//! TCP, on the library's I/O handles.

use std::ffi::CString;
use std::fmt;
use std::future::{poll_fn, Future};
use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, ToSocketAddrs};
#[cfg(any(feature = "futures-io", feature = "hyper"))]
use std::pin::Pin;
use std::ptr;
use std::task::{ready, Context, Poll};

use crate::op::OpSlot;
use crate::runtime::current;
use crate::{sys, Error};

/// A handle that closes when it is dropped. It stays in its runtime's thread.
struct Handle(*mut sys::zyntax_io);

impl Handle {
    fn port(&self) -> io::Result<u16> {
        // SAFETY: this is the handle's thread, as it is not `Send`; a stale one is an error.
        let port = Error::check(unsafe { sys::zyntax_tcp_port(self.0) }.into())?;
        Ok(port as u16)
    }

    #[cfg(any(unix, windows))]
    #[track_caller]
    fn open(descriptor: isize) -> Result<Handle, Error> {
        let runtime = current("TcpStream::from_std");
        let mut handle = ptr::null_mut();
        // SAFETY: the runtime lives and this is its thread.
        Error::check(unsafe { sys::zyntax_io_open(runtime.as_ptr(), descriptor, &mut handle) }.into())?;
        Ok(Handle(handle))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: as before.
        unsafe { sys::zyntax_io_close(self.0) };
    }
}

/// An address in the library's text form: without the port, with the scope (an interface number).
fn numeric(address: &SocketAddr) -> CString {
    let text = match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
    };
    CString::new(text).expect("a number has no NUL")
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

    /// The local port.
    pub fn port(&self) -> io::Result<u16> {
        self.0.port()
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

/// One direction of a stream, with a separate op word, so that reading and writing can wait at the same time.
struct Direction(OpSlot);

impl Direction {
    fn poll_read(
        &mut self,
        handle: *mut sys::zyntax_io,
        cx: &mut Context<'_>,
        buf: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        let mut result = 0;
        ready!(self.0.call(cx, |op, waker| {
            // SAFETY: this is the handle's thread; the buffer is only touched in this call.
            unsafe { sys::zyntax_io_read(handle, op, buf.as_mut_ptr().cast(), buf.len(), waker, &mut result) }
        }));
        Poll::Ready(Error::check(result).map(|read| read as usize).map_err(Into::into))
    }

    fn poll_write(&mut self, handle: *mut sys::zyntax_io, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut result = 0;
        ready!(self.0.call(cx, |op, waker| {
            // SAFETY: this is the handle's thread; the buffer is only touched in this call.
            unsafe { sys::zyntax_io_write(handle, op, buf.as_ptr().cast(), buf.len(), waker, &mut result) }
        }));
        Poll::Ready(Error::check(result).map(|written| written as usize).map_err(Into::into))
    }
}

fn shutdown(handle: *mut sys::zyntax_io) -> io::Result<()> {
    // SAFETY: this is the handle's thread; a stale one is an error.
    match unsafe { sys::zyntax_tcp_shutdown(handle) } {
        sys::ZYNTAX_ENOTCONN => Ok(()), // the peer was faster
        code => Ok(Error::check(code.into()).map(drop)?),
    }
}

/// The initialised form of a buffer that is only written to.
fn uninit(buf: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the same layout; the library writes bytes and never takes one back.
    unsafe { &mut *(buf as *mut [u8] as *mut [MaybeUninit<u8>]) }
}

/// A TCP connection. Dropping it closes it.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::TcpStream>();
/// ```
pub struct TcpStream {
    // Dropped in this order: what waits is given up before the handle is closed.
    reading: Direction,
    writing: Direction,
    handle: Handle,
}

impl TcpStream {
    fn new(handle: Handle) -> TcpStream {
        TcpStream { reading: Direction(OpSlot::new()), writing: Direction(OpSlot::new()), handle }
    }

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

    /// Converts a connection of the standard library.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    #[cfg(unix)]
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        use std::os::fd::{AsRawFd, IntoRawFd};
        let handle = Handle::open(stream.as_raw_fd() as isize)?;
        let _ = stream.into_raw_fd(); // the runtime's now
        Ok(TcpStream::new(handle))
    }

    /// Converts a connection of the standard library.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    #[cfg(windows)]
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        use std::os::windows::io::{AsRawSocket, IntoRawSocket};
        let handle = Handle::open(stream.as_raw_socket() as isize)?;
        let _ = stream.into_raw_socket(); // the runtime's now
        Ok(TcpStream::new(handle))
    }

    /// The local port.
    pub fn port(&self) -> io::Result<u16> {
        self.handle.port()
    }

    /// Both directions, for simultaneous use.
    pub fn halves(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        let handle = self.handle.0;
        (ReadHalf { direction: &mut self.reading, handle }, WriteHalf { direction: &mut self.writing, handle })
    }

    /// Reads up to the buffer's length; 0 at the end of the stream.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read_into(cx, uninit(buf))).await
    }

    /// Writes some bytes and returns their number.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_from(cx, buf)).await
    }

    /// Writes the whole buffer.
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.halves().1.write_all(buf).await
    }

    /// Ends the sending direction; reading still works.
    pub fn shutdown(&self) -> io::Result<()> {
        shutdown(self.handle.0)
    }

    fn poll_read_into(&mut self, cx: &mut Context<'_>, buf: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
        self.reading.poll_read(self.handle.0, cx, buf)
    }

    fn poll_write_from(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writing.poll_write(self.handle.0, cx, buf)
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpStream").field(&self.handle.0).finish()
    }
}

/// The reading direction of a [`TcpStream`].
pub struct ReadHalf<'a> {
    direction: &'a mut Direction,
    handle: *mut sys::zyntax_io,
}

impl ReadHalf<'_> {
    /// As [`TcpStream::read`].
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.direction.poll_read(self.handle, cx, uninit(buf))).await
    }
}

/// The writing direction of a [`TcpStream`].
pub struct WriteHalf<'a> {
    direction: &'a mut Direction,
    handle: *mut sys::zyntax_io,
}

impl WriteHalf<'_> {
    /// As [`TcpStream::write`].
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.direction.poll_write(self.handle, cx, buf)).await
    }

    /// As [`TcpStream::write_all`].
    pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let written = self.write(buf).await?;
            buf = &buf[written..];
        }
        Ok(())
    }

    /// As [`TcpStream::shutdown`].
    pub fn shutdown(&self) -> io::Result<()> {
        shutdown(self.handle)
    }
}

#[cfg(feature = "futures-io")]
impl futures_io::AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_read_into(cx, uninit(buf))
    }
}

#[cfg(feature = "futures-io")]
impl futures_io::AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_from(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown())
    }
}

#[cfg(feature = "hyper")]
impl hyper::rt::Read for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: nothing that was initialised is made uninitialised, and as many bytes as are said were written.
        unsafe {
            let read = ready!(self.get_mut().poll_read_into(cx, buf.as_mut()))?;
            buf.advance(read);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "hyper")]
impl hyper::rt::Write for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_from(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown())
    }
}
