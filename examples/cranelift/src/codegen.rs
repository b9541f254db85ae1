// SPDX-License-Identifier: Apache-2.0
//! The module: its declarations, and the machine functions that each function becomes. A plain `fn` becomes a function
//! of numbers. An async function becomes
//!
//!     NAME.poll(state, waker) -> status   goes on from the await point that the state id names
//!     NAME.drop(state)                    gives up the pending operation, and drops the values that are alive around
//!                                        it
//!     NAME.end(state, outcome)            the drop function of a task: hands the value over, or drops
//!
//! body.rs fills them in. A plain one becomes `NAME.plain`. Every name that comes from the program has a dot, and no
//! import has one, so that no program replaces a function of the runtime's.
//!
//! Compiled code never runs over the end of the stack. No frame is larger than FRAME_MAX. A function checks how much is
//! left when it can call itself, or when its callees may need more than UNCHECKED_MAX before one of them checks. So
//! STACK_RESERVE, which the check leaves, is enough for calls without one.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use cranelift_codegen::inline::{Inline, InlineCommand};
use cranelift_codegen::ir::{
    types, AbiParam, ExternalName, FuncRef, Function, Inst, Opcode, Signature, Type, UserFuncName, Value,
};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{DataDescription, DataId, FuncId, Linkage, Module, ModuleError};

use crate::body::Body;
use crate::builtins::Builtin;
use crate::flow::{is_async, Flow, Inst as FlowInst};
use crate::host::{kind, Import, Kind};
use crate::layout::Layouts;
use crate::lex::Error;
use crate::runtime::{DropFn, PollFn};

type Compiled<T> = Result<T, Box<ModuleError>>;

/// The largest stack frame of a function.
const FRAME_MAX: usize = 256 << 10;
/// The most stack for calls that do not check it.
const UNCHECKED_MAX: usize = 64 << 10;
/// The room that a check leaves: for the frame of a callee, for its callees, and 256 KiB for functions of the runtime
/// and host.
pub const STACK_RESERVE: usize = FRAME_MAX + UNCHECKED_MAX + (256 << 10);
/// A frame's return address and the caller's frame pointer.
const FRAME_LINK: usize = 16;
/// The names of data that compiled code uses.
pub const DATA: [&str; 2] = ["program", "localhost"];

/// The functions made of one in the source. Of a plain one `poll` is the function itself, and there are no others.
#[derive(Clone, Copy)]
pub struct Codes {
    pub poll: FuncId,
    pub drop: FuncId,
    pub end: FuncId,
    /// A host::Kind with all that a call needs.
    pub kind: DataId,
}

pub struct Unit<'a> {
    /// The number of `main`.
    main: usize,
    pub flows: &'a [Flow],
    pub layouts: &'a Layouts<'a>,
    pub module: JITModule,
    pub imports: HashMap<&'static str, FuncId>,
    pub codes: Vec<Codes>,
    /// The host::Program, whose first words are the runtime and the end of the stack.
    pub host: DataId,
    pub localhost: DataId,
    /// The Cranelift IR, if it is wanted.
    pub dump: Option<String>,
    pub code_bytes: usize,
    pub has_interrupts: bool,
    /// Small functions that are compiled already: calls of them vanish.
    bodies: HashMap<u32, Function>,
    /// By function, the stack that a call needs before a check: its frame, and those below that do not check.
    stack: Vec<usize>,
}

/// Instructions of a function that is put in the place of a call of it.
const INLINE_MAX: usize = 80;

/// Inlines the calls that go straight on, and of them those of `bodies`. With that an async call that need not wait is
/// straight-line code; where it was pending and is polled again it stays a call.
struct Inliner<'a> {
    bodies: &'a HashMap<u32, Function>,
    calls: &'a HashSet<Inst>,
}

impl Inline for Inliner<'_> {
    fn inline(&mut self, caller: &Function, call: Inst, _: Opcode, func: FuncRef, _: &[Value]) -> InlineCommand<'_> {
        let ExternalName::User(name) = caller.dfg.ext_funcs[func].name else { return InlineCommand::KeepCall };
        match self.bodies.get(&caller.params.user_named_funcs()[name].index) {
            Some(body) if self.calls.contains(&call) => {
                InlineCommand::Inline { callee: Cow::Borrowed(body), visit_callee: false }
            }
            _ => InlineCommand::KeepCall,
        }
    }
}

const CHECKED: &str = if cfg!(debug_assertions) { "true" } else { "false" };

/// Compiles everything. `imports` has the functions that the code may call; `host` is the address of the symbol
/// "program" in it.
pub fn compile<'a>(
    (flows, main): (&'a [Flow], usize),
    layouts: &'a Layouts<'a>,
    imports: &[Import],
    host: *const u8,
    dump: bool,
) -> Result<Unit<'a>, Error> {
    let wrong = |message: String| Error { at: flows[main].at, message };
    let isa = isa().map_err(wrong)?;
    let mut builder = JITBuilder::with_isa(isa, cranelift_module::default_libcall_names());
    builder.symbol(DATA[0], host);
    builder.symbols(imports.iter().map(|import| (import.name, import.address)));
    let module = JITModule::new(builder);
    let mut unit = declare((flows, main), layouts, imports, module, dump).map_err(|error| wrong(error.to_string()))?;
    unit.define()?;
    Ok(unit)
}

fn isa() -> Result<OwnedTargetIsa, String> {
    let mut flags = settings::builder();
    for (name, value) in [
        ("opt_level", "speed"),
        ("enable_verifier", CHECKED),
        // State ids come from this compiler only, so no table access needs a guard against speculation.
        ("enable_table_access_spectre_mitigation", "false"),
        // A large frame touches each of its pages, so that it cannot reach over the page that guards the stack.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
    ] {
        flags.set(name, value).map_err(|error| error.to_string())?;
    }
    cranelift_native::builder()?.finish(settings::Flags::new(flags)).map_err(|error| error.to_string())
}

fn declare<'a>(
    (flows, main): (&'a [Flow], usize),
    layouts: &'a Layouts<'a>,
    imports: &[Import],
    mut module: JITModule,
    dump: bool,
) -> Compiled<Unit<'a>> {
    let mut import_ids = HashMap::new();
    for import in imports {
        let types = signature(&module, import.types);
        import_ids.insert(import.name, module.declare_function(import.name, Linkage::Import, &types)?);
    }
    let host = module.declare_data(DATA[0], Linkage::Import, false, false)?;
    let localhost = module.declare_data(DATA[1], Linkage::Local, false, false)?;
    let mut codes = Vec::new();
    for function in flows {
        let mut declare = |suffix: &str, types: &str| -> Compiled<FuncId> {
            let types = signature(&module, types);
            Ok(module.declare_function(&(function.name.clone() + suffix), Linkage::Local, &types)?)
        };
        codes.push(if is_async(function.color) {
            let (poll, drop, end) = (declare(".poll", "ipp")?, declare(".drop", "vp")?, declare(".end", "vpi")?);
            let kind = module.declare_data(&(function.name.clone() + ".kind"), Linkage::Local, false, false)?;
            Codes { poll, drop, end, kind }
        } else {
            let poll = declare(".plain", &"l".repeat(1 + function.params))?;
            Codes { poll, drop: poll, end: poll, kind: host }
        });
    }
    let dump = dump.then(String::new);
    Ok(Unit {
        main,
        flows,
        layouts,
        module,
        imports: import_ids,
        codes,
        host,
        localhost,
        dump,
        code_bytes: 0,
        has_interrupts: flows.iter().flat_map(|flow| &flow.blocks).flat_map(|block| &block.insts).any(is_interrupt),
        bodies: HashMap::new(),
        stack: vec![0; flows.len()],
    })
}

fn is_interrupt(inst: &FlowInst) -> bool {
    matches!(inst, FlowInst::Builtin(Builtin::Interrupt, ..))
}

/// A signature from the letters that zyntax_runtime_signatures uses: the result's, then those of the parameters.
pub fn signature(module: &JITModule, letters: &str) -> Signature {
    let param = |letter: char| -> AbiParam {
        let ty: Type = match letter {
            'h' => return AbiParam::new(types::I16).uext(),
            'u' => return AbiParam::new(types::I32).uext(),
            'i' => return AbiParam::new(types::I32).sext(),
            _ => types::I64,
        };
        AbiParam::new(ty)
    };
    let mut signature = module.make_signature();
    let mut letters = letters.chars();
    signature.returns.extend(letters.next().filter(|letter| *letter != 'v').map(param));
    signature.params.extend(letters.map(param));
    signature
}

impl Unit<'_> {
    /// The poll function of `main`, its drop function as a task, and the size of its state.
    pub fn main(&self) -> (PollFn, DropFn, usize) {
        let (codes, frame) = (self.codes[self.main], self.layouts.frame_of(self.main));
        let (poll, end) =
            (self.module.get_finalized_function(codes.poll), self.module.get_finalized_function(codes.end));
        // SAFETY: declared with these types above.
        let (poll, end) =
            unsafe { (std::mem::transmute::<*const u8, PollFn>(poll), std::mem::transmute::<*const u8, DropFn>(end)) };
        (poll, end, frame.size as usize + 8)
    }

    /// Whether the function has to look how much stack is left.
    pub fn checks_stack(&self, index: usize) -> bool {
        let mut callees = self.layouts.calls.callees(index);
        self.layouts.calls.is_recursive(index) || callees.any(|callee| self.stack[callee] > UNCHECKED_MAX)
    }

    fn define(&mut self) -> Result<(), Error> {
        let at = self.flows[self.main].at;
        let anywhere = |error: ModuleError| Error { at, message: error.to_string() };
        let mut address = DataDescription::new();
        address.define(b"127.0.0.1\0".as_slice().into());
        self.module.define_data(self.localhost, &address).map_err(anywhere)?;
        for index in self.layouts.calls.order.iter().copied() {
            let frame = self.define_function(index).map_err(|error| self.wrong(index, &error.to_string()))?;
            if frame > FRAME_MAX {
                let most = FRAME_MAX >> 10;
                return Err(self.wrong(index, &format!("its stack frame exceeds {most} KiB: too many live values")));
            }
            let callees = self.layouts.calls.callees(index).map(|callee| self.stack[callee]);
            let below = if self.checks_stack(index) { 0 } else { callees.max().unwrap_or(0) };
            self.stack[index] = frame + below;
        }
        self.module.finalize_definitions().map_err(anywhere)
    }

    fn wrong(&self, index: usize, message: &str) -> Error {
        Error {
            at: self.flows[index].at,
            message: format!("`{}` cannot be compiled: {message}", self.flows[index].name),
        }
    }

    /// Gives the size of its largest stack frame.
    fn define_function(&mut self, index: usize) -> Compiled<usize> {
        let codes = self.codes[index];
        if !is_async(self.flows[index].color) {
            return self.function(index, codes.poll, |body| body.plain());
        }
        let poll = self.function(index, codes.poll, |body| body.poll())?;
        let drop = self.function(index, codes.drop, |body| body.drop())?;
        let end = self.function(index, codes.end, |body| body.end_of_task())?;
        self.define_kind(index)?;
        Ok(poll.max(drop).max(end))
    }

    fn function(&mut self, index: usize, id: FuncId, fill: impl FnOnce(&mut Body)) -> Compiled<usize> {
        let mut context = self.module.make_context();
        let declaration = self.module.declarations().get_function_decl(id);
        context.func.signature = declaration.signature.clone();
        context.func.name = UserFuncName::testcase(declaration.name.as_deref().expect("every function has a name"));
        let mut builder_context = FunctionBuilderContext::new();
        let config = self.module.target_config();
        let mut body = Body::new(self, index, FunctionBuilder::new(&mut context.func, &mut builder_context));
        fill(&mut body);
        let calls = std::mem::take(&mut body.straight_calls);
        body.builder.seal_all_blocks();
        body.builder.finalize(config);
        if self.dump.is_some() {
            let text = self.readable(&context.func);
            self.dump.iter_mut().for_each(|dump| *dump += &text);
        }
        context.inline(Inliner { bodies: &self.bodies, calls: &calls }).map_err(|error| Box::new(error.into()))?;
        self.module.define_function(id, &mut context)?;
        // Cranelift's inliner (0.135) does not carry names of data over, so functions that use the runtime stay calls.
        let layout = &context.func.layout;
        let insts: usize = layout.blocks().map(|block| layout.block_insts(block).count()).sum();
        if insts <= INLINE_MAX && context.func.global_values.is_empty() {
            self.bodies.insert(id.as_u32(), context.func.clone());
        }
        let code = context.compiled_code().expect("it is compiled");
        self.code_bytes += code.code_buffer().len();
        let layout = code.buffer.frame_layout().expect("the frame is laid out");
        Ok(layout.frame_to_fp_offset as usize + FRAME_LINK)
    }

    /// The IR with names where Cranelift has numbers.
    fn readable(&self, function: &Function) -> String {
        let mut text = format!("{}\n", function.display());
        let mut names: Vec<(String, String)> = Vec::new();
        for (number, name) in function.params.user_named_funcs().iter() {
            let found = match name.namespace {
                0 => self.module.declarations().get_function_decl(FuncId::from_u32(name.index)).name.clone(),
                _ => self.module.declarations().get_data_decl(DataId::from_u32(name.index)).name.clone(),
            };
            let found = format!("%{}", found.expect("everything has a name"));
            names.push((format!("u{}:{}", name.namespace, name.index), found.clone()));
            names.push((number.to_string(), found));
        }
        names.sort_by_key(|(number, _)| std::cmp::Reverse(number.len()));
        for (number, name) in names {
            text = text.replace(&number, &name);
        }
        text
    }

    fn define_kind(&mut self, index: usize) -> Compiled<()> {
        let (codes, function) = (self.codes[index], &self.flows[index]);
        let mut bytes = vec![0; size_of::<Kind>()];
        let size = self.layouts.frame_of(index).size as usize;
        for (offset, number) in
            [(kind::SIZE, size), (kind::PARAMS, function.params), (kind::CAPTURES, function.captures.len())]
        {
            bytes[offset as usize..][..size_of::<usize>()].copy_from_slice(&number.to_ne_bytes());
        }
        let mut data = DataDescription::new();
        data.set_align(align_of::<Kind>() as u64);
        data.define(bytes.into());
        for (offset, code) in [(kind::POLL, codes.poll), (kind::DROP, codes.drop), (kind::END, codes.end)] {
            let code = self.module.declare_func_in_data(code, &mut data);
            data.write_function_addr(offset as u32, code);
        }
        Ok(self.module.define_data(codes.kind, &data)?)
    }
}
