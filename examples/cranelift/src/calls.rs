// SPDX-License-Identifier: Apache-2.0
//! The call graph, in one pass (Tarjan's): which functions can call each other in a circle, and an order in which every
//! function comes behind those that it calls.

use crate::check::Target;
use crate::flow::{Flow, Inst};
use crate::parse::Color;

const UNKNOWN: usize = usize::MAX;

pub struct Calls {
    /// By function, the functions that it calls or awaits. A spawned function is not called: the runtime polls its
    /// task.
    callees: Vec<Vec<usize>>,
    /// Callees first; functions of a circle in some order.
    pub order: Vec<usize>,
    /// By function, the number of its circle; a function that is in none has a number of its own.
    circle: Vec<usize>,
    recursive: Vec<bool>,
}

impl Calls {
    pub fn new(flows: &[Flow]) -> Calls {
        let count = flows.len();
        // A call of a closure may be one of any: the last node stands for all of them.
        let mut callees: Vec<Vec<usize>> = flows.iter().map(|flow| callees(flow, count)).collect();
        callees.push((0..count).filter(|index| flows[*index].color == Color::Closure).collect());
        let mut calls = Calls {
            callees: Vec::new(),
            order: Vec::new(),
            circle: vec![UNKNOWN; count + 1],
            recursive: vec![false; count + 1],
        };
        calls.find_circles(&callees);
        calls.order.retain(|index| *index != count);
        calls.callees = callees;
        calls
    }

    /// The functions that the function calls, also as closures.
    pub fn callees(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let any_closure = self.callees.len() - 1;
        let direct = self.callees[index].iter().copied().filter(move |callee| *callee != any_closure);
        let calls_closures = self.callees[index].last() == Some(&any_closure);
        direct.chain(self.callees[any_closure].iter().copied().filter(move |_| calls_closures))
    }

    /// Whether the function can call itself, directly or through others.
    pub fn is_recursive(&self, index: usize) -> bool {
        self.recursive[index]
    }

    /// Whether `caller`, which calls `callee`, can be called by it, too.
    pub fn is_circle(&self, caller: usize, callee: usize) -> bool {
        self.circle[caller] == self.circle[callee]
    }

    /// A node is numbered when it is first seen, and is open until its circle is known. `lowest` is the lowest number
    /// of an open node that it reaches; the node that reaches nothing lower than itself closes its circle.
    fn find_circles(&mut self, callees: &[Vec<usize>]) {
        let (mut number, mut lowest) = (vec![0; callees.len()], vec![0; callees.len()]);
        let (mut seen, mut open) = (0, Vec::new());
        for root in 0..callees.len() {
            let mut path: Vec<(usize, usize)> = if number[root] == 0 { vec![(root, 0)] } else { Vec::new() };
            while let Some((node, next)) = path.pop() {
                if next == 0 {
                    seen += 1;
                    (number[node], lowest[node]) = (seen, seen);
                    open.push(node);
                } else {
                    let callee = callees[node][next - 1];
                    if self.circle[callee] == UNKNOWN {
                        lowest[node] = lowest[node].min(lowest[callee]);
                    }
                }
                if let Some(callee) = callees[node].get(next) {
                    path.push((node, next + 1));
                    if number[*callee] == 0 {
                        path.push((*callee, 0));
                    }
                } else if lowest[node] == number[node] {
                    let first = open.iter().rposition(|other| *other == node).expect("the node is open");
                    self.close(&open.split_off(first), callees);
                }
            }
        }
    }

    fn close(&mut self, circle: &[usize], callees: &[Vec<usize>]) {
        for node in circle {
            self.circle[*node] = circle[0];
            self.recursive[*node] = circle.len() > 1 || callees[*node].contains(node);
        }
        self.order.extend(circle.iter().rev());
    }
}

fn callees(flow: &Flow, any_closure: usize) -> Vec<usize> {
    let mut found = Vec::new();
    for inst in flow.blocks.iter().flat_map(|block| &block.insts) {
        match inst {
            Inst::Call(_, function, _) | Inst::Begin { callee: Target::Function(function), .. } => {
                found.push(*function)
            }
            Inst::Begin { callee: Target::Closure(_), .. } => found.push(any_closure),
            _ => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
