// SPDX-License-Identifier: Apache-2.0
//! The leak check: stands between compiled code and the runtime, and records every frame outside of another and
//! of every task's drop. A frame that is left after the runtime's end, or freed twice, is a mistake of the compiler.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;

use crate::host::Import;
use crate::runtime::{DropFn, PollFn};

extern "C" {
    fn zyntax_state_alloc(runtime: *mut c_void, size: usize) -> *mut c_void;
    fn zyntax_state_free(runtime: *mut c_void, state: *mut c_void, size: usize);
    fn zyntax_runtime_spawn_with(
        runtime: *mut c_void,
        state: *mut c_void,
        poll: PollFn,
        drop: DropFn,
        owned: usize,
    ) -> *mut c_void;
    fn zyntax_scope_spawn(
        scope: *mut c_void,
        state: *mut c_void,
        poll: PollFn,
        drop: DropFn,
        owned: usize,
    ) -> *mut c_void;
}

#[derive(Default)]
struct Ledger {
    runtime: usize,
    frames: HashMap<usize, usize>,
    tasks: HashMap<usize, DropFn>,
    frames_made: usize,
    tasks_made: usize,
    mistakes: Vec<String>,
}

thread_local! {
    static LEDGER: RefCell<Ledger> = RefCell::default();
}

extern "C" fn alloc(runtime: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: passes on the arguments of compiled code.
    let state = unsafe { zyntax_state_alloc(runtime, size) };
    LEDGER.with_borrow_mut(|ledger| {
        ledger.runtime = runtime as usize;
        ledger.frames_made += 1;
        ledger.frames.insert(state as usize, size);
    });
    state
}

extern "C" fn free(runtime: *mut c_void, state: *mut c_void, size: usize) {
    let known = LEDGER.with_borrow_mut(|ledger| {
        let known = ledger.frames.remove(&(state as usize));
        if known != Some(size) {
            ledger.mistakes.push(format!("a frame of {known:?} bytes was given back as one of {size}"));
        }
        known == Some(size)
    });
    if known {
        // SAFETY: the state is allocated, with this size.
        unsafe { zyntax_state_free(runtime, state, size) };
    }
}

/// The task's state stays this ledger's, so that `end` sees its drop.
extern "C" fn spawn(runtime: *mut c_void, state: *mut c_void, poll: PollFn, drop: DropFn, _: usize) -> *mut c_void {
    note_task(state, drop);
    // SAFETY: passes on the arguments of compiled code, except for the drop function.
    unsafe { zyntax_runtime_spawn_with(runtime, state, poll, end, 0) }
}

/// As `spawn`, in a scope.
extern "C" fn scope_spawn(scope: *mut c_void, state: *mut c_void, poll: PollFn, drop: DropFn, _: usize) -> *mut c_void {
    note_task(state, drop);
    // SAFETY: as in `spawn`.
    unsafe { zyntax_scope_spawn(scope, state, poll, end, 0) }
}

fn note_task(state: *mut c_void, drop: DropFn) {
    LEDGER.with_borrow_mut(|ledger| {
        ledger.tasks_made += 1;
        ledger.tasks.insert(state as usize, drop);
    });
}

extern "C" fn end(state: *mut c_void, outcome: i32) {
    let found = LEDGER.with_borrow_mut(|ledger| {
        let drop = ledger.tasks.remove(&(state as usize));
        if drop.is_none() {
            ledger.mistakes.push("a task was dropped twice".into());
        }
        drop.map(|drop| (drop, ledger.runtime, *ledger.frames.get(&(state as usize)).expect("a task has its frame")))
    });
    if let Some((drop, runtime, size)) = found {
        drop(state, outcome);
        free(runtime as *mut c_void, state, size);
    }
}

/// Puts the ledger's functions in the place of the runtime's.
pub fn stand_in(imports: &mut [Import]) {
    for import in imports {
        import.address = match import.name {
            "zyntax_state_alloc" => alloc as *const u8,
            "zyntax_state_free" => free as *const u8,
            "zyntax_runtime_spawn_with" => spawn as *const u8,
            "zyntax_scope_spawn" => scope_spawn as *const u8,
            _ => import.address,
        };
    }
}

/// After the runtime's end: the number of frames, or the mistake.
pub fn report() -> Result<String, String> {
    LEDGER.with_borrow(|ledger| {
        let mut mistakes = ledger.mistakes.clone();
        if !ledger.frames.is_empty() || !ledger.tasks.is_empty() {
            mistakes.push(format!("{} frames and {} tasks are left", ledger.frames.len(), ledger.tasks.len()));
        }
        if mistakes.is_empty() {
            return Ok(format!("{} frames and {} tasks, none left", ledger.frames_made, ledger.tasks_made));
        }
        Err(mistakes.join("; "))
    })
}
