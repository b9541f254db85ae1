// SPDX-License-Identifier: Apache-2.0
//! Promises as Zyntax's compiler makes them, on the executor for its hosts: values, failures, ends, and that each pair
//! and each state machine is freed once.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::c_void;
use std::rc::Rc;

use zyntax_async_runtime::zyntax::{addresses, symbols, Executor, Promise, Signature, TypeTag, ALIASES};
use zyntax_async_runtime::{sys, Error};

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

#[test]
fn the_table_has_every_function_with_zyntaxs_types() {
    assert_eq!(size_of::<Signature>(), 72);
    let table = symbols();
    assert!(table.len() > 70);
    let sleep = table.iter().find(|symbol| symbol.name == "zyntax_promise_sleep").unwrap();
    assert_eq!((sleep.result, sleep.params.as_slice()), (TypeTag::Pointer, &[TypeTag::U64][..]));
    assert_eq!((sleep.signature().param_count, sleep.signature().return_type), (1, 0x0D));
    let types = |name: &str| table.iter().find(|symbol| symbol.name == name).map(|symbol| symbol.result);
    assert_eq!(types("zyntax_runtime_version"), Some(TypeTag::U32));
    assert_eq!(types("zyntax_io_fd"), Some(TypeTag::Isize));
    for symbol in &table {
        assert!(!symbol.address.is_null() && symbol.params.len() <= 8, "{}", symbol.name);
    }
    let all = addresses();
    assert_eq!(all.len(), table.len() + ALIASES.len(), "an alias names no function");
    let names: HashSet<&str> = all.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), all.len());
}
