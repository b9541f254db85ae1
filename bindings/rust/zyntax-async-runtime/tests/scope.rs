// SPDX-License-Identifier: Apache-2.0
//! Scopes and the names of tasks.

mod support;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::{c_void, CStr};
use std::future::pending;
use std::rc::Rc;
use std::task::Poll;

use support::{panic_of, poll_once, run, run_in, Counted, MS};
use zyntax_async_runtime::*;

async fn yields(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

#[test]
fn next_gives_tasks_in_the_order_of_their_ends_and_then_none() {
    run(async {
        let scope = Scope::new().unwrap();
        let slow = scope.spawn(async {
            yields(3).await;
            "slow"
        });
        let fast = scope.spawn(async { 1 });
        assert_eq!(scope.next().await.unwrap(), Some(fast.id()));
        assert!(fast.is_finished());
        assert_eq!(scope.next().await.unwrap(), Some(slow.id()));
        assert_eq!(scope.next().await.unwrap(), None);
        assert_eq!((fast.await.unwrap(), slow.await.unwrap()), (1, "slow"));
    });
}

#[test]
fn join_waits_for_all_tasks_and_their_drops() {
    let drops = Rc::new(Cell::new(0));
    run(async {
        let scope = Scope::new().unwrap();
        for i in 0..10 {
            let counted = Counted(drops.clone());
            scope.spawn(async move {
                let _counted = counted;
                yields(i).await;
            });
        }
        scope.join().await.unwrap();
        assert_eq!(drops.get(), 10);
    });
}

#[test]
fn a_next_that_is_dropped_loses_no_task() {
    run(async {
        let scope = Scope::new().unwrap();
        let task = scope.spawn(yield_now());
        assert!(poll_once(scope.next()).is_pending());
        yields(5).await;
        assert!(matches!(poll_once(scope.next()), Poll::Ready(Ok(Some(id))) if id == task.id()));
    });
}

#[test]
fn a_scope_that_is_dropped_cancels_its_tasks() {
    let drops = Rc::new(Cell::new(0));
    run(async {
        let scope = Scope::new().unwrap();
        let mut handles = Vec::new();
        for _ in 0..10 {
            let counted = Counted(drops.clone());
            handles.push(scope.spawn(async move {
                let _counted = counted;
                pending::<()>().await
            }));
        }
        yield_now().await;
        drop(scope);
        for handle in handles {
            assert!(handle.await.unwrap_err().is_cancelled());
        }
        assert_eq!(drops.get(), 10);
    });
}

#[test]
fn a_scope_that_was_cancelled_starts_no_task_and_still_tells_the_ended_ones() {
    run(async {
        let scope = Scope::new().unwrap();
        let task = scope.spawn(pending::<()>());
        yield_now().await;
        scope.cancel();
        let drops = Rc::new(Cell::new(0));
        let counted = Counted(drops.clone());
        let late = scope.spawn(async move { drop(counted) });
        assert!(late.is_finished());
        assert_eq!(drops.get(), 1);
        assert!(late.await.unwrap_err().is_cancelled());
        assert_eq!(scope.next().await.unwrap(), Some(task.id()));
        assert_eq!(scope.next().await.unwrap(), None);
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn another_thread_cancels_a_scope() {
    run(async {
        let scope = Scope::new().unwrap();
        let task = scope.spawn(pending::<()>());
        let canceller = scope.canceller();
        let thread = std::thread::spawn(move || canceller.cancel());
        let hold = spawn(sleep(60_000 * MS)); // so that waiting is no stall
        scope.join().await.unwrap();
        hold.abort();
        thread.join().unwrap();
        assert!(task.await.unwrap_err().is_cancelled());
        drop(scope);
        canceller.cancel(); // of a scope that is gone
    });
}

#[test]
fn tasks_spawn_into_their_own_scope() {
    run(async {
        let scope = Rc::new(Scope::new().unwrap());
        let count = Rc::new(Cell::new(0));
        fn grow(scope: &Rc<Scope>, count: &Rc<Cell<usize>>, depth: usize) {
            let (inner, theirs) = (scope.clone(), count.clone());
            scope.spawn(async move {
                yield_now().await;
                theirs.set(theirs.get() + 1);
                if depth > 0 {
                    grow(&inner, &theirs, depth - 1);
                    grow(&inner, &theirs, depth - 1);
                }
            });
        }
        grow(&scope, &count, 5);
        scope.join().await.unwrap();
        assert_eq!(count.get(), 63);
    });
}

#[test]
fn a_task_that_waits_for_its_own_scope_alone_is_told() {
    run(async {
        let scope = Rc::new(Scope::new().unwrap());
        let theirs = scope.clone();
        let task = scope.spawn(async move { (theirs.join().await, theirs.next().await) });
        let (join, next) = task.await.unwrap();
        assert_eq!((join, next), (Err(Error::STALLED), Err(Error::STALLED)));
    });
}

#[test]
fn a_scope_whose_runtime_has_ended_ends_its_waits() {
    let runtime = Runtime::new().unwrap();
    let scope = run_in(&runtime, async { Scope::new().unwrap() });
    let task = scope.spawn(pending::<()>());
    drop(runtime);
    assert!(matches!(poll_once(scope.next()), Poll::Ready(Err(Error::NO_RUNTIME))));
    assert!(matches!(poll_once(scope.join()), Poll::Ready(Err(Error::NO_RUNTIME))));
    assert!(task.is_finished());
    scope.cancel();
}

#[test]
fn a_panic_in_a_scope_is_its_tasks_result() {
    run(async {
        let scope = Scope::new().unwrap();
        let task = scope.spawn(async { panic!("on purpose") });
        scope.join().await.unwrap();
        assert!(task.await.unwrap_err().is_panic());
    });
}

#[test]
fn scopes_need_a_runtime() {
    assert!(panic_of(|| Scope::new()).contains("Scope::new"));
}

// ---- sets on scopes ----

#[test]
fn a_set_that_was_waited_for_by_poll_gives_the_reserved_result_to_try() {
    run(async {
        let mut set = JoinSet::new();
        set.spawn(async {
            yield_now().await;
            7
        });
        let waker = std::future::poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        assert!(set.poll_join_next(&mut std::task::Context::from_waker(&waker)).is_pending());
        assert!(set.try_join_next().is_none());
        for _ in 0..5 {
            yield_now().await;
        }
        assert_eq!(set.try_join_next().unwrap().unwrap(), 7);
        assert!(set.try_join_next().is_none() && set.is_empty());
    });
}

#[test]
fn a_set_is_used_on_one_runtime_after_another() {
    let mut set = JoinSet::new();
    for i in 0..3 {
        let runtime = Runtime::new().unwrap();
        run_in(&runtime, async {
            set.spawn(async move { i });
            assert_eq!(set.join_next().await.unwrap().unwrap(), i);
            set.spawn(pending());
        });
        drop(runtime);
        assert!(set.try_join_next().unwrap().unwrap_err().is_cancelled());
    }
}

#[test]
fn a_set_with_results_of_a_runtime_that_has_ended_takes_tasks_of_the_next() {
    let mut set = JoinSet::new();
    let first = Runtime::new().unwrap();
    first.enter(|| set.spawn(pending()));
    drop(first);
    let second = Runtime::new().unwrap();
    run_in(&second, async {
        set.spawn(async { 2 });
        let mut results = Vec::new();
        while let Some(result) = set.join_next().await {
            results.push(result.ok());
        }
        results.sort_unstable();
        assert_eq!(results, [None, Some(2)]);
    });
}

#[test]
fn a_set_takes_no_tasks_of_two_runtimes_at_once() {
    let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let set = RefCell::new(JoinSet::new());
    first.enter(|| set.borrow_mut().spawn(pending::<()>()));
    assert!(panic_of(|| second.enter(|| set.borrow_mut().spawn(pending()))).contains("another runtime"));
}

#[test]
fn a_set_that_was_aborted_takes_further_tasks() {
    run(async {
        let mut set = JoinSet::new();
        set.spawn(pending());
        set.abort_all();
        set.spawn(async { 3 });
        let mut values = Vec::new();
        while let Some(result) = set.join_next().await {
            values.extend(result);
        }
        assert_eq!(values, [3]);
    });
}

// ---- names ----

/// The names in the dump of the current runtime.
fn names() -> BTreeSet<String> {
    unsafe extern "C" fn visit(names: *mut c_void, info: *const sys::zyntax_task_info) {
        // SAFETY: the set below, and the library's description of a task.
        unsafe {
            if !(*info).name.is_null() {
                let name = CStr::from_ptr((*info).name).to_str().unwrap().to_owned();
                (*names.cast::<BTreeSet<String>>()).insert(name);
            }
        }
    }
    let mut names = BTreeSet::new();
    // SAFETY: the runtime of the task lives and this is its thread.
    unsafe { sys::zyntax_runtime_dump(sys::zyntax_current_runtime(), Some(visit), (&raw mut names).cast()) };
    names
}

#[test]
fn tasks_have_names_in_the_dump() {
    run(async {
        let task = spawn(pending::<()>());
        assert!(names().is_empty());
        task.set_name("a task").unwrap();
        let mut set = JoinSet::new();
        set.spawn_named("of a set", pending::<()>());
        let scope = Scope::new().unwrap();
        scope.spawn(pending::<()>()).set_name("in a scope").unwrap();
        assert_eq!(names().into_iter().collect::<Vec<_>>(), ["a task", "in a scope", "of a set"]);
        task.set_name("ä".repeat(20).as_str()).unwrap();
        assert!(names().contains(&"ä".repeat(15)));
        task.set_name("before\0after").unwrap();
        assert!(names().contains("before"));
        task.abort();
        while !task.is_finished() {
            yield_now().await;
        }
        assert_eq!(task.set_name("late"), Err(Error::NO_RUNTIME));
        assert!(task.await.unwrap_err().is_cancelled());
    });
}
