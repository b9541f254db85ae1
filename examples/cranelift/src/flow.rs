// SPDX-License-Identifier: Apache-2.0
//! The syntax tree to a flow graph: blocks of simple instructions on registers. Await points end a block, so that a poll
//! function can go on behind each of them.
//!
//! Every value, a variable as well as an operand that waits for the next one, is a register. What lives across an await
//! is then one question for all of them (liveness.rs).

use crate::builtins::Builtin;
use crate::check::{Meaning, Program};
use crate::lex::Source;
use crate::parse::{Call, Color, Expr, ExprKind, Op, Stmt};

pub type Reg = usize;
pub type BlockId = usize;
pub type RegionId = usize;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Callee {
    Function(usize),
    /// The closure that a register names.
    Closure(Reg),
}

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
    Builtin(Builtin, Reg, Vec<Reg>),
    Convert(Convert, Reg, Reg, u32),
    Closure(Reg, usize, Vec<Reg>, u32),
    Spawn {
        dst: Reg,
        callee: Callee,
        args: Vec<Reg>,
        line: u32,
        wanted: bool,
    },
    /// Begins an async call: its frame, in this one's region, gets its arguments.
    Begin {
        region: RegionId,
        callee: Callee,
        args: Vec<Reg>,
        line: u32,
    },
    /// Ends it; a frame that did not run to its end is dropped.
    End {
        region: RegionId,
        drop: bool,
    },
}

/// What an await point waits for.
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
    /// The iterators of the loops around: they are alive here.
    pub iterators: Vec<RegionId>,
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

/// Room in the frame for the frame of an async call. As calls nest, regions are a stack: each lies behind the one that
/// it is inside, and those that are never alive at once lie in the same place.
#[derive(Debug)]
pub struct Region {
    pub inside: Option<RegionId>,
    pub callee: Callee,
}

#[derive(Debug)]
pub struct Flow {
    /// Where the function stands.
    pub line: u32,
    pub blocks: Vec<Block>,
    /// Registers: first the function's variables, then temporaries.
    pub regs: usize,
    pub regions: Vec<Region>,
}

struct Lower<'a> {
    program: &'a Program<'a>,
    source: &'a Source,
    flow: Flow,
    here: BlockId,
    iterators: Vec<RegionId>,
}

pub fn lower(program: &Program, source: &Source, index: usize) -> Flow {
    let function = &program.functions[index];
    let (line, blocks) = (source.line(function.at), vec![Block::default()]);
    let flow = Flow { line, blocks, regs: function.variables.len(), regions: Vec::new() };
    let mut lower = Lower { program, source, flow, here: 0, iterators: Vec::new() };
    lower.block(function.body);
    let zero = lower.number(0);
    lower.end(End::Return(zero));
    lower.flow
}

impl Lower<'_> {
    fn temp(&mut self) -> Reg {
        self.flow.regs += 1;
        self.flow.regs - 1
    }

    fn new_block(&mut self) -> BlockId {
        self.flow.blocks.push(Block::default());
        self.flow.blocks.len() - 1
    }

    fn emit(&mut self, inst: Inst) {
        self.flow.blocks[self.here].insts.push(inst);
    }

    fn end(&mut self, end: End) {
        self.flow.blocks[self.here].end = Some(end);
    }

    fn goto(&mut self, block: BlockId) {
        self.end(End::Jump(block));
        self.here = block;
    }

    fn number(&mut self, number: i64) -> Reg {
        let dst = self.temp();
        self.emit(Inst::Const(dst, number));
        dst
    }

    fn variable(&self, id: usize) -> Reg {
        match self.program.meanings[id] {
            Meaning::Variable(variable) => variable,
            other => unreachable!("check.rs made {other:?} of a variable"),
        }
    }

    fn block(&mut self, body: &[Stmt]) {
        body.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Let(name, value) | Stmt::Assign(name, value) => {
                let value = self.expr(value);
                self.emit(Inst::Copy(self.variable(name.id), value));
            }
            Stmt::If(condition, then, otherwise) => {
                let (yes, no, end) = (self.new_block(), self.new_block(), self.new_block());
                self.branch(condition, yes, no);
                for (block, body) in [(yes, then), (no, otherwise)] {
                    self.here = block;
                    self.block(body);
                    self.end(End::Jump(end));
                }
                self.here = end;
            }
            Stmt::While(condition, body) => {
                let (head, again, end) = (self.new_block(), self.new_block(), self.new_block());
                self.goto(head);
                self.branch(condition, again, end);
                self.here = again;
                self.block(body);
                self.end(End::Jump(head));
                self.here = end;
            }
            Stmt::For(item, call, body) => self.for_loop(self.variable(item.id), call, body),
            Stmt::Return(value) => {
                let value = match value {
                    Some(value) => self.expr(value),
                    None => self.number(0),
                };
                for region in self.iterators.clone().into_iter().rev() {
                    self.emit(Inst::End { region, drop: true });
                }
                self.end(End::Return(value));
                self.here = self.new_block(); // unreachable
            }
            Stmt::Yield(at, value) => {
                let value = self.expr(value);
                self.wait(Wait::Consumer, vec![value], *at);
            }
            Stmt::Expr(Expr { at, kind: ExprKind::Spawn(call) }) => {
                self.spawn(call, *at, false);
            }
            Stmt::Expr(value) => {
                self.expr(value);
            }
        }
    }

    fn for_loop(&mut self, item: Reg, call: &Call, body: &[Stmt]) {
        let region = self.begin(call);
        self.iterators.push(region);
        let (head, exit) = (self.new_block(), self.new_block());
        self.goto(head);
        let next = self.wait(Wait::Next(region, exit), Vec::new(), call.callee.at);
        self.emit(Inst::Copy(item, next));
        self.block(body);
        self.end(End::Jump(head));
        self.iterators.pop();
        self.here = exit;
        self.emit(Inst::End { region, drop: false });
    }

    /// Goes to `yes` or `no`; && and || need no value for that.
    fn branch(&mut self, condition: &Expr, yes: BlockId, no: BlockId) {
        match &condition.kind {
            ExprKind::Binary(op @ (Op::And | Op::Or), left, right) => {
                let middle = self.new_block();
                match op {
                    Op::And => self.branch(left, middle, no),
                    _ => self.branch(left, yes, middle),
                }
                self.here = middle;
                self.branch(right, yes, no);
            }
            ExprKind::Not(value) => self.branch(value, no, yes),
            _ => {
                let value = self.expr(condition);
                self.end(End::Branch(value, yes, no));
            }
        }
    }

    fn expr(&mut self, expr: &Expr) -> Reg {
        match &expr.kind {
            ExprKind::Number(number) => self.number(*number),
            ExprKind::Variable(name) => self.variable(name.id),
            ExprKind::Negate(value) => self.unary(value, Inst::Negate),
            ExprKind::Not(value) => self.unary(value, Inst::Not),
            ExprKind::Binary(Op::And | Op::Or, ..) => {
                let (yes, no, end, dst) = (self.new_block(), self.new_block(), self.new_block(), self.temp());
                self.branch(expr, yes, no);
                for (block, value) in [(yes, 1), (no, 0)] {
                    self.here = block;
                    self.emit(Inst::Const(dst, value));
                    self.end(End::Jump(end));
                }
                self.here = end;
                dst
            }
            ExprKind::Binary(op, left, right) => {
                let checked = match right.kind {
                    ExprKind::Number(number) => number == 0 || number == -1,
                    _ => true,
                };
                let line = (checked && matches!(op, Op::Div | Op::Rem)).then(|| self.source.line(expr.at));
                let (left, right, dst) = (self.expr(left), self.expr(right), self.temp());
                self.emit(Inst::Binary(*op, dst, left, right, line));
                dst
            }
            ExprKind::Call(call) => {
                let args = self.args(call);
                let dst = self.temp();
                match self.program.meanings[call.callee.id] {
                    Meaning::Function(function) => self.emit(Inst::Call(dst, function, args)),
                    Meaning::Builtin(builtin) => {
                        let args = self.convert(builtin, args, call.callee.at);
                        self.emit(Inst::Builtin(builtin, dst, args));
                    }
                    Meaning::Variable(_) => unreachable!("check.rs wants closures awaited"),
                }
                dst
            }
            ExprKind::Await(value) => match &value.kind {
                ExprKind::Call(call) => self.await_call(call, expr.at),
                other => unreachable!("check.rs lets only calls be awaited, not {other:?}"),
            },
            ExprKind::Spawn(call) => self.spawn(call, expr.at, true),
            ExprKind::Closure(function) => {
                let Meaning::Function(index) = self.program.meanings[function.name.id] else {
                    unreachable!("check.rs made a function of the closure")
                };
                let captures = self.program.functions[index].captures.iter().map(|(outer, _)| *outer).collect();
                let dst = self.temp();
                self.emit(Inst::Closure(dst, index, captures, self.source.line(expr.at)));
                dst
            }
        }
    }

    fn unary(&mut self, value: &Expr, inst: fn(Reg, Reg) -> Inst) -> Reg {
        let (value, dst) = (self.expr(value), self.temp());
        self.emit(inst(dst, value));
        dst
    }

    fn args(&mut self, call: &Call) -> Vec<Reg> {
        call.args.iter().map(|arg| self.expr(arg)).collect()
    }

    fn callee(&self, call: &Call) -> Callee {
        match self.program.meanings[call.callee.id] {
            Meaning::Function(function) => Callee::Function(function),
            Meaning::Variable(variable) => Callee::Closure(variable),
            Meaning::Builtin(builtin) => unreachable!("{builtin:?} has no frame"),
        }
    }

    fn spawn(&mut self, call: &Call, at: usize, wanted: bool) -> Reg {
        let (args, callee, line) = (self.args(call), self.callee(call), self.source.line(at));
        let dst = self.temp();
        self.emit(Inst::Spawn { dst, callee, args, line, wanted });
        dst
    }

    fn begin(&mut self, call: &Call) -> RegionId {
        let (args, callee, line) = (self.args(call), self.callee(call), self.source.line(call.callee.at));
        let region = self.flow.regions.len();
        self.flow.regions.push(Region { inside: self.iterators.last().copied(), callee });
        self.emit(Inst::Begin { region, callee, args, line });
        region
    }

    /// Ends the block at an await point and goes on behind it.
    fn wait(&mut self, wait: Wait, args: Vec<Reg>, at: usize) -> Reg {
        let (dst, next, line) = (self.temp(), self.new_block(), self.source.line(at));
        self.end(End::Await(Point { wait, dst, args, next, line, iterators: self.iterators.clone() }));
        self.here = next;
        dst
    }

    fn await_call(&mut self, call: &Call, at: usize) -> Reg {
        let Meaning::Builtin(builtin) = self.program.meanings[call.callee.id] else {
            let region = self.begin(call);
            let dst = self.wait(Wait::Call(region), Vec::new(), at);
            self.emit(Inst::End { region, drop: false });
            return dst;
        };
        let args = self.args(call);
        let args = self.convert(builtin, args, call.callee.at);
        match builtin {
            Builtin::YieldNow => self.wait(Wait::Poll, args, at),
            Builtin::Timeout => {
                let task = args[0];
                let in_time = self.wait(Wait::Op(builtin), args, at);
                let (late, end) = (self.new_block(), self.new_block());
                self.end(End::Branch(in_time, end, late));
                self.here = late;
                let dst = self.temp();
                self.emit(Inst::Builtin(Builtin::Cancel, dst, vec![task]));
                self.goto(end);
                in_time
            }
            _ => self.wait(Wait::Op(builtin), args, at),
        }
    }

    /// Turns a builtin's arguments into what the runtime takes.
    fn convert(&mut self, builtin: Builtin, mut args: Vec<Reg>, at: usize) -> Vec<Reg> {
        let converts: &[Convert] = match builtin {
            Builtin::Join | Builtin::Cancel => &[Convert::Task],
            Builtin::Select => &[Convert::Task, Convert::Task],
            Builtin::Timeout => &[Convert::Task, Convert::Deadline],
            Builtin::SleepMs => &[Convert::Duration],
            Builtin::TcpConnect | Builtin::TcpListen => &[Convert::Port],
            _ => &[],
        };
        for (arg, convert) in args.iter_mut().zip(converts) {
            let dst = self.temp();
            self.emit(Inst::Convert(*convert, dst, *arg, self.source.line(at)));
            *arg = dst;
        }
        args
    }
}

impl Inst {
    /// The register that it sets, and those that it reads.
    pub fn registers(&self) -> (Option<Reg>, Vec<Reg>) {
        let with_callee = |callee: &Callee, args: &Vec<Reg>| match callee {
            Callee::Closure(closure) => args.iter().chain([closure]).copied().collect(),
            Callee::Function(_) => args.clone(),
        };
        match self {
            Inst::Const(dst, _) => (Some(*dst), Vec::new()),
            Inst::Copy(dst, a) | Inst::Negate(dst, a) | Inst::Not(dst, a) | Inst::Convert(_, dst, a, _) => {
                (Some(*dst), vec![*a])
            }
            Inst::Binary(_, dst, a, b, _) => (Some(*dst), vec![*a, *b]),
            Inst::Call(dst, _, args) | Inst::Builtin(_, dst, args) | Inst::Closure(dst, _, args, _) => {
                (Some(*dst), args.clone())
            }
            Inst::Spawn { dst, callee, args, .. } => (Some(*dst), with_callee(callee, args)),
            Inst::Begin { callee, args, .. } => (None, with_callee(callee, args)),
            Inst::End { .. } => (None, Vec::new()),
        }
    }
}

/// Whether the color has a frame and a poll function.
pub fn is_async(color: Color) -> bool {
    color != Color::Plain
}
