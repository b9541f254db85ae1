// SPDX-License-Identifier: Apache-2.0
//! Says what every name means and refuses programs that mean nothing: unknown names, wrong numbers of arguments, await
//! and yield where they cannot be, async calls that nobody awaits.

use std::collections::HashMap;

use crate::builtins::{self, Builtin};
use crate::lex::{error, Error};
use crate::parse::{Call, Color, Expr, ExprKind, Function, Name, Stmt};

/// What a name means.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Meaning {
    /// A variable of the function it stands in.
    Variable(usize),
    /// A function or, for the name of a closure, the function that the closure's body is.
    Function(usize),
    Builtin(Builtin),
}

/// A function and what the passes after this one want to know of it.
pub struct Checked<'a> {
    pub color: Color,
    pub name: String,
    pub at: usize,
    pub body: &'a [Stmt],
    /// Names of the variables; the parameters come first.
    pub variables: Vec<String>,
    pub params: usize,
    /// For each capture the variable of the function around, and the one here that is its copy.
    pub captures: Vec<(usize, usize)>,
}

pub struct Program<'a> {
    pub functions: Vec<Checked<'a>>,
    /// By the number of a name.
    pub meanings: Vec<Meaning>,
    pub main: usize,
}

struct Checker<'a> {
    globals: HashMap<&'a str, (usize, &'a Function)>,
    program: Program<'a>,
    /// The function that is looked at and, if it is a closure, those around it.
    open: Vec<Open>,
}

struct Open {
    index: usize,
    scopes: Vec<HashMap<String, usize>>,
}

pub fn check(functions: &[Function], names: usize) -> Result<Program<'_>, Error> {
    let program = Program { functions: Vec::new(), meanings: vec![Meaning::Variable(0); names], main: 0 };
    let mut checker = Checker { globals: HashMap::new(), program, open: Vec::new() };
    for (index, function) in functions.iter().enumerate() {
        let name = function.name.text.as_str();
        if builtins::find(name).is_some() || checker.globals.insert(name, (index, function)).is_some() {
            return error(function.name.at, format!("expected a new name: there is a function `{name}` already"));
        }
        checker.program.functions.push(checked(function));
    }
    for (index, function) in functions.iter().enumerate() {
        checker.function(index, function)?;
    }
    match checker.globals.get("main") {
        Some((index, main)) if main.color == Color::Async && main.params.is_empty() => checker.program.main = *index,
        Some((_, main)) => return error(main.name.at, "expected `async fn main()`, without parameters"),
        None => return error(0, "expected a function `async fn main()`, found none"),
    }
    Ok(checker.program)
}

fn checked(function: &Function) -> Checked<'_> {
    Checked {
        color: function.color,
        name: function.name.text.clone(),
        at: function.name.at,
        body: &function.body,
        variables: Vec::new(),
        params: function.params.len(),
        captures: Vec::new(),
    }
}

impl<'a> Checker<'a> {
    fn function(&mut self, index: usize, function: &'a Function) -> Result<(), Error> {
        self.open.push(Open { index, scopes: vec![HashMap::new()] });
        for (number, param) in function.params.iter().enumerate() {
            if function.params[..number].iter().any(|other| other.text == param.text) {
                return error(param.at, format!("expected a new name: there is a parameter `{}` already", param.text));
            }
            self.declare(param);
        }
        self.block(&function.body)?;
        self.open.pop();
        Ok(())
    }

    fn this(&self) -> &Open {
        &self.open[self.open.len() - 1]
    }

    fn color(&self) -> Color {
        self.program.functions[self.this().index].color
    }

    fn declare(&mut self, name: &'a Name) {
        let depth = self.open.len() - 1;
        let scope = self.open[depth].scopes.len() - 1;
        let variable = self.add(depth, scope, &name.text);
        self.program.meanings[name.id] = Meaning::Variable(variable);
    }

    fn add(&mut self, depth: usize, scope: usize, name: &str) -> usize {
        let open = &mut self.open[depth];
        let variables = &mut self.program.functions[open.index].variables;
        variables.push(name.into());
        open.scopes[scope].insert(name.into(), variables.len() - 1);
        variables.len() - 1
    }

    /// The variable of that name in the open function at `depth`, which captures it if it is one of a function around.
    fn lookup(&mut self, depth: usize, name: &str) -> Option<usize> {
        if let Some(found) = self.open[depth].scopes.iter().rev().find_map(|scope| scope.get(name)) {
            return Some(*found);
        }
        let outer = self.lookup(depth.checked_sub(1)?, name)?;
        let inner = self.add(depth, 0, name);
        self.program.functions[self.open[depth].index].captures.push((outer, inner));
        Some(inner)
    }

    fn block(&mut self, body: &'a [Stmt]) -> Result<(), Error> {
        self.enter();
        for stmt in body {
            self.stmt(stmt)?;
        }
        self.leave();
        Ok(())
    }

    fn enter(&mut self) {
        let depth = self.open.len() - 1;
        self.open[depth].scopes.push(HashMap::new());
    }

    fn leave(&mut self) {
        let depth = self.open.len() - 1;
        self.open[depth].scopes.pop();
    }

    fn stmt(&mut self, stmt: &'a Stmt) -> Result<(), Error> {
        match stmt {
            Stmt::Let(name, value) => {
                self.expr(value)?;
                self.declare(name);
            }
            Stmt::Assign(name, value) => {
                self.variable(name)?;
                self.expr(value)?;
            }
            Stmt::If(condition, then, otherwise) => {
                self.expr(condition)?;
                self.block(then)?;
                self.block(otherwise)?;
            }
            Stmt::While(condition, body) => {
                self.expr(condition)?;
                self.block(body)?;
            }
            Stmt::For(item, call, body) => {
                if self.color() == Color::Plain {
                    return error(item.at, "expected `for` in an async function, not in a plain `fn`");
                }
                if self.call(call)? != Color::Iter {
                    return error(
                        call.callee.at,
                        format!("expected an async iterator, `{}` is none", call.callee.text),
                    );
                }
                self.enter();
                self.declare(item);
                self.block(body)?;
                self.leave();
            }
            Stmt::Return(value) => value.iter().try_for_each(|value| self.expr(value))?,
            Stmt::Yield(at, value) => {
                if self.color() != Color::Iter {
                    return error(*at, "expected `yield` in an `async iter` only");
                }
                self.expr(value)?;
            }
            Stmt::Expr(value) => self.expr(value)?,
        }
        Ok(())
    }

    fn variable(&mut self, name: &Name) -> Result<(), Error> {
        match self.lookup(self.open.len() - 1, &name.text) {
            Some(variable) => self.program.meanings[name.id] = Meaning::Variable(variable),
            None if self.globals.contains_key(name.text.as_str()) || builtins::find(&name.text).is_some() => {
                return error(name.at, format!("expected a variable, `{}` is a function", name.text));
            }
            None => return error(name.at, format!("expected a variable, `{}` is not known here", name.text)),
        }
        Ok(())
    }

    fn expr(&mut self, expr: &'a Expr) -> Result<(), Error> {
        match &expr.kind {
            ExprKind::Number(_) => Ok(()),
            ExprKind::Variable(name) => self.variable(name),
            ExprKind::Negate(value) | ExprKind::Not(value) => self.expr(value),
            ExprKind::Binary(_, left, right) => {
                self.expr(left)?;
                self.expr(right)
            }
            ExprKind::Call(call) => match self.call(call)? {
                Color::Plain => Ok(()),
                Color::Iter => {
                    error(call.callee.at, format!("expected `for x in {}(…)` for an iterator", call.callee.text))
                }
                _ => error(
                    call.callee.at,
                    format!("expected `{0}(…).await` or `spawn {0}(…)`, as `{0}` is async", call.callee.text),
                ),
            },
            ExprKind::Await(value) => {
                if self.color() == Color::Plain {
                    return error(expr.at, "expected `.await` in an async function, not in a plain `fn`");
                }
                match &value.kind {
                    ExprKind::Call(call) => match self.call(call)? {
                        Color::Async | Color::Closure => Ok(()),
                        Color::Iter => error(expr.at, "expected `for` to consume an iterator, not `.await`"),
                        Color::Plain => error(
                            expr.at,
                            format!("expected an async call before `.await`, `{}` is plain", call.callee.text),
                        ),
                    },
                    _ => error(expr.at, "expected an async call before `.await`"),
                }
            }
            ExprKind::Spawn(call) => {
                let color = self.call(call)?;
                let is_builtin = matches!(self.program.meanings[call.callee.id], Meaning::Builtin(_));
                match color {
                    Color::Async | Color::Closure if !is_builtin => Ok(()),
                    _ => error(
                        call.callee.at,
                        format!("expected an async function or closure after `spawn`, `{}` is none", call.callee.text),
                    ),
                }
            }
            ExprKind::Closure(function) => {
                let index = self.program.functions.len();
                let around = &self.program.functions[self.this().index].name;
                let name = format!("{around}.closure{index}");
                self.program.functions.push(Checked { name, ..checked(function) });
                self.program.meanings[function.name.id] = Meaning::Function(index);
                self.function(index, function)
            }
        }
    }

    /// Checks a call and gives the color of what is called; a variable is taken for a closure.
    fn call(&mut self, call: &'a Call) -> Result<Color, Error> {
        let name = &call.callee;
        let (meaning, params, color) = if let Some(variable) = self.lookup(self.open.len() - 1, &name.text) {
            (Meaning::Variable(variable), call.args.len(), Color::Closure)
        } else if let Some((index, function)) = self.globals.get(name.text.as_str()) {
            (Meaning::Function(*index), function.params.len(), function.color)
        } else if let Some((builtin, params, is_async)) = builtins::find(&name.text) {
            (Meaning::Builtin(builtin), params, if is_async { Color::Async } else { Color::Plain })
        } else {
            return error(name.at, format!("expected a function, `{}` is not known", name.text));
        };
        if call.args.len() != params {
            let s = if params == 1 { "" } else { "s" };
            return error(
                name.at,
                format!("expected {params} argument{s} for `{}`, found {}", name.text, call.args.len()),
            );
        }
        self.program.meanings[name.id] = meaning;
        call.args.iter().try_for_each(|arg| self.expr(arg))?;
        Ok(color)
    }
}
