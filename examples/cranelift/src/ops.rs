// SPDX-License-Identifier: Apache-2.0
//! The calls of the runtime that the builtins are. Errors reach the program as the runtime's negative codes.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{types, InstBuilder, Value};

use crate::body::{Body, MEMORY};
use crate::builtins::Builtin;
use crate::flow::Reg;
use crate::host::{cell, Failure};

/// In the scratch room: the operation's result, and what it gives or takes.
const RESULT: i32 = 0;
const ITEM: i32 = 8;

impl Body<'_, '_> {
    /// A builtin that does not wait.
    pub fn builtin(&mut self, builtin: Builtin, args: &[Reg]) -> Value {
        let args: Vec<Value> = args.iter().map(|arg| self.get(*arg)).collect();
        if builtin == Builtin::Print {
            let host = self.host();
            self.call("zy_print", &[host, args[0]]);
            return self.constant(0);
        }
        let item = self.scratch(ITEM);
        match builtin {
            Builtin::Cancel => {
                let task = self.load(args[0], cell::TASK);
                self.code_of("zyntax_task_cancel", &[task])
            }
            Builtin::Close => self.code_of("zyntax_io_close", &args),
            Builtin::Port => self.code_of("zyntax_tcp_port", &args),
            Builtin::CloseChannel => self.code_of("zyntax_channel_close", &args),
            Builtin::TcpListen => {
                let (runtime, address) = (self.runtime(), self.localhost());
                let port = self.narrow(types::I16, args[0]);
                let code = self.code_of("zyntax_tcp_listen", &[runtime, address, port, item]);
                self.item_or(code)
            }
            Builtin::Channel => {
                let (runtime, size) = (self.runtime(), self.constant(8));
                // A capacity below 1 is the runtime's EINVAL.
                let none = self.constant(0);
                let capacity = self.builder.ins().smax(args[0], none);
                let code = self.code_of("zyntax_channel_create", &[runtime, capacity, size, item]);
                self.item_or(code)
            }
            other => unreachable!("{other:?} is awaited"),
        }
    }

    fn code_of(&mut self, name: &str, args: &[Value]) -> Value {
        let code = self.call(name, args);
        self.extend(code)
    }

    /// What the runtime put into the scratch room, or the error.
    fn item_or(&mut self, code: Value) -> Value {
        let item = self.scratch(ITEM);
        let item = self.load(item, 0);
        let failed = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, code, 0);
        self.builder.ins().select(failed, code, item)
    }

    /// Calls the operation that an await point waits for; called with the same arguments until it is ready.
    pub fn operation(&mut self, builtin: Builtin, args: &[Reg]) -> Value {
        let args: Vec<Value> = args.iter().map(|arg| self.get(*arg)).collect();
        let (op, waker) = (self.op(), self.waker());
        if builtin == Builtin::SleepMs {
            let runtime = self.runtime();
            return self.call("zyntax_sleep", &[runtime, op, args[0], waker]);
        }
        let (result, item) = (self.scratch(RESULT), self.scratch(ITEM));
        match builtin {
            Builtin::Join => {
                let task = self.load(args[0], cell::TASK);
                self.call("zyntax_task_join", &[task, op, waker, result])
            }
            Builtin::Timeout => {
                let task = self.load(args[0], cell::TASK);
                self.call("zyntax_join_until", &[task, op, args[1], waker, result])
            }
            Builtin::Select => {
                for (number, arg) in args.iter().enumerate() {
                    let task = self.load(*arg, cell::TASK);
                    self.store(task, item, 8 * number as i32);
                }
                let two = self.constant(2);
                self.call("zyntax_select", &[item, two, op, waker, result])
            }
            Builtin::TcpConnect => {
                let (runtime, address) = (self.runtime(), self.localhost());
                let port = self.narrow(types::I16, args[0]);
                self.call("zyntax_tcp_connect", &[runtime, op, address, port, waker, item, result])
            }
            Builtin::Accept => self.call("zyntax_tcp_accept", &[args[0], op, waker, item, result]),
            Builtin::ReadByte => {
                let one = self.constant(1);
                self.call("zyntax_io_read", &[args[0], op, item, one, waker, result])
            }
            Builtin::WriteByte => {
                self.builder.ins().istore8(MEMORY, args[1], item, 0);
                let one = self.constant(1);
                self.call("zyntax_io_write", &[args[0], op, item, one, waker, result])
            }
            Builtin::Send => {
                self.store(args[1], item, 0);
                self.call("zyntax_channel_send", &[args[0], op, item, waker, result])
            }
            Builtin::Recv => self.call("zyntax_channel_recv", &[args[0], op, item, waker, result]),
            Builtin::BlockingAdd => {
                self.store(args[0], item, 0);
                self.store(args[1], item, 8);
                let (runtime, size) = (self.runtime(), self.constant(16));
                let slow_add = self.import_address("zy_slow_add");
                self.call("zyntax_blocking", &[runtime, op, slow_add, item, size, waker, result])
            }
            other => unreachable!("{other:?} is no operation"),
        }
    }

    /// The value of an operation that is ready.
    pub fn outcome(&mut self, builtin: Builtin, args: &[Reg], line: u32) -> Value {
        if builtin == Builtin::SleepMs {
            return self.constant(0);
        }
        let result = self.scratch(RESULT);
        let result = self.load(result, 0);
        match builtin {
            Builtin::Join => {
                let itself = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, result, 0);
                self.fail_if(itself, Failure::Join, line);
                let cell = self.get(args[0]);
                self.load(cell, cell::VALUE)
            }
            Builtin::Timeout => {
                let in_time = self.builder.ins().icmp_imm_s(IntCC::Equal, result, 0);
                self.builder.ins().uextend(types::I64, in_time)
            }
            Builtin::TcpConnect | Builtin::Accept => self.item_or(result),
            Builtin::ReadByte | Builtin::Recv => {
                let item = self.scratch(ITEM);
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
            Builtin::BlockingAdd => {
                let failed = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, result, 0);
                self.fail_if(failed, Failure::Blocking, line);
                let sum = self.scratch(ITEM);
                self.load(sum, 0)
            }
            _ => result,
        }
    }
}
