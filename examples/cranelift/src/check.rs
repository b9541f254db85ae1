// SPDX-License-Identifier: Apache-2.0
//! The meanings of names, and the calls that are allowed in each place: scopes, captures, numbers of arguments, await
//! and its kin. flow.rs
//! asks here while it lowers.

use std::collections::{BTreeMap, HashMap};

use crate::builtins::{self, Builtin};
use crate::flow::Reg;
use crate::lex::{error, Error};
use crate::parse::{Call, Color, Function, Name};

/// How a call stands in the source.
#[derive(Clone, Copy, PartialEq)]
pub enum How {
    Plain,
    Await(usize),
    Spawn,
    For,
}

/// The target of a call.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Target {
    Function(usize),
    /// The closure that a register names.
    Closure(Reg),
    Builtin(Builtin),
}

pub type Globals<'a> = HashMap<&'a str, (usize, &'a Function)>;

pub fn globals(functions: &[Function]) -> Result<Globals<'_>, Error> {
    let mut globals = HashMap::new();
    for (index, function) in functions.iter().enumerate() {
        let name = function.name.text.as_str();
        if builtins::find(name).is_some() || globals.insert(name, (index, function)).is_some() {
            return error(function.name.at, format!("function `{name}` is already defined"));
        }
    }
    Ok(globals)
}

/// The number of `main`.
pub fn main(globals: &Globals) -> Result<usize, Error> {
    match globals.get("main") {
        Some((index, main)) if main.color == Color::Async && main.params.is_empty() => Ok(*index),
        Some((_, main)) => error(main.name.at, "`main` must be `async fn main()`, without parameters"),
        None => error(0, "missing function `async fn main()`"),
    }
}

/// The variables of the function that is looked at.
#[derive(Default)]
pub struct Scopes {
    scopes: Vec<HashMap<String, Reg>>,
    pub regs: usize,
    /// Names of the registers that are variables.
    pub names: BTreeMap<Reg, String>,
    /// For each capture of a closure the register of the function around, and the one here that is its copy.
    pub captures: Vec<(Reg, Reg)>,
}

impl Scopes {
    pub fn new(params: &[Name]) -> Result<Scopes, Error> {
        let mut scopes = Scopes::default();
        scopes.enter();
        for param in params {
            if scopes.scopes[0].contains_key(&param.text) {
                return error(param.at, format!("parameter `{}` is already defined", param.text));
            }
            scopes.declare(&param.text);
        }
        Ok(scopes)
    }

    pub fn enter(&mut self) {
        self.scopes.push(HashMap::new());
    }

    pub fn leave(&mut self) {
        self.scopes.pop();
    }

    pub fn temp(&mut self) -> Reg {
        self.regs += 1;
        self.regs - 1
    }

    pub fn declare(&mut self, name: &str) -> Reg {
        let scope = self.scopes.len() - 1;
        self.add(scope, name)
    }

    fn add(&mut self, scope: usize, name: &str) -> Reg {
        let reg = self.temp();
        self.scopes[scope].insert(name.into(), reg);
        self.names.insert(reg, name.into());
        reg
    }
}

/// The variable of that name in the last of the functions, which captures it if it is one of a function around.
pub fn lookup(functions: &mut [Scopes], name: &str) -> Option<Reg> {
    let (last, around) = functions.split_last_mut()?;
    if let Some(found) = last.scopes.iter().rev().find_map(|scope| scope.get(name)) {
        return Some(*found);
    }
    let outer = lookup(around, name)?;
    let inner = last.add(0, name);
    last.captures.push((outer, inner));
    Some(inner)
}

pub fn variable(functions: &mut [Scopes], globals: &Globals, name: &Name) -> Result<Reg, Error> {
    let text = &name.text;
    match lookup(functions, text) {
        Some(variable) => Ok(variable),
        None if globals.contains_key(text.as_str()) || builtins::find(text).is_some() => {
            error(name.at, format!("expected a variable, found function `{text}`"))
        }
        None => error(name.at, format!("unknown variable `{text}`")),
    }
}

/// The target of a call in a function of color `inside`, if the call is allowed.
pub fn call(
    functions: &mut [Scopes],
    globals: &Globals,
    inside: Color,
    call: &Call,
    how: How,
) -> Result<Target, Error> {
    let (name, at) = (&call.callee.text, call.callee.at);
    if inside == Color::Plain {
        match how {
            How::Await(at) => return error(at, "`.await` is not allowed in a plain `fn`"),
            How::For => return error(at, "`for` is not allowed in a plain `fn`"),
            How::Plain | How::Spawn => {}
        }
    }
    let (target, params, color) = if let Some(variable) = lookup(functions, name) {
        (Target::Closure(variable), call.args.len(), Color::Closure)
    } else if let Some((index, function)) = globals.get(name.as_str()) {
        (Target::Function(*index), function.params.len(), function.color)
    } else if let Some(row) = builtins::find(name) {
        (Target::Builtin(row.builtin), row.params, if row.is_async { Color::Async } else { Color::Plain })
    } else {
        return error(at, format!("unknown function `{name}`"));
    };
    if call.args.len() != params {
        let s = if params == 1 { "" } else { "s" };
        return error(at, format!("expected {params} argument{s} for `{name}`, found {}", call.args.len()));
    }
    let is_builtin = matches!(target, Target::Builtin(_));
    match (how, color) {
        (How::Plain, Color::Plain) | (How::Await(_), Color::Async | Color::Closure) | (How::For, Color::Iter) => {
            Ok(target)
        }
        (How::Spawn, Color::Async | Color::Closure) if !is_builtin => Ok(target),
        (How::Spawn, _) => error(at, format!("expected an async function or closure after `spawn`, found `{name}`")),
        (How::For, _) => error(at, format!("expected an async iterator, found `{name}`")),
        (How::Await(at), Color::Iter) => error(at, "expected `for`, not `.await`, to consume an iterator"),
        (How::Await(at), _) => {
            error(at, format!("expected an async call before `.await`, found plain function `{name}`"))
        }
        (How::Plain, Color::Iter) => error(at, format!("expected `for x in {name}(…)`, as `{name}` is an iterator")),
        (How::Plain, _) if is_builtin => error(at, format!("expected `{name}(…).await`, as `{name}` is async")),
        (How::Plain, _) => error(at, format!("expected `{name}(…).await` or `spawn {name}(…)`, as `{name}` is async")),
    }
}
