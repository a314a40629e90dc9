//! What an IF asks for: a truth value that is an input of the model, or a comparison of one number with a constant.
//!
//! Importers leave comparisons in the graph as what they are called, since most become part of something else
//! (`choices`); what is left as the condition of an IF becomes a COMPARE here.

use crate::error::Result;
use crate::graph::{Compare, CompareKind, DType, Graph, Op, Unsupported, ValueId};
use crate::ops::{CONDITION, TAKEN_BY};
use crate::unsupported::{is_condition, truth_at_border};

/// Why a condition that is something else cannot be converted.
const ASKED: &str = "the condition of an IF; supported are an input of type bool, and a comparison of one number of \
                     float32 or int8 with a constant";

/// Turns the conditions of IF into what the graph computes.
pub(super) fn run(graph: &mut Graph) {
    let asks = |index: usize, graph: &Graph| match graph.nodes[index].op {
        Op::Choose(_) => graph.nodes[index].input(CONDITION),
        _ => None,
    };
    for index in 0..graph.nodes.len() {
        while let Some(condition) = asks(index, graph) {
            let Some(writer) = graph.nodes.iter().position(|node| node.outputs.contains(&condition)) else {
                break;
            };
            match negated(graph, writer) {
                // Both sides change places.
                Some(inner) => {
                    let inputs = &mut graph.nodes[index].inputs;
                    inputs[CONDITION] = Some(inner);
                    inputs.swap(TAKEN_BY[0], TAKEN_BY[1]);
                }
                None => {
                    compare(graph, writer);
                    break;
                }
            }
        }
    }
}

/// What a node negates.
fn negated(graph: &Graph, node: usize) -> Option<ValueId> {
    let node = &graph.nodes[node];
    let code = code(&node.op)?;
    node.input(0).filter(|_| ["LOGICAL_NOT", "LogicalNot"].contains(&code))
}

/// The name of an operator that has not been translated.
fn code(op: &Op) -> Option<&str> {
    match op {
        Op::Unsupported(Unsupported { code, .. }) => Some(code),
        _ => None,
    }
}

/// Makes a comparison with a constant what it is, or says what is asked for.
fn compare(graph: &mut Graph, index: usize) {
    let node = &graph.nodes[index];
    let Some(code) = code(&node.op) else { return };
    let found = CompareKind::of(code).and_then(|kind| {
        let sides = [node.input(0)?, node.input(1)?];
        let value = |id: ValueId| graph.value(id);
        let fits = |id: ValueId| {
            let int8 = value(id).dtype == DType::Int8 && value(id).quantization.is_some();
            (value(id).dtype == DType::Float32 || int8) && value(id).elements() == 1
        };
        match sides.map(|id| value(id).constant.is_some()) {
            _ if !sides.into_iter().all(fits) => None,
            [false, true] => Some((kind, sides)),
            [true, false] => Some((kind.flipped(), [sides[1], sides[0]])),
            _ => None,
        }
    });
    let node = &mut graph.nodes[index];
    match found {
        Some((kind, sides)) => {
            node.op = Op::Compare(Compare { kind });
            node.inputs = sides.map(Some).to_vec();
        }
        None => {
            if let Op::Unsupported(unsupported) = &mut node.op {
                unsupported.reason = ASKED.into();
            }
        }
    }
}

/// Refuses truth values at the border of a model that are no condition of an IF. Where an IF cannot be converted, that
/// is said instead.
pub(super) fn check_borders(graph: &Graph) -> Result<()> {
    let refused =
        graph.nodes.iter().filter_map(|node| code(&node.op)).any(|code| ["IF", "If"].contains(&code));
    let mut inputs = graph.inputs.iter().filter(|id| graph.value(**id).dtype == DType::Bool && !refused);
    match inputs.find(|id| !is_condition(graph, **id)) {
        Some(&id) => Err(truth_at_border(&graph.value(id).name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Choose, Constant, Node, Quantization, Value};

    /// A graph in which an IF asks for what `nodes` make: each has a code, its operands and its result, of the values
    /// `x` 0, `bound` 1, `other` 2, truths 3 and 4, the result 5.
    fn asked(condition: usize, nodes: &[(&str, &[usize], usize)]) -> Graph {
        let mut graph = Graph::default();
        for number in 0..6 {
            let (dtype, constant) = match number {
                1 => (DType::Float32, Some(Constant::F32(vec![0.5]))),
                3 | 4 => (DType::Bool, None),
                _ => (DType::Float32, None),
            };
            let (name, shape) = (number.to_string(), vec![1]);
            graph.add_value(Value { name, shape, dtype, quantization: None, constant });
        }
        let node = |name: &str, op, inputs: &[usize], output| {
            let inputs = inputs.iter().map(|&id| Some(ValueId(id))).collect();
            Node { name: name.into(), op, inputs, outputs: vec![ValueId(output)] }
        };
        for &(code, inputs, output) in nodes {
            let op = Op::Unsupported(Unsupported { code: code.into(), reason: String::new() });
            graph.nodes.push(node(code, op, inputs, output));
        }
        graph.nodes.push(node("if", Op::Choose(Choose { block: 0 }), &[condition, 0, 2], 5));
        (graph.inputs, graph.outputs) = (vec![ValueId(0), ValueId(2)], vec![ValueId(5)]);
        graph
    }

    #[test]
    fn comparisons_with_a_constant_are_conditions() {
        for (code, inputs, wanted) in [
            ("GREATER", [0, 1], CompareKind::Greater),
            ("Greater", [1, 0], CompareKind::Less),
            ("LESS_EQUAL", [1, 0], CompareKind::GreaterEqual),
            ("GreaterOrEqual", [0, 1], CompareKind::GreaterEqual),
            ("NotEqual", [1, 0], CompareKind::NotEqual),
        ] {
            let mut graph = asked(3, &[(code, &inputs, 3)]);
            run(&mut graph);
            assert_eq!(graph.nodes[0].op, Op::Compare(Compare { kind: wanted }), "{code}");
            assert_eq!(graph.nodes[0].inputs, [Some(ValueId(0)), Some(ValueId(1))], "{code}");
        }
    }

    #[test]
    fn both_sides_of_a_negated_condition_change_places() {
        let mut graph = asked(4, &[("LESS", &[0, 1], 3), ("LOGICAL_NOT", &[3], 4)]);
        run(&mut graph);
        let choose = &graph.nodes[2].inputs;
        assert_eq!(choose[..], [Some(ValueId(3)), Some(ValueId(2)), Some(ValueId(0))]);
        assert_eq!(graph.nodes[0].op, Op::Compare(Compare { kind: CompareKind::Less }));
    }

    #[test]
    fn other_conditions_are_told() {
        let long = |graph: &mut Graph| graph.value_mut(ValueId(0)).shape = vec![2];
        let int16 = |graph: &mut Graph| {
            let quantization = Some(Quantization::per_tensor(0.5, 0));
            let value = graph.value_mut(ValueId(0));
            (value.dtype, value.quantization) = (DType::Int16, quantization);
        };
        type Change<'a> = &'a dyn Fn(&mut Graph);
        let cases: [(&str, [usize; 2], Change<'_>); 5] = [
            ("LESS", [0, 2], &|_| ()),
            ("LESS", [1, 1], &|_| ()),
            ("LESS", [0, 1], &long),
            ("LESS", [0, 1], &int16),
            ("LOGICAL_AND", [0, 1], &|_| ()),
        ];
        for (code, inputs, change) in cases {
            let mut graph = asked(3, &[(code, &inputs, 3)]);
            change(&mut graph);
            run(&mut graph);
            let layers = crate::unsupported::unsupported_layers(&graph);
            assert!(layers.len() == 1 && layers[0].reason.contains("an input of type bool"), "{layers:?}");
        }
    }

    #[test]
    fn only_conditions_may_be_truth_values_at_the_border() {
        let mut graph = asked(3, &[]);
        graph.inputs.push(ValueId(3));
        assert!(check_borders(&graph).is_ok());
        graph.nodes[0].inputs[1] = Some(ValueId(3));
        assert!(check_borders(&graph).unwrap_err().message.contains("`3`"));
        graph.nodes[0].inputs[1] = Some(ValueId(0));
        graph.inputs.push(ValueId(4));
        assert!(check_borders(&graph).unwrap_err().message.contains("`4`"), "nothing reads it");
    }
}
