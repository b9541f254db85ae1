// SPDX-License-Identifier: Apache-2.0
//! Shared by the peers in Rust: the protocol in README.md, clocks, random numbers, the answers of a server, and the
//! hand-written futures, which are the same on every library.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{BufRead, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

// ---- Protocol -------------------------------------------------------------------------------------------------------

/// Runs a workload with this number of operations; returns nanoseconds per operation.
pub type Run = Box<dyn FnMut(u64) -> f64>;

#[derive(Clone, Copy, PartialEq)]
pub enum Server {
    Echo,
    Http,
}

pub struct Peer {
    /// The crates whose versions `--version` prints.
    pub crates: &'static [&'static str],
    pub workloads: Vec<(&'static str, Run)>,
    /// Never returns.
    pub serve: fn(Server),
}

impl Peer {
    pub fn main(mut self) {
        match std::env::args().nth(1).as_deref() {
            Some("--list") => self.workloads.iter().for_each(|(name, _)| println!("{name}")),
            Some("--version") => println!("{}", self.versions()),
            Some("--serve") => self.answer_lines(),
            Some("echo") => self.server(Server::Echo),
            Some("http") => self.server(Server::Http),
            _ => {
                eprintln!("usage: --list | --version | --serve | echo | http");
                std::process::exit(2);
            }
        }
    }

    fn versions(&self) -> String {
        let lock = include_str!("../Cargo.lock");
        let version = |name: &str| {
            let rest = lock.split(&format!("name = \"{name}\"\nversion = \"")).nth(1);
            format!("{name} {}", rest.and_then(|rest| rest.split('"').next()).unwrap_or("?"))
        };
        self.crates.iter().map(|name| version(name)).collect::<Vec<_>>().join(", ")
    }

    fn answer_lines(&mut self) {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match self.run(&line) {
                Some(value) => println!("{{\"value\": {value}}}"),
                None => println!("{{\"error\": \"unknown workload, or no number of operations\"}}"),
            }
            std::io::stdout().flush().expect("the parent reads");
        }
    }

    fn run(&mut self, line: &str) -> Option<f64> {
        let (name, ops) = line.split_once(' ')?;
        let ops = ops.trim().parse().ok().filter(|ops| *ops > 0)?;
        let (_, run) = self.workloads.iter_mut().find(|(known, _)| *known == name)?;
        Some(run(ops))
    }

    /// A thread waits for the end of standard input, which ends the server. It sleeps until then.
    fn server(&self, kind: Server) {
        std::thread::spawn(|| {
            while matches!(std::io::stdin().lock().read_line(&mut String::new()), Ok(read) if read > 0) {}
            std::process::exit(0);
        });
        (self.serve)(kind);
    }
}

/// Prints the port of a listening server.
pub fn print_port(address: std::net::SocketAddr) {
    println!("PORT {}", address.port());
    std::io::stdout().flush().expect("the parent reads");
}

// ---- Clocks and random numbers --------------------------------------------------------------------------------------

/// The CPU time of this thread, in user space and in the kernel.
pub fn cpu_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` may be written.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds of CPU time per operation. `work` returns the number of operations.
pub fn cpu_per_op(work: impl FnOnce() -> u64) -> f64 {
    let start = cpu_ns();
    let ops = work();
    (cpu_ns() - start) as f64 / ops as f64
}

/// SplitMix64 (Steele, Lea, Flood 2014), with the same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// `count` random durations between the two.
pub fn delays(count: u64, least: Duration, most: Duration) -> Vec<Duration> {
    let (mut random, span) = (Random(1), (most - least).as_nanos() as u64 + 1);
    (0..count).map(|_| least + Duration::from_nanos(random.below(span))).collect()
}

/// The delays of the timers of timer_cancel and timer_fire.
pub const FAR: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
pub const NEAR: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// The numbers 0 to count - 1 in random order.
pub fn random_order(count: u64) -> Vec<usize> {
    let (mut random, mut order) = (Random(2), (0..count as usize).collect::<Vec<_>>());
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    order
}

// ---- Hand-written futures -------------------------------------------------------------------------------------------

/// A value that only one thread uses, although a library requires `Send`.
pub struct OneThread<T>(T);

// SAFETY: the executors of the peers poll and drop tasks in the thread that spawned them.
unsafe impl<T> Send for OneThread<T> {}

impl<F: Future + Unpin> Future for OneThread<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

/// A task of 64 bytes that ends at its first poll and counts that poll.
pub struct NoOp {
    gate: Gate,
    _state: [u64; 7],
}

impl Future for NoOp {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.gate.pass();
        Poll::Ready(())
    }
}

/// A task that passes the gate at its first poll and never ends.
pub struct Parked(Gate);

impl Future for Parked {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.0.pass();
        Poll::Pending
    }
}

/// Wakes one future when a number of tasks have passed.
#[derive(Clone, Default)]
pub struct Gate(Rc<(Cell<u64>, Cell<Option<Waker>>)>);

impl Gate {
    pub fn no_op(&self) -> OneThread<NoOp> {
        OneThread(NoOp { gate: self.clone(), _state: [0; 7] })
    }

    fn parked(&self) -> OneThread<Parked> {
        OneThread(Parked(self.clone()))
    }

    pub fn close(&self, tasks: u64) {
        self.0 .0.set(tasks);
    }

    fn pass(&self) {
        self.0 .0.set(self.0 .0.get() - 1);
        if self.0 .0.get() == 0 {
            if let Some(waker) = self.0 .1.take() {
                waker.wake();
            }
        }
    }

    /// Waits until all have passed.
    pub fn opened(&self) -> impl Future<Output = ()> + '_ {
        std::future::poll_fn(|context| {
            if self.0 .0.get() == 0 {
                return Poll::Ready(());
            }
            self.0 .1.set(Some(context.waker().clone()));
            Poll::Pending
        })
    }
}

/// Wakes itself a number of times, then passes the gate.
struct Yielder {
    left: u64,
    gate: Gate,
}

pub fn yielder(left: u64, gate: &Gate) -> OneThread<impl Future<Output = ()> + Unpin> {
    OneThread(Yielder { left, gate: gate.clone() })
}

impl Future for Yielder {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.left == 0 {
            self.gate.pass();
            return Poll::Ready(());
        }
        self.left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Two tasks that wake each other in turn, each the same number of times.
struct Player {
    own: usize,
    wakers: Rc<[RefCell<Option<Waker>>; 2]>,
    left: u64,
    gate: Gate,
}

pub fn players(each: u64, gate: &Gate) -> [OneThread<impl Future<Output = ()> + Unpin>; 2] {
    let wakers = Rc::<[RefCell<Option<Waker>>; 2]>::default();
    [0, 1].map(|own| OneThread(Player { own, wakers: wakers.clone(), left: each, gate: gate.clone() }))
}

impl Future for Player {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut *self.wakers[self.own].borrow_mut() {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        match &*self.wakers[1 - self.own].borrow() {
            Some(other) => other.wake_by_ref(),
            None => return Poll::Pending, // the other task was not polled yet and will wake this task
        }
        self.left -= 1;
        if self.left > 0 {
            return Poll::Pending;
        }
        self.gate.pass();
        Poll::Ready(())
    }
}

// ---- Memory ---------------------------------------------------------------------------------------------------------

fn resident_bytes() -> f64 {
    let sizes = std::fs::read_to_string("/proc/self/statm").expect("Linux has the file");
    let pages: f64 = sizes.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second is a number");
    // SAFETY: only reads a limit of the system.
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as f64
}

/// Bytes of resident memory for a task, from 10,000 to `tasks` parked ones. `spawn` begins a task.
pub async fn park(tasks: u64, spawn: impl Fn(OneThread<Parked>)) -> f64 {
    const FIRST: u64 = 10_000;
    let (gate, mut before) = (Gate::default(), 0.0);
    for more in [FIRST, tasks - FIRST] {
        before = resident_bytes(); // the second time with the first tasks
        gate.close(more);
        for _ in 0..more {
            spawn(gate.parked());
        }
        gate.opened().await;
    }
    (resident_bytes() - before) / (tasks - FIRST) as f64
}

/// Calls the function in a child process, which has no memory of earlier runs, and returns its value.
pub fn in_child(measure: impl FnOnce() -> f64) -> f64 {
    let (mut reader, mut writer) = UnixStream::pair().expect("a socket pair can be made");
    // SAFETY: the child uses nothing that another thread may have locked, and ends at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let written = writer.write_all(&measure().to_ne_bytes());
        // SAFETY: ends the process without its destructors.
        unsafe { libc::_exit(written.is_err() as i32) };
    }
    assert!(child > 0, "a process can be made");
    drop(writer);
    let mut value = [0; 8];
    reader.read_exact(&mut value).expect("the child measures");
    // SAFETY: the process is a child of this one. Its status is not needed.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    f64::from_ne_bytes(value)
}

// ---- Two sleeping loops ---------------------------------------------------------------------------------------------

#[derive(Default)]
struct Turns {
    step: AtomicU64,
    end: u64,
    wakers: [OnceLock<Waker>; 2],
    published: AtomicUsize,
}

impl Turns {
    /// A poll of one of the two loops. [0] moves at even steps, [1] at odd steps.
    fn poll(&self, own: usize, context: &mut Context<'_>) -> Poll<()> {
        if self.wakers[own].set(context.waker().clone()).is_ok() {
            self.published.fetch_add(1, Ordering::AcqRel);
            while self.published.load(Ordering::Acquire) < 2 {
                std::thread::yield_now();
            }
        }
        let step = self.step.load(Ordering::Acquire);
        if step < self.end && step % 2 != own as u64 {
            return Poll::Pending;
        }
        let last = step >= self.end || self.step.fetch_add(1, Ordering::AcqRel) + 1 >= self.end;
        self.wakers[1 - own].get().expect("both were published").wake_by_ref();
        if last {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Wall-clock nanoseconds of a round trip between two threads. `block_on` makes a loop and drives a future on it.
pub fn wake_asleep(round_trips: u64, block_on: fn(&mut dyn FnMut(&mut Context<'_>) -> Poll<()>)) -> f64 {
    let turns = Turns { end: round_trips * 2, ..Turns::default() };
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| block_on(&mut |context| turns.poll(1, context)));
        block_on(&mut |context| turns.poll(0, context));
    });
    start.elapsed().as_nanos() as f64 / round_trips as f64
}

// ---- Answers of a server --------------------------------------------------------------------------------------------

pub const BUFFER_BYTES: usize = 4096;
pub const MESSAGE_BYTES: usize = 64;
pub const MESSAGE_BUFFER_BYTES: usize = 256;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, world!";

/// The answers to the most requests that one read can return.
pub fn answers() -> &'static [u8] {
    static ANSWERS: OnceLock<Vec<u8>> = OnceLock::new();
    ANSWERS.get_or_init(|| ANSWER.repeat(BUFFER_BYTES / 4))
}

/// The requests of one connection.
#[derive(Default)]
pub struct Requests {
    /// The number of bytes of the empty line at the end of a request that came last.
    matched: usize,
}

impl Requests {
    /// The answers to the requests that end in `bytes`.
    pub fn answer(&mut self, bytes: &[u8]) -> &'static [u8] {
        let mut requests = 0;
        for byte in bytes {
            let expected = b"\r\n\r\n"[self.matched];
            self.matched = if *byte == expected { self.matched + 1 } else { (*byte == b'\r') as usize };
            if self.matched == 4 {
                self.matched = 0;
                requests += 1;
            }
        }
        &answers()[..requests * ANSWER.len()]
    }
}
