// SPDX-License-Identifier: Apache-2.0
//! The runtime's C API: as a table for compiled code, and as functions for this program, which drives it.
//!
//! Everything goes through the table of imports, so that another backend (five.rs) or the leak check (ledger.rs) stands
//! in for single functions, and compiled code is the same with each.

use std::ffi::{c_char, c_void, CStr};

use crate::host::Import;

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Waker {
    pub data: *mut c_void,
    pub wake: extern "C" fn(*mut c_void),
}

/// Offsets in a Waker.
pub mod waker {
    use super::Waker;
    use std::mem::offset_of;
    pub const DATA: i32 = offset_of!(Waker, data) as i32;
    pub const WAKE: i32 = offset_of!(Waker, wake) as i32;
}

pub type PollFn = extern "C" fn(*mut c_void, *const Waker) -> i32;
pub type DropFn = extern "C" fn(*mut c_void, i32);

pub const READY: i32 = 0;
pub const PENDING: i32 = 1;
pub const EDEADLK: i32 = -35;
pub const ECANCELED: i32 = -125;

#[repr(C)]
struct Signature {
    name: *const c_char,
    address: *const c_void,
    types: *const c_char,
}

/// zyntax_runtime_config
#[repr(C)]
struct Config {
    size: usize,
    allocator: [*const c_void; 3],
    clock: [*const c_void; 2],
    poll_budget: u32,
    spin_us: u32,
    blocking_threads: u32,
    flags: u32,
    await_budget: u32,
}

const DETECT_STALL: u32 = 1;

extern "C" {
    fn zyntax_runtime_signatures(count: *mut usize) -> *const Signature;
    fn zyntax_runtime_create_with(config: *const Config, error: *mut i32) -> *mut c_void;
    fn zyntax_runtime_turn(runtime: *mut c_void, timeout_ns: i64) -> i32;
    fn zyntax_strerror(code: i64) -> *const c_char;
}

/// Every function of the runtime.
pub fn imports() -> Vec<Import> {
    let mut count = 0;
    // SAFETY: the table is static, has `count` entries, and its strings are static too.
    let (table, text) = unsafe {
        let table = zyntax_runtime_signatures(&mut count);
        (std::slice::from_raw_parts(table, count), |text| {
            CStr::from_ptr::<'static>(text).to_str().expect("the table is in ASCII")
        })
    };
    let import = |row: &Signature| Import { name: text(row.name), address: row.address.cast(), types: text(row.types) };
    table.iter().map(import).collect()
}

/// A runtime, or why there is none. A program whose wait nothing can end gets an error.
pub fn create(poll_budget: u32, await_budget: u32) -> Result<*mut c_void, String> {
    let null = std::ptr::null();
    let (size, mut error) = (std::mem::size_of::<Config>(), 0);
    let (spin_us, blocking_threads) = (0, 0);
    let config = Config {
        size,
        allocator: [null; 3],
        clock: [null; 2],
        poll_budget,
        spin_us,
        blocking_threads,
        flags: DETECT_STALL,
        await_budget,
    };
    // SAFETY: the config has the size that it states, and is copied.
    let runtime = unsafe { zyntax_runtime_create_with(&config, &mut error) };
    if runtime.is_null() {
        return Err(format!("cannot create a runtime: {}", text_of(error)));
    }
    Ok(runtime)
}

pub fn text_of(error: i32) -> &'static str {
    // SAFETY: a static string, for every code.
    unsafe { CStr::from_ptr(zyntax_strerror(error.into())) }.to_str().expect("texts are in ASCII")
}

/// Why a program did not come to its end, and the await point where `main` stands, or 0.
pub struct Stop {
    pub state_id: u32,
    pub message: &'static str,
}

/// The functions that start a program and end it, out of the table.
pub struct Driver {
    pub runtime: *mut c_void,
    alloc: extern "C" fn(*mut c_void, usize) -> *mut c_void,
    spawn: extern "C" fn(*mut c_void, *mut c_void, PollFn, DropFn, usize) -> *mut c_void,
    block_on: extern "C" fn(*mut c_void, *mut c_void) -> i32,
    alive: extern "C" fn(*mut c_void) -> i32,
    destroy: extern "C" fn(*mut c_void),
}

impl Driver {
    /// # Safety
    /// The imports have the addresses of functions with the types of the runtime's header.
    pub unsafe fn new(imports: &[Import], runtime: *mut c_void) -> Driver {
        unsafe fn find<F>(imports: &[Import], name: &str) -> F {
            let import = imports.iter().find(|import| import.name == name).expect("the runtime has the function");
            std::mem::transmute_copy(&import.address)
        }
        Driver {
            runtime,
            alloc: find(imports, "zyntax_state_alloc"),
            spawn: find(imports, "zyntax_runtime_spawn_with"),
            block_on: find(imports, "zyntax_runtime_block_on"),
            alive: find(imports, "zyntax_task_alive"),
            destroy: find(imports, "zyntax_runtime_destroy"),
        }
    }

    /// Runs a task with a zeroed state of that size to its end, or for that many polls. Then it drops everything that
    /// is alive.
    pub fn run(&self, poll: PollFn, drop: DropFn, size: usize, polls: Option<u64>) -> Result<(), Stop> {
        let state = (self.alloc)(self.runtime, size);
        let task = if state.is_null() { state } else { (self.spawn)(self.runtime, state, poll, drop, size) };
        let error = match polls {
            _ if task.is_null() => Err(Stop { state_id: 0, message: "out of memory" }),
            None => match (self.block_on)(self.runtime, task) {
                0 => Ok(()),
                error => {
                    // SAFETY: a task that has not ended has its state, which begins with the id.
                    let state_id = unsafe { *state.cast::<u32>() };
                    let message = match error {
                        EDEADLK => "deadlock: nothing can end the wait of `main`",
                        error => text_of(error),
                    };
                    Err(Stop { state_id, message })
                }
            },
            Some(polls) => {
                // With a budget of one poll a turn is one poll, or a wait for something.
                for _ in 0..polls {
                    if (self.alive)(task) == 1 {
                        // SAFETY: the runtime is alive, and this is the thread that drives it.
                        unsafe { zyntax_runtime_turn(self.runtime, -1) };
                    }
                }
                Ok(())
            }
        };
        (self.destroy)(self.runtime);
        error
    }
}
