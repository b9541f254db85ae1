// SPDX-License-Identifier: Apache-2.0
//! Work that blocks, on the runtime's pool of threads.

use std::cell::{RefCell, UnsafeCell};
use std::ffi::c_void;
use std::future::Future;
use std::mem;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use crate::op::OpSlot;
use crate::runtime::{abandoned_of, current, RawRuntime};
use crate::task::{quietly, spawn_on, JoinError, JoinHandle};
use crate::{sys, Error};

const QUEUED: u8 = 0; // the work is the future's, which may take it back
const TAKEN: u8 = 1; // the work, and then the result, is the thread's, or nobody's
const DONE: u8 = 2; // the result is the future's

enum Content<F, T> {
    Work(F),
    Result(std::thread::Result<T>),
    Empty,
}

/// A job: one count is the future's, one that of the thread that may run it.
struct Job<F, T> {
    state: AtomicU8,
    content: UnsafeCell<Content<F, T>>,
}

// SAFETY: only one thread at a time looks at the content, as `state` says; what is in it may move between threads.
unsafe impl<F: Send, T: Send> Sync for Job<F, T> {}
// SAFETY: as before.
unsafe impl<F: Send, T: Send> Send for Job<F, T> {}

impl<F, T> Job<F, T> {
    /// Takes the work for one side; the other side cannot any more.
    fn take_work(&self) -> Option<F> {
        self.state.compare_exchange(QUEUED, TAKEN, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: the state was ours to change, so that nobody else looks at the content.
        match mem::replace(unsafe { &mut *self.content.get() }, Content::Empty) {
            Content::Work(work) => Some(work),
            _ => None,
        }
    }
}

/// Runs in a thread of the pool. Takes its count, which it shares with `Abandoned`.
unsafe extern "C" fn run<F: FnOnce() -> T, T>(job: *mut c_void) -> i64 {
    quietly(|| {
        // SAFETY: the library calls this at most once with what `Blocking` gave it, a count.
        let job = unsafe { Arc::from_raw(job.cast::<Job<F, T>>()) };
        let Some(work) = job.take_work() else { return };
        let result = catch_unwind(AssertUnwindSafe(work));
        // SAFETY: the content is this thread's until `DONE`.
        unsafe { *job.content.get() = Content::Result(result) };
        job.state.store(DONE, Ordering::Release);
    });
    0
}

/// Jobs that were given up before they had begun. Mostly no thread ever sees them, so that nobody gives their count
/// back; but a thread may just have taken one. Who it was is known when no job is left, or no thread.
#[derive(Default)]
pub(crate) struct Abandoned(RefCell<Vec<Box<dyn Unrun>>>);

trait Unrun {}

/// A job's shell, without work. Two counts: this one, and the thread's, which it still has or has dropped.
struct Shell<F, T>(Arc<Job<F, T>>);

impl<F, T> Unrun for Shell<F, T> {}

impl<F, T> Drop for Shell<F, T> {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) > 1 {
            // SAFETY: no thread has it any more, and none will: the count that was made for one is nobody's.
            unsafe { Arc::decrement_strong_count(Arc::as_ptr(&self.0)) };
        }
    }
}

impl Abandoned {
    /// Frees them. No job of the runtime may be queued or running.
    pub(crate) fn free(&self) {
        let shells = mem::take(&mut *self.0.borrow_mut());
        drop(shells);
    }

    fn free_when_idle(&self, runtime: RawRuntime) {
        if self.0.borrow().is_empty() {
            return;
        }
        // SAFETY: all its members may be zero.
        let mut stats: sys::zyntax_runtime_stats = unsafe { mem::zeroed() };
        stats.size = mem::size_of_val(&stats);
        // SAFETY: the runtime lives and this is its thread.
        let code = unsafe { sys::zyntax_runtime_get_stats(runtime.as_ptr(), &mut stats) };
        if code == 0 && stats.blocking_pending == 0 {
            self.free();
        }
    }
}

/// The await point, inside the task of a [`BlockingHandle`].
struct Blocking<F: FnOnce() -> T + Send + 'static, T: Send + 'static> {
    job: Arc<Job<F, T>>,
    runtime: Option<RawRuntime>, // once it has begun
    slot: OpSlot,
}

impl<F: FnOnce() -> T + Send + 'static, T: Send + 'static> Future for Blocking<F, T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let runtime = current("spawn_blocking");
        if this.runtime.is_none() {
            this.runtime = Some(runtime);
            if let Some(abandoned) = abandoned_of(runtime) {
                abandoned.free_when_idle(runtime);
            }
            let _ = Arc::into_raw(this.job.clone()); // the thread's count
        }
        let (job, mut result) = (Arc::as_ptr(&this.job).cast_mut().cast(), 0);
        ready!(this.slot.call(cx, |op, waker| {
            // SAFETY: the runtime lives and this is its thread; the job lives as long as the thread's count.
            unsafe { sys::zyntax_blocking(runtime.as_ptr(), op, Some(run::<F, T>), job, 0, waker, &mut result) }
        }));
        if this.job.state.load(Ordering::Acquire) != DONE {
            let error = Error::check(result).err().unwrap_or(Error::CANCELED);
            return Poll::Ready(Err(JoinError::Failed(error)));
        }
        // SAFETY: `DONE`, so that the content is this side's.
        match mem::replace(unsafe { &mut *this.job.content.get() }, Content::Empty) {
            Content::Result(Ok(value)) => Poll::Ready(Ok(value)),
            Content::Result(Err(panic)) => Poll::Ready(Err(JoinError::Panicked(panic))),
            _ => Poll::Ready(Err(JoinError::Canceled)),
        }
    }
}

impl<F: FnOnce() -> T + Send + 'static, T: Send + 'static> Drop for Blocking<F, T> {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime else { return };
        self.slot = OpSlot::new(); // cancels
        let Some(work) = self.job.take_work() else { return };
        // No thread runs it. Without a list to keep it in, as in a runtime that Rust did not make, the shell is leaked.
        if let Some(abandoned) = abandoned_of(runtime) {
            abandoned.0.borrow_mut().push(Box::new(Shell(self.job.clone())));
        }
        drop(work);
    }
}

/// Waits for what [`spawn_blocking`] began. Dropping it lets the work go on, unheard.
#[derive(Debug)]
pub struct BlockingHandle<T>(JoinHandle<Result<T, JoinError>>);

impl<T> BlockingHandle<T> {
    /// Gives the work up if it has not begun, and its result if it has.
    pub fn abort(&self) {
        self.0.abort();
    }
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.and_then(|inner| inner))
    }
}

/// Runs work that blocks or computes for long in a thread of the current runtime's pool.
///
/// ```
/// use zyntax_async_runtime::{spawn_blocking, Runtime};
/// let runtime = Runtime::new()?;
/// assert_eq!(runtime.block_on(async { spawn_blocking(|| 6 * 7).await })?.unwrap(), 42);
/// # Ok::<(), zyntax_async_runtime::Error>(())
/// ```
///
/// What is run elsewhere has to be `Send`:
///
/// ```compile_fail,E0277
/// let local = std::rc::Rc::new(1);
/// zyntax_async_runtime::spawn_blocking(move || drop(local));
/// ```
///
/// # Panics
/// Outside of any runtime.
#[track_caller]
pub fn spawn_blocking<F, T>(work: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let job = Job { state: AtomicU8::new(QUEUED), content: UnsafeCell::new(Content::Work(work)) };
    BlockingHandle(spawn_on(
        current("spawn_blocking"),
        Blocking { job: Arc::new(job), runtime: None, slot: OpSlot::new() },
    ))
}
