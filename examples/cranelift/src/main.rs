// SPDX-License-Identifier: Apache-2.0
//! Compiles a program of a small async language to poll functions and runs it on the Zyntax async runtime.
//!
//!     lex, parse    text to a syntax tree
//!     check         the meaning of every name; the mistakes
//!     flow          a graph of simple instructions, cut at the await points
//!     liveness      the values that live across each await
//!     calls         which functions can call each other in a circle
//!     homes         the values that are stored and loaded around an await
//!     layout        the state struct: the places of values
//!     codegen, body, ops    poll and drop functions, in Cranelift IR
//!     runtime, host         the functions that compiled code calls, and the driver

mod body;
mod builtins;
mod calls;
mod check;
mod codegen;
mod five;
mod flow;
mod homes;
mod host;
mod layout;
mod ledger;
mod lex;
mod liveness;
mod ops;
mod parse;
mod runtime;
mod set;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "zyntax-cranelift [--dump-state] [--dump-clif] [--backend zyntax|tokio|async-std] FILE";

/// Async recursion, like any other, takes stack: about 150 bytes for each level of a small function.
const STACK: usize = 256 << 20;

#[derive(Default)]
struct Options {
    file: Option<String>,
    backend: String,
    dump_state: bool,
    dump_clif: bool,
    /// For the tests: print the names that compiled code may import, one a line.
    imports: bool,
    /// For the tests: keep book of frames and tasks, and exit with 3 if any is left.
    check_leaks: bool,
    /// For the tests: end the program after so many polls.
    polls: Option<u64>,
    /// For the tests: the runtime's await budget; 0 is its own choice.
    await_budget: u32,
    /// Print how long compiling took and how large the code is.
    timing: bool,
}

fn options() -> Option<Options> {
    let mut options = Options { backend: "zyntax".into(), ..Options::default() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--dump-state" => options.dump_state = true,
            "--dump-clif" => options.dump_clif = true,
            "--check-leaks" => options.check_leaks = true,
            "--imports" => options.imports = true,
            "--timing" => options.timing = true,
            "--backend" => options.backend = args.next()?,
            "--await-budget" => options.await_budget = args.next()?.parse().ok()?,
            "--polls" => options.polls = Some(args.next()?.parse().ok()?),
            _ if options.file.is_none() && !arg.starts_with('-') => options.file = Some(arg),
            _ => return None,
        }
    }
    let known = ["zyntax", "tokio", "async-std"].contains(&options.backend.as_str());
    let hidden = options.check_leaks || options.polls.is_some();
    (known && options.file.is_some() && (options.backend == "zyntax" || !hidden)).then_some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        host::say(USAGE);
        return ExitCode::from(2);
    };
    // Everything runs in a thread that has stack enough.
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || match run(&options) {
        Ok(code) => code,
        Err(message) => {
            host::say(&message);
            ExitCode::FAILURE
        }
    });
    match thread.map(|thread| thread.join()) {
        Ok(Ok(code)) => code,
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(error) => {
            host::say(&format!("cannot start a thread: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, String> {
    let file = options.file.as_deref().expect("options() wants a file");
    let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let source = lex::Source::new(file, bytes)?;
    let start = Instant::now();

    let render = |error: lex::Error| source.render(&error);
    let functions = lex::lex(&source.text).and_then(parse::parse).map_err(render)?;
    let (flows, main) = flow::lower(&functions, &source).map_err(render)?;
    if options.backend != "zyntax" {
        five::check(&flows).map_err(|(line, message)| format!("{file}:{line}: {message}"))?;
    }
    let layouts = layout::layouts(&flows);

    let host = host::Program::new(file);
    let here = std::ptr::from_ref(&options) as usize; // about where this thread's stack begins
    host.stack_limit.set(here - STACK + codegen::STACK_RESERVE);
    let mut imports = runtime::imports();
    if options.backend != "zyntax" {
        five::stand_in(&mut imports);
    } else if options.check_leaks {
        ledger::stand_in(&mut imports);
    }
    imports.extend(host::imports());
    if options.imports {
        imports.iter().map(|import| import.name).chain(codegen::DATA).for_each(|name| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    let address = std::ptr::from_ref(&host).cast();
    let unit = codegen::compile((&flows, main), &layouts, &imports, address, options.dump_clif).map_err(render)?;

    if options.dump_state || options.dump_clif {
        let states = (0..flows.len()).filter_map(|index| layouts.describe(index)).collect::<Vec<_>>().join("\n");
        let text = if options.dump_state { states } else { String::new() } + unit.dump.as_deref().unwrap_or("");
        std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.timing {
        let awaits: usize = layouts.frames.iter().flatten().map(|frame| frame.spots.len()).sum();
        let nanoseconds = start.elapsed().as_nanos();
        eprintln!("{awaits} await points, {} bytes of code, {nanoseconds} ns to compile", unit.code_bytes);
    }

    let runtime = match options.backend.as_str() {
        "zyntax" => runtime::create(options.polls.map_or(0, |_| 1), options.await_budget)?,
        name => five::create(name)?,
    };
    host.runtime.set(runtime);
    let (poll, end, size) = unit.main();
    // SAFETY: every import has the types that the runtime's header gives its name.
    let driver = unsafe { runtime::Driver::new(&imports, runtime) };
    let start = Instant::now();
    let result = driver.run(poll, end, size, options.polls);
    if options.timing {
        eprintln!("{} ns to run", start.elapsed().as_nanos());
    }
    // SAFETY: the runtime is gone, with every task; nothing calls compiled code any more.
    unsafe { unit.module.free_memory() };
    result.map_err(|stop| {
        let spot = (stop.state_id as usize).checked_sub(1).map(|number| &layouts.frame_of(main).spots[number]);
        format!("{file}:{}: {}", spot.map_or(flows[main].line, |spot| spot.point.line), stop.message)
    })?;
    if options.check_leaks {
        match ledger::report() {
            Ok(report) => host::say(&format!("{report}, {} with a value", host.tasks())),
            Err(mistakes) => {
                host::say(&format!("leak check: {mistakes}"));
                return Ok(ExitCode::from(3));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
