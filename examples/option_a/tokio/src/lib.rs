// SPDX-License-Identifier: Apache-2.0
//! The five functions on Tokio's current_thread runtime.

#[path = "../../common.rs"]
mod common;

use common::{Driver, Task};
use std::future::Future;
use std::thread;
use tokio::runtime::{Builder, Handle, Runtime};

struct Executor(Runtime);

/// A future that another thread polls while this one waits for it.
struct Lent<F>(F);

// SAFETY: only `Executor::drive` makes one, and does not touch its content until the other thread has ended.
unsafe impl<F> Send for Lent<F> {}

impl<F: Future> Lent<F> {
    fn drive(self, runtime: &Runtime) -> F::Output {
        runtime.block_on(self.0)
    }
}

impl Driver for Executor {
    fn new() -> Option<Self> {
        Builder::new_current_thread().build().ok().map(Executor)
    }

    // Not by a LocalSet: that belongs to the thread which made it, and the runtime of the document may be made in one
    // thread and driven in another.
    fn spawn(&self, task: Task) {
        self.0.spawn(task);
    }

    fn drive(&self, until: impl Future<Output = ()>) {
        if Handle::try_current().is_err() {
            return self.0.block_on(until);
        }
        // In a poll of another runtime. Tokio panics where a thread drives two, so that another one drives this.
        let lent = Lent(until);
        thread::scope(|scope| scope.spawn(|| lent.drive(&self.0)).join()).expect("driving does not panic");
    }

    // Dropping a Runtime panics inside a poll of another one, as it might have to wait for blocking jobs.
    fn shut_down(self) {
        self.0.shutdown_background();
    }
}
