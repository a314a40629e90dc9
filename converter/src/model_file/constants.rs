//! How many bytes of a file's constants belong to each op.
//!
//! The file states where an op's weights, biases, multipliers and tables start, but not how long they are.
//! All constants belong to some op, so each run of bytes ends where the next one starts. Runs that several
//! ops share count for the first of them.

use std::collections::BTreeMap;

use ferrolite_runtime::{Model, OpCode};

/// Bytes of constants, padding included, for each op; their sum is the size of the constants.
pub fn constant_bytes(model: &Model<'_>) -> Vec<u64> {
    let size = model.constants().len() as u64;
    let mut owners: BTreeMap<u64, usize> = BTreeMap::new();
    for (index, op) in model.ops().iter().enumerate() {
        let params = model.params(op);
        let marked = OpCode::from_code(op.code).map_or(&[][..], OpCode::constants);
        let starts = marked.iter().filter_map(|&word| params.get(word).copied());
        let operands = model.operands(op).iter().filter_map(|&id| model.tensors().get(usize::from(id)));
        let tensors = operands.filter(|tensor| tensor.is_constant()).map(|tensor| tensor.offset);
        for start in starts.chain(tensors) {
            owners.entry(start.into()).or_insert(index);
        }
    }
    // Bytes before the first run can only be padding.
    let first = owners.values().next().copied();
    owners.extend(first.map(|owner| (0, owner)));
    let mut bytes = vec![0; model.ops().len()];
    let ends = owners.keys().skip(1).copied().chain([size]).collect::<Vec<u64>>();
    for ((&start, &owner), end) in owners.iter().zip(ends) {
        bytes[owner] += end.saturating_sub(start);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::ModelFile;

    #[test]
    fn every_byte_has_one_owner() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
        let file = ModelFile::read(path.as_ref()).unwrap();
        let model = file.model().unwrap();
        let bytes = constant_bytes(&model);
        assert_eq!(bytes.iter().sum::<u64>(), model.constants().len() as u64);
        // 16 outputs of 1 input, 16 of 16, 1 of 16: weights, int32 biases, multipliers of 8 bytes.
        assert_eq!(bytes.len(), 3);
        assert!(bytes[1] >= 16 * 16 + 16 * 4 && bytes[1] > bytes[0] && bytes[1] > bytes[2], "{bytes:?}");
    }
}
