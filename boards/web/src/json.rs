//! What is in a model, as JSON.

use std::fmt::Write;

use ferrolite_runtime::params::GatherParams;
use ferrolite_runtime::{DType, Model, Node, OpCode, Port};

/// The object that `js/ferrolite.js` reads. Sizes are bytes.
pub fn facts(model: &Model<'_>) -> String {
    let names = model.names();
    let mut json = String::from("{");
    // Writing to a string does not fail.
    let _ = write!(
        json,
        "\"name\":{},\"model_bytes\":{},\"arena_bytes\":{},\"state_bytes\":{},\"target\":{},\"rounding\":{},\"self_test\":{}",
        text(names.model().unwrap_or_default()),
        model.bytes().len(),
        model.arena_bytes(),
        model.state_bytes(),
        text(model.target_name()),
        text(model.rounding().name()),
        model.self_test().is_some(),
    );
    let mut labels = Vec::new();
    while let Some(label) = names.label(labels.len()) {
        labels.push(text(label));
    }
    let ports = |list: &[Port], prefix: &str, name: &dyn Fn(usize) -> Option<String>| {
        let port = |(index, port): (usize, &Port)| {
            let name = name(index).filter(|name| !name.is_empty()).unwrap_or(format!("{prefix}{index}"));
            self::port(model, port, &name)
        };
        list.iter().enumerate().map(port).collect::<Vec<_>>()
    };
    let owned = |name: Option<&str>| name.map(str::to_string);
    let inputs = ports(model.inputs(), "in", &|index| owned(model.input_name(index)));
    let outputs = ports(model.outputs(), "out", &|index| owned(model.output_name(index)));
    let variables = ports(model.variables(), "variable", &|index| owned(model.variable_name(index)));
    let layers = (0..model.ops().len()).map(|index| layer(model, index)).collect();
    let lists = [
        ("labels", labels),
        ("inputs", inputs),
        ("outputs", outputs),
        ("variables", variables),
        ("layers", layers),
    ];
    for (key, list) in lists {
        let _ = write!(json, ",\"{key}\":[{}]", list.join(","));
    }
    json + "}"
}

fn port(model: &Model<'_>, port: &Port, name: &str) -> String {
    let tensor = model.tensors().get(port.tensor as usize);
    let dtype = tensor.and_then(|tensor| tensor.dtype()).unwrap_or(DType::Int8);
    let (scale, zero_point) = match port.scale > 0.0 && port.scale.is_finite() {
        // All digits that tell one float32 from another.
        true => (f64::from(port.scale).to_string(), port.zero_point.to_string()),
        false => ("null".into(), "null".into()),
    };
    format!(
        "{{\"name\":{},\"shape\":{:?},\"dtype\":{},\"scale\":{scale},\"zero_point\":{zero_point},\"offset\":{},\
         \"count\":{}}}",
        text(name),
        port.shape(),
        text(dtype.name()),
        // Where a variable lies in the state.
        tensor.map_or(0, |tensor| (tensor.offset as usize).saturating_sub(model.state_start())),
        count(model, port.tensor).map_or("null".into(), |count| count.to_string()),
    )
}

/// How many things an input of indices chooses among: the fewest rows of all tables that it is read as indices of. A
/// device takes the nearest row for an index beyond them, which here is refused as on the host.
fn count(model: &Model<'_>, tensor: u32) -> Option<u32> {
    let gathers = model.ops().iter().filter(|op| op.code == OpCode::Gather as u16);
    let reading = gathers.filter(|op| model.operands(op).get(1).copied().map(u32::from) == Some(tensor));
    reading.filter_map(|op| Some(Node::new(model, op).params::<GatherParams>().ok()?.count)).min()
}

fn layer(model: &Model<'_>, index: usize) -> String {
    let names = model.names();
    let op = &model.ops()[index];
    let kernel = OpCode::from_code(op.code).map_or("custom", OpCode::name);
    let name =
        names.op(index).filter(|name| !name.is_empty()).map_or(format!("{kernel}_{index}"), str::to_string);
    let outputs = model.operands(op).iter().skip(op.inputs.into()).map(|&tensor| {
        let named = names.tensor_port(tensor.into()).map(|port| format!("{:?}", port.shape()));
        let bytes = model.tensors().get(usize::from(tensor)).map_or(0, |tensor| tensor.bytes);
        named.unwrap_or_else(|| format!("[{bytes}]"))
    });
    format!(
        "{{\"name\":{},\"op\":{},\"kernel\":{},\"macs\":{},\"outputs\":[{}]}}",
        text(&name),
        text(names.op_kind(index).filter(|kind| !kind.is_empty()).unwrap_or(kernel)),
        text(kernel),
        names.op_macs(index).unwrap_or(0),
        outputs.collect::<Vec<_>>().join(","),
    )
}

/// A string of JSON.
fn text(words: &str) -> String {
    let mut json = String::from("\"");
    for letter in words.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            ' '.. => json.push(letter),
            control => {
                // Writing to a string does not fail.
                let _ = write!(json, "\\u{:04x}", control as u32);
            }
        }
    }
    json + "\""
}
