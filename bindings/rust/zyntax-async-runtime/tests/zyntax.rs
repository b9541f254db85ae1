// SPDX-License-Identifier: Apache-2.0
//! Promises as Zyntax's compiler makes them, on the executor for its hosts: values, failures, ends, hooks, tasks in
//! steps, and that each pair and each state machine is freed once. And the functions for compiled code.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::{c_void, CStr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use zyntax_async_runtime::zyntax::{
    addresses, set_strings, symbols, Executor, Promise, Signature, Step, Steps, Strings, Task, TypeTag, ALIASES,
};
use zyntax_async_runtime::{sys, Error, Runtime};

thread_local! {
    static ALLOCATED: RefCell<HashSet<usize>> = RefCell::default();
    static FREED_TWICE: Cell<bool> = const { Cell::new(false) };
}

extern "C" {
    fn calloc(count: usize, size: usize) -> *mut c_void;
    #[link_name = "free"]
    fn release(memory: *mut c_void);
}

fn allocate(size: usize) -> *mut c_void {
    let memory = unsafe { calloc(1, size) };
    ALLOCATED.with_borrow_mut(|all| all.insert(memory as usize));
    memory
}

unsafe extern "C" fn free(memory: *mut c_void) {
    if ALLOCATED.with_borrow_mut(|all| all.remove(&(memory as usize))) {
        release(memory);
    } else {
        FREED_TWICE.set(true);
    }
}

fn nothing_is_left() -> bool {
    ALLOCATED.with_borrow(HashSet::is_empty) && !FREED_TWICE.get()
}

/// async fn naps(n, value) { while n > 0 { sleep(1 ms).await; n = n - 1; } return value; } in slots of eight bytes:
/// state id, n, value, the promise that is awaited.
unsafe extern "C" fn poll(state: *mut c_void) -> i64 {
    let slots = &mut *state.cast::<[i64; 4]>();
    if slots[1] == 0 {
        return slots[2];
    }
    if slots[3] == 0 {
        slots[3] = sys::zyntax_promise_sleep(1_000_000) as i64;
    }
    let awaited = &*(slots[3] as *const Promise);
    let value = awaited.poll.map_or(-1, |poll| poll(awaited.state));
    if value != 0 {
        slots[1] -= value;
        slots[3] = 0;
    }
    0
}

fn naps(n: i64, value: i64) -> *mut Promise {
    let state = allocate(32).cast::<[i64; 4]>();
    unsafe { *state = [0, n, value, 0] };
    let pair = allocate(size_of::<Promise>()).cast::<Promise>();
    unsafe { pair.write(Promise { state: state.cast(), poll: Some(poll) }) };
    pair
}

#[test]
fn promises_give_values_and_are_freed_once() {
    let executor = Executor::new(Some(free)).unwrap();
    let heard = Rc::new(RefCell::new(Vec::new()));
    for value in [5i64, -7] {
        let heard = heard.clone();
        unsafe { executor.spawn(naps(value.abs(), value), move |value| heard.borrow_mut().push(value)) }.unwrap();
    }
    assert_eq!(unsafe { executor.block_on(naps(2, 42)) }, Ok(42));
    assert_eq!(unsafe { executor.block_on(naps(0, -3)) }, Ok(-3));
    executor.run().unwrap();
    assert_eq!(*heard.borrow(), [5, -7]);
    assert!(nothing_is_left());
}

#[test]
fn what_lives_when_the_executor_goes_is_cancelled_and_freed() {
    let executor = Executor::new(Some(free)).unwrap();
    let heard = Rc::new(Cell::new(0));
    let hears = heard.clone();
    unsafe { executor.spawn(naps(i64::MAX, 1), move |value| hears.set(value)) }.unwrap();
    assert_eq!(unsafe { executor.block_on(naps(3, 1)) }, Ok(1));
    drop(executor);
    assert_eq!(heard.get(), i64::from(sys::ZYNTAX_ECANCELED));
    assert!(nothing_is_left());
}

#[test]
fn a_stop_in_the_last_poll_keeps_the_value_and_stops_what_is_driven_next() {
    unsafe extern "C" fn stops(_: *mut c_void) -> i64 {
        sys::zyntax_runtime_stop(sys::zyntax_current_runtime());
        7
    }
    let executor = Executor::new(None).unwrap();
    let mut promise = Promise { state: std::ptr::null_mut(), poll: Some(stops) };
    assert_eq!(unsafe { executor.block_on(&mut promise) }, Ok(7));
    assert_eq!(executor.run(), Err(Error::CANCELED));
    assert_eq!(executor.run(), Ok(()));
}

#[test]
fn a_null_is_an_error() {
    let executor = Executor::new(None).unwrap();
    assert!(unsafe { executor.spawn(std::ptr::null_mut(), |_| ()) }.is_err());
    assert!(unsafe { executor.block_on(std::ptr::null_mut()) }.is_err());
}

/// Calls a poll function of the library, as compiled code does: 0 while it waits.
unsafe fn poll_of(promise: i64) -> i64 {
    let promise = &*(promise as *const Promise);
    promise.poll.unwrap()(promise.state)
}

struct Closure {
    promise: Promise,
    poll: Box<dyn FnMut() -> i64>,
}

thread_local! {
    /// Freed when the test's thread ends.
    #[allow(clippy::vec_box)] // they do not move
    static CLOSURES: RefCell<Vec<Box<Closure>>> = const { RefCell::new(Vec::new()) };
}

/// A promise that calls a closure at each poll.
fn promise_of(poll: impl FnMut() -> i64 + 'static) -> *mut Promise {
    unsafe extern "C" fn call(state: *mut c_void) -> i64 {
        ((*state.cast::<Closure>()).poll)()
    }
    let promise = Promise { state: std::ptr::null_mut(), poll: Some(call) };
    CLOSURES.with_borrow_mut(|closures| {
        closures.push(Box::new(Closure { promise, poll: Box::new(poll) }));
        let closure: *mut Closure = &mut **closures.last_mut().unwrap();
        unsafe {
            (*closure).promise.state = closure.cast();
            &raw mut (*closure).promise
        }
    })
}

/// A promise that awaits the promise of `make` once, and has its value.
fn awaiting(mut make: impl FnMut() -> i64 + 'static) -> *mut Promise {
    let mut awaited = 0;
    promise_of(move || unsafe {
        if awaited == 0 {
            awaited = make();
        }
        poll_of(awaited)
    })
}

#[test]
fn free_functions_find_the_executor_whose_promise_is_polled() {
    fn polls_until_the_task_ran() -> i64 {
        let executor = Executor::new(None).unwrap();
        let ran = Rc::new(Cell::new(false));
        let (mut polls, runs) = (0, ran.clone());
        let promise = promise_of(move || {
            if polls == 0 {
                let runs = runs.clone();
                drop(zyntax_async_runtime::spawn(async move { runs.set(true) }));
            }
            polls += 1;
            if ran.get() {
                polls
            } else if polls > 10_000 {
                -1
            } else {
                0
            }
        });
        unsafe { executor.block_on(promise) }.unwrap()
    }
    let alone = polls_until_the_task_ran();
    assert!(alone > 0);
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.enter(polls_until_the_task_ran), alone);
    assert_eq!(runtime.block_on(async { polls_until_the_task_ran() }), Ok(alone));
    // Driven through the C API, with another runtime entered.
    let executor = Executor::new(None).unwrap();
    let ran = Rc::new(Cell::new(false));
    let runs = ran.clone();
    let promise = promise_of(move || {
        let runs = runs.clone();
        drop(zyntax_async_runtime::spawn(async move { runs.set(true) }));
        1
    });
    unsafe { executor.spawn(promise, |_| ()) }.unwrap();
    assert_eq!(runtime.enter(|| unsafe { sys::zyntax_runtime_run(executor.as_raw()) }), 0);
    assert!(ran.get(), "the task is another runtime's");
}

#[test]
fn hooks_surround_each_poll_and_children_have_them_too() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (enters, leaves) = (seen.clone(), seen.clone());
    let executor = Executor::new(Some(free)).unwrap().with_hooks(
        move |task| enters.borrow_mut().push((true, task)),
        move |task| leaves.borrow_mut().push((false, task)),
    );
    /// spawn_child(naps(1, 5)).await, in slots: the child.
    unsafe extern "C" fn spawn_and_await(state: *mut c_void) -> i64 {
        let child = &mut *state.cast::<i64>();
        if *child == 0 {
            *child = sys::zyntax_promise_spawn_child(naps(1, 5)) as i64;
        }
        poll_of(*child)
    }
    let state = allocate(8);
    let pair = allocate(size_of::<Promise>()).cast::<Promise>();
    unsafe { pair.write(Promise { state, poll: Some(spawn_and_await) }) };
    assert_eq!(unsafe { executor.block_on(pair) }, Ok(5));
    let seen = seen.borrow();
    let (parent, child) = (Task { id: 1, parent: 0 }, Task { id: 2, parent: 1 });
    assert_eq!(seen[..2], [(true, parent), (false, parent)]);
    assert!(seen.chunks(2).all(|poll| poll[0] == (true, poll[1].1) && !poll[1].0), "{seen:?}");
    assert!(seen.iter().all(|(_, task)| [parent, child].contains(task)), "{seen:?}");
    assert!(seen.contains(&(true, child)));
    assert!(nothing_is_left());
}

#[test]
fn children_are_freed_with_the_executor() {
    let executor = Executor::new(Some(free)).unwrap();
    unsafe extern "C" fn spawn(state: *mut c_void) -> i64 {
        *state.cast::<i64>() += 1;
        let _ = sys::zyntax_promise_spawn_child(naps(i64::MAX, 1));
        i64::from(*state.cast::<i64>() == 3)
    }
    let pair = allocate(size_of::<Promise>()).cast::<Promise>();
    unsafe { pair.write(Promise { state: allocate(8), poll: Some(spawn) }) };
    assert_eq!(unsafe { executor.block_on(pair) }, Ok(1));
    drop(executor);
    assert!(nothing_is_left());
}

#[test]
fn a_child_that_is_a_promise_of_the_library_is_refused_and_not_freed() {
    let executor = Executor::new(Some(free)).unwrap();
    unsafe extern "C" fn spawn(state: *mut c_void) -> i64 {
        let child = &mut *state.cast::<i64>();
        if *child == 0 {
            *child = sys::zyntax_promise_spawn_child(sys::zyntax_promise_sleep(1)) as i64;
        }
        poll_of(*child)
    }
    let pair = allocate(size_of::<Promise>()).cast::<Promise>();
    unsafe { pair.write(Promise { state: allocate(8), poll: Some(spawn) }) };
    assert_eq!(unsafe { executor.block_on(pair) }, Ok(sys::ZYNTAX_EINVAL.into()));
    drop(executor);
    assert!(nothing_is_left());
}

// ---- tasks in steps ----

/// A `HostTask` that does as it is told.
struct Told<F: FnMut() -> Step> {
    step: F,
    parked: Rc<RefCell<Vec<Waker>>>,
    value: Rc<Cell<Option<Result<i64, Error>>>>,
    dropped: Rc<Cell<u32>>,
}

impl<F: FnMut() -> Step> Steps for Told<F> {
    fn step(&mut self) -> Step {
        (self.step)()
    }
    fn park(&mut self, waker: Waker) {
        self.parked.borrow_mut().push(waker);
    }
    fn ended(&mut self, value: Result<i64, Error>) {
        assert_eq!(self.value.replace(Some(value)), None, "it ends once");
    }
}

impl<F: FnMut() -> Step> Drop for Told<F> {
    fn drop(&mut self) {
        self.dropped.set(self.dropped.get() + 1);
    }
}

type Heard = (Rc<RefCell<Vec<Waker>>>, Rc<Cell<Option<Result<i64, Error>>>>, Rc<Cell<u32>>);

fn spawn_told(executor: &Executor, step: impl FnMut() -> Step + 'static) -> Heard {
    let (parked, value, dropped): Heard = Default::default();
    let told = Told { step, parked: parked.clone(), value: value.clone(), dropped: dropped.clone() };
    executor.spawn_steps(told).unwrap();
    (parked, value, dropped)
}

#[test]
fn a_task_in_steps_sleeps_parks_and_has_any_value() {
    let executor = Executor::new(None).unwrap();
    let (mut steps, begin) = (0, Instant::now());
    let (first, second) = (begin + Duration::from_millis(15), begin + Duration::from_millis(30));
    let (_, value, dropped) = spawn_told(&executor, move || {
        steps += 1;
        match Instant::now() {
            _ if steps < 5 => Step::Yield,
            now if now < first => Step::Timer(first),
            now if now < second => Step::Timer(second),
            _ => {
                assert!(steps < 20, "it spins");
                Step::Ready(0)
            }
        }
    });
    executor.run().unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(30));
    assert_eq!((value.get(), dropped.get()), (Some(Ok(0)), 1));
}

#[test]
fn a_timer_that_comes_earlier_replaces_the_old_one() {
    let executor = Executor::new(None).unwrap();
    let begin = Instant::now();
    let soon = begin + Duration::from_millis(10);
    let mut steps = 0;
    let (parked, value, _) = spawn_told(&executor, move || {
        steps += 1;
        match steps {
            1 => Step::Parked,
            2 => Step::Timer(begin + Duration::from_secs(1000)),
            _ if Instant::now() < soon => Step::Timer(soon),
            _ => Step::Ready(-7),
        }
    });
    executor.runtime().turn(Some(Duration::ZERO)).unwrap();
    let waker = parked.borrow()[0].clone();
    for _ in 0..2 {
        waker.wake_by_ref();
        executor.runtime().turn(Some(Duration::ZERO)).unwrap();
    }
    executor.run().unwrap();
    assert_eq!(value.get(), Some(Ok(-7)));
    assert!(begin.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_parked_task_is_stepped_after_a_wake_from_any_thread_and_not_before() {
    let executor = Executor::new(None).unwrap();
    let steps = Rc::new(Cell::new(0));
    let (resolved, counts) = (Arc::new(AtomicBool::new(false)), steps.clone());
    let is_resolved = resolved.clone();
    let (parked, value, _) = spawn_told(&executor, move || {
        counts.set(counts.get() + 1);
        if is_resolved.load(Ordering::Acquire) {
            Step::Ready(9)
        } else {
            Step::Parked
        }
    });
    for _ in 0..10 {
        executor.runtime().turn(Some(Duration::ZERO)).unwrap();
    }
    assert_eq!((steps.get(), parked.borrow().len()), (1, 1));
    let waker = parked.borrow_mut().pop().unwrap();
    let other = std::thread::spawn(move || {
        resolved.store(true, Ordering::Release);
        waker.wake();
    });
    executor.run().unwrap();
    other.join().unwrap();
    assert_eq!((steps.get(), value.get()), (2, Some(Ok(9))));
}

#[test]
fn a_step_may_await_promises_of_the_library() {
    let executor = Executor::new(None).unwrap();
    let (mut steps, mut sleep) = (0, 0);
    let (_, value, _) = spawn_told(&executor, move || unsafe {
        steps += 1;
        if sleep == 0 {
            sleep = sys::zyntax_promise_sleep(20_000_000) as i64;
        }
        match poll_of(sleep) {
            0 => Step::Yield,
            value => Step::Ready(value + steps),
        }
    });
    executor.run().unwrap();
    assert_eq!(value.get(), Some(Ok(1 + 2)), "one step, and one when the sleep was over");
}

#[test]
fn a_task_in_steps_that_lives_when_the_executor_goes_is_canceled_and_dropped() {
    let executor = Executor::new(None).unwrap();
    let until = Instant::now() + Duration::from_secs(1000);
    let (_, sleeping, dropped) = spawn_told(&executor, move || Step::Timer(until));
    let (parked, waiting, dropped_too) = spawn_told(&executor, || Step::Parked);
    executor.runtime().turn(Some(Duration::ZERO)).unwrap();
    drop(executor);
    assert_eq!((sleeping.get(), waiting.get()), (Some(Err(Error::CANCELED)), Some(Err(Error::CANCELED))));
    assert_eq!((dropped.get(), dropped_too.get()), (1, 1));
    parked.borrow()[0].wake_by_ref(); // late
}

// ---- the functions for compiled code ----

/// A function of the table, called as compiled code calls it.
fn call(name: &str, arguments: [i64; 3]) -> i64 {
    let table = symbols();
    let symbol = table.iter().find(|symbol| symbol.name == name).expect("the function");
    // More arguments than a function has are ignored, as they are in registers.
    let function: unsafe extern "C" fn(i64, i64, i64) -> i64 = unsafe { std::mem::transmute(symbol.address) };
    unsafe { function(arguments[0], arguments[1], arguments[2]) }
}

#[test]
fn the_table_has_every_function_with_types_that_zyntax_keeps() {
    assert_eq!(size_of::<Signature>(), 72);
    let table = symbols();
    let mut count = 0;
    let functions = unsafe { std::slice::from_raw_parts(sys::zyntax_runtime_signatures(&mut count), count) };
    for function in functions {
        let (name, types) = unsafe { (CStr::from_ptr(function.name), CStr::from_ptr(function.types)) };
        let symbol = table.iter().find(|symbol| symbol.name == name.to_str().unwrap());
        let symbol = symbol.unwrap_or_else(|| panic!("src/zyntax/symbols.rs has no {name:?}"));
        assert_eq!(symbol.params.len() + 1, types.to_bytes().len(), "{name:?}");
        assert!(symbol.params.iter().all(|tag| *tag == TypeTag::I64), "{name:?}");
    }
    assert_eq!(table.iter().filter(|symbol| !symbol.name.starts_with("zyntax_host_")).count(), count);
    for symbol in &table {
        assert!(!symbol.address.is_null() && symbol.params.len() <= 8, "{}", symbol.name);
        let signature = symbol.signature();
        assert_eq!(usize::from(signature.param_count), symbol.params.len());
        assert!([0x0402, 0x05].contains(&signature.return_type));
    }
    let all = addresses();
    assert_eq!(all.len(), table.len() + ALIASES.len(), "an alias names no function");
    let names: HashSet<&str> = all.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn results_keep_their_sign_and_arguments_that_do_not_fit_are_refused() {
    let runtime = Runtime::new().unwrap();
    let raw = runtime.as_raw() as i64;
    let invalid = i64::from(sys::ZYNTAX_EINVAL);
    assert_eq!(call("zyntax_io_close", [0; 3]), sys::ZYNTAX_ESTALE.into());
    assert_eq!(call("zyntax_io_fd", [0; 3]), -1);
    assert_eq!(call("zyntax_task_alive", [0; 3]), 0);
    assert_eq!(call("zyntax_runtime_version", [0; 3]), i64::from(unsafe { sys::zyntax_runtime_version() }));
    assert_eq!(call("zyntax_runtime_run", [raw, 0, 0]), 0);
    assert_eq!(call("zyntax_state_alloc", [raw, -1, 0]), 0);
    for (name, arguments) in [
        ("zyntax_tcp_listen", [raw, 0, 65_536]),
        ("zyntax_tcp_listen", [raw, 0, -1]),
        ("zyntax_channel_create", [raw, -1, 8]),
    ] {
        assert_eq!(call(name, arguments), invalid, "{name}");
    }
    let text = c"127.0.0.1".as_ptr() as i64;
    for (name, arguments) in [
        ("zyntax_promise_connect", [text, 65_536 + 80, 0]),
        ("zyntax_promise_ready", [raw, 1 << 32 | 1, 0]),
        ("zyntax_promise_read", [raw, raw, -1]),
    ] {
        assert_eq!(unsafe { poll_of(call(name, arguments)) }, invalid, "{name}");
    }
    let executor = Executor::new(None).unwrap();
    let begin = Instant::now();
    let promise = awaiting(|| call("zyntax_promise_sleep", [-5, 0, 0]));
    assert_eq!(unsafe { executor.block_on(promise) }, Ok(1), "a time that is over");
    assert!(begin.elapsed() < Duration::from_secs(100));
}

#[test]
#[cfg(unix)]
fn a_deadline_of_minus_one_is_none_and_one_of_zero_is_over() {
    unsafe extern "C" fn nothing(_: *mut std::ffi::c_void) {}
    let runtime = Runtime::new().unwrap();
    let (mut one, mut other) = (std::ptr::null_mut(), std::ptr::null_mut());
    assert_eq!(unsafe { sys::zyntax_unix_pair(runtime.as_raw(), &mut one, &mut other) }, 0);
    let read = || {
        let (mut op, mut byte, mut result) = (0, 0u8, 0);
        let mut waker = sys::Waker { data: std::ptr::null_mut(), wake: Some(nothing) };
        let status = unsafe { sys::zyntax_io_read(one, &mut op, (&raw mut byte).cast(), 1, &mut waker, &mut result) };
        unsafe { sys::zyntax_op_cancel(&mut op) };
        (status, result)
    };
    assert_eq!(call("zyntax_io_deadline", [one as i64, 1, -1]), 0);
    assert_eq!(read(), (sys::POLL_PENDING, 0));
    assert_eq!(call("zyntax_io_deadline", [one as i64, 1, 0]), 0);
    assert_eq!(read(), (sys::POLL_READY, sys::ZYNTAX_ETIMEDOUT.into()));
}

/// A string as Zyntax lays it out: no byte more than it has.
fn zyntax_string(text: &[u8], header_size: usize, flags: u32) -> Box<[u8]> {
    let length = text.len() as u32;
    let header: Vec<u8> = [length, length, 0, flags].iter().flat_map(|word| word.to_ne_bytes()).collect();
    [&header[..header_size], text].concat().into()
}

#[test]
fn strings_of_both_layouts_are_understood() {
    let marked = 1 << 31 | 1;
    // Before a host has said how they are.
    let text = zyntax_string(b"127.0.0.1", 4, 0);
    let (fails, invalid) = (call("zyntax_host_tcp_connect", [text.as_ptr() as i64, 80, 0]), sys::ZYNTAX_EINVAL.into());
    assert_eq!(unsafe { poll_of(fails) }, invalid);
    for header_size in [4, 16] {
        let make = move |text: &[u8]| zyntax_string(text, header_size, marked);
        set_strings(Strings {
            header_size,
            make: |text| Box::leak(zyntax_string(text.as_bytes(), 4, 0)).as_mut_ptr().cast(),
        });
        let executor = Executor::new(None).unwrap();
        let loopback = Rc::new(make(b"127.0.0.1"));
        let address = loopback.as_ptr() as i64;
        let listen = awaiting(move || {
            // It needs the runtime of a task.
            let listener = call("zyntax_host_tcp_listen", [address, 0, 0]);
            assert!(listener > 0);
            let port = call("zyntax_tcp_port", [listener, 0, 0]);
            call("zyntax_host_tcp_connect", [address, port, 0])
        });
        assert!(unsafe { executor.block_on(listen) }.unwrap() > 0);
        let found =
            unsafe { executor.block_on(awaiting(move || call("zyntax_host_look_up", [address, 0, 0]))) }.unwrap();
        assert!(found > 0);
        let text_of = |number| unsafe {
            let string = call("zyntax_host_look_up_text", [number, 0, 0]) as *mut u8;
            let length = string.cast::<u32>().read_unaligned() as usize;
            let string = Box::from_raw(std::ptr::slice_from_raw_parts_mut(string, 4 + length));
            std::str::from_utf8(&string[4..]).unwrap().to_string()
        };
        assert_eq!(text_of(found), "127.0.0.1");
        assert_eq!(text_of(found), "", "a number is good once");
        // Texts that are no names, and values that are no strings.
        let mut refused = vec![make(b""), make(b"127.0.0.1\0.x"), make(&[b'x'; 256])];
        if header_size == 16 {
            refused.push(zyntax_string(b"127.0.0.1", 16, 1));
        }
        for string in &refused {
            let fails = call("zyntax_host_look_up", [string.as_ptr() as i64, 0, 0]);
            assert_eq!(unsafe { poll_of(fails) }, invalid);
        }
        for (string, port) in [(&refused[1], 80), (&refused[2], 80), (&*loopback, 0), (&*loopback, 65_536)] {
            let fails = call("zyntax_host_tcp_connect", [string.as_ptr() as i64, port, 0]);
            assert_eq!(unsafe { poll_of(fails) }, invalid);
        }
        assert_eq!(call("zyntax_host_tcp_listen", [address, 65_536, 0]), invalid);
        assert_eq!(call("zyntax_host_tcp_listen", [address, 0, 0]), sys::ZYNTAX_EPERM.into(), "in no task");
    }
}
