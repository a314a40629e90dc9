//! The figures of an inference that may not grow unseen, and by how much they may.

use super::Measured;

/// How much figures may grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Instructions and bytes, in percent of the earlier figure.
    pub counted: f64,
    /// Modelled cycles, which depend a little on the addresses of code, in percent.
    pub cycles: f64,
    /// Whether figures that are small by nature may grow by a number of units instead ([`Figure::units`]).
    pub units: bool,
}

impl Default for Tolerance {
    fn default() -> Tolerance {
        Tolerance { counted: 1.0, cycles: 5.0, units: false }
    }
}

impl Tolerance {
    /// That of figures that are renewed whenever they change: what the addresses of code alone change.
    pub const RENEWED: Tolerance = Tolerance { counted: 0.1, cycles: 3.0, units: false };

    /// That of figures that are compared with those of an earlier state of all code.
    pub const STATE: Tolerance = Tolerance { counted: 1.0, cycles: 3.0, units: true };

    /// The same tolerance for every figure.
    pub fn all(percent: f64) -> Tolerance {
        Tolerance { counted: percent, cycles: percent, units: false }
    }

    /// The most that a figure may be.
    pub fn most(self, figure: Figure, before: u64) -> u64 {
        let room = match figure.units().filter(|_| self.units) {
            Some(units) => units,
            None => (before as f64 * self.percent(figure) / 100.0) as u64,
        };
        before.saturating_add(room)
    }

    /// How much a figure may grow, in words.
    pub(super) fn words(self, figure: Figure) -> String {
        match figure.units().filter(|_| self.units) {
            Some(units) => format!("{units:+}"),
            None => format!("{:+} %", self.percent(figure)),
        }
    }

    fn percent(self, figure: Figure) -> f64 {
        if matches!(figure, Figure::Cycles) { self.cycles } else { self.counted }
    }
}

/// A figure of an inference on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Modelled cycles.
    Cycles,
    /// Instructions.
    Instructions,
    /// Instructions of initialisation.
    Init,
    /// Bytes of stack.
    Stack,
    /// Bytes of arena.
    Arena,
    /// Bytes of the model file.
    Model,
    /// Bytes of the runtime's code.
    Flash,
}

impl Figure {
    /// All, in the order of a lock.
    pub const ALL: [Figure; 7] = [
        Figure::Cycles,
        Figure::Instructions,
        Figure::Init,
        Figure::Stack,
        Figure::Arena,
        Figure::Model,
        Figure::Flash,
    ];

    /// Its name in the file, which is the key in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Figure::Cycles => "cycles",
            Figure::Instructions => "instructions",
            Figure::Init => "init_instructions",
            Figure::Stack => "stack_bytes",
            Figure::Arena => "arena_bytes",
            Figure::Model => "model_bytes",
            Figure::Flash => "runtime_flash_bytes",
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Cycles => "cycles",
            Figure::Instructions => "instructions",
            Figure::Init => "instructions of initialisation",
            Figure::Stack => "bytes of stack",
            Figure::Arena => "bytes of arena",
            Figure::Model => "bytes of the model file",
            Figure::Flash => "bytes of runtime flash",
        }
    }

    /// Units that it may grow by where a share of it would be next to nothing: a change of the verifier or of a
    /// function's frame.
    pub fn units(self) -> Option<u64> {
        match self {
            Figure::Init => Some(150),
            Figure::Stack => Some(64),
            Figure::Model => Some(256),
            Figure::Cycles | Figure::Instructions | Figure::Arena | Figure::Flash => None,
        }
    }

    /// What was measured of it.
    pub fn of(self, measured: &Measured) -> Option<u64> {
        match self {
            Figure::Cycles => measured.cycles,
            Figure::Instructions => measured.instructions,
            Figure::Init => measured.init_instructions,
            Figure::Stack => measured.stack_bytes,
            Figure::Arena => Some(measured.arena_bytes as u64),
            Figure::Model => Some(measured.model_bytes as u64),
            Figure::Flash => measured.runtime_flash_bytes,
        }
    }
}
