//! Sparse constants, stored level by level, become dense ones. Source followed: TFLite
//! `kernels/internal/utils/sparsity_format_converter.cc`.
//!
//! A level of the tree is a dimension, or a block's part of one, in the order of the file. Below each node of a dense
//! level are nodes for all indices, below one of a sparse level those that the file lists. The leaves are the elements
//! that the buffer holds, in order.

use crate::tflite as schema;

/// One level.
enum Level {
    Dense(usize),
    /// The nodes below node `i` of the level above have the numbers `segments[i]..segments[i + 1]`, and these indices.
    Sparse {
        segments: Vec<usize>,
        indices: Vec<usize>,
    },
}

/// For each element that is stored, in order, its place in the dense tensor. `Err` says what is wrong.
pub(super) fn places(
    sparsity: &schema::SparsityParameters<'_>,
    shape: &[usize],
) -> Result<Vec<usize>, String> {
    let numbers = |vector: Option<flatbuffers::Vector<'_, i32>>| -> Option<Vec<usize>> {
        vector.into_iter().flatten().map(|n| usize::try_from(n).ok()).collect()
    };
    let damaged = || "its sparse storage is damaged".to_string();
    let order = numbers(sparsity.traversal_order()).ok_or_else(damaged)?;
    let blocks = numbers(sparsity.block_map()).ok_or_else(damaged)?;
    let levels: Option<Vec<Level>> =
        sparsity.dim_metadata().into_iter().flatten().map(|m| level(&m)).collect();
    let levels = levels.ok_or_else(damaged)?;
    let rank = shape.len();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    let fits = order.len() == rank + blocks.len()
        && levels.len() == order.len()
        && sorted.iter().copied().eq(0..order.len())
        && blocks.iter().all(|&dim| dim < rank)
        && order.iter().take(rank).all(|&dim| dim < rank);
    if !fits {
        return Err(damaged());
    }
    let sizes: Vec<usize> =
        levels.iter().map(|level| if let Level::Dense(size) = level { *size } else { 1 }).collect();
    let largest = |dim: usize| shape[dim.checked_sub(rank).map_or(dim, |block| blocks[block])];
    if order.iter().zip(&sizes).any(|(&dim, &size)| size > largest(dim)) {
        return Err(damaged());
    }
    let tree = Tree { levels, order, blocks, shape, sizes };
    let mut places = Vec::new();
    let most = shape.iter().product();
    tree.walk(0, 0, &mut vec![0; rank], &mut places, most).ok_or_else(damaged)?;
    Ok(places)
}

/// What a level says, all numbers at least 0.
fn level(metadata: &schema::DimensionMetadata<'_>) -> Option<Level> {
    if metadata.format() == schema::DimensionType::DENSE {
        return usize::try_from(metadata.dense_size()).ok().map(Level::Dense);
    }
    let segments = numbers(
        metadata.array_segments_as_int_32_vector(),
        metadata.array_segments_as_uint_16_vector(),
        metadata.array_segments_as_uint_8_vector(),
    )?;
    let indices = numbers(
        metadata.array_indices_as_int_32_vector(),
        metadata.array_indices_as_uint_16_vector(),
        metadata.array_indices_as_uint_8_vector(),
    )?;
    Some(Level::Sparse { segments, indices })
}

fn numbers(
    words: Option<schema::Int32Vector<'_>>,
    halfwords: Option<schema::Uint16Vector<'_>>,
    bytes: Option<schema::Uint8Vector<'_>>,
) -> Option<Vec<usize>> {
    match (words, halfwords, bytes) {
        (Some(v), _, _) => v.values()?.iter().map(|n| usize::try_from(n).ok()).collect(),
        (_, Some(v), _) => Some(v.values()?.iter().map(usize::from).collect()),
        (_, _, Some(v)) => Some(v.values()?.iter().map(usize::from).collect()),
        _ => None,
    }
}

struct Tree<'a> {
    levels: Vec<Level>,
    /// The dimension of each level; those of blocks are counted on behind the tensor's.
    order: Vec<usize>,
    /// The dimension that each block divides.
    blocks: Vec<usize>,
    shape: &'a [usize],
    /// Nodes below each node of a dense level.
    sizes: Vec<usize>,
}

impl Tree<'_> {
    /// Goes through the nodes of a level below node `above`, at this index of the tensor so far. Gives up beyond `most`
    /// elements.
    fn walk(
        &self,
        depth: usize,
        above: usize,
        index: &mut Vec<usize>,
        places: &mut Vec<usize>,
        most: usize,
    ) -> Option<()> {
        let Some(level) = self.levels.get(depth) else {
            let inside = index.iter().zip(self.shape).all(|(i, dim)| i < dim);
            if !inside || places.len() >= most {
                return None;
            }
            places.push(index.iter().zip(self.shape).fold(0, |place, (i, dim)| place * dim + i));
            return Some(());
        };
        let dim = *self.order.get(depth)?;
        let (dim, size) = match dim.checked_sub(self.shape.len()) {
            None => (dim, 1),
            Some(block) => (*self.blocks.get(block)?, self.sizes[depth]),
        };
        let before = index[dim];
        let mut below = |node: usize, number: usize| {
            index[dim] = before.checked_mul(size)?.checked_add(number)?;
            self.walk(depth + 1, node, index, places, most)
        };
        match level {
            Level::Dense(count) => {
                for number in 0..*count {
                    below(above.checked_mul(*count)?.checked_add(number)?, number)?;
                }
            }
            Level::Sparse { segments, indices } => {
                for node in *segments.get(above)?..*segments.get(above + 1)? {
                    below(node, *indices.get(node)?)?;
                }
            }
        }
        index[dim] = before;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tflite as schema;
    use flatbuffers::FlatBufferBuilder;

    /// Two rows of two blocks of 2x2, of which the file has the second and the third; blocks by rows.
    fn blocks(indices: &[i32]) -> Result<Vec<usize>, String> {
        let fbb = &mut FlatBufferBuilder::new();
        let dense = |fbb: &mut FlatBufferBuilder<'static>, dense_size| {
            schema::DimensionMetadata::create(
                fbb,
                &schema::DimensionMetadataArgs { dense_size, ..Default::default() },
            )
        };
        let vector = |fbb: &mut FlatBufferBuilder<'static>, numbers: &[i32]| {
            let values = Some(fbb.create_vector(numbers));
            Some(schema::Int32Vector::create(fbb, &schema::Int32VectorArgs { values }).as_union_value())
        };
        let (array_segments, array_indices) = (vector(fbb, &[0, 1, 2]), vector(fbb, indices));
        let sparse = schema::DimensionMetadataArgs {
            format: schema::DimensionType::SPARSE_CSR,
            array_segments_type: schema::SparseIndexVector::Int32Vector,
            array_segments,
            array_indices_type: schema::SparseIndexVector::Int32Vector,
            array_indices,
            ..Default::default()
        };
        let sparse = schema::DimensionMetadata::create(fbb, &sparse);
        let levels = [dense(fbb, 2), sparse, dense(fbb, 2), dense(fbb, 2)];
        let dim_metadata = Some(fbb.create_vector(&levels));
        let traversal_order = Some(fbb.create_vector(&[0, 1, 2, 3]));
        let block_map = Some(fbb.create_vector(&[0, 1]));
        let args = schema::SparsityParametersArgs { traversal_order, block_map, dim_metadata };
        let whole = schema::SparsityParameters::create(fbb, &args);
        fbb.finish(whole, None);
        let read = flatbuffers::root::<schema::SparsityParameters<'_>>(fbb.finished_data()).unwrap();
        places(&read, &[4, 4])
    }

    #[test]
    fn blocks_lie_where_their_indices_say() {
        assert_eq!(blocks(&[1, 0]), Ok(vec![2, 3, 6, 7, 8, 9, 12, 13]));
        assert!(blocks(&[1, 2]).is_err() && blocks(&[1]).is_err() && blocks(&[1, -1]).is_err());
    }
}
