//! How deep the stack went: cortex-m-rt has painted it at the start (its feature `paint-stack`), and whatever is not
//! painted any more has been used.

/// What cortex-m-rt paints with.
const PATTERN: u32 = 0xCCCC_CCCC;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Bytes of stack that were used since the start.
pub fn used() -> usize {
    let (top, mut at) = (&raw const _stack_start, &raw const _stack_end);
    // SAFETY: `at` lies between the end and the start of the stack, which are words of RAM and stay where they are.
    while at < top && unsafe { at.read_volatile() } == PATTERN {
        at = at.wrapping_add(1);
    }
    top as usize - at as usize
}
