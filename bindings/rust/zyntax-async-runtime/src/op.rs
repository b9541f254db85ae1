// SPDX-License-Identifier: Apache-2.0
//! Conversion between Rust's wakers and the library's: a task's waker as a `std::task::Waker`, and an await point's op
//! word that is cancelled when it is dropped.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::{self, ManuallyDrop};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::sys;

/// The function that wakes a task of the library, taken from the first waker.
static WAKE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// A task's waker is its first word: a number that needs no count and no release.
static TASK_WAKER: RawWakerVTable =
    RawWakerVTable::new(|data| RawWaker::new(data, &TASK_WAKER), wake_task, wake_task, |_| ());

fn wake_task(data: *const ()) {
    let wake = WAKE.load(Ordering::Relaxed);
    // SAFETY: every waker with this vtable comes from `task_waker`, which stored the function before. A library's waker
    // may be woken for ever, in any thread.
    unsafe { mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(wake)(data.cast_mut().cast()) }
}

/// The waker of the task that is being polled, for a `Context`. It allocates and counts nothing.
///
/// # Safety
/// `waker` is the argument of a poll function that the library called.
pub(crate) unsafe fn task_waker(waker: *const sys::Waker) -> ManuallyDrop<Waker> {
    // SAFETY: the library passes a valid waker, borrowed for the call.
    let waker = unsafe { &*waker };
    let wake = waker.wake.map_or(ptr::null_mut(), |wake| wake as *mut c_void);
    if WAKE.load(Ordering::Relaxed) != wake {
        WAKE.store(wake, Ordering::Relaxed);
    }
    // SAFETY: the vtable's functions take any number and any thread.
    ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(waker.data.cast(), &TASK_WAKER)) })
}

/// The target of a library call with a foreign waker. The loop calls it once for each pending call, and never after the
/// op was cancelled.
struct Host {
    waker: Cell<Option<Waker>>,
}

unsafe extern "C" fn wake_host(data: *mut c_void) {
    // SAFETY: the `OpSlot` of this pointer cancels its op before it frees the memory; a leaked slot frees nothing. The
    // waker is taken out first, as waking may drop the slot.
    let waker = unsafe { &*data.cast::<Host>() }.waker.take();
    if let Some(waker) = waker {
        crate::task::quietly(|| waker.wake());
    }
}

unsafe extern "C" fn wake_nobody(_: *mut c_void) {}

static NOBODY: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &NOBODY), |_| (), |_| (), |_| ());

/// A waker for the poll of a future that is ready.
pub(crate) fn no_waker() -> Waker {
    // SAFETY: the vtable's functions do nothing.
    unsafe { Waker::from_raw(RawWaker::new(ptr::null(), &NOBODY)) }
}

/// Calls an await point once, without waiting.
pub(crate) fn call_once(await_point: impl FnOnce(*mut sys::zyntax_op, *mut sys::Waker) -> sys::PollStatus) -> Poll<()> {
    let mut slot = OpSlot::new();
    let mut nobody = sys::Waker { data: ptr::null_mut(), wake: Some(wake_nobody) };
    match await_point(&mut slot.op, &mut nobody) {
        sys::POLL_PENDING => Poll::Pending,
        _ => Poll::Ready(()),
    }
}

/// One await point's op word; dropping it cancels the operation. Never leaves its thread.
pub(crate) struct OpSlot {
    op: sys::zyntax_op,
    host: Option<NonNull<Host>>,
}

impl OpSlot {
    pub(crate) const fn new() -> OpSlot {
        OpSlot { op: 0, host: None }
    }

    /// Calls an await point with the op word and the context's waker in the library's form. A foreign waker costs one
    /// allocation the first time, and none afterwards.
    pub(crate) fn call(
        &mut self,
        cx: &mut Context<'_>,
        await_point: impl FnOnce(*mut sys::zyntax_op, *mut sys::Waker) -> sys::PollStatus,
    ) -> Poll<()> {
        let waker = cx.waker();
        let mut words = if ptr::eq(waker.vtable(), &TASK_WAKER) {
            let wake = WAKE.load(Ordering::Relaxed);
            // SAFETY: as in `wake_task`.
            let wake = unsafe { mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(wake) };
            sys::Waker { data: waker.data().cast_mut().cast(), wake: Some(wake) }
        } else {
            self.host_waker(waker)
        };
        match await_point(&mut self.op, &mut words) {
            sys::POLL_PENDING => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    /// Whether an operation is pending.
    pub(crate) fn is_waiting(&self) -> bool {
        self.op != 0
    }

    fn host_waker(&mut self, waker: &Waker) -> sys::Waker {
        let host =
            *self.host.get_or_insert_with(|| NonNull::from(Box::leak(Box::new(Host { waker: Cell::new(None) }))));
        // SAFETY: it lives until this slot is dropped, and only this thread uses it.
        let place = unsafe { &host.as_ref().waker };
        let kept = place.take().filter(|old| old.will_wake(waker));
        place.set(Some(kept.unwrap_or_else(|| waker.clone())));
        sys::Waker { data: host.as_ptr().cast(), wake: Some(wake_host) }
    }
}

impl Default for OpSlot {
    fn default() -> OpSlot {
        OpSlot::new()
    }
}

impl Drop for OpSlot {
    fn drop(&mut self) {
        if self.op != 0 {
            // SAFETY: the owner of a slot is not `Send`, so this thread made the op.
            unsafe { sys::zyntax_op_cancel(&mut self.op) };
        }
        if let Some(host) = self.host {
            // SAFETY: it came from a box, and no op can call it any more.
            drop(unsafe { Box::from_raw(host.as_ptr()) });
        }
    }
}
