//! Messages about a file whose weights are packed for other kernels than the board's. Its results are right,
//! but it runs slower than it could.

use ferrolite_runtime::Target;

use super::{Board, HOST, find};

/// A warning if a file is packed for another core's kernels than those of the board of this name, where it
/// takes several times as long. `name` is the file's name for that core, which this version may not know.
/// There is no warning for the host, which packs the weights again.
pub fn foreign_packing(board: &str, packed_for: Option<Target>, name: &str) -> Option<String> {
    let board = other_kernels(board, packed_for).filter(|_| packed_for != Some(Target::Portable))?;
    Some(format!(
        "the file is packed for {}, and {} has the kernels of another core: it takes several times as long as it \
         need; convert the model with --target {}",
        name,
        board.name,
        board.core_target().name()
    ))
}

/// A note if a file is packed for no core, although the board's core has kernels of its own.
pub fn portable_packing(board: &str, packed_for: Option<Target>) -> Option<String> {
    let board = other_kernels(board, packed_for).filter(|_| packed_for == Some(Target::Portable))?;
    Some(format!(
        "the file is packed for no core in particular; --target {} makes it faster here",
        board.core_target().name()
    ))
}

fn other_kernels(board: &str, packed_for: Option<Target>) -> Option<&'static Board> {
    // Running the board reports an unknown name.
    let board = find(board).ok().filter(|_| board != HOST)?;
    (Some(board.core_target().kernels()) != packed_for.map(Target::kernels)).then_some(board)
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
            let foreign = foreign_packing(board, Some(packed_for), packed_for.name());
            assert_eq!(foreign.is_some(), warning, "{case}");
            assert_eq!(portable_packing(board, Some(packed_for)).is_some(), note, "{case}");
        }
        for (packed_for, name) in [(Some(Target::CortexM0), "cortex-m0"), (None, "esp32-s3")] {
            let told = foreign_packing("qemu-cortex-m4", packed_for, name).unwrap();
            assert!(
                told.contains(&format!("packed for {name}")) && told.ends_with("--target cortex-m4"),
                "{told}"
            );
            assert_eq!(portable_packing("qemu-cortex-m4", packed_for), None);
        }
    }

    /// The targets that the converter packs for and the kernels of each board's core are two lists, which
    /// must agree.
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
