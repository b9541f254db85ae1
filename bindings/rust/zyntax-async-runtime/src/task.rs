// SPDX-License-Identifier: Apache-2.0
//! Futures as tasks of the library, and join handles.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_void, CString};
use std::fmt;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::op::{no_waker, task_waker};
use crate::runtime::RawRuntime;
use crate::{sys, Error};

/// Runs code of the user's from a callback of C, into which nothing may unwind. The panic hook has told of a panic.
pub(crate) fn quietly(work: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        // The payload of the panic may panic in its own drop.
        if let Err(other) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            std::mem::forget(other);
        }
    }
}

/// The reason why a task gave no value.
pub enum JoinError {
    /// The task panicked with this payload.
    Panicked(Box<dyn Any + Send + 'static>),
    /// The task was aborted, or its runtime was dropped.
    Canceled,
    /// The task could not be started: no memory, or no thread.
    Failed(Error),
}

impl JoinError {
    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, JoinError::Panicked(_))
    }

    /// Whether the task was aborted, or its runtime was dropped.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, JoinError::Canceled)
    }

    /// Resumes the task's panic, or panics with the error.
    pub fn resume(self) -> ! {
        match self {
            JoinError::Panicked(panic) => std::panic::resume_unwind(panic),
            error => panic!("{error}"),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(_) => f.write_str("the task panicked"),
            JoinError::Canceled => f.write_str("the task was canceled"),
            JoinError::Failed(error) => write!(f, "the task could not be started: {error}"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

enum Stage<F: Future> {
    Running(F),
    Done(Result<F::Output, JoinError>),
    Empty,
}

/// A task's memory: one count is the library's until the task's drop, one its handle's. Not `Send`, as neither is a
/// runtime.
struct Task<F: Future> {
    /// True once the stage is `Done`. Before that only the library's callbacks look at the stage, and a future that
    /// holds its own handle finds that out here.
    is_done: Cell<bool>,
    stage: UnsafeCell<Stage<F>>,
    joiner: Cell<Option<Waker>>, // whose clone and drop are user code, which may come back to here
    number: Cell<*mut sys::zyntax_task>,
}

impl<F: Future> Task<F> {
    /// Drops the future in place, and then wakes the waiters.
    fn end(&self, result: Result<F::Output, JoinError>) {
        // SAFETY: not done yet, so no other code looks at the stage; dropping the future in place keeps its pin.
        quietly(|| unsafe { *self.stage.get() = Stage::Empty });
        // SAFETY: as before, and the future is gone.
        unsafe { *self.stage.get() = Stage::Done(result) };
        self.is_done.set(true);
        if let Some(joiner) = self.joiner.take() {
            quietly(|| joiner.wake());
        }
    }
}

unsafe extern "C" fn poll<F: Future>(state: *mut c_void, waker: *mut sys::Waker) -> sys::PollStatus {
    // SAFETY: the library polls between spawn and drop, for which the state holds a count.
    let task = unsafe { &*state.cast::<Task<F>>() };
    // SAFETY: the library's argument.
    let waker = unsafe { task_waker(waker) };
    let mut context = Context::from_waker(&waker);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the task is never polled twice at once nor after its end: this is the only reference; it lives
        // in an `Rc` and is never moved.
        match unsafe { &mut *task.stage.get() } {
            Stage::Running(future) => unsafe { Pin::new_unchecked(future) }.poll(&mut context),
            _ => unreachable!("the library polls no task that has ended"),
        }
    }));
    match outcome {
        Ok(Poll::Pending) => return sys::POLL_PENDING,
        Ok(Poll::Ready(value)) => task.end(Ok(value)),
        Err(panic) => task.end(Err(JoinError::Panicked(panic))),
    }
    sys::POLL_READY
}

unsafe extern "C" fn drop_task<F: Future>(state: *mut c_void, _outcome: i32) {
    quietly(|| {
        // SAFETY: the library calls this once, at the task's end: the count is given back.
        let task = unsafe { Rc::from_raw(state.cast::<Task<F>>()) };
        if !task.is_done.get() {
            task.end(Err(JoinError::Canceled));
        }
    });
}

/// The interface of a task to its handle, for every type of future.
trait Join<T> {
    fn poll_join(&self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>>;
    fn number(&self) -> *mut sys::zyntax_task;
    fn is_done(&self) -> bool;
}

impl<F: Future> Join<F::Output> for Task<F> {
    fn poll_join(&self, cx: &mut Context<'_>) -> Poll<Result<F::Output, JoinError>> {
        if !self.is_done.get() {
            let old = self.joiner.take();
            let (joiner, old) = match old {
                Some(old) if old.will_wake(cx.waker()) => (old, None),
                old => (cx.waker().clone(), old),
            };
            self.joiner.set(Some(joiner));
            drop(old);
        }
        if !self.is_done.get() {
            return Poll::Pending;
        }
        // SAFETY: the task is done, so that only its one handle looks at the stage.
        match std::mem::replace(unsafe { &mut *self.stage.get() }, Stage::Empty) {
            Stage::Done(result) => Poll::Ready(result),
            _ => panic!("a JoinHandle was polled after it was ready"),
        }
    }

    fn number(&self) -> *mut sys::zyntax_task {
        self.number.get()
    }

    fn is_done(&self) -> bool {
        self.is_done.get()
    }
}

/// Waits for a task, in its thread, and gives the task's value or a [`JoinError`]. If it is dropped, the task
/// continues.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::JoinHandle<()>>();
/// ```
pub struct JoinHandle<T>(Rc<dyn Join<T>>);

impl<T> JoinHandle<T> {
    /// The task, to compare it with the result of [`Scope::next`](crate::Scope::next).
    pub fn id(&self) -> TaskId {
        TaskId(self.0.number())
    }

    /// Names the task, for the library's dump and traces. The text is cut after 31 bytes at the end of a character, and
    /// before a NUL. [`Error::NO_RUNTIME`] when the task has ended.
    ///
    /// ```
    /// use zyntax_async_runtime::{yield_now, Runtime};
    ///
    /// let runtime = Runtime::new()?;
    /// let task = runtime.spawn(yield_now());
    /// task.set_name("a reader")?;
    /// # runtime.run()?;
    /// # Ok::<(), zyntax_async_runtime::Error>(())
    /// ```
    pub fn set_name(&self, name: &str) -> Result<(), Error> {
        let name = name.split('\0').next().unwrap_or_default();
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: this is the task's thread, and the text ends with a NUL; for any handle.
        Error::check(unsafe { sys::zyntax_task_name(self.0.number(), name.as_ptr()) }.into()).map(drop)
    }

    /// The result of a task that is finished, once.
    pub(crate) fn result(&mut self) -> Option<Result<T, JoinError>> {
        let waker = no_waker();
        let poll = self.is_finished().then(|| Pin::new(self).poll(&mut Context::from_waker(&waker)));
        match poll {
            Some(Poll::Ready(result)) => Some(result),
            _ => None,
        }
    }

    /// Ends the task: its future is dropped within the runtime's next turn. A finished task is not affected.
    pub fn abort(&self) {
        self.abort_handle().abort();
    }

    /// A handle that aborts the task from any thread.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle(self.0.number())
    }

    /// Whether the result is available.
    pub fn is_finished(&self) -> bool {
        self.0.is_done()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_join(cx)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("is_finished", &self.is_finished()).finish()
    }
}

/// Identifies a task, also after its end. It stays unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskId(pub(crate) *mut sys::zyntax_task);

/// Aborts a task from any thread.
///
/// ```
/// fn shared<T: Send + Sync>() {}
/// shared::<zyntax_async_runtime::AbortHandle>();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AbortHandle(*mut sys::zyntax_task);

// SAFETY: it is a number. Any thread may call the functions that take it, at any time.
unsafe impl Send for AbortHandle {}
// SAFETY: as before.
unsafe impl Sync for AbortHandle {}

impl AbortHandle {
    /// Ends the task, if it has not ended.
    pub fn abort(&self) {
        // SAFETY: for any thread, and for handles that are null or stale.
        unsafe { sys::zyntax_task_cancel(self.0) };
    }

    pub(crate) fn id(&self) -> TaskId {
        TaskId(self.0)
    }

    /// Whether the task has ended and its future was dropped.
    pub fn is_finished(&self) -> bool {
        // SAFETY: as before.
        unsafe { sys::zyntax_task_alive(self.0) == 0 }
    }
}

/// Where a task is spawned.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Runtime(RawRuntime),
    Scope(*mut sys::zyntax_scope),
}

impl Place {
    /// Where no task can begin, as without memory.
    pub(crate) const NOWHERE: Place = Place::Scope(ptr::null_mut());
}

pub(crate) fn spawn_on<F>(runtime: RawRuntime, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
{
    spawn_in(Place::Runtime(runtime), future)
}

/// A runtime lives, and this is its thread. A scope may be stale.
pub(crate) fn spawn_in<F>(place: Place, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
{
    let task = Rc::new(Task {
        is_done: Cell::new(false),
        stage: UnsafeCell::new(Stage::Running(future)),
        joiner: Cell::new(None),
        number: Cell::new(ptr::null_mut()),
    });
    let counted = Rc::into_raw(task.clone());
    let state = counted.cast_mut().cast();
    // SAFETY: as the caller promises. The state is a count of the task, which `drop_task` gives back.
    let number = unsafe {
        match place {
            Place::Runtime(runtime) => {
                sys::zyntax_runtime_spawn_with(runtime.as_ptr(), state, Some(poll::<F>), Some(drop_task::<F>), 0)
            }
            Place::Scope(scope) => sys::zyntax_scope_spawn(scope, state, Some(poll::<F>), Some(drop_task::<F>), 0),
        }
    };
    task.number.set(number);
    if number.is_null() && !task.is_done.get() {
        // SAFETY: memory was short, or the scope is stale; otherwise drop would have been called. So the count is ours.
        drop(unsafe { Rc::from_raw(counted) });
        task.end(Err(JoinError::Failed(Error::NO_MEMORY)));
    }
    JoinHandle(task)
}
