// SPDX-License-Identifier: Apache-2.0
//! Items from one task to another through a bounded queue: this library's ports, Tokio's mpsc, crossbeam's channel.
//! `queues [ITEMS [ROUNDS]]` prints the time per item within one thread and between two threads, in medians of
//! alternating runs, and the ratio to this library. Crossbeam's channel has no tasks: its threads block, and within
//! one thread it alternates between a full and an empty queue.

use std::ffi::c_void;
use std::ptr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use zyntax_async_runtime::sys;

/// One side of a port: how many items are left, and the sum of those that went through.
struct Side {
    port: *mut sys::zyntax_port,
    op: sys::zyntax_op,
    left: u64,
    sum: u64,
}

// SAFETY: a side is used by one thread at a time; the port's number by any.
unsafe impl Send for Side {}

unsafe extern "C" fn send(side: *mut c_void, waker: *mut sys::Waker) -> sys::PollStatus {
    // SAFETY: the state that was given to spawn, which lives until the task's end.
    let side = unsafe { &mut *side.cast::<Side>() };
    while side.left > 0 {
        let mut result = 0;
        let item = ptr::from_ref(&side.left).cast();
        // SAFETY: called in a poll, with pointers that are valid for the call.
        if unsafe { sys::zyntax_port_send(side.port, &mut side.op, item, waker, &mut result) } == sys::POLL_PENDING {
            return sys::POLL_PENDING;
        }
        assert_eq!(result, 0);
        side.left -= 1;
    }
    sys::POLL_READY
}

unsafe extern "C" fn receive(side: *mut c_void, waker: *mut sys::Waker) -> sys::PollStatus {
    // SAFETY: as before.
    let side = unsafe { &mut *side.cast::<Side>() };
    while side.left > 0 {
        let (mut item, mut result) = (0u64, 0);
        let to = ptr::from_mut(&mut item).cast();
        // SAFETY: as before.
        if unsafe { sys::zyntax_port_recv(side.port, &mut side.op, to, waker, &mut result) } == sys::POLL_PENDING {
            return sys::POLL_PENDING;
        }
        assert_eq!(result, 1);
        side.sum += item;
        side.left -= 1;
    }
    sys::POLL_READY
}

type Poll = unsafe extern "C" fn(*mut c_void, *mut sys::Waker) -> sys::PollStatus;

/// Drives tasks with these poll functions in a runtime of this thread.
fn drive(tasks: &mut [(&mut Side, Poll)], ready: &Barrier) {
    // SAFETY: the runtime stays in this thread, and the sides outlive it.
    unsafe {
        let runtime = sys::zyntax_runtime_create();
        for (side, poll) in tasks {
            sys::zyntax_runtime_spawn(runtime, ptr::from_mut(*side).cast(), Some(*poll));
        }
        ready.wait();
        assert_eq!(sys::zyntax_runtime_run(runtime), 0);
        sys::zyntax_runtime_destroy(runtime);
    }
}

fn zyntax(items: u64, capacity: usize, threads: usize) -> Duration {
    let mut port = ptr::null_mut();
    // SAFETY: the pointer is valid for the call.
    assert_eq!(unsafe { sys::zyntax_port_create(capacity, 8, &mut port) }, 0);
    let side = || Side { port, op: 0, left: items, sum: 0 };
    let (mut sender, mut receiver) = (side(), side());
    let ready = Barrier::new(threads);
    let start = Instant::now();
    if threads == 1 {
        drive(&mut [(&mut sender, send), (&mut receiver, receive)], &ready);
    } else {
        thread::scope(|scope| {
            scope.spawn(|| drive(&mut [(&mut sender, send)], &ready));
            drive(&mut [(&mut receiver, receive)], &ready);
        });
    }
    let time = start.elapsed();
    assert_eq!(receiver.sum, items * (items + 1) / 2);
    // SAFETY: for any handle.
    unsafe { sys::zyntax_port_destroy(port) };
    time
}

fn tokio(items: u64, capacity: usize, threads: usize) -> Duration {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<u64>(capacity);
    let produce = async move {
        for item in 1..=items {
            sender.send(item).await.expect("a receiver");
        }
    };
    let consume = async move {
        let mut sum = 0;
        while let Some(item) = receiver.recv().await {
            sum += item;
        }
        sum
    };
    let start = Instant::now();
    let sum = if threads == 1 {
        runtime().block_on(async {
            tokio::spawn(produce);
            tokio::spawn(consume).await.expect("a sum")
        })
    } else {
        thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = runtime();
                runtime.block_on(async { runtime.spawn(produce).await.expect("an end") });
            });
            let runtime = runtime();
            runtime.block_on(async { runtime.spawn(consume).await.expect("a sum") })
        })
    };
    let time = start.elapsed();
    assert_eq!(sum, items * (items + 1) / 2);
    time
}

fn crossbeam(items: u64, capacity: usize, threads: usize) -> Duration {
    let (sender, receiver) = crossbeam_channel::bounded::<u64>(capacity);
    let start = Instant::now();
    let mut sum = 0;
    if threads == 1 {
        let mut next = 1;
        while next <= items {
            while next <= items && sender.try_send(next).is_ok() {
                next += 1;
            }
            sum += receiver.try_iter().sum::<u64>();
        }
    } else {
        thread::scope(|scope| {
            scope.spawn(move || (1..=items).for_each(|item| sender.send(item).expect("a receiver")));
            sum = receiver.iter().sum();
        });
    }
    let time = start.elapsed();
    assert_eq!(sum, items * (items + 1) / 2);
    time
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse().expect("a number"));
    let items: u64 = numbers.next().unwrap_or(1_000_000);
    let rounds = numbers.next().unwrap_or(7);
    type Run = fn(u64, usize, usize) -> Duration;
    let peers: [(&str, Run); 3] = [("zyntax", zyntax), ("tokio", tokio), ("crossbeam", crossbeam)];
    for threads in [1, 2] {
        for capacity in [1, 64, 1024] {
            let items = if threads == 2 && capacity == 1 { items / 10 } else { items };
            let mut times = vec![Vec::new(); peers.len()];
            for round in 0..=rounds {
                for (peer, (_, run)) in peers.iter().enumerate() {
                    let ns = run(items, capacity, threads).as_nanos() as f64 / items as f64;
                    if round > 0 {
                        times[peer].push(ns); // the first round warms up
                    }
                }
            }
            for (peer, (name, _)) in peers.iter().enumerate() {
                let ratios = times[peer].iter().zip(&times[0]).map(|(theirs, ours)| theirs / ours).collect();
                println!(
                    "{threads} thread(s), capacity {capacity:4}: {name:9} {:8.1} ns an item, {:5.2}",
                    median(times[peer].clone()),
                    median(ratios)
                );
            }
        }
    }
}
