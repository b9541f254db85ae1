// SPDX-License-Identifier: Apache-2.0
//! The body of one machine function, from its flow graph.
//!
//! An await point has two calls of its operation. The first is in the straight-line code; when it is pending, the frame
//! gets the state id and the values that it does not have yet. The second is at the place where the next poll comes in;
//! while it is pending too there is nothing to store, and when it is ready both ways join. homes.rs says where each
//! value is.

use std::collections::{HashMap, HashSet};

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    types, Block, BlockCall, FuncRef, Inst as Call, InstBuilder, JumpTableData, MemFlagsData, StackSlot, StackSlotData,
    StackSlotKind, TrapCode, Value,
};
use cranelift_frontend::{FunctionBuilder, Variable};
use cranelift_module::{DataId, FuncId, Module};

use crate::check::Target;
use crate::codegen::{signature, Codes, Unit};
use crate::flow::{Alive, Convert, End, Flow, Inst, Point, Reg, RegionId, Wait};
use crate::host::{cell, kind, program, Failure};
use crate::layout::{Frame, Place, ARGS, RESULT};
use crate::parse::{Color, Op};
use crate::runtime::waker;
use crate::set::Set;

pub const READY: i64 = 0;
pub const PENDING: i64 = 1;
/// The state id of an iterator that has come to its end.
const DONE: i64 = u32::MAX as i64;
pub const MEMORY: MemFlagsData = MemFlagsData::trusted();

pub struct Body<'b, 'u> {
    unit: &'b mut Unit<'u>,
    pub builder: FunctionBuilder<'b>,
    index: usize,
    flow: &'u Flow,
    frame: Option<&'u Frame<'u>>,
    vars: Vec<Variable>,
    /// The residents that registers have here, and whether those that are set are stored behind this loop only.
    available: Set,
    quiet: bool,
    /// The blocks of the flow graph.
    blocks: Vec<Block>,
    /// Where the poll function goes on, by await point.
    resumes: Vec<Block>,
    params: Vec<Value>,
    /// Room for results and items of the runtime's operations.
    scratch: Option<StackSlot>,
    refs: HashMap<FuncId, FuncRef>,
    /// Calls of compiled functions that go straight on.
    pub straight_calls: HashSet<Call>,
    straight: bool,
}

impl<'b, 'u> Body<'b, 'u> {
    pub fn new(unit: &'b mut Unit<'u>, index: usize, mut builder: FunctionBuilder<'b>) -> Self {
        let (flow, frame) = (&unit.flows[index], unit.layouts.frames[index].as_ref());
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        let params = builder.block_params(entry).to_vec();
        let vars = (0..flow.regs).map(|_| builder.declare_var(types::I64)).collect();
        let mut create = |count: usize| -> Vec<Block> { (0..count).map(|_| builder.create_block()).collect() };
        let (blocks, resumes) = (create(flow.blocks.len()), create(frame.map_or(0, |frame| frame.spots.len())));
        let refs = HashMap::new();
        Body {
            unit,
            builder,
            index,
            flow,
            frame,
            vars,
            available: frame.map_or(Set::default(), |frame| frame.lives.none()),
            quiet: false,
            blocks,
            resumes,
            params,
            scratch: None,
            refs,
            straight_calls: HashSet::new(),
            straight: true,
        }
    }

    // ---- Small things ----

    pub fn constant(&mut self, number: i64) -> Value {
        self.builder.ins().iconst(types::I64, number)
    }

    pub fn load(&mut self, base: Value, offset: i32) -> Value {
        self.builder.ins().load(types::I64, MEMORY, base, offset)
    }

    pub fn store(&mut self, value: Value, base: Value, offset: i32) {
        self.builder.ins().store(MEMORY, value, base, offset);
    }

    pub fn add(&mut self, base: Value, offset: i32) -> Value {
        self.builder.ins().iadd_imm_s(base, i64::from(offset))
    }

    /// The frame of the function, which has one.
    fn frame(&self) -> &'u Frame<'u> {
        self.frame.expect("the function is async")
    }

    /// The place of a value that is stored where it is set and loaded where it is read, and its number.
    fn resident(&self, reg: Reg) -> Option<(i32, usize)> {
        let frame = self.frame?;
        let number = frame.lives.number(reg).filter(|number| frame.homes.resident.contains(*number))?;
        Some((frame.slots[&reg], number))
    }

    pub fn get(&mut self, reg: Reg) -> Value {
        if let Some((offset, number)) = self.resident(reg).filter(|(_, number)| !self.available.contains(*number)) {
            let value = self.load(self.state(), offset);
            self.builder.def_var(self.vars[reg], value);
            self.available.insert(number);
        }
        self.builder.use_var(self.vars[reg])
    }

    pub fn set(&mut self, reg: Reg, value: Value) {
        self.builder.def_var(self.vars[reg], value);
        if let Some((offset, number)) = self.resident(reg) {
            self.available.insert(number);
            if !self.quiet {
                self.store(value, self.state(), offset);
            }
        }
    }

    pub fn state(&self) -> Value {
        self.params[0]
    }

    pub fn waker(&self) -> Value {
        self.params[1]
    }

    pub fn op(&mut self) -> Value {
        let offset = self.frame().op.expect("the function awaits an operation");
        self.add(self.params[0], offset)
    }

    pub fn data(&mut self, id: DataId) -> Value {
        let global = self.unit.module.declare_data_in_func(id, self.builder.func);
        self.builder.ins().symbol_value(types::I64, global)
    }

    pub fn host(&mut self) -> Value {
        self.data(self.unit.host)
    }

    pub fn localhost(&mut self) -> Value {
        self.data(self.unit.localhost)
    }

    pub fn runtime(&mut self) -> Value {
        let host = self.host();
        self.load(host, program::RUNTIME)
    }

    /// The address of the scratch room, or of something in it.
    pub fn scratch(&mut self, offset: i32) -> Value {
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 32, 3);
        let slot = *self.scratch.get_or_insert_with(|| self.builder.create_sized_stack_slot(slot));
        self.builder.ins().stack_addr(types::I64, slot, offset)
    }

    fn func_ref(&mut self, id: FuncId) -> FuncRef {
        let (module, func) = (&mut self.unit.module, &mut self.builder.func);
        *self.refs.entry(id).or_insert_with(|| module.declare_func_in_func(id, func))
    }

    fn result(&mut self, call: Call) -> Value {
        *self.builder.inst_results(call).first().expect("the function has a result")
    }

    fn call_code(&mut self, id: FuncId, args: &[Value]) -> Call {
        let func = self.func_ref(id);
        let call = self.builder.ins().call(func, args);
        if self.straight {
            self.straight_calls.insert(call);
        }
        call
    }

    fn call_pointer(&mut self, pointer: Value, letters: &str, args: &[Value]) -> Call {
        let types = signature(&self.unit.module, letters);
        let types = self.builder.import_signature(types);
        self.builder.ins().call_indirect(types, pointer, args)
    }

    /// Whether the program interrupts tasks.
    pub fn has_interrupts(&self) -> bool {
        self.unit.has_interrupts
    }

    /// Calls a function of the runtime's or of the host's that has no result.
    pub fn run(&mut self, name: &str, args: &[Value]) {
        self.call_code(self.unit.imports[name], args);
    }

    /// Calls a function that has a result.
    pub fn call(&mut self, name: &str, args: &[Value]) -> Value {
        let call = self.call_code(self.unit.imports[name], args);
        self.result(call)
    }

    pub fn import_address(&mut self, name: &str) -> Value {
        let func = self.func_ref(self.unit.imports[name]);
        self.builder.ins().func_addr(types::I64, func)
    }

    /// Ends the program when the condition holds.
    pub fn fail_if(&mut self, condition: Value, failure: Failure, line: u32) {
        let (fail, go_on) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(fail);
        self.builder.ins().brif(condition, fail, &[], go_on, &[]);
        self.builder.switch_to_block(fail);
        let host = self.host();
        let failure = self.builder.ins().iconst(types::I32, failure as i64);
        let line = self.builder.ins().iconst(types::I32, i64::from(line));
        self.run("zy_fail", &[host, failure, line]);
        self.builder.ins().trap(TrapCode::unwrap_user(1));
        self.builder.switch_to_block(go_on);
    }

    fn is(&mut self, condition: IntCC, value: Value, number: i64) -> Value {
        self.builder.ins().icmp_imm_s(condition, value, number)
    }

    fn check_memory(&mut self, pointer: Value, line: u32) {
        let null = self.is(IntCC::Equal, pointer, 0);
        self.fail_if(null, Failure::Memory, line);
    }

    /// Looks how much stack is left, where codegen.rs says that a function has to.
    fn check_stack(&mut self) {
        if !self.unit.checks_stack(self.index) {
            return;
        }
        let host = self.host();
        let limit = self.load(host, program::STACK_LIMIT);
        let stack = self.builder.ins().get_stack_pointer(types::I64);
        let over = self.builder.ins().icmp(IntCC::UnsignedLessThan, stack, limit);
        self.fail_if(over, Failure::Stack, self.flow.line);
    }

    // ---- The machine functions ----

    pub fn plain(&mut self) {
        self.check_stack();
        for number in 0..self.flow.params {
            self.set(number, self.params[number]);
        }
        self.builder.ins().jump(self.blocks[0], &[]);
        self.flow(None);
    }

    pub fn poll(&mut self) {
        let frame = self.frame();
        self.check_stack();
        let (start, pending) = (self.builder.create_block(), self.builder.create_block());
        let mut targets = vec![start];
        targets.extend(&self.resumes);
        self.dispatch(&targets, None);
        self.builder.switch_to_block(start);
        let mut read = frame.lives.entry[0].clone();
        read.subtract(&frame.homes.resident);
        self.refill(&read);
        self.builder.ins().jump(self.blocks[0], &[]);
        self.flow(Some(pending));
        self.builder.switch_to_block(pending);
        self.give_status(PENDING);
    }

    /// Jumps to the target that the state id names, and returns if there is none.
    fn dispatch(&mut self, targets: &[Block], other: Option<Block>) {
        let state = self.state();
        let id = self.builder.ins().load(types::I32, MEMORY, state, 0);
        let lists = &mut self.builder.func.dfg.value_lists;
        let calls: Vec<BlockCall> = targets.iter().map(|block| BlockCall::new(*block, [], lists)).collect();
        // No poll comes after the end, so that any target will do for a state id that is none.
        let default = other.map_or(calls[calls.len() - 1], |block| BlockCall::new(block, [], lists));
        let calls = if other.is_some() { &calls[..] } else { &calls[..calls.len() - 1] };
        let table = self.builder.create_jump_table(JumpTableData::new(default, calls));
        self.builder.ins().br_table(id, table);
    }

    fn give_status(&mut self, status: i64) {
        let status = self.builder.ins().iconst(types::I32, status);
        self.builder.ins().return_(&[status]);
    }

    pub fn drop(&mut self) {
        let frame = self.frame();
        self.check_stack();
        let nothing = self.builder.create_block();
        let mut targets = vec![nothing];
        targets.extend(&self.resumes);
        self.dispatch(&targets, Some(nothing));
        for (spot, block) in frame.spots.iter().zip(&targets[1..]) {
            self.builder.switch_to_block(*block);
            match spot.point.wait {
                Wait::Op(_) => {
                    let op = self.op();
                    self.run("zyntax_op_cancel", &[op]);
                }
                Wait::Call(region) => self.end_call(region, true),
                Wait::Next(..) | Wait::Poll | Wait::Consumer => {}
            }
            for alive in spot.point.alive.iter().rev() {
                match alive {
                    Alive::Iterator(region) => self.end_call(*region, true),
                    Alive::Scope(scope, _) => {
                        let scope = self.load(self.state(), frame.slots[scope]);
                        self.call("zyntax_scope_destroy", &[scope]);
                    }
                }
            }
            self.builder.ins().jump(nothing, &[]);
        }
        self.builder.switch_to_block(nothing);
        self.builder.ins().return_(&[]);
    }

    /// The task's cell lies behind its frame; it is null if the value is not wanted.
    pub fn end_of_task(&mut self) {
        let frame = self.frame();
        let [finished, hand_over, canceled, end] = [(); 4].map(|()| self.builder.create_block());
        let (state, outcome) = (self.params[0], self.params[1]);
        self.builder.ins().brif(outcome, canceled, &[], finished, &[]);
        self.builder.switch_to_block(canceled);
        self.call_code(self.unit.codes[self.index].drop, &[state]);
        self.builder.ins().jump(end, &[]);
        self.builder.switch_to_block(finished);
        let cell = self.load(state, frame.size);
        self.builder.ins().brif(cell, hand_over, &[], end, &[]);
        self.builder.switch_to_block(hand_over);
        let value = self.load(state, RESULT);
        self.store(value, cell, cell::VALUE);
        self.builder.ins().jump(end, &[]);
        self.builder.switch_to_block(end);
        self.builder.ins().return_(&[]);
    }

    // ---- Blocks ----

    fn flow(&mut self, pending: Option<Block>) {
        let mut spot = 0;
        for (index, block) in self.flow.blocks.iter().enumerate() {
            self.builder.switch_to_block(self.blocks[index]);
            self.enter(index);
            block.insts.iter().for_each(|inst| self.inst(inst));
            self.load_before_loop(index);
            match &block.end {
                Some(End::Jump(next)) => {
                    self.builder.ins().jump(self.blocks[*next], &[]);
                }
                Some(End::Branch(value, yes, no)) => {
                    let value = self.get(*value);
                    self.builder.ins().brif(value, self.blocks[*yes], &[], self.blocks[*no], &[]);
                }
                Some(End::Return(value)) => self.give_value(*value),
                Some(End::Await(_)) => {
                    self.await_point(pending.expect("only a poll function waits"), spot);
                    spot += 1;
                }
                None => unreachable!("flow.rs ends every block"),
            }
        }
    }

    fn enter(&mut self, block: usize) {
        let Some(Frame { homes, lives, .. }) = self.frame else { return };
        self.available.clone_from(&homes.available[block]);
        self.quiet = homes.quiet[block];
        for number in homes.store_after[block].iter().flat_map(Set::iter) {
            let reg = lives.regs[number];
            let value = self.get(reg);
            self.set(reg, value);
        }
    }

    fn load_before_loop(&mut self, block: usize) {
        let Some(Frame { homes, lives, .. }) = self.frame else { return };
        for number in homes.load_before[block].iter().flat_map(Set::iter) {
            self.get(lives.regs[number]);
        }
    }

    fn give_value(&mut self, value: Reg) {
        let value = self.get(value);
        if self.frame.is_none() {
            self.builder.ins().return_(&[value]);
            return;
        }
        if self.flow.color == Color::Iter {
            self.set_state_id(DONE);
        } else {
            self.store(value, self.state(), RESULT);
        }
        self.give_status(READY);
    }

    fn set_state_id(&mut self, id: i64) {
        let id = self.builder.ins().iconst(types::I32, id);
        self.builder.ins().store(MEMORY, id, self.params[0], 0);
    }

    // ---- Await points ----

    fn await_point(&mut self, pending: Block, number: usize) {
        let frame = self.frame();
        let (spot, homes) = (&frame.spots[number], &frame.homes);
        let point: &Point = spot.point;
        let (resume, next) = (self.resumes[number], self.blocks[point.next]);
        let mut passing = spot.live.clone();
        passing.subtract(&homes.resident);
        if matches!(point.wait, Wait::Poll | Wait::Consumer) {
            self.suspend(number);
            if point.wait == Wait::Poll {
                let (data, wake) = (self.load(self.waker(), waker::DATA), self.load(self.waker(), waker::WAKE));
                self.call_pointer(wake, "vp", &[data]);
                self.builder.ins().jump(pending, &[]);
            } else {
                let item = self.get(point.args[0]);
                self.store(item, self.state(), RESULT);
                self.give_status(READY);
            }
            self.builder.switch_to_block(resume);
            self.refill(&passing);
            self.builder.ins().jump(next, &[]);
            return;
        }
        let [suspend, refill, ready] = [(); 3].map(|()| self.builder.create_block());

        let status = self.attempt(point);
        self.builder.ins().brif(status, suspend, &[], ready, &[]);
        let mut kept = homes.kept[number].clone();
        kept.intersect(&self.available);
        self.builder.switch_to_block(suspend);
        self.suspend(number);
        self.builder.ins().jump(pending, &[]);

        self.builder.switch_to_block(resume);
        self.available = frame.lives.none();
        let mut again = frame.lives.none();
        frame.lives.numbers(point.args.iter().copied()).for_each(|number| again.insert(number));
        again.subtract(&homes.resident);
        self.refill(&again);
        self.straight = false;
        let status = self.attempt(point);
        self.straight = true;
        self.builder.ins().brif(status, pending, &[], refill, &[]);
        self.builder.switch_to_block(refill);
        passing.subtract(&again);
        self.refill(&passing);
        for number in kept.iter() {
            self.get(frame.lives.regs[number]);
        }
        self.builder.ins().jump(ready, &[]);
        self.available = kept;

        self.builder.switch_to_block(ready);
        match point.wait {
            Wait::Op(builtin) => {
                let value = self.outcome(builtin, &point.args, point.line);
                self.set(point.dst, value);
            }
            Wait::Call(region) | Wait::Next(region, _) => {
                let callee = self.callee_frame(region);
                let value = self.load(callee, RESULT);
                self.set(point.dst, value);
                if let Wait::Next(_, exit) = point.wait {
                    let id = self.builder.ins().uload32(MEMORY, callee, 0);
                    let done = self.is(IntCC::Equal, id, DONE);
                    self.builder.ins().brif(done, self.blocks[exit], &[], next, &[]);
                    return;
                }
            }
            Wait::Poll | Wait::Consumer => unreachable!("dealt with above"),
        }
        self.builder.ins().jump(next, &[]);
    }

    /// Stores the values that the frame has to hold at this point and does not have yet.
    fn suspend(&mut self, number: usize) {
        let frame = self.frame();
        let mut passing = frame.spots[number].held.clone();
        passing.subtract(&frame.homes.resident);
        for number in passing.iter() {
            let reg = frame.lives.regs[number];
            let value = self.get(reg);
            self.store(value, self.state(), frame.slots[&reg]);
        }
        self.set_state_id(number as i64 + 1);
    }

    fn refill(&mut self, wanted: &Set) {
        let frame = self.frame();
        for number in wanted.iter() {
            let reg = frame.lives.regs[number];
            let value = self.load(self.state(), frame.slots[&reg]);
            self.builder.def_var(self.vars[reg], value);
        }
    }

    /// Calls the awaited operation, and gives its status.
    fn attempt(&mut self, point: &Point) -> Value {
        let region = match point.wait {
            Wait::Op(builtin) => return self.operation(builtin, &point.args),
            Wait::Call(region) | Wait::Next(region, _) => region,
            Wait::Poll | Wait::Consumer => unreachable!("they have no call"),
        };
        let args = [self.callee_frame(region), self.waker()];
        let call = self.call_callee(region, |codes| codes.poll, kind::POLL, "ipp", &args);
        self.result(call)
    }

    // ---- Async calls ----

    /// Where the frame of a call in this frame is, or the pointer to it, followed by one to its kind.
    fn region(&self, region: RegionId) -> (i32, Place) {
        self.frame().regions[region]
    }

    fn callee_frame(&mut self, region: RegionId) -> Value {
        match self.region(region) {
            (offset, Place::Inline) => self.add(self.state(), offset),
            (offset, Place::Elsewhere) => self.load(self.state(), offset),
        }
    }

    fn callee_kind(&mut self, region: RegionId) -> Value {
        let (offset, _) = self.region(region);
        self.load(self.state(), offset + 8)
    }

    /// Calls one of a callee's functions: directly, or through its kind.
    fn call_callee(
        &mut self,
        region: RegionId,
        code: fn(&Codes) -> FuncId,
        offset: i32,
        letters: &str,
        args: &[Value],
    ) -> Call {
        match self.flow.regions[region].callee {
            Target::Function(callee) => self.call_code(code(&self.unit.codes[callee]), args),
            _ => {
                let kind = self.callee_kind(region);
                let code = self.load(kind, offset);
                self.call_pointer(code, letters, args)
            }
        }
    }

    fn store_args(&mut self, args: &[Reg], frame: Value) {
        for (number, arg) in args.iter().enumerate() {
            let value = self.get(*arg);
            self.store(value, frame, ARGS + 8 * number as i32);
        }
    }

    /// A frame of its own, of its size and `more` bytes, and the callee's kind.
    fn new_frame(&mut self, callee: Target, args: &[Reg], more: i32, line: u32) -> (Value, Value) {
        let (found, kind) = match callee {
            Target::Function(function) => (None, self.data(self.unit.codes[function].kind)),
            Target::Closure(closure) => {
                let (host, closure, count) = (self.host(), self.get(closure), self.constant(args.len() as i64));
                let line = self.builder.ins().iconst(types::I32, i64::from(line));
                let found = self.call("zy_closure_find", &[host, closure, count, line]);
                (Some(found), self.load(found, 0))
            }
            Target::Builtin(_) => unreachable!("builtins have no frame"),
        };
        let (runtime, size) = (self.runtime(), self.load(kind, kind::SIZE));
        let size = self.add(size, more);
        let frame = self.call("zyntax_state_alloc", &[runtime, size]);
        self.check_memory(frame, line);
        if let Some(found) = found {
            self.run("zy_closure_fill", &[found, frame]);
        }
        self.store_args(args, frame);
        (frame, kind)
    }

    fn begin_call(&mut self, region: RegionId, callee: Target, args: &[Reg], line: u32) {
        let (offset, place) = self.region(region);
        if let (Place::Inline, Target::Function(function)) = (place, callee) {
            let (frame, start) = (self.add(self.state(), offset), self.builder.ins().iconst(types::I32, 0));
            self.store(start, frame, 0);
            if let Some(op) = self.unit.layouts.frame_of(function).op {
                let none = self.constant(0);
                self.store(none, frame, op);
            }
            return self.store_args(args, frame);
        }
        let (frame, kind) = self.new_frame(callee, args, 0, line);
        self.store(frame, self.state(), offset);
        self.store(kind, self.state(), offset + 8);
    }

    fn end_call(&mut self, region: RegionId, drop: bool) {
        let (_, place) = self.region(region);
        let frame = self.callee_frame(region);
        if drop {
            self.call_callee(region, |codes| codes.drop, kind::DROP, "vp", &[frame]);
        }
        if place == Place::Elsewhere {
            let (runtime, kind) = (self.runtime(), self.callee_kind(region));
            let size = self.load(kind, kind::SIZE);
            self.run("zyntax_state_free", &[runtime, frame, size]);
        }
    }

    /// The frame of a task is followed by a pointer to its cell, null when the value is not wanted.
    fn spawn(&mut self, callee: Target, args: &[Reg], line: u32, wanted: bool, scope: Option<Reg>) -> Value {
        let (frame, kind) = self.new_frame(callee, args, 8, line);
        let size = self.load(kind, kind::SIZE);
        let (poll, end, owned) = (self.load(kind, kind::POLL), self.load(kind, kind::END), self.add(size, 8));
        let cell = wanted.then(|| {
            let host = self.host();
            let cell = self.call("zy_task_new", &[host]);
            self.check_memory(cell, line);
            let place = self.builder.ins().iadd(frame, size);
            self.store(cell, place, 0);
            cell
        });
        let (spawn, owner) = match scope {
            Some(scope) => ("zyntax_scope_spawn", self.get(scope)),
            None => ("zyntax_runtime_spawn_with", self.runtime()),
        };
        let task = self.call(spawn, &[owner, frame, poll, end, owned]);
        self.check_memory(task, line);
        let Some(cell) = cell else { return task };
        self.store(task, cell, cell::TASK);
        self.load(cell, cell::NUMBER)
    }

    // ---- Instructions ----

    fn inst(&mut self, inst: &Inst) {
        let (dst, value) = match inst {
            Inst::Const(dst, number) => (*dst, self.constant(*number)),
            Inst::Copy(dst, value) => (*dst, self.get(*value)),
            Inst::Negate(dst, value) => {
                let value = self.get(*value);
                (*dst, self.builder.ins().ineg(value))
            }
            Inst::Not(dst, value) => {
                let value = self.get(*value);
                let not = self.is(IntCC::Equal, value, 0);
                (*dst, self.builder.ins().uextend(types::I64, not))
            }
            Inst::Binary(op, dst, left, right, line) => {
                let (left, right) = (self.get(*left), self.get(*right));
                (*dst, self.binary(*op, left, right, *line))
            }
            Inst::Call(dst, function, args) => {
                let args: Vec<Value> = args.iter().map(|arg| self.get(*arg)).collect();
                let call = self.call_code(self.unit.codes[*function].poll, &args);
                (*dst, self.result(call))
            }
            Inst::Builtin(builtin, dst, args, line) => (*dst, self.builtin(*builtin, args, *line)),
            Inst::Convert(convert, dst, value, line) => {
                let value = self.get(*value);
                (*dst, self.convert(*convert, value, *line))
            }
            Inst::Closure(dst, function, captures, line) => (*dst, self.closure(*function, captures, *line)),
            Inst::Spawn { dst, callee, args, line, wanted, scope } => {
                (*dst, self.spawn(*callee, args, *line, *wanted, *scope))
            }
            Inst::Begin { region, callee, args, line } => return self.begin_call(*region, *callee, args, *line),
            Inst::End { region, drop } => return self.end_call(*region, *drop),
        };
        self.set(dst, value);
    }

    fn binary(&mut self, op: Op, left: Value, right: Value, line: Option<u32>) -> Value {
        if let Some(line) = line {
            let zero = self.is(IntCC::Equal, right, 0);
            self.fail_if(zero, Failure::Division, line);
            let (least, minus_one) = (self.is(IntCC::Equal, left, i64::MIN), self.is(IntCC::Equal, right, -1));
            let overflow = self.builder.ins().band(least, minus_one);
            self.fail_if(overflow, Failure::Overflow, line);
        }
        let ins = self.builder.ins();
        let condition = match op {
            Op::Add => return ins.iadd(left, right),
            Op::Sub => return ins.isub(left, right),
            Op::Mul => return ins.imul(left, right),
            Op::Div => return ins.sdiv(left, right),
            Op::Rem => return ins.srem(left, right),
            Op::Less => IntCC::SignedLessThan,
            Op::LessEqual => IntCC::SignedLessThanOrEqual,
            Op::Greater => IntCC::SignedGreaterThan,
            Op::GreaterEqual => IntCC::SignedGreaterThanOrEqual,
            Op::Equal => IntCC::Equal,
            Op::NotEqual => IntCC::NotEqual,
            Op::And | Op::Or => unreachable!("flow.rs made branches of them"),
        };
        let holds = ins.icmp(condition, left, right);
        self.builder.ins().uextend(types::I64, holds)
    }

    fn convert(&mut self, convert: Convert, value: Value, line: u32) -> Value {
        match convert {
            Convert::Task => {
                let (host, line) = (self.host(), self.builder.ins().iconst(types::I32, i64::from(line)));
                self.call("zy_task_find", &[host, value, line])
            }
            Convert::Port => {
                let wrong = self.is(IntCC::UnsignedGreaterThan, value, 65535);
                self.fail_if(wrong, Failure::Port, line);
                value
            }
            Convert::Duration | Convert::Deadline => {
                // Bounded by 9e18 ns, 285 years, so that nothing overflows, also not when now is added.
                let (none, most, nanoseconds) =
                    (self.constant(0), self.constant(9_000_000_000_000), self.constant(1_000_000));
                let positive = self.builder.ins().smax(value, none);
                let bounded = self.builder.ins().smin(positive, most);
                let duration = self.builder.ins().imul(bounded, nanoseconds);
                if convert == Convert::Duration {
                    return duration;
                }
                let runtime = self.runtime();
                let now = self.call("zyntax_now_ns", &[runtime]);
                self.builder.ins().iadd(now, duration)
            }
        }
    }

    fn closure(&mut self, function: usize, captures: &[Reg], line: u32) -> Value {
        let bytes = captures.len().max(1) as u32 * 8;
        let slot = self.builder.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3));
        for (number, capture) in captures.iter().enumerate() {
            let value = self.get(*capture);
            self.builder.ins().stack_store(types::I64, value, slot, 8 * number as i32);
        }
        let args = [
            self.host(),
            self.data(self.unit.codes[function].kind),
            self.builder.ins().stack_addr(types::I64, slot, 0),
        ];
        let closure = self.call("zy_closure_new", &args);
        self.check_memory(closure, line);
        closure
    }
}
