// SPDX-License-Identifier: Apache-2.0
//! Which registers live across each await point: what comes behind it reads them before setting them.

use std::collections::BTreeSet;

use crate::flow::{End, Flow, Point, Reg, Wait};

/// Of every block that ends at an await point what lives across it, in the order of the blocks.
pub fn across_awaits(flow: &Flow) -> Vec<(&Point, BTreeSet<Reg>)> {
    let mut entry: Vec<BTreeSet<Reg>> = vec![BTreeSet::new(); flow.blocks.len()];
    loop {
        let mut changed = false;
        for (index, block) in flow.blocks.iter().enumerate().rev() {
            let mut live = match &block.end {
                Some(End::Await(point)) => {
                    let mut live = across(point, &entry);
                    live.extend(&point.args);
                    live
                }
                Some(End::Jump(next)) => entry[*next].clone(),
                Some(End::Branch(value, yes, no)) => entry[*yes].union(&entry[*no]).chain([value]).copied().collect(),
                Some(End::Return(value)) => [*value].into(),
                None => BTreeSet::new(),
            };
            for inst in block.insts.iter().rev() {
                let (set, read) = inst.registers();
                if let Some(dst) = set {
                    live.remove(&dst);
                }
                live.extend(read);
            }
            if live != entry[index] {
                entry[index] = live;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    let points = flow.blocks.iter().filter_map(|block| match &block.end {
        Some(End::Await(point)) => Some(point),
        _ => None,
    });
    points.map(|point| (point, across(point, &entry))).collect()
}

fn across(point: &Point, entry: &[BTreeSet<Reg>]) -> BTreeSet<Reg> {
    let mut live = entry[point.next].clone();
    live.remove(&point.dst);
    if let Wait::Next(_, exit) = point.wait {
        live.extend(&entry[exit]);
    }
    live
}
