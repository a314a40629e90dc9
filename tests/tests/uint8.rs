//! A real model of TensorFlow 1's uint8: LiteRT's bytes, with the kernels of the boards and of the host.

mod common;

use common::{Net, SETS, compile_for};
use ferrolite::aligned::AlignedBuf;

/// What LiteRT's reference kernels answer to [`picture`].
const ANSWERS: [[u8; 5]; 3] = [[228, 6, 9, 5, 7], [86, 22, 120, 14, 15], [38, 13, 15, 19, 171]];

/// A picture of 224x224 with three channels.
fn picture(k: usize) -> Vec<u8> {
    (0..224 * 224 * 3)
        .map(|p| {
            let (c, x, y) = (p % 3, p / 3 % 224, p / 672);
            (x * (k + 1) + y * (3 - k) + c * 50 * k + ((x * y) >> (5 + k))) as u8
        })
        .collect()
}

#[test]
fn a_labeler_of_2019_equals_litert() {
    let Some(model) = ferrolite_shared::found("wild/automl_labeler_model.tflite") else { return };
    for set in SETS.iter().filter(|set| ["host", "armv7em"].contains(&set.name)) {
        let file = compile_for(&model, true, set.target).expect("it converts");
        let file = AlignedBuf::from_bytes(&file.bytes);
        let mut net = Net::with(&file, set.ops);
        for (k, answer) in ANSWERS.iter().enumerate() {
            let outputs = net.run(&[&picture(k)], &mut ());
            assert_eq!(outputs, [answer.to_vec()], "{}: picture {k}", set.name);
        }
    }
}
