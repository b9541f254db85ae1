// SPDX-License-Identifier: Apache-2.0
//! The values that live at a place: the code behind it reads them before setting them.
//!
//! Most registers never leave their block. The analyses count the others only, by numbers of their own, so that a
//! function of many blocks stays cheap.

use std::collections::BTreeSet;

use crate::flow::{Block, End, Flow, Point, Reg, Wait};
use crate::set::Set;

pub struct Lives {
    /// The registers that leave their block, arguments, and the arguments for later calls of a runtime's operation.
    pub regs: Vec<Reg>,
    numbers: Vec<Option<usize>>,
    /// By block, the values that live at its start.
    pub entry: Vec<Set>,
    /// By block, the result of the await point before it.
    pub results: Vec<Option<Reg>>,
}

impl Lives {
    pub fn new(flow: &Flow) -> Lives {
        let mut results = vec![None; flow.blocks.len()];
        for point in flow.points() {
            results[point.next] = Some(point.dst);
        }
        let regs: Vec<Reg> = leaving(flow, &results).into_iter().collect();
        let mut numbers = vec![None; flow.regs];
        regs.iter().enumerate().for_each(|(number, reg)| numbers[*reg] = Some(number));
        let entry = vec![Set::none(regs.len()); flow.blocks.len()];
        let mut lives = Lives { regs, numbers, entry, results };
        while lives.pass(flow) {}
        lives
    }

    /// The number of a register, if the analyses count it.
    pub fn number(&self, reg: Reg) -> Option<usize> {
        self.numbers[reg]
    }

    pub fn none(&self) -> Set {
        Set::none(self.regs.len())
    }

    pub fn numbers<'a>(&'a self, regs: impl IntoIterator<Item = Reg> + 'a) -> impl Iterator<Item = usize> + 'a {
        regs.into_iter().filter_map(|reg| self.number(reg))
    }

    fn pass(&mut self, flow: &Flow) -> bool {
        let mut changed = false;
        for (index, block) in flow.blocks.iter().enumerate().rev() {
            let live = self.walk(index, block, |_, _| {});
            if live != self.entry[index] {
                self.entry[index] = live;
                changed = true;
            }
        }
        changed
    }

    /// Goes through the block from its end to its start, and returns the values that live there. `set` sees each
    /// register that is set, and the values that live behind that.
    pub fn walk(&self, index: usize, block: &Block, mut set: impl FnMut(usize, &Set)) -> Set {
        let mut live = match &block.end {
            Some(End::Await(point)) => self.across(point),
            Some(End::Jump(next)) => self.entry[*next].clone(),
            Some(End::Branch(_, yes, no)) => {
                let mut live = self.entry[*yes].clone();
                live.unite(&self.entry[*no]);
                live
            }
            Some(End::Return(_)) | None => self.none(),
        };
        let read = |live: &mut Set, reg: Reg| self.number(reg).into_iter().for_each(|number| live.insert(number));
        let mut kill = |live: &mut Set, reg: Reg| {
            if let Some(number) = self.number(reg) {
                set(number, live);
                live.remove(number);
            }
        };
        block.end.iter().flat_map(End::reads).for_each(|reg| read(&mut live, reg));
        for inst in block.insts.iter().rev() {
            let (dst, reads) = inst.registers();
            dst.into_iter().for_each(|dst| kill(&mut live, dst));
            reads.into_iter().for_each(|reg| read(&mut live, reg));
        }
        self.results[index].into_iter().for_each(|result| kill(&mut live, result));
        live
    }

    /// The values that live across the await point.
    pub fn across(&self, point: &Point) -> Set {
        let mut live = self.entry[point.next].clone();
        if let Wait::Next(_, exit) = point.wait {
            live.unite(&self.entry[exit]);
        }
        live
    }
}

/// The registers that the analyses count.
fn leaving(flow: &Flow, results: &[Option<Reg>]) -> BTreeSet<Reg> {
    let mut found: BTreeSet<Reg> = flow.args().collect();
    let mut set_in = vec![usize::MAX; flow.regs];
    for (index, block) in flow.blocks.iter().enumerate() {
        results[index].into_iter().for_each(|result| set_in[result] = index);
        for inst in &block.insts {
            let (dst, reads) = inst.registers();
            found.extend(reads.into_iter().filter(|reg| set_in[*reg] != index));
            dst.into_iter().for_each(|dst| set_in[dst] = index);
        }
        found.extend(block.end.iter().flat_map(End::reads).filter(|reg| set_in[*reg] != index));
        if let Some(End::Await(Point { wait: Wait::Op(_), args, .. })) = &block.end {
            found.extend(args);
        }
    }
    found
}
