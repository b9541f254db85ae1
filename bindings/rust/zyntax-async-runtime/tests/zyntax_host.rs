// SPDX-License-Identifier: Apache-2.0
//! The code of the page docs/zyntax.md, compiled and run against stand-ins of the types of Zyntax that it uses.

use std::collections::HashMap;

/// The items of `zyntax_embed` (commits a4eb636 and 4c8ddc9) that the page uses: names, types and ways of passing.
mod zyntax_embed {
    use std::collections::HashMap;
    use std::time::Instant;

    pub struct TypeTag(pub u32);
    pub struct ZrtlSigFlags(pub u8);
    pub struct ZrtlSymbolSig {
        pub param_count: u8,
        pub flags: ZrtlSigFlags,
        pub return_type: TypeTag,
        pub params: [TypeTag; 16],
    }

    #[derive(Debug)]
    pub struct RuntimeError;
    pub type RuntimeResult<T> = Result<T, RuntimeError>;

    #[derive(Default)]
    pub struct CompilationConfig {
        pub builtins: HashMap<String, String>,
    }

    #[derive(Default)]
    pub struct ZyntaxRuntime {
        config: CompilationConfig,
        pub functions: HashMap<&'static str, (*const u8, ZrtlSymbolSig)>,
        pub compiled: HashMap<&'static str, *const u8>,
    }

    impl ZyntaxRuntime {
        pub fn register_function_typed(&mut self, name: &'static str, ptr: *const u8, sig: ZrtlSymbolSig) {
            self.functions.insert(name, (ptr, sig));
        }
        pub fn config_mut(&mut self) -> &mut CompilationConfig {
            &mut self.config
        }
        pub fn finalize_runtime_symbols(&mut self) -> RuntimeResult<()> {
            Ok(())
        }
        pub fn get_function_ptr(&self, name: &str) -> Option<*const u8> {
            self.compiled.get(name).copied()
        }
    }

    /// With the header of a4eb636.
    pub struct ZyntaxString(Vec<u8>);

    impl ZyntaxString {
        pub const HEADER_SIZE: usize = 4;
        // As it is named there.
        #[allow(clippy::should_implement_trait)]
        pub fn from_str(text: &str) -> Self {
            ZyntaxString([&(text.len() as u32).to_ne_bytes(), text.as_bytes()].concat())
        }
        pub fn into_raw(self) -> *mut i32 {
            Box::leak(self.0.into_boxed_slice()).as_mut_ptr().cast()
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum HostTaskStep {
        Ready(i64),
        Timer(Instant),
        Parked,
        Yield,
    }

    /// A task of given steps; Zyntax makes it from a promise.
    pub struct HostTask(pub Box<dyn FnMut() -> HostTaskStep>);

    impl HostTask {
        pub fn step(&mut self) -> HostTaskStep {
            (self.0)()
        }
    }
}

mod zyntax_compiler {
    pub mod pool_alloc {
        extern "C" {
            #[link_name = "free"]
            pub fn zyntax_free(ptr: *mut u8);
        }
    }
}

// snippet: zyntax-host
use std::ffi::c_void;
use zyntax_async_runtime::zyntax::{Executor, Promise};
use zyntax_async_runtime::{register_with_zyntax, Error};
use zyntax_embed::{RuntimeResult, ZyntaxRuntime};

fn register(zyntax: &mut ZyntaxRuntime) -> RuntimeResult<()> {
    register_with_zyntax!(zyntax_embed, zyntax);
    let words = &mut zyntax.config_mut().builtins;
    words.insert("sleep".to_string(), "zyntax_promise_sleep".to_string()); // nanoseconds
    zyntax.finalize_runtime_symbols()
}

unsafe extern "C" fn free(memory: *mut c_void) {
    zyntax_compiler::pool_alloc::zyntax_free(memory.cast());
}

/// Runs the async function `name`, which takes nothing.
fn run(zyntax: &ZyntaxRuntime, name: &str) -> Result<i64, Error> {
    let executor = Executor::new(Some(free))?;
    let entry = zyntax.get_function_ptr(name).expect("it was compiled");
    let entry: extern "C" fn() -> *mut Promise = unsafe { std::mem::transmute(entry) };
    executor.runtime().enter(|| unsafe { executor.block_on(entry()) })
}
// end

// snippet: zyntax-host-task
use std::cell::Cell;
use std::rc::Rc;
use std::task::Waker;
use zyntax_async_runtime::zyntax::{Step, Steps};
use zyntax_embed::{HostTask, HostTaskStep};

struct ZyntaxTask {
    task: HostTask,
    parked: Rc<Cell<Option<Waker>>>, // a bridge of the host's takes it out and wakes it when it resolves the future
    result: Rc<Cell<Option<i64>>>,
}

impl Steps for ZyntaxTask {
    fn step(&mut self) -> Step {
        match self.task.step() {
            HostTaskStep::Ready(value) => Step::Ready(value),
            HostTaskStep::Timer(deadline) => Step::Timer(deadline),
            HostTaskStep::Parked => Step::Parked,
            HostTaskStep::Yield => Step::Yield,
        }
    }

    fn park(&mut self, waker: Waker) {
        self.parked.set(Some(waker));
    }

    fn ended(&mut self, value: Result<i64, Error>) {
        self.result.set(value.ok());
    }
}
// end

/// async fn main() { sleep(1 ms).await; return 7; }, as compiled code calls the functions that it was given.
mod compiled {
    use super::*;
    use std::sync::atomic::{AtomicPtr, Ordering};

    pub static SLEEP: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

    extern "C" {
        fn calloc(count: usize, size: usize) -> *mut c_void;
    }

    unsafe extern "C" fn poll(state: *mut c_void) -> i64 {
        let slots = &mut *state.cast::<[i64; 2]>();
        if slots[0] == 1 {
            return 7;
        }
        if slots[1] == 0 {
            let sleep: unsafe extern "C" fn(i64) -> i64 = std::mem::transmute(SLEEP.load(Ordering::Relaxed));
            slots[1] = sleep(1_000_000);
        }
        let awaited = &*(slots[1] as *const Promise);
        slots[0] = awaited.poll.unwrap()(awaited.state);
        0
    }

    pub extern "C" fn main() -> *mut Promise {
        unsafe {
            let pair = calloc(1, size_of::<Promise>()).cast::<Promise>();
            pair.write(Promise { state: calloc(2, 8), poll: Some(poll) });
            pair
        }
    }
}

#[test]
fn a_host_registers_and_runs_a_compiled_function() {
    let mut zyntax = ZyntaxRuntime::default();
    register(&mut zyntax).unwrap();
    let words: HashMap<String, String> = zyntax.config_mut().builtins.clone();
    assert_eq!(words["tcp_connect"], "zyntax_host_tcp_connect");
    for (word, function) in &words {
        assert!(zyntax.functions.contains_key(function.as_str()), "{word}");
    }
    let (sleep, signature) = &zyntax.functions[words["sleep"].as_str()];
    assert_eq!((signature.param_count, signature.return_type.0, signature.flags.0), (1, 0x0402, 4));
    assert_eq!(signature.params[0].0, 0x0402);
    compiled::SLEEP.store(sleep.cast_mut(), std::sync::atomic::Ordering::Relaxed);
    zyntax.compiled.insert("main", compiled::main as *const u8);
    assert_eq!(run(&zyntax, "main"), Ok(7));
}

#[test]
fn the_words_of_a_tiered_runtime_go_where_the_host_says() {
    let mut zyntax = ZyntaxRuntime::default();
    let mut words: HashMap<String, String> = HashMap::new();
    register_with_zyntax!(zyntax_embed, zyntax, words);
    assert_eq!(words["spawn"], "zyntax_promise_spawn_child");
    assert!(zyntax.functions.len() > 70 && zyntax.config_mut().builtins.is_empty());
}

#[test]
fn a_host_task_is_run_to_its_result() {
    let executor = Executor::new(None).unwrap();
    let (parked, result) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
    let mut steps = 0;
    let until = std::time::Instant::now() + std::time::Duration::from_millis(20);
    let bridge = parked.clone();
    let task = HostTask(Box::new(move || {
        steps += 1;
        match steps {
            1 => HostTaskStep::Yield,
            2 => {
                // Its promise is resolved after it has parked.
                let bridge = bridge.clone();
                drop(zyntax_async_runtime::spawn(async move {
                    let waker: Waker = bridge.take().expect("it has parked");
                    waker.wake();
                }));
                HostTaskStep::Parked
            }
            _ if std::time::Instant::now() < until => HostTaskStep::Timer(until),
            _ => HostTaskStep::Ready(0),
        }
    }));
    executor.spawn_steps(ZyntaxTask { task, parked, result: result.clone() }).unwrap();
    executor.run().unwrap();
    assert_eq!(result.get(), Some(0));
}
