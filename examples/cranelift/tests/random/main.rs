// SPDX-License-Identifier: Apache-2.0
//! Random programs have the output that an interpreter predicts, also without their awaits. They leave nothing behind,
//! also when they are ended at a random poll.
//!
//!     ZYNTAX_RANDOM_SECONDS   how long; 4
//!     ZYNTAX_RANDOM_SEED      the first program's number; 1

#[path = "../common/mod.rs"]
mod common;
mod interpret;
mod program;

use std::time::{Duration, Instant};

use common::{run_text, Ran};
use program::{make, text, Program, Random, Stmt};

enum Verdict {
    Fine,
    /// It says nothing: it takes too long, or is none that the compiler takes.
    Useless,
    Wrong(String),
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn random_programs() {
    let (first, seconds) = (number("ZYNTAX_RANDOM_SEED", 1), number("ZYNTAX_RANDOM_SECONDS", 4));
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut seed, mut fine) = (first, 0);
    while fine == 0 || Instant::now() < end {
        let program = make(&mut Random(seed));
        match check(&program, seed, true) {
            Verdict::Fine => fine += 1,
            Verdict::Useless => {}
            Verdict::Wrong(what) => {
                let (program, what) = smallest(program, what, seed);
                panic!("{what}\n{}\nZYNTAX_RANDOM_SEED={seed} makes it", text(&program, false));
            }
        }
        seed += 1;
    }
    println!("{fine} of {} programs were of use", seed - first);
}

/// `strict`: the compiler has to take it.
fn check(program: &Program, seed: u64, strict: bool) -> Verdict {
    let Some(expected) = interpret::run(program) else { return Verdict::Useless };
    let run = |plain: bool, options: &[&str]| run_text("random", &text(program, plain), options);
    let budget = (seed % 3).to_string(); // 0: the runtime's own
    let whole = run(false, &["--check-leaks", "--await-budget", &budget]);
    if whole.code == 1 && whole.out.is_empty() && whole.err.contains("expected") && !strict {
        return Verdict::Useless;
    }
    if let Some(wrong) = difference("the program", &whole, |out| out == expected) {
        return Verdict::Wrong(wrong);
    }
    if !program.has_closures {
        if let Some(wrong) = difference("the program without awaits", &run(true, &[]), |out| out == expected) {
            return Verdict::Wrong(wrong);
        }
    }
    let mut random = Random(seed ^ 1 << 63);
    let most = 2 << random.below(9);
    let polls = random.below(most).to_string();
    let what = format!("the program, ended after {polls} polls,");
    match difference(&what, &run(false, &["--check-leaks", "--await-budget", &budget, "--polls", &polls]), |out| {
        expected.starts_with(out)
    }) {
        Some(wrong) => Verdict::Wrong(wrong),
        None => Verdict::Fine,
    }
}

fn difference(what: &str, ran: &Ran, fits: impl Fn(&str) -> bool) -> Option<String> {
    let fine = ran.code == 0 && fits(&ran.out);
    (!fine).then(|| format!("{what} ends with {} and prints\n{}{}", ran.code, ran.out, ran.err))
}

/// Leaves out statements for as long as something is wrong.
fn smallest(mut program: Program, mut what: String, seed: u64) -> (Program, String) {
    let mut next = 0;
    loop {
        let (mut smaller, mut count) = (program.clone(), next);
        if !smaller.functions.iter_mut().any(|function| leave_out(&mut function.body, &mut count)) {
            return (program, what);
        }
        match check(&smaller, seed, false) {
            Verdict::Wrong(still) => (program, what) = (smaller, still),
            Verdict::Fine | Verdict::Useless => next += 1,
        }
    }
}

/// Leaves the statement of that number out, if there is one.
fn leave_out(body: &mut Vec<Stmt>, count: &mut usize) -> bool {
    for index in 0..body.len() {
        if *count == 0 {
            body.remove(index);
            return true;
        }
        *count -= 1;
        let done = match &mut body[index] {
            Stmt::If(_, then, otherwise) | Stmt::Try(then, otherwise) => {
                leave_out(then, count) || leave_out(otherwise, count)
            }
            Stmt::Scope(body) | Stmt::Repeat(.., body) | Stmt::For(.., body) | Stmt::Closure(.., body) => {
                leave_out(body, count)
            }
            _ => false,
        };
        if done {
            return true;
        }
    }
    false
}
