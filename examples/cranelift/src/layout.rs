// SPDX-License-Identifier: Apache-2.0
//! The state struct of each async function: where everything lies, and why it is there.
//!
//!     +0   state id: 0 at the start, then the number of the await point it stands at, or DONE
//!     +8   result: the value, or the item that an iterator yielded
//!     +16  the arguments, and the captures of a closure
//!          the runtime's word for the operation that is awaited, if any ever is
//!          what lives across awaits; values that no await has in common share a place
//!          regions for the frames of async calls, a stack (see flow::Region)

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;

use crate::check::Target;
use crate::flow::{is_async, Flow, Inst, Point, Reg, RegionId, Wait};
use crate::liveness;
use crate::parse::Color;

pub const RESULT: i32 = 8;
pub const ARGS: i32 = 16;

/// A call whose frame is larger has it elsewhere, so that no frame grows without end.
const INLINE_MAX: i32 = 16 << 10;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Place {
    /// The callee's frame itself.
    Inline,
    /// Pointers to it and to its kind: it is a closure's, calls back into this function, or is large.
    Elsewhere,
}

pub struct Spot<'a> {
    pub point: &'a Point,
    /// What lives across the point.
    pub live: BTreeSet<Reg>,
}

pub struct Frame<'a> {
    pub size: i32,
    pub op: Option<i32>,
    pub slots: BTreeMap<Reg, i32>,
    /// Parameters and captures in the order of the arguments.
    pub args: Vec<Reg>,
    /// Those that nothing sets anew.
    pub constant: BTreeSet<Reg>,
    pub regions: Vec<(i32, Place)>,
    pub spots: Vec<Spot<'a>>,
}

pub struct Layouts<'a> {
    flows: &'a [Flow],
    /// What each function calls or awaits.
    callees: Vec<Vec<usize>>,
    pub frames: Vec<Option<Frame<'a>>>,
    /// The async functions, each behind those whose frames lie in its own.
    pub order: Vec<usize>,
}

pub fn layouts(flows: &[Flow]) -> Layouts<'_> {
    let count = flows.len();
    let closures: Vec<usize> = (0..count).filter(|index| flows[*index].color == Color::Closure).collect();
    let callees = flows.iter().map(|flow| callees(flow, &closures)).collect();
    let mut layouts = Layouts { flows, callees, frames: (0..count).map(|_| None).collect(), order: Vec::new() };
    for index in 0..count {
        layouts.place(index);
    }
    layouts
}

/// What the function calls or awaits, but not what it spawns; a closure may be any.
fn callees(flow: &Flow, closures: &[usize]) -> Vec<usize> {
    let mut found = Vec::new();
    for inst in flow.blocks.iter().flat_map(|block| &block.insts) {
        match inst {
            Inst::Call(_, function, _) | Inst::Begin { callee: Target::Function(function), .. } => {
                found.push(*function)
            }
            Inst::Begin { callee: Target::Closure(_), .. } => found.extend(closures),
            _ => {}
        }
    }
    found
}

impl<'a> Layouts<'a> {
    /// Whether the function can call itself, by whatever way.
    pub fn recursive(&self, index: usize) -> bool {
        self.reaches(index, index)
    }

    /// Whether a call of `from` can lead to one of `to`.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let (mut seen, mut rest) = (HashSet::new(), vec![from]);
        while let Some(next) = rest.pop() {
            let fresh = self.callees[next].iter().filter(|callee| seen.insert(**callee));
            rest.extend(fresh);
            if seen.contains(&to) {
                return true;
            }
        }
        false
    }

    /// Lays out the function's frame, after those of the calls that lie in it.
    fn place(&mut self, index: usize) {
        let flow = &self.flows[index];
        if !is_async(flow.color) || self.frames[index].is_some() {
            return;
        }
        let spots: Vec<Spot> =
            liveness::across_awaits(flow).into_iter().map(|(point, live)| Spot { point, live }).collect();
        let mut size = ARGS;
        let mut take = |bytes: i32| {
            size += bytes;
            size - bytes
        };
        let args: Vec<Reg> = (0..flow.params).chain(flow.captures.iter().map(|(_, inner)| *inner)).collect();
        let mut slots: BTreeMap<Reg, i32> = args.iter().map(|arg| (*arg, take(8))).collect();
        let op = spots.iter().any(|spot| matches!(spot.point.wait, Wait::Op(_))).then(|| take(8));
        // Values share a place when no await has both.
        let mut places: Vec<(i32, BTreeSet<usize>)> = Vec::new();
        for reg in 0..flow.regs {
            let held: BTreeSet<usize> = (0..spots.len()).filter(|spot| spots[*spot].holds(reg)).collect();
            if held.is_empty() || slots.contains_key(&reg) {
                continue;
            }
            let free = places.iter_mut().find(|(_, taken)| taken.is_disjoint(&held));
            let offset = match free {
                Some((offset, taken)) => {
                    taken.extend(&held);
                    *offset
                }
                None => {
                    places.push((take(8), held));
                    places[places.len() - 1].0
                }
            };
            slots.insert(reg, offset);
        }
        let start = size;
        let mut regions = Vec::new();
        let mut ends: Vec<i32> = Vec::new();
        for region in &flow.regions {
            let (place, bytes) = self.region(index, region.callee);
            let offset = region.inside.map_or(start, |inside: RegionId| ends[inside]);
            regions.push((offset, place));
            ends.push(offset + bytes);
            size = size.max(offset + bytes);
        }
        let insts = flow.blocks.iter().flat_map(|block| &block.insts);
        let set: BTreeSet<Reg> = insts.filter_map(|inst| inst.registers().0).collect();
        let constant = args.iter().copied().filter(|arg| !set.contains(arg)).collect();
        self.order.push(index);
        self.frames[index] = Some(Frame { size, op, slots, args, constant, regions, spots });
    }

    fn region(&mut self, index: usize, callee: Target) -> (Place, i32) {
        let Target::Function(callee) = callee else { return (Place::Elsewhere, 16) };
        if callee == index || self.reaches(callee, index) {
            return (Place::Elsewhere, 16);
        }
        self.place(callee);
        match &self.frames[callee] {
            Some(frame) if frame.size <= INLINE_MAX => (Place::Inline, frame.size),
            _ => (Place::Elsewhere, 16),
        }
    }

    /// The table that --dump-state shows.
    pub fn describe(&self, index: usize) -> Option<String> {
        let (flow, frame) = (&self.flows[index], self.frames[index].as_ref()?);
        let mut rows = vec![
            (0, "state_id".into(), "where to go on: 0 is the start, n is await point n".into()),
            (RESULT, "result".into(), "the value, once it is there".to_string()),
        ];
        if let Some(op) = frame.op {
            rows.push((op, "op".into(), "the runtime's word for the operation that is awaited".into()));
        }
        for (reg, offset) in &frame.slots {
            let held: Vec<String> = frame
                .spots
                .iter()
                .enumerate()
                .filter(|(_, spot)| spot.holds(*reg))
                .map(|(number, _)| (number + 1).to_string())
                .collect();
            let origin = match frame.args.iter().position(|arg| arg == reg) {
                Some(number) if number < flow.params => "argument",
                Some(_) => "capture",
                None if flow.names.contains_key(reg) => "variable",
                None => "temporary",
            };
            let lives =
                if held.is_empty() { String::new() } else { format!(", lives across await {}", held.join(", ")) };
            let name = flow.names.get(reg).cloned().unwrap_or(format!("%{reg}"));
            rows.push((*offset, name, origin.to_string() + &lives));
        }
        for (number, spot) in frame.spots.iter().enumerate() {
            let (Wait::Call(region) | Wait::Next(region, _)) = spot.point.wait else { continue };
            let (offset, place) = frame.regions[region];
            let callee = match flow.regions[region].callee {
                Target::Function(callee) => self.flows[callee].name.clone(),
                Target::Closure(reg) => flow.names[&reg].clone(),
                Target::Builtin(_) => unreachable!("builtins have no frame"),
            };
            let what = match place {
                Place::Inline => "its frame",
                Place::Elsewhere => "pointers to its frame and its kind",
            };
            rows.push((offset, callee, format!("{what}, awaited at {} (line {})", number + 1, spot.point.line)));
        }
        rows.sort();
        let mut text = format!("{}: {} bytes\n", flow.name, frame.size);
        for (offset, name, why) in rows {
            let _ = writeln!(text, "  +{offset:<4} {name:<12} {why}");
        }
        Some(text)
    }
}

impl Spot<'_> {
    /// Whether the frame holds the register while it stands here: it lives across, or the operation is called with it
    /// again.
    pub fn holds(&self, reg: Reg) -> bool {
        self.live.contains(&reg) || matches!(self.point.wait, Wait::Op(_)) && self.point.args.contains(&reg)
    }
}
