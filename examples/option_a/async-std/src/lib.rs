// SPDX-License-Identifier: Apache-2.0
//! The five functions on async-std: its block_on with its reactor, and for each runtime an executor of the kind that
//! async-std has one of for the whole process.

#[path = "../../common.rs"]
mod common;

use async_std::task;
use common::{Driver, Task};
use std::future::Future;

struct Executor(async_executor::Executor<'static>);

impl Driver for Executor {
    fn new() -> Option<Self> {
        Some(Executor(async_executor::Executor::new()))
    }

    // Not by async_std::task::spawn_local, which ties the task to the thread that spawns it and to no runtime.
    fn spawn(&self, task: Task) {
        self.0.spawn(task).detach();
    }

    fn drive(&self, until: impl Future<Output = ()>) {
        task::block_on(self.0.run(until));
    }

    fn shut_down(self) {}
}
