// SPDX-License-Identifier: Apache-2.0
//! The functions for compiled code: for each C function one of the same name that takes and returns 64-bit numbers.

use std::collections::HashMap;
use std::ffi::c_void;

use super::strings;
use crate::sys;

/// A type as Zyntax's loader reads it: `flags << 24 | id << 8 | category`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TypeTag {
    /// Signed 64 bits: numbers, pointers, promises, handles.
    I64 = 0x0402,
    /// A string of Zyntax.
    String = 0x05,
}

/// `ZrtlSymbolSig`, 72 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Signature {
    /// The number of valid entries in `params`.
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
    /// Its name: the name of the C function, or a name that begins with `zyntax_host_`.
    pub name: &'static str,
    /// Its address.
    pub address: *const u8,
    /// The type of its result.
    pub result: TypeTag,
    /// The types of its parameters.
    pub params: Vec<TypeTag>,
}

impl Symbol {
    /// The signature for a plugin's table.
    pub fn signature(&self) -> Signature {
        let mut params = [0; 16];
        for (place, tag) in params.iter_mut().zip(&self.params) {
            *place = *tag as u32;
        }
        Signature { param_count: self.params.len() as u8, flags: 4, return_type: self.result as u32, params }
    }
}

/// The aliases of functions for a language: (alias, function).
pub const ALIASES: &[(&str, &str)] = &[
    ("sleep_ns", "zyntax_promise_sleep"),
    ("yield", "zyntax_promise_yield"),
    ("io_read", "zyntax_promise_read"),
    ("io_write", "zyntax_promise_write"),
    ("io_ready", "zyntax_promise_ready"),
    ("io_close", "zyntax_io_close"),
    ("tcp_listen", "zyntax_host_tcp_listen"),
    ("tcp_port", "zyntax_tcp_port"),
    ("tcp_accept", "zyntax_promise_accept"),
    ("tcp_connect", "zyntax_host_tcp_connect"),
    ("look_up", "zyntax_host_look_up"),
    ("look_up_text", "zyntax_host_look_up_text"),
    ("channel_send", "zyntax_promise_send"),
    ("channel_recv", "zyntax_promise_recv"),
    ("channel_close", "zyntax_channel_close"),
    ("blocking", "zyntax_promise_blocking"),
    ("timeout_ns", "zyntax_promise_timeout"),
    ("select", "zyntax_promise_select"),
    ("spawn", "zyntax_promise_spawn_child"),
    ("cancel", "zyntax_promise_cancel"),
];

/// A C parameter, converted from compiled code's number. None: it does not fit.
trait Argument: Sized {
    fn from_word(word: i64) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Argument for $number {
            fn from_word(word: i64) -> Option<Self> {
                word.try_into().ok()
            }
        }
    )*};
}
numbers!(u16, i32, u32, i64, usize, isize);

impl Argument for u64 {
    fn from_word(word: i64) -> Option<Self> {
        Some(word.max(0) as u64)
    }
}

impl<T> Argument for *mut T {
    fn from_word(word: i64) -> Option<Self> {
        Some(word as usize as *mut T)
    }
}

impl<T> Argument for *const T {
    fn from_word(word: i64) -> Option<Self> {
        Some(word as usize as *const T)
    }
}

macro_rules! functions {
    ($($function:ty),*) => {$(
        impl Argument for Option<$function> {
            fn from_word(word: i64) -> Option<Self> {
                // SAFETY: both are as wide as a pointer, and 0 is None. That it points to such a function is the word
                // of whoever wrote the program, as in C.
                Some(unsafe { std::mem::transmute::<usize, Self>(word as usize) })
            }
        }
    )*};
}
functions!(
    sys::PollFn,
    sys::DropFn,
    unsafe extern "C" fn(*mut c_void) -> i64,
    unsafe extern "C" fn(*mut c_void),
    unsafe extern "C" fn(*mut c_void, *const sys::zyntax_task_info),
    unsafe extern "C" fn(*mut c_void, *const std::ffi::c_char, usize) -> i32
);

/// A C result, converted for compiled code.
trait Outcome: Sized {
    fn into_word(self) -> i64;

    /// The result of a call with an argument that does not fit.
    fn refused() -> i64 {
        sys::ZYNTAX_EINVAL.into()
    }
}

impl Outcome for () {
    fn into_word(self) -> i64 {
        0
    }
}

macro_rules! results {
    ($($number:ty),*) => {$(
        impl Outcome for $number {
            fn into_word(self) -> i64 {
                self as i64
            }
        }
    )*};
}
results!(i32, u32, i64, u64, isize);

impl<T> Outcome for *const T {
    fn into_word(self) -> i64 {
        self as usize as i64
    }
    fn refused() -> i64 {
        0
    }
}

macro_rules! pointers {
    ($($type:ty),*) => {$(
        impl Outcome for *mut $type {
            fn into_word(self) -> i64 {
                self as usize as i64
            }
            fn refused() -> i64 {
                0
            }
        }
    )*};
}
pointers!(c_void, sys::zyntax_runtime, sys::zyntax_task);

/// A promise that fails, because compiled code does not check the returned pointer.
pub(super) fn failing() -> *mut sys::zyntax_promise {
    struct Shared(sys::zyntax_promise);
    // SAFETY: it is never written to, and its poll touches nothing.
    unsafe impl Sync for Shared {}
    unsafe extern "C" fn fail(_: *mut c_void) -> i64 {
        sys::ZYNTAX_EINVAL.into()
    }
    static FAILING: Shared = Shared(sys::zyntax_promise { state: std::ptr::null_mut(), poll: Some(fail) });
    (&raw const FAILING.0).cast_mut()
}

impl Outcome for *mut sys::zyntax_promise {
    fn into_word(self) -> i64 {
        self as usize as i64
    }
    fn refused() -> i64 {
        failing().into_word()
    }
}

/// The value for a refused argument, by the function's result type; the function is not called.
fn refused<R: Outcome>(_: impl FnOnce() -> Option<R>) -> i64 {
    R::refused()
}

/// An argument of a C function. In brackets: -1 is the largest number, which means "never" or "the current position";
/// it is 0 otherwise, as no duration is negative.
macro_rules! argument {
    ([$arg:ident]) => {
        $arg as u64
    };
    ($arg:ident) => {
        Argument::from_word($arg)?
    };
}
macro_rules! parameter {
    ([$arg:ident]) => {
        $arg
    };
    ($arg:ident) => {
        $arg
    };
}

/// A C function with 64-bit parameters and result.
macro_rules! word {
    ($name:ident ($($arg:tt)*)) => {{
        unsafe extern "C" fn $name($(parameter!($arg): i64),*) -> i64 {
            // SAFETY: the arguments are those of a program, which calls C with them.
            let call = || Some(unsafe { sys::$name($(argument!($arg)),*) });
            match call() {
                Some(result) => result.into_word(),
                None => refused(call),
            }
        }
        Symbol {
            name: stringify!($name),
            address: $name as *const u8,
            result: TypeTag::I64,
            params: vec![$(number!($arg)),*],
        }
    }};
}
macro_rules! number {
    ($arg:tt) => {
        TypeTag::I64
    };
}
macro_rules! words {
    ($($args:tt $($name:ident)*;)*) => {
        vec![$($(word!($name $args)),*),*]
    };
}

/// Every function of the runtime, and this module's functions with strings.
pub fn symbols() -> Vec<Symbol> {
    let mut symbols = words! {
        () zyntax_current_runtime zyntax_promise_yield zyntax_runtime_backend zyntax_runtime_create
            zyntax_runtime_version zyntax_task_interrupted zyntax_task_local;
        (a) zyntax_channel_close zyntax_channel_destroy zyntax_current_waker zyntax_error_name zyntax_file_close
            zyntax_io_close zyntax_io_fd zyntax_now_ns zyntax_op_cancel zyntax_port_close zyntax_port_destroy
            zyntax_process_close zyntax_process_id zyntax_promise_accept zyntax_promise_cancel zyntax_promise_file_size
            zyntax_promise_file_sync zyntax_promise_process_wait zyntax_promise_scope_join zyntax_promise_scope_next
            zyntax_promise_signal_wait zyntax_promise_sleep zyntax_promise_spawn_child zyntax_promise_unix_recv_fd
            zyntax_runtime_backend_fd zyntax_runtime_destroy zyntax_runtime_hold zyntax_runtime_next_timeout_ns
            zyntax_runtime_release zyntax_runtime_run zyntax_runtime_signatures zyntax_runtime_stop
            zyntax_runtime_symbols zyntax_scope_cancel zyntax_scope_destroy zyntax_signal_close zyntax_strerror
            zyntax_task_alive zyntax_task_cancel zyntax_task_interrupt zyntax_task_set_local zyntax_tcp_port
            zyntax_tcp_shutdown zyntax_wake_from_signal;
        (a b) zyntax_address_parse zyntax_channel_try_recv zyntax_channel_try_send zyntax_file_detach zyntax_io_detach
            zyntax_io_local zyntax_io_peer zyntax_port_try_recv zyntax_port_try_send zyntax_process_signal
            zyntax_promise_block_on zyntax_promise_connect zyntax_promise_file_open zyntax_promise_port_recv
            zyntax_promise_port_send zyntax_promise_ready zyntax_promise_recv zyntax_promise_select zyntax_promise_send
            zyntax_promise_timeout zyntax_promise_unix_connect zyntax_promise_unix_send_fd zyntax_runtime_block_on
            zyntax_runtime_create_with zyntax_runtime_get_stats zyntax_runtime_turn zyntax_scope_create
            zyntax_state_alloc zyntax_task_name zyntax_udp_connect;
        (a b [c]) zyntax_io_deadline zyntax_promise_connect_to;
        (a b c) zyntax_address_format zyntax_file_from zyntax_io_open zyntax_io_set zyntax_port_create
            zyntax_process_watch zyntax_promise_blocking zyntax_promise_read zyntax_promise_readv zyntax_promise_resolve
            zyntax_promise_spawn zyntax_promise_write zyntax_promise_writev zyntax_runtime_dump zyntax_runtime_post
            zyntax_runtime_spawn zyntax_runtime_trace zyntax_signal_open zyntax_state_free zyntax_unix_pair;
        (a b c [d]) zyntax_promise_file_read zyntax_promise_file_write;
        (a b c d) zyntax_channel_create zyntax_file_size zyntax_file_sync zyntax_join_all zyntax_process_spawn
            zyntax_process_wait zyntax_promise_spawn_with zyntax_promise_udp_recv zyntax_promise_udp_send
            zyntax_promise_write_all zyntax_scope_join zyntax_signal_wait zyntax_sleep zyntax_sleep_until
            zyntax_task_join zyntax_tcp_listen zyntax_udp_member zyntax_udp_open zyntax_unix_listen;
        (a b c d e) zyntax_channel_recv zyntax_channel_send zyntax_io_ready zyntax_join_until zyntax_port_recv
            zyntax_port_send zyntax_runtime_spawn_with zyntax_scope_next zyntax_scope_spawn zyntax_select
            zyntax_tcp_accept zyntax_tcp_listen_with zyntax_unix_recv_fd zyntax_unix_send_fd;
        (a b c d e f) zyntax_io_read zyntax_io_readv zyntax_io_write zyntax_io_writev;
        (a b c d [e] f g) zyntax_file_read zyntax_file_write;
        (a b c d e f g) zyntax_blocking zyntax_file_open zyntax_io_write_all zyntax_resolve zyntax_tcp_connect
            zyntax_udp_recv zyntax_udp_send zyntax_unix_connect;
        (a b c d [e] f g h) zyntax_tcp_connect_to;
        (a b c d e f g h) zyntax_blocking_with;
    };
    symbols.extend(strings::symbols());
    symbols
}

/// Name and address of every function and every alias.
pub fn addresses() -> Vec<(&'static str, *const u8)> {
    let found: HashMap<&str, *const u8> = symbols().into_iter().map(|symbol| (symbol.name, symbol.address)).collect();
    let aliases = ALIASES.iter().filter_map(|(word, function)| Some((*word, *found.get(function)?)));
    symbols().into_iter().map(|symbol| (symbol.name, symbol.address)).chain(aliases).collect()
}
