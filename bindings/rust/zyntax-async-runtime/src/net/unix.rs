// SPDX-License-Identifier: Apache-2.0
//! Unix-domain sockets. A path that begins with a NUL is one of Linux's abstract names, as with Tokio.

use std::cell::Cell;
use std::ffi::c_char;
use std::fmt;
use std::future::{poll_fn, Future};
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net;
pub use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::ptr;
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use crate::io::{from_raw, Direction, Handle};
use crate::op::OpSlot;
use crate::runtime::current;
use crate::{sleep, sys, yield_now, Error};

/// A path's bytes and their number.
fn parts(path: &[u8]) -> (*const c_char, usize) {
    (path.as_ptr().cast(), path.len())
}

/// A listener on a path. Dropping it closes it; the socket's file stays, and should be removed.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::net::UnixListener>();
/// ```
pub struct UnixListener(Handle);

impl UnixListener {
    /// Listens on a path. A path that exists is [`io::ErrorKind::AddrInUse`], also the socket's file of a process that
    /// has ended.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        let runtime = current("UnixListener::bind");
        let (path, length) = parts(path.as_ref().as_os_str().as_bytes());
        let mut handle = ptr::null_mut();
        // SAFETY: the runtime lives, this is its thread, and the pointers are valid for the call.
        Error::check(unsafe { sys::zyntax_unix_listen(runtime.as_ptr(), path, length, &mut handle) }.into())?;
        Ok(UnixListener(Handle(handle)))
    }

    /// Converts a listener of the standard library, which becomes non-blocking.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn from_std(listener: net::UnixListener) -> io::Result<UnixListener> {
        Handle::open(listener, "UnixListener::from_std").map(UnixListener)
    }

    /// Converts this into a listener of the standard library. It is non-blocking: `set_nonblocking(false)` changes
    /// that.
    pub fn into_std(self) -> io::Result<net::UnixListener> {
        self.0.into_owned().map(Into::into)
    }

    /// The next connection and the address that its peer is bound to: usually none.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let mut slot = OpSlot::new();
        let accept = poll_fn(|cx| {
            let (mut handle, mut result) = (ptr::null_mut(), 0);
            ready!(slot.call(cx, |op, waker| {
                // SAFETY: this is the handle's thread, and the pointers are valid for the call.
                unsafe { sys::zyntax_tcp_accept(self.0 .0, op, waker, &mut handle, &mut result) }
            }));
            Poll::Ready(Error::check(result).map(|_| UnixStream::new(Handle(handle))))
        });
        let stream = accept.await?;
        // A peer that is gone already has no address.
        let address = stream.peer_addr().or_else(|_| SocketAddr::from_pathname(""))?;
        Ok((stream, address))
    }

    /// The path that it listens on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.as_std(|listener: &net::UnixListener| listener.local_addr())
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnixListener").field(&self.0 .0).finish()
    }
}

/// A connection between two Unix-domain sockets. Dropping it closes it.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::net::UnixStream>();
/// ```
pub struct UnixStream {
    // Dropped in this order: pending waits are given up before the handle is closed.
    reading: Direction,
    writing: Direction,
    handle: Handle,
}

impl UnixStream {
    /// Connects to a path. Waits while the listener's queue is full.
    ///
    /// # Panics
    /// When the future is polled outside of a runtime.
    pub fn connect(path: impl AsRef<Path>) -> impl Future<Output = io::Result<UnixStream>> {
        let path = path.as_ref().as_os_str().to_os_string().into_vec();
        let mut slot = OpSlot::new();
        poll_fn(move |cx| {
            let runtime = current("UnixStream::connect").as_ptr();
            let ((path, length), mut handle, mut result) = (parts(&path), ptr::null_mut(), 0);
            ready!(slot.call(cx, |op, waker| {
                // SAFETY: the runtime lives, this is its thread, and the pointers are valid for the call.
                unsafe { sys::zyntax_unix_connect(runtime, op, path, length, waker, &mut handle, &mut result) }
            }));
            Poll::Ready(Error::check(result).map(|_| UnixStream::new(Handle(handle))).map_err(Into::into))
        })
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let runtime = current("UnixStream::pair");
        let (mut one, mut other) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the runtime lives, this is its thread, and the pointers are valid for the call.
        Error::check(unsafe { sys::zyntax_unix_pair(runtime.as_ptr(), &mut one, &mut other) }.into())?;
        Ok((UnixStream::new(Handle(one)), UnixStream::new(Handle(other))))
    }

    /// The address that this socket is bound to: usually none.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle.as_std(|stream: &net::UnixStream| stream.local_addr())
    }

    /// The address that the peer is bound to.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.handle.as_std(|stream: &net::UnixStream| stream.peer_addr())
    }

    /// Sends a descriptor, with one zero byte, after everything that was written before. The peer gets a duplicate.
    pub fn send_fd<'a>(&'a self, fd: BorrowedFd<'a>) -> impl Future<Output = io::Result<()>> + 'a {
        let mut slot = OpSlot::new();
        poll_fn(move |cx| {
            let (fd, mut result) = (fd.as_raw_fd() as isize, 0);
            ready!(slot.call(cx, |op, waker| {
                // SAFETY: this is the handle's thread; the descriptor is open as long as this future has it.
                unsafe { sys::zyntax_unix_send_fd(self.handle.0, op, fd, waker, &mut result) }
            }));
            Poll::Ready(Error::check(result).map(drop).map_err(Into::into))
        })
    }

    /// Receives one byte with a descriptor; `None` at the end of the stream. A byte without a descriptor is an error,
    /// and is consumed. Reading closes descriptors that it meets.
    pub fn recv_fd(&self) -> impl Future<Output = io::Result<Option<OwnedFd>>> + '_ {
        let mut slot = OpSlot::new();
        poll_fn(move |cx| {
            let (mut fd, mut result) = (-1, 0);
            ready!(slot.call(cx, |op, waker| {
                // SAFETY: this is the handle's thread, and the pointers are valid for the call.
                unsafe { sys::zyntax_unix_recv_fd(self.handle.0, op, &mut fd, waker, &mut result) }
            }));
            // SAFETY: with the result 1 it is an open descriptor that is ours to close.
            Poll::Ready(Ok((Error::check(result)? == 1).then(|| unsafe { from_raw(fd) })))
        })
    }
}

stream!(UnixStream, net::UnixStream, "zyntax_async_runtime::net::unix");

/// A Unix-domain datagram socket. Dropping it closes it; its file stays. Any number of tasks may send and receive at
/// the same time: share it with `Rc`.
pub struct UnixDatagram {
    handle: Handle,
    /// How many calls in a row did not wait: a peer that floods must not keep other tasks out.
    quick: Cell<u8>,
}

impl UnixDatagram {
    #[track_caller]
    fn open(socket: net::UnixDatagram, function: &str) -> io::Result<UnixDatagram> {
        socket.set_nonblocking(true)?;
        Ok(UnixDatagram { handle: Handle::open(socket, function)?, quick: Cell::new(0) })
    }

    /// Opens a socket with a path, on which it receives. A path that exists is [`io::ErrorKind::AddrInUse`].
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        UnixDatagram::open(net::UnixDatagram::bind(path)?, "UnixDatagram::bind")
    }

    /// Opens a socket without a path.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::open(net::UnixDatagram::unbound()?, "UnixDatagram::unbound")
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((UnixDatagram::open(one, "UnixDatagram::pair")?, UnixDatagram::open(other, "UnixDatagram::pair")?))
    }

    /// Converts a socket of the standard library, which becomes non-blocking.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<UnixDatagram> {
        UnixDatagram::open(socket, "UnixDatagram::from_std")
    }

    /// Converts this into a socket of the standard library. It is non-blocking: `set_nonblocking(false)` changes that.
    pub fn into_std(self) -> io::Result<net::UnixDatagram> {
        self.handle.into_owned().map(Into::into)
    }

    /// Sets the peer. [`UnixDatagram::send`] sends to it, and only its datagrams are received.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.handle.as_std(|socket: &net::UnixDatagram| socket.connect(path))
    }

    /// Calls a function until it does not have to wait.
    async fn wait<T>(&self, interest: u32, mut work: impl FnMut(&net::UnixDatagram) -> io::Result<T>) -> io::Result<T> {
        self.quick.set(self.quick.get().wrapping_add(1));
        if self.quick.get() >= 128 {
            self.quick.set(0);
            yield_now().await;
        }
        let mut pause = Duration::from_millis(1);
        let mut tries = 0;
        loop {
            match self.handle.as_std(&mut work) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            self.quick.set(0);
            // A socket without a peer is writable although the receiver's queue is full, and no event tells of room.
            if interest == sys::ZYNTAX_WRITABLE && tries > 0 {
                sleep(pause).await;
                pause = Duration::from_millis(50).min(2 * pause);
            }
            tries += 1;
            let mut slot = OpSlot::new();
            poll_fn(|cx| self.handle.poll_ready(&mut slot, cx, interest)).await?;
        }
    }

    /// Sends a datagram to the peer and returns its length. Waits while the peer's queue is full.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.wait(sys::ZYNTAX_WRITABLE, |socket| socket.send(buf)).await
    }

    /// Sends a datagram to the socket with this path and returns its length. While the receiver's queue is full the
    /// call tries again within 50 ms.
    pub async fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let path = path.as_ref();
        self.wait(sys::ZYNTAX_WRITABLE, |socket| socket.send_to(buf, path)).await
    }

    /// Receives a datagram and returns its length. Bytes that do not fit into the buffer are lost.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait(sys::ZYNTAX_READABLE, |socket| socket.recv(buf)).await
    }

    /// As [`UnixDatagram::recv`], with the sender's address.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.wait(sys::ZYNTAX_READABLE, |socket| socket.recv_from(buf)).await
    }

    /// The address that this socket is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle.as_std(|socket: &net::UnixDatagram| socket.local_addr())
    }

    /// The address that the peer is bound to.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.handle.as_std(|socket: &net::UnixDatagram| socket.peer_addr())
    }

    /// Ends receiving, sending or both.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.handle.as_std(|socket: &net::UnixDatagram| socket.shutdown(how))
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnixDatagram").field(&self.handle.0).finish()
    }
}
