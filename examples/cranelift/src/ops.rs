// SPDX-License-Identifier: Apache-2.0
//! The calls of the runtime that the builtins are. Errors reach the program as the runtime's negative codes.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{types, InstBuilder, Value};

use crate::body::{Body, MEMORY};
use crate::builtins::Builtin;
use crate::flow::Reg;
use crate::host::{cell, Failure};

/// In the scratch room: the operation's result, and its item.
const RESULT: i32 = 0;
const ITEM: i32 = 8;

const EINTR: i64 = -4;
const EAGAIN: i64 = -11;
const ENOMEM: i64 = -12;
const EDEADLK: i64 = -35;

impl Body<'_, '_> {
    /// Calls the function of the builtin's row: for an await point, until it is ready.
    pub fn operation(&mut self, builtin: Builtin, args: &[Reg]) -> Value {
        let values = self.arguments(builtin, args);
        self.call(builtin.row().function, &values)
    }

    fn arguments(&mut self, builtin: Builtin, args: &[Reg]) -> Vec<Value> {
        builtin.row().args.chars().map(|letter| self.argument(letter, builtin, args)).collect()
    }

    /// The argument that a letter of a row stands for.
    fn argument(&mut self, letter: char, builtin: Builtin, args: &[Reg]) -> Value {
        match letter {
            'h' => self.host(),
            'r' => self.runtime(),
            'o' => self.op(),
            'w' => self.waker(),
            'R' => self.scratch(RESULT),
            'I' => self.scratch(ITEM),
            'L' => self.localhost(),
            'f' => self.import_address("zy_slow_add"),
            'b' => self.constant(1),
            '2' => self.constant(2),
            '8' => self.constant(8),
            '6' => self.constant(16),
            '0' => self.get(args[0]),
            '1' => self.get(args[1]),
            'p' => {
                let port = self.get(args[0]);
                self.builder.ins().ireduce(types::I16, port)
            }
            'c' => {
                // A capacity below 1 is the runtime's EINVAL.
                let (capacity, none) = (self.get(args[0]), self.constant(0));
                self.builder.ins().smax(capacity, none)
            }
            'T' => {
                let cell = self.get(args[0]);
                self.load(cell, cell::TASK)
            }
            // The address of the second argument, of both tasks, of both arguments.
            'V' | 'S' | 'A' => {
                let item = self.scratch(ITEM);
                for (number, arg) in args.iter().skip(usize::from(letter == 'V')).enumerate() {
                    let mut value = self.get(*arg);
                    if letter == 'S' {
                        value = self.load(value, cell::TASK);
                    }
                    match builtin {
                        Builtin::WriteByte => drop(self.builder.ins().istore8(MEMORY, value, item, 0)),
                        _ => self.store(value, item, 8 * number as i32),
                    }
                }
                item
            }
            other => unreachable!("no row has {other}"),
        }
    }

    /// A builtin that does not wait.
    pub fn builtin(&mut self, builtin: Builtin, args: &[Reg], line: u32) -> Value {
        if builtin == Builtin::Print {
            let values = self.arguments(builtin, args);
            self.run(builtin.row().function, &values);
            return self.constant(0);
        }
        let code = self.operation(builtin, args);
        let code = self.builder.ins().sextend(types::I64, code);
        if matches!(builtin, Builtin::Channel | Builtin::ScopeCreate) {
            let no_memory = self.builder.ins().icmp_imm_s(IntCC::Equal, code, ENOMEM);
            self.fail_if(no_memory, Failure::Memory, line);
        }
        match builtin {
            Builtin::Channel | Builtin::TcpListen | Builtin::ScopeCreate => self.item_or(code),
            _ => code,
        }
    }

    /// The item that the runtime put into the scratch room, or the error.
    fn item_or(&mut self, code: Value) -> Value {
        let item = self.scratch(ITEM);
        let item = self.load(item, 0);
        let failed = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, code, 0);
        self.builder.ins().select(failed, code, item)
    }

    /// The value of an operation that is ready. An interrupt is the runtime's code also for operations whose value is
    /// not the runtime's result. Programs that never interrupt a task do not look for it.
    pub fn outcome(&mut self, builtin: Builtin, args: &[Reg], line: u32) -> Value {
        let value = self.outcome_without_interrupts(builtin, args, line);
        if !self.has_interrupts() {
            return value;
        }
        let interrupted = match builtin {
            Builtin::SleepMs => {
                let interrupted = self.call("zyntax_task_interrupted", &[]);
                self.builder.ins().icmp_imm_s(IntCC::NotEqual, interrupted, 0)
            }
            Builtin::Join | Builtin::Timeout | Builtin::BlockingAdd => {
                let result = self.scratch(RESULT);
                let result = self.load(result, 0);
                self.builder.ins().icmp_imm_s(IntCC::Equal, result, EINTR)
            }
            _ => return value,
        };
        let code = self.constant(EINTR);
        self.builder.ins().select(interrupted, code, value)
    }

    fn outcome_without_interrupts(&mut self, builtin: Builtin, args: &[Reg], line: u32) -> Value {
        if builtin == Builtin::SleepMs {
            return self.constant(0);
        }
        let (result, item) = (self.scratch(RESULT), self.scratch(ITEM));
        let result = self.load(result, 0);
        match builtin {
            Builtin::Join | Builtin::Select | Builtin::Timeout => self.refuse(result, EDEADLK, Failure::Itself, line),
            Builtin::BlockingAdd => self.refuse(result, EAGAIN, Failure::Blocking, line),
            _ => {}
        }
        match builtin {
            Builtin::Join => {
                let cell = self.get(args[0]);
                self.load(cell, cell::VALUE)
            }
            Builtin::BlockingAdd => self.load(item, 0),
            Builtin::Timeout => {
                let in_time = self.builder.ins().icmp_imm_s(IntCC::Equal, result, 0);
                self.builder.ins().uextend(types::I64, in_time)
            }
            Builtin::TcpConnect | Builtin::Accept => self.item_or(result),
            Builtin::ReadByte | Builtin::Recv => {
                let item = match builtin {
                    Builtin::Recv => self.load(item, 0),
                    _ => self.builder.ins().uload8(types::I64, MEMORY, item, 0),
                };
                let end = self.constant(-1);
                let nothing = self.builder.ins().icmp_imm_s(IntCC::Equal, result, 0);
                let otherwise = self.builder.ins().select(nothing, end, result);
                let there = self.builder.ins().icmp_imm_s(IntCC::SignedGreaterThan, result, 0);
                self.builder.ins().select(there, item, otherwise)
            }
            _ => result,
        }
    }

    /// Ends the program when memory was short, or with the failure for the code.
    fn refuse(&mut self, result: Value, code: i64, failure: Failure, line: u32) {
        for (code, failure) in [(ENOMEM, Failure::Memory), (code, failure)] {
            let failed = self.builder.ins().icmp_imm_s(IntCC::Equal, result, code);
            self.fail_if(failed, failure, line);
        }
    }
}
