//! What an IF asks for: one truth value. One that is negated asks for the other branch, so that nothing is computed.

use crate::graph::{Graph, LogicKind, Op, ValueId};
use crate::ops::{CONDITION, TAKEN_BY};

/// Takes negations from the conditions of IF.
pub(super) fn run(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        while let Some(inner) = negated(graph, index) {
            // Both sides change places.
            let inputs = &mut graph.nodes[index].inputs;
            inputs[CONDITION] = Some(inner);
            inputs.swap(TAKEN_BY[0], TAKEN_BY[1]);
        }
    }
}

/// What the condition of an IF negates.
fn negated(graph: &Graph, index: usize) -> Option<ValueId> {
    let Op::Choose(_) = graph.nodes[index].op else { return None };
    let condition = graph.nodes[index].input(CONDITION)?;
    let writer = graph.nodes.iter().find(|node| node.outputs.contains(&condition))?;
    writer.input(0).filter(|_| writer.op == Op::Logic(LogicKind::Not))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Choose, DType, Node, Value};

    #[test]
    fn both_sides_of_a_negated_condition_change_places() {
        let mut graph = Graph::default();
        for number in 0..5 {
            let dtype = if number < 2 { DType::Bool } else { DType::Float32 };
            let (name, shape) = (number.to_string(), vec![1]);
            graph.add_value(Value { name, shape, dtype, quantization: None, constant: None });
        }
        let node = |op, inputs: &[usize], output| {
            let inputs = inputs.iter().map(|&id| Some(ValueId(id))).collect();
            Node { name: "node".into(), op, inputs, outputs: vec![ValueId(output)] }
        };
        graph.nodes.push(node(Op::Logic(LogicKind::Not), &[0], 1));
        graph.nodes.push(node(Op::Choose(Choose { block: 0 }), &[1, 2, 3], 4));
        run(&mut graph);
        assert_eq!(graph.nodes[1].inputs[..], [Some(ValueId(0)), Some(ValueId(3)), Some(ValueId(2))]);
    }
}
