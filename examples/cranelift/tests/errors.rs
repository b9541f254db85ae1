// SPDX-License-Identifier: Apache-2.0
//! The messages about wrong programs, word by word.

mod common;

use common::{backends, compiler, run_file, run_text};

/// The message and the column for a program of one line, `text`.
#[track_caller]
fn refused(name: &str, text: &str, column: usize, message: &str) {
    let ran = run_text(name, text, &[]);
    let mark = " ".repeat(column - 1);
    let expected = format!("{name}.zy:1:{column}: {message}\n    {text}\n    {mark}^\n");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, "", expected.as_str()));
}

#[track_caller]
fn refused_in_main(name: &str, body: &str, column: usize, message: &str) {
    refused(name, &format!("async fn main() {{ {body} }}"), column + 18, message);
}

#[test]
fn lexical() {
    refused("lex1", "fn f() { return 1 # 2; }", 19, "expected a name, a number or an operator, found `#`");
    refused("lex2", "fn f() { return 12ab; }", 17, "expected a decimal number, found `12ab`");
    refused(
        "lex3",
        "fn f() { return 9223372036854775808; }",
        17,
        "expected a number up to 9223372036854775807, found `9223372036854775808`",
    );
}

#[test]
fn syntax() {
    refused("syn1", "fn f( { }", 7, "expected a parameter's name, found `{`");
    refused("syn2", "fn f() { let x 1; }", 16, "expected `=` after the variable's name, found `1`");
    refused("syn3", "fn f() { x = 1 }", 16, "expected `;` after the statement, found `}`");
    refused("syn4", "fn f() { if }", 13, "expected an expression, found `}`");
    refused("syn5", "fn f() { x(1; }", 13, "expected `)` or `,` after an element of the list, found `;`");
    refused("syn6", "fn f() { x().wait; }", 14, "expected `await` after `.`, found `wait`");
    refused("syn7", "let x = 1;", 1, "expected `fn`, `async fn` or `async iter`, found `let`");
    refused("syn8", "fn f() { for x of y() { } }", 16, "expected `in` after the loop's variable, found `of`");
    refused("syn9", "async f() { }", 7, "expected `fn` or `iter` after `async`, found `f`");
    refused("syn12", "fn f() { try { } }", 18, "expected `finally` after the block of `try`, found `}`");
    refused("syn13", "fn f() { scope { } }", 10, "`scope` is not allowed in a plain `fn`");
    let ran = run_text("syn10", "fn f() {\n\tlet x = 1;\n", &[]);
    assert_eq!(ran.err, "syn10.zy:3:1: expected `}` at the end of the block, found the end of the file\n    \n    ^\n");
    let ran = run_text("syn11", "fn f() {\n\tx = é;\n}", &[]);
    assert_eq!(
        ran.err,
        "syn11.zy:2:6: expected a name, a number or an operator, found `é`\n    \tx = é;\n    \t    ^\n"
    );
}

#[test]
fn nesting() {
    let deep = format!("async fn main() {{ print({}1{}); }}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(run_text("deep1", &deep, &[]).err.contains("expected at most 1000 levels of nesting"));
    let long = format!("async fn main() {{ print(1{}); }}", "+1".repeat(100_000));
    assert!(run_text("deep2", &long, &[]).err.contains("expected at most 1000 levels of nesting"));
    let fine = format!("async fn main() {{ print(1{}); }}", "+1".repeat(900));
    assert_eq!(run_text("deep3", &fine, &[]).out, "901\n");
}

#[test]
fn names() {
    refused_in_main("name1", "print(x);", 7, "unknown variable `x`");
    refused_in_main("name2", "x = 1;", 1, "unknown variable `x`");
    refused_in_main("name3", "f();", 1, "unknown function `f`");
    refused_in_main("name4", "print(main);", 7, "expected a variable, found function `main`");
    refused_in_main("name5", "if 1 { let x = 1; } print(x);", 27, "unknown variable `x`");
    refused("name6", "fn f() { } fn f() { }", 15, "function `f` is already defined");
    refused("name7", "fn print(x) { }", 4, "function `print` is already defined");
    refused("name8", "fn f(a, a) { } async fn main() { }", 9, "parameter `a` is already defined");
    refused("name9", "fn f() { }", 1, "missing function `async fn main()`");
    refused("name10", "fn main() { }", 4, "`main` must be `async fn main()`, without parameters");
    refused_in_main("name11", "let x = x;", 9, "unknown variable `x`");
}

#[test]
fn types() {
    refused_in_main("type1", "print(1, 2);", 1, "expected 1 argument for `print`, found 2");
    refused_in_main("type2", "select(1).await;", 1, "expected 2 arguments for `select`, found 1");
    refused("type3", "fn f() { sleep_ms(1).await; }", 21, "`.await` is not allowed in a plain `fn`");
    refused_in_main("type4", "yield 1;", 1, "`yield` is only allowed in an `async iter`");
    refused_in_main(
        "type5",
        "print(1).await;",
        9,
        "expected an async call before `.await`, found plain function `print`",
    );
    refused_in_main("type6", "1.await;", 2, "expected an async call before `.await`");
    refused_in_main("type7", "sleep_ms(1);", 1, "expected `sleep_ms(…).await`, as `sleep_ms` is async");
    refused(
        "type8",
        "async fn f() { } async fn main() { f(); }",
        36,
        "expected `f(…).await` or `spawn f(…)`, as `f` is async",
    );
    refused(
        "type9",
        "async iter f() { } async fn main() { f(); }",
        38,
        "expected `for x in f(…)`, as `f` is an iterator",
    );
    refused(
        "type10",
        "async iter f() { } async fn main() { f().await; }",
        41,
        "expected `for`, not `.await`, to consume an iterator",
    );
    refused_in_main("type11", "for x in main() { }", 10, "expected an async iterator, found `main`");
    refused_in_main(
        "type12",
        "spawn print(1);",
        7,
        "expected an async function or closure after `spawn`, found `print`",
    );
    refused("type13", "fn f() { for x in g() { } } async fn main() { }", 19, "`for` is not allowed in a plain `fn`");
}

/// Ends at line 3 with a message and exit code 1, after its output.
#[track_caller]
fn fails(name: &str, line3: &str, out: &str, message: &str) {
    let text =
        format!("async fn main() {{\n    let zero = 0; let least = -9223372036854775807 - 1; print(7);\n{line3}\n}}\n");
    let ran = run_text(name, &text, &[]);
    assert_eq!((ran.code, ran.out, ran.err), (1, format!("7\n{out}"), format!("{name}.zy:3: {message}\n")));
}

#[test]
fn at_run_time() {
    fails("run1", "print(1 / zero);", "", "division by zero");
    fails("run2", "print(1 % zero);", "", "division by zero");
    fails("run3", "print(least / -1);", "", "overflow: the quotient does not fit in 64 bits");
    fails("run4", "print(least % (zero - 1));", "", "overflow: the quotient does not fit in 64 bits");
    fails("run5", "zero(1).await;", "", "expected a closure to call, found 0");
    fails(
        "run6",
        "let f = async |x| { return x; }; f(1, 2).await;",
        "",
        "expected 1 argument for the closure, found 2",
    );
    fails("run7", "join(5).await;", "", "expected a task, found 5");
    fails("run8", "tcp_connect(65536).await;", "", "expected a port from 0 to 65535");
    fails("run9", "print(1 / 0);", "", "division by zero");
    fails("run10", "cancel(least);", "", "expected a task, found -9223372036854775808");
    fails("run11", "spawn zero(1);", "", "expected a closure to call, found 0");
}

#[test]
fn waits_that_never_end() {
    let ran =
        run_text("stall", "async fn main() {\n    let c = channel(1); yield_now().await;\n    recv(c).await;\n}", &[]);
    assert_eq!((ran.code, ran.err.as_str()), (1, "stall.zy:3: deadlock: nothing can end the wait of `main`\n"));
}

/// A task that waits for itself: join, timeout and select give the same message, on every backend.
#[test]
fn a_task_that_waits_for_itself() {
    for backend in backends() {
        for (number, wait) in ["join(me).await", "timeout(me, 1000).await", "select(me, me).await"].iter().enumerate() {
            let text = format!(
                "async fn f(c) {{ let me = recv(c).await; yield_now().await;\n    print({wait}); }}\n\
                 async fn main() {{ let c = channel(1); let t = spawn f(c); send(c, t).await; join(t).await; }}"
            );
            let name = format!("itself_{backend}_{number}");
            let ran = run_text(&name, &text, &["--backend", backend]);
            let expected = format!("{name}.zy:2: a task cannot wait for itself\n");
            assert_eq!((ran.code, ran.out.as_str(), ran.err), (1, "", expected));
        }
        let text = "async fn id(x) { yield_now().await; return x; }
            async fn f(c) { let me = recv(c).await; print(select(me, spawn id(1)).await); print(cancel(me)); }
            async fn main() { let c = channel(1); let t = spawn f(c); send(c, t).await; print(join(t).await); }";
        let ran = run_text(&format!("itself_{backend}_other"), text, &["--backend", backend]);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "1\n0\n0\n", ""));
    }
}

/// A mark of the byte order is no part of the text.
#[test]
fn files() {
    let ran = run_text("mark", "\u{feff}async fn main() { print(1); }", &[]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "1\n", ""));
    let ran = run_text("mark2", "\u{feff}async fn main() { print(x); }", &[]);
    assert!(ran.err.starts_with("mark2.zy:1:25: unknown variable"), "{}", ran.err);
    let ran = run_text("mark3", "async fn main() { \u{feff} }", &[]);
    assert!(ran.err.starts_with("mark3.zy:1:19: expected a name"), "{}", ran.err);
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(folder.join("latin.zy"), b"fn f() {\n    let \xe9 = 1;\n}").expect("a file");
    let ran = run_file(&folder, "latin.zy", &[]);
    assert_eq!(ran.err, "latin.zy:2:9: expected text in UTF-8\n        let \u{fffd} = 1;\n            ^\n");
    std::fs::write(folder.join("short.zy"), b"\xef\xbb").expect("a file");
    assert_eq!(run_file(&folder, "short.zy", &[]).err, "short.zy:1:1: expected text in UTF-8\n    \u{fffd}\n    ^\n");
}

#[test]
fn stack() {
    let out_of_stack = "out of stack: calls are nested too deeply\n";
    for (name, text) in [
        ("stack1", "fn f(x) { return 1 + f(x); } async fn main() { print(f(1)); }"),
        ("stack2", "async fn f(x) { return 1 + f(x).await; } async fn main() { print(f(1).await); }"),
        ("stack3", "async fn main() { let f = async |f| { return 1 + f(f).await; }; print(f(f).await); }"),
        ("stack4", "async iter f(x) { for y in f(x) { yield y; } } async fn main() { for x in f(1) { print(x); } }"),
    ] {
        let ran = run_text(name, text, &[]);
        assert_eq!((ran.code, ran.err), (1, format!("{name}.zy:1: {out_of_stack}")));
    }
}

/// Functions with large frames, each called by the next: their arguments for `many` are on the stack.
fn wide(count: usize, args: usize) -> String {
    let params: String = (0..args).map(|i| format!("p{i},")).collect();
    let sum: String = (0..100).map(|i| format!(" + p{}", i * args / 100)).collect();
    let passed: String = (0..args).map(|i| format!("a + {i},")).collect();
    let function = |number: usize| {
        let inner = if number == 0 { "a".into() } else { format!("wide{}(a + 1)", number - 1) };
        format!("fn wide{number}(a) {{ return many({passed}) + {inner}; }}\n")
    };
    let many = format!("fn many({params}) {{ return 0{sum}; }}\n");
    (0..count).map(function).fold(many, |text, function| text + &function)
}

/// Large frames on the last of the stack end the program with the message, however near to the end they come.
#[test]
fn large_frames() {
    for (name, step, deep) in [
        (
            "frames1",
            2000,
            "fn deep(n) { if n % STEP == 0 { wide99(n); } return 1 + deep(n + 1); }
            async fn main() { deep(1); }",
        ),
        (
            "frames2",
            700,
            "async fn deep(n) { if n % STEP == 0 { wide99(n); } return 1 + deep(n + 1).await; }
            async fn main() { deep(1).await; }",
        ),
    ] {
        let ran = run_text(name, &(wide(100, 500) + &deep.replace("STEP", &step.to_string())), &[]);
        let message = ran.err.split_once(": ").map(|(_, message)| message);
        assert_eq!(
            (ran.code, message),
            (1, Some("out of stack: calls are nested too deeply\n")),
            "{name}: {}",
            ran.err
        );
    }
}

#[test]
fn a_frame_that_is_too_large() {
    let lets: String = (0..1000).map(|i| format!("let v{i} = a + {i}; ")).collect();
    let sum: String = (0..990).map(|i| format!(" + v{i}")).collect();
    let closures: String = (0..34).map(|i| format!("let c{i} = async || {{ return 0{sum}; }}; ")).collect();
    let text = format!("fn f(a) {{ {lets}{closures}return c1; }}\nasync fn main() {{ print(f(1)); }}");
    let ran = run_text("frames3", &text, &[]);
    let expected = "frames3.zy:1:4: `f` cannot be compiled: its stack frame exceeds 256 KiB: too many live values\n";
    assert!(ran.code == 1 && ran.err.starts_with(expected), "{}", &ran.err[..ran.err.len().min(200)]);
}

#[test]
fn command_line() {
    let output = compiler().arg("--backend").arg("nonsense").arg("x.zy").output().expect("the compiler runs");
    assert_eq!(output.status.code(), Some(2));
    let output = compiler().arg("no-such-file.zy").output().expect("the compiler runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("no-such-file.zy: "));
}

/// Under a limit of address space a program that takes ever more ends with a message.
#[cfg(target_os = "linux")]
#[test]
fn out_of_memory() {
    let programs = [
        ("memory1", "async fn f() { sleep_ms(1000000).await; } async fn main() { while 1 { let t = spawn f(); } }"),
        ("memory2", "async fn main() { let x = 1; while 1 { let f = async || { return x; }; } }"),
        ("memory3", "async fn main() { while 1 { channel(1000000); } }"),
        ("memory4", "async fn main() { print(channel(9223372036854775807)); }"),
    ];
    for (name, text) in programs {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.zy"));
        std::fs::write(&file, text).expect("a file");
        let limited = format!("ulimit -v 900000 && exec {} {name}.zy", compiler().get_program().to_string_lossy());
        let output =
            std::process::Command::new("sh").args(["-c", &limited]).current_dir(env!("CARGO_TARGET_TMPDIR")).output();
        let output = output.expect("a shell");
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("{name}.zy:1: out of memory\n"));
    }
}
