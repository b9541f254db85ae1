// SPDX-License-Identifier: Apache-2.0
//! The runtime: creation, driving, access from other threads, and shutdown.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::op::task_waker;
use crate::task::{quietly, spawn_on, JoinHandle};
use crate::{sys, Error};

pub(crate) type RawRuntime = NonNull<sys::zyntax_runtime>;

thread_local! {
    /// The runtime that this thread drives or has entered. Callbacks outside of polls belong to it.
    static ENTERED: Cell<Option<RawRuntime>> = const { Cell::new(None) };
    /// The runtimes of this thread that `shutdown_timeout` left because jobs were still running.
    static LEFT: Cell<Vec<RawRuntime>> = const { Cell::new(Vec::new()) };
}

/// The runtime that this thread drives or has entered last, or else, if a host drives it, the runtime whose task is
/// being polled. `function` is the caller's name, for the panic message if there is no runtime.
#[track_caller]
pub(crate) fn current(function: &str) -> RawRuntime {
    let entered = ENTERED.try_with(Cell::get).ok().flatten();
    // SAFETY: callable from anywhere.
    match entered.or_else(|| NonNull::new(unsafe { sys::zyntax_current_runtime() })) {
        Some(runtime) => runtime,
        None => no_runtime(function),
    }
}

#[cold]
#[track_caller]
fn no_runtime(function: &str) -> ! {
    panic!("{function} needs a runtime: call it in a task, in Runtime::block_on or in Runtime::enter")
}

/// Sets `ENTERED` while it lives.
pub(crate) struct Entered(Option<RawRuntime>);

impl Entered {
    pub(crate) fn new(runtime: RawRuntime) -> Entered {
        Entered(ENTERED.try_with(|entered| entered.replace(Some(runtime))).ok().flatten())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = ENTERED.try_with(|entered| entered.set(self.0));
    }
}

/// One round of a runtime of this thread, with a timeout. False when it can no longer be driven.
fn drive(runtime: RawRuntime, timeout: Duration) -> bool {
    let timeout = i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
    // SAFETY: the runtime lives and this is its thread.
    let code = unsafe { sys::zyntax_runtime_turn(runtime.as_ptr(), timeout) };
    code >= 0 || code == sys::ZYNTAX_ECANCELED
}

/// The number of queued and running jobs of a runtime of this thread.
fn jobs(runtime: RawRuntime) -> u64 {
    // SAFETY: all its members may be zero.
    let mut stats: sys::zyntax_runtime_stats = unsafe { mem::zeroed() };
    stats.size = mem::size_of_val(&stats);
    // SAFETY: the runtime lives and this is its thread.
    unsafe { sys::zyntax_runtime_get_stats(runtime.as_ptr(), &mut stats) };
    stats.blocking_pending
}

/// Cancels every task of a runtime of this thread. Returns whether there was a task.
fn cancel_tasks(runtime: RawRuntime) -> bool {
    unsafe extern "C" fn collect(tasks: *mut c_void, info: *const sys::zyntax_task_info) {
        // SAFETY: the vector below, and the library's description of a task.
        unsafe { (*tasks.cast::<Vec<*mut sys::zyntax_task>>()).push((*info).task) };
    }
    let mut tasks: Vec<*mut sys::zyntax_task> = Vec::new();
    // SAFETY: the runtime lives and this is its thread; `collect` calls nothing of the library.
    unsafe { sys::zyntax_runtime_dump(runtime.as_ptr(), Some(collect), (&raw mut tasks).cast()) };
    for task in &tasks {
        // SAFETY: for any handle.
        unsafe { sys::zyntax_task_cancel(*task) };
    }
    !tasks.is_empty()
}

fn destroy(runtime: RawRuntime) {
    let _entered = Entered::new(runtime);
    // SAFETY: this is its thread, and nothing drives it, as driving borrows the `Runtime`, which is being dropped.
    unsafe { sys::zyntax_runtime_destroy(runtime.as_ptr()) };
}

/// Destroys the runtimes of `LEFT` whose jobs have ended. Code in drops may call this again.
fn destroy_left() {
    for runtime in LEFT.try_with(Cell::take).unwrap_or_default() {
        {
            let _entered = Entered::new(runtime);
            drive(runtime, Duration::ZERO);
        }
        if jobs(runtime) == 0 {
            destroy(runtime);
        } else {
            leave(runtime);
        }
    }
}

/// Keeps a runtime for `destroy_left`. If the thread ends first, the runtime is leaked.
fn leave(runtime: RawRuntime) {
    let _ = LEFT.try_with(|left| {
        let mut list = left.take();
        list.push(runtime);
        left.set(list);
    });
}

/// The configuration of a runtime.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    poll_budget: u32,
    spin: Duration,
    blocking_threads: u32,
    detect_stall: bool,
}

impl Builder {
    /// The library's defaults.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// The number of polls between two checks of I/O and timers; 0 is 256.
    pub fn poll_budget(mut self, polls: u32) -> Builder {
        self.poll_budget = polls;
        self
    }

    /// The time of busy-waiting before the runtime sleeps in the kernel.
    pub fn spin(mut self, spin: Duration) -> Builder {
        self.spin = spin;
        self
    }

    /// The maximum number of threads for [`crate::spawn_blocking`]; 0 is 16.
    pub fn blocking_threads(mut self, threads: u32) -> Builder {
        self.blocking_threads = threads;
        self
    }

    /// Makes driving end with [`Error::STALLED`] when nothing can wake a task. Wakes from other threads count while
    /// there is a [`Remote::hold`].
    pub fn detect_stall(mut self, detect: bool) -> Builder {
        self.detect_stall = detect;
        self
    }

    /// Creates the runtime.
    pub fn build(self) -> Result<Runtime, Error> {
        destroy_left();
        // SAFETY: all its members may be zero.
        let mut config: sys::zyntax_runtime_config = unsafe { mem::zeroed() };
        config.size = mem::size_of_val(&config);
        config.poll_budget = self.poll_budget;
        config.spin_us = u32::try_from(self.spin.as_micros()).unwrap_or(u32::MAX);
        config.blocking_threads = self.blocking_threads;
        config.flags = if self.detect_stall { sys::ZYNTAX_DETECT_STALL } else { 0 };
        let mut error = 0;
        // SAFETY: both pointers are valid for the call.
        let raw = unsafe { sys::zyntax_runtime_create_with(&config, &mut error) };
        let Some(raw) = NonNull::new(raw) else {
            return Err(Error::check(error.into()).err().unwrap_or(Error::NO_MEMORY));
        };
        let gate = Arc::new(Gate { runtime: Mutex::new(Some(Open(raw))) });
        Ok(Runtime { raw, gate, is_left: false, _thread: PhantomData })
    }
}

/// A reactor and executor. The runtime and its tasks stay in the thread that created it. Other threads use [`Remote`].
///
/// ```
/// use std::time::{Duration, Instant};
/// use zyntax_async_runtime::{sleep, spawn, Runtime};
///
/// let runtime = Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let child = spawn(async {
///         sleep(Duration::from_millis(1)).await;
///         40
///     });
///     child.await.unwrap() + 2
/// })?;
/// assert_eq!(sum, 42);
/// # Ok::<(), zyntax_async_runtime::Error>(())
/// ```
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<zyntax_async_runtime::Runtime>();
/// ```
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<zyntax_async_runtime::Runtime>();
/// ```
///
/// A spawned task must not borrow values that could end before it:
///
/// ```compile_fail,E0597
/// let runtime = zyntax_async_runtime::Runtime::new().unwrap();
/// let text = String::new();
/// let borrowed = &text;
/// runtime.spawn(async move { borrowed.len() });
/// ```
pub struct Runtime {
    raw: RawRuntime,
    gate: Arc<Gate>,
    is_left: bool,
    _thread: PhantomData<*mut ()>,
}

impl Runtime {
    /// Creates a runtime with the default configuration.
    pub fn new() -> Result<Runtime, Error> {
        Builder::new().build()
    }

    /// The library's runtime, for calls of the C API. This object owns it: never destroy it. Call functions that drive
    /// it within [`Runtime::enter`], so that code in drops finds the runtime.
    pub fn as_raw(&self) -> *mut sys::zyntax_runtime {
        self.raw.as_ptr()
    }

    /// A handle for other threads.
    pub fn remote(&self) -> Remote {
        Remote(self.gate.clone())
    }

    /// Starts a task. It is polled while the runtime is driven.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        spawn_on(self.raw, future)
    }

    /// Runs code outside of tasks. The free functions find this runtime meanwhile.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let _entered = Entered::new(self.raw);
        work()
    }

    /// Drives the runtime until the future has its value. A panic of the future continues in the caller. On an error
    /// ([`Error::CANCELED`] after a stop, [`Error::BUSY`], [`Error::STALLED`]) the future is dropped; tasks stay alive.
    /// To continue a future after a stop, pass it by `Pin<&mut _>`. A stop in the future's last poll applies to the
    /// next drive.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        let slot = UnsafeCell::new(RootSlot::Running(future));
        let root = Box::into_raw(Box::new(Root { slot: Cell::new(slot.get().cast()), poll: poll_root::<F> }));
        // SAFETY: the runtime lives and this is its thread; `drop_root` frees the box.
        let task = unsafe {
            sys::zyntax_runtime_spawn_with(self.as_raw(), root.cast(), Some(poll_root_task), Some(drop_root), 0)
        };
        if task.is_null() {
            // SAFETY: `&self` keeps the runtime from being destroyed, so memory was short, and the box has no other
            // owner.
            drop(unsafe { Box::from_raw(root) });
            return Err(Error::NO_MEMORY);
        }
        let _entered = Entered::new(self.raw); // also while the future is dropped
                                               // SAFETY: as before.
        let code = unsafe { sys::zyntax_runtime_block_on(self.as_raw(), task) };
        // SAFETY: the call accepts any handle. A task that is alive has not been dropped, so its box exists. Only this
        // thread could drop it.
        unsafe {
            if sys::zyntax_task_alive(task) != 0 {
                (*root).slot.set(ptr::null_mut());
                sys::zyntax_task_cancel(task);
            }
        }
        // The task does not look at the slot any more. A future that is still there is dropped with it.
        // SAFETY: so that this is the only reference.
        let result = unsafe { &mut *slot.get() }.take();
        if result.is_some() && code == sys::ZYNTAX_ECANCELED {
            // SAFETY: as before.
            unsafe { sys::zyntax_runtime_stop(self.as_raw()) };
        }
        match result {
            Some(Ok(value)) => Ok(value),
            Some(Err(panic)) => resume_unwind(panic),
            None => Err(Error::check(code.into()).err().unwrap_or(Error::CANCELED)),
        }
    }

    /// Drives the runtime until no task is left.
    pub fn run(&self) -> Result<(), Error> {
        let _entered = Entered::new(self.raw);
        // SAFETY: the runtime lives and this is its thread.
        Error::check(unsafe { sys::zyntax_runtime_run(self.as_raw()) }.into()).map(drop)
    }

    /// Drives one round. It waits up to `timeout` (`None`: without limit) when no task is ready. Returns the number of
    /// live tasks.
    pub fn turn(&self, timeout: Option<Duration>) -> Result<usize, Error> {
        let timeout = timeout.map_or(-1, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        let _entered = Entered::new(self.raw);
        // SAFETY: the runtime lives and this is its thread.
        Error::check(unsafe { sys::zyntax_runtime_turn(self.as_raw(), timeout) }.into()).map(|tasks| tasks as usize)
    }
}

impl Runtime {
    /// Drops every task and ends the runtime. Waits for running blocking work, but no longer than `duration`.
    ///
    /// Work that still runs after that finishes, and its result is discarded. Its thread and the runtime's memory are
    /// released when this thread creates or ends a runtime after the work has ended, otherwise when the process ends.
    /// Values outside of the tasks, such as a [`TcpStream`], may be dropped at any time, but nothing wakes their
    /// futures any more.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use zyntax_async_runtime::{spawn_blocking, Runtime};
    ///
    /// let runtime = Runtime::new()?;
    /// let (release, released) = std::sync::mpsc::channel::<()>();
    /// runtime.enter(|| drop(spawn_blocking(move || released.recv())));
    /// runtime.turn(Some(Duration::ZERO))?;
    /// runtime.shutdown_timeout(Duration::from_millis(10));
    /// drop(release);
    /// # Ok::<(), zyntax_async_runtime::Error>(())
    /// ```
    ///
    /// [`TcpStream`]: crate::TcpStream
    pub fn shutdown_timeout(mut self, duration: Duration) {
        // Waits for calls inside the gate; no further call can enter.
        self.gate.lock().take();
        let begin = Instant::now();
        let left = || duration.saturating_sub(begin.elapsed());
        let _entered = Entered::new(self.raw);
        // Drops may spawn.
        while cancel_tasks(self.raw) {
            if !drive(self.raw, Duration::ZERO) || left().is_zero() {
                break;
            }
        }
        while jobs(self.raw) > 0 && !left().is_zero() && drive(self.raw, left()) {}
        self.is_left = jobs(self.raw) > 0;
    }
}

impl Drop for Runtime {
    /// Drops every task, waits for running blocking work, and ends the runtime.
    fn drop(&mut self) {
        self.gate.lock().take();
        if self.is_left {
            leave(self.raw);
        } else {
            destroy(self.raw);
        }
        destroy_left();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runtime").field(&self.raw).finish()
    }
}

// ---- the future of block_on, which may borrow ----

/// The task's memory: a pointer to the caller's frame, cleared before that frame ends.
struct Root {
    slot: Cell<*mut c_void>,
    poll: unsafe fn(*mut c_void, &mut Context<'_>) -> bool,
}

enum RootSlot<F: Future> {
    Running(F),
    Done(Option<std::thread::Result<F::Output>>),
}

impl<F: Future> RootSlot<F> {
    /// The result. A future without a result is dropped in place.
    fn take(&mut self) -> Option<std::thread::Result<F::Output>> {
        match self {
            RootSlot::Done(result) => result.take(),
            RootSlot::Running(_) => {
                *self = RootSlot::Done(None);
                None
            }
        }
    }
}

/// Polls the future; true once it has its value.
unsafe fn poll_root<F: Future>(slot: *mut c_void, cx: &mut Context<'_>) -> bool {
    // SAFETY: `block_on` is in the middle of driving, its slot is there and is looked at from here only; it does not
    // move.
    let slot = unsafe { &mut *slot.cast::<RootSlot<F>>() };
    let outcome = catch_unwind(AssertUnwindSafe(|| match slot {
        // SAFETY: as before.
        RootSlot::Running(future) => unsafe { Pin::new_unchecked(future) }.poll(cx),
        RootSlot::Done(_) => unreachable!("the library polls no task that has ended"),
    }));
    let result = match outcome {
        Ok(Poll::Pending) => return false,
        Ok(Poll::Ready(value)) => Ok(value),
        Err(panic) => Err(panic),
    };
    quietly(|| *slot = RootSlot::Done(None));
    *slot = RootSlot::Done(Some(result));
    true
}

unsafe extern "C" fn poll_root_task(state: *mut c_void, waker: *mut sys::Waker) -> sys::PollStatus {
    // SAFETY: the library polls before `drop_root`.
    let root = unsafe { &*state.cast::<Root>() };
    let slot = root.slot.get();
    if slot.is_null() {
        return sys::POLL_READY;
    }
    // SAFETY: the library's argument.
    let waker = unsafe { task_waker(waker) };
    // SAFETY: the slot is there as long as the pointer is.
    match unsafe { (root.poll)(slot, &mut Context::from_waker(&waker)) } {
        true => sys::POLL_READY,
        false => sys::POLL_PENDING,
    }
}

unsafe extern "C" fn drop_root(state: *mut c_void, _outcome: i32) {
    // SAFETY: called once, with the box of `block_on`.
    drop(unsafe { Box::from_raw(state.cast::<Root>()) });
}

// ---- other threads ----

/// A runtime that has not begun to end.
struct Open(RawRuntime);

// SAFETY: any thread may make the calls that the gate guards.
unsafe impl Send for Open {}

/// Closed before the runtime ends, so that no call of another thread can start afterwards.
struct Gate {
    runtime: Mutex<Option<Open>>,
}

impl Gate {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle for other threads. It stays valid after the runtime has ended.
///
/// ```
/// fn shared<T: Send + Sync>() {}
/// shared::<zyntax_async_runtime::Remote>();
/// ```
///
/// Posted code must be `Send`:
///
/// ```compile_fail,E0277
/// let runtime = zyntax_async_runtime::Runtime::new().unwrap();
/// let local = std::rc::Rc::new(1);
/// runtime.remote().post(move || drop(local));
/// ```
#[derive(Clone)]
pub struct Remote(Arc<Gate>);

impl Remote {
    /// Makes the current or next drive of the runtime return [`Error::CANCELED`] soon.
    pub fn stop(&self) -> Result<(), Error> {
        let gate = self.0.lock();
        let runtime = gate.as_ref().ok_or(Error::NO_RUNTIME)?;
        // SAFETY: for any thread; the runtime lives while the gate is held.
        unsafe { sys::zyntax_runtime_stop(runtime.0.as_ptr()) };
        Ok(())
    }

    /// Runs code in the runtime's thread, outside of tasks, in the order of posting; the free functions find the
    /// runtime. Code that is still posted when the runtime ends runs then.
    pub fn post(&self, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let work: Box<Box<dyn FnOnce() + Send>> = Box::new(Box::new(work));
        let gate = self.0.lock();
        let runtime = gate.as_ref().ok_or(Error::NO_RUNTIME)?;
        let work = Box::into_raw(work);
        // SAFETY: for any thread; the runtime lives while the gate is held. `run_posted` takes the box.
        let code = unsafe { sys::zyntax_runtime_post(runtime.0.as_ptr(), Some(run_posted), work.cast()) };
        drop(gate);
        Error::check(code.into()).map(drop).inspect_err(|_| {
            // SAFETY: it was not posted, so that the box is still ours.
            drop(unsafe { Box::from_raw(work) });
        })
    }

    /// Announces that an outside event will wake a task, until the guard is dropped. No stall is detected meanwhile
    /// (see [`Builder::detect_stall`]).
    pub fn hold(&self) -> Result<Hold, Error> {
        let gate = self.0.lock();
        let runtime = gate.as_ref().ok_or(Error::NO_RUNTIME)?;
        // SAFETY: for any thread; the runtime lives while the gate is held.
        unsafe { sys::zyntax_runtime_hold(runtime.0.as_ptr()) };
        Ok(Hold(self.0.clone()))
    }

    /// Creates a future in the runtime's thread, where it need not be `Send`, and spawns it.
    pub fn spawn<F: Future + 'static>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<(), Error> {
        self.post(move || drop(crate::spawn(make())))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

/// See [`Remote::hold`].
pub struct Hold(Arc<Gate>);

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.lock().as_ref() {
            // SAFETY: any thread may call this. The runtime lives while the gate is held, and it is the runtime of the
            // hold.
            unsafe { sys::zyntax_runtime_release(runtime.0.as_ptr()) };
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

unsafe extern "C" fn run_posted(work: *mut c_void) {
    // SAFETY: called once, with the box of `post`.
    let work = unsafe { Box::from_raw(work.cast::<Box<dyn FnOnce() + Send>>()) };
    quietly(work);
}
