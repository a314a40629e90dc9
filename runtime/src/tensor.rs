//! Element types, and views of tensors in the arena or the file.
//!
//! | | elements may be written meanwhile | writable |
//! |---|---|---|
//! | `&[T]` | no: constants of the file | no |
//! | [`TensorView`] | yes, by this op's own output | no |
//! | `&[Cell<T>]` | yes | yes |
//!
//! The converter lets an output lie over an input wherever the op's order of reads and writes allows
//! it. Rust's `&mut` forbids that; a slice of [`Cell`]s does not, at no cost on a single core. The
//! few casts that this needs are all here.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::marker::PhantomData;

use ferrolite_schema::DType;

mod sealed {
    pub trait Sealed {}
}

/// A type that elements of tensors have. Any bit pattern is a value of it.
pub trait Element: sealed::Sealed + bytemuck::Pod {
    /// The number of this type in a file.
    const DTYPE: DType;

    /// Whether tensors of the type with this number hold such elements. Truth values are bytes, 0 or 1: any byte
    /// may be written by whoever fills an input, so they are none of Rust's `bool`.
    #[inline(always)]
    fn is_of(dtype: u8) -> bool {
        dtype == Self::DTYPE as u8 || (Self::DTYPE as u8 == DType::UInt8 as u8 && dtype == DType::Bool as u8)
    }
}

macro_rules! elements {
    ($($type:ty: $dtype:ident),*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;
        }
    )*};
}
elements!(i8: Int8, u8: UInt8, i16: Int16, i32: Int32, f32: Float32, i64: Int64);

/// Elements that can be read while others are written through cells, even over the same memory.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a, T> {
    first: *const T,
    len: usize,
    memory: PhantomData<&'a [Cell<T>]>,
}

impl<'a, T: Element> TensorView<'a, T> {
    /// A view of constants.
    pub fn from_slice(elements: &'a [T]) -> TensorView<'a, T> {
        TensorView { first: elements.as_ptr(), len: elements.len(), memory: PhantomData }
    }

    /// A view of memory that may change.
    pub fn from_cells(elements: &'a [Cell<T>]) -> TensorView<'a, T> {
        TensorView { first: elements.as_ptr().cast(), len: elements.len(), memory: PhantomData }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where the first element is; [`len`](TensorView::len) elements may be read from there.
    pub fn as_ptr(&self) -> *const T {
        self.first
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element at `index`, or zero behind the end: checked parameters never ask for one.
    #[inline(always)]
    pub fn at(&self, index: usize) -> T {
        if index < self.len {
            // SAFETY: `first` points to `len` elements that live for 'a (both constructors take them
            // from a slice), and `index < len`. They may change between reads, as cells do, but
            // nothing holds a unique reference to them while a view lives.
            unsafe { self.first.add(index).read() }
        } else {
            T::zeroed()
        }
    }

    /// The `N` elements from `start` on; `None` where the view ends before.
    #[inline(always)]
    pub fn array<const N: usize>(&self, start: usize) -> Option<[T; N]> {
        if start > self.len || self.len - start < N {
            return None;
        }
        // SAFETY: `N` elements from `start` on are there, as just found; otherwise as in `at`.
        Some(unsafe { self.first.add(start).cast::<[T; N]>().read() })
    }

    /// The elements from `start` on, `len` of them; fewer where the view ends before.
    #[inline(always)]
    pub fn range(&self, start: usize, len: usize) -> TensorView<'a, T> {
        let start = start.min(self.len);
        let len = len.min(self.len - start);
        // SAFETY: `start <= self.len`, so the pointer stays within the elements or one behind them.
        TensorView { first: unsafe { self.first.add(start) }, len, memory: PhantomData }
    }

    /// Reads all elements in order.
    #[inline(always)]
    pub fn iter(self) -> impl Iterator<Item = T> + 'a {
        (0..self.len).map(move |index| self.at(index))
    }

    /// `N` elements each, in order; a last incomplete group is not seen.
    #[inline(always)]
    pub fn arrays<const N: usize>(self) -> impl Iterator<Item = [T; N]> + 'a {
        let mut place = self.first.cast::<[T; N]>();
        (0..self.len / N.max(1)).map(move |_| {
            // SAFETY: so many groups are there. Otherwise as in `at`.
            let group = unsafe { place.read() };
            place = place.wrapping_add(1);
            group
        })
    }

    /// `count` elements, `step` apart; none where the view ends before the last.
    #[inline(always)]
    pub fn every(self, first: usize, step: usize, count: usize) -> impl Iterator<Item = T> + 'a {
        let last = count.wrapping_sub(1).checked_mul(step).and_then(|reach| reach.checked_add(first));
        let there = last.is_some_and(|last| last < self.len);
        let mut place = self.first.wrapping_add(first);
        (0..if there { count } else { 0 }).map(move |_| {
            // SAFETY: the last of them is there, as just found, and so are those before. Otherwise as in `at`.
            let element = unsafe { place.read() };
            place = place.wrapping_add(step);
            element
        })
    }

    /// `count` groups of `N` elements, `step` groups apart from the `first` on; none where the view ends before the last.
    #[inline(always)]
    pub fn groups<const N: usize>(
        self,
        first: usize,
        step: usize,
        count: usize,
    ) -> impl Iterator<Item = [T; N]> + 'a {
        let last = count.wrapping_sub(1).checked_mul(step).and_then(|reach| reach.checked_add(first));
        let there = last.is_some_and(|last| last < self.len / N.max(1));
        let mut place = self.first.cast::<[T; N]>().wrapping_add(first);
        (0..if there { count } else { 0 }).map(move |_| {
            // SAFETY: the last of them is there, as just found, and so are those before; elements of a byte have any
            // alignment, others that of the view. Otherwise as in `at`.
            let group = unsafe { place.read() };
            place = place.wrapping_add(step);
            group
        })
    }

    /// The same memory as bytes.
    pub fn bytes(self) -> TensorView<'a, u8> {
        TensorView { first: self.first.cast(), len: self.len * size_of::<T>(), memory: PhantomData }
    }

    /// Copies the elements to `target`, up to the shorter of both lengths; they may overlap.
    #[inline(always)]
    pub fn copy_to(self, target: &[Cell<T>]) {
        let len = self.len.min(target.len());
        let to = target.as_ptr().cast::<T>().cast_mut();
        if (to as usize).abs_diff(self.first as usize) >= len.wrapping_mul(size_of::<T>()) {
            // SAFETY: both sides have at least `len` elements and, as just found, do not overlap; cells
            // may be written through a shared reference, and no unique reference to them exists.
            unsafe { core::ptr::copy_nonoverlapping(self.first, to, len) }
        } else {
            copy_overlapping(self, target);
        }
    }
}

impl TensorView<'_, i8> {
    /// Four elements from `at` on as the bytes of a little-endian word, or zero behind the end.
    #[inline(always)]
    pub fn word(&self, at: usize) -> i32 {
        if at.checked_add(4).is_some_and(|end| end <= self.len) {
            // SAFETY: as in `at`, for four elements; any alignment will do.
            i32::from_le(unsafe { self.first.add(at).cast::<i32>().read_unaligned() })
        } else {
            0
        }
    }
}

/// `out[i] = f(a[i], b[i])` for as many elements as all three have. Each is read before it is written, so `out` may lie over an
/// operand.
#[inline(always)]
pub fn zip_with<T: Element, O: Element>(
    a: TensorView<'_, T>,
    b: TensorView<'_, T>,
    out: &[Cell<O>],
    mut f: impl FnMut(T, T) -> O,
) {
    let (mut p, mut q) = (a.first, b.first);
    let len = a.len.min(b.len).min(out.len());
    for cell in out.get(..len).unwrap_or(out) {
        // SAFETY: no more elements are read than there are; otherwise as in `at`.
        cell.set(f(unsafe { p.read() }, unsafe { q.read() }));
        (p, q) = (p.wrapping_add(1), q.wrapping_add(1));
    }
}

/// `out[i] = f(a[i], b[i])` for as many elements as all three have, four of them at a time as the bytes of little-endian
/// words. They are read before they are written, so `out` may lie over an operand. The last word may be incomplete; its
/// other bytes are any.
#[inline(always)]
pub fn zip_words(
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    out: &[Cell<i8>],
    f: impl Fn(i32, i32) -> [i8; 4],
) {
    let mut left = a.len.min(b.len).min(out.len());
    let (mut p, mut q, mut r) = (a.first, b.first, out.as_ptr().cast::<i8>().cast_mut());
    while left != 0 {
        let whole = left >= 4;
        // SAFETY: `left` elements are there from all three pointers on, and four of them are read and written at once
        // only if they are; any alignment will do. Cells may be written through a shared reference; no unique
        // reference to them exists.
        unsafe {
            let (x, y) = if whole {
                (p.cast::<i32>().read_unaligned(), q.cast::<i32>().read_unaligned())
            } else {
                (incomplete(p, left), incomplete(q, left))
            };
            let z = f(i32::from_le(x), i32::from_le(y));
            if !whole {
                for (at, z) in z.into_iter().enumerate().take(left) {
                    r.add(at).write(z);
                }
                return;
            }
            r.cast::<[i8; 4]>().write(z);
        }
        (p, q, r) = (p.wrapping_add(4), q.wrapping_add(4), r.wrapping_add(4));
        left = left.wrapping_sub(4);
    }
}

/// The first elements of a word.
///
/// # Safety
/// `len` elements, at most four, are there.
#[cold]
#[inline(never)]
unsafe fn incomplete(p: *const i8, len: usize) -> i32 {
    let mut bytes = [0u8; 4];
    for (at, byte) in bytes.iter_mut().enumerate().take(len) {
        // SAFETY: as the caller ensures.
        *byte = unsafe { p.add(at).read() } as u8;
    }
    i32::from_ne_bytes(bytes)
}

impl<'a> TensorView<'a, i8> {
    /// The elements before `mid` and those from it on.
    #[inline(always)]
    pub fn split_at(self, mid: usize) -> (TensorView<'a, i8>, TensorView<'a, i8>) {
        (self.range(0, mid), self.range(mid, self.len))
    }

    /// Four elements each as the bytes of little-endian words; a last incomplete word is not seen.
    #[inline(always)]
    pub fn whole_words(self) -> impl Iterator<Item = u32> + 'a {
        self.arrays().map(|bytes: [i8; 4]| u32::from_le_bytes(bytes.map(|byte| byte as u8)))
    }

    /// Calls `f` with words of four elements each: `rows` times `count` of them, `stride` and `step` elements apart; with
    /// none where the view ends before the last.
    #[inline(always)]
    pub fn grid(
        self,
        first: usize,
        (rows, stride): (usize, usize),
        (count, step): (usize, usize),
        mut f: impl FnMut(u32),
    ) {
        let reach = |count: usize, step: usize| count.wrapping_sub(1).checked_mul(step);
        let last = reach(rows, stride).zip(reach(count, step));
        let end = last.and_then(|(down, along)| down.checked_add(along)?.checked_add(first)?.checked_add(4));
        if rows == 0 || count == 0 || end.is_none_or(|end| end > self.len) {
            return;
        }
        let mut row = self.first.wrapping_add(first);
        for _ in 0..rows {
            let mut place = row;
            for _ in 0..count {
                // SAFETY: the last word of the last row ends within the elements, as just found, and so do those before;
                // any alignment will do. Otherwise as in `at`.
                f(u32::from_le(unsafe { place.cast::<u32>().read_unaligned() }));
                place = place.wrapping_add(step);
            }
            row = row.wrapping_add(stride);
        }
    }

    /// `count` words of four elements each, `step` elements apart; none where the view ends before the last.
    #[inline(always)]
    pub fn words(self, first: usize, step: usize, count: usize) -> impl Iterator<Item = u32> + 'a {
        let reach = count
            .wrapping_sub(1)
            .checked_mul(step)
            .and_then(|reach| reach.checked_add(first)?.checked_add(4));
        let there = reach.is_some_and(|end| end <= self.len);
        let mut place = self.first.wrapping_add(first);
        (0..if there { count } else { 0 }).map(move |_| {
            // SAFETY: the last word ends within the elements, as just found, and so do those before; any alignment will
            // do. Otherwise as in `at`.
            let word = unsafe { place.cast::<u32>().read_unaligned() };
            place = place.wrapping_add(step);
            u32::from_le(word)
        })
    }
}

/// Element by element, from the side on which nothing unread is overwritten. `memmove` would do, but it
/// is a large function that nothing else in a firmware needs.
#[inline(never)]
fn copy_overlapping<T: Element>(source: TensorView<'_, T>, target: &[Cell<T>]) {
    let len = source.len.min(target.len());
    let forward = (target.as_ptr() as usize) <= source.first as usize;
    for step in 0..len {
        let index = if forward { step } else { len - 1 - step };
        if let Some(cell) = target.get(index) {
            cell.set(source.at(index));
        }
    }
}

/// Runs of `len` elements, at least 1, that lie side by side; what is left over is not seen.
///
/// As `chunks_exact`, but two of them zipped do not divide to count the runs: out of line, where the
/// compiler does not see that `len` is not 0, that division is a panic path.
pub fn runs<T>(elements: &[Cell<T>], len: usize) -> impl Iterator<Item = &[Cell<T>]> {
    let mut rest = elements;
    core::iter::from_fn(move || {
        let (run, behind) = rest.split_at_checked(len.max(1))?;
        rest = behind;
        Some(run)
    })
}

/// Writes `value` to all of `target`.
#[inline(always)]
pub fn fill<T: Element>(target: &[Cell<T>], value: T) {
    for cell in target {
        cell.set(value);
    }
}

/// Copies between cells up to the shorter of both lengths; they may overlap.
#[inline(always)]
pub fn copy<T: Element>(source: &[Cell<T>], target: &[Cell<T>]) {
    TensorView::from_cells(source).copy_to(target);
}

/// Copies between cells that do not overlap, up to the shorter of both lengths: for short runs in firmware that has
/// no other need of `memcpy`, which is a large function.
#[inline(never)]
pub fn copy_short(source: &[Cell<i8>], target: &[Cell<i8>]) {
    let mut left = target;
    for word in source.as_chunks::<4>().0 {
        let Some((place, behind)) = left.split_first_chunk::<4>() else { break };
        let word = u32::from_le_bytes(word.each_ref().map(|x| x.get() as u8)).to_le_bytes();
        place.iter().zip(word).for_each(|(place, x)| place.set(x as i8));
        left = behind;
    }
    let rest = source.get(target.len() - left.len()..).unwrap_or(&[]);
    for (x, place) in rest.iter().zip(left) {
        place.set(x.get());
    }
}

/// Writes `value` to all of `target`: for firmware that has no other need of `memset`, which is a large function.
#[inline(never)]
pub fn fill_short(target: &[Cell<i8>], value: i8) {
    let (words, rest) = target.as_chunks::<4>();
    // The compiler makes a call of `memset` of what it sees to be one value.
    for word in words {
        let bytes = core::hint::black_box(u32::from_le_bytes([value as u8; 4])).to_le_bytes();
        word.iter().zip(bytes).for_each(|(place, byte)| place.set(byte as i8));
    }
    for cell in rest {
        cell.set(core::hint::black_box(value));
    }
}

/// Runs of bytes at regular places of two tensors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runs {
    /// How many, at least one.
    pub count: usize,
    /// Bytes of a run.
    pub bytes: usize,
    /// First byte of the first run, in the source and in the target.
    pub first: (usize, usize),
    /// Bytes from a run to the next, in the source and in the target.
    pub step: (isize, isize),
}

/// A number with twice the bits of an address.
#[cfg(target_pointer_width = "32")]
type Wide = u64;
/// A number with twice the bits of an address.
#[cfg(not(target_pointer_width = "32"))]
type Wide = u128;

/// Bytes of a run from which on a call of `memcpy` is worth its time, if both sides are aligned alike: else it takes a
/// word of the target from two of the source.
const LONG: usize = 32;

/// Copies runs from memory that does not overlap the target, but for a single run, which may; none where one of them lies
/// outside of either.
///
/// Short runs are words, the last of which overlaps the one before it, or elements of up to three bytes, four runs at a
/// time: reads in a row, then writes in a row.
#[inline(never)]
pub fn copy_runs(source: TensorView<'_, u8>, target: &[Cell<u8>], runs: &Runs) {
    let Runs { count, bytes, first: (from, to), step: (step_from, step_to) } = *runs;
    // In twice as many bits, nothing overflows.
    let fits = |len: usize, first: usize, step: isize| {
        let reach = count.wrapping_sub(1) as Wide * step.unsigned_abs() as Wide;
        let (forwards, backwards) = if step < 0 { (0, reach) } else { (reach, 0) };
        first as Wide >= backwards && first as Wide + bytes as Wide + forwards <= len as Wide
    };
    if count == 0 || !fits(source.len, from, step_from) || !fits(target.len(), to, step_to) {
        return;
    }
    let apart = (source.first as usize).wrapping_add(from) ^ (target.as_ptr() as usize).wrapping_add(to);
    let alike = bytes >= LONG && (apart | step_from as usize | step_to as usize) & 3 == 0;
    if alike || count == 1 {
        let (mut from, mut to) = runs.first;
        for _ in 0..count {
            source.range(from, bytes).copy_to(target.get(to..).unwrap_or(&[]));
            (from, to) = (from.wrapping_add_signed(step_from), to.wrapping_add_signed(step_to));
        }
        return;
    }
    // SAFETY: the first and the last run lie within both sides, as just found, and so do those between; addresses
    // behind the last run are computed but not used. Cells may be written through a shared reference; no unique
    // reference to them exists.
    unsafe {
        let (mut p, mut q) = (source.first.add(from), target.as_ptr().cast::<u8>().cast_mut().add(to));
        match bytes {
            0 => {}
            1 if step_to == 1 => copy_elements::<1, 0, 1>(p, q, count, runs.step),
            1 if step_from == 1 => copy_elements::<1, 1, 0>(p, q, count, runs.step),
            1 => copy_elements::<1, 0, 0>(p, q, count, runs.step),
            2 => copy_elements::<2, 0, 0>(p, q, count, runs.step),
            3 => copy_elements::<3, 0, 0>(p, q, count, runs.step),
            _ => {
                for _ in 0..count {
                    copy_words(p, q, bytes);
                    (p, q) = (p.wrapping_offset(step_from), q.wrapping_offset(step_to));
                }
            }
        }
    }
}

/// Copies runs of `N` bytes. `FROM` and `TO` are the steps where they are known, else zero. A function of its own: where
/// it was compiled into its caller, registers did not suffice.
///
/// # Safety
/// Each run may be read from `p` on and written from `q` on.
#[inline(never)]
unsafe fn copy_elements<const N: usize, const FROM: isize, const TO: isize>(
    mut p: *const u8,
    mut q: *mut u8,
    count: usize,
    (from, to): (isize, isize),
) {
    let (from, to) = (if FROM == 0 { from } else { FROM }, if TO == 0 { to } else { TO });
    let mut read = || {
        // SAFETY: as the caller ensures; any alignment will do.
        let run = unsafe { p.cast::<[u8; N]>().read() };
        p = p.wrapping_offset(from);
        run
    };
    let mut write = |run: [u8; N]| {
        // SAFETY: as above.
        unsafe { q.cast::<[u8; N]>().write(run) };
        q = q.wrapping_offset(to);
    };
    for _ in 0..count / 4 {
        let runs = [read(), read(), read(), read()];
        runs.into_iter().for_each(&mut write);
    }
    for _ in 0..count % 4 {
        write(read());
    }
}

/// Copies `bytes` bytes, at least four, word by word; the last word may overlap the one before it.
///
/// # Safety
/// They may be read from `p` on and written from `q` on, and do not overlap.
#[inline(always)]
unsafe fn copy_words(p: *const u8, q: *mut u8, bytes: usize) {
    let last = bytes.wrapping_sub(4);
    let word = |at: usize| {
        // SAFETY: four bytes from `at` on are there, as the caller ensures; any alignment will do.
        unsafe { q.add(at).cast::<[u8; 4]>().write(p.add(at).cast::<[u8; 4]>().read()) };
    };
    let mut at = 0usize;
    while at < last {
        word(at);
        at = at.wrapping_add(4);
    }
    word(last);
}

/// Copies a run of bytes from memory that does not overlap the target, up to the shorter of both lengths: for short
/// runs in firmware that has no other need of `memcpy`, which is a large function.
#[inline]
pub fn copy_run(source: TensorView<'_, u8>, target: &[Cell<u8>]) {
    let bytes = source.len.min(target.len());
    if bytes < 4 {
        for (place, byte) in target.iter().zip(source.iter()) {
            place.set(byte);
        }
        return;
    }
    // SAFETY: both sides have so many bytes, at least four. Cells may be written through a shared reference; no unique
    // reference to them exists.
    unsafe { copy_words(source.first, target.as_ptr().cast::<u8>().cast_mut(), bytes) }
}

/// Bytes of the arena as elements of another type, if they are aligned for it.
pub(crate) fn cells_of<T: Element>(bytes: &[Cell<u8>]) -> Option<&[Cell<T>]> {
    let first = bytes.as_ptr().cast::<Cell<T>>();
    if !first.is_aligned() {
        return None;
    }
    // SAFETY: aligned, as checked; the elements lie within `bytes`, whose lifetime they keep; every
    // bit pattern is a `T` (`Pod`), and `Cell<T>` has the layout of `T`.
    Some(unsafe { core::slice::from_raw_parts(first, bytes.len() / size_of::<T>()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_clamped() {
        let view = TensorView::from_slice(&[1i8, 2, 3]);
        assert_eq!((view.at(2), view.at(3)), (3, 0));
        assert_eq!(view.range(1, 9).len(), 2);
        assert_eq!(view.range(7, 1).len(), 0);
        assert_eq!(view.range(1, 2).iter().sum::<i8>(), 5);
        assert_eq!((view.array(1), view.array::<3>(1), view.array::<0>(4)), (Some([2, 3]), None, None));
    }

    #[test]
    fn copies_may_overlap() {
        let mut memory = [1i8, 2, 3, 4, 5];
        let cells = Cell::from_mut(&mut memory[..]).as_slice_of_cells();
        copy(&cells[..4], &cells[1..]);
        assert_eq!(memory, [1, 1, 2, 3, 4]);
        let cells = Cell::from_mut(&mut memory[..]).as_slice_of_cells();
        copy(&cells[2..], cells);
        assert_eq!(memory, [2, 3, 4, 3, 4]);
    }

    /// Of any size, forwards and backwards, by definition; none where one lies outside.
    #[test]
    fn runs_are_copied_to_their_places() {
        let source: [u8; 200] = core::array::from_fn(|i| i as u8 ^ 0x55);
        for bytes in 0..40usize {
            for (count, from, to) in
                [(1, 0, 0), (5, 1, bytes as isize), (3, 39, 40), (4, -41, 43), (3, 50, -45), (7, 3, 0)]
            {
                let first = |step: isize| if step < 0 { 6 * step.unsigned_abs() } else { 1 };
                let runs = Runs { count, bytes, first: (first(from), first(to)), step: (from, to) };
                let (mut found, mut wanted) = ([0u8; 200], [0u8; 200]);
                copy_runs(
                    TensorView::from_slice(&source),
                    Cell::from_mut(&mut found[..]).as_slice_of_cells(),
                    &runs,
                );
                let place = |first: usize, step: isize, k: usize| first as isize + step * k as isize;
                let inside = [(runs.first.0, from), (runs.first.1, to)].iter().all(|&(first, step)| {
                    [0, count - 1]
                        .iter()
                        .all(|&k| place(first, step, k) >= 0 && place(first, step, k) as usize + bytes <= 200)
                });
                for k in 0..if inside { count } else { 0 } {
                    let (p, q) = (place(runs.first.0, from, k) as usize, place(runs.first.1, to, k) as usize);
                    wanted[q..q + bytes].copy_from_slice(&source[p..p + bytes]);
                }
                assert_eq!(found, wanted, "{runs:?}");
            }
            let mut found = [0u8; 40];
            copy_run(
                TensorView::from_slice(&source[..bytes]),
                Cell::from_mut(&mut found[..]).as_slice_of_cells(),
            );
            assert_eq!(found[..bytes], source[..bytes]);
            assert!(found[bytes..].iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn runs_leave_what_is_left_over() {
        let mut memory = [1i8, 2, 3, 4, 5];
        let cells = Cell::from_mut(&mut memory[..]).as_slice_of_cells();
        assert_eq!(runs(cells, 2).map(|run| run[1].get()).sum::<i8>(), 6);
        assert_eq!((runs(cells, 0).count(), runs(cells, 6).count()), (5, 0));
    }

    #[test]
    fn casts_check_alignment() {
        let mut memory = [0u32; 2];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut memory);
        let cells = Cell::from_mut(bytes).as_slice_of_cells();
        assert!(cells_of::<i32>(&cells[1..]).is_none());
        let words = cells_of::<i32>(cells).unwrap();
        words[1].set(-1);
        assert_eq!(memory, [0, u32::MAX]);
    }
}
