// SPDX-License-Identifier: Apache-2.0
//! Random programs, and their text: with awaits, and as plain functions that give the same.
//!
//! Every name is declared in one place of a program, so that an iterator can be written out where it is consumed.
//! Functions call only those before them, and themselves while their first argument counts down. Tasks run functions
//! that print nothing, so that it does not matter when.

use std::fmt::Write;

#[derive(Clone)]
pub enum Expr {
    Number(i64),
    Variable(String),
    Not(Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// The divisor is changed so that it is not zero.
    Divide(&'static str, Box<Expr>, Box<Expr>),
    Call(usize, Vec<Expr>),
    Closure(String, Box<Expr>),
    Join(String),
    Blocking(Box<Expr>, Box<Expr>),
}

#[derive(Clone)]
pub enum Stmt {
    Let(String, Expr),
    Set(String, Expr),
    Print(Expr),
    Pause(&'static str),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// The counter, the number of rounds, and the body.
    Repeat(String, i64, Vec<Stmt>),
    For(String, usize, Vec<Expr>, Vec<Stmt>),
    Yield(Expr),
    Return(Expr),
    Closure(String, String, Vec<Stmt>),
    Spawn(String, usize, Vec<Expr>),
    /// A task that is cancelled before it runs: the name gets its value, 0.
    Cancel(String, usize, Vec<Expr>),
    /// A task that ends in time: the name gets 1.
    InTime(String, usize, Vec<Expr>),
    /// The name gets a number made of those that a task sends: from the value on, so many, through a channel of that
    /// capacity.
    Receive(String, Expr, i64, i64),
    /// A task of that kind that is interrupted: the name gets its value, -4.
    Interrupt(String, usize),
    Scope(Vec<Stmt>),
    Try(Vec<Stmt>, Vec<Stmt>),
}

#[derive(Clone)]
pub struct Function {
    pub is_iter: bool,
    pub is_quiet: bool,
    pub params: [String; 2],
    pub body: Vec<Stmt>,
}

/// `main` calls the last function, with 2 and 5.
#[derive(Clone)]
pub struct Program {
    pub functions: Vec<Function>,
    pub has_closures: bool,
}

/// Functions that wait until they are interrupted.
const NAPS: [&str; 3] = [
    "async fn nap0() { try { return sleep_ms(100000).await; } finally { yield_now().await; sleep_ms(0).await; } }",
    "async fn nap1() { let c = channel(1); let v = recv(c).await; send(c, 1).await; return v * recv(c).await; }",
    "async fn nap2() { let t = spawn nap0(); let v = join(t).await; cancel(t); return v; }",
];

pub const MAIN_ARGS: [i64; 2] = [2, 5];

// ---- Making one ----

pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % limit as u64) as usize
    }

    fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }
}

struct Maker<'a> {
    random: &'a mut Random,
    done: Vec<Function>,
    names: usize,
    closures: bool,
    // Of the function that is made:
    index: usize,
    is_iter: bool,
    is_quiet: bool,
    waits: bool,
    recurs: bool,
    /// Inside a `try`, or in the code after its `finally`. An iterator that is dropped there runs no `finally`, and so
    /// nothing is yielded there.
    in_try: bool,
    params: [String; 2],
    scopes: Vec<Scope>,
}

/// Names that are seen.
#[derive(Clone, Default)]
struct Scope {
    read: Vec<String>,
    set: Vec<String>,
    closures: Vec<String>,
    tasks: Vec<String>,
}

pub fn make(random: &mut Random) -> Program {
    let closures = random.one_in(3);
    let count = 2 + random.below(5);
    let params = [String::new(), String::new()];
    let (done, scopes) = (Vec::new(), Vec::new());
    let mut maker = Maker {
        random,
        done,
        names: 0,
        closures,
        index: 0,
        is_iter: false,
        is_quiet: false,
        waits: true,
        recurs: false,
        in_try: false,
        params,
        scopes,
    };
    (0..count).for_each(|index| maker.function(index, index + 1 == count));
    Program { functions: maker.done, has_closures: closures }
}

impl Maker<'_> {
    fn name(&mut self, letter: char) -> String {
        self.names += 1;
        format!("{letter}{}", self.names)
    }

    fn function(&mut self, index: usize, is_last: bool) {
        self.index = index;
        self.is_iter = !is_last && self.random.one_in(3);
        self.is_quiet = !is_last && self.random.one_in(2);
        self.recurs = !self.is_iter;
        self.waits = true;
        self.params = [self.name('p'), self.name('p')];
        let scope = Scope { read: self.params.to_vec(), set: vec![self.params[1].clone()], ..Scope::default() };
        self.scopes = vec![scope];
        let mut body: Vec<Stmt> = (0..self.random.below(6)).map(|_| self.declare()).collect();
        body.extend(self.block(if is_last { 10 } else { 6 }, 3));
        if !self.is_iter {
            body.push(Stmt::Return(self.expr(3)));
        }
        let params = self.params.clone();
        self.done.push(Function { is_iter: self.is_iter, is_quiet: self.is_quiet, params, body });
    }

    fn block(&mut self, most: usize, depth: usize) -> Vec<Stmt> {
        let scope = self.scopes[self.scopes.len() - 1].clone();
        self.scopes.push(scope);
        let body = (0..1 + self.random.below(most)).map(|_| self.stmt(depth)).collect();
        self.scopes.pop();
        body
    }

    fn here(&mut self) -> &mut Scope {
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    fn variable(&mut self, letter: char) -> String {
        let name = self.name(letter);
        self.here().read.push(name.clone());
        self.here().set.push(name.clone());
        name
    }

    fn declare(&mut self) -> Stmt {
        let value = self.expr(2);
        Stmt::Let(self.variable('v'), value)
    }

    fn pick(&mut self, from: fn(&Scope) -> &Vec<String>) -> Option<String> {
        let names = from(&self.scopes[self.scopes.len() - 1]).clone();
        (!names.is_empty()).then(|| names[self.random.below(names.len())].clone())
    }

    /// A function before this one, with arguments.
    fn callee(&mut self, is_iter: bool, is_quiet: bool) -> Option<(usize, Vec<Expr>)> {
        let fits = |index: &usize| {
            let Function { is_iter: iter, is_quiet: quiet, .. } = self.done[*index];
            iter == is_iter && (quiet || !is_quiet)
        };
        let found: Vec<usize> = (0..self.done.len()).filter(fits).collect();
        let count = Expr::Number(self.random.below(3) as i64);
        (!found.is_empty()).then(|| (found[self.random.below(found.len())], vec![count, self.expr(1)]))
    }

    /// An iterator calls itself only in programs that are not written out.
    fn iterator(&mut self) -> Option<(usize, Vec<Expr>)> {
        if self.closures && self.is_iter && self.random.one_in(2) {
            return Some((self.index, vec![self.one_less(), self.expr(1)]));
        }
        self.callee(true, self.is_quiet)
    }

    fn one_less(&self) -> Expr {
        let (left, right) = (Expr::Variable(self.params[0].clone()), Expr::Number(1));
        Expr::Binary("-", Box::new(left), Box::new(right))
    }

    fn stmt(&mut self, depth: usize) -> Stmt {
        let waits = self.waits;
        match self.random.below(24) {
            0..=2 => return self.declare(),
            3..=6 => {
                let name = self.pick(|scope| &scope.set).expect("a parameter");
                return Stmt::Set(name, self.expr(3));
            }
            7 | 8 if !self.is_quiet => return Stmt::Print(self.expr(2)),
            9 if waits => {
                return Stmt::Pause(["yield_now()", "yield_now()", "sleep_ms(0)", "sleep_ms(1)"][self.random.below(4)])
            }
            10..=12 if depth > 0 => {
                let condition = self.expr(2);
                let (then, otherwise) = (self.block(3, depth - 1), self.block(2, depth - 1));
                return Stmt::If(condition, then, if self.random.one_in(2) { otherwise } else { Vec::new() });
            }
            13 | 14 if depth > 0 => return self.repeat(depth),
            15 if depth > 1 && waits => {
                if let Some((callee, args)) = self.iterator() {
                    let scope = self.here().clone();
                    let item = self.variable('x');
                    let body = self.block(3, depth - 2);
                    *self.here() = scope;
                    return Stmt::For(item, callee, args, body);
                }
            }
            16 if self.is_iter && waits && !self.in_try => return Stmt::Yield(self.expr(2)),
            17 if self.closures && waits && depth > 1 => return self.closure(depth),
            18 if waits => return self.task(),
            19 if waits && self.random.one_in(3) => {
                let (from, count, capacity) = (self.expr(1), 1 + self.random.below(5), 1 + self.random.below(3));
                return Stmt::Receive(self.variable('r'), from, count as i64, capacity as i64);
            }
            20 if waits && depth > 0 => return Stmt::Scope(self.block(4, depth - 1)),
            21 if depth > 0 => return self.try_finally(depth),
            23 if waits => return Stmt::Interrupt(self.variable('n'), self.random.below(NAPS.len())),
            22 if !self.is_iter => {
                let (condition, value) = (self.expr(2), self.expr(2));
                return Stmt::If(condition, vec![Stmt::Return(value)], Vec::new());
            }
            _ => {}
        }
        self.declare()
    }

    fn try_finally(&mut self, depth: usize) -> Stmt {
        let in_try = std::mem::replace(&mut self.in_try, true);
        let body = self.block(4, depth - 1);
        // A `return` in a `finally` ends the function with its value, in the text without awaits too.
        let finally = self.block(3, depth - 1);
        self.in_try = in_try;
        Stmt::Try(body, finally)
    }

    /// Half of the loops wait for nothing.
    fn repeat(&mut self, depth: usize) -> Stmt {
        let waits = self.waits;
        self.waits = waits && self.random.one_in(2);
        let counter = self.name('i');
        let scope = self.here().clone();
        self.here().read.push(counter.clone());
        let (count, body) = (self.random.below(4) as i64, self.block(4, depth - 1));
        *self.here() = scope;
        self.waits = waits;
        Stmt::Repeat(counter, count, body)
    }

    fn closure(&mut self, depth: usize) -> Stmt {
        let (name, param) = (self.name('f'), self.name('p'));
        let (scope, is_iter) = (self.here().clone(), std::mem::replace(&mut self.is_iter, false));
        self.here().read.push(param.clone());
        self.here().set.push(param.clone());
        let mut body = self.block(3, depth - 2);
        body.push(Stmt::Return(self.expr(2)));
        *self.here() = scope;
        self.is_iter = is_iter;
        self.here().closures.push(name.clone());
        Stmt::Closure(name, param, body)
    }

    fn task(&mut self) -> Stmt {
        let Some((callee, mut args)) = self.callee(false, true) else { return self.declare() };
        match self.random.below(4) {
            0 => {
                args[1] = Expr::Number(7);
                Stmt::Cancel(self.variable('c'), callee, args)
            }
            1 => Stmt::InTime(self.variable('o'), callee, args),
            _ => {
                let name = self.name('t');
                self.here().tasks.push(name.clone());
                Stmt::Spawn(name, callee, args)
            }
        }
    }

    fn expr(&mut self, depth: usize) -> Expr {
        let simple = depth == 0 || self.random.one_in(4);
        match self.random.below(if simple { 4 } else { 14 }) {
            0 => Expr::Number([0, 1, -1, 3, 1000, i64::MAX, i64::MIN][self.random.below(7)]),
            1..=3 => Expr::Variable(self.pick(|scope| &scope.read).expect("a parameter")),
            4 => Expr::Not(Box::new(self.expr(depth - 1))),
            5 => {
                let (left, right) = (Box::new(self.expr(depth - 1)), Box::new(self.expr(depth - 1)));
                Expr::Divide(["/", "%"][self.random.below(2)], left, right)
            }
            6 | 7 if self.waits => match self.callee(false, self.is_quiet) {
                Some((callee, args)) => Expr::Call(callee, args),
                None => Expr::Number(4),
            },
            8 if self.waits && self.recurs => Expr::Call(self.index, vec![self.one_less(), self.expr(depth - 1)]),
            9 if self.waits => match self.pick(|scope| &scope.tasks) {
                Some(task) => Expr::Join(task),
                None => Expr::Number(6),
            },
            10 if self.waits => match self.pick(|scope| &scope.closures) {
                Some(closure) => Expr::Closure(closure, Box::new(self.expr(depth - 1))),
                None if self.random.one_in(20) => {
                    Expr::Blocking(Box::new(self.expr(depth - 1)), Box::new(self.expr(depth - 1)))
                }
                None => Expr::Number(8),
            },
            _ => {
                const SIGNS: [&str; 11] = ["+", "-", "*", "+", "-", "<", ">=", "==", "!=", "&&", "||"];
                let (left, right) = (Box::new(self.expr(depth - 1)), Box::new(self.expr(depth - 1)));
                Expr::Binary(SIGNS[self.random.below(SIGNS.len())], left, right)
            }
        }
    }
}

// ---- Its text ----

struct Writer<'a> {
    program: &'a Program,
    /// Without awaits.
    plain: bool,
    text: String,
    /// The consumers of the iterators that are written out here: the item's name and the body.
    consumers: Vec<(&'a str, &'a [Stmt])>,
}

pub fn text(program: &Program, plain: bool) -> String {
    let mut writer = Writer { program, plain, text: String::new(), consumers: Vec::new() };
    if !plain {
        writer.text +=
            "async fn feed(c, from, n) {\n    let i = 0;\n    while i < n { send(c, from + i).await; i = i + 1; }\n}\n";
    }
    if !plain {
        writer.text += &(NAPS.join("\n") + "\n");
    }
    for (index, function) in program.functions.iter().enumerate() {
        let color = match (plain, function.is_iter) {
            (true, true) => continue,
            (true, false) => "fn",
            (false, true) => "async iter",
            (false, false) => "async fn",
        };
        let [first, second] = &function.params;
        let _ = writeln!(writer.text, "{color} g{index}({first}, {second}) {{");
        let stop = if function.is_iter { "return;" } else { "return 0;" };
        let _ = writeln!(writer.text, "if {first} < 0 {{ {stop} }}");
        writer.block(&function.body);
        writer.text += "}\n";
    }
    let (last, [first, second]) = (program.functions.len() - 1, MAIN_ARGS);
    let wait = if plain { "" } else { ".await" };
    let _ = writeln!(writer.text, "async fn main() {{ print(g{last}({first}, {second}){wait}); }}");
    writer.text
}

impl<'a> Writer<'a> {
    fn block(&mut self, body: &'a [Stmt]) {
        body.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn wait(&self) -> &'static str {
        if self.plain {
            ""
        } else {
            ".await"
        }
    }

    fn list(&self, args: &[Expr]) -> String {
        args.iter().map(|arg| self.expr(arg)).collect::<Vec<_>>().join(", ")
    }

    fn stmt(&mut self, stmt: &'a Stmt) {
        let wait = self.wait();
        let line = match stmt {
            Stmt::Let(name, value) => format!("let {name} = {};", self.expr(value)),
            Stmt::Set(name, value) => format!("{name} = {};", self.expr(value)),
            Stmt::Print(value) => format!("print({});", self.expr(value)),
            Stmt::Pause(_) if self.plain => String::new(),
            Stmt::Pause(what) => format!("{what}.await;"),
            Stmt::Return(value) => format!("return {};", self.expr(value)),
            Stmt::If(condition, then, otherwise) => {
                let condition = self.expr(condition);
                let _ = writeln!(self.text, "if {condition} {{");
                self.block(then);
                self.text += "} else {\n";
                self.block(otherwise);
                "}".into()
            }
            Stmt::Repeat(counter, count, body) => {
                let _ =
                    writeln!(self.text, "let {counter} = 0;\nwhile {counter} < {count} {{\n{counter} = {counter} + 1;");
                self.block(body);
                "}".into()
            }
            Stmt::Interrupt(name, _) if self.plain => format!("let {name} = -4;"),
            Stmt::Interrupt(name, kind) => {
                let begin = format!("let {name} = spawn nap{kind}(); yield_now().await; interrupt({name});");
                format!("{begin} {name} = join({name}).await;")
            }
            Stmt::Scope(body) => {
                self.text += if self.plain { "if 1 {\n" } else { "scope {\n" };
                self.block(body);
                "}".into()
            }
            Stmt::Try(body, finally) => {
                self.text += "try {\n";
                self.block(body);
                self.text += "} finally {\n";
                self.block(finally);
                "}".into()
            }
            Stmt::For(item, callee, args, body) if self.plain => return self.write_out(item, *callee, args, body),
            Stmt::For(item, callee, args, body) => {
                let args = self.list(args);
                let _ = writeln!(self.text, "for {item} in g{callee}({args}) {{");
                self.block(body);
                "}".into()
            }
            Stmt::Yield(value) => match self.consumers.pop() {
                Some((item, body)) => {
                    let value = self.expr(value);
                    let _ = writeln!(self.text, "if 1 {{\nlet {item} = {value};");
                    self.block(body);
                    self.consumers.push((item, body));
                    "}".into()
                }
                None => format!("yield {};", self.expr(value)),
            },
            Stmt::Closure(name, param, body) => {
                let _ = writeln!(self.text, "let {name} = async |{param}| {{");
                self.block(body);
                "};".into()
            }
            Stmt::Spawn(name, callee, args) if self.plain => format!("let {name} = g{callee}({});", self.list(args)),
            Stmt::Spawn(name, callee, args) => format!("let {name} = spawn g{callee}({});", self.list(args)),
            Stmt::Cancel(name, ..) if self.plain => format!("let {name} = 0;"),
            Stmt::Cancel(name, callee, args) => {
                let args = self.list(args);
                format!("let {name} = spawn g{callee}({args}); cancel({name}); {name} = join({name}).await;")
            }
            Stmt::InTime(name, callee, args) if self.plain => {
                format!("let {name} = g{callee}({}) * 0 + 1;", self.list(args))
            }
            Stmt::InTime(name, callee, args) => {
                format!("let {name} = timeout(spawn g{callee}({}), 100000).await;", self.list(args))
            }
            Stmt::Receive(name, from, count, capacity) => {
                let from = self.expr(from);
                let (begin, item) = match self.plain {
                    true => (String::new(), format!("from{name} + k{name}")),
                    false => {
                        let begin =
                            format!("let c{name} = channel({capacity}); spawn feed(c{name}, from{name}, {count});");
                        (begin, format!("recv(c{name}){wait}"))
                    }
                };
                format!(
                    "let from{name} = {from}; {begin} let {name} = 0; let k{name} = 0;\nwhile k{name} < {count} {{ \
                     {name} = {name} * 3 + ({item}); k{name} = k{name} + 1; }}"
                )
            }
        };
        self.text += &line;
        self.text.push('\n');
    }

    /// The iterator's body in the place of the loop, and the loop's in the place of each `yield`.
    fn write_out(&mut self, item: &'a str, callee: usize, args: &'a [Expr], body: &'a [Stmt]) {
        let function = &self.program.functions[callee];
        self.text += "if 1 {\n";
        for (param, arg) in function.params.iter().zip(args) {
            let arg = self.expr(arg);
            let _ = writeln!(self.text, "let {param} = {arg};");
        }
        let _ = writeln!(self.text, "if {} >= 0 {{", function.params[0]);
        self.consumers.push((item, body));
        self.block(&function.body);
        self.consumers.pop();
        self.text += "} }\n";
    }

    fn expr(&self, expr: &Expr) -> String {
        let wait = self.wait();
        match expr {
            Expr::Number(number) => format!("({number})"),
            Expr::Variable(name) => name.clone(),
            Expr::Not(value) => format!("!{}", self.expr(value)),
            Expr::Binary(sign, left, right) => format!("({} {sign} {})", self.expr(left), self.expr(right)),
            Expr::Divide(sign, left, right) => format!("({} {sign} ({} % 7 + 8))", self.expr(left), self.expr(right)),
            Expr::Call(callee, args) => format!("g{callee}({}){wait}", self.list(args)),
            Expr::Closure(name, arg) => format!("{name}({}).await", self.expr(arg)),
            Expr::Join(task) if self.plain => task.clone(),
            Expr::Join(task) => format!("join({task}).await"),
            Expr::Blocking(left, right) if self.plain => format!("({} + {})", self.expr(left), self.expr(right)),
            Expr::Blocking(left, right) => format!("blocking_add({}, {}).await", self.expr(left), self.expr(right)),
        }
    }
}
