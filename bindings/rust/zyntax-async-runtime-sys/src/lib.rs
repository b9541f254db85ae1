// SPDX-License-Identifier: Apache-2.0
//! Raw declarations of the Zyntax async runtime's C API, and its sources, which the build script compiles.
//!
//! The header `include/zyntax_async_runtime.h` documents each function and its thread; the names are the same. The
//! tests compare every function, type, constant and struct with that header. The crate is empty on
//! `wasm32-unknown-unknown`, which has no C library. The crate `zyntax-async-runtime` is the safe interface.
#![no_std]
#![allow(non_camel_case_types)]
#![cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]

use core::ffi::{c_char, c_void};

/// The result of a poll function: [`POLL_READY`] or [`POLL_PENDING`]. A number, not a Rust `enum`, as C code may return
/// any value.
pub type PollStatus = i32;
/// The memory of one async call; the library never reads it.
pub type FutureState = *mut c_void;
/// The place of one await point in the caller's state; zero at first.
pub type zyntax_op = u64;
/// The state of a task: one of the `ZYNTAX_WAIT_` constants.
pub type zyntax_wait = i32;

/// Advances a state machine.
pub type PollFn = unsafe extern "C" fn(state: FutureState, waker: *mut Waker) -> PollStatus;
/// Called once when a task has ended.
pub type DropFn = unsafe extern "C" fn(state: FutureState, outcome: i32);
/// An async iterator's next item.
pub type PollNextFn =
    unsafe extern "C" fn(state: FutureState, waker: *mut Waker, item: *mut c_void, result: *mut i64) -> PollStatus;

/// Opaque types; handles are pointers to them that are never dereferenced.
macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[repr(C)]
        pub struct $name {
            _opaque: [u8; 0],
            _not_send: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
        }
    )*};
}
opaque! {
    /// One executor with its poller, timers and memory.
    zyntax_runtime,
    /// A task.
    zyntax_task,
    /// A registered descriptor.
    zyntax_io,
    /// A bounded queue of items.
    zyntax_channel,
    /// A subscription to a signal.
    zyntax_signal,
    /// An open file.
    zyntax_file,
    /// A group of tasks.
    zyntax_scope,
    /// A bounded queue of items between threads.
    zyntax_port,
    /// A child process.
    zyntax_process,
}

/// Constants, and a list of them for the test.
macro_rules! constants {
    ($($name:ident: $type:ty = $value:expr;)*) => {
        $(#[doc = concat!("`", stringify!($name), "` of the header.")] pub const $name: $type = $value;)*
        /// Every constant that the header's enums and macros have.
        #[doc(hidden)]
        pub const CONSTANTS: &[(&str, i64)] = &[$((stringify!($name), $name as i64)),*];
    };
}
constants! {
    ZYNTAX_ASYNC_RUNTIME_VERSION: u32 = 300;
    POLL_READY: PollStatus = 0;
    POLL_PENDING: PollStatus = 1;
    ZYNTAX_OK: i32 = 0;
    ZYNTAX_EPERM: i32 = -1;
    ZYNTAX_ENOENT: i32 = -2;
    ZYNTAX_ESRCH: i32 = -3;
    ZYNTAX_EINTR: i32 = -4;
    ZYNTAX_EIO: i32 = -5;
    ZYNTAX_E2BIG: i32 = -7;
    ZYNTAX_ENOEXEC: i32 = -8;
    ZYNTAX_EBADF: i32 = -9;
    ZYNTAX_ECHILD: i32 = -10;
    ZYNTAX_EAGAIN: i32 = -11;
    ZYNTAX_ENOMEM: i32 = -12;
    ZYNTAX_EACCES: i32 = -13;
    ZYNTAX_EFAULT: i32 = -14;
    ZYNTAX_EBUSY: i32 = -16;
    ZYNTAX_EEXIST: i32 = -17;
    ZYNTAX_ENOTDIR: i32 = -20;
    ZYNTAX_EISDIR: i32 = -21;
    ZYNTAX_EINVAL: i32 = -22;
    ZYNTAX_ENFILE: i32 = -23;
    ZYNTAX_EMFILE: i32 = -24;
    ZYNTAX_EFBIG: i32 = -27;
    ZYNTAX_ENOSPC: i32 = -28;
    ZYNTAX_ESPIPE: i32 = -29;
    ZYNTAX_EROFS: i32 = -30;
    ZYNTAX_EPIPE: i32 = -32;
    ZYNTAX_EDEADLK: i32 = -35;
    ZYNTAX_ENAMETOOLONG: i32 = -36;
    ZYNTAX_ENOSYS: i32 = -38;
    ZYNTAX_ELOOP: i32 = -40;
    ZYNTAX_EPROTO: i32 = -71;
    ZYNTAX_EMSGSIZE: i32 = -90;
    ZYNTAX_EOPNOTSUPP: i32 = -95;
    ZYNTAX_EAFNOSUPPORT: i32 = -97;
    ZYNTAX_EADDRINUSE: i32 = -98;
    ZYNTAX_EADDRNOTAVAIL: i32 = -99;
    ZYNTAX_ENETDOWN: i32 = -100;
    ZYNTAX_ENETUNREACH: i32 = -101;
    ZYNTAX_ECONNABORTED: i32 = -103;
    ZYNTAX_ECONNRESET: i32 = -104;
    ZYNTAX_ENOBUFS: i32 = -105;
    ZYNTAX_ENOTCONN: i32 = -107;
    ZYNTAX_ETIMEDOUT: i32 = -110;
    ZYNTAX_ECONNREFUSED: i32 = -111;
    ZYNTAX_EHOSTUNREACH: i32 = -113;
    ZYNTAX_ESTALE: i32 = -116;
    ZYNTAX_ECANCELED: i32 = -125;
    ZYNTAX_EOF: i32 = -4095;
    ZYNTAX_READABLE: u32 = 1;
    ZYNTAX_WRITABLE: u32 = 2;
    ZYNTAX_LISTEN_SHARED: u32 = 1;
    ZYNTAX_NO_DELAY: i32 = 1;
    ZYNTAX_KEEP_ALIVE: i32 = 2;
    ZYNTAX_LINGER: i32 = 3;
    ZYNTAX_SEND_BUFFER: i32 = 4;
    ZYNTAX_RECEIVE_BUFFER: i32 = 5;
    ZYNTAX_BROADCAST: i32 = 6;
    ZYNTAX_TTL: i32 = 7;
    ZYNTAX_MULTICAST_TTL: i32 = 8;
    ZYNTAX_MULTICAST_LOOP: i32 = 9;
    ZYNTAX_FILE_READ: u32 = 1;
    ZYNTAX_FILE_WRITE: u32 = 2;
    ZYNTAX_FILE_CREATE: u32 = 4;
    ZYNTAX_FILE_NEW: u32 = 8;
    ZYNTAX_FILE_TRUNCATE: u32 = 16;
    ZYNTAX_FILE_APPEND: u32 = 32;
    ZYNTAX_STDIO_INHERIT: isize = -1;
    ZYNTAX_STDIO_NULL: isize = -2;
    ZYNTAX_STDIO_PIPE: isize = -3;
    ZYNTAX_PROCESS_GROUP: u32 = 1;
    ZYNTAX_PROCESS_DETACHED: u32 = 2;
    ZYNTAX_PROCESS_KILL_WITH_RUNTIME: u32 = 4;
    ZYNTAX_DETECT_STALL: u32 = 1;
    ZYNTAX_WAIT_UNKNOWN: zyntax_wait = 0;
    ZYNTAX_WAIT_RUNNING: zyntax_wait = 1;
    ZYNTAX_WAIT_QUEUED: zyntax_wait = 2;
    ZYNTAX_WAIT_TIMER: zyntax_wait = 3;
    ZYNTAX_WAIT_READABLE: zyntax_wait = 4;
    ZYNTAX_WAIT_WRITABLE: zyntax_wait = 5;
    ZYNTAX_WAIT_JOIN: zyntax_wait = 6;
    ZYNTAX_WAIT_BLOCKING: zyntax_wait = 7;
    ZYNTAX_WAIT_CHANNEL: zyntax_wait = 8;
    ZYNTAX_WAIT_SIGNAL: zyntax_wait = 9;
}

/// A type of the C API and its letter in `zyntax_signature`.
#[doc(hidden)]
pub trait Letter {
    const LETTER: u8;
}
macro_rules! letters {
    ($($type:ty => $letter:literal),*) => {$(impl Letter for $type { const LETTER: u8 = $letter; })*};
}
letters!(() => b'v', u16 => b'h', i32 => b'i', u32 => b'u', i64 => b'l', u64 => b'q', usize => b'z', isize => b'z');
/// A member only, with a letter of this file's own.
impl Letter for [u8; 16] {
    const LETTER: u8 = b'b';
}
/// As the letter of 16 bytes.
impl Letter for [isize; 3] {
    const LETTER: u8 = b's';
}
impl<T> Letter for *mut T {
    const LETTER: u8 = b'p';
}
impl<T> Letter for *const T {
    const LETTER: u8 = b'p';
}
macro_rules! function_letters {
    ($($function:ty),*) => {$(impl Letter for Option<$function> { const LETTER: u8 = b'p'; })*};
}
function_letters!(
    PollFn,
    DropFn,
    unsafe extern "C" fn(*mut c_void) -> i64,
    unsafe extern "C" fn(*mut c_void),
    unsafe extern "C" fn(*mut c_void) -> u64,
    unsafe extern "C" fn(*mut c_void, *const zyntax_promise) -> *mut c_void,
    unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void,
    unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize),
    unsafe extern "C" fn(*mut c_void, *const zyntax_task_info),
    unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> i32
);

/// A member of a struct: its name, its type's letter and its offset.
#[doc(hidden)]
pub type Member = (&'static str, u8, usize);

/// Structs as C has them, and a list of them for the test.
macro_rules! structs {
    ($($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[repr(C)]
            #[derive(Clone, Copy)]
            pub struct $name {
                $($(#[$member_doc])* pub $member: $type,)*
            }
        )*
        /// Every struct: its name, size and members.
        #[doc(hidden)]
        pub const STRUCTS: &[(&str, usize, &[Member])] = &[$((
            stringify!($name),
            core::mem::size_of::<$name>(),
            &[$((stringify!($member), <$type as Letter>::LETTER, core::mem::offset_of!($name, $member))),*],
        )),*];
    };
}
structs! {
    /// Wakes one task: `wake(data)`, from any thread, for ever.
    Waker {
        data: *mut c_void,
        wake: Option<unsafe extern "C" fn(*mut c_void)>,
    }
    /// The configuration of a runtime. Zero-initialise it, set `size`, then other members.
    zyntax_runtime_config {
        size: usize,
        alloc: Option<unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void>,
        free: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize)>,
        alloc_ctx: *mut c_void,
        clock_ns: Option<unsafe extern "C" fn(*mut c_void) -> u64>,
        clock_ctx: *mut c_void,
        poll_budget: u32,
        spin_us: u32,
        blocking_threads: u32,
        flags: u32,
        await_budget: u32,
    }
    /// The return type of Zyntax's compiled async functions: 0 = pending, > 0 = value, < 0 = failure.
    zyntax_promise {
        state: *mut c_void,
        poll: Option<unsafe extern "C" fn(*mut c_void) -> i64>,
    }
    /// A host's hooks around a promise's polls.
    zyntax_promise_hooks {
        size: usize,
        enter: Option<unsafe extern "C" fn(*mut c_void)>,
        leave: Option<unsafe extern "C" fn(*mut c_void)>,
        drop: Option<unsafe extern "C" fn(*mut c_void, i32)>,
        ctx: *mut c_void,
        child: Option<unsafe extern "C" fn(*mut c_void, *const zyntax_promise) -> *mut c_void>,
    }
    /// Counters since creation, and gauges of the present state.
    zyntax_runtime_stats {
        size: usize,
        tasks_alive: u64,
        tasks_spawned: u64,
        polls: u64,
        wakes: u64,
        wakes_remote: u64,
        kernel_waits: u64,
        kernel_events: u64,
        events_stale: u64,
        timers_pending: u64,
        timers_fired: u64,
        io_open: u64,
        blocking_pending: u64,
        bytes_reserved: u64,
        bytes_in_use: u64,
    }
    /// One live task, as `zyntax_runtime_dump` shows it.
    zyntax_task_info {
        size: usize,
        task: *mut zyntax_task,
        state: FutureState,
        poll: Option<PollFn>,
        polls: u64,
        waits: zyntax_wait,
        polls_again: u64,
        name: *const c_char,
    }
    /// A function's name and address.
    zyntax_symbol {
        name: *const c_char,
        address: *mut c_void,
    }
    /// A function's name, address and types.
    zyntax_signature {
        name: *const c_char,
        address: *mut c_void,
        types: *const c_char,
    }
    /// An IPv4 or IPv6 address with a port.
    zyntax_address {
        family: u16,
        port: u16,
        scope: u32,
        ip: [u8; 16],
    }
    /// A part of a scattered buffer.
    zyntax_slice {
        data: *mut c_void,
        len: usize,
    }
    /// The description of a child process. Zero-initialise it, set `size`, then other members.
    zyntax_process_options {
        size: usize,
        file: *const c_char,
        args: *const *const c_char,
        env: *const *const c_char,
        directory: *const c_char,
        stdio: [isize; 3],
        flags: u32,
    }
}

/// A declared function: its name, its address and the letters of its types.
#[doc(hidden)]
pub type Function = (&'static str, *const (), &'static [u8]);

/// The functions, and a list of them for the test.
macro_rules! functions {
    (@result) => { () };
    (@result $result:ty) => { $result };
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        extern "C" {
            $(
                #[doc = concat!("`", stringify!($name), "` of the header.")]
                pub fn $name($($argument: $type),*) $(-> $result)?;
            )*
        }
        /// Calls `visit` for every declared function. Links the whole library in.
        #[doc(hidden)]
        pub fn visit_functions(visit: &mut dyn FnMut(Function)) {
            $(visit((
                stringify!($name),
                $name as *const (),
                &[<functions!(@result $($result)?) as Letter>::LETTER $(, <$type as Letter>::LETTER)*],
            ));)*
        }
    };
}
functions! {
    fn zyntax_runtime_create() -> *mut zyntax_runtime;
    fn zyntax_runtime_destroy(runtime: *mut zyntax_runtime);
    fn zyntax_runtime_spawn(
        runtime: *mut zyntax_runtime,
        state: FutureState,
        poll: Option<PollFn>,
    ) -> *mut zyntax_task;
    fn zyntax_runtime_block_on(runtime: *mut zyntax_runtime, task: *mut zyntax_task) -> i32;
    fn zyntax_runtime_run(runtime: *mut zyntax_runtime) -> i32;
    fn zyntax_error_name(code: i64) -> *const c_char;
    fn zyntax_strerror(code: i64) -> *const c_char;
    fn zyntax_runtime_spawn_with(
        runtime: *mut zyntax_runtime,
        state: FutureState,
        poll: Option<PollFn>,
        drop: Option<DropFn>,
        owned: usize,
    ) -> *mut zyntax_task;
    fn zyntax_task_cancel(task: *mut zyntax_task) -> i32;
    fn zyntax_task_interrupt(task: *mut zyntax_task) -> i32;
    fn zyntax_task_interrupted() -> i32;
    fn zyntax_task_alive(task: *mut zyntax_task) -> i32;
    fn zyntax_task_join(
        task: *mut zyntax_task,
        op: *mut zyntax_op,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_state_alloc(runtime: *mut zyntax_runtime, size: usize) -> *mut c_void;
    fn zyntax_state_free(runtime: *mut zyntax_runtime, state: *mut c_void, size: usize);
    fn zyntax_op_cancel(op: *mut zyntax_op);
    fn zyntax_join_all(
        tasks: *const *mut zyntax_task,
        n: usize,
        op: *mut zyntax_op,
        waker: *mut Waker,
    ) -> PollStatus;
    fn zyntax_select(
        tasks: *const *mut zyntax_task,
        n: usize,
        op: *mut zyntax_op,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_join_until(
        task: *mut zyntax_task,
        op: *mut zyntax_op,
        deadline_ns: u64,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_now_ns(runtime: *mut zyntax_runtime) -> u64;
    fn zyntax_sleep(
        runtime: *mut zyntax_runtime,
        op: *mut zyntax_op,
        duration_ns: u64,
        waker: *mut Waker,
    ) -> PollStatus;
    fn zyntax_sleep_until(
        runtime: *mut zyntax_runtime,
        op: *mut zyntax_op,
        deadline_ns: u64,
        waker: *mut Waker,
    ) -> PollStatus;
    fn zyntax_io_open(runtime: *mut zyntax_runtime, fd: isize, out: *mut *mut zyntax_io) -> i32;
    fn zyntax_io_close(io: *mut zyntax_io) -> i32;
    fn zyntax_io_detach(io: *mut zyntax_io, fd: *mut isize) -> i32;
    fn zyntax_io_fd(io: *mut zyntax_io) -> isize;
    fn zyntax_io_ready(
        io: *mut zyntax_io,
        op: *mut zyntax_op,
        interest: u32,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_io_read(
        io: *mut zyntax_io,
        op: *mut zyntax_op,
        buf: *mut c_void,
        len: usize,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_io_write(
        io: *mut zyntax_io,
        op: *mut zyntax_op,
        buf: *const c_void,
        len: usize,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_tcp_listen(
        runtime: *mut zyntax_runtime,
        address: *const c_char,
        port: u16,
        out: *mut *mut zyntax_io,
    ) -> i32;
    fn zyntax_tcp_listen_with(
        runtime: *mut zyntax_runtime,
        address: *const c_char,
        port: u16,
        flags: u32,
        out: *mut *mut zyntax_io,
    ) -> i32;
    fn zyntax_tcp_port(io: *mut zyntax_io) -> i32;
    fn zyntax_tcp_accept(
        listener: *mut zyntax_io,
        op: *mut zyntax_op,
        waker: *mut Waker,
        out: *mut *mut zyntax_io,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_tcp_connect(
        runtime: *mut zyntax_runtime,
        op: *mut zyntax_op,
        host: *const c_char,
        port: u16,
        waker: *mut Waker,
        out: *mut *mut zyntax_io,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_tcp_shutdown(io: *mut zyntax_io) -> i32;
    fn zyntax_blocking(
        runtime: *mut zyntax_runtime,
        op: *mut zyntax_op,
        func: Option<unsafe extern "C" fn(*mut c_void) -> i64>,
        arg: *mut c_void,
        arg_size: usize,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_blocking_with(
        runtime: *mut zyntax_runtime,
        op: *mut zyntax_op,
        func: Option<unsafe extern "C" fn(*mut c_void) -> i64>,
        drop: Option<unsafe extern "C" fn(*mut c_void)>,
        arg: *mut c_void,
        arg_size: usize,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_channel_create(
        runtime: *mut zyntax_runtime,
        capacity: usize,
        item_size: usize,
        out: *mut *mut zyntax_channel,
    ) -> i32;
    fn zyntax_channel_send(
        channel: *mut zyntax_channel,
        op: *mut zyntax_op,
        item: *const c_void,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_channel_recv(
        channel: *mut zyntax_channel,
        op: *mut zyntax_op,
        item: *mut c_void,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_channel_close(channel: *mut zyntax_channel) -> i32;
    fn zyntax_channel_destroy(channel: *mut zyntax_channel) -> i32;
    fn zyntax_runtime_create_with(config: *const zyntax_runtime_config, error: *mut i32) -> *mut zyntax_runtime;
    fn zyntax_runtime_turn(runtime: *mut zyntax_runtime, timeout_ns: i64) -> i32;
    fn zyntax_runtime_stop(runtime: *mut zyntax_runtime);
    fn zyntax_runtime_post(
        runtime: *mut zyntax_runtime,
        func: Option<unsafe extern "C" fn(*mut c_void)>,
        arg: *mut c_void,
    ) -> i32;
    fn zyntax_runtime_hold(runtime: *mut zyntax_runtime);
    fn zyntax_runtime_release(runtime: *mut zyntax_runtime);
    fn zyntax_runtime_backend_fd(runtime: *mut zyntax_runtime) -> isize;
    fn zyntax_runtime_next_timeout_ns(runtime: *mut zyntax_runtime) -> i64;
    fn zyntax_current_runtime() -> *mut zyntax_runtime;
    fn zyntax_current_waker(out: *mut Waker) -> i32;
    fn zyntax_wake_from_signal(waker: *const Waker);
    fn zyntax_promise_spawn(
        runtime: *mut zyntax_runtime,
        promise: *const zyntax_promise,
        result: *mut i64,
    ) -> *mut zyntax_task;
    fn zyntax_promise_block_on(runtime: *mut zyntax_runtime, promise: *const zyntax_promise) -> i64;
    fn zyntax_promise_spawn_with(
        runtime: *mut zyntax_runtime,
        promise: *const zyntax_promise,
        result: *mut i64,
        hooks: *const zyntax_promise_hooks,
    ) -> *mut zyntax_task;
    fn zyntax_promise_sleep(duration_ns: u64) -> *mut zyntax_promise;
    fn zyntax_promise_yield() -> *mut zyntax_promise;
    fn zyntax_promise_read(io: *mut zyntax_io, buf: *mut c_void, len: usize) -> *mut zyntax_promise;
    fn zyntax_promise_write(io: *mut zyntax_io, buf: *const c_void, len: usize) -> *mut zyntax_promise;
    fn zyntax_promise_ready(io: *mut zyntax_io, interest: u32) -> *mut zyntax_promise;
    fn zyntax_promise_accept(listener: *mut zyntax_io) -> *mut zyntax_promise;
    fn zyntax_promise_connect(host: *const c_char, port: u16) -> *mut zyntax_promise;
    fn zyntax_promise_send(channel: *mut zyntax_channel, item: *const c_void) -> *mut zyntax_promise;
    fn zyntax_promise_recv(channel: *mut zyntax_channel, item: *mut c_void) -> *mut zyntax_promise;
    fn zyntax_promise_blocking(
        func: Option<unsafe extern "C" fn(*mut c_void) -> i64>,
        arg: *mut c_void,
        arg_size: usize,
    ) -> *mut zyntax_promise;
    fn zyntax_promise_timeout(promise: *mut zyntax_promise, duration_ns: u64) -> *mut zyntax_promise;
    fn zyntax_promise_select(promises: *const *mut zyntax_promise, n: usize) -> *mut zyntax_promise;
    fn zyntax_promise_spawn_child(promise: *const zyntax_promise) -> *mut zyntax_promise;
    fn zyntax_promise_cancel(promise: *mut zyntax_promise) -> i32;
    fn zyntax_process_spawn(
        runtime: *mut zyntax_runtime,
        options: *const zyntax_process_options,
        pipes: *mut *mut zyntax_io,
        out: *mut *mut zyntax_process,
    ) -> i32;
    fn zyntax_process_watch(runtime: *mut zyntax_runtime, pid: i64, out: *mut *mut zyntax_process) -> i32;
    fn zyntax_process_wait(
        process: *mut zyntax_process,
        op: *mut zyntax_op,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_process_signal(process: *mut zyntax_process, number: i32) -> i32;
    fn zyntax_process_id(process: *mut zyntax_process) -> i64;
    fn zyntax_process_close(process: *mut zyntax_process) -> i32;
    fn zyntax_promise_process_wait(process: *mut zyntax_process) -> *mut zyntax_promise;
    fn zyntax_runtime_get_stats(runtime: *mut zyntax_runtime, stats: *mut zyntax_runtime_stats) -> i32;
    fn zyntax_runtime_dump(
        runtime: *mut zyntax_runtime,
        visit: Option<unsafe extern "C" fn(*mut c_void, *const zyntax_task_info)>,
        user: *mut c_void,
    ) -> i32;
    fn zyntax_runtime_backend() -> *const c_char;
    fn zyntax_runtime_version() -> u32;
    fn zyntax_runtime_symbols(count: *mut usize) -> *const zyntax_symbol;
    fn zyntax_runtime_signatures(count: *mut usize) -> *const zyntax_signature;
    fn zyntax_signal_open(runtime: *mut zyntax_runtime, number: i32, out: *mut *mut zyntax_signal) -> i32;
    fn zyntax_signal_wait(
        signal: *mut zyntax_signal,
        op: *mut zyntax_op,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_signal_close(signal: *mut zyntax_signal) -> i32;
    fn zyntax_promise_signal_wait(signal: *mut zyntax_signal) -> *mut zyntax_promise;
    fn zyntax_address_parse(text: *const c_char, out: *mut zyntax_address) -> i32;
    fn zyntax_address_format(address: *const zyntax_address, buf: *mut c_char, len: usize) -> i32;
    fn zyntax_io_local(io: *mut zyntax_io, out: *mut zyntax_address) -> i32;
    fn zyntax_io_peer(io: *mut zyntax_io, out: *mut zyntax_address) -> i32;
    fn zyntax_io_set(io: *mut zyntax_io, option: i32, value: i64) -> i32;
    fn zyntax_file_open(
        runtime: *mut zyntax_runtime,
        op: *mut zyntax_op,
        path: *const c_char,
        flags: u32,
        waker: *mut Waker,
        out: *mut *mut zyntax_file,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_file_open(path: *const c_char, flags: u32) -> *mut zyntax_promise;
    fn zyntax_file_from(runtime: *mut zyntax_runtime, fd: isize, out: *mut *mut zyntax_file) -> i32;
    fn zyntax_file_read(
        file: *mut zyntax_file,
        op: *mut zyntax_op,
        buf: *mut c_void,
        len: usize,
        offset: u64,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_file_read(
        file: *mut zyntax_file,
        buf: *mut c_void,
        len: usize,
        offset: u64,
    ) -> *mut zyntax_promise;
    fn zyntax_file_write(
        file: *mut zyntax_file,
        op: *mut zyntax_op,
        buf: *const c_void,
        len: usize,
        offset: u64,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_file_write(
        file: *mut zyntax_file,
        buf: *const c_void,
        len: usize,
        offset: u64,
    ) -> *mut zyntax_promise;
    fn zyntax_file_sync(
        file: *mut zyntax_file,
        op: *mut zyntax_op,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_file_sync(file: *mut zyntax_file) -> *mut zyntax_promise;
    fn zyntax_file_size(
        file: *mut zyntax_file,
        op: *mut zyntax_op,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_file_size(file: *mut zyntax_file) -> *mut zyntax_promise;
    fn zyntax_file_close(file: *mut zyntax_file) -> i32;
    fn zyntax_file_detach(file: *mut zyntax_file, fd: *mut isize) -> i32;
    fn zyntax_channel_try_send(channel: *mut zyntax_channel, item: *const c_void) -> i32;
    fn zyntax_channel_try_recv(channel: *mut zyntax_channel, item: *mut c_void) -> i32;
    fn zyntax_udp_open(
        runtime: *mut zyntax_runtime,
        local: *const zyntax_address,
        flags: u32,
        out: *mut *mut zyntax_io,
    ) -> i32;
    fn zyntax_udp_connect(io: *mut zyntax_io, peer: *const zyntax_address) -> i32;
    fn zyntax_udp_send(
        io: *mut zyntax_io,
        op: *mut zyntax_op,
        buf: *const c_void,
        len: usize,
        to: *const zyntax_address,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_udp_send(
        io: *mut zyntax_io,
        buf: *const c_void,
        len: usize,
        to: *const zyntax_address,
    ) -> *mut zyntax_promise;
    fn zyntax_udp_recv(
        io: *mut zyntax_io,
        op: *mut zyntax_op,
        buf: *mut c_void,
        len: usize,
        from: *mut zyntax_address,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_udp_recv(
        io: *mut zyntax_io,
        buf: *mut c_void,
        len: usize,
        from: *mut zyntax_address,
    ) -> *mut zyntax_promise;
    fn zyntax_udp_member(io: *mut zyntax_io, group: *const zyntax_address, interface_index: u32, join: i32) -> i32;
    fn zyntax_unix_listen(
        runtime: *mut zyntax_runtime,
        path: *const c_char,
        len: usize,
        out: *mut *mut zyntax_io,
    ) -> i32;
    fn zyntax_unix_connect(
        runtime: *mut zyntax_runtime,
        op: *mut zyntax_op,
        path: *const c_char,
        len: usize,
        waker: *mut Waker,
        out: *mut *mut zyntax_io,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_unix_connect(path: *const c_char, len: usize) -> *mut zyntax_promise;
    fn zyntax_unix_pair(runtime: *mut zyntax_runtime, one: *mut *mut zyntax_io, other: *mut *mut zyntax_io) -> i32;
    fn zyntax_unix_send_fd(
        io: *mut zyntax_io,
        op: *mut zyntax_op,
        fd: isize,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_unix_send_fd(io: *mut zyntax_io, fd: isize) -> *mut zyntax_promise;
    fn zyntax_unix_recv_fd(
        io: *mut zyntax_io,
        op: *mut zyntax_op,
        fd: *mut isize,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_unix_recv_fd(io: *mut zyntax_io) -> *mut zyntax_promise;
    fn zyntax_scope_create(runtime: *mut zyntax_runtime, out: *mut *mut zyntax_scope) -> i32;
    fn zyntax_scope_spawn(
        scope: *mut zyntax_scope,
        state: FutureState,
        poll: Option<PollFn>,
        drop: Option<DropFn>,
        owned: usize,
    ) -> *mut zyntax_task;
    fn zyntax_scope_next(
        scope: *mut zyntax_scope,
        op: *mut zyntax_op,
        waker: *mut Waker,
        ended: *mut *mut zyntax_task,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_scope_join(
        scope: *mut zyntax_scope,
        op: *mut zyntax_op,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_scope_cancel(scope: *mut zyntax_scope) -> i32;
    fn zyntax_scope_destroy(scope: *mut zyntax_scope) -> i32;
    fn zyntax_promise_scope_next(scope: *mut zyntax_scope) -> *mut zyntax_promise;
    fn zyntax_promise_scope_join(scope: *mut zyntax_scope) -> *mut zyntax_promise;
    fn zyntax_task_local() -> *mut c_void;
    fn zyntax_task_set_local(word: *mut c_void);
    fn zyntax_task_name(task: *mut zyntax_task, name: *const c_char) -> i32;
    fn zyntax_port_create(capacity: usize, item_size: usize, out: *mut *mut zyntax_port) -> i32;
    fn zyntax_port_send(
        port: *mut zyntax_port,
        op: *mut zyntax_op,
        item: *const c_void,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_port_recv(
        port: *mut zyntax_port,
        op: *mut zyntax_op,
        item: *mut c_void,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_port_try_send(port: *mut zyntax_port, item: *const c_void) -> i32;
    fn zyntax_port_try_recv(port: *mut zyntax_port, item: *mut c_void) -> i32;
    fn zyntax_port_close(port: *mut zyntax_port) -> i32;
    fn zyntax_port_destroy(port: *mut zyntax_port) -> i32;
    fn zyntax_promise_port_send(port: *mut zyntax_port, item: *const c_void) -> *mut zyntax_promise;
    fn zyntax_promise_port_recv(port: *mut zyntax_port, item: *mut c_void) -> *mut zyntax_promise;
    fn zyntax_runtime_trace(
        runtime: *mut zyntax_runtime,
        write: Option<unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> i32>,
        ctx: *mut c_void,
    ) -> i32;
    fn zyntax_io_deadline(io: *mut zyntax_io, directions: u32, deadline_ns: u64) -> i32;
    fn zyntax_io_readv(
        io: *mut zyntax_io,
        op: *mut zyntax_op,
        slices: *const zyntax_slice,
        n: usize,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_io_writev(
        io: *mut zyntax_io,
        op: *mut zyntax_op,
        slices: *const zyntax_slice,
        n: usize,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_io_write_all(
        io: *mut zyntax_io,
        op: *mut zyntax_op,
        buf: *const c_void,
        len: usize,
        done: *mut usize,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_readv(io: *mut zyntax_io, slices: *const zyntax_slice, n: usize) -> *mut zyntax_promise;
    fn zyntax_promise_writev(io: *mut zyntax_io, slices: *const zyntax_slice, n: usize) -> *mut zyntax_promise;
    fn zyntax_promise_write_all(
        io: *mut zyntax_io,
        buf: *const c_void,
        len: usize,
        done: *mut usize,
    ) -> *mut zyntax_promise;
    fn zyntax_resolve(
        runtime: *mut zyntax_runtime,
        op: *mut zyntax_op,
        host: *const c_char,
        out: *mut zyntax_address,
        room: usize,
        waker: *mut Waker,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_resolve(host: *const c_char, out: *mut zyntax_address, room: usize) -> *mut zyntax_promise;
    fn zyntax_tcp_connect_to(
        runtime: *mut zyntax_runtime,
        op: *mut zyntax_op,
        addresses: *const zyntax_address,
        n: usize,
        deadline_ns: u64,
        waker: *mut Waker,
        out: *mut *mut zyntax_io,
        result: *mut i64,
    ) -> PollStatus;
    fn zyntax_promise_connect_to(
        addresses: *const zyntax_address,
        n: usize,
        deadline_ns: u64,
    ) -> *mut zyntax_promise;
}
