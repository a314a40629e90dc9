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
    let (first, behind) = target.split_at(target.len().min(4));
    for cell in first {
        // The compiler makes a call of `memset` of what it sees to be one value.
        cell.set(core::hint::black_box(value));
    }
    // Word by word and forwards, so that each word is the copy of the one before it.
    copy_short(target, behind);
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
