// SPDX-License-Identifier: Apache-2.0
//! Compares compiled state machines on the Zyntax runtime with the same async code, written by hand in Rust, on Tokio's
//! current_thread. Each workload runs on both in turn; the ratio is the median of the pairs' ratios, below 1 when
//! compiled code is faster. Ends with the cost of an await point in code and in time to compile: in small functions,
//! and in a function where many values live across many await points.
//!
//!     cargo bench -p zyntax-cranelift

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Command;
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::sync::mpsc::channel;
use tokio::task::yield_now;

const PAIRS: usize = 15;

type Work = Pin<Box<dyn Future<Output = i64> + Send>>;

struct Workload {
    name: &'static str,
    /// How often it is done.
    times: i64,
    /// The program, with TIMES for the number.
    program: &'static str,
    tokio: fn(i64) -> Work,
}

/// Functions that await each other eight deep, the innermost yields.
macro_rules! nest {
    ($name:ident) => {
        async fn $name(x: i64) -> i64 { yield_now().await; x }
    };
    ($name:ident $inner:ident $($rest:ident)*) => {
        async fn $name(x: i64) -> i64 { $inner(x).await + 1 }
        nest!($inner $($rest)*);
    };
}
nest!(f8 f7 f6 f5 f4 f3 f2 f1);

/// The same, but nothing ever waits.
macro_rules! ready {
    ($name:ident) => {
        #[inline(never)]
        async fn $name(x: i64) -> i64 { std::hint::black_box(x) }
    };
    ($name:ident $inner:ident $($rest:ident)*) => {
        async fn $name(x: i64) -> i64 { $inner(x).await + 1 }
        ready!($inner $($rest)*);
    };
}
ready!(g8 g7 g6 g5 g4 g3 g2 g1);

const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "yield_now",
        times: 3_000_000,
        program: "async fn work(n) { let i = 0; while i < n { yield_now().await; i = i + 1; } return i; }",
        tokio: |n| {
            Box::pin(async move {
                let mut i = 0;
                while i < n {
                    yield_now().await;
                    i += 1;
                }
                i
            })
        },
    },
    Workload {
        name: "channel ping-pong",
        times: 1_000_000,
        program: "
async fn echo(a, b) { let x = recv(a).await; while x >= 0 { send(b, x).await; x = recv(a).await; } }
async fn work(n) {
    let a = channel(1); let b = channel(1); let i = 0;
    spawn echo(a, b);
    while i < n { send(a, i).await; i = recv(b).await + 1; }
    close_channel(a);
    return i;
}",
        tokio: |n| {
            Box::pin(async move {
                let (to_echo, mut from_work) = channel::<i64>(1);
                let (to_work, mut from_echo) = channel::<i64>(1);
                tokio::spawn(async move {
                    while let Some(x) = from_work.recv().await {
                        if to_work.send(x).await.is_err() {
                            return;
                        }
                    }
                });
                let mut i = 0;
                while i < n {
                    to_echo.send(i).await.expect("the echo lives");
                    i = from_echo.recv().await.expect("the echo lives") + 1;
                }
                i
            })
        },
    },
    Workload {
        name: "8 nested awaits, and a yield",
        times: 2_000_000,
        program: "
async fn f1(x) { yield_now().await; return x; }
async fn f2(x) { return f1(x).await + 1; }
async fn f3(x) { return f2(x).await + 1; }
async fn f4(x) { return f3(x).await + 1; }
async fn f5(x) { return f4(x).await + 1; }
async fn f6(x) { return f5(x).await + 1; }
async fn f7(x) { return f6(x).await + 1; }
async fn f8(x) { return f7(x).await + 1; }
async fn work(n) { let i = 0; while i < n { i = f8(i).await - 6; } return i; }",
        tokio: |n| {
            Box::pin(async move {
                let mut i = 0;
                while i < n {
                    i = f8(i).await - 6;
                }
                i
            })
        },
    },
    Workload {
        name: "8 nested awaits, all ready",
        times: 10_000_000,
        program: "
async fn g1(x) { return x; }
async fn g2(x) { return g1(x).await + 1; }
async fn g3(x) { return g2(x).await + 1; }
async fn g4(x) { return g3(x).await + 1; }
async fn g5(x) { return g4(x).await + 1; }
async fn g6(x) { return g5(x).await + 1; }
async fn g7(x) { return g6(x).await + 1; }
async fn g8(x) { return g7(x).await + 1; }
async fn work(n) { let i = 0; while i < n { i = g8(i).await - 6; } return i; }",
        tokio: |n| {
            Box::pin(async move {
                let mut i = 0;
                while i < n {
                    i = g8(i).await - 6;
                }
                i
            })
        },
    },
    Workload {
        name: "spawn and join",
        times: 1_000_000,
        program: "
async fn one(x) { return x + 1; }
async fn work(n) { let i = 0; while i < n { i = join(spawn one(i)).await; } return i; }",
        tokio: |n| {
            Box::pin(async move {
                let mut i = 0;
                while i < n {
                    i = tokio::spawn(async move { i + 1 }).await.expect("it ends");
                }
                i
            })
        },
    },
];

/// Nanoseconds that the compiled program ran.
fn compiled(workload: &Workload) -> f64 {
    let main = format!("{}\nasync fn main() {{ print(work({}).await); }}\n", workload.program, workload.times);
    let (run, _) = timed(&main, workload.times);
    run
}

/// Nanoseconds that a program ran, which prints `expected`, and the line on its size.
fn timed(program: &str, expected: i64) -> (f64, String) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench.zy");
    std::fs::write(&file, program).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_zyntax-cranelift")).arg("--timing").arg(&file).output();
    let output = output.expect("the compiler runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{expected}\n"));
    let timing = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = timing.lines().collect();
    let [size, run] = lines[..] else { panic!("two lines, not {timing}") };
    (run.split(' ').next().and_then(|number| number.parse().ok()).expect("a number"), size.into())
}

fn by_hand(workload: &Workload) -> f64 {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let start = Instant::now();
    let work = (workload.tokio)(workload.times);
    // A task, as `main` is one on the other side.
    let result = runtime.block_on(async { tokio::spawn(work).await }).expect("it ends");
    assert_eq!(result, workload.times, "{}", workload.name);
    start.elapsed().as_nanos() as f64
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    println!("{:32} {:>12} {:>12} {:>7}", "", "compiled", "Rust, Tokio", "ratio");
    for workload in &WORKLOADS {
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        compiled(workload); // warm
        for _ in 0..PAIRS {
            let (run, hand) = (compiled(workload), by_hand(workload));
            ours.push(run / workload.times as f64);
            theirs.push(hand / workload.times as f64);
            ratios.push(run / hand);
        }
        let (ours, theirs, ratio) = (median(&mut ours), median(&mut theirs), median(&mut ratios));
        println!("{:32} {ours:>9.1} ns {theirs:>9.1} ns {ratio:>7.2}", workload.name);
    }
    let (_, size) = timed(&many_awaits(), 202_700);
    println!("\n100 functions:  {size}");
    let (_, size) = timed(&one_wide_function(), 160_000 - 400);
    println!("1 function:     {size}");
}

/// A hundred functions with ten await points each.
fn many_awaits() -> String {
    let mut text = String::from("async fn id(x) { yield_now().await; return x; }\n");
    let mut main = String::from("async fn main() { let s = 0;\n");
    for function in 0..100 {
        text += &format!("async fn f{function}(a, b) {{ let x = a;\n");
        (0..10).for_each(|i| text += &format!("x = x + id(x + {i} * b).await - a;\n"));
        text += "return x; }\n";
        main += &format!("s = s + f{function}(1, 2).await;\n");
    }
    text + &main + "print(s); }\n"
}

/// A function with 400 variables that live across all of its 400 await points, of which each changes one.
fn one_wide_function() -> String {
    let lets: String = (0..400).map(|i| format!("let x{i} = {i};\n")).collect();
    let awaits: String = (0..400).map(|i| format!("x{i} = x{i} + id({i}).await;\n")).collect();
    let sum: String = (0..400).map(|i| format!("s = s + x{i};\n")).collect();
    let id = "async fn id(x) { yield_now().await; return x; }\n";
    format!("{id}async fn main() {{\n{lets}{awaits}let s = 0;\n{sum}print(s); }}\n")
}
