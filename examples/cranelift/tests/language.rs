// SPDX-License-Identifier: Apache-2.0
//! The output of programs, under the leak check.

mod common;

use common::{run_file, run_text, samples};

/// An async `id`, which waits, and further functions for the cases.
const PRELUDE: &str = "
async fn id(x) { yield_now().await; return x; }
async fn loud(x) { print(x); yield_now().await; return x; }
fn say(x) { print(x); return x; }
";

#[track_caller]
fn prints(name: &str, text: &str, expected: &[i64]) {
    let text = format!("{PRELUDE}{text}");
    let expected: String = expected.iter().map(|number| format!("{number}\n")).collect();
    // With a budget of one, every second await point that would be ready at once is pending.
    for options in [&["--check-leaks"][..], &["--check-leaks", "--await-budget", "1"]] {
        let ran = run_text(name, &text, options);
        assert_eq!((ran.code, ran.out.as_str()), (0, expected.as_str()), "{options:?}: {}", ran.err);
    }
}

#[track_caller]
fn main_prints(name: &str, body: &str, expected: &[i64]) {
    prints(name, &format!("async fn main() {{ {body} }}"), expected);
}

#[test]
fn operators() {
    main_prints("op1", "print(1 + 2 * 3 - 8 / 2 % 3); print(-7 / 2); print(-7 % 2); print(- -3);", &[6, -3, -1, 3]);
    main_prints(
        "op2",
        "print(1 < 2); print(2 <= 1); print(2 > 1); print(1 >= 2); print(1 == 1); print(1 != 1);",
        &[1, 0, 1, 0, 1, 0],
    );
    main_prints(
        "op3",
        "print(!5); print(!0); print(2 && 3); print(0 || 7); print(0 || 0); print(!(1 && 0));",
        &[0, 1, 1, 1, 0, 1],
    );
    main_prints(
        "wraps",
        "print(9223372036854775807 + 1); print(-9223372036854775808 - 1); print(4611686018427387904 * 4);",
        &[i64::MIN, i64::MAX, 0],
    );
    main_prints(
        "divide_by_constant",
        "let x = -9223372036854775808; print(x / 2); print(x % 10);",
        &[i64::MIN / 2, -8],
    );
}

#[test]
fn statements() {
    main_prints("ifs", "if 0 { print(1); } else if 1 { print(2); } else { print(3); } if 5 { print(4); }", &[2, 4]);
    main_prints("whiles", "let i = 0; while i < 3 { i = i + 1; if i == 2 { print(i); } } print(i);", &[2, 3]);
    main_prints(
        "shadow",
        "let x = 1; if 1 { let x = 2; print(x); x = 3; } print(x); let x = x + 10; print(x);",
        &[2, 1, 11],
    );
    main_prints("comment", "// nothing\nprint(1); // print(2);\n// end\n", &[1]);
    prints("zero", "fn f() { } async fn g() { } async fn main() { print(f()); print(g().await); return; }", &[0, 0]);
    prints(
        "fib",
        "fn fib(n) { if n < 2 { return n; } return fib(n - 1) + fib(n - 2); } async fn main() { print(fib(20)); }",
        &[6765],
    );
    prints("after_return", "fn f() { return 1; print(2); } async fn main() { print(f()); return; id(1).await; }", &[1]);
    prints(
        "many",
        "fn f(a,b,c,d,e,f,g,h,i,j) { return a-b+c-d+e-f+g-h+i*j; } async fn main() { print(f(1,2,3,4,5,6,7,8,9,10)); }",
        &[86],
    );
}

#[test]
fn awaits_anywhere() {
    main_prints("operands", "print(id(1).await + id(2).await * id(3).await);", &[7]);
    main_prints("order", "print(loud(1).await - say(2) + loud(3).await);", &[1, 2, 3, 2]);
    main_prints("order2", "print(say(1) - (say(2) - loud(3).await));", &[1, 2, 3, 2]);
    prints(
        "arguments",
        "fn f(a, b, c) { return a * 100 + b * 10 + c; } async fn main() { print(f(id(1).await, 2, id(3).await)); }",
        &[123],
    );
    main_prints("nested_arguments", "print(id(id(id(4).await).await + id(1).await).await);", &[5]);
    main_prints(
        "conditions",
        "let i = 0; while id(i).await < id(3).await { if id(i).await == 1 { print(i); } i = i \
        + id(1).await; } print(i);",
        &[1, 3],
    );
    main_prints(
        "and_or",
        "print(loud(0).await && loud(1).await); print(loud(2).await && loud(3).await); \
        print(loud(4).await || loud(5).await); print(loud(0).await || loud(6).await);",
        &[0, 0, 2, 3, 1, 4, 1, 0, 6, 1],
    );
    main_prints(
        "and_or_branch",
        "if id(1).await && (id(0).await || id(1).await) && !id(0).await { print(1); } else { print(2); }",
        &[1],
    );
    main_prints("unary", "print(-id(5).await); print(!id(5).await);", &[-5, 0]);
    prints("return", "async fn f(x) { return id(x).await + 1; } async fn main() { return print(f(1).await); }", &[2]);
    main_prints("assigned", "let x = 1; x = x + id(x).await; let y = x; x = id(7).await; print(x * 10 + y);", &[72]);
    main_prints("spawned", "let t = spawn id(id(3).await); print(join(t).await + join(spawn id(4)).await);", &[7]);
}

#[test]
fn calls_that_nest() {
    prints(
        "recursive",
        "async fn down(n) { if n == 0 { return 0; } yield_now().await; return 1 + down(n - \
        1).await; } async fn main() { print(down(50).await); }",
        &[50],
    );
    prints(
        "mutual",
        "async fn even(n) { if n == 0 { return 1; } return odd(n - 1).await; } async fn odd(n) { if n \
        == 0 { return 0; } yield_now().await; return even(n - 1).await; } async fn main() { \
        print(even(101).await); }",
        &[0],
    );
    prints(
        "deep",
        "async fn down(n) { if n == 0 { return 0; } return 1 + down(n - 1).await; } async fn main() { \
        print(down(100000).await); }",
        &[100000],
    );
    prints(
        "two_places",
        "async fn f(x) { return id(x).await + id(x + 1).await; } async fn main() { \
        print(f(1).await + f(10).await + id(100).await); }",
        &[124],
    );
    prints(
        "argument_changes",
        "async fn f(x) { x = x + 1; yield_now().await; x = x * 2; yield_now().await; return \
        x; } async fn main() { print(f(4).await); }",
        &[10],
    );
}

#[test]
fn tasks() {
    main_prints("join_twice", "let t = spawn id(5); print(join(t).await + join(t).await);", &[10]);
    main_prints("canceled", "let t = spawn id(5); cancel(t); print(join(t).await); print(cancel(t));", &[0, -116]);
    main_prints("select", "let a = spawn id(1); let b = spawn id(9); print(select(b, a).await);", &[0]);
    main_prints("left", "spawn loud(1); spawn id(2); yield_now().await; yield_now().await;", &[1]);
    main_prints("timeouts", "print(timeout(spawn id(1), 1000).await);", &[1]);
    prints(
        "late",
        "async fn slow() { sleep_ms(60000).await; print(0); } async fn main() { print(timeout(spawn \
        slow(), 1).await); }",
        &[0],
    );
    main_prints("sleep", "sleep_ms(0).await; sleep_ms(-5).await; sleep_ms(1).await; print(1);", &[1]);
    main_prints(
        "blocking",
        "print(blocking_add(2, 3).await + blocking_add(-9223372036854775808, -1).await);",
        &[i64::MIN + 4],
    );
    prints(
        "plain_spawns",
        "fn start(x) { return spawn id(x); } async fn main() { print(join(start(3)).await); }",
        &[3],
    );
}

#[test]
fn channels() {
    main_prints(
        "ends",
        "let c = channel(2); print(send(c, 1).await); send(c, -9).await; close_channel(c); \
        print(recv(c).await); print(recv(c).await); print(recv(c).await); print(send(c, 1).await);",
        &[0, 1, -9, -1, -32],
    );
    main_prints(
        "no_channel",
        "print(recv(5).await); print(send(0, 1).await); print(channel(0)); \
        print(channel(-1)); print(close_channel(7));",
        &[-116, -116, -22, -22, -116],
    );
    main_prints(
        "no_socket",
        "print(read_byte(5).await); print(write_byte(1, 2).await); print(accept(0).await); \
        print(port(3)); print(close(3));",
        &[-116, -116, -116, -116, -116],
    );
}

#[test]
fn closures() {
    main_prints(
        "capture",
        "let k = 1; let f = async |x| { return x + k; }; k = 2; print(f(10).await); print(k);",
        &[11, 2],
    );
    main_prints(
        "own_copy",
        "let k = 1; let f = async || { k = k + 1; yield_now().await; return k; }; \
        print(f().await); print(f().await); print(k);",
        &[2, 2, 1],
    );
    main_prints(
        "nested",
        "let a = 1; let f = async |b| { let c = 3; return async |d| { return a * 1000 + b * 100 + \
        c * 10 + d; }; }; let g = f(2).await; print(g(4).await);",
        &[1234],
    );
    main_prints(
        "in_loop",
        "let i = 0; let sum = 0; while i < 3 { let f = async || { yield_now().await; return i; \
        }; sum = sum * 10 + f().await; i = i + 1; } print(sum);",
        &[12],
    );
    main_prints(
        "spawned_closure",
        "let k = 5; let f = async |x| { yield_now().await; return x * k; }; print(join(spawn f(3)).await);",
        &[15],
    );
    main_prints(
        "shadowed_parameter",
        "let x = 1; let f = async |x| { let y = x; if 1 { let x = 9; y = y + x; } return y; }; print(f(5).await);",
        &[14],
    );
}

#[test]
fn iterators() {
    let range = "async iter range(a, b) { while a < b { yield a; a = a + 1; } }";
    prints(
        "range",
        &format!("{range} async fn main() {{ for x in range(id(1).await, 4) {{ print(id(x).await); }} }}"),
        &[1, 2, 3],
    );
    prints(
        "returns",
        &format!(
            "{range} async fn f() {{ for x in range(0, 9) {{ for y in range(x, 9) {{ if x * y == \
        6 {{ return x * 10 + y; }} }} }} }} async fn main() {{ print(f().await); }}"
        ),
        &[16],
    );
    prints(
        "iter_return",
        "async iter f() { yield 1; return; yield 2; } async fn main() { for x in f() { print(x); } }",
        &[1],
    );
    prints(
        "recursive_iter",
        "async iter tree(n) { if n > 0 { for x in tree(n - 1) { yield x; } yield n; for x in \
        tree(n - 1) { yield x; } } } async fn main() { for x in tree(3) { print(x); } }",
        &[1, 2, 1, 3, 1, 2, 1],
    );
    prints(
        "iter_spawned",
        &format!(
            "{range} async fn sum(n) {{ let s = 0; for x in range(0, n) {{ s = s + \
        id(x).await; }} return s; }} async fn main() {{ let a = spawn sum(5); let b = spawn sum(10); \
        print(join(a).await + join(b).await); }}"
        ),
        &[55],
    );
    prints(
        "in_closure",
        &format!(
            "{range} async fn main() {{ let n = 3; let f = async || {{ let s = 0; for x in \
        range(0, n) {{ s = s + x; }} return s; }}; print(f().await); }}"
        ),
        &[3],
    );
}

/// A task is cancelled at each of its await points in turn; the values that it holds there are dropped once.
#[test]
fn canceled_everywhere() {
    let text = "
async iter numbers(n) { while n > 0 { yield_now().await; yield n; yield_now().await; n = n - 1; } }
async fn deep(n) { yield_now().await; if n > 0 { deep(n - 1).await; } yield_now().await; return n; }
async fn work(c) {
    let f = async |x| { yield_now().await; deep(x).await; yield_now().await; return x; };
    for x in numbers(2) {
        for y in numbers(x) { id(f(y).await + deep(y).await).await; }
        scope { spawn deep(x); scope { try { deep(x).await; } finally { spawn deep(1); yield_now().await; } } }
    }
    let child = spawn deep(3);
    print(join(child).await + (id(1).await && id(2).await));
    send(c, 1).await;
    send(c, 2).await;
    sleep_ms(60000).await;
}
async fn main() {
    let c = channel(1);
    let t = spawn work(c);
    let i = 0;
    while i < POLLS { yield_now().await; i = i + 1; }
    cancel(t);
    yield_now().await;
    print(-1);
}";
    for polls in 0..110 {
        let text = format!("{PRELUDE}{}", text.replace("POLLS", &polls.to_string()));
        let ran = run_text("canceled_everywhere", &text, &["--check-leaks"]);
        assert_eq!((ran.code, ran.out.ends_with("-1\n")), (0, true), "{polls} polls: {}", ran.err);
        assert_eq!(ran.out.starts_with("4\n"), polls >= 82, "{polls} polls: {}", ran.out);
    }
}

/// A task that never has to wait is made to wait now and then by the runtime's await budget: an await point is pending
/// although nothing was begun. It is asked again, with the same arguments, and nothing happens twice.
#[test]
fn awaits_that_are_ready_at_once() {
    main_prints(
        "ready_channel",
        "let c = channel(7); let i = 0; let s = 0;
         while i < 1000 { send(c, i).await; s = s + recv(c).await * 3; i = i + 1; }
         let more = channel(1000); while i > 0 { i = i - 1; send(more, i).await; } close_channel(more);
         let v = recv(more).await; while v >= 0 { s = s + v; v = recv(more).await; } print(s);",
        &[4 * 499_500],
    );
    main_prints(
        "ready_tasks",
        "let t = spawn id(3); join(t).await; let i = 0; let s = 0;
         while i < 1000 { s = s + join(t).await + select(t, t).await + timeout(t, 1000).await;
         sleep_ms(0).await; i = i + 1; } print(s);",
        &[4000],
    );
    prints(
        "ready_calls",
        "async iter items(c, n) { while n > 0 { yield recv(c).await; n = n - 1; } }
         async fn one(c, x) { send(c, x).await; let y = x; for z in items(c, 1) { y = y + z; } return y; }
         async fn main() { let c = channel(1); let a = 1; let s = 0;
             while a <= 300 { let f = async |x| { return one(c, x).await; };
                 s = s + one(c, a).await + f(a).await; a = a + 1; }
             print(s); }",
        &[4 * 45_150],
    );
}

/// A program's functions have names of their own, also when the runtime, the host, the compiler and the C library call
/// theirs: here they have all of these, in each color, and all that is built in still works.
#[test]
fn names_of_the_runtime() {
    let text = run_file(&samples(), "readme.zy", &["--imports"]).out;
    let mut names: Vec<&str> = text.lines().collect();
    assert!(names.contains(&"zyntax_state_alloc") && names.contains(&"zy_closure_new") && names.contains(&"localhost"));
    names.extend([
        "malloc",
        "free",
        "memcpy",
        "memset",
        "memmove",
        "memcmp",
        "floor",
        "u0",
        "fn0",
        "userextname0",
        "exit",
    ]);
    let body = "async iter two() { yield 1; yield 2; }
async fn late() { sleep_ms(60000).await; }
async fn echo(l) { let c = accept(l).await; write_byte(c, read_byte(c).await).await; close(c); }
async fn main() {
    let n = 0; let k = 5;
    let c = channel(1);
    spawn id(1);
    for x in two() { n = n + x + id(x).await; }
    let f = async |x| { yield_now().await; return x * k; };
    n = n + f(2).await + join(spawn f(3)).await + blocking_add(1, 2).await;
    send(c, n).await;
    n = recv(c).await;
    close_channel(c);
    let t = spawn late();
    print(timeout(t, 1).await + join(t).await + select(t, t).await);
    let l = tcp_listen(0);
    spawn echo(l);
    let s = tcp_connect(port(l)).await;
    write_byte(s, 7).await;
    print(read_byte(s).await);
    print(n);
    print(CALLS);
}";
    let sum = (0..names.len() as i64).sum();
    for (number, color) in ["fn", "async fn", "async iter"].iter().enumerate() {
        let results = |number: usize| {
            if *color == "async iter" {
                format!("yield {number};")
            } else {
                format!("return {number};")
            }
        };
        let functions: String = names
            .iter()
            .enumerate()
            .map(|(index, name)| format!("{color} {name}() {{ {} }}\n", results(index)))
            .collect();
        let call = match *color {
            "fn" => names.iter().map(|name| format!("{name}()")).collect::<Vec<_>>().join(" + "),
            "async fn" => names.iter().map(|name| format!("{name}().await")).collect::<Vec<_>>().join(" + "),
            _ => "all().await".into(),
        };
        let all: String = names.iter().map(|name| format!("for x in {name}() {{ s = s + x; }}\n")).collect();
        let all = if *color == "async iter" {
            format!("async fn all() {{ let s = 0;\n{all}return s; }}\n")
        } else {
            String::new()
        };
        let text = format!("{functions}{all}{}", body.replace("CALLS", &call));
        prints(&format!("names{number}"), &text, &[0, 7, 34, sum]);
    }
}

/// The code of an await point does not grow with the number of values that live across it.
#[test]
fn code_for_an_await_among_many_variables() {
    let bytes = |name: &str, variables: usize, begin: &str, end: &str| {
        let lets: String = (0..variables).map(|i| format!("let x{i} = {i}; ")).collect();
        let awaits: String = (0..400)
            .map(|i| format!("{begin} x{0} = x{0} + id({i}).await; {end}", i % variables))
            .map(|text| text + "\n")
            .collect();
        let sum: String = (0..variables).map(|i| format!("s = s + x{i}; ")).collect();
        let text = format!("{PRELUDE}async fn main() {{ let n = 1; let s = 0; {lets}{awaits}{sum}print(s); }}");
        let ran = run_text(name, &text, &["--timing"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let sizes: Vec<usize> = ran.err.split(' ').filter_map(|word| word.parse().ok()).collect();
        sizes[1] / sizes[0]
    };
    for (name, begin, end) in
        [("straight", "", ""), ("branch", "if n {", "}"), ("loop", "while s < 1 { s = s + 1;", "} s = 0;")]
    {
        let (few, many) = (bytes(name, 4, begin, end), bytes(name, 400, begin, end));
        assert!(many < few * 3 / 2, "{name}: {few} bytes among 4 variables, {many} among 400");
    }
}

#[test]
fn large_programs() {
    let lets: String = (0..3000).map(|i| format!("let x{i} = {i} + a; ")).collect();
    let sum: String = (0..3000).map(|i| format!("s = s + x{i}; ")).collect();
    let large = format!("async fn large(a) {{ {lets} yield_now().await; let s = 0; {sum} return s; }}");
    prints("large", &format!("{large} async fn main() {{ print(large(0).await + large(1).await); }}"), &[9_000_000]);
    let links: String = (1..1000).map(|i| format!("async fn f{i}(x) {{ return f{}(x + 1).await; }} ", i - 1)).collect();
    let chain = format!("async fn f0(x) {{ return id(x).await; }} {links}");
    prints("chain", &format!("{chain} async fn main() {{ print(f999(1).await); }}"), &[1000]);
}

#[test]
fn scopes() {
    let work = "async fn work(ms) { sleep_ms(ms).await; print(ms); return ms * 10; }";
    prints(
        "scope_waits",
        &format!("{work} async fn main() {{ scope {{ spawn work(4); spawn work(1); print(0); }} print(9); }}"),
        &[0, 1, 4, 9],
    );
    prints(
        "scope_return_waits",
        &format!(
            "{work} async fn f(n) {{ scope {{ spawn work(n); if n {{ return 7; }} print(5); }} return 8; }} \
             async fn main() {{ print(f(2).await); print(f(0).await); }}"
        ),
        &[2, 7, 5, 0, 8],
    );
    prints(
        "scope_values",
        &format!(
            "{work} async fn main() {{ let t = 0; scope {{ scope {{ t = spawn work(3); spawn work(1); }} \
             print(join(t).await); }} print(join(t).await); }}"
        ),
        &[1, 3, 30, 30],
    );
    prints(
        "scope_of_the_function_only",
        &format!(
            "{work} async fn f() {{ return spawn work(5); }} \
             async fn main() {{ let t = 0; scope {{ t = f().await; }} print(1); print(join(t).await); }}"
        ),
        &[1, 5, 50],
    );
    prints(
        "scope_dropped",
        &format!(
            "{work} async fn all() {{ scope {{ spawn work(1); spawn work(20000); }} print(0); }} \
             async fn main() {{ print(timeout(spawn all(), 30).await); print(2); }}"
        ),
        &[1, 0, 2],
    );
    prints(
        "scope_in_a_loop",
        &format!(
            "{work} async fn main() {{ let i = 0; while i < 3 {{ scope {{ spawn work(2); spawn work(1); i = i + 1; }} \
             print(i * 100); }} }}"
        ),
        &[1, 2, 100, 1, 2, 200, 1, 2, 300],
    );
    prints(
        "scope_in_an_iterator",
        &format!(
            "{work} async iter two() {{ scope {{ spawn work(20000); yield 1; yield 2; }} }} \
             async fn f() {{ for x in two() {{ return x; }} }} async fn main() {{ print(f().await); }}"
        ),
        &[1],
    );
    prints("scope_of_nothing", "async fn main() { scope { } scope { print(1); } }", &[1]);
}

#[test]
fn interrupts() {
    main_prints(
        "interrupt_before_the_first_poll",
        "let f = async || { print(1); return sleep_ms(60000).await; }; let t = spawn f(); interrupt(t); \
         print(join(t).await); print(interrupt(t));",
        &[1, -4, -116],
    );
    prints(
        "interrupt_reaches_the_innermost_await_and_finally_waits",
        "async fn inner() { try { return sleep_ms(60000).await; } finally { print(sleep_ms(1).await); print(1); } } \
         async fn outer() { let code = inner().await; print(2); return code; } \
         async fn main() { let t = spawn outer(); yield_now().await; interrupt(t); print(join(t).await); }",
        &[0, 1, 2, -4],
    );
    main_prints(
        "interrupt_loses_no_item",
        "let c = channel(1); let f = async || { print(recv(c).await); print(recv(c).await); }; let t = spawn f(); \
         yield_now().await; interrupt(t); yield_now().await; send(c, 7).await; join(t).await;",
        &[-4, 7],
    );
    main_prints(
        "interrupt_leaves_the_task_that_is_joined",
        "let work = async || { sleep_ms(5).await; return 3; }; let t = spawn work(); \
         let wait = async || { print(join(t).await); print(timeout(t, 60000).await); return join(t).await; }; \
         let w = spawn wait(); yield_now().await; interrupt(w); print(join(w).await);",
        &[-4, 1, 3],
    );
    main_prints(
        "interrupt_of_a_timeout_cancels_nothing",
        "let work = async || { sleep_ms(5).await; return 3; }; let t = spawn work(); \
         let wait = async || { print(timeout(t, 60000).await); return join(t).await; }; \
         let w = spawn wait(); yield_now().await; interrupt(w); print(join(w).await);",
        &[-4, 3],
    );
    main_prints(
        "interrupt_of_a_scope_cancels_its_tasks",
        "let nap = async || { sleep_ms(60000).await; print(0); }; \
         let f = async || { scope { spawn nap(); } return 5; }; let t = spawn f(); yield_now().await; \
         interrupt(t); print(join(t).await);",
        &[5],
    );
    main_prints(
        "interrupt_of_a_job",
        "let f = async || { return blocking_add(1, 2).await; }; let t = spawn f(); yield_now().await; interrupt(t); \
         print(join(t).await); print(blocking_add(3, 4).await);",
        &[-4, 7],
    );
}

#[test]
fn finally() {
    main_prints(
        "finally_after_the_body",
        "try { print(1); } finally { yield_now().await; print(2); } print(3);",
        &[1, 2, 3],
    );
    prints(
        "finally_after_return",
        "async fn f() { try { return loud(1).await; } finally { loud(2).await; } } \
         async fn main() { print(f().await); }",
        &[1, 2, 1],
    );
    prints(
        "finally_from_the_inside_out",
        "async fn f(n) { try { try { if n { return n; } print(1); } finally { loud(2).await; } print(3); } \
         finally { loud(4).await; } return 5; } async fn main() { print(f(0).await); print(f(6).await); }",
        &[1, 2, 3, 4, 5, 2, 4, 6],
    );
    prints(
        "finally_replaces_the_value",
        "fn f() { try { return 1; } finally { return 2; } } async fn main() { print(f()); }",
        &[2],
    );
    prints(
        "the_value_is_computed_first",
        "async fn f() { let x = 1; try { return x; } finally { x = 2; yield_now().await; } } \
         async fn main() { print(f().await); }",
        &[1],
    );
    // Loops without an await keep their values in registers, which the frame gets behind them.
    for pause in ["", "yield_now().await;"] {
        let text = format!(
            "async fn f(n) {{ let i = 0; try {{ while i < 5 {{ {pause} i = i + 1; let j = 0; \
             while j < 3 {{ j = j + 1; if i * j == n {{ return j; }} }} }} }} \
             finally {{ yield_now().await; print(i); i = 70; }} return i; }} \
             async fn main() {{ print(f(6).await); print(f(100).await); }}"
        );
        prints("finally_from_loops", &text, &[2, 3, 5, 70]);
    }
    prints(
        "finally_around_a_loop_over_an_iterator",
        "async iter count() { let i = 0; while 1 { yield i; i = i + 1; } } \
         async fn f() { try { for x in count() { if x == 3 { return x; } } } finally { loud(8).await; } } \
         async fn main() { print(f().await); }",
        &[8, 3],
    );
    prints(
        "finally_waits_for_the_scope",
        "async fn f() { try { scope { spawn loud(1); return 3; } } finally { print(2); } } \
         async fn main() { print(f().await); }",
        &[1, 2, 3],
    );
    prints(
        "finally_in_plain_functions",
        "fn f(n) { let s = 0; try { while s < 9 { s = s + 1; if s == n { return s * 2; } } } finally { print(s); } \
         return 0; } async fn main() { print(f(4)); print(f(40)); }",
        &[4, 8, 9, 0],
    );
    // A task that is cancelled, or ended with the program, runs no more of its code.
    prints(
        "no_finally_after_a_cancel",
        "async fn f() { try { sleep_ms(20000).await; } finally { print(1); } } \
         async fn main() { print(timeout(spawn f(), 1).await); print(2); }",
        &[0, 2],
    );
}
