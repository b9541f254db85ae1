// SPDX-License-Identifier: Apache-2.0
//! The syntax tree to a flow graph: blocks of simple instructions on registers. An await point ends a block, so that a
//! poll function can go on behind it.
//!
//! Every value, a variable as well as an operand that waits for the next one, is a register. So liveness across an
//! await is the same question for all of them (liveness.rs).

use std::collections::BTreeMap;

use crate::builtins::Builtin;
use crate::check::{self, Globals, How, Scopes, Target};
use crate::lex::{error, Error, Source};
use crate::parse::{Call, Color, Expr, ExprKind, Function, Name, Op, Stmt};

pub type Reg = usize;
pub type BlockId = usize;
pub type RegionId = usize;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Convert {
    /// A task's number to its cell.
    Task,
    /// A number to one that is a port.
    Port,
    /// Milliseconds to nanoseconds.
    Duration,
    /// Milliseconds from now to a time of the runtime's clock.
    Deadline,
}

#[derive(Debug)]
pub enum Inst {
    Const(Reg, i64),
    Copy(Reg, Reg),
    Negate(Reg, Reg),
    Not(Reg, Reg),
    /// With its line when a division has to be checked.
    Binary(Op, Reg, Reg, Reg, Option<u32>),
    Call(Reg, usize, Vec<Reg>),
    Builtin(Builtin, Reg, Vec<Reg>, u32),
    Convert(Convert, Reg, Reg, u32),
    Closure(Reg, usize, Vec<Reg>, u32),
    Spawn {
        dst: Reg,
        callee: Target,
        args: Vec<Reg>,
        line: u32,
        wanted: bool,
        /// The scope that the task belongs to, if any.
        scope: Option<Reg>,
    },
    /// Begins an async call: its frame, in this one's region, gets its arguments.
    Begin {
        region: RegionId,
        callee: Target,
        args: Vec<Reg>,
        line: u32,
    },
    /// Ends it; a frame that did not run to its end is dropped.
    End {
        region: RegionId,
        drop: bool,
    },
}

/// The operation of an await point.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Wait {
    /// An operation of the runtime.
    Op(Builtin),
    /// The async call in the region.
    Call(RegionId),
    /// The next item of the iterator in the region; the block is where to go at its end.
    Next(RegionId, BlockId),
    /// The next poll.
    Poll,
    /// The consumer of this iterator, which gets the argument.
    Consumer,
}

#[derive(Debug)]
pub struct Point {
    pub wait: Wait,
    pub dst: Reg,
    pub args: Vec<Reg>,
    pub next: BlockId,
    pub line: u32,
    /// Alive here, outer ones first.
    pub alive: Vec<Alive>,
}

/// An object that a function has to end when it leaves a block, and when it is dropped inside that block.
#[derive(Clone, Copy, Debug)]
pub enum Alive {
    /// The iterator of a `for`.
    Iterator(RegionId),
    /// The scope of the runtime that the register names, and its line.
    Scope(Reg, u32),
}

#[derive(Debug)]
pub enum End {
    Jump(BlockId),
    Branch(Reg, BlockId, BlockId),
    Return(Reg),
    Await(Point),
}

#[derive(Default, Debug)]
pub struct Block {
    pub insts: Vec<Inst>,
    pub end: Option<End>,
}

/// Room in the frame for the frame of an async call. As calls nest, regions are a stack: each lies behind its outer
/// region, and regions that are never alive at once lie in the same place.
#[derive(Debug)]
pub struct Region {
    pub inside: Option<RegionId>,
    pub callee: Target,
}

/// A `while`: its blocks are those from `head` to before `end`.
pub struct Loop {
    /// Leads to the head.
    pub before: BlockId,
    pub head: BlockId,
    pub end: BlockId,
    /// Where it leads; only from the loop.
    pub exit: BlockId,
}

/// A function, lowered.
pub struct Flow {
    pub color: Color,
    pub name: String,
    pub at: usize,
    pub line: u32,
    pub params: usize,
    /// See check::Scopes.
    pub captures: Vec<(Reg, Reg)>,
    pub names: BTreeMap<Reg, String>,
    pub regs: usize,
    pub blocks: Vec<Block>,
    pub regions: Vec<Region>,
    /// Inner ones first.
    pub loops: Vec<Loop>,
}

/// A function that is being lowered.
struct Open {
    color: Color,
    name: String,
    blocks: Vec<Block>,
    regions: Vec<Region>,
    loops: Vec<Loop>,
    here: BlockId,
    /// The statements around, outer ones first.
    around: Vec<Around>,
}

/// A statement that a `return` inside it has to pass.
#[derive(Clone, Copy)]
enum Around {
    Alive(Alive),
    /// A `while`, and whether a `return` to a `try` around it leads through its exit.
    Loop {
        exit: BlockId,
        is_left: bool,
    },
    /// The body of a `try`, and whether a `return` leaves it. That sets `returns` and `value`.
    Try {
        finally: BlockId,
        returns: Reg,
        value: Reg,
        is_left: bool,
    },
}

struct Lower<'a> {
    source: &'a Source,
    globals: Globals<'a>,
    /// By number; closures come behind the functions of the source.
    done: Vec<Option<Flow>>,
    this: Open,
    /// Of this function and, if it is a closure, of those around it.
    scopes: Vec<Scopes>,
}

/// Every function of the program, and the number of `main`.
pub fn lower(functions: &[Function], source: &Source) -> Result<(Vec<Flow>, usize), Error> {
    let (globals, done) = (check::globals(functions)?, functions.iter().map(|_| None).collect());
    let mut lower = Lower { source, globals, done, this: Open::new(Color::Plain, String::new()), scopes: Vec::new() };
    for (index, function) in functions.iter().enumerate() {
        lower.function(index, function, function.name.text.clone())?;
    }
    let main = check::main(&lower.globals)?;
    let done = lower.done.into_iter().map(|flow| flow.expect("every function is lowered"));
    Ok((done.collect(), main))
}

impl Open {
    fn new(color: Color, name: String) -> Open {
        let (blocks, regions, loops, around) = (vec![Block::default()], Vec::new(), Vec::new(), Vec::new());
        Open { color, name, blocks, regions, loops, here: 0, around }
    }
}

impl Lower<'_> {
    /// Lowers a function; gives the registers around it that it captures.
    fn function(&mut self, index: usize, function: &Function, name: String) -> Result<Vec<Reg>, Error> {
        let around = std::mem::replace(&mut self.this, Open::new(function.color, name));
        self.scopes.push(Scopes::new(&function.params)?);
        self.block(&function.body)?;
        let zero = self.number(0);
        self.end(End::Return(zero));
        let this = std::mem::replace(&mut self.this, around);
        let Scopes { captures, names, regs, .. } = self.scopes.pop().expect("the function's own scopes");
        let outer = captures.iter().map(|(outer, _)| *outer).collect();
        let (at, line, params) = (function.name.at, self.source.line(function.name.at), function.params.len());
        let Open { color, name, blocks, regions, loops, .. } = this;
        self.done[index] = Some(Flow { color, name, at, line, params, captures, names, regs, blocks, regions, loops });
        Ok(outer)
    }

    fn scope(&mut self) -> &mut Scopes {
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    fn temp(&mut self) -> Reg {
        self.scope().temp()
    }

    fn variable(&mut self, name: &Name) -> Result<Reg, Error> {
        check::variable(&mut self.scopes, &self.globals, name)
    }

    fn target(&mut self, call: &Call, how: How) -> Result<Target, Error> {
        check::call(&mut self.scopes, &self.globals, self.this.color, call, how)
    }

    fn new_block(&mut self) -> BlockId {
        self.this.blocks.push(Block::default());
        self.this.blocks.len() - 1
    }

    fn emit(&mut self, inst: Inst) {
        self.this.blocks[self.this.here].insts.push(inst);
    }

    fn end(&mut self, end: End) {
        self.this.blocks[self.this.here].end = Some(end);
    }

    fn goto(&mut self, block: BlockId) {
        self.end(End::Jump(block));
        self.this.here = block;
    }

    fn number(&mut self, number: i64) -> Reg {
        let dst = self.temp();
        self.emit(Inst::Const(dst, number));
        dst
    }

    fn block(&mut self, body: &[Stmt]) -> Result<(), Error> {
        self.scope().enter();
        body.iter().try_for_each(|stmt| self.stmt(stmt))?;
        self.scope().leave();
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt) -> Result<(), Error> {
        match stmt {
            Stmt::Let(name, value) => {
                let value = self.expr(value)?;
                let variable = self.scope().declare(&name.text);
                self.emit(Inst::Copy(variable, value));
            }
            Stmt::Assign(name, value) => {
                let variable = self.variable(name)?;
                let value = self.expr(value)?;
                self.emit(Inst::Copy(variable, value));
            }
            Stmt::If(condition, then, otherwise) => {
                let (yes, no, end) = (self.new_block(), self.new_block(), self.new_block());
                self.branch(condition, yes, no)?;
                for (block, body) in [(yes, then), (no, otherwise)] {
                    self.this.here = block;
                    self.block(body)?;
                    self.end(End::Jump(end));
                }
                self.this.here = end;
            }
            Stmt::While(condition, body) => {
                let (before, exit, head, again) =
                    (self.this.here, self.new_block(), self.new_block(), self.new_block());
                self.goto(head);
                self.branch(condition, again, exit)?;
                self.this.here = again;
                self.this.around.push(Around::Loop { exit, is_left: false });
                self.block(body)?;
                self.end(End::Jump(head));
                let end = self.this.blocks.len();
                self.this.loops.push(Loop { before, head, end, exit });
                self.this.here = exit;
                if let Some(Around::Loop { is_left: true, .. }) = self.this.around.pop() {
                    let (returns, value) = self.innermost_try().expect("a `try` is around the loop");
                    self.go_on_returning(returns, value);
                }
            }
            Stmt::For(item, call, body) => self.for_loop(item, call, body)?,
            Stmt::Return(value) => {
                let value = match value {
                    Some(value) => self.expr(value)?,
                    None => self.number(0),
                };
                self.leave(value);
                self.this.here = self.new_block(); // unreachable
            }
            Stmt::Scope(at, _) if self.this.color == Color::Plain => {
                return error(*at, "`scope` is not allowed in a plain `fn`");
            }
            Stmt::Scope(at, body) => {
                let (scope, line) = (self.scope().declare("scope"), self.source.line(*at));
                self.emit(Inst::Builtin(Builtin::ScopeCreate, scope, Vec::new(), line));
                self.this.around.push(Around::Alive(Alive::Scope(scope, line)));
                self.block(body)?;
                self.end_scope(scope, line);
                self.this.around.pop();
            }
            Stmt::Try(body, finally) => self.try_finally(body, finally)?,
            Stmt::Yield(at, _) if self.this.color != Color::Iter => {
                return error(*at, "`yield` is only allowed in an `async iter`");
            }
            Stmt::Yield(at, value) => {
                let value = self.expr(value)?;
                let line = self.source.line(*at);
                self.wait(Wait::Consumer, vec![value], line);
            }
            Stmt::Expr(Expr { at, kind: ExprKind::Spawn(call) }) => {
                self.spawn(call, *at, false)?;
            }
            Stmt::Expr(value) => {
                self.expr(value)?;
            }
        }
        Ok(())
    }

    /// A `return` inside the body goes on behind `finally`.
    fn try_finally(&mut self, body: &[Stmt], after: &[Stmt]) -> Result<(), Error> {
        let (finally, returns, value) = (self.new_block(), self.number(0), self.number(0));
        self.this.around.push(Around::Try { finally, returns, value, is_left: false });
        self.block(body)?;
        self.end(End::Jump(finally));
        let left = self.this.around.pop();
        self.this.here = finally;
        self.block(after)?;
        if let Some(Around::Try { is_left: true, .. }) = left {
            self.go_on_returning(returns, value);
        }
        Ok(())
    }

    /// Returns the value: drops the live values, up to the next `try`. The way there leads through the exits of the
    /// loops between, so that each loop keeps its only exit.
    fn leave(&mut self, value: Reg) {
        let around = self.this.around.clone();
        let target = self.innermost_try();
        let mut left = None;
        while let Some(last) = self.this.around.last_mut() {
            match last {
                Around::Alive(Alive::Iterator(region)) => {
                    let region = *region;
                    self.emit(Inst::End { region, drop: true });
                }
                Around::Alive(Alive::Scope(scope, line)) => {
                    let (scope, line) = (*scope, *line);
                    self.end_scope(scope, line);
                }
                Around::Loop { exit, .. } if target.is_some() => left = Some(*exit),
                Around::Loop { .. } => {}
                Around::Try { finally, .. } => left = Some(*finally),
            }
            if left.is_some() {
                break;
            }
            self.this.around.pop();
        }
        let depth = self.this.around.len();
        self.this.around = around;
        let (Some(next), Some((returns, result))) = (left, target) else { return self.end(End::Return(value)) };
        if let Around::Loop { is_left, .. } | Around::Try { is_left, .. } = &mut self.this.around[depth - 1] {
            *is_left = true;
        }
        self.emit(Inst::Copy(result, value));
        self.emit(Inst::Const(returns, 1));
        self.end(End::Jump(next));
    }

    /// Where a `return` notes that it is on its way, and its value.
    fn innermost_try(&self) -> Option<(Reg, Reg)> {
        self.this.around.iter().rev().find_map(|each| match each {
            Around::Try { returns, value, .. } => Some((*returns, *value)),
            _ => None,
        })
    }

    /// Behind a `finally`, or a loop inside a `try`: a `return` that is on its way goes on.
    fn go_on_returning(&mut self, returns: Reg, value: Reg) {
        let (leave, next) = (self.new_block(), self.new_block());
        self.end(End::Branch(returns, leave, next));
        self.this.here = leave;
        self.leave(value);
        self.this.here = next;
    }

    /// Waits for the tasks of a scope and ends it. It is still alive during the wait.
    fn end_scope(&mut self, scope: Reg, line: u32) {
        self.wait(Wait::Op(Builtin::ScopeJoin), vec![scope], line);
        let code = self.temp();
        self.emit(Inst::Builtin(Builtin::ScopeDestroy, code, vec![scope], line));
    }

    fn for_loop(&mut self, item: &Name, call: &Call, body: &[Stmt]) -> Result<(), Error> {
        let target = self.target(call, How::For)?;
        let region = self.begin(target, call)?;
        self.this.around.push(Around::Alive(Alive::Iterator(region)));
        let (head, exit) = (self.new_block(), self.new_block());
        self.goto(head);
        let line = self.source.line(call.callee.at);
        let next = self.wait(Wait::Next(region, exit), Vec::new(), line);
        self.scope().enter();
        let item = self.scope().declare(&item.text);
        self.emit(Inst::Copy(item, next));
        self.block(body)?;
        self.scope().leave();
        self.end(End::Jump(head));
        self.this.around.pop();
        self.this.here = exit;
        self.emit(Inst::End { region, drop: false });
        Ok(())
    }

    /// Goes to `yes` or `no`; && and || need no value for that.
    fn branch(&mut self, condition: &Expr, yes: BlockId, no: BlockId) -> Result<(), Error> {
        match &condition.kind {
            ExprKind::Binary(op @ (Op::And | Op::Or), left, right) => {
                let middle = self.new_block();
                match op {
                    Op::And => self.branch(left, middle, no)?,
                    _ => self.branch(left, yes, middle)?,
                }
                self.this.here = middle;
                self.branch(right, yes, no)
            }
            ExprKind::Not(value) => self.branch(value, no, yes),
            _ => {
                let value = self.expr(condition)?;
                self.end(End::Branch(value, yes, no));
                Ok(())
            }
        }
    }

    fn expr(&mut self, expr: &Expr) -> Result<Reg, Error> {
        let dst = match &expr.kind {
            ExprKind::Number(number) => self.number(*number),
            ExprKind::Variable(name) => self.variable(name)?,
            ExprKind::Negate(value) => self.unary(value, Inst::Negate)?,
            ExprKind::Not(value) => self.unary(value, Inst::Not)?,
            ExprKind::Binary(Op::And | Op::Or, ..) => {
                let (yes, no, end, dst) = (self.new_block(), self.new_block(), self.new_block(), self.temp());
                self.branch(expr, yes, no)?;
                for (block, value) in [(yes, 1), (no, 0)] {
                    self.this.here = block;
                    self.emit(Inst::Const(dst, value));
                    self.end(End::Jump(end));
                }
                self.this.here = end;
                dst
            }
            ExprKind::Binary(op, left, right) => {
                let safe = matches!(right.kind, ExprKind::Number(number) if number != 0 && number != -1);
                let line = (!safe && matches!(op, Op::Div | Op::Rem)).then(|| self.source.line(expr.at));
                let (left, right, dst) = (self.expr(left)?, self.expr(right)?, self.temp());
                self.emit(Inst::Binary(*op, dst, left, right, line));
                dst
            }
            ExprKind::Call(call) => {
                let target = self.target(call, How::Plain)?;
                let (args, dst, line) = (self.args(call)?, self.temp(), self.source.line(call.callee.at));
                match target {
                    Target::Function(function) => self.emit(Inst::Call(dst, function, args)),
                    Target::Builtin(builtin) => {
                        let args = self.convert(builtin, args, line);
                        self.emit(Inst::Builtin(builtin, dst, args, line));
                    }
                    Target::Closure(_) => unreachable!("check.rs wants closures awaited"),
                }
                dst
            }
            ExprKind::Await(value) => match &value.kind {
                ExprKind::Call(call) => self.await_call(call, expr.at)?,
                _ if self.this.color == Color::Plain => {
                    return error(expr.at, "`.await` is not allowed in a plain `fn`");
                }
                _ => return error(expr.at, "expected an async call before `.await`"),
            },
            ExprKind::Spawn(call) => self.spawn(call, expr.at, true)?,
            ExprKind::Closure(function) => {
                let index = self.done.len();
                self.done.push(None);
                let name = format!("{}.closure{index}", self.this.name);
                let captures = self.function(index, function, name)?;
                let dst = self.temp();
                self.emit(Inst::Closure(dst, index, captures, self.source.line(expr.at)));
                dst
            }
        };
        Ok(dst)
    }

    fn unary(&mut self, value: &Expr, inst: fn(Reg, Reg) -> Inst) -> Result<Reg, Error> {
        let (value, dst) = (self.expr(value)?, self.temp());
        self.emit(inst(dst, value));
        Ok(dst)
    }

    fn args(&mut self, call: &Call) -> Result<Vec<Reg>, Error> {
        call.args.iter().map(|arg| self.expr(arg)).collect()
    }

    fn spawn(&mut self, call: &Call, at: usize, wanted: bool) -> Result<Reg, Error> {
        let callee = self.target(call, How::Spawn)?;
        let (args, dst, line) = (self.args(call)?, self.temp(), self.source.line(at));
        let scope = self.alive().rev().find_map(|alive| match alive {
            Alive::Scope(scope, _) => Some(scope),
            Alive::Iterator(_) => None,
        });
        self.emit(Inst::Spawn { dst, callee, args, line, wanted, scope });
        Ok(dst)
    }

    fn begin(&mut self, callee: Target, call: &Call) -> Result<RegionId, Error> {
        let (args, line) = (self.args(call)?, self.source.line(call.callee.at));
        let region = self.this.regions.len();
        let inside = self.alive().rev().find_map(|alive| match alive {
            Alive::Iterator(region) => Some(region),
            Alive::Scope(..) => None,
        });
        self.this.regions.push(Region { inside, callee });
        self.emit(Inst::Begin { region, callee, args, line });
        Ok(region)
    }

    fn alive(&self) -> impl DoubleEndedIterator<Item = Alive> + '_ {
        self.this.around.iter().filter_map(|each| match each {
            Around::Alive(alive) => Some(*alive),
            _ => None,
        })
    }

    /// Ends the block at an await point and goes on behind it.
    fn wait(&mut self, wait: Wait, args: Vec<Reg>, line: u32) -> Reg {
        let (dst, next, alive) = (self.temp(), self.new_block(), self.alive().collect());
        self.end(End::Await(Point { wait, dst, args, next, line, alive }));
        self.this.here = next;
        dst
    }

    fn await_call(&mut self, call: &Call, at: usize) -> Result<Reg, Error> {
        let target = self.target(call, How::Await(at))?;
        let Target::Builtin(builtin) = target else {
            let region = self.begin(target, call)?;
            let line = self.source.line(at);
            let dst = self.wait(Wait::Call(region), Vec::new(), line);
            self.emit(Inst::End { region, drop: false });
            return Ok(dst);
        };
        let (args, line) = (self.args(call)?, self.source.line(call.callee.at));
        let (args, at) = (self.convert(builtin, args, line), self.source.line(at));
        if builtin == Builtin::YieldNow {
            return Ok(self.wait(Wait::Poll, args, at));
        }
        let limited = (builtin == Builtin::Timeout).then(|| args[0]);
        let dst = self.wait(Wait::Op(builtin), args, at);
        if let Some(task) = limited {
            let (late, end, code) = (self.new_block(), self.new_block(), self.temp());
            self.end(End::Branch(dst, end, late));
            self.this.here = late;
            self.emit(Inst::Builtin(Builtin::Cancel, code, vec![task], line));
            self.goto(end);
        }
        Ok(dst)
    }

    /// Turns a builtin's arguments into the arguments of the runtime's function.
    fn convert(&mut self, builtin: Builtin, mut args: Vec<Reg>, line: u32) -> Vec<Reg> {
        let converts: &[Convert] = match builtin {
            Builtin::Join | Builtin::Cancel | Builtin::Interrupt => &[Convert::Task],
            Builtin::Select => &[Convert::Task, Convert::Task],
            Builtin::Timeout => &[Convert::Task, Convert::Deadline],
            Builtin::SleepMs => &[Convert::Duration],
            Builtin::TcpConnect | Builtin::TcpListen => &[Convert::Port],
            _ => &[],
        };
        for (arg, convert) in args.iter_mut().zip(converts) {
            let dst = self.temp();
            self.emit(Inst::Convert(*convert, dst, *arg, line));
            *arg = dst;
        }
        args
    }
}

impl Flow {
    /// Parameters, and captures behind them.
    pub fn args(&self) -> impl Iterator<Item = Reg> + '_ {
        (0..self.params).chain(self.captures.iter().map(|(_, inner)| *inner))
    }

    /// The await points, in the order of their blocks.
    pub fn points(&self) -> impl Iterator<Item = &Point> {
        self.blocks.iter().filter_map(|block| match &block.end {
            Some(End::Await(point)) => Some(point),
            _ => None,
        })
    }
}

impl End {
    /// The registers that it reads.
    pub fn reads(&self) -> impl Iterator<Item = Reg> + '_ {
        let (one, more): (Option<Reg>, &[Reg]) = match self {
            End::Jump(_) => (None, &[]),
            End::Branch(value, ..) | End::Return(value) => (Some(*value), &[]),
            End::Await(point) => (None, &point.args),
        };
        one.into_iter().chain(more.iter().copied())
    }

    /// Where it leads.
    pub fn targets(&self) -> impl Iterator<Item = BlockId> {
        let (first, second) = match self {
            End::Jump(next) => (Some(*next), None),
            End::Branch(_, yes, no) => (Some(*yes), Some(*no)),
            End::Return(_) => (None, None),
            End::Await(Point { wait: Wait::Next(_, exit), next, .. }) => (Some(*next), Some(*exit)),
            End::Await(point) => (Some(point.next), None),
        };
        first.into_iter().chain(second)
    }
}

impl Inst {
    /// The register that it sets, and those that it reads.
    pub fn registers(&self) -> (Option<Reg>, Vec<Reg>) {
        let with_callee = |callee: &Target, args: &Vec<Reg>| match callee {
            Target::Closure(closure) => args.iter().chain([closure]).copied().collect(),
            _ => args.clone(),
        };
        match self {
            Inst::Const(dst, _) => (Some(*dst), Vec::new()),
            Inst::Copy(dst, a) | Inst::Negate(dst, a) | Inst::Not(dst, a) | Inst::Convert(_, dst, a, _) => {
                (Some(*dst), vec![*a])
            }
            Inst::Binary(_, dst, a, b, _) => (Some(*dst), vec![*a, *b]),
            Inst::Call(dst, _, args) | Inst::Builtin(_, dst, args, _) | Inst::Closure(dst, _, args, _) => {
                (Some(*dst), args.clone())
            }
            Inst::Spawn { dst, callee, args, scope, .. } => {
                let mut reads = with_callee(callee, args);
                reads.extend(scope);
                (Some(*dst), reads)
            }
            Inst::Begin { callee, args, .. } => (None, with_callee(callee, args)),
            Inst::End { .. } => (None, Vec::new()),
        }
    }
}

/// Whether the color has a frame and a poll function.
pub fn is_async(color: Color) -> bool {
    color != Color::Plain
}
