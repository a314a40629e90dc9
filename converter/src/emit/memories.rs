//! Divides the arena among memories: a small fast one beside the core, a large slow one.
//!
//! What an op touches most, for each byte that it holds, belongs into the fastest memory. So things are taken in the order
//! of their *heat*, traffic by size, and each goes into the fastest memory that still has room for it while it holds data.
//! The last memory takes what is left; where that is too much for it, things are taken in other orders, the largest first
//! among them, before it is said how much is missing. Leads and conflicts matter within one memory only.

use super::options::Memory;
use super::plan::{
    Item, Leads, Plan, What, best_offsets, connect, first_in_place, first_orders, items, lowest, place, plan,
};
use super::program::Program;
use crate::error::{Error, Result};
use crate::text;

/// How often things are placed anew to make room for one more.
const REPACKINGS: usize = 300;

/// The plan of a program in these memories, the fastest first; those that stay empty are left out. `work` has the steps of
/// each op (`Model::op_work`).
///
/// # Errors
/// When the last memory would have to be larger.
pub(crate) fn plan_in(program: &Program, leads: &Leads, work: &[u64], memories: &[Memory]) -> Result<Plan> {
    let mut items = items(program);
    connect(&mut items, program, leads);
    let traffic = traffic(program, &items, work);
    let Some((last, fast)) = memories.split_last() else { return Ok(plan(program, leads)) };
    // Borders are multiples of 16.
    let room: Vec<u64> = fast.iter().map(|memory| u64::from(memory.bytes & !15)).collect();
    let mut found: Option<Division> = None;
    for order in orders(&items, &traffic) {
        let division = Division::of(&items, &order, &room);
        let needed = division.last_bytes(program);
        if found.as_ref().is_none_or(|best| needed < best.last_bytes(program)) {
            found = Some(division);
        }
        // The first that fits is the hottest.
        if needed <= u64::from(last.bytes) {
            break;
        }
    }
    let division = found.unwrap_or_default();
    let needed = division.last_bytes(program);
    if needed > u64::from(last.bytes) {
        let given: Vec<String> = memories
            .iter()
            .map(|memory| format!("`{}` {}", memory.name, text::thousands(memory.bytes)))
            .collect();
        let missing = needed - u64::from(last.bytes);
        return Err(Error::budget(format!(
            "the arena does not fit into its memories ({} bytes): `{}` would have to have {}, {} more",
            given.join(", "),
            last.name,
            text::thousands(needed),
            text::thousands(missing)
        ))
        .help(format!(
            "give `{}` {} bytes, or make another memory larger",
            last.name,
            text::thousands(needed)
        )));
    }
    Ok(division.plan(program, &items))
}

/// Orders in which things are given their memories: the hottest first, then orders that waste less.
fn orders(items: &[Item], traffic: &[u64]) -> Vec<Vec<usize>> {
    let mut hottest: Vec<usize> = (0..items.len()).collect();
    // a / b > c / d is a * d > c * b.
    hottest.sort_by(|&a, &b| {
        let heat = |x: usize, y: usize| u128::from(traffic[x]) * u128::from(items[y].size);
        heat(b, a).cmp(&heat(a, b)).then(items[a].first.cmp(&items[b].first)).then(a.cmp(&b))
    });
    std::iter::once(hottest).chain(first_orders(items)).collect()
}

/// Bytes that ops read and write in each thing. An op without scratch memory works on its inputs, an op with some on that.
fn traffic(program: &Program, items: &[Item], work: &[u64]) -> Vec<u64> {
    let firsts = first_in_place(program);
    let mut tensors = vec![0u64; program.tensors.len()];
    let mut scratch = vec![0u64; program.ops.len()];
    for (index, op) in program.ops.iter().enumerate() {
        let steps = work.get(index).copied().unwrap_or(0);
        let held: Vec<usize> =
            op.inputs.iter().copied().filter(|&id| program.tensors[id].in_arena()).collect();
        let direct = op.lowered.scratch_bytes == 0;
        for &id in &held {
            let bytes = u64::from(program.tensors[id].bytes);
            let share = if direct { steps / held.len() as u64 } else { 0 };
            tensors[firsts[id]] = tensors[firsts[id]].saturating_add(bytes.max(share));
        }
        for &id in &op.outputs {
            tensors[firsts[id]] = tensors[firsts[id]].saturating_add(program.tensors[id].bytes.into());
        }
        scratch[index] = steps.max(2 * u64::from(op.lowered.scratch_bytes));
    }
    let of = |item: &Item| match item.what {
        What::Tensor { first, .. } => tensors[first],
        What::Scratch(op) => scratch[op],
    };
    items.iter().map(of).collect()
}

/// Which memory each thing is in, and where.
#[derive(Default)]
struct Division {
    /// The number of the memory of each thing.
    memory: Vec<usize>,
    /// Its offset there.
    offset: Vec<u64>,
    /// Bytes of each memory that are used.
    used: Vec<u64>,
}

impl Division {
    /// Gives things memories in this order: the first that has room. The last one, behind those of `room`, takes any.
    fn of(items: &[Item], order: &[usize], room: &[u64]) -> Division {
        let mut all: Vec<Packed> = room.iter().map(|&room| Packed::new(items, room)).collect();
        let mut rest = Packed::new(items, u64::MAX);
        let mut memory = vec![room.len(); items.len()];
        for &index in order {
            match all.iter_mut().position(|packed| packed.add(items, index)) {
                Some(number) => memory[index] = number,
                None => rest.members.push(index),
            }
        }
        rest.settle(items);
        all.push(rest);
        let offset = memory.iter().enumerate().map(|(item, &number)| all[number].offsets[item].unwrap_or(0));
        Division { offset: offset.collect(), used: all.iter().map(|packed| packed.used).collect(), memory }
    }

    /// Bytes of the last memory, with the program's state, which is its end.
    fn last_bytes(&self, program: &Program) -> u64 {
        let used = self.used.last().copied().unwrap_or(0);
        match program.state_bytes {
            0 => used,
            bytes => used.next_multiple_of(16) + u64::from(bytes),
        }
    }

    /// The plan: memories one behind the other, those that hold nothing left out.
    fn plan(&self, program: &Program, items: &[Item]) -> Plan {
        let last = self.used.len().saturating_sub(1);
        let mut memories = Vec::new();
        let (mut starts, mut end) = (vec![0; self.used.len()], 0u64);
        for (number, &used) in self.used.iter().enumerate() {
            starts[number] = end;
            let bytes = if number == last { self.last_bytes(program) } else { used.next_multiple_of(16) };
            if bytes != 0 {
                memories.push((number, bytes as u32));
                end += bytes;
            }
        }
        // What stands last ends where it ends.
        let working = if self.last_bytes(program) == 0 {
            self.used.iter().zip(&starts).map(|(used, start)| used + start).max().unwrap_or(0)
        } else {
            starts[last] + self.used[last]
        };
        let mut plan = Plan::empty(program);
        plan.arena_bytes = working as u32;
        for (index, item) in items.iter().enumerate() {
            plan.set(item, (starts[self.memory[index]] + self.offset[index]) as u32);
        }
        plan.share_places(program);
        if let Some((_, bytes)) = memories.last_mut().filter(|(number, _)| *number != last) {
            // Only the last one of a file may end anywhere.
            let others: u64 = end - u64::from(*bytes);
            *bytes = (working - others) as u32;
        }
        plan.memories = if memories.len() > 1 { memories } else { Vec::new() };
        plan
    }
}

/// The things of one memory.
struct Packed {
    room: u64,
    members: Vec<usize>,
    /// By thing.
    offsets: Vec<Option<u64>>,
    used: u64,
    repackings: usize,
}

impl Packed {
    fn new(items: &[Item], room: u64) -> Packed {
        Packed { room, members: Vec::new(), offsets: vec![None; items.len()], used: 0, repackings: 0 }
    }

    /// Takes one more, if there is room.
    fn add(&mut self, items: &[Item], index: usize) -> bool {
        if items[index].size > self.room {
            return false;
        }
        let mut taken = Vec::new();
        let offset = lowest(items, index, &self.offsets, &mut taken);
        if offset + items[index].size <= self.room {
            self.offsets[index] = Some(offset);
            self.used = self.used.max(offset + items[index].size);
            self.members.push(index);
            return true;
        }
        self.make_room(items, index)
    }

    /// Places all anew to make room for one more.
    fn make_room(&mut self, items: &[Item], index: usize) -> bool {
        if self.repackings == REPACKINGS {
            return false;
        }
        self.repackings += 1;
        self.members.push(index);
        let mut offsets = vec![None; items.len()];
        let mut taken = Vec::new();
        for order in first_orders(items) {
            let order: Vec<usize> = order.into_iter().filter(|item| self.members.contains(item)).collect();
            let used = place(items, &order, &mut offsets, &mut taken);
            if used <= self.room {
                (self.offsets, self.used) = (offsets, used);
                return true;
            }
        }
        self.members.pop();
        false
    }

    /// Places all of them as well as is found.
    fn settle(&mut self, items: &[Item]) {
        let (offsets, used) = best_offsets(items, &self.members);
        (self.offsets, self.used) = (offsets, used);
    }
}
