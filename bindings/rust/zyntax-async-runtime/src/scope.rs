// SPDX-License-Identifier: Apache-2.0
//! Tasks that belong together.

use std::fmt;
use std::future::{poll_fn, Future};
use std::ptr;
use std::task::{ready, Context, Poll};

use crate::op::{call_once, OpSlot};
use crate::runtime::{current, RawRuntime};
use crate::task::{spawn_in, Place};
use crate::{sys, Error, JoinHandle, TaskId};

/// Tasks that are awaited and cancelled together, as the nurseries of Trio. Their values may have different types.
/// Dropping the scope cancels its tasks: no task outlives it, except for its drop, which follows within the runtime's
/// next turn. Tasks may share the scope, for example by an `Rc`, to spawn into it.
///
/// ```
/// use zyntax_async_runtime::{yield_now, Runtime, Scope};
///
/// Runtime::new()?.block_on(async {
///     let scope = Scope::new()?;
///     let slow = scope.spawn(async {
///         yield_now().await;
///         "slow"
///     });
///     let fast = scope.spawn(async { 1 });
///     assert_eq!(scope.next().await?, Some(fast.id()));
///     scope.join().await?;
///     assert_eq!((slow.await.unwrap(), fast.await.unwrap()), ("slow", 1));
///     Ok::<(), zyntax_async_runtime::Error>(())
/// })??;
/// # Ok::<(), zyntax_async_runtime::Error>(())
/// ```
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::Scope>();
/// ```
pub struct Scope {
    number: *mut sys::zyntax_scope,
    runtime: RawRuntime,
}

impl Scope {
    /// A scope without tasks, on the current runtime.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn new() -> Result<Scope, Error> {
        Scope::on(current("Scope::new"))
    }

    /// A scope on a runtime of this thread.
    pub(crate) fn on(runtime: RawRuntime) -> Result<Scope, Error> {
        let mut number = ptr::null_mut();
        // SAFETY: the runtime lives and this is its thread.
        Error::check(unsafe { sys::zyntax_scope_create(runtime.as_ptr(), &mut number) }.into())?;
        Ok(Scope { number, runtime })
    }

    /// Starts a task in the scope. Its future need not be `Send`. In a scope that was cancelled, the future is dropped
    /// at once, and the handle gives [`JoinError::Canceled`](crate::JoinError::Canceled).
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        spawn_in(self.place(), future)
    }

    /// Waits until a task of the scope has ended, and gives the tasks in the order of their ends, each to one caller;
    /// `None` when no task is left. Its [`JoinHandle`] is ready then. Dropping the future loses no task.
    ///
    /// Errors: [`Error::STALLED`] for a task of the scope when it is the only one left; [`Error::NO_RUNTIME`] or
    /// [`Error::CANCELED`] when the runtime has ended.
    pub fn next(&self) -> impl Future<Output = Result<Option<TaskId>, Error>> + '_ {
        let mut slot = OpSlot::new();
        poll_fn(move |cx| self.poll_next(&mut slot, cx))
    }

    /// Waits until all tasks of the scope have ended and their futures were dropped. Errors as [`Scope::next`]. If
    /// `next` was never called, the scope forgets the tasks; otherwise `next` still gives them.
    pub fn join(&self) -> impl Future<Output = Result<(), Error>> + '_ {
        let mut slot = OpSlot::new();
        poll_fn(move |cx| {
            let mut result = 0;
            ready!(slot.call(cx, |op, waker| {
                // SAFETY: this is the scope's thread; for any handle.
                unsafe { sys::zyntax_scope_join(self.number, op, waker, &mut result) }
            }));
            Poll::Ready(Error::check(result).map(drop))
        })
    }

    /// Cancels all tasks of the scope: none is polled again, and later ones do not start. Their results can still be
    /// awaited.
    pub fn cancel(&self) {
        self.canceller().cancel();
    }

    /// A handle that cancels the scope from any thread.
    pub fn canceller(&self) -> ScopeCanceller {
        ScopeCanceller(self.number)
    }

    pub(crate) fn place(&self) -> Place {
        Place::Scope(self.number)
    }

    pub(crate) fn runtime(&self) -> RawRuntime {
        self.runtime
    }

    pub(crate) fn is_on(&self, runtime: RawRuntime) -> bool {
        self.runtime == runtime
    }

    /// Whether the runtime has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        let mut result = 0;
        let call = call_once(|op, waker| {
            // SAFETY: this is the scope's thread; without a place for a task the call only looks at its arguments.
            unsafe { sys::zyntax_scope_next(self.number, op, waker, ptr::null_mut(), &mut result) }
        });
        call.is_pending() || result != i64::from(sys::ZYNTAX_ESTALE)
    }

    pub(crate) fn poll_next(&self, slot: &mut OpSlot, cx: &mut Context<'_>) -> Poll<Result<Option<TaskId>, Error>> {
        self.tell(|await_point| slot.call(cx, await_point))
    }

    pub(crate) fn try_next(&self) -> Poll<Result<Option<TaskId>, Error>> {
        self.tell(|await_point| call_once(await_point))
    }

    fn tell(&self, call: impl FnOnce(&mut AwaitPoint) -> Poll<()>) -> Poll<Result<Option<TaskId>, Error>> {
        let (mut ended, mut result) = (ptr::null_mut(), 0);
        ready!(call(&mut |op, waker| {
            // SAFETY: this is the scope's thread; for any handle.
            unsafe { sys::zyntax_scope_next(self.number, op, waker, &mut ended, &mut result) }
        }));
        Poll::Ready(Error::check(result).map(|told| (told > 0).then_some(TaskId(ended))))
    }
}

type AwaitPoint<'a> = dyn FnMut(*mut sys::zyntax_op, *mut sys::Waker) -> sys::PollStatus + 'a;

impl Drop for Scope {
    fn drop(&mut self) {
        // SAFETY: this is the scope's thread; for any handle.
        unsafe { sys::zyntax_scope_destroy(self.number) };
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scope").field(&self.number).finish()
    }
}

/// Cancels a [`Scope`] from any thread.
///
/// ```
/// fn shared<T: Send + Sync>() {}
/// shared::<zyntax_async_runtime::ScopeCanceller>();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ScopeCanceller(*mut sys::zyntax_scope);

// SAFETY: it is a number. Any thread may call the functions that take it, at any time.
unsafe impl Send for ScopeCanceller {}
// SAFETY: as before.
unsafe impl Sync for ScopeCanceller {}

impl ScopeCanceller {
    /// As [`Scope::cancel`]. When it has returned, no later task starts. A scope that was dropped is not affected.
    pub fn cancel(&self) {
        // SAFETY: for any thread, and for any handle.
        unsafe { sys::zyntax_scope_cancel(self.0) };
    }
}
