//! Lines of a log for each op, and for the outputs: through the crate `log` with the feature of that name, and through
//! defmt with its own. Without either this module is not there, and with them nothing of it is linked that a program does
//! not use.
//!
//! What else there is to log implements what both crates want: errors, shapes of models and quantization have `Display` or
//! `Debug`, and `defmt::Format` with defmt. C programs get the same by `ferrolite_observer` and `ferrolite_error_message`.

use ferrolite_schema::{DType, OpCode};

use crate::interpreter::{Interpreter, Observer};
use crate::node::{Eval, Node};

/// A line at level `info`.
macro_rules! line {
    ($($words:tt)*) => {{
        #[cfg(feature = "log")]
        log::info!($($words)*);
        #[cfg(feature = "defmt")]
        defmt::info!($($words)*);
    }};
}

/// An observer that logs each op with the ticks of a clock that it took, and adds them up. The clock counts upwards and may
/// wrap; its unit is the caller's: microseconds of `std::time::Instant`, cycles of a core's counter.
///
/// ```
/// use ferrolite_runtime::profile::{Profile, outputs};
/// # use ferrolite_runtime::{Interpreter, Model, ops};
/// # #[repr(align(16))]
/// # struct File([u8; include_bytes!("../../tests/models/sine/sine.ferro").len()]);
/// # static FILE: File = File(*include_bytes!("../../tests/models/sine/sine.ferro"));
/// # let model = Model::from_bytes(&FILE.0)?;
/// # let mut arena = ferrolite_runtime::Arena::<1024>::new();
/// # let mut net = Interpreter::new(&model, ops::ALL, &mut arena)?;
/// # net.set_input(0, &[5i8])?;
///
/// let start = std::time::Instant::now();
/// let mut profile = Profile::new(|| start.elapsed().as_micros() as u32);
/// net.invoke_observed(&mut profile)?;      // "op 0: fully_connected, 12 ticks"
/// outputs(&net);                           // "output 0: [47]"
/// let (op, ticks) = profile.longest();
/// assert!(ticks <= profile.total() && usize::from(op) < model.ops().len());
/// # Ok::<(), ferrolite_runtime::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profile<C> {
    clock: C,
    began: u32,
    total: u32,
    longest: (u16, u32),
}

impl<C: FnMut() -> u32> Profile<C> {
    /// A profile that has seen nothing.
    pub const fn new(clock: C) -> Profile<C> {
        Profile { clock, began: 0, total: 0, longest: (0, 0) }
    }

    /// Ticks of all ops, of all inferences that it has seen.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// The op that took longest, by its number, and its ticks.
    pub fn longest(&self) -> (u16, u32) {
        self.longest
    }
}

impl<C: FnMut() -> u32> Observer for Profile<C> {
    fn before(&mut self, _: u16, _: &Node<'_>) {
        self.began = (self.clock)();
    }

    fn after(&mut self, index: u16, eval: &Eval<'_>) {
        let ticks = (self.clock)().wrapping_sub(self.began);
        self.total = self.total.wrapping_add(ticks);
        if ticks > self.longest.1 {
            self.longest = (index, ticks);
        }
        let name = OpCode::from_code(eval.node().op().code).map_or("custom", OpCode::name);
        line!("op {}: {}, {} ticks", index, name, ticks);
    }
}

/// Most elements of an output that [`outputs`] logs.
const SHOWN: usize = 16;

/// Logs the outputs of the last inference as they are stored, of each the first 16 elements; nothing before an inference.
pub fn outputs(net: &Interpreter<'_>) {
    for (index, port) in net.model().outputs().iter().enumerate() {
        let tensor = net.model().tensors().get(port.tensor as usize);
        macro_rules! show {
            ($type:ty) => {
                if let Ok(values) = net.output::<$type>(index) {
                    line!("output {}: {:?}", index, values.get(..SHOWN).unwrap_or(values));
                }
            };
        }
        match tensor.and_then(|tensor| tensor.dtype()) {
            Some(DType::Int8) => show!(i8),
            Some(DType::Int16) => show!(i16),
            Some(DType::Int32) => show!(i32),
            Some(DType::Float32) => show!(f32),
            _ => {
                if let Ok(bytes) = net.output_bytes(index) {
                    line!("output {}: bytes {:?}", index, bytes.get(..SHOWN).unwrap_or(bytes));
                }
            }
        }
    }
}
