//! Places every tensor and scratch buffer in one arena.
//!
//! Two things that hold data at the same time may not share a byte, with one exception: an output may
//! lie over an input that its op is the last to read, if it starts at least `lead` bytes before it.
//! The op's own kernel says how many (`Operator::lead` in the runtime, the one truth about it). Ops that allow no
//! overlap but the exact one (`Lowered::in_place`) have both in one place.
//!
//! ```text
//!  offset ->      |<- lead ->|
//!   output        [##################]
//!   input                    [###############]      read ahead of what is written
//! ```
//!
//! Placement takes the things in some order and gives each the lowest offset that fits those placed
//! before. Every constraint has the form "starts at least so far above", hence the best plan is the
//! outcome of *some* order: the one by its own offsets. So the search is one over orders: a few good
//! ones to begin with (large first, as TFLM's greedy planner; in order of time), then local search
//! from the best: move one thing, keep the order if the arena does not grow. It ends at a lower bound,
//! or after a fixed number of steps: the same model gives the same plan.

use ferrolite_schema::FILE_ALIGNMENT;

use super::program::Program;

/// Where everything lies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Offset of each tensor in the arena; 0 for constants and state.
    pub tensors: Vec<u32>,
    /// Offset of each op's scratch memory.
    pub scratch: Vec<u32>,
    /// Size of the arena, without state.
    pub arena_bytes: u32,
    /// Where there are several memories: which of those that were given, and its bytes, state included.
    pub memories: Vec<(usize, u32)>,
}

impl Plan {
    /// A plan in which nothing has a place yet.
    pub(super) fn empty(program: &Program) -> Plan {
        let (tensors, scratch) = (vec![0; program.tensors.len()], vec![0; program.ops.len()]);
        Plan { tensors, scratch, arena_bytes: 0, memories: Vec::new() }
    }

    /// Gives something its place.
    pub(super) fn set(&mut self, item: &Item, offset: u32) {
        match item.what {
            What::Tensor { first, .. } => self.tensors[first] = offset,
            What::Scratch(index) => self.scratch[index] = offset,
        }
    }

    /// Gives tensors the place of the one that they are written over.
    pub(super) fn share_places(&mut self, program: &Program) {
        for (tensor, &first) in first_in_place(program).iter().enumerate() {
            self.tensors[tensor] = self.tensors[first];
        }
    }

    /// Where the program's state starts: behind all else.
    pub fn state_start(&self) -> u32 {
        self.arena_bytes.next_multiple_of(FILE_ALIGNMENT as u32)
    }

    /// Size of the arena with the program's state.
    pub fn whole_bytes(&self, program: &Program) -> u32 {
        match program.state_bytes {
            0 => self.arena_bytes,
            bytes => self.state_start() + bytes,
        }
    }
}

/// The lead of each input of each op; `None` where output and input may not overlap.
pub(crate) type Leads = Vec<Vec<Option<u32>>>;

/// A plan in which nothing overlaps, for asking the runtime's operators. `None` beyond 1 GiB.
pub(crate) fn disjoint(program: &Program) -> Option<Plan> {
    let mut end = 0u32;
    let mut next = |bytes: u32, align: u32| {
        let offset = end.checked_next_multiple_of(align)?;
        end = offset.checked_add(bytes).filter(|&end| end <= 1 << 30)?;
        Some(offset)
    };
    let mut tensors = Vec::new();
    for tensor in &program.tensors {
        tensors.push(if tensor.in_arena() { next(tensor.bytes, tensor.align())? } else { 0 });
    }
    let mut scratch = Vec::new();
    for op in &program.ops {
        let bytes = op.lowered.scratch_bytes;
        scratch.push(if bytes == 0 { 0 } else { next(bytes, 4)? });
    }
    Some(Plan { tensors, scratch, arena_bytes: end, memories: Vec::new() })
}

/// The smallest plan that was found.
pub(crate) fn plan(program: &Program, leads: &Leads) -> Plan {
    let mut items = items(program);
    connect(&mut items, program, leads);
    let bound = lower_bound(&items, program, leads);
    let offsets = search(&items, bound);
    let mut plan = Plan::empty(program);
    for (item, &offset) in items.iter().zip(&offsets) {
        plan.arena_bytes = plan.arena_bytes.max((offset + item.size) as u32);
        plan.set(item, offset as u32);
    }
    plan.share_places(program);
    plan
}

/// Offsets of some things among themselves, by the number of each thing, and the bytes that they take together.
pub(super) fn best_offsets(items: &[Item], members: &[usize]) -> (Vec<Option<u64>>, u64) {
    let mut number = vec![None; items.len()];
    members.iter().enumerate().for_each(|(new, &old)| number[old] = Some(new));
    let alone = |&old: &usize| {
        let mut item = items[old].clone();
        item.conflicts.retain_mut(|conflict| match number[conflict.other] {
            Some(new) => {
                conflict.other = new;
                true
            }
            None => false,
        });
        item
    };
    let alone: Vec<Item> = members.iter().map(alone).collect();
    let (mut offsets, mut used) = (vec![None; items.len()], 0);
    for ((&old, item), offset) in members.iter().zip(&alone).zip(search(&alone, 0)) {
        offsets[old] = Some(offset);
        used = used.max(offset + item.size);
    }
    (offsets, used)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    /// A tensor, or several of one size that hold data one after the other in one place: the first and the last.
    Tensor {
        first: usize,
        last: usize,
    },
    Scratch(usize),
}

/// For each tensor the first one in its place: itself, unless an op has to write it over its input.
pub(super) fn first_in_place(program: &Program) -> Vec<usize> {
    let mut first: Vec<usize> = (0..program.tensors.len()).collect();
    for (index, op) in program.ops.iter().enumerate().filter(|(_, op)| op.lowered.in_place()) {
        let (&[input], &[output]) = (&op.inputs[..], &op.outputs[..]) else { continue };
        if program.tensors[input].in_arena() && program.tensors[input].last_use == index {
            first[output] = first[input];
        }
    }
    first
}

/// Something that needs a place.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub what: What,
    pub size: u64,
    align: u64,
    /// First and last op during which it holds data; an input of the model holds it from the start.
    pub first: usize,
    last: usize,
    /// Those that hold data at the same time.
    conflicts: Vec<Conflict>,
}

/// What an item must keep from another, with the other at offset `o`.
#[derive(Clone, Copy, Debug)]
struct Conflict {
    other: usize,
    /// The item may start at `o - below` or lower.
    below: u64,
    /// The item may start at `o + above` or higher.
    above: u64,
}

pub(super) fn items(program: &Program) -> Vec<Item> {
    let firsts = first_in_place(program);
    // Tensors are numbered in the order in which they are written.
    let mut lasts = firsts.clone();
    for (tensor, &first) in firsts.iter().enumerate() {
        lasts[first] = tensor;
    }
    let tensors = program.tensors.iter().enumerate();
    let tensors = tensors.filter(|&(index, tensor)| tensor.in_arena() && firsts[index] == index);
    let tensors = tensors.map(|(index, tensor)| {
        let last = lasts[index];
        Item {
            what: What::Tensor { first: index, last },
            size: tensor.bytes.into(),
            align: tensor.align().into(),
            first: tensor.writer.unwrap_or(0),
            last: program.tensors[last].last_use,
            conflicts: Vec::new(),
        }
    });
    let scratch = program.ops.iter().enumerate().filter(|(_, op)| op.lowered.scratch_bytes != 0);
    let scratch = scratch.map(|(index, op)| Item {
        what: What::Scratch(index),
        size: op.lowered.scratch_bytes.into(),
        align: 4,
        first: index,
        last: index,
        conflicts: Vec::new(),
    });
    tensors.chain(scratch).collect()
}

/// The number of bytes that `output` must start before `input`, where the two may overlap.
fn lead(program: &Program, leads: &Leads, input: &Item, output: &Item) -> Option<u64> {
    let (What::Tensor { last: i, .. }, What::Tensor { first: o, .. }) = (input.what, output.what) else {
        return None;
    };
    let writer = program.tensors[o].writer?;
    if program.tensors[i].last_use != writer || program.tensors[i].writer == Some(writer) {
        return None;
    }
    let op = &program.ops[writer];
    let mut lead = None;
    for (&tensor, &needed) in op.inputs.iter().zip(&leads[writer]) {
        if tensor == i {
            lead = Some(lead.unwrap_or(0).max(u64::from(needed?)));
        }
    }
    lead
}

/// Finds all pairs that hold data at the same time.
pub(super) fn connect(items: &mut [Item], program: &Program, leads: &Leads) {
    let mut by_start: Vec<usize> = (0..items.len()).collect();
    by_start.sort_by_key(|&i| (items[i].first, i));
    let mut live: Vec<usize> = Vec::new();
    for b in by_start {
        live.retain(|&a| items[a].last >= items[b].first);
        for &a in &live {
            let (sa, sb) = (items[a].size, items[b].size);
            // `low` may start `reach` below `high`: disjoint, or overlapping by the op's leave.
            let (mut a_below_b, mut b_below_a) = (sa, sb);
            if let Some(lead) = lead(program, leads, &items[a], &items[b]) {
                b_below_a = lead.min(sb);
            } else if let Some(lead) = lead(program, leads, &items[b], &items[a]) {
                a_below_b = lead.min(sa);
            }
            items[a].conflicts.push(Conflict { other: b, below: a_below_b, above: b_below_a });
            items[b].conflicts.push(Conflict { other: a, below: b_below_a, above: a_below_b });
        }
        live.push(b);
    }
}

/// A size that no plan can be below: for each op, what lives through it, its scratch memory, and the
/// larger of its outputs and of what it reads for the last time.
fn lower_bound(items: &[Item], program: &Program, leads: &Leads) -> u64 {
    // What lives during each op, as it changes from one to the next, and the tensors that begin and end there.
    let count = program.ops.len();
    let mut changes = vec![0i64; count + 1];
    let (mut begins, mut ends) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for item in items.iter().filter(|item| item.first < count) {
        changes[item.first] += item.size as i64;
        changes[(item.last + 1).min(count)] -= item.size as i64;
        if let What::Tensor { first, .. } = item.what {
            if program.tensors[first].writer == Some(item.first) {
                begins[item.first].push(item);
            }
            if let Some(ends) = ends.get_mut(item.last) {
                ends.push(item);
            }
        }
    }
    let (mut bound, mut live) = (0, 0i64);
    for (index, (written, ends)) in begins.iter().zip(&ends).enumerate() {
        live += changes[index];
        let is_written = |item: &Item| written.iter().any(|other| other.what == item.what);
        let dying: Vec<&Item> = ends.iter().copied().filter(|item| !is_written(item)).collect();
        let apart: u64 = written.iter().chain(&dying).map(|item| item.size).sum();
        let through = (live as u64).saturating_sub(apart);
        let sum = |items: &[&Item]| items.iter().map(|item| item.size).sum::<u64>();
        let pair = match (&dying[..], &written[..]) {
            (&[input], &[output]) => match lead(program, leads, input, output) {
                Some(lead) => output.size.max(input.size + lead.min(output.size)),
                None => input.size + output.size,
            },
            _ => sum(&dying).max(sum(written)),
        };
        bound = bound.max(through + pair);
    }
    bound
}

/// Gives every item of `order` the lowest offset that fits; returns the size of the arena.
pub(super) fn place(
    items: &[Item],
    order: &[usize],
    offsets: &mut [Option<u64>],
    taken: &mut Vec<(u64, u64)>,
) -> u64 {
    offsets.fill(None);
    let mut arena = 0;
    for &index in order {
        let offset = lowest(items, index, offsets, taken);
        offsets[index] = Some(offset);
        arena = arena.max(offset + items[index].size);
    }
    arena
}

/// The lowest offset that fits something among those that have one.
pub(super) fn lowest(
    items: &[Item],
    index: usize,
    offsets: &[Option<u64>],
    taken: &mut Vec<(u64, u64)>,
) -> u64 {
    let item = &items[index];
    taken.clear();
    for conflict in &item.conflicts {
        if let Some(other) = offsets[conflict.other] {
            // Starts strictly between these two are forbidden; the first is one too low to name
            // where the other lies too near to the bottom.
            let low = (other + 1).saturating_sub(conflict.below);
            taken.push((low, other + conflict.above));
        }
    }
    taken.sort_unstable();
    let mut offset = 0u64;
    for &(low, high) in taken.iter() {
        if low <= offset && offset < high {
            offset = high.next_multiple_of(item.align);
        }
    }
    offset
}

/// Looks for an order with a small arena; returns the offsets it gives.
fn search(items: &[Item], bound: u64) -> Vec<u64> {
    let edges: usize = items.iter().map(|item| item.conflicts.len()).sum();
    let steps = (4_000_000 / (items.len() + edges + 1)).clamp(20, 20_000);
    let mut offsets = vec![None; items.len()];
    let mut taken = Vec::new();
    let mut best: Vec<usize> = (0..items.len()).collect();
    let mut best_arena = u64::MAX;
    for mut order in first_orders(items) {
        let arena = place(items, &order, &mut offsets, &mut taken);
        if arena < best_arena {
            (best, best_arena) = (order.clone(), arena);
        }
        // The order of the offsets just found never gives a larger arena.
        order.sort_by_key(|&i| offsets[i]);
        let arena = place(items, &order, &mut offsets, &mut taken);
        if arena < best_arena {
            (best, best_arena) = (order, arena);
        }
    }
    let mut random = Random(1);
    let mut order = best.clone();
    place(items, &order, &mut offsets, &mut taken);
    for _ in 0..steps {
        if best_arena <= bound || items.len() < 2 {
            break;
        }
        // Either one of those at the top is placed earlier, or any is placed anywhere.
        let top: Vec<usize> = (0..order.len())
            .filter(|&at| offsets[order[at]].is_some_and(|o| o + items[order[at]].size >= best_arena))
            .collect();
        let (from, to) = if random.below(2) == 0 && !top.is_empty() {
            let from = top[random.below(top.len())];
            (from, random.below(from + 1))
        } else {
            (random.below(order.len()), random.below(order.len()))
        };
        let moved = order.remove(from);
        order.insert(to, moved);
        let arena = place(items, &order, &mut offsets, &mut taken);
        if arena <= best_arena {
            best_arena = arena;
            best.clone_from(&order);
        } else {
            order.clone_from(&best);
        }
    }
    place(items, &best, &mut offsets, &mut taken);
    offsets.into_iter().map(Option::unwrap_or_default).collect()
}

/// Orders to begin with.
pub(super) fn first_orders(items: &[Item]) -> Vec<Vec<usize>> {
    type Key = fn(&Item) -> (std::cmp::Reverse<u64>, usize);
    let by_size: Key = |item| (std::cmp::Reverse(item.size), item.first);
    let by_span: Key = |item| (std::cmp::Reverse((item.last - item.first) as u64), item.first);
    let by_both: Key =
        |item| (std::cmp::Reverse((item.last - item.first + 1) as u64 * item.size), item.first);
    let all: Vec<usize> = (0..items.len()).collect();
    let mut orders: Vec<Vec<usize>> = [by_size, by_span, by_both]
        .into_iter()
        .map(|key| {
            let mut order = all.clone();
            order.sort_by_key(|&i| (key(&items[i]), i));
            order
        })
        .collect();
    let mut forwards = all.clone();
    forwards.sort_by_key(|&i| (items[i].first, i));
    let mut backwards = all;
    backwards.sort_by_key(|&i| (std::cmp::Reverse(items[i].last), i));
    orders.extend([forwards, backwards]);
    orders
}

/// A small generator of pseudo-random numbers (splitmix64), the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}
