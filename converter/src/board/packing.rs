//! What to say of a file whose weights are packed for other kernels than a board's: its answers are right, its
//! time is not what the board can do.

use ferrolite_runtime::Target;

use super::{Board, HOST, find};

/// A warning where a file is packed for another core's kernels than those of the board of this name: it takes
/// several times as long there. None on the host, which packs anew what it runs.
pub fn foreign_packing(board: &str, packed_for: Target) -> Option<String> {
    let board = other_kernels(board, packed_for).filter(|_| packed_for != Target::Portable)?;
    Some(format!(
        "the file is packed for {}, and {} has the kernels of another core: it takes several times as long as it \
         need; convert the model with --target {}",
        packed_for.name(),
        board.name,
        board.core_target().name()
    ))
}

/// A note where a file is packed for no core and the board has kernels for its own.
pub fn portable_packing(board: &str, packed_for: Target) -> Option<String> {
    let board = other_kernels(board, packed_for).filter(|_| packed_for == Target::Portable)?;
    Some(format!(
        "the file is packed for no core in particular; --target {} makes it faster here",
        board.core_target().name()
    ))
}

fn other_kernels(board: &str, packed_for: Target) -> Option<&'static Board> {
    // An unknown name is told by whoever runs the board.
    let board = find(board).ok().filter(|_| board != HOST)?;
    (board.core_target().kernels() != packed_for.kernels()).then_some(board)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_cores_are_warned_of() {
        for (board, packed_for, warning, note) in [
            ("qemu-cortex-m4", Target::CortexM0, true, false),
            ("qemu-cortex-m4", Target::Host, true, false),
            ("qemu-cortex-m55", Target::CortexM33, true, false),
            ("qemu-cortex-m4", Target::CortexM33, false, false),
            ("qemu-cortex-m7", Target::CortexM4, false, false),
            ("qemu-riscv32", Target::RiscV32, false, false),
            ("qemu-riscv32", Target::Portable, false, true),
            (HOST, Target::CortexM4, false, false),
            (HOST, Target::Portable, false, false),
        ] {
            let case = format!("{board} {}", packed_for.name());
            assert_eq!(foreign_packing(board, packed_for).is_some(), warning, "{case}");
            assert_eq!(portable_packing(board, packed_for).is_some(), note, "{case}");
        }
        let told = foreign_packing("qemu-cortex-m4", Target::CortexM0).unwrap();
        assert!(told.contains("packed for cortex-m0") && told.ends_with("--target cortex-m4"), "{told}");
    }

    /// What the converter packs for a target, and what its kernels are, are two lists.
    #[test]
    fn targets_of_one_set_share_its_packings() {
        for a in Target::ALL {
            for b in Target::ALL {
                let packings = ferrolite_runtime::kernels::policy;
                assert_eq!(a.kernels() == b.kernels(), packings(*a) == packings(*b), "{a:?} {b:?}");
            }
        }
    }
}
