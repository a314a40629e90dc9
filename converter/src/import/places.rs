//! Which elements of a tensor go where, where a model knows it: the numbers of runs for a look-up by constants.

/// The elements of a step of each dimension.
pub(super) fn steps(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|d| shape[d + 1..].iter().product()).collect()
}

/// The numbers of the rows of `outer` that some places name, each by its coordinates. Negative ones count from the end,
/// where that is allowed.
pub(super) fn rows(places: &[i64], outer: &[usize], negative: bool) -> Result<Vec<usize>, String> {
    let steps = steps(outer);
    let row = |place: &[i64]| {
        let mut row = 0;
        for ((&at, &size), step) in place.iter().zip(outer).zip(&steps) {
            let from_front = if at < 0 && negative { at.saturating_add(size as i64) } else { at };
            let found = usize::try_from(from_front).ok().filter(|&found| found < size);
            row += found.ok_or_else(|| format!("the place {place:?} of shape {outer:?}"))? * step;
        }
        Ok(row)
    };
    places.chunks_exact(outer.len().max(1)).map(row).collect()
}

/// Where the runs of a tensor of `outer` come from, if the first elements of each sequence are turned around: as many as
/// the batch's length says.
pub(super) fn reversed(outer: &[usize], time: usize, batch: usize, lengths: &[i64]) -> Vec<usize> {
    let steps = steps(outer);
    let coordinate = |row: usize, d: usize| row / steps[d] % outer[d];
    let from = |row: usize| {
        let length = lengths.get(coordinate(row, batch)).and_then(|&length| usize::try_from(length).ok());
        let length = length.unwrap_or_default().min(outer[time]);
        match coordinate(row, time) {
            t if t < length => row - t * steps[time] + (length - 1 - t) * steps[time],
            _ => row,
        }
    };
    (0..outer.iter().product()).map(from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_rows() {
        assert_eq!(rows(&[1, 2, 0, -1], &[2, 3], true), Ok(vec![5, 2]));
        assert!(rows(&[1, -1], &[2, 3], false).is_err() && rows(&[2, 0], &[2, 3], true).is_err());
    }

    #[test]
    fn sequences_are_turned_around_as_far_as_they_go() {
        assert_eq!(reversed(&[2, 3], 1, 0, &[3, 2]), [2, 1, 0, 4, 3, 5]);
        assert_eq!(reversed(&[3, 2], 0, 1, &[0, 9]), [0, 5, 2, 3, 4, 1]);
    }
}
