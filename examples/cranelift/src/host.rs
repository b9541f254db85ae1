// SPDX-License-Identifier: Apache-2.0
//! The functions of the compiler's own process for compiled code: printing, the table of tasks, closures, and the end
//! of a failed program.
//!
//! A value is 64 bits without a type, so no pointer here can come from a program: tasks and closures are numbers with a
//! mark in the upper bits, and looked up. Both belong to the program, until it ends: 24 bytes for each task whose value
//! can be asked for, and an object for each closure that was made.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::io::Write;
use std::mem::offset_of;

use crate::layout::ARGS;

/// A function that compiled code can call; `types` as in zyntax_runtime_signatures.
#[derive(Clone, Copy)]
pub struct Import {
    pub name: &'static str,
    pub address: *const u8,
    pub types: &'static str,
}

/// The symbol "program" of compiled code.
#[repr(C)]
pub struct Program {
    pub runtime: Cell<*mut c_void>,
    /// Below this the stack has no room for another call.
    pub stack_limit: Cell<usize>,
    file: String,
    /// In blocks that never move.
    tasks: RefCell<Vec<Vec<TaskCell>>>,
    /// For each closure the address of its Kind and the captured values.
    closures: RefCell<Vec<Vec<i64>>>,
}

/// The rest of a task that has ended.
#[repr(C)]
pub struct TaskCell {
    task: *mut c_void,
    value: i64,
    number: i64,
}

/// Offsets in a Program.
pub mod program {
    use super::{offset_of, Program};
    pub const RUNTIME: i32 = offset_of!(Program, runtime) as i32;
    pub const STACK_LIMIT: i32 = offset_of!(Program, stack_limit) as i32;
}

/// Offsets in a TaskCell.
pub mod cell {
    use super::{offset_of, TaskCell};
    pub const TASK: i32 = offset_of!(TaskCell, task) as i32;
    pub const VALUE: i32 = offset_of!(TaskCell, value) as i32;
    pub const NUMBER: i32 = offset_of!(TaskCell, number) as i32;
}

/// codegen.rs makes one for each async function: its triple of C functions, and further data for calls of closures.
#[repr(C)]
pub struct Kind {
    poll: *const c_void,
    drop: *const c_void,
    end: *const c_void,
    size: usize,
    params: usize,
    captures: usize,
}

/// Offsets in a Kind.
pub mod kind {
    use super::{offset_of, Kind};
    pub const POLL: i32 = offset_of!(Kind, poll) as i32;
    pub const DROP: i32 = offset_of!(Kind, drop) as i32;
    pub const END: i32 = offset_of!(Kind, end) as i32;
    pub const SIZE: i32 = offset_of!(Kind, size) as i32;
    pub const PARAMS: i32 = offset_of!(Kind, params) as i32;
    pub const CAPTURES: i32 = offset_of!(Kind, captures) as i32;
}

const TASK_MARK: i64 = 0x7a74 << 48;
const CLOSURE_MARK: i64 = 0x7a63 << 48;
const BLOCK: usize = 1024;

/// Why a program ends early.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Failure {
    Division,
    Overflow,
    Memory,
    Stack,
    Port,
    Itself,
    Blocking,
}

const FAILURES: [&str; 7] = [
    "division by zero",
    "overflow: the quotient does not fit in 64 bits",
    "out of memory",
    "out of stack: calls are nested too deeply",
    "expected a port from 0 to 65535",
    "a task cannot wait for itself",
    "cannot start a thread for blocking work",
];

impl Program {
    pub fn new(file: &str) -> Program {
        Program {
            runtime: Cell::new(std::ptr::null_mut()),
            stack_limit: Cell::new(0),
            file: file.into(),
            tasks: RefCell::default(),
            closures: RefCell::default(),
        }
    }

    /// Reports the mistake and its line, and ends the process: live tasks are not dropped.
    fn fail(&self, line: u32, message: &str) -> ! {
        say(&format!("{}:{line}: {message}", self.file));
        std::process::exit(1)
    }

    /// How many tasks have cells.
    pub fn tasks(&self) -> usize {
        self.tasks.borrow().iter().map(Vec::len).sum()
    }
}

/// A line on standard error. A failure is ignored.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

extern "C" fn fail(program: &Program, failure: u32, line: u32) {
    program.fail(line, FAILURES[failure as usize])
}

extern "C" fn print(_: &Program, value: i64) {
    if writeln!(std::io::stdout(), "{value}").is_err() {
        std::process::exit(1); // nobody reads on
    }
}

/// A cell for a task that is about to be spawned, or null.
extern "C" fn task_new(program: &Program) -> *const TaskCell {
    let mut blocks = program.tasks.borrow_mut();
    if blocks.last().is_none_or(|block| block.len() == BLOCK) {
        let mut block = Vec::new();
        if block.try_reserve_exact(BLOCK).is_err() || blocks.try_reserve(1).is_err() {
            return std::ptr::null();
        }
        blocks.push(block);
    }
    let last = blocks.len() - 1;
    let block = &mut blocks[last];
    let number = TASK_MARK | (last * BLOCK + block.len()) as i64;
    block.push(TaskCell { task: std::ptr::null_mut(), value: 0, number });
    &block[block.len() - 1]
}

extern "C" fn task_find(program: &Program, value: i64, line: u32) -> *const TaskCell {
    let index = (value ^ TASK_MARK) as usize;
    match program.tasks.borrow().get(index / BLOCK).and_then(|block| block.get(index % BLOCK)) {
        Some(cell) => cell,
        None => program.fail(line, &format!("expected a task, found {value}")),
    }
}

/// A closure with copies of the captured values, or 0.
extern "C" fn closure_new(program: &Program, kind: &'static Kind, captures: *const i64) -> i64 {
    let mut closures = program.closures.borrow_mut();
    let mut words = Vec::new();
    if words.try_reserve_exact(1 + kind.captures).is_err() || closures.try_reserve(1).is_err() {
        return 0;
    }
    words.push(std::ptr::from_ref(kind) as i64);
    // SAFETY: compiled code has put as many values there as the closure's kind says.
    words.extend_from_slice(unsafe { std::slice::from_raw_parts(captures, kind.captures) });
    closures.push(words);
    CLOSURE_MARK | (closures.len() - 1) as i64
}

/// The closure's words.
extern "C" fn closure_find(program: &Program, value: i64, args: usize, line: u32) -> *const i64 {
    let closures = program.closures.borrow();
    let Some(words) = closures.get((value ^ CLOSURE_MARK) as usize) else {
        program.fail(line, &format!("expected a closure to call, found {value}"))
    };
    let Kind { params, .. } = kind_of(words[0]);
    if *params != args {
        let s = if *params == 1 { "" } else { "s" };
        program.fail(line, &format!("expected {params} argument{s} for the closure, found {args}"));
    }
    words.as_ptr()
}

fn kind_of(word: i64) -> &'static Kind {
    // SAFETY: a closure's first word is the address of its kind, data of the compiled module, which outlives it.
    unsafe { &*(word as *const Kind) }
}

/// Copies the captures into a new frame, behind the arguments.
extern "C" fn closure_fill(words: *const i64, frame: *mut i64) {
    // SAFETY: the words are a closure's, and the frame is a new one of it, with room for arguments and captures.
    unsafe {
        let kind = kind_of(*words);
        frame.add(ARGS as usize / 8 + kind.params).copy_from_nonoverlapping(words.add(1), kind.captures);
    }
}

/// Runs in a thread of the blocking pool, on a copy of the two numbers, which is copied back.
extern "C" fn slow_add(numbers: &mut [i64; 2]) -> i64 {
    std::thread::sleep(std::time::Duration::from_millis(2));
    numbers[0] = numbers[0].wrapping_add(numbers[1]);
    0
}

pub fn imports() -> Vec<Import> {
    let import = |name, address, types| Import { name, address, types };
    vec![
        import("zy_fail", fail as *const u8, "vpuu"),
        import("zy_print", print as *const u8, "vpl"),
        import("zy_task_new", task_new as *const u8, "pp"),
        import("zy_task_find", task_find as *const u8, "pplu"),
        import("zy_closure_new", closure_new as *const u8, "lppp"),
        import("zy_closure_find", closure_find as *const u8, "pplqu"),
        import("zy_closure_fill", closure_fill as *const u8, "vpp"),
        import("zy_slow_add", slow_add as *const u8, "lp"),
    ]
}
