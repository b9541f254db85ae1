// SPDX-License-Identifier: Apache-2.0
//! The state struct of each async function: where everything lies, and why it is there.
//!
//!     +0   state id: 0 at the start, then the number of the await point it stands at, or DONE
//!     +8   result: the value, or the item that an iterator yielded
//!     +16  the arguments, and the captures of a closure
//!          the runtime's word for the operation that is awaited, if any ever is
//!          what lives across awaits; values that are never there at once share a place
//!          regions for the frames of async calls, a stack (see flow::Region)

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::calls::Calls;
use crate::check::Target;
use crate::flow::{is_async, Flow, Point, Reg, RegionId, Wait};
use crate::homes::Homes;
use crate::liveness::Lives;
use crate::set::Set;

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
    /// The values that live across the point.
    pub live: Set,
    /// The values that the frame holds during the wait: the live values, and the arguments for the operation's next
    /// calls.
    pub held: Set,
}

pub struct Frame<'a> {
    pub size: i32,
    pub op: Option<i32>,
    pub slots: BTreeMap<Reg, i32>,
    /// Parameters and captures in the order of the arguments.
    pub args: Vec<Reg>,
    pub regions: Vec<(i32, Place)>,
    pub spots: Vec<Spot<'a>>,
    pub lives: Lives,
    pub homes: Homes,
}

pub struct Layouts<'a> {
    flows: &'a [Flow],
    pub calls: Calls,
    /// Of the async functions.
    pub frames: Vec<Option<Frame<'a>>>,
}

pub fn layouts(flows: &[Flow]) -> Layouts<'_> {
    let mut layouts = Layouts { flows, calls: Calls::new(flows), frames: flows.iter().map(|_| None).collect() };
    for place in 0..flows.len() {
        let index = layouts.calls.order[place];
        if is_async(flows[index].color) {
            layouts.frames[index] = Some(layouts.frame(index));
        }
    }
    layouts
}

impl<'a> Layouts<'a> {
    /// The frame of an async function.
    pub fn frame_of(&self, index: usize) -> &Frame<'a> {
        self.frames[index].as_ref().expect("an async function has a frame, and callees come first")
    }

    /// The function's frame. The frames of the calls that lie in it are known.
    fn frame(&self, index: usize) -> Frame<'a> {
        let flow = &self.flows[index];
        let lives = Lives::new(flow);
        let spots: Vec<Spot> = flow.points().map(|point| Spot::new(point, &lives)).collect();
        let homes = Homes::new(flow, &lives, &spots);
        let mut size = ARGS;
        let mut take = |bytes: i32| {
            size += bytes;
            size - bytes
        };
        let args: Vec<Reg> = flow.args().collect();
        let mut slots: BTreeMap<Reg, i32> = args.iter().map(|arg| (*arg, take(8))).collect();
        let op = spots.iter().any(|spot| matches!(spot.point.wait, Wait::Op(_))).then(|| take(8));
        let clashes = clashes(flow, &lives, &spots, &homes);
        let mut places: Vec<Option<usize>> = vec![None; lives.regs.len()];
        let mut offsets = Vec::new();
        for (number, reg) in lives.regs.iter().enumerate().filter(|(_, reg)| !args.contains(reg)) {
            let Some(clashing) = &clashes[number] else { continue };
            let mut taken = vec![false; offsets.len()];
            clashing.iter().filter_map(|other| places[other]).for_each(|place| taken[place] = true);
            let place = taken.iter().position(|taken| !taken).unwrap_or(offsets.len());
            if place == offsets.len() {
                offsets.push(take(8));
            }
            places[number] = Some(place);
            slots.insert(*reg, offsets[place]);
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
        Frame { size, op, slots, args, regions, spots, lives, homes }
    }

    fn region(&self, index: usize, callee: Target) -> (Place, i32) {
        let Target::Function(callee) = callee else { return (Place::Elsewhere, 16) };
        if self.calls.is_circle(index, callee) {
            return (Place::Elsewhere, 16);
        }
        match self.frame_of(callee).size {
            size if size <= INLINE_MAX => (Place::Inline, size),
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
                .filter(|(_, spot)| frame.lives.number(*reg).is_some_and(|number| spot.held.contains(number)))
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

impl<'a> Spot<'a> {
    fn new(point: &'a Point, lives: &Lives) -> Spot<'a> {
        let live = lives.across(point);
        let mut held = live.clone();
        if matches!(point.wait, Wait::Op(_)) {
            lives.numbers(point.args.iter().copied()).for_each(|number| held.insert(number));
        }
        Spot { point, live, held }
    }
}

/// For each value that has a place, which others must not share it: those that an await point holds with it; and of
/// residents, which are stored where they are set, those that live there.
fn clashes(flow: &Flow, lives: &Lives, spots: &[Spot], homes: &Homes) -> Vec<Option<Set>> {
    let mut clashes: Vec<Option<Set>> = vec![None; lives.regs.len()];
    for held in spots.iter().map(|spot| &spot.held) {
        held.iter().for_each(|number| clashes[number].get_or_insert_with(|| lives.none()).unite(held));
    }
    for (index, block) in flow.blocks.iter().enumerate() {
        lives.walk(index, block, |number, live| {
            if !homes.resident.contains(number) {
                return;
            }
            for other in live.iter().filter(|other| homes.resident.contains(*other)) {
                for (one, another) in [(number, other), (other, number)] {
                    clashes[one].as_mut().expect("await points hold every resident").insert(another);
                }
            }
        });
    }
    clashes
}
