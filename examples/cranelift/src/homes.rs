// SPDX-License-Identifier: Apache-2.0
//! The places of values while their function waits, and their ways there and back.
//!
//! A value that lives across await points is of one of two kinds. Each store and each load is written once
//! for a value, not once for each await point that it lives across:
//!
//! - A passing value is held by a single await point, and is set anew on every way to that point. It stays in a
//!   register. It is stored when the point suspends, and loaded when the point is resumed.
//! - Every other value is a resident. It is stored where it is set, and loaded where it is read and no register has it.
//!   An argument that is never set needs no store.
//!
//! A loop without await points would store and load residents in each round. So residents are loaded before the loop,
//! kept in registers, and stored behind it.

use crate::flow::{Block, End, Flow, Inst, Loop, Wait};
use crate::layout::Spot;
use crate::liveness::Lives;
use crate::set::Set;

/// So many residents are kept in registers across an await point that is ready at once: about as many as a call leaves
/// alone.
const KEEP_MAX: usize = 4;

pub struct Homes {
    pub resident: Set,
    /// By block, the residents that registers have at its start.
    pub available: Vec<Set>,
    /// By await point, those that registers have behind it.
    pub kept: Vec<Set>,
    /// By block, the residents to load at its end and to store at its start: around a loop without await points.
    pub load_before: Vec<Option<Set>>,
    pub store_after: Vec<Option<Set>>,
    /// By block, whether it is in such a loop.
    pub quiet: Vec<bool>,
}

impl Homes {
    pub fn new(flow: &Flow, lives: &Lives, spots: &[Spot]) -> Homes {
        let blocks = flow.blocks.len();
        let mut homes = Homes {
            resident: residents(flow, lives, spots),
            available: vec![Set::all(lives.regs.len()); blocks],
            kept: Vec::new(),
            load_before: vec![None; blocks],
            store_after: vec![None; blocks],
            quiet: vec![false; blocks],
        };
        for each in flow.loops.iter().rev() {
            homes.quiet_loop(flow, lives, each);
        }
        homes.kept = spots.iter().map(|spot| homes.keep(flow, lives, spot)).collect();
        homes.find_available(flow, lives);
        homes
    }

    /// Outer loops come first.
    fn quiet_loop(&mut self, flow: &Flow, lives: &Lives, each: &Loop) {
        let inside = each.head..each.end;
        let waits = |block: &Block| matches!(block.end, Some(End::Await(_)));
        if self.quiet[each.head] || flow.blocks[inside.clone()].iter().any(waits) {
            return;
        }
        let (mut read, mut set) = (lives.none(), lives.none());
        for block in &flow.blocks[inside.clone()] {
            self.quiet_reads_and_sets(lives, block, &mut read, &mut set);
        }
        read.unite(&set);
        read.intersect(&lives.entry[each.head]);
        read.intersect(&self.resident);
        set.intersect(&lives.entry[each.exit]);
        set.intersect(&self.resident);
        self.load_before[each.before] = Some(read);
        self.store_after[each.exit] = Some(set);
        self.quiet[inside].fill(true);
    }

    fn quiet_reads_and_sets(&self, lives: &Lives, block: &Block, read: &mut Set, set: &mut Set) {
        for inst in &block.insts {
            let (dst, reads) = inst.registers();
            lives.numbers(reads).for_each(|number| read.insert(number));
            lives.numbers(dst).for_each(|number| set.insert(number));
        }
        lives.numbers(block.end.iter().flat_map(End::reads)).for_each(|number| read.insert(number));
    }

    /// The first residents that are read behind the await point, before anything else is waited for.
    fn keep(&self, flow: &Flow, lives: &Lives, spot: &Spot) -> Set {
        let mut kept = lives.none();
        if matches!(spot.point.wait, Wait::Poll | Wait::Consumer) {
            return kept;
        }
        let next = &flow.blocks[spot.point.next];
        let reads = next.insts.iter().flat_map(|inst| inst.registers().1).chain(next.end.iter().flat_map(End::reads));
        let wanted = |number: &usize| self.resident.contains(*number) && spot.live.contains(*number);
        lives.numbers(reads).filter(wanted).take(KEEP_MAX).for_each(|number| kept.insert(number));
        kept
    }

    /// The residents that registers have at the start of a block: those in registers at the end of all blocks before
    /// it.
    fn find_available(&mut self, flow: &Flow, lives: &Lives) {
        self.available[0] = lives.none();
        let mut changed = true;
        while changed {
            changed = false;
            let mut spot = 0;
            for (index, block) in flow.blocks.iter().enumerate() {
                let mut here = self.available[index].clone();
                let insts =
                    block.insts.iter().map(Inst::registers).flat_map(|(dst, reads)| reads.into_iter().chain(dst));
                let touched = insts.chain(lives.results[index]).chain(block.end.iter().flat_map(End::reads));
                lives.numbers(touched).for_each(|number| here.insert(number));
                self.load_before[index].iter().for_each(|loaded| here.unite(loaded));
                if let Some(End::Await(_)) = block.end {
                    here.intersect(&self.kept[spot]);
                    spot += 1;
                }
                for next in block.end.iter().flat_map(End::targets) {
                    let before = self.available[next].clone();
                    self.available[next].intersect(&here);
                    changed |= before != self.available[next];
                }
            }
        }
    }
}

/// The residents: values that are held by two await points, or by one point that may find its stored value unchanged.
fn residents(flow: &Flow, lives: &Lives, spots: &[Spot]) -> Set {
    let (mut once, mut resident) = (lives.none(), lives.none());
    for spot in spots {
        let mut again = spot.held.clone();
        again.intersect(&once);
        resident.unite(&again);
        once.unite(&spot.held);
    }
    // The values whose present content the frame may have, on some way to the start of each block.
    let mut stored = vec![lives.none(); flow.blocks.len()];
    lives.numbers(flow.args()).for_each(|number| stored[0].insert(number));
    let mut changed = true;
    while changed {
        changed = false;
        let mut spots = spots.iter();
        for (index, block) in flow.blocks.iter().enumerate() {
            let mut here = stored[index].clone();
            let set = block.insts.iter().filter_map(|inst| inst.registers().0).chain(lives.results[index]);
            lives.numbers(set).for_each(|number| here.remove(number));
            if let Some(End::Await(_)) = block.end {
                let held = &spots.next().expect("a spot for each await point").held;
                let mut unchanged = here.clone();
                unchanged.intersect(held);
                resident.unite(&unchanged);
                here.unite(held);
            }
            for next in block.end.iter().flat_map(End::targets) {
                let before = stored[next].clone();
                stored[next].unite(&here);
                changed |= before != stored[next];
            }
        }
    }
    resident
}
