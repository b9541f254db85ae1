// SPDX-License-Identifier: Apache-2.0
//! The library's I/O handles, and the common code of byte streams: sockets, their halves, pipes of child processes.

#[cfg(any(unix, windows))]
use std::ffi::{CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
#[cfg(unix)]
pub(crate) use std::os::fd::OwnedFd as Owned;
#[cfg(unix)]
use std::os::fd::{FromRawFd, IntoRawFd};
#[cfg(windows)]
pub(crate) use std::os::windows::io::OwnedSocket as Owned;
#[cfg(windows)]
use std::os::windows::io::{FromRawSocket, IntoRawSocket};
use std::ptr;
use std::task::{ready, Context, Poll};

use crate::op::OpSlot;
use crate::runtime::current;
use crate::{sys, Error};

/// A handle that closes when it is dropped. It stays in its runtime's thread.
pub(crate) struct Handle(pub(crate) *mut sys::zyntax_io);

impl Handle {
    /// Registers a descriptor, which is the runtime's from then on. `function` is the caller's name, for the panic
    /// message if there is no runtime.
    #[cfg(any(unix, windows))]
    #[track_caller]
    pub(crate) fn open(owned: impl Into<Owned>, function: &str) -> io::Result<Handle> {
        let (runtime, owned) = (current(function), owned.into());
        let mut handle = ptr::null_mut();
        // SAFETY: the runtime lives and this is its thread.
        let code = unsafe { sys::zyntax_io_open(runtime.as_ptr(), descriptor_of(&owned), &mut handle) };
        Error::check(code.into())?;
        let _ = into_raw(owned); // the runtime's now
        Ok(Handle(handle))
    }

    /// Deregisters the descriptor and returns it.
    #[cfg(any(unix, windows))]
    pub(crate) fn into_owned(self) -> io::Result<Owned> {
        let mut descriptor = -1;
        // SAFETY: this is the handle's thread, as it is not `Send`; a stale one is an error.
        Error::check(unsafe { sys::zyntax_io_detach(self.0, &mut descriptor) }.into())?;
        // SAFETY: the library owned it, and has given it back.
        Ok(unsafe { from_raw(descriptor) })
    }

    /// Calls a function of a type of the standard library with this descriptor.
    #[cfg(any(unix, windows))]
    pub(crate) fn as_std<S: From<Owned>, R>(&self, work: impl FnOnce(&S) -> io::Result<R>) -> io::Result<R> {
        // SAFETY: this is the handle's thread; a stale one is an error.
        let descriptor = unsafe { sys::zyntax_io_fd(self.0) };
        if descriptor == -1 {
            return Err(Error::NO_RUNTIME.into());
        }
        // SAFETY: the descriptor is open as long as the handle, which is borrowed; the object does not close it.
        work(&std::mem::ManuallyDrop::new(S::from(unsafe { from_raw(descriptor) })))
    }

    /// Waits until a direction of `interest` is ready; returns the set that is.
    #[cfg(unix)]
    pub(crate) fn poll_ready(&self, slot: &mut OpSlot, cx: &mut Context<'_>, interest: u32) -> Poll<io::Result<u32>> {
        let mut result = 0;
        ready!(slot.call(cx, |op, waker| {
            // SAFETY: this is the handle's thread, and the pointers are valid for the call.
            unsafe { sys::zyntax_io_ready(self.0, op, interest, waker, &mut result) }
        }));
        Poll::Ready(Ok(Error::check(result)? as u32))
    }

    /// Ends the sending direction.
    pub(crate) fn shutdown(&self) -> io::Result<()> {
        // SAFETY: this is the handle's thread; a stale one is an error.
        match unsafe { sys::zyntax_tcp_shutdown(self.0) } {
            sys::ZYNTAX_ENOTCONN => Ok(()), // the peer was faster
            code => Ok(Error::check(code.into()).map(drop)?),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: this is the handle's thread; a stale one is fine.
        unsafe { sys::zyntax_io_close(self.0) };
    }
}

#[cfg(unix)]
fn descriptor_of(owned: &Owned) -> isize {
    std::os::fd::AsRawFd::as_raw_fd(owned) as isize
}

#[cfg(unix)]
fn into_raw(owned: Owned) -> isize {
    owned.into_raw_fd() as isize
}

/// # Safety
/// The descriptor is open, and the result's owner may close it.
#[cfg(unix)]
pub(crate) unsafe fn from_raw(descriptor: isize) -> Owned {
    // SAFETY: the caller's promise.
    unsafe { Owned::from_raw_fd(descriptor as i32) }
}

#[cfg(windows)]
fn descriptor_of(owned: &Owned) -> isize {
    std::os::windows::io::AsRawSocket::as_raw_socket(owned) as isize
}

#[cfg(windows)]
fn into_raw(owned: Owned) -> isize {
    owned.into_raw_socket() as isize
}

/// # Safety
/// The socket is open, and the result's owner may close it.
#[cfg(windows)]
pub(crate) unsafe fn from_raw(descriptor: isize) -> Owned {
    // SAFETY: the caller's promise.
    unsafe { Owned::from_raw_socket(descriptor as u64 as _) }
}

/// A path or argument as the library has it: bytes on Unix, UTF-8 elsewhere, without a NUL.
#[cfg(any(unix, windows))]
pub(crate) fn text(text: &OsStr) -> io::Result<CString> {
    #[cfg(unix)]
    let bytes = Some(std::os::unix::ffi::OsStrExt::as_bytes(text));
    #[cfg(not(unix))]
    let bytes = text.to_str().map(str::as_bytes);
    bytes.and_then(|bytes| CString::new(bytes).ok()).ok_or_else(|| Error::INVALID.into())
}

/// One direction of a stream, with a separate op word, so that reading and writing can wait at the same time.
pub(crate) struct Direction(OpSlot);

impl Direction {
    pub(crate) const fn new() -> Direction {
        Direction(OpSlot::new())
    }

    pub(crate) fn poll_read(
        &mut self,
        handle: &Handle,
        cx: &mut Context<'_>,
        buf: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        let mut result = 0;
        ready!(self.0.call(cx, |op, waker| {
            // SAFETY: this is the handle's thread; the buffer is only touched in this call.
            unsafe { sys::zyntax_io_read(handle.0, op, buf.as_mut_ptr().cast(), buf.len(), waker, &mut result) }
        }));
        Poll::Ready(Ok(Error::check(result)? as usize))
    }

    pub(crate) fn poll_write(&mut self, handle: &Handle, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut result = 0;
        ready!(self.0.call(cx, |op, waker| {
            // SAFETY: this is the handle's thread; the buffer is only touched in this call.
            unsafe { sys::zyntax_io_write(handle.0, op, buf.as_ptr().cast(), buf.len(), waker, &mut result) }
        }));
        Poll::Ready(Ok(Error::check(result)? as usize))
    }
}

/// The initialised form of a buffer that is only written to.
pub(crate) fn uninit(buf: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the same layout; the library writes bytes and never takes one back.
    unsafe { &mut *(buf as *mut [u8] as *mut [MaybeUninit<u8>]) }
}

/// The methods of a type that reads. It has `poll_read_into(&mut self, cx, buf)`.
macro_rules! reads {
    ($type:ty) => {
        impl $type {
            /// Reads up to the buffer's length; 0 at the end of the stream. Dropping the future loses no byte.
            pub async fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                std::future::poll_fn(|cx| self.poll_read_into(cx, crate::io::uninit(buf))).await
            }
        }
    };
}

/// The methods of a type that writes. It has `poll_write_from(&mut self, cx, buf)`.
macro_rules! writes {
    ($type:ty) => {
        impl $type {
            /// Writes some bytes and returns their number.
            pub async fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                std::future::poll_fn(|cx| self.poll_write_from(cx, buf)).await
            }

            /// Writes the whole buffer.
            pub async fn write_all(&mut self, mut buf: &[u8]) -> std::io::Result<()> {
                while !buf.is_empty() {
                    match self.write(buf).await? {
                        0 => return Err(std::io::ErrorKind::WriteZero.into()),
                        written => buf = &buf[written..],
                    }
                }
                Ok(())
            }
        }
    };
}

/// futures-io's trait for a type that reads.
macro_rules! async_read {
    ($type:ty) => {
        #[cfg(feature = "futures-io")]
        impl futures_io::AsyncRead for $type {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.get_mut().poll_read_into(cx, crate::io::uninit(buf))
            }
        }
    };
}

/// futures-io's trait for a type that writes. It has `poll_end(&mut self)`, which ends the sending direction.
macro_rules! async_write {
    ($type:ty) => {
        #[cfg(feature = "futures-io")]
        impl futures_io::AsyncWrite for $type {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.get_mut().poll_write_from(cx, buf)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(self.get_mut().end())
            }
        }
    };
}

/// Hyper's traits for a type that reads and writes.
macro_rules! hyper_io {
    ($type:ty) => {
        #[cfg(feature = "hyper")]
        impl hyper::rt::Read for $type {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                mut buf: hyper::rt::ReadBufCursor<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                // SAFETY: nothing that was initialised is made uninitialised; as many bytes as are said were written.
                unsafe {
                    let read = std::task::ready!(self.get_mut().poll_read_into(cx, buf.as_mut()))?;
                    buf.advance(read);
                }
                std::task::Poll::Ready(Ok(()))
            }
        }

        #[cfg(feature = "hyper")]
        impl hyper::rt::Write for $type {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.get_mut().poll_write_from(cx, buf)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(self.get_mut().end())
            }
        }
    };
}

pub(crate) use {async_read, async_write, hyper_io, reads, writes};
