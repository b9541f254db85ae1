// SPDX-License-Identifier: Apache-2.0
//! For a host of Zyntax that has this runtime in it (feature `zyntax-host`): what compiled code may call, typed as
//! Zyntax's plugins type it, the names that a language gives to that, and an executor for promises. It depends on none
//! of Zyntax's crates.
//!
//! Register [`symbols`] before the host finalizes its own, each with `register_function_typed(symbol.name,
//! symbol.address, &symbol.signature())`; or hand [`addresses`] to `with_symbols`. Put [`ALIASES`] into
//! `config_mut().builtins`. Then run what compiled entry functions return with an [`Executor`].

use std::collections::HashMap;
use std::ffi::{c_void, CStr};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::{sys, Error};

/// A type as Zyntax's loader reads it: `flags << 24 | id << 8 | category`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TypeTag {
    /// No value.
    Void = 0x00,
    /// 16 bits without a sign.
    U16 = 0x0203,
    /// 32 bits with a sign.
    I32 = 0x0302,
    /// 32 bits without a sign.
    U32 = 0x0303,
    /// 64 bits with a sign.
    I64 = 0x0402,
    /// 64 bits without a sign.
    U64 = 0x0403,
    /// As wide as a pointer, with a sign.
    Isize = 0x0502,
    /// As wide as a pointer, without a sign.
    Usize = 0x0503,
    /// A pointer to anything.
    Pointer = 0x0D,
}

/// `ZrtlSymbolSig`, 72 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Signature {
    /// How many of `params` count.
    pub param_count: u8,
    /// 4: the function has effects.
    pub flags: u8,
    /// A [`TypeTag`].
    pub return_type: u32,
    /// [`TypeTag`]s.
    pub params: [u32; 16],
}

/// A function that compiled code may call.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Its name in the header.
    pub name: &'static str,
    /// Where it is.
    pub address: *const u8,
    /// What it gives.
    pub result: TypeTag,
    /// What it takes.
    pub params: Vec<TypeTag>,
}

impl Symbol {
    /// As a plugin's table has it. Without one, Zyntax takes everything for a number of 64 bits.
    pub fn signature(&self) -> Signature {
        let mut params = [0; 16];
        for (place, tag) in params.iter_mut().zip(&self.params) {
            *place = *tag as u32;
        }
        Signature { param_count: self.params.len() as u8, flags: 4, return_type: self.result as u32, params }
    }
}

/// What the words of a language are called here, in one place: (word, function).
pub const ALIASES: &[(&str, &str)] = &[
    ("sleep_ns", "zyntax_promise_sleep"),
    ("yield", "zyntax_promise_yield"),
    ("io_read", "zyntax_promise_read"),
    ("io_write", "zyntax_promise_write"),
    ("io_ready", "zyntax_promise_ready"),
    ("io_close", "zyntax_io_close"),
    ("tcp_accept", "zyntax_promise_accept"),
    ("tcp_connect", "zyntax_promise_connect"),
    ("channel_send", "zyntax_promise_send"),
    ("channel_recv", "zyntax_promise_recv"),
    ("channel_close", "zyntax_channel_close"),
    ("blocking", "zyntax_promise_blocking"),
    ("timeout_ns", "zyntax_promise_timeout"),
    ("select", "zyntax_promise_select"),
    ("spawn", "zyntax_promise_spawn_child"),
    ("cancel", "zyntax_promise_cancel"),
];

fn tag(letter: u8) -> TypeTag {
    match letter {
        b'h' => TypeTag::U16,
        b'i' => TypeTag::I32,
        b'u' => TypeTag::U32,
        b'l' => TypeTag::I64,
        b'q' => TypeTag::U64,
        b'z' => TypeTag::Usize,
        b'p' => TypeTag::Pointer,
        _ => TypeTag::Void,
    }
}

/// The table has one letter for numbers as wide as a pointer. Those that are results are descriptors, or -1.
fn result_tag(letter: u8) -> TypeTag {
    match letter {
        b'z' => TypeTag::Isize,
        other => tag(other),
    }
}

/// Every function of the runtime, by name.
pub fn symbols() -> Vec<Symbol> {
    let mut count = 0;
    // SAFETY: a static table of so many entries, whose strings are static, too.
    let table = unsafe { std::slice::from_raw_parts(sys::zyntax_runtime_signatures(&mut count), count) };
    let text = |pointer| unsafe { CStr::from_ptr(pointer) }.to_str().unwrap_or_default();
    let symbols = table.iter().map(|entry| {
        let types: &'static [u8] = text(entry.types).as_bytes();
        Symbol {
            name: text(entry.name),
            address: entry.address.cast_const().cast(),
            result: result_tag(types[0]),
            params: types[1..].iter().map(|letter| tag(*letter)).collect(),
        }
    });
    symbols.collect()
}

/// Name and address of every function, and of every alias.
pub fn addresses() -> Vec<(&'static str, *const u8)> {
    let found: HashMap<&str, *const u8> = symbols().into_iter().map(|symbol| (symbol.name, symbol.address)).collect();
    let aliases = ALIASES.iter().filter_map(|(word, function)| Some((*word, *found.get(function)?)));
    symbols().into_iter().map(|symbol| (symbol.name, symbol.address)).chain(aliases).collect()
}

/// What a compiled entry function returns: a pointer to this.
pub type Promise = sys::zyntax_promise;

/// Frees a pair, or a state machine: `zyntax_free`.
pub type Free = unsafe extern "C" fn(*mut c_void);

/// Runs promises. It stays in its thread.
pub struct Executor {
    runtime: NonNull<sys::zyntax_runtime>,
    free: Option<Free>,
    _thread: PhantomData<*mut ()>,
}

/// A promise that was given to an executor, with what frees it.
struct Pair {
    pair: *mut Promise,
    state: *mut c_void,
    free: Option<Free>,
    ended: Option<Box<dyn FnOnce(i64)>>,
    value: i64,
}

impl Executor {
    /// An executor that frees each pair, and its state machine, with that function, once each, when the promise has
    /// ended or the executor goes; None: with nothing.
    ///
    /// # Errors
    /// No memory or no descriptors are left.
    pub fn new(free: Option<Free>) -> Result<Self, Error> {
        // SAFETY: callable from anywhere.
        let runtime = NonNull::new(unsafe { sys::zyntax_runtime_create() }).ok_or(Error::NO_MEMORY)?;
        Ok(Self { runtime, free, _thread: PhantomData })
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
        unsafe { self.begin(pair, Some(Box::new(ended))) }.map(|_| ())
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
        let value = std::rc::Rc::new(std::cell::Cell::new(None));
        let heard = value.clone();
        // SAFETY: the caller's word.
        let task = unsafe { self.begin(pair, Some(Box::new(move |value| heard.set(Some(value))))) }?;
        // SAFETY: the runtime lives, and this is its thread.
        let code = unsafe { sys::zyntax_runtime_block_on(self.runtime.as_ptr(), task) };
        if let Some(value) = value.get() {
            if code == sys::ZYNTAX_ECANCELED {
                // SAFETY: the runtime lives.
                unsafe { sys::zyntax_runtime_stop(self.runtime.as_ptr()) };
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
        // SAFETY: the runtime lives, and this is its thread.
        Error::check(unsafe { sys::zyntax_runtime_run(self.runtime.as_ptr()) }.into()).map(|_| ())
    }

    unsafe fn begin(
        &self,
        pair: *mut Promise,
        ended: Option<Box<dyn FnOnce(i64)>>,
    ) -> Result<*mut sys::zyntax_task, Error> {
        // SAFETY: a promise, or null.
        let Some(promise) = (unsafe { pair.as_ref() }) else {
            return Err(Error::check(sys::ZYNTAX_EINVAL.into()).unwrap_err());
        };
        let owned = Box::into_raw(Box::new(Pair { pair, state: promise.state, free: self.free, ended, value: 0 }));
        let hooks = sys::zyntax_promise_hooks {
            size: size_of::<sys::zyntax_promise_hooks>(),
            enter: None,
            leave: None,
            drop: Some(end),
            ctx: owned.cast(),
            child: None,
        };
        // SAFETY: the value's place is the box's, which lives until the hook has been called.
        let task =
            unsafe { sys::zyntax_promise_spawn_with(self.runtime.as_ptr(), promise, &raw mut (*owned).value, &hooks) };
        if task.is_null() {
            // SAFETY: nothing was changed: the box is still ours, and the pair the caller's.
            drop(unsafe { Box::from_raw(owned) });
            return Err(Error::NO_MEMORY);
        }
        Ok(task)
    }
}

unsafe extern "C" fn end(ctx: *mut c_void, _: i32) {
    // SAFETY: called once, with begin's box.
    let owned = *unsafe { Box::from_raw(ctx.cast::<Pair>()) };
    if let Some(free) = owned.free {
        // SAFETY: the caller of begin said so; nobody polls the promise any more.
        unsafe {
            free(owned.state);
            free(owned.pair.cast());
        }
    }
    if let Some(ended) = owned.ended {
        // A panic must not reach the runtime.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ended(owned.value)));
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { sys::zyntax_runtime_destroy(self.runtime.as_ptr()) }
    }
}
