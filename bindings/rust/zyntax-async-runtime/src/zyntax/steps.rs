// SPDX-License-Identifier: Apache-2.0
//! Zyntax's `HostTask` as a task of a runtime: its steps are the polls.

use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Instant;

use super::{Executor, Promise};
use crate::op::task_waker;
use crate::{sleep_until, sys, Error, Sleep};

/// The result of a step: Zyntax's `HostTaskStep`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The task has its value. It may be 0.
    Ready(i64),
    /// The task waits until a time.
    Timer(Instant),
    /// The task waits until its waker is called.
    Parked,
    /// The task has more work, or waits for a promise of this library.
    Yield,
}

/// A task that advances in steps. A panic in one of these functions ends the process.
pub trait Steps {
    /// Advances. Called again after the requested time and after a wake; calls may be spurious.
    fn step(&mut self) -> Step;

    /// Called after each [`Step::Parked`]. The event that the task waits for calls the waker, from any thread.
    fn park(&mut self, waker: Waker);

    /// Called at the end with the value, or with [`Error::CANCELED`] if the runtime ends first. The task is then
    /// dropped.
    fn ended(&mut self, value: Result<i64, Error>);
}

struct Adapter<T> {
    task: T,
    timer: Option<(Instant, Sleep)>,
    value: Option<i64>,
}

/// The adapter's box; the promise points to it.
struct Owned<T>(*mut Adapter<T>);

impl<T: Steps> Owned<T> {
    fn end(self) {
        // SAFETY: the box lives, and there are no more polls.
        let adapter = unsafe { &mut *self.0 };
        adapter.timer = None;
        adapter.task.ended(adapter.value.ok_or(Error::CANCELED));
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `spawn_steps`'s box.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

impl Executor {
    /// Starts a task that advances in steps, with the hooks of this executor.
    ///
    /// # Errors
    /// No memory is left.
    pub fn spawn_steps<T: Steps + 'static>(&self, task: T) -> Result<(), Error> {
        let owned = Owned(Box::into_raw(Box::new(Adapter { task, timer: None, value: None })));
        let promise = Promise { state: owned.0.cast(), poll: Some(poll::<T>) };
        // SAFETY: the adapter lives until `end`, after which there are no polls.
        unsafe { self.begin_unowned(promise, Box::new(move |_| owned.end())) }
    }
}

/// A poll of a promise: 0, or 1 when the value is there. A poll that stores no waker is followed by another at once.
unsafe extern "C" fn poll<T: Steps>(state: *mut c_void) -> i64 {
    // SAFETY: `spawn_steps`'s adapter, which no other code uses during a poll.
    let adapter = unsafe { &mut *state.cast::<Adapter<T>>() };
    let step = adapter.task.step();
    if !matches!((step, &adapter.timer), (Step::Timer(until), Some((begun, _))) if until == *begun) {
        adapter.timer = None;
    }
    match step {
        Step::Ready(value) => {
            adapter.value = Some(value);
            return 1;
        }
        Step::Timer(until) => {
            let (_, sleep) = adapter.timer.get_or_insert_with(|| (until, sleep_until(until)));
            let waker = current_waker();
            if Pin::new(sleep).poll(&mut Context::from_waker(&waker)).is_ready() {
                adapter.timer = None;
            }
        }
        Step::Parked => adapter.task.park(current_waker()),
        Step::Yield => {}
    }
    0
}

/// The waker of the task that is being polled.
fn current_waker() -> Waker {
    let mut waker = sys::Waker { data: std::ptr::null_mut(), wake: None };
    // SAFETY: the pointer is valid for the call, and there is a waker during a poll.
    unsafe {
        sys::zyntax_current_waker(&mut waker);
        (*task_waker(&waker)).clone()
    }
}
