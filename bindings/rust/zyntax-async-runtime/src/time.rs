// SPDX-License-Identifier: Apache-2.0
//! Sleeping and time limits.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::op::OpSlot;
use crate::runtime::current;
use crate::sys;

/// The future of [`sleep`] and [`sleep_until`]. It may be created, but not polled, outside of a runtime.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::Sleep>();
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    until: Instant,
    /// The same on the runtime's clock, after the first poll.
    deadline: Option<u64>,
    slot: OpSlot,
}

/// Waits for a duration, which begins with this call.
pub fn sleep(duration: Duration) -> Sleep {
    let now = Instant::now();
    // A time that the clock cannot express is as good as never.
    let far = Duration::from_secs(100 * 365 * 24 * 3600);
    sleep_until(now.checked_add(duration).unwrap_or_else(|| now + far))
}

/// Waits until the given time.
pub fn sleep_until(until: Instant) -> Sleep {
    Sleep { until, deadline: None, slot: OpSlot::new() }
}

impl Sleep {
    /// Replaces the end time.
    pub fn reset(&mut self, until: Instant) {
        *self = sleep_until(until);
    }
}

impl Future for Sleep {
    type Output = ();

    /// # Panics
    /// Outside of a runtime.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let runtime = current("sleep");
        let this = &mut *self;
        let now = || {
            // SAFETY: the runtime lives.
            unsafe { sys::zyntax_now_ns(runtime.as_ptr()) }
        };
        let left =
            || u64::try_from(this.until.saturating_duration_since(Instant::now()).as_nanos()).unwrap_or(u64::MAX);
        let deadline = *this.deadline.get_or_insert_with(|| now().saturating_add(left()));
        loop {
            let poll = this.slot.call(cx, |op, waker| {
                // SAFETY: the runtime lives, this is its thread, and the pointers are valid for the call.
                unsafe { sys::zyntax_sleep_until(runtime.as_ptr(), op, deadline, waker) }
            });
            // An op whose task has ended, or that was another runtime's, may read as fired.
            match poll {
                Poll::Ready(()) if now() < deadline => continue,
                _ => return poll,
            }
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("until", &self.until).finish()
    }
}

/// The error of a [`timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(_: Elapsed) -> std::io::Error {
        std::io::ErrorKind::TimedOut.into()
    }
}

/// A future with a time limit; see [`timeout`].
#[must_use = "futures do nothing unless they are awaited"]
#[derive(Debug)]
pub struct Timeout<F> {
    future: F,
    sleep: Sleep,
}

/// Waits for a future, but no longer than a duration, which begins with this call.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep(duration) }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the future is pinned as long as this is, and nothing moves it; the sleep is `Unpin`.
        let (future, sleep) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.future), &mut this.sleep)
        };
        if let Poll::Ready(value) = future.poll(cx) {
            return Poll::Ready(Ok(value));
        }
        Pin::new(sleep).poll(cx).map(|()| Err(Elapsed))
    }
}
