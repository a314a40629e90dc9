//! Measures the time of one inference on this host, on one thread, for each kernel set that the host can run:
//!
//! ```text
//! cargo run --release -p ferrolite-conformance --example host_speed -- MODEL.tflite …
//! ```
//! One line for each model and set: the model's name, the set's, the target that the file is packed for, and the
//! median in microseconds.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use ferrolite::aligned::AlignedBuf;
use ferrolite_runtime::kernels::{Native, Portable};
use ferrolite_runtime::{Interpreter, Model, OpSet, Target, ops};

/// How long a set is measured.
const TIME: Duration = Duration::from_millis(400);

const SETS: &[(&str, Target, OpSet)] = &[
    ("portable", Target::Portable, &ops::all::<Portable>()),
    #[cfg(target_arch = "x86_64")]
    ("avx2", Target::Host, &ops::all::<ferrolite_runtime::kernels::Avx2>()),
    ("host", Target::Host, &ops::all::<Native>()),
    ("host", Target::Portable, &ops::all::<Native>()),
    ("host", Target::CortexM4, &ops::all::<Native>()),
    ("host", Target::RiscV32, &ops::all::<Native>()),
];

fn main() {
    for path in std::env::args().skip(1) {
        for (set, target, ops) in SETS {
            match median(Path::new(&path), *target, ops) {
                Ok(micros) => {
                    println!("{} {set} {} {micros:.1}", common::stem(Path::new(&path)), target.name())
                }
                Err(error) => eprintln!("{path}: {error}"),
            }
        }
    }
}

/// The median time of an inference on zeroes, in microseconds.
fn median(path: &Path, target: Target, ops: OpSet) -> Result<f64, String> {
    let file = AlignedBuf::from_bytes(&common::compile_for(path, true, target)?.bytes);
    let model = Model::from_bytes(&file).map_err(|error| error.to_string())?;
    let mut arena = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = Interpreter::new(&model, ops, &mut arena).map_err(|error| error.to_string())?;
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < 5 || start.elapsed() < TIME {
        for index in 0..model.inputs().len() {
            net.input_bytes_mut(index).map_err(|error| error.to_string())?;
        }
        let begin = Instant::now();
        net.invoke().map_err(|error| error.to_string())?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
