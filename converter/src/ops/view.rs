//! A view: the elements of a tensor under other dimensions, which TRANSPOSE and RESHAPEs that add or
//! drop dimensions of size 1 make.

use crate::graph::{Graph, Node, Op, Transpose, ValueId};

/// For each dimension of the result the one of the source that it is, or none for a new one of size 1.
/// Source dimensions that are not named have size 1 and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View(pub Vec<Option<usize>>);

impl View {
    /// The view that a node makes of its first operand, if it makes one.
    pub(crate) fn of(graph: &Graph, node: &Node) -> Option<View> {
        let (source, result) = (graph.value(node.input(0)?), graph.value(*node.outputs.first()?));
        match &node.op {
            Op::Transpose(Transpose { permutation }) => {
                Some(View(permutation.iter().copied().map(Some).collect()))
            }
            Op::Reshape => View::between(&source.shape, &result.shape),
            _ => None,
        }
    }

    /// A view that keeps the order of elements, if the shapes differ by dimensions of size 1 only. Those
    /// stand for one another in their order.
    fn between(source: &[usize], result: &[usize]) -> Option<View> {
        let large = |shape: &[usize]| (0..shape.len()).filter(|&d| shape[d] != 1).collect::<Vec<_>>();
        let (from, to) = (large(source), large(result));
        if from.len() != to.len() || from.iter().zip(&to).any(|(&a, &b)| source[a] != result[b]) {
            return None;
        }
        let mut large = from.into_iter();
        let mut small = (0..source.len()).filter(|&d| source[d] == 1);
        Some(View(result.iter().map(|&n| if n == 1 { small.next() } else { large.next() }).collect()))
    }

    /// This view, then another one of its result.
    pub(crate) fn then(&self, next: &View) -> View {
        View(next.0.iter().map(|d| d.and_then(|d| self.0.get(d).copied().flatten())).collect())
    }

    /// The view back to a source of `rank` dimensions.
    pub(crate) fn inverse(&self, rank: usize) -> View {
        View((0..rank).map(|d| self.place(d)).collect())
    }

    /// Where a dimension of the source is in the result.
    pub(crate) fn place(&self, dimension: usize) -> Option<usize> {
        self.0.iter().position(|&d| d == Some(dimension))
    }

    /// The result's form of something that the source has for each dimension.
    pub(crate) fn map<T: Clone>(&self, each: &[T], new: T) -> Vec<T> {
        self.0.iter().map(|d| d.and_then(|d| each.get(d).cloned()).unwrap_or_else(|| new.clone())).collect()
    }

    /// The shape of the result.
    pub(crate) fn shape(&self, source: &[usize]) -> Vec<usize> {
        self.map(source, 1)
    }

    /// Whether all dimensions that go have size 1.
    pub(crate) fn fits(&self, source: &[usize]) -> bool {
        (0..source.len()).all(|d| source[d] == 1 || self.place(d).is_some())
    }

    /// Whether elements keep their order in memory.
    pub(crate) fn keeps_order(&self, source: &[usize]) -> bool {
        let large: Vec<usize> =
            self.0.iter().flatten().copied().filter(|&d| source.get(d) != Some(&1)).collect();
        large.is_sorted()
    }

    /// Whether what is left without some dimensions keeps its order, in the shape of `result`.
    pub(crate) fn keeps_rest(&self, source: &[usize], axes: &[usize], result: &[usize]) -> bool {
        let left = View(self.0.iter().copied().filter(|d| d.is_some_and(|d| !axes.contains(&d))).collect());
        left.keeps_order(source) && left.shape(source) == result
    }

    /// Whether nothing changes at all.
    pub(crate) fn is_identity(&self, source: &[usize]) -> bool {
        self.keeps_order(source) && self.shape(source) == source
    }

    /// What the view costs: moved elements count, and each node a little.
    pub(crate) fn cost(&self, source: &[usize]) -> usize {
        if self.is_identity(source) {
            0
        } else if self.keeps_order(source) {
            1
        } else {
            let nodes = if self.permutation(source.len()).is_some() { 1 } else { 2 };
            source.iter().product::<usize>().saturating_mul(4).saturating_add(nodes)
        }
    }

    /// The permutation that the view is, if it neither adds nor drops dimensions.
    pub(crate) fn permutation(&self, rank: usize) -> Option<Vec<usize>> {
        let all: Vec<usize> = self.0.iter().copied().collect::<Option<_>>()?;
        (all.len() == rank).then_some(all)
    }

    /// The number of elements that lie before each element of the result, in the source.
    pub(crate) fn places(&self, source: &[usize]) -> Vec<usize> {
        let mut strides = vec![1; source.len()];
        for d in (1..source.len()).rev() {
            strides[d - 1] = strides[d] * source[d];
        }
        let mut places = vec![0];
        for dimension in &self.0 {
            let (size, stride) = dimension.map_or((1, 0), |d| (source[d], strides[d]));
            places = places.iter().flat_map(|&p| (0..size).map(move |i| p + i * stride)).collect();
        }
        places
    }
}

/// The value of which `id` is a view, the view, and how many nodes make it.
pub(crate) fn origin(
    graph: &Graph,
    writers: &std::collections::HashMap<ValueId, usize>,
    id: ValueId,
) -> (ValueId, View, usize) {
    let (mut source, mut count) = (id, 0);
    let mut view = View((0..graph.value(id).shape.len()).map(Some).collect());
    while let Some(node) = writers.get(&source).map(|&at| &graph.nodes[at]) {
        let (Some(step), Some(before)) = (View::of(graph, node), node.input(0)) else { break };
        if graph.value(before).constant.is_some() {
            break;
        }
        view = step.then(&view);
        source = before;
        count += 1;
    }
    (source, view, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_compose_and_invert() {
        let to_nchw = View(vec![Some(0), Some(3), Some(1), Some(2)]);
        let shape = [1, 5, 6, 3];
        assert_eq!(to_nchw.shape(&shape), [1, 3, 5, 6]);
        assert!(to_nchw.then(&to_nchw.inverse(4)).is_identity(&shape));
        assert!(!to_nchw.keeps_order(&shape) && to_nchw.keeps_order(&[1, 5, 6, 1]));
        let drop = View::between(&[1, 3, 1, 6], &[1, 3, 6]).unwrap();
        assert_eq!(drop, View(vec![Some(0), Some(1), Some(3)]));
        assert!(drop.fits(&[2, 3, 1, 6]) && !drop.fits(&[1, 3, 4, 6]));
        assert!(drop.then(&drop.inverse(4)).is_identity(&[1, 3, 1, 6]));
        assert_eq!(View::between(&[2, 3], &[3, 2]), None);
        assert_eq!(View(vec![Some(1), Some(0)]).places(&[2, 3]), [0, 3, 1, 4, 2, 5]);
    }
}
