//! Lets leaves in assembly address the fields of their arguments by name. If a field moves, the assembly
//! follows. Where one instruction reads several fields, their order is checked at compile time.

/// [`naked_asm!`](core::arch::naked_asm) with the offsets of the listed fields under their names:
/// `leaf!([Blocks: bias, out; Multiplier: shift], "ldr r1, [r0, #{bias}]", …)`. The compiler refuses a listed
/// field that the text does not use.
macro_rules! leaf {
    ([$($of:ident: $($field:ident),+);+], $($assembly:tt)+) => {
        core::arch::naked_asm!(
            $($assembly)+
            $($($field = const core::mem::offset_of!($of, $field),)+)+
        )
    };
}
pub(super) use leaf;

/// Checks the layout that an instruction for several words relies on: the fields follow each other without a
/// gap, and are as many words as the instruction has registers. With `first`, they begin where the struct
/// begins.
#[cfg(not(kernels = "rv32im"))]
macro_rules! in_order {
    (first $words:literal words of $of:ident: $first:ident $($more:tt)*) => {
        const _: () = assert!(core::mem::offset_of!($of, $first) == 0);
        in_order!($words words of $of: $first $($more)*);
    };
    ($words:literal words of $of:ident: $first:ident $(, $next:ident)* $(,)?) => {
        const _: () = {
            const fn bytes<S, F>(_field: fn(&S) -> &F) -> usize {
                size_of::<F>()
            }
            let start = core::mem::offset_of!($of, $first);
            let end = start + bytes(|of: &$of| &of.$first);
            $(
                assert!(core::mem::offset_of!($of, $next) == end);
                let end = end + bytes(|of: &$of| &of.$next);
            )*
            assert!(end - start == 4 * $words);
        };
    };
}
#[cfg(not(kernels = "rv32im"))]
pub(super) use in_order;
