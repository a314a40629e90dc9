//! Loops over time that TensorFlow's converter leaves as WHILE: `tests/import/loops`.

use std::path::PathBuf;

use crate::data::npz::Npz;
use crate::graph::{Cell, Op};
use crate::import::load;
use crate::passes;
use crate::reference::Executor;
use crate::shared_models::rows;

/// The cells of a model, whose outputs are TensorFlow's.
fn cells(name: &str, outputs: &[&str]) -> Vec<Cell> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/import/loops"));
    let mut npz = Npz::open(&folder.join("vectors.npz")).unwrap();
    let mut graph = load(&folder.join(format!("{name}.tflite"))).unwrap().graph;
    let inputs = rows(&mut npz, &format!("{name}/in"));
    let expected: Vec<Vec<Vec<f32>>> =
        outputs.iter().map(|output| rows(&mut npz, &format!("{name}/{output}"))).collect();
    for optimised in [false, true] {
        if optimised {
            passes::optimise(&mut graph);
        }
        let executor = Executor::new(&graph).unwrap();
        for (sample, input) in inputs.iter().enumerate() {
            let found = executor.run(&[input]).unwrap();
            assert_eq!(found.len(), outputs.len());
            for found in found {
                // The file may have its outputs in another order.
                let near = |expected: &Vec<Vec<f32>>| {
                    let expected = &expected[sample];
                    expected.len() == found.len()
                        && expected.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-5)
                };
                assert!(expected.iter().any(near), "{name}: {found:?}");
            }
        }
    }
    let cell = |op: &Op| if let Op::Recurrent(layer) = op { Some(layer.cell) } else { None };
    let cells: Vec<Cell> = graph.nodes.iter().filter_map(|node| cell(&node.op)).collect();
    // Nothing of the loop is left but copies.
    for node in &graph.nodes {
        let copies = matches!(node.op, Op::Reshape | Op::Slice(_) | Op::Transpose(_) | Op::Recurrent(_));
        assert!(copies, "{name}: {}", node.name);
    }
    cells
}

#[test]
fn cells_in_loops_become_one_layer_each() {
    assert_eq!(cells("lstm", &["all", "last"]), [Cell::Lstm]);
    assert_eq!(cells("gru", &["last"]), [Cell::Gru { reset_after: false }]);
    assert_eq!(cells("stacked", &["last"]), [Cell::Simple; 2]);
}
