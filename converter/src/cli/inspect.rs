//! `ferrolite inspect`: what is in a file.

use std::fmt::Write;

use ferrolite_runtime::Model;
use serde::Serialize;

use super::Answer;
use super::args::InspectArgs;
use crate::data::npy::shape_text;
use crate::error::Result;
use crate::model_file::{self, ModelFile, PortFacts};
use crate::report::memory_map;
use crate::report::text::{self, Column};

/// The JSON object of `inspect`; the first eleven keys are fixed words of the design.
#[derive(Debug, Serialize)]
pub struct Facts {
    arena_bytes: usize,
    model_bytes: usize,
    weight_bytes: usize,
    macs: u64,
    target: &'static str,
    rounding: &'static str,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    ops: Vec<Op>,
    name: String,
    writer: String,
    source_hash: String,
    labels: Vec<String>,
    self_test: bool,
}

/// An input or output in JSON.
#[derive(Debug, Serialize)]
pub struct Port {
    name: String,
    shape: Vec<usize>,
    dtype: &'static str,
    scale: Option<f32>,
    zero_point: Option<i32>,
}

impl From<PortFacts> for Port {
    fn from(facts: PortFacts) -> Port {
        Port {
            name: facts.name,
            shape: facts.shape,
            dtype: facts.dtype.name(),
            scale: facts.quantization.map(|(scale, _)| scale),
            zero_point: facts.quantization.map(|(_, zero_point)| zero_point),
        }
    }
}

#[derive(Debug, Serialize)]
struct Op {
    index: usize,
    name: String,
    op: String,
    kernel: &'static str,
    macs: u64,
    outputs: Vec<Vec<usize>>,
    scratch_bytes: u64,
}

/// Collects the facts of a verified model.
pub fn facts(model: &Model<'_>) -> Facts {
    let ops: Vec<Op> = model_file::layers(model)
        .into_iter()
        .map(|layer| Op {
            index: layer.index,
            name: layer.name,
            op: layer.op,
            kernel: layer.code,
            macs: layer.macs,
            outputs: layer.outputs,
            scratch_bytes: layer.scratch_bytes,
        })
        .collect();
    let names = model.names();
    Facts {
        arena_bytes: model.arena_bytes(),
        model_bytes: model.bytes().len(),
        weight_bytes: model.constants().len(),
        macs: ops.iter().fold(0, |sum, op| sum.saturating_add(op.macs)),
        target: model.target().name(),
        rounding: model.rounding().name(),
        inputs: model_file::inputs(model).into_iter().map(Port::from).collect(),
        outputs: model_file::outputs(model).into_iter().map(Port::from).collect(),
        ops,
        name: names.model().unwrap_or_default().to_string(),
        writer: names.writer().unwrap_or_default().to_string(),
        source_hash: model.source_hash().iter().map(|byte| format!("{byte:02x}")).collect(),
        labels: (0..).map_while(|class| names.label(class)).map(str::to_string).collect(),
        self_test: model.self_test().is_some(),
    }
}

pub fn execute(args: &InspectArgs) -> Result<Answer> {
    let file = ModelFile::read(&args.file)?;
    let model = file.model()?;
    let facts = facts(&model);
    if args.json {
        return Answer::json(&facts);
    }
    Ok(Answer::Text(describe(&model, &facts)))
}

/// The file as text.
fn describe(model: &Model<'_>, facts: &Facts) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", if facts.name.is_empty() { "Model" } else { &facts.name });
    let lines = [
        (
            "file",
            format!(
                "{} bytes, {} of them constants",
                text::count(facts.model_bytes),
                text::count(facts.weight_bytes)
            ),
        ),
        ("arena", format!("{} bytes", text::count(facts.arena_bytes))),
        ("work", format!("{} multiply-accumulates", text::thousands(facts.macs))),
        ("target", facts.target.to_string()),
        ("rounding", facts.rounding.to_string()),
        ("source", facts.source_hash.get(..16).map_or("not recorded".into(), |h| format!("SHA-256 {h}…"))),
        ("self-test", if facts.self_test { "recorded" } else { "none" }.to_string()),
    ];
    for (name, value) in lines {
        let _ = writeln!(out, "  {name:<10} {value}");
    }

    let ports = facts.inputs.iter().map(|p| ("input", p)).chain(facts.outputs.iter().map(|p| ("output", p)));
    let columns = [
        Column::Left(""),
        Column::Left("name"),
        Column::Left("shape"),
        Column::Left("type"),
        Column::Right("scale"),
        Column::Right("zero point"),
    ];
    let rows = ports.map(|(kind, port)| {
        vec![
            kind.to_string(),
            port.name.clone(),
            shape_text(&port.shape),
            port.dtype.to_string(),
            port.scale.map_or("-".into(), |s| s.to_string()),
            port.zero_point.map_or("-".into(), |z| z.to_string()),
        ]
    });
    let _ = writeln!(out, "\n{}", text::table(&columns, rows));

    let columns = [
        Column::Right("#"),
        Column::Left("layer"),
        Column::Left("operator"),
        Column::Left("output"),
        Column::Right("MACs"),
        Column::Right("scratch"),
    ];
    let rows = facts.ops.iter().map(|op| {
        let shapes: Vec<String> = op.outputs.iter().map(|shape| shape_text(shape)).collect();
        vec![
            op.index.to_string(),
            text::layer(&op.name),
            op.op.clone(),
            shapes.join(", "),
            text::thousands(op.macs),
            text::thousands(op.scratch_bytes),
        ]
    });
    let _ = writeln!(out, "\n{}\n", text::table(&columns, rows));
    out + &memory_map::draw(model)
}
