// SPDX-License-Identifier: Apache-2.0
//! Shared by the tests of several files.
#![allow(dead_code)]

use std::cell::Cell;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use zyntax_async_runtime::{sys, timeout, Builder, Runtime};

pub const MS: Duration = Duration::from_millis(1);
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a future, which has a minute, in a new runtime.
pub fn run<F: Future>(future: F) -> F::Output {
    run_in(&Builder::new().detect_stall(true).build().expect("a runtime"), future)
}

/// Runs a future, which has a minute.
pub fn run_in<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    runtime.block_on(timeout(DEADLINE, future)).expect("the future's end").expect("the future's end in time")
}

pub fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(futures::task::noop_waker_ref()))
}

/// The message of a panic.
pub fn panic_of<T>(work: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(work)) else { panic!("no panic") };
    panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into())).unwrap()
}

/// How often the runtime of this task has waited in the kernel.
pub fn kernel_waits() -> u64 {
    // SAFETY: all its members may be zero; the runtime of the task lives and this is its thread.
    unsafe {
        let mut stats: sys::zyntax_runtime_stats = std::mem::zeroed();
        stats.size = std::mem::size_of_val(&stats);
        assert_eq!(sys::zyntax_runtime_get_stats(sys::zyntax_current_runtime(), &mut stats), 0);
        stats.kernel_waits
    }
}

/// Counts its drops.
pub struct Counted(pub Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}
