// SPDX-License-Identifier: Apache-2.0
//! Other runtimes: a library with the five functions of the design document (create, destroy, spawn, block_on, run).
//! This file implements the other functions for compiled code on the five. Sockets and blocking work are missing.
//! Compiled code does not notice the difference.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libloading::Library;

use crate::builtins::Builtin;
use crate::flow::{Flow, Inst, Wait};
use crate::host::Import;
use crate::runtime::{DropFn, PollFn, Waker, ECANCELED, PENDING, READY};

const EINVAL: i32 = -22;
const EPIPE: i32 = -32;
const EDEADLK: i32 = -35;
const ETIMEDOUT: i32 = -110;
const ESTALE: i32 = -116;

struct Five {
    _library: Library,
    runtime: AtomicPtr<c_void>,
    destroy: extern "C" fn(*mut c_void),
    spawn: extern "C" fn(*mut c_void, *mut c_void, PollFn) -> *mut c_void,
    block_on: extern "C" fn(*mut c_void, *mut c_void),
    start: Instant,
    timers: Sender<(u64, AnyThread)>,
    world: Mutex<World>,
}

/// The data that the operations change. Locked for the change only, never while a poll, drop or wake runs.
#[derive(Default)]
struct World {
    tasks: Vec<Task>,
    channels: Vec<Channel>,
    /// How many scopes were made. A scope is a number in its tasks.
    scopes: usize,
    /// The number of the task that is polled, or 0.
    current: usize,
    /// The wakers of all waits for a task's end or for a channel. Each change wakes all of them, and they look again.
    waiting: Vec<AnyThread>,
}

struct Task {
    state: usize,
    poll: PollFn,
    drop: DropFn,
    owned: usize,
    /// The result of the library's spawn.
    handle: usize,
    waker: Option<AnyThread>,
    canceled: bool,
    ended: bool,
    /// The number of its scope, or 0.
    scope: usize,
}

#[derive(Default)]
struct Channel {
    capacity: usize,
    items: VecDeque<i64>,
    closed: bool,
}

/// A copy of a Waker.
#[derive(Clone, Copy)]
struct AnyThread(Waker);
// SAFETY: a copy of a Waker may be woken from any thread, for ever: the document's contract.
unsafe impl Send for AnyThread {}

impl AnyThread {
    fn wake(self) {
        (self.0.wake)(self.0.data)
    }
}

static FIVE: OnceLock<Five> = OnceLock::new();
const CHANNEL_MARK: usize = 0x7a68 << 48;

fn five() -> &'static Five {
    FIVE.get().expect("create comes first")
}

fn world() -> MutexGuard<'static, World> {
    five().world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Loads the library from where this program is, and creates its runtime.
pub fn create(backend: &str) -> Result<*mut c_void, String> {
    let name = format!("zyntax_{}", backend.replace('-', "_"));
    let mut path = std::env::current_exe().map_err(|error| error.to_string())?;
    path.set_file_name(libloading::library_filename(&name));
    let missing = |error: libloading::Error| {
        format!("--backend {backend}: {error}\nbuild it with `cargo build --release --workspace` in examples/")
    };
    // SAFETY: the library is one of this workspace's, and its functions have the types that the design document says.
    let (library, create, destroy, spawn, block_on) = unsafe {
        let library = Library::new(&path).map_err(missing)?;
        let create = *library.get::<extern "C" fn() -> *mut c_void>(b"zyntax_runtime_create").map_err(missing)?;
        let destroy = *library.get(b"zyntax_runtime_destroy").map_err(missing)?;
        let spawn = *library.get(b"zyntax_runtime_spawn").map_err(missing)?;
        let block_on = *library.get(b"zyntax_runtime_block_on").map_err(missing)?;
        (library, create, destroy, spawn, block_on)
    };
    let (timers, due) = channel();
    let start = Instant::now();
    std::thread::Builder::new().spawn(move || timer_thread(start, due)).map_err(|error| error.to_string())?;
    let runtime = create();
    let (at, world) = (AtomicPtr::new(runtime), Mutex::default());
    let five = Five { _library: library, runtime: at, destroy, spawn, block_on, start, timers, world };
    if FIVE.set(five).is_err() {
        return Err("a process can have only one runtime".into());
    }
    if runtime.is_null() {
        return Err(format!("--backend {backend}: cannot create a runtime"));
    }
    Ok(runtime)
}

/// Wakes the waiters that are due.
fn timer_thread(start: Instant, due: Receiver<(u64, AnyThread)>) {
    let mut pending: BTreeMap<u64, Vec<AnyThread>> = BTreeMap::new();
    loop {
        let now = start.elapsed().as_nanos() as u64;
        while let Some(first) = pending.first_entry().filter(|first| *first.key() <= now) {
            first.remove().into_iter().for_each(AnyThread::wake);
        }
        let wait = pending.keys().next().map_or(Duration::MAX, |first| Duration::from_nanos(first - now));
        match due.recv_timeout(wait) {
            Ok((deadline, waker)) => pending.entry(deadline).or_default().push(waker),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

// ---- Tasks ----

extern "C" fn spawn(runtime: *mut c_void, state: *mut c_void, poll: PollFn, drop: DropFn, owned: usize) -> *mut c_void {
    spawn_in(0, runtime, Task::new(state, poll, drop, owned))
}

impl Task {
    fn new(state: *mut c_void, poll: PollFn, drop: DropFn, owned: usize) -> Task {
        let state = state as usize;
        Task { state, poll, drop, owned, handle: 0, waker: None, canceled: false, ended: false, scope: 0 }
    }
}

fn spawn_in(scope: usize, runtime: *mut c_void, task: Task) -> *mut c_void {
    let number = {
        let tasks = &mut world().tasks;
        tasks.push(Task { scope, ..task });
        tasks.len()
    };
    let handle = (five().spawn)(runtime, number as *mut c_void, poll_task);
    world().tasks[number - 1].handle = handle as usize;
    if handle.is_null() {
        handle
    } else {
        number as *mut c_void
    }
}

extern "C" fn poll_task(number: *mut c_void, waker: *const Waker) -> i32 {
    let index = number as usize - 1;
    let (state, poll, canceled) = {
        let task = &mut world().tasks[index];
        // SAFETY: the waker is borrowed for this call.
        task.waker = Some(AnyThread(unsafe { *waker }));
        (task.state, task.poll, task.canceled)
    };
    world().current = number as usize;
    let ready = !canceled && poll(state as *mut c_void, waker) == READY;
    world().current = 0;
    if ready {
        end_task(index, 0);
        return READY;
    }
    if world().tasks[index].canceled {
        end_task(index, ECANCELED);
        return READY;
    }
    PENDING
}

fn end_task(index: usize, outcome: i32) {
    let (state, drop, owned) = {
        let task = &world().tasks[index];
        (task.state as *mut c_void, task.drop, task.owned)
    };
    drop(state, outcome);
    state_free(std::ptr::null_mut(), state, owned);
    world().tasks[index].ended = true;
    changed();
}

fn changed() {
    let woken = std::mem::take(&mut world().waiting);
    woken.into_iter().for_each(AnyThread::wake);
}

fn wait_for_change(waker: &Waker) -> i32 {
    let waiting = &mut world().waiting;
    if !waiting.iter().any(|other| other.0.data == waker.data) {
        waiting.push(AnyThread(*waker));
    }
    PENDING
}

extern "C" fn block_on(runtime: *mut c_void, task: *mut c_void) -> i32 {
    let handle = world().tasks[task as usize - 1].handle;
    (five().block_on)(runtime, handle as *mut c_void);
    0
}

/// The library forgets its tasks; the list here has the states.
extern "C" fn destroy(runtime: *mut c_void) {
    (five().destroy)(runtime);
    let live: Vec<usize> = {
        let world = world();
        (0..world.tasks.len()).filter(|index| !world.tasks[*index].ended).collect()
    };
    live.into_iter().for_each(|index| end_task(index, ECANCELED));
}

extern "C" fn alive(task: *mut c_void) -> i32 {
    let index = (task as usize).wrapping_sub(1);
    world().tasks.get(index).is_some_and(|task| !task.ended).into()
}

extern "C" fn cancel(number: *mut c_void) -> i32 {
    if alive(number) == 0 {
        return ESTALE;
    }
    let waker = {
        let task = &mut world().tasks[number as usize - 1];
        task.canceled = true;
        task.waker
    };
    waker.into_iter().for_each(AnyThread::wake);
    0
}

// ---- Scopes ----

extern "C" fn scope_create(_: *mut c_void, out: &mut usize) -> i32 {
    let mut world = world();
    world.scopes += 1;
    *out = world.scopes;
    0
}

extern "C" fn scope_spawn(scope: usize, state: *mut c_void, poll: PollFn, drop: DropFn, owned: usize) -> *mut c_void {
    let runtime = five().runtime.load(Ordering::Relaxed);
    spawn_in(scope, runtime, Task::new(state, poll, drop, owned))
}

/// The numbers of the scope's tasks that have not ended.
fn tasks_of(scope: usize) -> Vec<usize> {
    let world = world();
    let is_alive = |number: &usize| world.tasks[number - 1].scope == scope && !world.tasks[number - 1].ended;
    (1..=world.tasks.len()).filter(is_alive).collect()
}

extern "C" fn scope_join(scope: usize, _: *mut u64, waker: &Waker, result: &mut i64) -> i32 {
    *result = 0;
    if tasks_of(scope).is_empty() {
        READY
    } else {
        wait_for_change(waker)
    }
}

extern "C" fn scope_destroy(scope: usize) -> i32 {
    for number in tasks_of(scope) {
        cancel(number as *mut c_void);
    }
    0
}

/// Whether it is the task that is polled.
fn is_current(task: *mut c_void) -> bool {
    world().current == task as usize
}

extern "C" fn join(task: *mut c_void, _: *mut u64, waker: &Waker, result: &mut i64) -> i32 {
    *result = if is_current(task) { EDEADLK.into() } else { 0 };
    if alive(task) == 1 && !is_current(task) {
        wait_for_change(waker)
    } else {
        READY
    }
}

extern "C" fn select(tasks: *const *mut c_void, n: usize, _: *mut u64, waker: &Waker, result: &mut i64) -> i32 {
    // SAFETY: compiled code passes an array of that length.
    let tasks = unsafe { std::slice::from_raw_parts(tasks, n) };
    *result = match tasks.iter().position(|task| alive(*task) == 0) {
        Some(index) => index as i64,
        None if tasks.iter().all(|task| is_current(*task)) => EDEADLK.into(),
        None => return wait_for_change(waker),
    };
    READY
}

// ---- Time. An op is the deadline that a timer runs to. ----

extern "C" fn now_ns(_: *mut c_void) -> u64 {
    five().start.elapsed().as_nanos() as u64
}

extern "C" fn sleep(runtime: *mut c_void, op: &mut u64, duration: u64, waker: &Waker) -> i32 {
    let deadline = if *op == 0 { now_ns(runtime).saturating_add(duration) } else { *op };
    sleep_until(op, deadline, waker)
}

fn sleep_until(op: &mut u64, deadline: u64, waker: &Waker) -> i32 {
    if now_ns(std::ptr::null_mut()) >= deadline {
        *op = 0;
        return READY;
    }
    if *op == 0 {
        *op = deadline;
        let _ = five().timers.send((deadline, AnyThread(*waker)));
    }
    PENDING
}

extern "C" fn join_until(task: *mut c_void, op: &mut u64, deadline: u64, waker: &Waker, result: &mut i64) -> i32 {
    *result = match alive(task) {
        1 if is_current(task) => EDEADLK.into(),
        1 => ETIMEDOUT.into(),
        _ => 0,
    };
    if *result == ETIMEDOUT.into() && sleep_until(op, deadline, waker) == PENDING {
        return wait_for_change(waker);
    }
    *op = 0;
    READY
}

extern "C" fn op_cancel(op: &mut u64) {
    *op = 0; // a later wake finds nothing to do
}

// ---- Memory ----

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("no frame is that large")
}

extern "C" fn state_alloc(_: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: no frame has size 0.
    unsafe { alloc_zeroed(layout(size)).cast() }
}

extern "C" fn state_free(_: *mut c_void, state: *mut c_void, size: usize) {
    // SAFETY: the state came from state_alloc with this size.
    unsafe { dealloc(state.cast(), layout(size)) }
}

// ---- Channels ----

extern "C" fn channel_create(_: *mut c_void, capacity: usize, _: usize, out: &mut usize) -> i32 {
    if capacity == 0 {
        return EINVAL;
    }
    let channels = &mut world().channels;
    channels.push(Channel { capacity, ..Channel::default() });
    *out = CHANNEL_MARK | (channels.len() - 1);
    0
}

/// Does something to a channel, which gives a code, or None while it has to wait.
fn with_channel(number: usize, act: impl FnOnce(&mut Channel) -> Option<i32>) -> Option<i32> {
    let code = world().channels.get_mut(number ^ CHANNEL_MARK).map_or(Some(ESTALE), act);
    code.inspect(|_| changed())
}

fn ready_or_wait(code: Option<i32>, waker: &Waker, result: &mut i64) -> i32 {
    let Some(code) = code else { return wait_for_change(waker) };
    *result = code.into();
    READY
}

extern "C" fn send(number: usize, _: *mut u64, item: &i64, waker: &Waker, result: &mut i64) -> i32 {
    let code = with_channel(number, |channel| match channel {
        Channel { closed: true, .. } => Some(EPIPE),
        full if full.items.len() >= full.capacity => None,
        channel => {
            channel.items.push_back(*item);
            Some(0)
        }
    });
    ready_or_wait(code, waker, result)
}

extern "C" fn recv(number: usize, _: *mut u64, item: &mut i64, waker: &Waker, result: &mut i64) -> i32 {
    let code = with_channel(number, |channel| match channel.items.pop_front() {
        Some(first) => {
            *item = first;
            Some(1)
        }
        None => channel.closed.then_some(0),
    });
    ready_or_wait(code, waker, result)
}

extern "C" fn close(number: usize) -> i32 {
    let code = with_channel(number, |channel| {
        channel.closed = true;
        Some(0)
    });
    code.expect("closing does not wait")
}

/// Refuses programs with operations that these backends lack, before anything runs: the line, and a message.
pub fn check(flows: &[Flow]) -> Result<(), (u32, String)> {
    let blocks = flows.iter().flat_map(|flow| &flow.blocks);
    let now = blocks.flat_map(|block| &block.insts).filter_map(|inst| match inst {
        Inst::Builtin(builtin, _, _, line) => Some((*builtin, *line)),
        _ => None,
    });
    let waits = flows.iter().flat_map(Flow::points).filter_map(|point| match point.wait {
        Wait::Op(builtin) => Some((builtin, point.line)),
        _ => None,
    });
    match now.chain(waits).filter(|(builtin, _)| is_missing(*builtin)).min_by_key(|(_, line)| *line) {
        Some((builtin, line)) => Err((line, format!("`{}` needs --backend zyntax", builtin.row().name))),
        None => Ok(()),
    }
}

fn is_missing(builtin: Builtin) -> bool {
    let name = builtin.row().function;
    name.starts_with("zyntax_") && address(name).is_none()
}

extern "C" fn missing() {
    unreachable!("check() refuses what would call this")
}

/// This file's function in the place of one of the runtime's.
fn address(name: &str) -> Option<*const u8> {
    let address = match name {
        "zyntax_runtime_spawn_with" => spawn as *const u8,
        "zyntax_runtime_block_on" => block_on as *const u8,
        "zyntax_runtime_destroy" => destroy as *const u8,
        "zyntax_scope_create" => scope_create as *const u8,
        "zyntax_scope_spawn" => scope_spawn as *const u8,
        "zyntax_scope_join" => scope_join as *const u8,
        "zyntax_scope_destroy" => scope_destroy as *const u8,
        "zyntax_task_alive" => alive as *const u8,
        "zyntax_task_cancel" => cancel as *const u8,
        "zyntax_task_join" => join as *const u8,
        "zyntax_select" => select as *const u8,
        "zyntax_join_until" => join_until as *const u8,
        "zyntax_now_ns" => now_ns as *const u8,
        "zyntax_sleep" => sleep as *const u8,
        "zyntax_op_cancel" => op_cancel as *const u8,
        "zyntax_state_alloc" => state_alloc as *const u8,
        "zyntax_state_free" => state_free as *const u8,
        "zyntax_channel_create" => channel_create as *const u8,
        "zyntax_channel_send" => send as *const u8,
        "zyntax_channel_recv" => recv as *const u8,
        "zyntax_channel_close" => close as *const u8,
        _ => return None,
    };
    Some(address)
}

/// Puts this file's functions in the place of the runtime's.
pub fn stand_in(imports: &mut [Import]) {
    for import in imports {
        import.address = address(import.name).unwrap_or(missing as *const u8);
    }
}
