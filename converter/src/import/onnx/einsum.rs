//! Einsum: sums of products by the letters of dimensions, as transposed matrix products.
//!
//! Of two operands, letters are those of the batch (in both and in the result), of rows (in the first only), of columns (in
//! the second only) and summed ones (in both, not in the result); letters of one operand that nobody needs are summed before.
//! More operands are taken two by two, from left to right.

use std::collections::HashMap;

use super::layer::{Layer, Translation, one};
use crate::graph::{BatchMatMul, Op, ReduceKind, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// A tensor, and the letter of each of its dimensions.
struct Term {
    value: ValueId,
    letters: Vec<char>,
}

fn broken<T>(what: String) -> Result<T, Refusal> {
    Err(Refusal::Broken(damaged(what)))
}

/// The letters of a term of `rank` dimensions; dimensions under an ellipsis are digits, the last one first.
fn letters(text: &str, rank: usize) -> Result<Vec<char>, Refusal> {
    let named = text.chars().filter(|c| *c != '.').count();
    let Some(covered) = rank.checked_sub(named).filter(|&n| n < 10 && (n == 0 || text.contains("...")))
    else {
        return broken(format!("the term `{text}` for an operand of {rank} dimensions"));
    };
    let digits: String = (0..covered).rev().filter_map(|n| char::from_digit(n as u32, 10)).collect();
    Ok(text.replace("...", &digits).chars().collect())
}

/// Einsum.
pub(super) fn einsum(l: &mut Layer<'_>) -> Translation {
    let equation: String = l.text("equation", "").chars().filter(|c| !c.is_whitespace()).collect();
    let (from, to) = match equation.split_once("->") {
        Some((from, to)) => (from, Some(to)),
        None => (equation.as_str(), None),
    };
    let terms: Vec<&str> = from.split(',').collect();
    if terms.len() != l.inputs.len() {
        return broken(format!("`{equation}` for {} operands", l.inputs.len()));
    }
    let mut sizes: HashMap<char, usize> = HashMap::new();
    let mut operands = Vec::with_capacity(terms.len());
    for (position, text) in terms.iter().enumerate() {
        let (value, shape) = (l.value(position)?, l.shape(position)?);
        let letters = letters(text, shape.len())?;
        for (i, (&letter, &size)) in letters.iter().zip(&shape).enumerate() {
            if letters[..i].contains(&letter) {
                return unsupported(format!("`{equation}` takes a diagonal"));
            }
            if *sizes.entry(letter).or_insert(size) != size {
                return unsupported(format!("`{equation}` with several sizes of `{letter}`"));
            }
        }
        operands.push(Term { value, letters });
    }
    let all = || operands.iter().flat_map(|term| term.letters.iter().copied());
    let wanted = match to {
        Some(to) => {
            let covered = all().filter(char::is_ascii_digit).collect::<std::collections::HashSet<_>>().len();
            letters(
                to,
                to.chars().filter(|c| *c != '.').count() + if to.contains("...") { covered } else { 0 },
            )?
        }
        // What occurs once, in order; what an ellipsis covers comes first.
        None => {
            let mut once: Vec<char> = all().filter(|c| all().filter(|d| d == c).count() == 1).collect();
            once.extend(all().filter(char::is_ascii_digit).filter(|c| !once.contains(c)).collect::<Vec<_>>());
            once.sort_by_key(|c| {
                (!c.is_ascii_digit(), if c.is_ascii_digit() { 255 - *c as u32 } else { *c as u32 })
            });
            once.dedup();
            once
        }
    };
    if let Some(letter) = wanted.iter().find(|letter| !sizes.contains_key(letter)) {
        return broken(format!("`{equation}`: nothing has `{letter}`"));
    }
    let mut rest = operands.into_iter();
    let Some(mut result) = rest.next() else { return broken("no operands".into()) };
    let mut later: Vec<Term> = rest.collect();
    let mut number = 0;
    loop {
        let needed =
            |letter: &char| wanted.contains(letter) || later.iter().any(|t| t.letters.contains(letter));
        let kept: Vec<char> = result.letters.iter().copied().filter(needed).collect();
        result = summed(l, result, &kept, number)?;
        if later.is_empty() {
            break;
        }
        let next = later.remove(0);
        let needed = |letter: &char| {
            wanted.contains(letter)
                || result.letters.contains(letter)
                || later.iter().any(|term| term.letters.contains(letter))
        };
        let kept: Vec<char> = next.letters.iter().copied().filter(needed).collect();
        number += 1;
        let next = summed(l, next, &kept, number)?;
        let behind =
            |letter: &char| wanted.contains(letter) || later.iter().any(|term| term.letters.contains(letter));
        result = product(l, &result, &next, &behind, &sizes, number)?;
        number += 1;
    }
    one(turned(l, &l.name.clone(), &result, &wanted)?)
}

/// The term with its other letters summed.
fn summed(l: &mut Layer<'_>, term: Term, kept: &[char], number: usize) -> Result<Term, Refusal> {
    let axes: Vec<usize> =
        (0..term.letters.len()).filter(|&axis| !kept.contains(&term.letters[axis])).collect();
    if axes.is_empty() {
        return Ok(term);
    }
    let name = l.part(&format!("sum_{number}"));
    let value = l.net.b.reduce(&name, ReduceKind::Sum, term.value, &axes, false)?;
    Ok(Term { value, letters: kept.to_vec() })
}

/// The term with its letters in this order.
fn turned(l: &mut Layer<'_>, name: &str, term: &Term, order: &[char]) -> Result<ValueId, Refusal> {
    let permutation: Option<Vec<usize>> =
        order.iter().map(|letter| term.letters.iter().position(|own| own == letter)).collect();
    match permutation.filter(|permutation| permutation.len() == term.letters.len()) {
        Some(permutation) => Ok(l.net.b.transpose(name, term.value, &permutation)?),
        None => broken("letters that do not agree".into()),
    }
}

/// Sums of products of two terms.
fn product(
    l: &mut Layer<'_>,
    a: &Term,
    b: &Term,
    needed: &dyn Fn(&char) -> bool,
    sizes: &HashMap<char, usize>,
    number: usize,
) -> Result<Term, Refusal> {
    let own = |term: &Term, other: &Term| -> Vec<char> {
        term.letters.iter().copied().filter(|letter| !other.letters.contains(letter)).collect()
    };
    let (rows, columns) = (own(a, b), own(b, a));
    let shared = || a.letters.iter().copied().filter(|letter| b.letters.contains(letter));
    let batch: Vec<char> = shared().filter(|letter| needed(letter)).collect();
    let depth: Vec<char> = shared().filter(|letter| !needed(letter)).collect();
    let count = |letters: &[char]| letters.iter().filter_map(|letter| sizes.get(letter)).product::<usize>();
    let mut sides = Vec::new();
    for (side, term, [first, second]) in [("left", a, [&rows, &depth]), ("right", b, [&depth, &columns])] {
        let name = l.part(&format!("{side}_{number}"));
        let x = turned(l, &name, term, &[&batch[..], &first[..], &second[..]].concat())?;
        let name = l.part(&format!("{side}_matrix_{number}"));
        sides.push(l.net.b.reshape(&name, x, &[count(&batch), count(first), count(second)])?);
    }
    let op = Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: false });
    let name = l.part(&format!("product_{number}"));
    let y = l.net.b.op(&name, op, &sides)?;
    let letters = [batch, rows, columns].concat();
    let shape: Vec<usize> = letters.iter().filter_map(|letter| sizes.get(letter).copied()).collect();
    let name = l.part(&format!("result_{number}"));
    Ok(Term { value: l.net.b.reshape(&name, y, &shape)?, letters })
}
