//! Constant channels of whole models: the reduced model gives the results of the whole one, with less work.

mod common;
#[path = "common/person.rs"]
mod person;

use common::Net;
use ferrolite::aligned::AlignedBuf;
use ferrolite::emit::{self, Emitted};
use ferrolite::graph::Graph;
use ferrolite::passes;
use ferrolite_schema::Rounding;

fn compiled(graph: &Graph, rounding: Rounding) -> Emitted {
    emit::compile(graph, &emit::Options { rounding, ..emit::Options::default() }).unwrap()
}

/// Outputs for random pictures, and for pictures of one value.
fn answers(file: &Emitted) -> Vec<Vec<u8>> {
    let file = AlignedBuf::from_bytes(&file.bytes);
    let mut net = Net::new(&file);
    let mut state = 7u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let noise = |_| (0..96 * 96 * 3).map(|_| random()).collect::<Vec<u8>>();
    let mut inputs: Vec<Vec<u8>> = (0..3).map(noise).collect();
    inputs.extend([0x80, 0, 0x7f].map(|level| vec![level; 96 * 96 * 3]));
    inputs.iter().map(|input| net.run(&[input], &mut ()).concat()).collect()
}

#[test]
fn a_person_model_loses_its_dead_channels_and_no_byte() {
    // The share of dead channels, and the largest share of the work that may remain.
    for (dead, share) in [(0, 1.0), (40, 0.5), (50, 0.31)] {
        let before = person::graph(dead);
        let mut after = before.clone();
        let report = passes::optimise(&mut after);
        for rounding in [Rounding::Double, Rounding::Single] {
            let (whole, folded) = (compiled(&before, rounding), compiled(&after, rounding));
            let wanted = answers(&whole);
            assert!(wanted.iter().any(|answer| *answer != wanted[0]), "the pictures tell apart");
            assert_eq!(answers(&folded), wanted, "{dead} % dead: {report:?}");
            let found = folded.macs() as f64 / whole.macs() as f64;
            println!("{dead} % dead: {} -> {} MACs, {report:?}", whole.macs(), folded.macs());
            assert!(found <= share && folded.arena_bytes <= whole.arena_bytes, "{found} of the work is left");
        }
    }
}
