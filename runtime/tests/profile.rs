//! The feature `log`: a line for each op and for each output.
#![cfg(feature = "log")]

use std::sync::Mutex;

use ferrolite_runtime::profile::{Profile, outputs};
use ferrolite_runtime::{Arena, Interpreter, Model, OpCode, ops};

/// A logger that keeps the lines of this crate.
struct Lines(Mutex<Vec<String>>);

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("ferrolite_runtime") {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

static LINES: Lines = Lines(Mutex::new(Vec::new()));

#[repr(align(16))]
struct File<const N: usize>([u8; N]);

static SINE: File<{ include_bytes!("../../tests/models/sine/sine.ferro").len() }> =
    File(*include_bytes!("../../tests/models/sine/sine.ferro"));

#[test]
fn each_op_and_each_output_has_a_line() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let model = Model::from_bytes(&SINE.0).unwrap();
    let mut arena = Arena::<1024>::new();
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    outputs(&net);
    let before = LINES.0.lock().unwrap().len();
    // A clock that wraps, and goes faster from op to op.
    let (mut now, mut step) = (u32::MAX - 10, 0);
    let mut profile = Profile::new(|| {
        step += 7;
        now = u32::wrapping_add(now, step);
        now
    });
    net.set_input(0, &[3i8]).unwrap();
    net.invoke_observed(&mut profile).unwrap();
    outputs(&net);
    let lines = LINES.0.lock().unwrap()[before..].to_vec();
    let mut expected = Vec::new();
    for (index, op) in model.ops().iter().enumerate() {
        let name = OpCode::from_code(op.code).unwrap().name();
        expected.push(format!("op {index}: {name}, {} ticks", 14 * (index + 1)));
    }
    expected.push(format!("output 0: {:?}", net.output::<i8>(0).unwrap()));
    assert_eq!(lines, expected);
    let last = model.ops().len();
    assert_eq!(profile.longest(), (last as u16 - 1, 14 * last as u32));
    assert_eq!(profile.total(), (1..=last as u32).map(|op| 14 * op).sum::<u32>());
}
