// SPDX-License-Identifier: Apache-2.0
//! Ticks at regular times.

use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::{Duration, Instant};

use crate::time::{sleep_until, Sleep};

/// How an [`Interval`] goes on after a tick was late by more than five milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// The ticks that were missed follow at once, until none is missing.
    #[default]
    Burst,
    /// The next tick is one period after the late one.
    Delay,
    /// The next tick is at the next multiple of the period; those in between do not happen.
    Skip,
}

impl MissedTickBehavior {
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        let late = now.saturating_duration_since(due);
        match self {
            _ if late <= Duration::from_millis(5) => after(due, period),
            MissedTickBehavior::Burst => after(due, period),
            MissedTickBehavior::Delay => after(now, period),
            MissedTickBehavior::Skip => {
                let past = late.as_nanos() % period.as_nanos();
                after(now, period.saturating_sub(Duration::from_nanos(past.try_into().unwrap_or(u64::MAX))))
            }
        }
    }
}

/// A time that no clock can express is as good as never.
fn after(time: Instant, duration: Duration) -> Instant {
    time.checked_add(duration).unwrap_or_else(|| time + Duration::from_secs(100 * 365 * 24 * 3600))
}

/// Ticks at regular times; see [`interval`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    due: Instant,
    period: Duration,
    behavior: MissedTickBehavior,
}

/// Ticks now, and then each `period`.
///
/// ```
/// use std::time::{Duration, Instant};
/// use zyntax_async_runtime::{interval, Runtime};
///
/// let start = Instant::now();
/// Runtime::new()?.block_on(async {
///     let mut interval = interval(Duration::from_millis(2));
///     for _ in 0..3 {
///         interval.tick().await;
///     }
/// })?;
/// assert!(start.elapsed() >= Duration::from_millis(4));
/// # Ok::<(), zyntax_async_runtime::Error>(())
/// ```
///
/// # Panics
/// When the period is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks at `start`, and then each `period`.
///
/// # Panics
/// When the period is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval must not be zero");
    Interval { sleep: sleep_until(start), due: start, period, behavior: MissedTickBehavior::default() }
}

impl Interval {
    /// Waits for the next tick and returns the time at which it was due. Dropping the future loses no tick.
    ///
    /// # Panics
    /// When the future is polled outside of a runtime.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The time of a tick that is due; else the task is woken at the next one.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        let due = self.due;
        self.reset_at(self.behavior.next(due, Instant::now(), self.period));
        Poll::Ready(due)
    }

    /// The next tick is one period from now.
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// The next tick is now.
    pub fn reset_immediately(&mut self) {
        self.reset_at(Instant::now());
    }

    /// The next tick is in `duration`.
    pub fn reset_after(&mut self, duration: Duration) {
        self.reset_at(after(Instant::now(), duration));
    }

    /// The next tick is at `due`.
    pub fn reset_at(&mut self, due: Instant) {
        self.due = due;
        self.sleep.reset(due);
    }

    /// The behavior after a late tick.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Sets the behavior after a late tick.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }
}
