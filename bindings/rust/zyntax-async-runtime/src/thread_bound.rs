// SPDX-License-Identifier: Apache-2.0
//! A value of one thread for interfaces that require `Send` and `Sync`: every use checks the thread.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::{current, ThreadId};

thread_local! {
    /// This thread, once something was bound to it. It has no destructor: it is there as long as the thread is.
    static HERE: Cell<Option<ThreadId>> = const { Cell::new(None) };
}

/// Makes any value `Send` and `Sync`, and checks at each use that the thread has created it.
///
/// Most types of this crate stay in their thread. Some interfaces require `Send` although one thread does all the work:
/// hyper's `with_upgrades` for its connection, axum for its handlers' futures. A `ThreadBound` implements [`Future`]
/// and the I/O traits if its value does. Pin an `async` block first:
///
/// ```
/// use std::future::Future;
/// use std::time::Duration;
/// use zyntax_async_runtime::{sleep, Runtime, ThreadBound};
///
/// fn handler() -> impl Future<Output = u32> + Send {
///     ThreadBound::new(Box::pin(async {
///         sleep(Duration::from_millis(1)).await; // a `Sleep` is not `Send`
///         7
///     }))
/// }
/// assert_eq!(Runtime::new()?.block_on(handler())?, 7);
/// # Ok::<(), zyntax_async_runtime::Error>(())
/// ```
///
/// # Panics
/// Every use in another thread panics, except a drop, which leaks the value.
pub struct ThreadBound<T> {
    thread: ThreadId,
    value: ManuallyDrop<T>,
}

// SAFETY: the value is reached in its own thread only, by `get`, `get_mut`, `into_inner` and `drop`. In another thread
// its memory is moved or forgotten, which is no use of it.
unsafe impl<T> Send for ThreadBound<T> {}
// SAFETY: as before.
unsafe impl<T> Sync for ThreadBound<T> {}

impl<T> ThreadBound<T> {
    /// Binds a value to this thread.
    pub fn new(value: T) -> ThreadBound<T> {
        let thread = HERE.get().unwrap_or_else(|| current().id());
        HERE.set(Some(thread));
        ThreadBound { thread, value: ManuallyDrop::new(value) }
    }

    /// Whether this is the value's thread.
    pub fn is_here(&self) -> bool {
        HERE.get() == Some(self.thread)
    }

    /// The value.
    #[track_caller]
    pub fn into_inner(self) -> T {
        self.check();
        let mut this = ManuallyDrop::new(self);
        // SAFETY: this is its thread, and `this` is not used again.
        unsafe { ManuallyDrop::take(&mut this.value) }
    }

    #[track_caller]
    fn check(&self) {
        assert!(self.is_here(), "a {} was used outside of its thread", std::any::type_name::<Self>());
    }
}

impl<T> Deref for ThreadBound<T> {
    type Target = T;

    #[track_caller]
    fn deref(&self) -> &T {
        self.check();
        &self.value
    }
}

impl<T> DerefMut for ThreadBound<T> {
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        self.check();
        &mut self.value
    }
}

impl<T> Drop for ThreadBound<T> {
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: this is its thread, and it is dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

impl<T> fmt::Debug for ThreadBound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ThreadBound").field(&self.thread).finish()
    }
}

// A value is leaked in another thread, where its memory may be freed: that is allowed for an `Unpin` one only.
impl<F: Future + Unpin> Future for ThreadBound<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut **self).poll(cx)
    }
}

#[cfg(feature = "futures-io")]
impl<T: futures_io::AsyncRead + Unpin> futures_io::AsyncRead for ThreadBound<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut **self).poll_read(cx, buf)
    }
}

#[cfg(feature = "futures-io")]
impl<T: futures_io::AsyncWrite + Unpin> futures_io::AsyncWrite for ThreadBound<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut **self).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut **self).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut **self).poll_close(cx)
    }
}

#[cfg(feature = "hyper")]
impl<T: hyper::rt::Read + Unpin> hyper::rt::Read for ThreadBound<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut **self).poll_read(cx, buf)
    }
}

#[cfg(feature = "hyper")]
impl<T: hyper::rt::Write + Unpin> hyper::rt::Write for ThreadBound<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut **self).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut **self).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut **self).poll_shutdown(cx)
    }
}
