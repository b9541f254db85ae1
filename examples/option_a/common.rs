// SPDX-License-Identifier: Apache-2.0
//! The document's five functions over the `Executor` of the crate that includes this file.
//!
//! The document's Waker is two plain words. A program copies it freely, keeps it for any time, and calls it in any
//! thread. A `std::task::Waker` is counted, so `data` cannot point to one. `data` is a number instead: a place and its
//! generation. A place holds the `std::task::Waker` of its live task. It belongs to a runtime while the runtime lives,
//! is recycled afterwards, and its memory is never freed. A task's handle is the same number.

use crate::Executor;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, RawWakerVTable, Waker};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a place and its generation take 64 bits");

/// The differences between the two libraries.
pub trait Driver: Sized {
    fn new() -> Option<Self>;
    /// The first poll is in the next drive, not earlier.
    fn spawn(&self, task: Task);
    /// Polls tasks in the calling thread until the future is ready.
    fn drive(&self, until: impl Future<Output = ()>);
    /// Drops every task.
    fn shut_down(self);
}

// ---- The document's types -------------------------------------------------------------------------------------------

const POLL_PENDING: u32 = 1;

#[repr(C)]
pub struct CWaker {
    data: *mut c_void,
    wake: extern "C" fn(*mut c_void),
}

type PollFn = unsafe extern "C" fn(*mut c_void, *mut CWaker) -> u32;

// ---- Places ---------------------------------------------------------------------------------------------------------

/// A place in the upper half, its generation in the lower. Never 0.
type Number = usize;

struct Place {
    /// Odd while a task lives here.
    generation: u32,
    /// The number of the runtime that the task belongs to.
    owner: u32,
    /// Absent until the first poll.
    waker: Option<Waker>,
}

const BATCH: usize = 256;
type Batch = [Mutex<Place>; BATCH];

/// Up to 16,777,216 places. A batch is written once and never removed.
static BATCHES: [AtomicPtr<Batch>; 1 << 16] = [const { AtomicPtr::new(null_mut()) }; 1 << 16];

/// The batches without a runtime, and the number of all batches.
static POOL: Mutex<(Vec<u32>, u32)> = Mutex::new((Vec::new(), 0));

/// No panic leaves a change half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn batch(index: u32) -> Option<&'static Batch> {
    let batch = BATCHES.get(index as usize)?.load(Ordering::Acquire);
    // SAFETY: null, or leaked by take_batch.
    unsafe { batch.as_ref() }
}

fn take_batch() -> Option<u32> {
    let (free, made) = &mut *lock(&POOL);
    if let Some(index) = free.pop() {
        return Some(index);
    }
    let entry = BATCHES.get(*made as usize)?;
    let places = [const { Mutex::new(Place { generation: 0, owner: 0, waker: None }) }; BATCH];
    entry.store(Box::leak(Box::new(places)), Ordering::Release);
    *made += 1;
    Some(*made - 1)
}

fn place_of(number: Number) -> Option<&'static Mutex<Place>> {
    let place = (number >> 32) as u32;
    Some(&batch(place / BATCH as u32)?[place as usize % BATCH])
}

/// The locked place of a live task.
fn find(number: Number) -> Option<MutexGuard<'static, Place>> {
    let place = lock(place_of(number)?);
    (place.generation == number as u32 && number % 2 == 1).then_some(place)
}

/// Ends the task of this place. Afterwards wakes with its number do nothing, and no earlier wake is in progress.
fn vacate(mut place: MutexGuard<'_, Place>) {
    place.generation += 1;
    place.waker = None;
}

/// The `wake` of every Waker. The lock covers the executor's part of the wake, so that no executor ends meanwhile.
extern "C" fn wake(data: *mut c_void) {
    if let Some(Place { waker: Some(waker), .. }) = find(data as Number).as_deref() {
        waker.wake_by_ref();
    }
}

// ---- Tasks ----------------------------------------------------------------------------------------------------------

/// (state, poll) as a Rust future.
pub struct Task {
    number: Number,
    runtime: *const Runtime,
    state: *mut c_void,
    poll: PollFn,
    /// The words of the place's waker, to check without the lock whether the executor still uses the same waker.
    known: Option<(*const (), &'static RawWakerVTable)>,
}

// SAFETY: the thread that drives the runtime polls it, and the thread that destroys the runtime drops it. The program
// ensures that this is one thread at a time, and that `state` may be used there.
unsafe impl Send for Task {}

impl Task {
    fn remember(&mut self, waker: &Waker) {
        let same = self.known.is_some_and(|(data, vtable)| data == waker.data() && vtable == waker.vtable());
        if !same {
            self.known = Some((waker.data(), waker.vtable()));
            if let Some(mut place) = find(self.number) {
                place.waker = Some(waker.clone());
            }
        }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.remember(context.waker());
        let mut waker = CWaker { data: self.number as *mut c_void, wake };
        // SAFETY: the caller of spawn promised that `poll` may be called with `state` until it is ready.
        if unsafe { (self.poll)(self.state, &mut waker) } == POLL_PENDING {
            return Poll::Pending;
        }
        // SAFETY: only destroy ends a runtime, which aborts inside of a poll.
        unsafe { &*self.runtime }.ended(self.number);
        Poll::Ready(())
    }
}

// ---- Runtimes -------------------------------------------------------------------------------------------------------

/// One thread at a time may use it.
struct Runtime {
    executor: Executor,
    number: u32,
    batches: RefCell<Vec<u32>>,
    /// The places in them without a task.
    free: RefCell<Vec<u32>>,
    live: Cell<usize>,
    driving: AtomicBool,
    /// The drive ends when this task, or every task, has ended.
    awaited: Cell<Option<Number>>,
    /// Wakes the driving thread, which checks for the end.
    driver: RefCell<Option<Waker>>,
}

impl Runtime {
    fn new() -> Option<Runtime> {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        Some(Runtime {
            executor: Executor::new()?,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            batches: RefCell::default(),
            free: RefCell::default(),
            live: Cell::new(0),
            driving: AtomicBool::new(false),
            awaited: Cell::new(None),
            driver: RefCell::default(),
        })
    }

    fn free_place(&self) -> Option<u32> {
        let mut free = self.free.borrow_mut();
        if free.is_empty() {
            let index = take_batch()?;
            self.batches.borrow_mut().push(index);
            free.extend((0..BATCH as u32).rev().map(|place| index * BATCH as u32 + place));
        }
        free.pop()
    }

    /// Stores a task. A place without further generations is retired.
    fn occupy(&self) -> Option<Number> {
        loop {
            let index = self.free_place()? as Number;
            let mut place = lock(place_of(index << 32)?);
            if place.generation < u32::MAX - 1 {
                place.generation += 1;
                place.owner = self.number;
                return Some(index << 32 | place.generation as Number);
            }
        }
    }

    fn spawn(&self, state: *mut c_void, poll: PollFn) -> Option<Number> {
        let number = self.occupy()?;
        self.live.set(self.live.get() + 1);
        self.executor.spawn(Task { number, runtime: self, state, poll, known: None });
        Some(number)
    }

    fn ended(&self, number: Number) {
        if let Some(place) = find(number) {
            vacate(place);
        }
        self.free.borrow_mut().push((number >> 32) as u32);
        self.live.set(self.live.get() - 1);
        if self.awaited.get().map_or(self.live.get() == 0, |awaited| awaited == number) {
            if let Some(driver) = self.driver.take() {
                driver.wake();
            }
        }
    }

    fn has(&self, number: Number) -> bool {
        find(number).is_some_and(|place| place.owner == self.number)
    }

    fn reached(&self) -> bool {
        self.awaited.get().map_or(self.live.get() == 0, |awaited| !self.has(awaited))
    }

    fn drive(&self, awaited: Option<Number>) {
        if self.driving.swap(true, Ordering::Acquire) {
            return; // inside of a poll of its own
        }
        self.awaited.set(awaited);
        if !self.reached() {
            self.executor.drive(poll_fn(|context| {
                if self.reached() {
                    return Poll::Ready(());
                }
                self.driver.replace(Some(context.waker().clone()));
                Poll::Pending
            }));
            self.driver.take();
        }
        self.driving.store(false, Ordering::Release);
    }

    fn destroy(self) {
        let batches = self.batches.take();
        for place in batches.iter().filter_map(|index| batch(*index)).flatten() {
            let place = lock(place);
            if place.generation % 2 == 1 {
                vacate(place);
            }
        }
        // From here on no wake reaches the executor.
        self.executor.shut_down();
        lock(&POOL).0.extend(batches);
    }
}

// ---- The document's functions ---------------------------------------------------------------------------------------

/// # Safety
/// Null, or made by create and not destroyed.
unsafe fn runtime<'a>(runtime: *mut c_void) -> Option<&'a Runtime> {
    // SAFETY: so it is.
    unsafe { runtime.cast::<Runtime>().as_ref() }
}

#[no_mangle]
extern "C" fn zyntax_runtime_create() -> *mut c_void {
    Runtime::new().map_or(null_mut(), |runtime| Box::into_raw(Box::new(runtime)).cast())
}

#[no_mangle]
unsafe extern "C" fn zyntax_runtime_destroy(pointer: *mut c_void) {
    // SAFETY: the program's promise, here and in the functions below.
    let Some(runtime) = (unsafe { runtime(pointer) }) else { return };
    if runtime.driving.load(Ordering::Acquire) {
        eprintln!("zyntax: zyntax_runtime_destroy while the runtime is driven");
        std::process::abort();
    }
    // SAFETY: made by create.
    unsafe { Box::from_raw(pointer.cast::<Runtime>()) }.destroy();
}

#[no_mangle]
unsafe extern "C" fn zyntax_runtime_spawn(
    pointer: *mut c_void,
    state: *mut c_void,
    poll: Option<PollFn>,
) -> *mut c_void {
    let (Some(runtime), Some(poll)) = (unsafe { runtime(pointer) }, poll) else { return null_mut() };
    runtime.spawn(state, poll).unwrap_or(0) as *mut c_void
}

#[no_mangle]
unsafe extern "C" fn zyntax_runtime_block_on(pointer: *mut c_void, task: *mut c_void) {
    if let Some(runtime) = unsafe { runtime(pointer) } {
        runtime.drive(Some(task as Number));
    }
}

#[no_mangle]
unsafe extern "C" fn zyntax_runtime_run(pointer: *mut c_void) {
    if let Some(runtime) = unsafe { runtime(pointer) } {
        runtime.drive(None);
    }
}
