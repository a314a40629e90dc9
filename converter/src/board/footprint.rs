//! Measures what the runtime adds to a firmware, and checks what it must not bring along.
//!
//! The firmware `boards/footprint` is linked as a product would be, with exactly the given operators and no
//! model, and once empty. The difference between the two images is the runtime's flash. Linking the same
//! firmware proves that no panic and no allocator can be reached, and its symbols show that an int8 model
//! brings no float code.

use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, elf};

use super::firmware::Firmware;
use super::table::Board;
use crate::error::{Error, Result};
use crate::model_file::Linked;

/// How firmware is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Like the boards' firmware: for size, with link-time optimisation over all crates.
    Boards,
    /// With Cargo's default release profile, which a product has if it sets nothing.
    Untuned,
}

/// Flash that the runtime takes on a board when it links these operators: code, constants and initial data,
/// in addition to an empty firmware. The model is not counted.
pub fn runtime_flash_bytes(board: &Board, ops: &[Linked]) -> Result<u64> {
    beyond_empty(board, &footprint(board, "inference", ops, Profile::Boards))
}

/// Flash for reading and checking a model, with the checks of these operators, but without the code that runs
/// it.
pub fn verifier_flash_bytes(board: &Board, ops: &[Linked]) -> Result<u64> {
    beyond_empty(board, &footprint(board, "verifier", ops, Profile::Boards))
}

/// Flash of a firmware in addition to that of an empty one.
fn beyond_empty(board: &Board, firmware: &Firmware<'_>) -> Result<u64> {
    let whole = firmware.build_and(flash_bytes)?;
    Ok(whole.saturating_sub(footprint(board, "", &[], Profile::Boards).build_and(flash_bytes)?))
}

/// Links these operators with a panic handler that calls an undefined function, and without an allocator. An
/// error means that a panic or an allocation can be reached. Returns the float routines in the image.
pub fn link_check(board: &Board, ops: &[Linked], profile: Profile) -> Result<Vec<String>> {
    footprint(board, "inference,no-panic", ops, profile).build_and(|elf| {
        let bytes = read(elf)?;
        let file = parse(elf, &bytes)?;
        let names = file.symbols().filter_map(|symbol| symbol.name().ok().map(str::to_string));
        Ok(names.filter(|name| is_float_routine(name)).collect())
    })
}

fn footprint<'a>(board: &Board, features: &'a str, ops: &[Linked], profile: Profile) -> Firmware<'a> {
    let names: Vec<String> = ops.iter().map(Linked::to_string).collect();
    Firmware {
        package: "footprint",
        file: "footprint".into(),
        features,
        target: Some(board.target),
        rustflags: board.rustflags,
        profile: match profile {
            Profile::Boards => "release",
            Profile::Untuned => "untuned",
        },
        // This image is only linked as a test, so it is not kept for each board.
        folder: match profile {
            Profile::Boards => board.name,
            Profile::Untuned => "untuned",
        }
        .to_string(),
        variables: vec![("FERROLITE_OPS", names.join(","))],
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    crate::files::read_at_most(path, crate::files::ELF).map_err(|error| {
        Error::input(format!("{}: cannot be read: {error}", path.display())).caused_by(error)
    })
}

/// Reads an ELF file.
pub(super) fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<object::File<'a>> {
    object::File::parse(bytes)
        .map_err(|error| Error::input(format!("{}: {error}", path.display())).caused_by(error))
}

/// Bytes of all sections that a programmer would write to flash.
fn flash_bytes(path: &Path) -> Result<u64> {
    let bytes = read(path)?;
    let file = parse(path, &bytes)?;
    let in_flash = |flags: SectionFlags| match flags {
        SectionFlags::Elf { sh_flags } => sh_flags & u64::from(elf::SHF_ALLOC) != 0,
        _ => false,
    };
    let sections = file.sections().filter(|s| in_flash(s.flags()) && s.file_range().is_some());
    Ok(sections.map(|section| section.size()).sum())
}

/// Whether a symbol is one of the compiler's routines for floats: `__aeabi_fadd`, `__aeabi_i2d`,
/// `__addsf3`, `__floatsidf`, ….
fn is_float_routine(name: &str) -> bool {
    if let Some(name) = name.strip_prefix("__aeabi_") {
        let conversions = ["i2f", "ui2f", "i2d", "ui2d", "l2f", "ul2f", "l2d", "ul2d"];
        // `__aeabi_idiv` and the memory routines are not for floats.
        return name.starts_with('f')
            || (name.starts_with('d') && name != "divmod")
            || conversions.contains(&name);
    }
    name.strip_prefix("__").is_some_and(|name| {
        let typed = |name: &str| ["sf", "df"].iter().any(|float| name.contains(float));
        name.starts_with("float") || name.starts_with("fix") || (typed(name) && name.ends_with(['2', '3']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{self, find, list};
    use crate::model_file::Weights;
    use ferrolite_runtime::OpCode;

    #[test]
    fn float_routines_are_known_by_their_names() {
        for name in
            ["__aeabi_fadd", "__aeabi_dmul", "__aeabi_ui2f", "__addsf3", "__floatsidf", "__extendsfdf2"]
        {
            assert!(is_float_routine(name), "{name}");
        }
        for name in ["__aeabi_memcpy4", "__aeabi_idiv", "__aeabi_uldivmod", "__mulsi3", "__udivdi3", "main"] {
            assert!(!is_float_routine(name), "{name}");
        }
    }

    /// All operators link without a panic and without an allocator, with both profiles, and those of int8
    /// models link without float code. The builds take a while.
    #[test]
    fn no_panic_no_allocator_no_float() {
        // The Cortex-M7 has the same target and flags as the Cortex-M4.
        let boards = board::BOARDS.iter().filter(|board| board.name != "qemu-cortex-m7");
        std::thread::scope(|scope| {
            let builds: Vec<_> = boards.map(|board| scope.spawn(|| links_nothing_forbidden(board))).collect();
            for build in builds {
                build.join().unwrap();
            }
        });
    }

    fn links_nothing_forbidden(board: &Board) {
        if !list().iter().any(|status| status.board == board && status.target_installed) {
            println!("skipped: {}: its Rust target is not installed", board.name);
            return;
        }
        let all: Vec<Linked> = OpCode::ALL.iter().map(|&code| code.into()).collect();
        let checked = |ops: &[Linked], profile| {
            link_check(board, ops, profile)
                .unwrap_or_else(|error| panic!("{} {profile:?}: {error}: {}", board.name, error.help))
        };
        checked(&all, Profile::Untuned);
        let with_floats = checked(&all, Profile::Boards);
        // Which operators bring float code does not depend on the core.
        if !["qemu-cortex-m0", "qemu-cortex-m3", "qemu-riscv32"].contains(&board.name) {
            return;
        }
        let floats =
            [OpCode::Quantize, OpCode::Dequantize, OpCode::ResizeBilinearFloat, OpCode::DetectionPostProcess];
        let int8: Vec<Linked> = all.iter().copied().filter(|linked| !floats.contains(&linked.code)).collect();
        assert_eq!(checked(&int8, Profile::Boards), Vec::<String>::new(), "{}", board.name);
        // The search does find float routines once the operators between integers and floats are linked.
        assert_eq!(with_floats.is_empty(), int8.len() == all.len(), "{}", board.name);
    }

    /// Reading and checking a model stays small. State, and everything else in the format that this model
    /// does not have, costs next to nothing.
    #[test]
    fn a_keyword_spotter_is_verified_in_few_bytes() {
        let board = find("qemu-cortex-m3").unwrap();
        if !list().iter().any(|status| status.board == board && status.target_installed) {
            println!("skipped: {}: its Rust target is not installed", board.name);
            return;
        }
        let tuned = [OpCode::Conv2d, OpCode::DepthwiseConv2d, OpCode::FullyConnected];
        let tuned = tuned.map(|code| Linked { code, weights: Weights::Tuned });
        let ops = [&tuned[..], &[OpCode::AveragePool2d.into(), OpCode::Softmax.into()]].concat();
        let verifier = verifier_flash_bytes(board, &ops).unwrap();
        println!("Cortex-M3: verifier {verifier}");
        assert!(verifier <= 6_500, "{verifier} bytes");
    }

    /// Of the runtime's lines for a log nothing is linked that a program does not use.
    #[test]
    fn a_log_that_is_not_written_takes_no_flash() {
        let board = find("qemu-cortex-m3").unwrap();
        if !list().iter().any(|status| status.board == board && status.target_installed) {
            println!("skipped: {}: its Rust target is not installed", board.name);
            return;
        }
        let ops = [OpCode::Lookup.into(), OpCode::Softmax.into()];
        let bytes =
            |features| beyond_empty(board, &footprint(board, features, &ops, Profile::Boards)).unwrap();
        let (without, with) = (bytes("inference"), bytes("inference,log"));
        assert!(without > 1_000);
        assert_eq!(without, with);
    }

    #[test]
    fn fewer_operators_take_less_flash() {
        let board = find("qemu-cortex-m3").unwrap();
        if !list().iter().any(|status| status.board == board && status.target_installed) {
            println!("skipped: {}: its Rust target is not installed", board.name);
            return;
        }
        let one = runtime_flash_bytes(board, &[OpCode::Lookup.into()]).unwrap();
        let two = runtime_flash_bytes(board, &[OpCode::Lookup.into(), OpCode::Conv2d.into()]).unwrap();
        assert!(1_000 < one && one < two && two < 20_000, "{one} {two}");
        let verifier = verifier_flash_bytes(board, &[OpCode::Lookup.into()]).unwrap();
        println!("Cortex-M3: one operator {one}, two {two}, verifier {verifier}");
        assert!(verifier < one, "{verifier} {one}");
    }
}
