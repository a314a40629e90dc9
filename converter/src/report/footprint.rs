//! Flash and RAM in total: the model's, and the runtime's code and stack if a board measured them.

use ferrolite_runtime::Model;
use serde::{Deserialize, Serialize};

use crate::bench::{Latency, Measured};
use crate::text;

/// Stands in for figures that only a board can tell.
const UNKNOWN: &str = "not known without a board (`convert --bench BOARD`)";

/// What the runtime takes on a board, as `bench` measures it and `bench --json` prints it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Code {
    /// Name of the board.
    pub board: String,
    /// Flash of the runtime with the operators of the model.
    pub runtime_flash_bytes: Option<u64>,
    /// Most stack that an inference used.
    pub stack_bytes: Option<u64>,
    /// File size of the model that was measured.
    pub model_bytes: u64,
    /// Arena of the model that was measured.
    pub arena_bytes: u64,
    /// Its estimated time, if the board is one that has it.
    #[serde(default)]
    pub latency: Option<Timed>,
}

/// An estimated time on silicon, as `bench --json` prints it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Timed {
    /// Milliseconds.
    pub ms: f64,
    /// Microjoules, where they are known.
    #[serde(default)]
    pub microjoules: Option<f64>,
    /// How far off that may be, in words.
    #[serde(default)]
    pub error: String,
}

impl From<Latency> for Timed {
    fn from(Latency { ms, microjoules, error, .. }: Latency) -> Timed {
        Timed { ms, microjoules, error: error.into() }
    }
}

impl From<Measured> for Code {
    fn from(measured: Measured) -> Code {
        Code {
            board: measured.board,
            runtime_flash_bytes: measured.runtime_flash_bytes,
            stack_bytes: measured.stack_bytes,
            model_bytes: measured.model_bytes as u64,
            arena_bytes: measured.arena_bytes as u64,
            latency: measured.latency.map(Timed::from),
        }
    }
}

/// What a model takes of a microcontroller. Figures that are not known are null in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Footprint {
    /// Model and code.
    pub total_flash_bytes: Option<u64>,
    /// Arena and stack.
    pub total_ram_bytes: Option<u64>,
    /// The runtime's code with the operators of the model.
    pub runtime_flash_bytes: Option<u64>,
    /// Most stack that an inference used.
    pub stack_bytes: Option<u64>,
    /// The board that measured the code and the stack.
    pub bench_board: Option<String>,
    #[serde(skip)]
    model: u64,
    #[serde(skip)]
    arena: u64,
}

impl Footprint {
    /// The footprint of a model, with what a board measured of its code.
    pub fn new(model: &Model<'_>, code: Option<&Code>) -> Footprint {
        let (file, arena) = (model.bytes().len() as u64, model.arena_bytes() as u64);
        let runtime_flash_bytes = code.and_then(|code| code.runtime_flash_bytes);
        let stack_bytes = code.and_then(|code| code.stack_bytes);
        Footprint {
            total_flash_bytes: runtime_flash_bytes.map(|code| file.saturating_add(code)),
            total_ram_bytes: stack_bytes.map(|stack| arena.saturating_add(stack)),
            runtime_flash_bytes,
            stack_bytes,
            bench_board: code.map(|code| code.board.clone()),
            model: file,
            arena,
        }
    }

    /// Flash as far as it is known, and its parts.
    pub fn flash(&self) -> (u64, String) {
        let parts =
            self.parts(self.model, "of the model", self.runtime_flash_bytes, "of code", "the runtime's code");
        (self.total_flash_bytes.unwrap_or(self.model), parts)
    }

    /// RAM as far as it is known, and its parts.
    pub fn ram(&self) -> (u64, String) {
        let parts = self.parts(self.arena, "of arena", self.stack_bytes, "of stack", "the stack");
        (self.total_ram_bytes.unwrap_or(self.arena), parts)
    }

    fn parts(&self, own: u64, of: &str, more: Option<u64>, of_more: &str, missing: &str) -> String {
        let own = format!("{} bytes {of}", text::thousands(own));
        match (more, &self.bench_board) {
            (Some(more), Some(board)) => {
                format!("{own} and {} {of_more} on {board}", text::thousands(more))
            }
            (_, Some(board)) => format!("{own}; {missing}: {board} does not measure it"),
            (_, None) => format!("{own}; {missing}: {UNKNOWN}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::ModelFile;

    #[test]
    fn what_is_missing_is_said() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
        let file = ModelFile::read(path.as_ref()).unwrap();
        let model = file.model().unwrap();
        let alone = Footprint::new(&model, None);
        let bytes = model.bytes().len() as u64;
        assert_eq!((alone.flash().0, alone.total_flash_bytes), (bytes, None));
        assert!(alone.flash().1.contains("the runtime's code: not known"), "{:?}", alone.flash());
        assert!(alone.ram().1.contains("the stack: not known"), "{:?}", alone.ram());
        let json = "{\"board\": \"m4\", \"runtime_flash_bytes\": 1000, \"stack_bytes\": 200, \"model_bytes\": 1, \
                    \"arena_bytes\": 2, \"layers\": []}";
        let code: Code = serde_json::from_str(json).unwrap();
        let both = Footprint::new(&model, Some(&code));
        assert_eq!(both.flash().0, bytes + 1000);
        assert_eq!(both.ram().0, model.arena_bytes() as u64 + 200);
        assert!(both.flash().1.ends_with("and 1,000 of code on m4"), "{:?}", both.flash());
    }
}
