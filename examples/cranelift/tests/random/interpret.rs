// SPDX-License-Identifier: Apache-2.0
//! The output of a program, by walking through it. Tasks are calls: the functions that they run print nothing.

use std::collections::HashMap;
use std::rc::Rc;

use crate::program::{Expr, Function, Program, Stmt, MAIN_ARGS};

const STEPS_MAX: usize = 20_000;

#[derive(Clone)]
enum Value<'a> {
    Number(i64),
    Closure(&'a str, &'a [Stmt], Rc<Frame<'a>>),
}

type Frame<'a> = HashMap<&'a str, Value<'a>>;

/// Why a block ended before its end.
enum Stop {
    Return(i64),
    /// It takes too long, or uses an undeclared name.
    Useless,
}

/// The consumer of an iterator's items.
type Consumer<'c, 'a> = &'c mut dyn FnMut(&mut World<'a>, i64) -> Result<(), Stop>;

struct World<'a> {
    program: &'a Program,
    printed: String,
    steps: usize,
}

/// The output of the program; None for a program that is of no use.
pub fn run(program: &Program) -> Option<String> {
    let mut world = World { program, printed: String::new(), steps: 0 };
    let value = world.call(program.functions.len() - 1, MAIN_ARGS).ok()?;
    world.print(value);
    Some(world.printed)
}

impl<'a> World<'a> {
    fn print(&mut self, value: i64) {
        self.printed += &format!("{value}\n");
    }

    fn frame(&self, function: &'a Function, args: [i64; 2]) -> Frame<'a> {
        let names = function.params.iter().map(String::as_str);
        names.zip(args.map(Value::Number)).collect()
    }

    fn call(&mut self, callee: usize, args: [i64; 2]) -> Result<i64, Stop> {
        if args[0] < 0 {
            return Ok(0);
        }
        let function = &self.program.functions[callee];
        let mut frame = self.frame(function, args);
        value_of(self.block(&function.body, &mut frame, None))
    }

    fn args(&mut self, args: &'a [Expr], frame: &mut Frame<'a>) -> Result<[i64; 2], Stop> {
        Ok([self.expr(&args[0], frame)?, self.expr(&args[1], frame)?])
    }

    fn block(&mut self, body: &'a [Stmt], frame: &mut Frame<'a>, mut to: Option<Consumer<'_, 'a>>) -> Result<(), Stop> {
        for stmt in body {
            match &mut to {
                Some(consumer) => self.stmt(stmt, frame, Some(&mut **consumer))?,
                None => self.stmt(stmt, frame, None)?,
            }
        }
        Ok(())
    }

    fn stmt(&mut self, stmt: &'a Stmt, frame: &mut Frame<'a>, to: Option<Consumer<'_, 'a>>) -> Result<(), Stop> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(Stop::Useless);
        }
        match stmt {
            Stmt::Let(name, value) => {
                let value = self.expr(value, frame)?;
                frame.insert(name, Value::Number(value));
            }
            Stmt::Set(name, value) => {
                let value = self.expr(value, frame)?;
                *frame.get_mut(name.as_str()).ok_or(Stop::Useless)? = Value::Number(value);
            }
            Stmt::Print(value) => {
                let value = self.expr(value, frame)?;
                self.print(value);
            }
            Stmt::Pause(_) => {}
            Stmt::Return(value) => return Err(Stop::Return(self.expr(value, frame)?)),
            Stmt::If(condition, then, otherwise) => {
                let holds = self.expr(condition, frame)? != 0;
                self.block(if holds { then } else { otherwise }, frame, to)?;
            }
            Stmt::Interrupt(name, _) => {
                frame.insert(name, Value::Number(-4));
            }
            Stmt::Scope(body) => return self.block(body, frame, to),
            Stmt::Try(body, finally) => {
                let mut to = to;
                let end = self.block(body, frame, to.as_mut().map(|consumer| &mut **consumer as Consumer<'_, 'a>));
                if let Err(Stop::Useless) = end {
                    return end;
                }
                self.block(finally, frame, to)?;
                return end;
            }
            Stmt::Repeat(counter, count, body) => {
                let mut to = to;
                for round in 1..=*count {
                    frame.insert(counter, Value::Number(round));
                    self.block(body, frame, to.as_mut().map(|consumer| &mut **consumer as Consumer<'_, 'a>))?;
                }
            }
            Stmt::For(item, callee, args, body) => return self.consume(item, *callee, args, (body, frame), to),
            Stmt::Yield(value) => {
                let value = self.expr(value, frame)?;
                to.ok_or(Stop::Useless)?(self, value)?;
            }
            Stmt::Closure(name, param, body) => {
                let captured = Rc::new(frame.clone());
                frame.insert(name, Value::Closure(param, body, captured));
            }
            Stmt::Spawn(name, callee, args) => {
                let args = self.args(args, frame)?;
                let value = self.call(*callee, args)?;
                frame.insert(name, Value::Number(value));
            }
            Stmt::Cancel(name, ..) => {
                frame.insert(name, Value::Number(0));
            }
            Stmt::InTime(name, callee, args) => {
                let args = self.args(args, frame)?;
                self.call(*callee, args)?;
                frame.insert(name, Value::Number(1));
            }
            Stmt::Receive(name, from, count, _) => {
                let from = self.expr(from, frame)?;
                let fold = |sum: i64, index| sum.wrapping_mul(3).wrapping_add(from.wrapping_add(index));
                frame.insert(name, Value::Number((0..*count).fold(0, fold)));
            }
        }
        Ok(())
    }

    fn consume(
        &mut self,
        item: &'a str,
        callee: usize,
        args: &'a [Expr],
        (body, frame): (&'a [Stmt], &mut Frame<'a>),
        mut to: Option<Consumer<'_, 'a>>,
    ) -> Result<(), Stop> {
        let args = self.args(args, frame)?;
        let function = &self.program.functions[callee];
        if args[0] < 0 {
            return Ok(());
        }
        let mut inner = self.frame(function, args);
        let mut each = |world: &mut World<'a>, value: i64| {
            frame.insert(item, Value::Number(value));
            world.block(body, frame, to.as_mut().map(|consumer| &mut **consumer as Consumer<'_, 'a>))
        };
        self.block(&function.body, &mut inner, Some(&mut each))
    }

    fn number(&self, name: &str, frame: &Frame<'a>) -> Result<i64, Stop> {
        match frame.get(name) {
            Some(Value::Number(number)) => Ok(*number),
            _ => Err(Stop::Useless),
        }
    }

    fn expr(&mut self, expr: &'a Expr, frame: &mut Frame<'a>) -> Result<i64, Stop> {
        self.steps += 1;
        match expr {
            Expr::Number(number) => Ok(*number),
            Expr::Variable(name) | Expr::Join(name) => self.number(name, frame),
            Expr::Not(value) => Ok((self.expr(value, frame)? == 0).into()),
            Expr::Binary("&&", left, right) => {
                Ok((self.expr(left, frame)? != 0 && self.expr(right, frame)? != 0).into())
            }
            Expr::Binary("||", left, right) => {
                Ok((self.expr(left, frame)? != 0 || self.expr(right, frame)? != 0).into())
            }
            Expr::Binary(sign, left, right) => {
                let (left, right) = (self.expr(left, frame)?, self.expr(right, frame)?);
                Ok(match *sign {
                    "+" => left.wrapping_add(right),
                    "-" => left.wrapping_sub(right),
                    "*" => left.wrapping_mul(right),
                    "<" => (left < right).into(),
                    ">=" => (left >= right).into(),
                    "==" => (left == right).into(),
                    "!=" => (left != right).into(),
                    other => unreachable!("no {other}"),
                })
            }
            Expr::Divide(sign, left, right) => {
                let (left, right) = (self.expr(left, frame)?, self.expr(right, frame)? % 7 + 8);
                Ok(if *sign == "/" { left / right } else { left % right })
            }
            Expr::Call(callee, args) => {
                let args = self.args(args, frame)?;
                self.call(*callee, args)
            }
            Expr::Closure(name, arg) => {
                let arg = self.expr(arg, frame)?;
                let Some(Value::Closure(param, body, captured)) = frame.get(name.as_str()).cloned() else {
                    return Err(Stop::Useless);
                };
                let mut inner = (*captured).clone();
                inner.insert(param, Value::Number(arg));
                value_of(self.block(body, &mut inner, None))
            }
            Expr::Blocking(left, right) => Ok(self.expr(left, frame)?.wrapping_add(self.expr(right, frame)?)),
        }
    }
}

fn value_of(end: Result<(), Stop>) -> Result<i64, Stop> {
    match end {
        Ok(()) => Ok(0),
        Err(Stop::Return(value)) => Ok(value),
        Err(Stop::Useless) => Err(Stop::Useless),
    }
}
