// SPDX-License-Identifier: Apache-2.0
//! Tokio's current_thread runtime.

use peers::*;
use std::future::{poll_fn, Future};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::unconstrained;
use tokio::time::{sleep, sleep_until, Instant};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

async fn spawn_batch(ops: u64) -> u64 {
    const BATCH: u64 = 1000;
    let (gate, batches) = (Gate::default(), ops.div_ceil(BATCH));
    for _ in 0..batches {
        gate.close(BATCH);
        for _ in 0..BATCH {
            tokio::spawn(gate.no_op());
        }
        gate.opened().await;
    }
    batches * BATCH
}

async fn spawn_join(ops: u64) -> u64 {
    let gate = Gate::default();
    gate.close(ops + 1);
    for _ in 0..ops {
        tokio::spawn(gate.no_op()).await.expect("no child panics");
    }
    ops
}

async fn yield_among(tasks: u64, ops: u64) -> u64 {
    let (gate, each) = (Gate::default(), ops.div_ceil(tasks));
    gate.close(tasks);
    for _ in 0..tasks {
        tokio::spawn(yielder(each, &gate));
    }
    gate.opened().await;
    each * tasks
}

async fn ping_pong(ops: u64) -> u64 {
    let (gate, each) = (Gate::default(), ops.div_ceil(2));
    gate.close(2);
    for player in players(each, &gate) {
        tokio::spawn(player);
    }
    gate.opened().await;
    each * 2
}

async fn channel(capacity: usize, ops: u64) -> u64 {
    let (sender, mut receiver) = mpsc::channel(capacity);
    tokio::spawn(async move {
        for item in 0..ops {
            sender.send(item).await.expect("the receiver is there");
        }
    });
    let consumer = tokio::spawn(async move {
        for expected in 0..ops {
            assert_eq!(receiver.recv().await, Some(expected));
        }
    });
    consumer.await.expect("every item is received");
    ops
}

/// Without Tokio's budget, which would end the poll after 128 timers.
async fn timer_cancel(ops: u64, delays: Vec<std::time::Duration>, order: Vec<usize>) -> f64 {
    let now = Instant::now();
    unconstrained(poll_fn(|context| {
        let value = cpu_per_op(|| {
            let mut timers = Vec::with_capacity(ops as usize);
            for delay in &delays {
                let mut timer = Box::pin(sleep_until(now + *delay));
                assert!(timer.as_mut().poll(context).is_pending());
                timers.push(Some(timer));
            }
            for index in &order {
                timers[*index] = None;
            }
            ops
        });
        Poll::Ready(value)
    }))
    .await
}

async fn timer_fire(delays: Vec<std::time::Duration>) -> u64 {
    let ops = delays.len() as u64;
    let tasks = delays.into_iter().map(|delay| tokio::spawn(sleep(delay))).collect::<Vec<_>>();
    for task in tasks {
        task.await.expect("no sleeper panics");
    }
    ops
}

async fn socketpair(ops: u64) -> u64 {
    let (mut asking, mut answering) = UnixStream::pair().expect("a pair can be made");
    let answers = tokio::spawn(async move {
        let mut buffer = [0; MESSAGE_BUFFER_BYTES];
        loop {
            match answering.read(&mut buffer).await.expect("a message can be read") {
                0 => break,
                read => answering.write_all(&buffer[..read]).await.expect("an answer can be written"),
            }
        }
    });
    let asks = tokio::spawn(async move {
        let mut buffer = [0; MESSAGE_BUFFER_BYTES];
        for _ in 0..ops {
            asking.write_all(&buffer[..MESSAGE_BYTES]).await.expect("a message can be written");
            assert_eq!(asking.read(&mut buffer).await.expect("an answer can be read"), MESSAGE_BYTES);
        }
    });
    asks.await.expect("every answer is received");
    answers.await.expect("every message is answered");
    ops
}

fn block_on(poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
    runtime().block_on(poll_fn(poll));
}

/// A workload that is a future. All its runs use one runtime. The root future is a task, too.
fn measured<F>(make: impl Fn(u64) -> F + 'static) -> Run
where
    F: Future<Output = u64> + 'static,
{
    let runtime = runtime();
    Box::new(move |ops| cpu_per_op(|| runtime.block_on(make(ops))))
}

fn workloads() -> Vec<(&'static str, Run)> {
    let shared = Rc::new(runtime());
    let firing = shared.clone();
    vec![
        ("task_bytes", Box::new(|ops| in_child(|| runtime().block_on(park(ops, |task| drop(tokio::spawn(task))))))),
        ("spawn_batch", measured(spawn_batch)),
        ("spawn_join", measured(spawn_join)),
        ("yield_1", measured(|ops| yield_among(1, ops))),
        ("yield_10", measured(|ops| yield_among(10, ops))),
        ("yield_100", measured(|ops| yield_among(100, ops))),
        ("yield_1000", measured(|ops| yield_among(1_000, ops))),
        ("yield_10000", measured(|ops| yield_among(10_000, ops))),
        ("yield_100000", measured(|ops| yield_among(100_000, ops))),
        ("ping_pong", measured(ping_pong)),
        ("channel_1", measured(|ops| channel(1, ops))),
        ("channel_64", measured(|ops| channel(64, ops))),
        ("port_64", measured(|ops| channel(64, ops))),
        (
            "timer_cancel",
            Box::new(move |ops| {
                let (delays, order) = (delays(ops, FAR.0, FAR.1), random_order(ops));
                shared.block_on(timer_cancel(ops, delays, order))
            }),
        ),
        (
            "timer_fire",
            Box::new(move |ops| {
                let delays = delays(ops, NEAR.0, NEAR.1);
                cpu_per_op(|| firing.block_on(timer_fire(delays)))
            }),
        ),
        ("socketpair", measured(socketpair)),
        ("wake_asleep", Box::new(|ops| wake_asleep(ops, block_on))),
        ("create_destroy", Box::new(|ops| cpu_per_op(|| (0..ops).map(|_| drop(runtime())).count() as u64))),
    ]
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; BUFFER_BYTES];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
}

async fn http(mut stream: TcpStream) {
    let (mut buffer, mut requests) = ([0; BUFFER_BYTES], Requests::default());
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(requests.answer(&buffer[..read])).await.is_err() {
            break;
        }
    }
}

fn serve(kind: Server) {
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        print_port(listener.local_addr().expect("it has a port"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection can be accepted");
            stream.set_nodelay(true).expect("a connection has the option");
            match kind {
                Server::Echo => tokio::spawn(echo(stream)),
                Server::Http => tokio::spawn(http(stream)),
            };
        }
    });
}

fn main() {
    Peer { crates: &["tokio"], workloads: workloads(), serve }.main();
}
