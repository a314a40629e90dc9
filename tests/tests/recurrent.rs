//! Layers over time, from float models to int8: what each kind of cell, in each direction, from each initial state,
//! gives on the device is near the float reference, and the same with every kernel set.

mod common;

use common::{Net, SETS, graph, root};
use ferrolite::aligned::AlignedBuf;
use ferrolite::emit;
use ferrolite::quantize::{Options, Samples, quantize};
use ferrolite::reference::Executor;
use ferrolite_runtime::OpCode;

/// Random numbers of about the size of a standard normal distribution.
struct Random {
    samples: usize,
    elements: usize,
    /// Elements of a row; some rows are zero. 0 for none.
    rows: usize,
}

impl Samples for Random {
    fn len(&self) -> usize {
        self.samples
    }

    fn sample(&self, index: usize) -> ferrolite::Result<Vec<Vec<f32>>> {
        let mut state = index as u64 + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut sample: Vec<f32> =
            (0..self.elements).map(|_| (0..4).map(|_| next()).sum::<f32>() * 1.7).collect();
        if self.rows > 0 {
            // Of some samples no row, of some all, of the others any.
            let kept = (index % 5) as f32 / 4.0 - 0.5;
            sample.chunks_mut(self.rows).filter(|_| next() >= kept).for_each(|row| row.fill(0.0));
        }
        Ok(vec![sample])
    }
}

/// Signal to noise of the worst output of a model, and the codes of its ops. Some rows of so many elements are zero.
fn decibels(file: &str, rows: usize) -> (f64, Vec<OpCode>) {
    let float = graph(&root().join("tests/import/keras").join(file), true).expect("it is read");
    let elements = float.value(float.inputs[0]).elements();
    let samples = Random { samples: 96, elements, rows };
    let (int8, _) = quantize(&float, &samples, &Options::default()).expect("it is quantized");
    let input = int8.value(int8.inputs[0]).quantization.as_ref().and_then(|q| q.tensor()).expect("a scale");
    let executor = Executor::new(&float).expect("a sound graph");
    let mut worst = f64::INFINITY;
    let mut codes = Vec::new();
    let mut answers: Option<Vec<Vec<Vec<u8>>>> = None;
    for set in SETS {
        let options = emit::Options { target: set.target, ..emit::Options::default() };
        let compiled = emit::compile(&int8, &options).expect("it is lowered");
        let file = AlignedBuf::from_bytes(&compiled.bytes);
        let mut net = Net::with(&file, set.ops);
        let mut power = vec![(0.0f64, 0.0f64); int8.outputs.len()];
        let mut found = Vec::new();
        for index in 0..32 {
            let real = samples.sample(index).expect("it is there").remove(0);
            let quantized =
                real.iter().map(|x| ((x / input.0).round() as i32 + input.1).clamp(-128, 127) as u8);
            let bytes = net.run(&[&quantized.collect::<Vec<u8>>()], &mut ());
            let wanted = executor.run(&[&real]).expect("it runs");
            for (port, (bytes, wanted)) in bytes.iter().zip(&wanted).enumerate() {
                let (scale, zero_point) = int8
                    .value(int8.outputs[port])
                    .quantization
                    .as_ref()
                    .and_then(|q| q.tensor())
                    .expect("a scale");
                for (&byte, &wanted) in bytes.iter().zip(wanted) {
                    let real = scale * (i32::from(byte as i8) - zero_point) as f32;
                    power[port].0 += f64::from(wanted).powi(2);
                    power[port].1 += f64::from(wanted - real).powi(2);
                }
            }
            found.push(bytes);
        }
        let of = |(signal, noise): &(f64, f64)| 10.0 * (signal / noise).log10();
        worst = power.iter().map(of).fold(worst, f64::min);
        codes = compiled.op_codes;
        match &answers {
            None => answers = Some(found),
            Some(answers) => assert!(*answers == found, "{}: another answer", set.name),
        }
    }
    (worst, codes)
}

#[test]
fn layers_of_all_kinds_are_near_the_float_reference() {
    for (file, codes) in [
        ("bidirectional.h5", &[OpCode::Lstm, OpCode::Gru, OpCode::Rnn][..]),
        ("initial_state.h5", &[OpCode::Lstm, OpCode::Gru]),
    ] {
        let (worst, found) = decibels(file, 0);
        assert!(worst > 30.0, "{file}: {worst} dB");
        assert!(codes.iter().all(|code| found.contains(code)), "{file}: {found:?}");
    }
}

#[test]
fn masks_leave_steps_out_on_the_device() {
    let (worst, found) = decibels("today/masks_masking.keras", 4);
    assert!(worst > 30.0, "{worst} dB");
    assert!([OpCode::Lstm, OpCode::Gru, OpCode::Rnn].iter().all(|code| found.contains(code)), "{found:?}");
}

#[test]
fn any_function_and_peepholes_run_on_the_device() {
    let (worst, found) = decibels("../onnx/lstm_peepholes.onnx", 0);
    assert!(worst > 30.0, "{worst} dB");
    assert!(
        [OpCode::LstmCurves, OpCode::GruCurves, OpCode::Rnn].iter().all(|code| found.contains(code)),
        "{found:?}"
    );
}

/// An author's variables become states that the layer keeps itself, the cell state with 16 bits.
#[test]
fn states_of_a_layer_last_as_long_as_those_of_the_float_reference() {
    let file = root().join("tests/import/keras/today/bad_stateful.keras");
    let float = graph(&file, true).expect("it is read");
    let samples = Random { samples: 96, elements: float.value(float.inputs[0]).elements(), rows: 0 };
    let (int8, _) = quantize(&float, &samples, &Options::default()).expect("it is quantized");
    let types: Vec<&str> = int8.states.iter().map(|state| int8.value(state.value).dtype.name()).collect();
    assert_eq!(types, ["int8", "int16"]);
    let tensor = |id| int8.value(id).quantization.as_ref().and_then(|q| q.tensor()).expect("a scale");
    let ((scale, zero_point), (out_scale, out_zero_point)) =
        (tensor(int8.inputs[0]), tensor(int8.outputs[0]));
    let executor = Executor::new(&float).expect("a sound graph");
    let mut answers: Option<Vec<Vec<u8>>> = None;
    for set in SETS {
        let options = emit::Options { target: set.target, ..emit::Options::default() };
        let compiled = emit::compile(&int8, &options).expect("it is lowered");
        // No copy of a state, and no assignment.
        assert!(!compiled.op_codes.contains(&OpCode::Assign), "{:?}", compiled.op_codes);
        let file = AlignedBuf::from_bytes(&compiled.bytes);
        let mut net = Net::with(&file, set.ops).sequence();
        assert_eq!(net.model().variables().len(), 2);
        let mut states = executor.start();
        let (mut signal, mut noise, mut found) = (0.0f64, 0.0f64, Vec::new());
        for index in 0..64 {
            let real = samples.sample(index).expect("it is there").remove(0);
            let quantized =
                real.iter().map(|x| ((x / scale).round() as i32 + zero_point).clamp(-128, 127) as u8);
            let bytes = net.run(&[&quantized.collect::<Vec<u8>>()], &mut ()).remove(0);
            let wanted = executor.run_next(&mut states, &[&real], &mut |_, _| ()).expect("it runs").remove(0);
            for (&byte, wanted) in bytes.iter().zip(wanted) {
                let real = out_scale * (i32::from(byte as i8) - out_zero_point) as f32;
                signal += f64::from(wanted).powi(2);
                noise += f64::from(wanted - real).powi(2);
            }
            found.push(bytes);
        }
        let decibels = 10.0 * (signal / noise).log10();
        assert!(decibels > 25.0, "{}: {decibels} dB", set.name);
        match &answers {
            None => answers = Some(found),
            Some(answers) => assert!(*answers == found, "{}: another answer", set.name),
        }
    }
}
