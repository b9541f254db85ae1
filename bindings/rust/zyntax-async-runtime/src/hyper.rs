// SPDX-License-Identifier: Apache-2.0
//! What hyper asks of a runtime, beside the I/O traits that [`crate::TcpStream`] has.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::{current, ThreadId};
use std::time::{Duration, Instant};

/// Spawns what hyper wants to run beside a connection (HTTP/2) on the current runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperExecutor;

impl<F> hyper::rt::Executor<F> for HyperExecutor
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        drop(crate::spawn(future));
    }
}

/// Hyper's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

impl hyper::rt::Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        HyperSleep::boxed(crate::sleep(duration))
    }

    fn sleep_until(&self, until: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        HyperSleep::boxed(crate::sleep_until(until))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, until: Instant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(mut own) if own.thread == current().id() => own.sleep.reset(until),
            _ => *sleep = self.sleep_until(until),
        }
    }
}

/// A [`crate::Sleep`] as hyper wants it, `Send` and `Sync`: it looks after itself that it is used in one thread.
#[derive(Debug)]
struct HyperSleep {
    thread: ThreadId,
    sleep: ManuallyDrop<crate::Sleep>,
}

// SAFETY: every use of the sleep asks first whether this is its thread; moving and sharing it is no use.
unsafe impl Send for HyperSleep {}
// SAFETY: as before.
unsafe impl Sync for HyperSleep {}

impl HyperSleep {
    fn boxed(sleep: crate::Sleep) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(HyperSleep { thread: current().id(), sleep: ManuallyDrop::new(sleep) })
    }
}

impl hyper::rt::Sleep for HyperSleep {}

impl Future for HyperSleep {
    type Output = ();

    /// # Panics
    /// In another thread than the one that made it.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(self.thread == current().id(), "a sleep was moved to another thread");
        Pin::new(&mut *self.sleep).poll(cx)
    }
}

impl Drop for HyperSleep {
    fn drop(&mut self) {
        // In another thread its op is forgotten, which the library expects: it wakes nobody.
        if self.thread == current().id() {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.sleep) };
        }
    }
}
