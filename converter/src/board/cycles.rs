//! Modelled cycles: builds QEMU's plugin in `boards/cycles` when it is needed, and reads its measurements.
//!
//! The runner calls two empty functions at the start and the end of a measurement, and the plugin gets their
//! addresses. Each such window is a line of the plugin's file, and the runner says which window belongs to
//! which measurement.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use object::{Object, ObjectSymbol};

use super::firmware::Firmware;
use super::footprint::{parse, read};
use super::table::Board;

/// The cost of a function's or model's run, on a core with a timing model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modelled {
    /// Executed instructions, counted by the plugin.
    pub instructions: u64,
    /// Cycles at zero wait states.
    pub cycles: u64,
    /// Words of 32 bits read from flash as data.
    pub flash_words: u64,
}

impl Modelled {
    fn without(self, other: Modelled) -> Modelled {
        Modelled {
            instructions: self.instructions.saturating_sub(other.instructions),
            cycles: self.cycles.saturating_sub(other.cycles),
            flash_words: self.flash_words.saturating_sub(other.flash_words),
        }
    }
}

/// All windows of one start of QEMU.
#[derive(Clone, Debug, Default)]
pub struct Windows(Arc<[Modelled]>);

impl Windows {
    /// Reads the plugin's file. If QEMU was killed, its last line may be incomplete.
    pub fn parse(text: &str) -> Windows {
        let window = |line: &str| {
            let mut numbers = line.split(' ').map(|word| word.parse().ok());
            let mut next = || numbers.next().flatten();
            Some(Modelled { instructions: next()?, cycles: next()?, flash_words: next()? })
        };
        Windows(text.lines().map_while(window).collect())
    }

    /// The cost of a window, minus the cost of an empty one.
    pub fn cost(&self, window: Numbers) -> Option<Modelled> {
        let at = |number: u32| self.0.get(number as usize).copied();
        Some(at(window.number)?.without(at(window.empty)?))
    }
}

/// The number of a window, and that of an empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Number of the window.
    pub number: u32,
    /// Number of the empty window.
    pub empty: u32,
}

/// The plugin, ready for QEMU.
#[derive(Clone, Debug)]
pub struct Plugin {
    library: PathBuf,
    core: &'static str,
    open: u64,
    close: u64,
    flash: (u32, u32),
}

impl Plugin {
    /// Builds the plugin for the installed QEMU, and finds the addresses of the two functions in the runner.
    /// With `estimate`, a core that was not held against silicon is modelled, too. An error says why there are no
    /// cycles.
    pub fn prepare(board: &Board, runner: &Path, estimate: bool) -> Result<Plugin, String> {
        let core = board.timing.or(estimate.then_some(board.estimate));
        let core = core.ok_or_else(|| format!("there is no timing model of the {}", board.core))?;
        let (open, close) = marks(runner)?;
        let major =
            major_version(board.qemu).ok_or_else(|| format!("{} does not tell its version", board.qemu))?;
        let built = Firmware::cycles(major).build();
        let library = built.map_err(|error| error.message)?;
        Ok(Plugin { library, core, open, close, flash: board.flash })
    }

    /// The same with another library.
    #[cfg(test)]
    pub fn with_library(&self, library: &str) -> Plugin {
        Plugin { library: library.into(), ..self.clone() }
    }

    /// The arguments for QEMU.
    pub fn arguments(&self, out: &str) -> [String; 2] {
        let Plugin { library, core, open, close, flash: (start, end) } = self;
        // In QEMU's lists, a comma within a value is doubled.
        let library = library.display().to_string().replace(',', ",,");
        let words = format!(
            "{library},core={core},open={open:#x},close={close:#x},flash={start:#x}-{end:#x},out={out}"
        );
        ["-plugin".into(), words]
    }
}

/// The empty functions that the runner calls around a measurement.
pub(super) const MARKS: [&str; 2] = ["ferrolite_window_open", "ferrolite_window_close"];

fn marks(runner: &Path) -> Result<(u64, u64), String> {
    let bytes = read(runner).map_err(|error| error.message)?;
    let file = parse(runner, &bytes).map_err(|error| error.message)?;
    let mark = |name: &str| {
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
        symbol.map(|symbol| symbol.address()).ok_or_else(|| format!("the runner has no symbol {name}"))
    };
    Ok((mark(MARKS[0])?, mark(MARKS[1])?))
}

/// The major version of QEMU.
fn major_version(qemu: &str) -> Option<u32> {
    let output = Command::new(qemu).arg("--version").stdin(Stdio::null()).output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

fn parse_version(text: &str) -> Option<u32> {
    let (_, version) = text.lines().next()?.split_once("version ")?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_qemu_prints_them() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003-2022";
        assert_eq!(parse_version(debian), Some(7));
        assert_eq!(parse_version("QEMU emulator version 10.0.2"), Some(10));
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn an_empty_window_is_taken_off() {
        let windows = Windows::parse("2 5 0\n100 150 7\n3");
        let cost = |number, empty| windows.cost(Numbers { number, empty });
        assert_eq!(cost(1, 0), Some(Modelled { instructions: 98, cycles: 145, flash_words: 7 }));
        assert_eq!(cost(2, 0), None);
    }

    #[test]
    fn commas_in_a_path_are_doubled() {
        let flash = (0, 0x2000_0000);
        let plugin = Plugin { library: "/a,b/lib.so".into(), core: "m4", open: 0x401, close: 0x411, flash };
        let [_, words] = plugin.arguments("cycles.txt");
        assert_eq!(words, "/a,,b/lib.so,core=m4,open=0x401,close=0x411,flash=0x0-0x20000000,out=cycles.txt");
    }
}
