// SPDX-License-Identifier: Apache-2.0
//! Readiness of a descriptor that another object owns.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{ready, Context, Poll};

use crate::io::Handle;
use crate::op::OpSlot;
use crate::{sys, Error};

/// The directions to wait for: [`Interest::READABLE`], [`Interest::WRITABLE`], or both joined with `|`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Interest(u32);

impl Interest {
    /// Data, a connection to accept, or the end of the stream.
    pub const READABLE: Interest = Interest(sys::ZYNTAX_READABLE);
    /// Room for data.
    pub const WRITABLE: Interest = Interest(sys::ZYNTAX_WRITABLE);

    /// Whether reading is part of it.
    pub const fn is_readable(self) -> bool {
        self.0 & sys::ZYNTAX_READABLE != 0
    }

    /// Whether writing is part of it.
    pub const fn is_writable(self) -> bool {
        self.0 & sys::ZYNTAX_WRITABLE != 0
    }

    /// Both.
    #[allow(clippy::should_implement_trait)]
    pub const fn add(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        self.add(other)
    }
}

/// The directions in which a descriptor is ready. An error or a hang-up counts as every direction that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ready(u32);

impl Ready {
    /// Nothing.
    pub const EMPTY: Ready = Ready(0);
    /// Reading does not wait.
    pub const READABLE: Ready = Ready(sys::ZYNTAX_READABLE);
    /// Writing does not wait.
    pub const WRITABLE: Ready = Ready(sys::ZYNTAX_WRITABLE);
    /// Both.
    pub const ALL: Ready = Ready(sys::ZYNTAX_READABLE | sys::ZYNTAX_WRITABLE);

    /// Whether this is nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether reading does not wait.
    pub const fn is_readable(self) -> bool {
        self.0 & sys::ZYNTAX_READABLE != 0
    }

    /// Whether writing does not wait.
    pub const fn is_writable(self) -> bool {
        self.0 & sys::ZYNTAX_WRITABLE != 0
    }

    /// Whether all of `other` is part of this.
    pub const fn contains(self, other: Ready) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Ready {
    type Output = Ready;

    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        self.0 |= other.0;
    }
}

impl BitAnd for Ready {
    type Output = Ready;

    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}

impl Not for Ready {
    type Output = Ready;

    fn not(self) -> Ready {
        Ready(!self.0 & Ready::ALL.0)
    }
}

/// An object with a descriptor (a socket, pipe, terminal, eventfd, timerfd, inotify …) whose readiness can be awaited,
/// as Tokio's type of this name. The object does the reading and writing.
///
/// The runtime registers a duplicate of the descriptor, which costs one descriptor more, and makes the open file
/// non-blocking. The object stays valid when the runtime ends, and [`AsyncFd::into_inner`] gives it back. If its file
/// was blocking before, it is blocking again afterwards.
///
/// Unlike with Tokio, readiness is the kernel's answer at that time: [`AsyncFd::readable`] waits only if the kernel has
/// no data, and no readiness is lost when a guard clears too little or too much.
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use zyntax_async_runtime::{spawn, AsyncFd, Runtime};
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     let (ours, mut theirs) = UnixStream::pair()?;
///     let ours = AsyncFd::new(ours)?;
///     spawn(async move { theirs.write_all(b"hello") });
///     let mut buffer = [0; 16];
///     let read = loop {
///         let mut guard = ours.readable().await?;
///         match guard.try_io(|stream| stream.get_ref().read(&mut buffer)) {
///             Ok(result) => break result?,
///             Err(_would_block) => continue,
///         }
///     };
///     assert_eq!(&buffer[..read], b"hello");
///     std::io::Result::Ok(())
/// })??;
/// # std::io::Result::Ok(())
/// ```
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::AsyncFd<std::os::fd::OwnedFd>>();
/// ```
pub struct AsyncFd<T: AsRawFd> {
    // Dropped in this order: pending waits are given up, then the duplicate is closed.
    reading: Cell<OpSlot>,
    writing: Cell<OpSlot>,
    handle: Handle,
    inner: T,
}

impl<T: AsRawFd> AsyncFd<T> {
    /// Registers the object's descriptor.
    ///
    /// # Errors
    /// Permission denied for an object that is not pollable, such as a regular file.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn new(inner: T) -> io::Result<AsyncFd<T>> {
        AsyncFd::with_interest(inner, Interest::READABLE | Interest::WRITABLE)
    }

    /// As [`AsyncFd::new`]. The interest is for Tokio's users: both directions can be awaited with each.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn with_interest(inner: T, _interest: Interest) -> io::Result<AsyncFd<T>> {
        let descriptor = inner.as_raw_fd();
        if descriptor < 0 {
            return Err(Error::INVALID.into());
        }
        // SAFETY: it is no -1, and is borrowed for the call that duplicates it only.
        let own = unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()?;
        let handle = Handle::open(own, "AsyncFd::new")?;
        Ok(AsyncFd { reading: Cell::default(), writing: Cell::default(), handle, inner })
    }

    /// The object.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The object. Replacing it does not change the registered descriptor.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Deregisters the descriptor and returns the object.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Waits until reading does not wait. Any number of tasks may call this at the same time.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// As [`AsyncFd::readable`], with a guard that has the object mutably.
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until writing does not wait.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// As [`AsyncFd::writable`], with a guard that has the object mutably.
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// Waits until one direction of the interest is ready.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let ready = self.wait(interest).await?;
        Ok(AsyncFdReadyGuard { fd: self, ready })
    }

    /// As [`AsyncFd::ready`], with a guard that has the object mutably.
    pub async fn ready_mut(&mut self, interest: Interest) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let ready = self.wait(interest).await?;
        Ok(AsyncFdReadyMutGuard { fd: self, ready })
    }

    async fn wait(&self, interest: Interest) -> io::Result<Ready> {
        let mut slot = OpSlot::new();
        poll_fn(|cx| self.handle.poll_ready(&mut slot, cx, interest.0)).await.map(Ready)
    }

    /// Whether reading does not wait. If it does, the task of the last call is woken when that changes.
    pub fn poll_read_ready<'a>(&'a self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let ready = ready!(self.poll_ready_in(&self.reading, cx, Interest::READABLE))?;
        Poll::Ready(Ok(AsyncFdReadyGuard { fd: self, ready }))
    }

    /// Whether writing does not wait. If it does, the task of the last call is woken when that changes.
    pub fn poll_write_ready<'a>(&'a self, cx: &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let ready = ready!(self.poll_ready_in(&self.writing, cx, Interest::WRITABLE))?;
        Poll::Ready(Ok(AsyncFdReadyGuard { fd: self, ready }))
    }

    fn poll_ready_in(&self, place: &Cell<OpSlot>, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<Ready>> {
        // Taken out, as the waker's clone and drop are user code, which may come back to here.
        let mut slot = place.take();
        let poll = self.handle.poll_ready(&mut slot, cx, interest.0);
        drop(place.replace(slot));
        poll.map_ok(Ready)
    }

    /// Calls a function until it does something else than [`io::ErrorKind::WouldBlock`], and waits in between.
    pub async fn async_io<R>(&self, interest: Interest, mut io: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        loop {
            self.wait(interest).await?;
            match io(&self.inner) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                result => return result,
            }
        }
    }

    /// Calls a function now. As the kernel keeps the readiness, this is the call alone; it is for Tokio's users.
    pub fn try_io<R>(&self, _interest: Interest, io: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        io(&self.inner)
    }
}

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl<T: AsRawFd + AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd").field("inner", &self.inner).finish()
    }
}

/// The function given to a guard's `try_io` would have had to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryIoError(());

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the descriptor is not ready")
    }
}

impl std::error::Error for TryIoError {}

/// The methods that both guards have; `$fd` is the type of their reference.
macro_rules! guard {
    ($guard:ident, $fd:ty) => {
        impl<'a, T: AsRawFd> $guard<'a, T> {
            /// Says that the descriptor is not ready any more. The next wait asks the kernel in any case.
            pub fn clear_ready(&mut self) {
                self.ready = Ready::EMPTY;
            }

            /// As `clear_ready`, for some of the ready directions.
            pub fn clear_ready_matching(&mut self, ready: Ready) {
                self.ready = self.ready & !ready;
            }

            /// For Tokio's users: the readiness is kept anyway.
            pub fn retain_ready(&mut self) {}

            /// The ready directions.
            pub fn ready(&self) -> Ready {
                self.ready
            }

            /// The [`AsyncFd`].
            pub fn get_ref(&self) -> &AsyncFd<T> {
                self.fd
            }

            /// The object.
            pub fn get_inner(&self) -> &T {
                self.fd.get_ref()
            }

            /// Calls a function of the object. Its [`io::ErrorKind::WouldBlock`] clears the readiness and becomes a
            /// [`TryIoError`]; every other result is passed on.
            pub fn try_io<R>(&mut self, io: impl FnOnce($fd) -> io::Result<R>) -> Result<io::Result<R>, TryIoError> {
                match io(self.fd) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.clear_ready();
                        Err(TryIoError(()))
                    }
                    result => Ok(result),
                }
            }
        }

        impl<T: AsRawFd + fmt::Debug> fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($guard)).field("fd", &self.fd).field("ready", &self.ready).finish()
            }
        }
    };
}

/// A descriptor that was ready.
#[must_use = "use try_io, or clear_ready when the descriptor would block"]
pub struct AsyncFdReadyGuard<'a, T: AsRawFd> {
    fd: &'a AsyncFd<T>,
    ready: Ready,
}

guard!(AsyncFdReadyGuard, &AsyncFd<T>);

/// A descriptor that was ready, with its object mutably.
#[must_use = "use try_io, or clear_ready when the descriptor would block"]
pub struct AsyncFdReadyMutGuard<'a, T: AsRawFd> {
    fd: &'a mut AsyncFd<T>,
    ready: Ready,
}

guard!(AsyncFdReadyMutGuard, &mut AsyncFd<T>);

impl<T: AsRawFd> AsyncFdReadyMutGuard<'_, T> {
    /// The [`AsyncFd`], mutably.
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.fd
    }

    /// The object, mutably.
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.fd.get_mut()
    }
}
