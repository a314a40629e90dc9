//! Files with numbers and orders of an earlier Ferrolite become, byte for byte, what today's writes.

use std::cell::Cell;
use std::path::Path;

use crc::{CRC_32_ISO_HDLC, Crc};
use ferrolite::emit::{self, compile};
use ferrolite::graph::{
    Activation, Constant, Conv2d, DType, Graph, Node, Op, Quantization, Value, ValueId, Window,
};
use ferrolite::model_file::ModelFile;
use ferrolite::upgrade::upgrade;
use ferrolite_runtime::ops::conv_2d_segments;
use ferrolite_runtime::packing::{Order, Packing, Shape};
use ferrolite_runtime::{OpCode, Target};
use ferrolite_schema::params::Conv2dParams;

/// A convolution of 6x6 pixels in groups of twice as many outputs, and one of its own behind it.
fn grouped(groups: usize, per_group: usize, kernel: usize) -> Graph {
    let (inputs, channels) = (groups * per_group, 2 * groups * per_group);
    let mut graph = Graph::default();
    let mut value = |name: &str, shape: &[usize], constant: Option<Vec<i8>>| {
        let zero_point = if constant.is_some() { 0 } else { -3 };
        let value = Value {
            name: name.into(),
            shape: shape.into(),
            dtype: DType::Int8,
            quantization: Some(Quantization::per_tensor(0.1, zero_point)),
            constant: constant.map(Constant::I8),
        };
        graph.add_value(value)
    };
    let count = channels * kernel * kernel * per_group;
    let elements = |count: usize| (0..count).map(|i| (i * 37 % 101) as i8 - 50).collect::<Vec<i8>>();
    let (x, y, z) = (
        value("x", &[1, 6, 6, inputs], None),
        value("y", &[1, 6, 6, channels], None),
        value("z", &[1, 6, 6, 2], None),
    );
    let w = value("w", &[channels, kernel, kernel, per_group], Some(elements(count)));
    let v = value("v", &[2, 1, 1, channels], Some(elements(2 * channels)));
    let node = |name: &str, kernel: usize, inputs: [ValueId; 2], output| {
        let window = Window {
            kernel: [kernel; 2],
            stride: [1; 2],
            dilation: [1; 2],
            pad_before: [(kernel - 1) / 2; 2],
            pad_after: [kernel / 2; 2],
        };
        let op = Op::Conv2d(Conv2d { window, activation: Activation::Relu });
        Node { name: name.into(), op, inputs: inputs.map(Some).to_vec(), outputs: vec![output] }
    };
    graph.nodes = vec![node("groups", kernel, [x, w], y), node("point", 1, [y, v], z)];
    (graph.inputs, graph.outputs) = (vec![x], vec![z]);
    graph
}

/// Changes a file as its author would have: `change` gets the bytes, the place of the op's code, and its parameters.
fn changed(file: &ModelFile, change: impl Fn(&mut Vec<u8>, usize, &Conv2dParams, usize)) -> Vec<u8> {
    let (model, bytes) = (file.model().unwrap(), file.bytes());
    let place = |at: *const u8| at as usize - bytes.as_ptr() as usize;
    let op = model
        .ops()
        .iter()
        .find(|op| op.code == OpCode::Conv2dSegments as u16)
        .expect("a convolution in segments");
    let p: &Conv2dParams = bytemuck::from_bytes(bytemuck::cast_slice(model.params(op)));
    let mut changed = bytes.to_vec();
    let at = place(std::ptr::from_ref(op).cast());
    change(&mut changed, at, p, place(model.constants().as_ptr()));
    let (crc, _) = model.checksum().unwrap();
    changed[crc..crc + 4].fill(0);
    let sum = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(&changed);
    changed[crc..crc + 4].copy_from_slice(&sum.to_le_bytes());
    changed
}

#[test]
fn earlier_forms_become_todays() {
    let mut reordered = 0;
    for (groups, per_group, kernel) in [(2, 3, 3), (4, 1, 2), (2, 4, 3), (3, 3, 3), (2, 2, 2), (2, 6, 2)] {
        for target in [Target::CortexM4, Target::CortexM0, Target::CortexM55, Target::RiscV32, Target::Host] {
            let options = emit::Options { target, ..emit::Options::default() };
            let new = compile(&grouped(groups, per_group, kernel), &options).unwrap();
            let file = ModelFile::from_bytes("new.ferro", &new.bytes);
            let codes: Vec<u16> = file.model().unwrap().ops().iter().map(|op| op.code).collect();
            if !codes.contains(&(OpCode::Conv2dSegments as u16)) {
                continue;
            }
            let what = format!("{groups} groups of {per_group}, {kernel}x{kernel}, {target:?}");
            let kept = upgrade(&file).unwrap();
            assert!(kept.changes.is_empty() && kept.bytes == new.bytes, "{what}");
            // The number that convolutions in segments had last.
            let old = changed(&file, |bytes, at, _, _| bytes[at] = 70);
            assert!(old != new.bytes && ModelFile::from_bytes("old", &old).model().is_err());
            let found = upgrade(&ModelFile::from_bytes("old.ferro", &old)).unwrap();
            assert!(found.bytes == new.bytes, "{what}");
            assert_eq!((found.changes.len(), found.changes[0].layer.as_str()), (1, "groups"));
            // The number before, with weights that lay tap by tap. Where these take more bytes, as files that were made
            // then had them, such a file cannot be made from one of today.
            let shapes = |p: &Conv2dParams| {
                let to = conv_2d_segments::shape(p, Packing::from_tag(p.packing).unwrap()).unwrap();
                let line = p.in_channels / p.groups;
                (Shape { lines: p.window.kernel_h * p.window.kernel_w, line, ..to }, to)
            };
            let (fits, moved) = (Cell::new(true), Cell::new(false));
            let old = changed(&file, |bytes, at, p, constants| {
                bytes[at] = 30;
                let (from, to) = shapes(p);
                let size = to.bytes().unwrap() as usize;
                fits.set(from.bytes() == to.bytes());
                for group in (0..p.groups as usize).filter(|_| fits.get()) {
                    let start = constants + p.weights as usize + group * size;
                    let matrix = bytes[start..start + size].to_vec();
                    // Padding is zero in both.
                    let weights =
                        (0..to.channels).flat_map(|c| (0..to.depth().unwrap()).map(move |k| (c, k)));
                    let weights: Vec<(u32, u32)> = weights.collect();
                    // A pair's weights share a halfword.
                    let width = if to.packing.order == Order::Pairs { 2 } else { 1 };
                    for &(c, k) in &weights {
                        bytes[start + to.place(c, k) as usize..][..width].fill(0);
                    }
                    for (c, k) in weights {
                        let halfword = &matrix[to.place(c, k) as usize..][..width];
                        bytes[start + from.place(c, k) as usize..][..width].copy_from_slice(halfword);
                    }
                    moved.set(moved.get() || bytes[start..start + size] != matrix[..]);
                }
            });
            if !fits.get() {
                continue;
            }
            let moved = moved.get();
            let found = upgrade(&ModelFile::from_bytes("old.ferro", &old)).unwrap();
            assert!(found.bytes == new.bytes, "{what}: tap by tap");
            assert_eq!(found.changes.len(), 1 + usize::from(moved), "{what}: {:?}", found.changes);
            reordered += usize::from(moved);
        }
    }
    assert!(reordered > 0, "no weights lay otherwise");
}

#[test]
fn what_cannot_be_written_anew_is_refused() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/sine");
    let one = ModelFile::read(&models.join("version_1.ferro")).unwrap();
    let error = upgrade(&one).unwrap_err();
    assert!(
        error.message.contains("version 1") && error.help.contains("convert the source again"),
        "{error:?}"
    );
    let file = ModelFile::read(&models.join("sine.ferro")).unwrap();
    assert!(upgrade(&file).unwrap().bytes == file.bytes());
    for at in 0..file.bytes().len() {
        let mut damaged = file.bytes().to_vec();
        damaged[at] ^= 4;
        let error = upgrade(&ModelFile::from_bytes("damaged", &damaged));
        assert!(error.is_err(), "byte {at} of {}", damaged.len());
    }
    assert!(upgrade(&ModelFile::from_bytes("empty", &[])).is_err());
}
