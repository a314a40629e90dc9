//! Operators whose elements go to places that the model knows: ScatterND, ScatterElements, GatherElements,
//! ReverseSequence, Compress, Trilu. On the device each is a look-up of runs by constant numbers.

use super::layer::{Layer, Translation, axis, one};
use crate::import::damaged::damaged;
use crate::import::places::{reversed, rows, steps};
use crate::import::refusal::{Refusal, unsupported};

/// An index of a dimension, where negative ones count from the end.
fn index(x: i64, size: usize) -> Result<usize, Refusal> {
    let from_front = if x < 0 { x.saturating_add(size as i64) } else { x };
    match usize::try_from(from_front).ok().filter(|&found| found < size) {
        Some(found) => Ok(found),
        None => Err(Refusal::Broken(damaged(format!("index {x} of {size} elements")))),
    }
}

/// Adds the look-up of runs of the operands at these positions.
fn pick(
    l: &mut Layer<'_>,
    operands: &[usize],
    run: usize,
    picks: Vec<usize>,
    shape: &[usize],
) -> Translation {
    let sources = operands.iter().map(|&position| l.value(position)).collect::<Result<Vec<_>, _>>()?;
    let numbers = picks.into_iter().map(i32::try_from).collect::<Result<Vec<_>, _>>();
    match numbers {
        Ok(picks) => one(l.net.b.pick(&l.name, &sources, run, picks, shape)?),
        Err(_) => unsupported("it is too large"),
    }
}

/// Refuses scattered elements that are not written but added, multiplied or compared.
fn expect_written(l: &Layer<'_>) -> Result<(), Refusal> {
    match l.text("reduction", "none").as_str() {
        "none" => Ok(()),
        other => unsupported(format!("reduction `{other}`")),
    }
}

/// ScatterND: data, indices of several coordinates, updates.
pub(super) fn scatter_nd(l: &mut Layer<'_>) -> Translation {
    expect_written(l)?;
    let (shape, places, updates) = (l.shape(0)?, l.shape(1)?, l.shape(2)?);
    let indices = l.ints(1, "indices")?;
    let Some((&coordinates, lead)) = places.split_last().filter(|&(&n, _)| n > 0 && n <= shape.len()) else {
        return Err(Refusal::Broken(damaged(format!("indices of shape {places:?} into {shape:?}"))));
    };
    if updates != [lead, &shape[coordinates..]].concat() {
        return Err(Refusal::Broken(damaged(format!("updates of shape {updates:?}"))));
    }
    let outer = &shape[..coordinates];
    let count: usize = outer.iter().product();
    let mut picks: Vec<usize> = (0..count).collect();
    let found = rows(&indices, outer, true).map_err(|fault| Refusal::Broken(damaged(fault)))?;
    for (number, row) in found.into_iter().enumerate() {
        // Of several updates of one place the last one stays.
        picks[row] = count + number;
    }
    pick(l, &[0, 2], shape[coordinates..].iter().product(), picks, &shape)
}

/// Calls back for each element of a tensor of indices: with its number, and that of the element of `shape` that has the
/// index in place of its coordinate along `axis`.
fn along(l: &Layer<'_>, shape: &[usize], mut found: impl FnMut(usize, usize)) -> Result<Vec<usize>, Refusal> {
    let places = l.shape(1)?;
    let place = axis(l.int("axis", 0), shape.len())?;
    if places.len() != shape.len() {
        return Err(Refusal::Broken(damaged(format!("indices of shape {places:?} into {shape:?}"))));
    }
    let (own, steps) = (steps(&places), steps(shape));
    for (number, x) in l.ints(1, "indices")?.into_iter().enumerate() {
        let mut at = 0;
        for d in 0..shape.len() {
            let coordinate = if d == place { index(x, shape[d])? } else { number / own[d] % places[d] };
            if coordinate >= shape[d] {
                return Err(Refusal::Broken(damaged(format!("indices of shape {places:?} into {shape:?}"))));
            }
            at += coordinate * steps[d];
        }
        found(number, at);
    }
    Ok(places)
}

/// ScatterElements: data, indices along an axis, updates of the indices' shape.
pub(super) fn scatter_elements(l: &mut Layer<'_>) -> Translation {
    expect_written(l)?;
    let shape = l.shape(0)?;
    let count: usize = shape.iter().product();
    let mut picks: Vec<usize> = (0..count).collect();
    let places = along(l, &shape, |number, at| picks[at] = count + number)?;
    if l.shape(2)? != places {
        return Err(Refusal::Broken(damaged("its updates have another shape than its indices")));
    }
    pick(l, &[0, 2], 1, picks, &shape)
}

/// GatherElements: data, indices along an axis.
pub(super) fn gather_elements(l: &mut Layer<'_>) -> Translation {
    let shape = l.shape(0)?;
    let mut picks = Vec::new();
    let places = along(l, &shape, |_, at| picks.push(at))?;
    pick(l, &[0], 1, picks, &places)
}

/// ReverseSequence: data, how many steps of each sequence are turned around.
pub(super) fn reverse_sequence(l: &mut Layer<'_>) -> Translation {
    let shape = l.shape(0)?;
    let time = axis(l.int("time_axis", 0), shape.len())?;
    let batch = axis(l.int("batch_axis", 1), shape.len())?;
    let lengths = l.ints(1, "lengths")?;
    if time == batch || lengths.len() != shape[batch] {
        return Err(Refusal::Broken(damaged(format!("{} lengths for shape {shape:?}", lengths.len()))));
    }
    let inner = time.max(batch) + 1;
    let picks = reversed(&shape[..inner], time, batch, &lengths);
    pick(l, &[0], shape[inner..].iter().product(), picks, &shape)
}

/// Compress: the elements along an axis, or of the flattened tensor, of which a condition holds.
pub(super) fn compress(l: &mut Layer<'_>) -> Translation {
    let shape = l.shape(0)?;
    let condition = l.ints(1, "condition")?;
    let shape = match l.has("axis") {
        true => shape,
        false => vec![shape.iter().product()],
    };
    let place = axis(l.int("axis", 0), shape.len())?;
    let kept: Vec<usize> =
        (0..shape[place]).filter(|&at| condition.get(at).is_some_and(|&x| x != 0)).collect();
    if kept.is_empty() {
        return unsupported("an empty result");
    }
    let (outer, size) = (shape[..place].iter().product::<usize>(), shape[place]);
    let picks = (0..outer).flat_map(|row| kept.iter().map(move |&at| row * size + at)).collect();
    let mut result = shape.clone();
    result[place] = kept.len();
    let run = shape[place + 1..].iter().product();
    pick(l, &[0], run, picks, &result)
}

/// Trilu: one triangle of each matrix stays, the other becomes zero.
pub(super) fn trilu(l: &mut Layer<'_>) -> Translation {
    let x = l.value(0)?;
    let diagonal = l.optional_ints(1, "diagonal")?.and_then(|k| k.first().copied()).unwrap_or(0);
    let upper = l.int("upper", 1) != 0;
    one(l.net.b.triangle(&l.name, x, diagonal, upper)?)
}
