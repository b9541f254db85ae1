// SPDX-License-Identifier: Apache-2.0
//! Promises of compiled code as tasks of a runtime, with the host's hooks around their polls and at their ends.

use std::cell::Cell;
use std::ffi::c_void;
use std::rc::Rc;

use crate::runtime::{Entered, RawRuntime};
use crate::{sys, Error, Runtime};

/// A compiled entry function returns a pointer to this type.
pub type Promise = sys::zyntax_promise;

/// Frees a pair, or a state machine: `zyntax_free`.
pub type Free = unsafe extern "C" fn(*mut c_void);

/// The description of an executor's promise for its hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number, from 1; an executor never reuses a number.
    pub id: i64,
    /// The number of the task that spawned it with `zyntax_promise_spawn_child`; 0: the host spawned it.
    pub parent: i64,
}

type Hook = Box<dyn Fn(Task)>;

/// The shared state of an executor's tasks.
struct Shared {
    runtime: RawRuntime,
    free: Option<Free>,
    enter: Option<Hook>,
    leave: Option<Hook>,
    last_id: Cell<i64>,
}

/// Runs promises. It stays in its thread.
///
/// During a poll its runtime is the current one: [`spawn`](crate::spawn), [`sleep`](crate::sleep()) and similar
/// functions find it. A task that a promise spawns with `zyntax_promise_spawn_child` has the executor's hooks, and its
/// pair and state machine are freed in the same way.
pub struct Executor {
    runtime: Runtime,
    shared: Rc<Shared>,
}

/// A task's part of the hooks; the library passes a pointer to it.
struct Context {
    shared: Rc<Shared>,
    task: Task,
    /// Freed at the end, if set.
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
    /// An executor with its own runtime. `free` is called once for each pair and once for its state machine, when the
    /// promise has ended or the executor is dropped. None: they are not freed.
    ///
    /// # Errors
    /// No memory or no descriptors are left.
    pub fn new(free: Option<Free>) -> Result<Self, Error> {
        Runtime::new().map(|runtime| Self::on(runtime, free))
    }

    /// As [`new`](Self::new), on an existing runtime.
    pub fn on(runtime: Runtime, free: Option<Free>) -> Self {
        let raw = std::ptr::NonNull::new(runtime.as_raw()).expect("a runtime has one");
        let shared = Rc::new(Shared { runtime: raw, free, enter: None, leave: None, last_id: Cell::new(0) });
        Self { runtime, shared }
    }

    /// Calls `enter` before and `leave` after each poll of a promise, so that the host can track its current task. A
    /// panic in either ends the process.
    ///
    /// # Panics
    /// If promises were already spawned.
    pub fn with_hooks(mut self, enter: impl Fn(Task) + 'static, leave: impl Fn(Task) + 'static) -> Self {
        let shared = Rc::get_mut(&mut self.shared).expect("hooks must be set before promises are spawned");
        shared.enter = Some(Box::new(enter));
        shared.leave = Some(Box::new(leave));
        self
    }

    /// The runtime, for other uses: Rust's tasks, one round, other threads.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The library's runtime, for calls of the C API. This object owns it: never destroy it.
    pub fn as_raw(&self) -> *mut sys::zyntax_runtime {
        self.runtime.as_raw()
    }

    /// Starts a promise. `ended` receives its value, or `ZYNTAX_ECANCELED`.
    ///
    /// # Errors
    /// No memory, or a null. The caller then keeps the pair.
    ///
    /// # Safety
    /// `pair` points to a promise that may be polled in this thread until its value is not 0, and that `free` frees.
    pub unsafe fn spawn(&self, pair: *mut Promise, ended: impl FnOnce(i64) + 'static) -> Result<(), Error> {
        // SAFETY: the caller's word.
        unsafe { self.begin_pair(pair, Box::new(ended)) }.map(drop)
    }

    /// Runs a promise to its end, and the others meanwhile. Returns its value; below 0 it failed. A stop in its last
    /// poll applies to the next drive.
    ///
    /// # Errors
    /// Driving ended early (see [`Error`]); the promise is then cancelled.
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
    /// Driving ended early; the promises stay alive.
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

    /// Starts a promise that is not freed.
    ///
    /// # Safety
    /// The promise may be polled in this thread until its value is not 0.
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

/// The hooks' context of a child task.
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
        // SAFETY: the caller of `spawn`, or the compiled code that spawned, has promised it. The promise is not polled
        // any more.
        unsafe {
            free(context.state);
            free(context.pair.cast());
        }
    }
    if let Some(ended) = context.ended {
        crate::task::quietly(|| ended(context.value));
    }
}
