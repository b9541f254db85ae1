// SPDX-License-Identifier: Apache-2.0
//! Promises of compiled code as tasks of a runtime: what a host wants to do around their polls and at their ends.

use std::cell::Cell;
use std::ffi::c_void;
use std::rc::Rc;

use crate::runtime::{Entered, RawRuntime};
use crate::{sys, Error, Runtime};

/// What a compiled entry function returns: a pointer to this.
pub type Promise = sys::zyntax_promise;

/// Frees a pair, or a state machine: `zyntax_free`.
pub type Free = unsafe extern "C" fn(*mut c_void);

/// A promise that an executor runs, as its hooks are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number, from 1; none is used twice by an executor.
    pub id: i64,
    /// The number of the task that spawned it with `zyntax_promise_spawn_child`; 0: the host did.
    pub parent: i64,
}

type Hook = Box<dyn Fn(Task)>;

/// What the tasks of an executor have in common.
struct Shared {
    runtime: RawRuntime,
    free: Option<Free>,
    enter: Option<Hook>,
    leave: Option<Hook>,
    last_id: Cell<i64>,
}

/// Runs promises. It stays in its thread.
///
/// While it polls one, its runtime is the current one: [`spawn`](crate::spawn), [`sleep`](crate::sleep()) and their
/// like find it. A task that a promise spawns with `zyntax_promise_spawn_child` has the executor's hooks, and its pair
/// and state machine are freed like those of others.
pub struct Executor {
    runtime: Runtime,
    shared: Rc<Shared>,
}

/// A task's part of the hooks: the library calls them with a pointer to it.
struct Context {
    shared: Rc<Shared>,
    task: Task,
    /// What is freed at the end, if anything is.
    pair: *mut Promise,
    state: *mut c_void,
    free: Option<Free>,
    ended: Option<Box<dyn FnOnce(i64)>>,
    value: i64,
    /// During a poll.
    entered: Option<Entered>,
}

impl Context {
    fn new(shared: &Rc<Shared>, parent: i64, promise: Promise) -> Box<Context> {
        let id = shared.last_id.get() + 1;
        shared.last_id.set(id);
        Box::new(Context {
            shared: shared.clone(),
            task: Task { id, parent },
            pair: std::ptr::null_mut(),
            state: promise.state,
            free: None,
            ended: None,
            value: 0,
            entered: None,
        })
    }
}

impl Executor {
    /// An executor with a runtime of its own. `free` is called for each pair and for its state machine, once each, when
    /// the promise has ended or the executor goes; None: they are not freed.
    ///
    /// # Errors
    /// No memory or no descriptors are left.
    pub fn new(free: Option<Free>) -> Result<Self, Error> {
        Runtime::new().map(|runtime| Self::on(runtime, free))
    }

    /// As [`new`](Self::new), on a runtime that was made before.
    pub fn on(runtime: Runtime, free: Option<Free>) -> Self {
        let raw = std::ptr::NonNull::new(runtime.as_raw()).expect("a runtime has one");
        let shared = Rc::new(Shared { runtime: raw, free, enter: None, leave: None, last_id: Cell::new(0) });
        Self { runtime, shared }
    }

    /// Calls `enter` before each poll of a promise and `leave` after it: for the host's own notion of a current task. A
    /// panic in either ends the process.
    ///
    /// # Panics
    /// Promises were spawned before.
    pub fn with_hooks(mut self, enter: impl Fn(Task) + 'static, leave: impl Fn(Task) + 'static) -> Self {
        let shared = Rc::get_mut(&mut self.shared).expect("hooks come before promises");
        shared.enter = Some(Box::new(enter));
        shared.leave = Some(Box::new(leave));
        self
    }

    /// The runtime, for everything else: Rust's tasks, one round, other threads.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The library's runtime, for calls of the C API. It is this object's: never destroy it.
    pub fn as_raw(&self) -> *mut sys::zyntax_runtime {
        self.runtime.as_raw()
    }

    /// Begins a promise beside the others. `ended` hears its value, or `ZYNTAX_ECANCELED`.
    ///
    /// # Errors
    /// No memory, or a null; the pair is the caller's then.
    ///
    /// # Safety
    /// `pair` points to a promise that may be polled in this thread until it is not 0, and that `free` frees.
    pub unsafe fn spawn(&self, pair: *mut Promise, ended: impl FnOnce(i64) + 'static) -> Result<(), Error> {
        // SAFETY: the caller's word.
        unsafe { self.begin_pair(pair, Box::new(ended)) }.map(drop)
    }

    /// Runs a promise to its end, and the others meanwhile. Its value: below 0 it failed. A stop in its last poll is
    /// for whatever is driven next.
    ///
    /// # Errors
    /// Driving ended early (see [`Error`]); the promise is cancelled then.
    ///
    /// # Safety
    /// As [`spawn`](Self::spawn).
    pub unsafe fn block_on(&self, pair: *mut Promise) -> Result<i64, Error> {
        let value = Rc::new(Cell::new(None));
        let heard = value.clone();
        // SAFETY: the caller's word.
        let task = unsafe { self.begin_pair(pair, Box::new(move |value| heard.set(Some(value)))) }?;
        // SAFETY: the runtime lives, and this is its thread.
        let code = self.runtime.enter(|| unsafe { sys::zyntax_runtime_block_on(self.as_raw(), task) });
        if let Some(value) = value.get() {
            if code == sys::ZYNTAX_ECANCELED {
                // SAFETY: the runtime lives.
                unsafe { sys::zyntax_runtime_stop(self.as_raw()) };
            }
            return Ok(value);
        }
        // SAFETY: any handle.
        unsafe { sys::zyntax_task_cancel(task) };
        Err(Error::check(code.into()).err().unwrap_or(Error::CANCELED))
    }

    /// Runs until no promise is left.
    ///
    /// # Errors
    /// Driving ended early; the promises stay.
    pub fn run(&self) -> Result<(), Error> {
        self.runtime.run()
    }

    unsafe fn begin_pair(
        &self,
        pair: *mut Promise,
        ended: Box<dyn FnOnce(i64)>,
    ) -> Result<*mut sys::zyntax_task, Error> {
        // SAFETY: a promise, or null.
        let promise = *unsafe { pair.as_ref() }.ok_or(Error::INVALID)?;
        let mut context = Context::new(&self.shared, 0, promise);
        context.pair = pair;
        context.free = self.shared.free;
        context.ended = Some(ended);
        // SAFETY: the caller's word.
        unsafe { self.begin(promise, context) }.map_err(|(error, _)| error)
    }

    /// Begins a promise that nobody frees.
    ///
    /// # Safety
    /// It may be polled in this thread until it is not 0.
    pub(super) unsafe fn begin_unowned(&self, promise: Promise, ended: Box<dyn FnOnce(i64)>) -> Result<(), Error> {
        let mut context = Context::new(&self.shared, 0, promise);
        context.ended = Some(ended);
        // SAFETY: the caller's word.
        unsafe { self.begin(promise, context) }.map(drop).map_err(|(error, _)| error)
    }

    unsafe fn begin(
        &self,
        promise: Promise,
        context: Box<Context>,
    ) -> Result<*mut sys::zyntax_task, (Error, Box<Context>)> {
        let context = Box::into_raw(context);
        let hooks = sys::zyntax_promise_hooks {
            size: size_of::<sys::zyntax_promise_hooks>(),
            enter: Some(enter),
            leave: Some(leave),
            drop: Some(end),
            ctx: context.cast(),
            child: Some(begin_child),
        };
        // SAFETY: the value's place is the box's, which lives until the hook has been called.
        let task =
            unsafe { sys::zyntax_promise_spawn_with(self.as_raw(), &promise, &raw mut (*context).value, &hooks) };
        if task.is_null() {
            // SAFETY: nothing was changed: the box is still ours.
            return Err((Error::NO_MEMORY, unsafe { Box::from_raw(context) }));
        }
        Ok(task)
    }
}

unsafe extern "C" fn enter(ctx: *mut c_void) {
    // SAFETY: `begin`'s or `begin_child`'s box, until `end`.
    let context = unsafe { &mut *ctx.cast::<Context>() };
    context.entered = Some(Entered::new(context.shared.runtime));
    if let Some(enter) = &context.shared.enter {
        enter(context.task);
    }
}

unsafe extern "C" fn leave(ctx: *mut c_void) {
    // SAFETY: as in `enter`.
    let context = unsafe { &mut *ctx.cast::<Context>() };
    if let Some(leave) = &context.shared.leave {
        leave(context.task);
    }
    context.entered = None;
}

/// The hooks' context of a task that a task has spawned.
unsafe extern "C" fn begin_child(ctx: *mut c_void, promise: *const Promise) -> *mut c_void {
    // SAFETY: the parent's box, and the child's promise.
    let (parent, promise) = unsafe { (&*ctx.cast::<Context>(), &*promise) };
    let mut context = Context::new(&parent.shared, parent.task.id, *promise);
    context.pair = (&raw const *promise).cast_mut();
    context.free = parent.shared.free;
    Box::into_raw(context).cast()
}

unsafe extern "C" fn end(ctx: *mut c_void, _: i32) {
    // SAFETY: called once, with the box of `begin` or `begin_child`.
    let context = *unsafe { Box::from_raw(ctx.cast::<Context>()) };
    let _entered = Entered::new(context.shared.runtime);
    if let Some(free) = context.free {
        // SAFETY: the caller of `spawn` said so, or the compiled code that spawned; nobody polls the promise any more.
        unsafe {
            free(context.state);
            free(context.pair.cast());
        }
    }
    if let Some(ended) = context.ended {
        crate::task::quietly(|| ended(context.value));
    }
}
