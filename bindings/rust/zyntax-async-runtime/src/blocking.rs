// SPDX-License-Identifier: Apache-2.0
//! Blocking work on the runtime's thread pool.

use std::ffi::c_void;
use std::future::Future;
use std::mem;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use crate::op::OpSlot;
use crate::runtime::{current, RawRuntime};
use crate::task::{quietly, spawn_in, AbortHandle, JoinError, JoinHandle, Place, TaskId};
use crate::{sys, Error};

/// The argument of a job. The future owns it until the job begins, then the library owns it until `drop_job`. In
/// between a pool thread replaces the work by the result.
enum Job<F, T> {
    Work(F),
    Result(std::thread::Result<T>),
    Empty,
}

/// Runs in a pool thread.
unsafe extern "C" fn run<F: FnOnce() -> T, T>(job: *mut c_void) -> i64 {
    // SAFETY: the library calls this at most once, before `drop_job`, and no other code uses the job until the library
    // reports that this call has returned.
    let job = unsafe { &mut *job.cast::<Job<F, T>>() };
    if let Job::Work(work) = mem::replace(job, Job::Empty) {
        *job = Job::Result(catch_unwind(AssertUnwindSafe(work)));
    }
    0
}

/// Called once for each job that was begun, in the runtime's thread, outside of polls.
unsafe extern "C" fn drop_job<F, T>(job: *mut c_void) {
    // SAFETY: the box of `spawn_blocking`; no thread uses it any more.
    quietly(|| drop(unsafe { Box::from_raw(job.cast::<Job<F, T>>()) }));
}

/// The await point, inside the task of a [`BlockingHandle`].
struct Blocking<F: FnOnce() -> T + Send + 'static, T: Send + 'static> {
    runtime: RawRuntime,
    slot: OpSlot,
    job: *mut Job<F, T>,
    /// The job has begun: the library owns it.
    begun: bool,
}

// The job is in a box, and nothing here is pinned.
impl<F: FnOnce() -> T + Send + 'static, T: Send + 'static> Unpin for Blocking<F, T> {}

impl<F: FnOnce() -> T + Send + 'static, T: Send + 'static> Future for Blocking<F, T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (runtime, job, mut result) = (this.runtime.as_ptr(), this.job.cast(), 0);
        let poll = this.slot.call(cx, |op, waker| {
            let (run, drop_job) = (Some(run::<F, T> as _), Some(drop_job::<F, T> as _));
            // SAFETY: the runtime lives, as it polls this task, and this is its thread.
            unsafe { sys::zyntax_blocking_with(runtime, op, run, drop_job, job, 0, waker, &mut result) }
        });
        this.begun |= this.slot.is_waiting();
        ready!(poll);
        if let Err(error) = Error::check(result) {
            let error = if error == Error::CANCELED { JoinError::Canceled } else { JoinError::Failed(error) };
            return Poll::Ready(Err(error));
        }
        // SAFETY: `run` has returned, and `drop_job` is not called before this poll ends.
        match mem::replace(unsafe { &mut *this.job }, Job::Empty) {
            Job::Result(Ok(value)) => Poll::Ready(Ok(value)),
            Job::Result(Err(panic)) => Poll::Ready(Err(JoinError::Panicked(panic))),
            _ => Poll::Ready(Err(JoinError::Canceled)),
        }
    }
}

impl<F: FnOnce() -> T + Send + 'static, T: Send + 'static> Drop for Blocking<F, T> {
    fn drop(&mut self) {
        if !self.begun {
            // SAFETY: it is the box of `spawn_blocking`, which the library has never had.
            drop(unsafe { Box::from_raw(self.job) });
        }
    }
}

/// Waits for the work of [`spawn_blocking`]. If it is dropped, the work continues and its result is discarded.
#[derive(Debug)]
pub struct BlockingHandle<T>(JoinHandle<Result<T, JoinError>>);

impl<T> BlockingHandle<T> {
    /// Cancels work that has not begun; discards the result of work that has.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// A handle that aborts the work from any thread.
    pub fn abort_handle(&self) -> AbortHandle {
        self.0.abort_handle()
    }

    /// Whether the result is available.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> BlockingHandle<T> {
    pub(crate) fn id(&self) -> TaskId {
        self.0.id()
    }

    pub(crate) fn result(&mut self) -> Option<Result<T, JoinError>> {
        self.0.result().map(|result| result.and_then(|inner| inner))
    }
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.and_then(|inner| inner))
    }
}

/// Runs blocking or long computing work in a thread of the current runtime's pool.
///
/// ```
/// use zyntax_async_runtime::{spawn_blocking, Runtime};
/// let runtime = Runtime::new()?;
/// assert_eq!(runtime.block_on(async { spawn_blocking(|| 6 * 7).await })?.unwrap(), 42);
/// # Ok::<(), zyntax_async_runtime::Error>(())
/// ```
///
/// The work runs in another thread and must be `Send`:
///
/// ```compile_fail,E0277
/// let local = std::rc::Rc::new(1);
/// zyntax_async_runtime::spawn_blocking(move || drop(local));
/// ```
///
/// # Panics
/// Outside of a runtime.
#[track_caller]
pub fn spawn_blocking<F, T>(work: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let runtime = current("spawn_blocking");
    spawn_blocking_in(runtime, Place::Runtime(runtime), work)
}

/// Work for the pool of a runtime of this thread, and the task in that place that waits for it.
pub(crate) fn spawn_blocking_in<F, T>(runtime: RawRuntime, place: Place, work: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let job = Box::into_raw(Box::new(Job::Work(work)));
    BlockingHandle(spawn_in(place, Blocking { runtime, slot: OpSlot::new(), job, begun: false }))
}
