//! Models with the operator, as TensorFlow and PyTorch export them: spectra of 32 bands, their contrast, and
//! a dense layer with four scores. Users have such files; here they are written field by field.

use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

/// Bands of a spectrum.
pub const BANDS: usize = 32;
/// Spectra of an input.
pub const FRAMES: usize = 4;
/// Scores.
pub const SCORES: usize = 4;
/// The operator's attributes.
pub const RADIUS: u32 = 3;
pub const GAIN: f32 = 1.5;

/// Weights of the dense layer: one row of bands for each score.
pub fn weights() -> Vec<f32> {
    (0..SCORES * BANDS).map(|i| ((i * 37 + 11) % 64) as f32 / 32.0 - 1.0).collect()
}

/// Inputs like those that the model was trained on: peaks at some bands, on a slope that carries no
/// information.
pub fn samples(count: usize) -> Vec<Vec<f32>> {
    let element = |sample: usize, at: usize| {
        let (frame, band) = (at / BANDS, at % BANDS);
        let slope = band as f32 * ((sample % 7) as f32 - 3.0) / 16.0;
        let peak = if (band + sample * 5 + frame).is_multiple_of(11) { 2.0 } else { 0.0 };
        slope + peak + ((sample * 31 + at * 17) % 23) as f32 / 46.0
    };
    (0..count).map(|sample| (0..FRAMES * BANDS).map(|at| element(sample, at)).collect()).collect()
}

/// The `.tflite` file: CUSTOM `example.Contrast` with its options, FULLY_CONNECTED.
pub fn tflite() -> Vec<u8> {
    // Field numbers are those of TensorFlow Lite's schema.
    let slot = |field: u16| 4 + 2 * field;
    let mut fbb = FlatBufferBuilder::new();
    let floats: Vec<u8> = weights().iter().flat_map(|x| x.to_le_bytes()).collect();
    let buffers: Vec<_> = [Vec::new(), floats]
        .iter()
        .map(|data| {
            let data = fbb.create_vector(data);
            let table = fbb.start_table();
            fbb.push_slot_always(slot(0), data);
            fbb.end_table(table)
        })
        .collect();
    let buffers = fbb.create_vector(&buffers);
    let mut tensor = |name: &str, shape: &[usize], buffer: u32| {
        let name = fbb.create_string(name);
        let shape: Vec<i32> = shape.iter().map(|&dim| dim as i32).collect();
        let shape = fbb.create_vector(&shape);
        let table = fbb.start_table();
        fbb.push_slot_always(slot(0), shape);
        fbb.push_slot::<u32>(slot(2), buffer, 0);
        fbb.push_slot_always(slot(3), name);
        fbb.end_table(table)
    };
    let tensors = [
        tensor("spectra", &[FRAMES, BANDS], 0),
        tensor("contrast", &[FRAMES, BANDS], 0),
        tensor("weights", &[SCORES, BANDS], 1),
        tensor("scores", &[FRAMES, SCORES], 0),
    ];
    let tensors = fbb.create_vector(&tensors);
    let options: Vec<u8> = [RADIUS.to_le_bytes(), GAIN.to_le_bytes()].concat();
    let options = fbb.create_vector(&options);
    let dense: WIPOffset<UnionWIPOffset> = {
        let table = fbb.start_table();
        WIPOffset::new(fbb.end_table(table).value())
    };
    // BuiltinOptions has number 8 for FullyConnectedOptions.
    let contrast = operator(&mut fbb, 0, (&[0], &[1]), Some(options), None);
    let dense = operator(&mut fbb, 1, (&[1, 2, -1], &[3]), None, Some((8, dense)));
    let operators = fbb.create_vector(&[contrast, dense]);
    let (inputs, outputs) = (fbb.create_vector(&[0i32]), fbb.create_vector(&[3i32]));
    let table = fbb.start_table();
    fbb.push_slot_always(slot(0), tensors);
    fbb.push_slot_always(slot(1), inputs);
    fbb.push_slot_always(slot(2), outputs);
    fbb.push_slot_always(slot(3), operators);
    let subgraph = fbb.end_table(table);
    let subgraphs = fbb.create_vector(&[subgraph]);
    let name = fbb.create_string("example.Contrast");
    // 32 is CUSTOM, 9 FULLY_CONNECTED.
    let mut code = |number: i8, name: Option<WIPOffset<&str>>| {
        let table = fbb.start_table();
        fbb.push_slot::<i8>(slot(0), number, 0);
        if let Some(name) = name {
            fbb.push_slot_always(slot(1), name);
        }
        fbb.push_slot::<i32>(slot(3), number.into(), 0);
        fbb.end_table(table)
    };
    let codes = [code(32, Some(name)), code(9, None)];
    let codes = fbb.create_vector(&codes);
    let table = fbb.start_table();
    fbb.push_slot::<u32>(slot(0), 3, 0);
    fbb.push_slot_always(slot(1), codes);
    fbb.push_slot_always(slot(2), subgraphs);
    fbb.push_slot_always(slot(4), buffers);
    let model = fbb.end_table(table);
    fbb.finish(model, Some("TFL3"));
    fbb.finished_data().to_vec()
}

type Table = WIPOffset<flatbuffers::TableFinishedWIPOffset>;

fn operator<'a>(
    fbb: &mut FlatBufferBuilder<'a>,
    code: u32,
    (inputs, outputs): (&[i32], &[i32]),
    custom: Option<WIPOffset<flatbuffers::Vector<'a, u8>>>,
    builtin: Option<(u8, WIPOffset<UnionWIPOffset>)>,
) -> Table {
    let slot = |field: u16| 4 + 2 * field;
    let (inputs, outputs) = (fbb.create_vector(inputs), fbb.create_vector(outputs));
    let table = fbb.start_table();
    fbb.push_slot::<u32>(slot(0), code, 0);
    fbb.push_slot_always(slot(1), inputs);
    fbb.push_slot_always(slot(2), outputs);
    if let Some((kind, options)) = builtin {
        fbb.push_slot::<u8>(slot(3), kind, 0);
        fbb.push_slot_always(slot(4), options);
    }
    if let Some(options) = custom {
        fbb.push_slot_always(slot(5), options);
    }
    fbb.end_table(table)
}

/// The `.onnx` file of the same network: `Contrast` of the domain `example`, and `MatMul`.
pub fn onnx() -> Vec<u8> {
    let floats = weights();
    // MatMul has its weights transposed.
    let turned = (0..BANDS).flat_map(|band| (0..SCORES).map(move |score| score * BANDS + band));
    let turned: Vec<u8> = turned.flat_map(|at| floats[at].to_le_bytes()).collect();
    let attribute = |name: &str, kind: u64, value: Vec<u8>| {
        message(5, &[text(1, name), value, number(20, kind)].concat())
    };
    let contrast = [
        text(1, "spectra"),
        text(2, "contrast"),
        text(3, "contrast"),
        text(4, "Contrast"),
        attribute("radius", 2, number(3, RADIUS.into())),
        attribute("gain", 1, [&tag(2, 5)[..], &GAIN.to_le_bytes()].concat()),
        text(7, "example"),
    ];
    let dense =
        [text(1, "contrast"), text(1, "weights"), text(2, "scores"), text(3, "scores"), text(4, "MatMul")];
    let weights = [
        number(1, BANDS as u64),
        number(1, SCORES as u64),
        number(2, 1),
        text(8, "weights"),
        message(9, &turned),
    ];
    let border = |field: u64, name: &str, shape: [usize; 2]| {
        let dims: Vec<u8> = shape.iter().flat_map(|&dim| message(1, &number(1, dim as u64))).collect();
        let tensor = [number(1, 1), message(2, &dims)].concat();
        message(field, &[text(1, name), message(2, &message(1, &tensor))].concat())
    };
    let graph = [
        message(1, &contrast.concat()),
        message(1, &dense.concat()),
        text(2, "spectra"),
        message(5, &weights.concat()),
        border(11, "spectra", [FRAMES, BANDS]),
        border(12, "scores", [FRAMES, SCORES]),
    ];
    let set = |domain: &str, version: u64| message(8, &[text(1, domain), number(2, version)].concat());
    [number(1, 8), message(7, &graph.concat()), set("", 17), set("example", 1)].concat()
}

/// The head of a field of a protocol buffer.
fn tag(field: u64, kind: u64) -> Vec<u8> {
    varint(field << 3 | kind)
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [tag(field, 0), varint(value)].concat()
}

fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    [&tag(field, 2)[..], &varint(bytes.len() as u64), bytes].concat()
}

fn text(field: u64, text: &str) -> Vec<u8> {
    message(field, text.as_bytes())
}
