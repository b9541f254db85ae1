// SPDX-License-Identifier: Apache-2.0
//! smol: async-executor's LocalExecutor on async-io's reactor.

use async_executor::LocalExecutor;
use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use peers::*;
use std::future::{poll_fn, Future};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

type Executor = Rc<LocalExecutor<'static>>;

async fn spawn_batch(executor: Executor, ops: u64) -> u64 {
    const BATCH: u64 = 1000;
    let (gate, batches) = (Gate::default(), ops.div_ceil(BATCH));
    for _ in 0..batches {
        gate.close(BATCH);
        for _ in 0..BATCH {
            executor.spawn(gate.no_op()).detach();
        }
        gate.opened().await;
    }
    batches * BATCH
}

async fn spawn_join(executor: Executor, ops: u64) -> u64 {
    let gate = Gate::default();
    gate.close(ops + 1);
    for _ in 0..ops {
        executor.spawn(gate.no_op()).await;
    }
    ops
}

async fn yield_among(executor: Executor, tasks: u64, ops: u64) -> u64 {
    let (gate, each) = (Gate::default(), ops.div_ceil(tasks));
    gate.close(tasks);
    for _ in 0..tasks {
        executor.spawn(yielder(each, &gate)).detach();
    }
    gate.opened().await;
    each * tasks
}

async fn ping_pong(executor: Executor, ops: u64) -> u64 {
    let (gate, each) = (Gate::default(), ops.div_ceil(2));
    gate.close(2);
    for player in players(each, &gate) {
        executor.spawn(player).detach();
    }
    gate.opened().await;
    each * 2
}

async fn channel(executor: Executor, capacity: usize, ops: u64) -> u64 {
    let (sender, receiver) = async_channel::bounded(capacity);
    let producer = executor.spawn(async move {
        for item in 0..ops {
            sender.send(item).await.expect("the receiver is there");
        }
    });
    let consumer = executor.spawn(async move {
        for expected in 0..ops {
            assert_eq!(receiver.recv().await, Ok(expected));
        }
    });
    producer.await;
    consumer.await;
    ops
}

async fn timer_cancel(ops: u64, delays: Vec<Duration>, order: Vec<usize>) -> f64 {
    let now = Instant::now();
    poll_fn(|context| {
        let value = cpu_per_op(|| {
            let mut timers = Vec::with_capacity(ops as usize);
            for delay in &delays {
                let mut timer = Timer::at(now + *delay);
                assert!(Pin::new(&mut timer).poll(context).is_pending());
                timers.push(Some(timer));
            }
            for index in &order {
                timers[*index] = None;
            }
            ops
        });
        Poll::Ready(value)
    })
    .await
}

async fn timer_fire(executor: Executor, delays: Vec<Duration>) -> u64 {
    let spawn = |delay| {
        executor.spawn(async move {
            Timer::after(delay).await;
        })
    };
    let ops = delays.len() as u64;
    let tasks = delays.into_iter().map(spawn).collect::<Vec<_>>();
    for task in tasks {
        task.await;
    }
    ops
}

async fn socketpair(executor: Executor, ops: u64) -> u64 {
    let (mut asking, mut answering) = Async::<UnixStream>::pair().expect("a pair can be made");
    let answers = executor.spawn(async move {
        let mut buffer = [0; MESSAGE_BUFFER_BYTES];
        loop {
            match answering.read(&mut buffer).await.expect("a message can be read") {
                0 => break,
                read => answering.write_all(&buffer[..read]).await.expect("an answer can be written"),
            }
        }
    });
    let asks = executor.spawn(async move {
        let mut buffer = [0; MESSAGE_BUFFER_BYTES];
        for _ in 0..ops {
            asking.write_all(&buffer[..MESSAGE_BYTES]).await.expect("a message can be written");
            assert_eq!(asking.read(&mut buffer).await.expect("an answer can be read"), MESSAGE_BYTES);
        }
    });
    asks.await;
    answers.await;
    ops
}

/// Without async-io: the child has none of its threads.
fn task_bytes(ops: u64) -> f64 {
    let executor = Executor::default();
    futures_lite::future::block_on(executor.run(park(ops, |task| executor.spawn(task).detach())))
}

fn block_on(poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
    async_io::block_on(poll_fn(poll));
}

/// Runs a future on an executor. The tasks of the executor run meanwhile.
fn drive<T>(executor: &Executor, future: impl Future<Output = T>) -> T {
    async_io::block_on(executor.run(future))
}

/// A workload that is a future. All its runs use one executor.
fn measured<F: Future<Output = u64>>(make: impl Fn(Executor, u64) -> F + 'static) -> Run {
    let executor = Executor::default();
    Box::new(move |ops| cpu_per_op(|| drive(&executor, make(executor.clone(), ops))))
}

fn workloads() -> Vec<(&'static str, Run)> {
    let firing = Executor::default();
    vec![
        ("task_bytes", Box::new(|ops| in_child(|| task_bytes(ops)))),
        ("spawn_batch", measured(spawn_batch)),
        ("spawn_join", measured(spawn_join)),
        ("yield_1", measured(|executor, ops| yield_among(executor, 1, ops))),
        ("yield_10", measured(|executor, ops| yield_among(executor, 10, ops))),
        ("yield_100", measured(|executor, ops| yield_among(executor, 100, ops))),
        ("yield_1000", measured(|executor, ops| yield_among(executor, 1_000, ops))),
        ("yield_10000", measured(|executor, ops| yield_among(executor, 10_000, ops))),
        ("yield_100000", measured(|executor, ops| yield_among(executor, 100_000, ops))),
        ("ping_pong", measured(ping_pong)),
        ("channel_1", measured(|executor, ops| channel(executor, 1, ops))),
        ("channel_64", measured(|executor, ops| channel(executor, 64, ops))),
        ("port_64", measured(|executor, ops| channel(executor, 64, ops))),
        (
            "timer_cancel",
            Box::new(|ops| {
                let (delays, order) = (delays(ops, FAR.0, FAR.1), random_order(ops));
                async_io::block_on(timer_cancel(ops, delays, order))
            }),
        ),
        (
            "timer_fire",
            Box::new(move |ops| {
                let delays = delays(ops, NEAR.0, NEAR.1);
                cpu_per_op(|| drive(&firing, timer_fire(firing.clone(), delays)))
            }),
        ),
        ("socketpair", measured(socketpair)),
        ("wake_asleep", Box::new(|ops| wake_asleep(ops, block_on))),
    ]
}

async fn echo(mut stream: Async<TcpStream>) {
    let mut buffer = [0; BUFFER_BYTES];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
}

async fn http(mut stream: Async<TcpStream>) {
    let (mut buffer, mut requests) = ([0; BUFFER_BYTES], Requests::default());
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(requests.answer(&buffer[..read])).await.is_err() {
            break;
        }
    }
}

fn serve(kind: Server) {
    let executor = Executor::default();
    drive(&executor, async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).expect("a port is free");
        print_port(listener.get_ref().local_addr().expect("it has a port"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection can be accepted");
            stream.get_ref().set_nodelay(true).expect("a connection has the option");
            match kind {
                Server::Echo => executor.spawn(echo(stream)).detach(),
                Server::Http => executor.spawn(http(stream)).detach(),
            }
        }
    })
}

fn main() {
    Peer { crates: &["async-executor", "async-io"], workloads: workloads(), serve }.main();
}
