// SPDX-License-Identifier: Apache-2.0
//! Hyper's executor and timer traits; [`crate::TcpStream`] has the I/O traits.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::ThreadBound;

/// Spawns hyper's background futures of a connection (HTTP/2) on the current runtime.
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

/// Hyper's timer. Its sleeps are `Send`, as hyper requires, and panic when another thread polls them.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

impl hyper::rt::Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(ThreadBound::new(crate::sleep(duration)))
    }

    fn sleep_until(&self, until: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(ThreadBound::new(crate::sleep_until(until)))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, until: Instant) {
        match sleep.as_mut().downcast_mut_pin::<ThreadBound<crate::Sleep>>() {
            Some(mut own) if own.is_here() => own.reset(until),
            _ => *sleep = self.sleep_until(until),
        }
    }
}

impl hyper::rt::Sleep for ThreadBound<crate::Sleep> {}
