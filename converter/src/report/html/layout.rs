//! Places the nodes of a graph in layers, so that edges run downwards and cross seldom.
//!
//! The method is Sugiyama's. Each node lies one layer below the lowest node that it reads. A long edge gets a
//! place of its own in every layer that it passes. Within a layer, items are ordered by the middles of their
//! neighbours, and their columns follow the neighbours too. The longest path through the graph is a straight
//! line.

/// Distance of a long edge from its neighbours, in the unit of node widths.
const LANE: f32 = 0.18;

/// Distance of a node from its neighbours.
const NODE: f32 = 1.08;

/// Sweeps over all layers, for the order and for the columns.
const SWEEPS: usize = 6;

/// Most places for long edges. A graph that needs more is drawn with straight edges.
const LANES: usize = 20_000;

/// Where nodes and edges lie. Columns are in node widths, the leftmost centre is at 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Column and layer of each node.
    pub nodes: Vec<(f32, usize)>,
    /// Columns and layers that each edge passes through, its ends included.
    pub edges: Vec<Vec<(f32, usize)>>,
    /// Column of the rightmost centre.
    pub width: f32,
    /// Number of layers.
    pub layers: usize,
}

/// Lays out `count` nodes. They are numbered so that each edge leads from a lower number to a higher one;
/// edges that do not are left out.
pub fn layout(count: usize, edges: &[(usize, usize)]) -> Layout {
    let edges: Vec<(usize, usize)> = edges.iter().copied().filter(|&(a, b)| a < b && b < count).collect();
    let depth = depths(count, &edges);
    let mut grid = Grid::new(count, &edges, &depth);
    for sweep in 0..SWEEPS {
        grid.sort(sweep % 2 == 0);
    }
    grid.spread();
    for sweep in 0..2 * SWEEPS {
        grid.place(sweep % 2 == 0);
    }
    grid.finish(count, &depth)
}

/// The layer of each node: below all nodes that it reads; inputs lie right above their first reader.
fn depths(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut above = vec![Vec::new(); count];
    let mut below = vec![Vec::new(); count];
    for &(from, to) in edges {
        above[to].push(from);
        below[from].push(to);
    }
    let mut depth = vec![0usize; count];
    for node in 0..count {
        depth[node] = above[node].iter().map(|&from| depth[from] + 1).max().unwrap_or(0);
    }
    for node in (0..count).filter(|&node| above[node].is_empty()) {
        let first = below[node].iter().map(|&to| depth[to]).min();
        depth[node] = first.map_or(0, |first| first.saturating_sub(1));
    }
    depth
}

/// A node, or the place of a long edge in one layer.
#[derive(Clone, Default)]
struct Item {
    above: Vec<usize>,
    below: Vec<usize>,
    /// The neighbours above and below that lie on the same line: those on the longest path.
    line: [Option<usize>; 2],
    x: f32,
    lane: bool,
}

struct Grid {
    items: Vec<Item>,
    layers: Vec<Vec<usize>>,
    /// The items that each edge passes through.
    ways: Vec<Vec<usize>>,
}

impl Grid {
    fn new(count: usize, edges: &[(usize, usize)], depth: &[usize]) -> Grid {
        let mut items = vec![Item::default(); count];
        let mut layers = vec![Vec::new(); depth.iter().max().map_or(0, |&deepest| deepest + 1)];
        for (node, &depth) in depth.iter().enumerate() {
            layers[depth].push(node);
        }
        let lanes: usize = edges.iter().map(|&(a, b)| depth[b].saturating_sub(depth[a] + 1)).sum();
        let mut ways = Vec::with_capacity(edges.len());
        for &(from, to) in edges {
            let mut way = vec![from];
            for layer in layers.iter_mut().take(depth[to]).skip(depth[from] + 1) {
                if lanes <= LANES {
                    layer.push(items.len());
                    way.push(items.len());
                    items.push(Item { lane: true, ..Item::default() });
                }
            }
            way.push(to);
            for pair in way.windows(2) {
                items[pair[0]].below.push(pair[1]);
                items[pair[1]].above.push(pair[0]);
            }
            ways.push(way);
        }
        let mut grid = Grid { items, layers, ways };
        grid.find_lines(count, edges);
        grid.number();
        grid
    }

    /// Chooses for each node the successor that leads farthest down, so that the main path of a network is
    /// straight.
    fn find_lines(&mut self, count: usize, edges: &[(usize, usize)]) {
        let mut below = vec![Vec::new(); count];
        edges.iter().for_each(|&(from, to)| below[from].push(to));
        let mut height = vec![0usize; count];
        for node in (0..count).rev() {
            height[node] = below[node].iter().map(|&to: &usize| height[to] + 1).max().unwrap_or(0);
        }
        for node in 0..count {
            let next = self.items[node].below.iter().copied().filter(|&to| to < count);
            let Some(next) = next.max_by_key(|&to| (height[to], std::cmp::Reverse(to))) else { continue };
            if self.items[next].line[0].is_none() {
                self.items[next].line[0] = Some(node);
                self.items[node].line[1] = Some(next);
            }
        }
    }

    /// Numbers the items by the order in their layers.
    fn number(&mut self) {
        for layer in &self.layers {
            for (order, &item) in layer.iter().enumerate() {
                self.items[item].x = order as f32;
            }
        }
    }

    fn neighbours(&self, item: usize, down: bool) -> &[usize] {
        if down { &self.items[item].above } else { &self.items[item].below }
    }

    /// The middle of the neighbours on one side; the item's own place if there are none.
    fn middle(&self, item: usize, down: bool) -> f32 {
        self.mean(self.neighbours(item, down).iter().copied()).unwrap_or(self.items[item].x)
    }

    /// The preferred column of an item: that of its line, else the middle of its neighbours.
    fn wanted(&self, item: usize, down: bool) -> f32 {
        let neighbour = self.items[item].line[usize::from(!down)];
        neighbour.map_or_else(|| self.middle(item, down), |other| self.items[other].x)
    }

    fn mean(&self, items: impl Iterator<Item = usize>) -> Option<f32> {
        let (sum, count) = items.fold((0.0, 0), |(sum, count), item| (sum + self.items[item].x, count + 1));
        (count > 0).then(|| sum / count as f32)
    }

    fn order(&self, down: bool) -> Vec<usize> {
        let all = 0..self.layers.len();
        if down { all.collect() } else { all.rev().collect() }
    }

    /// Orders each layer by the middles of its neighbours in the layer before.
    fn sort(&mut self, down: bool) {
        for layer in self.order(down) {
            let mut keyed: Vec<(f32, usize)> =
                self.layers[layer].iter().map(|&item| (self.middle(item, down), item)).collect();
            // If the middles are equal, nodes stay left of long edges, so that the main line stays straight.
            let lane = |item: usize| self.items[item].lane;
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(lane(a.1).cmp(&lane(b.1))));
            self.layers[layer] = keyed.into_iter().map(|(_, item)| item).collect();
            for (order, &item) in self.layers[layer].iter().enumerate() {
                self.items[item].x = order as f32;
            }
        }
    }

    /// The least distance between two neighbours in a layer.
    fn gap(&self, left: usize, right: usize) -> f32 {
        let half = |item: usize| if self.items[item].lane { LANE } else { NODE } / 2.0;
        half(left) + half(right)
    }

    /// Packs each layer, starting at column 0.
    fn spread(&mut self) {
        for layer in 0..self.layers.len() {
            let mut x = 0.0;
            for place in 0..self.layers[layer].len() {
                let item = self.layers[layer][place];
                if place > 0 {
                    x += self.gap(self.layers[layer][place - 1], item);
                }
                self.items[item].x = x;
            }
        }
    }

    /// Moves items to their preferred columns: nodes on a line first, then those with the most edges. Only
    /// items that have not been placed yet are pushed aside.
    fn place(&mut self, down: bool) {
        for layer in self.order(down) {
            let row = self.layers[layer].clone();
            let mut turns: Vec<usize> = (0..row.len()).collect();
            let weight = |&place: &usize| {
                let item = row[place];
                let edges = self.neighbours(item, down).len();
                let astray = self.items[item].line[usize::from(!down)].is_none();
                (self.items[item].lane, astray, std::cmp::Reverse(edges), place)
            };
            turns.sort_by_key(weight);
            let mut fixed = vec![false; row.len()];
            for place in turns {
                let wanted = self.wanted(row[place], down);
                self.move_to(&row, &fixed, place, wanted);
                fixed[place] = true;
            }
        }
    }

    /// Moves one item as near to a column as the fixed items of its layer allow, and the others out of its
    /// way.
    fn move_to(&mut self, row: &[usize], fixed: &[bool], place: usize, wanted: f32) {
        let (mut low, mut high) = (f32::NEG_INFINITY, f32::INFINITY);
        let mut distance = 0.0;
        for left in (0..place).rev() {
            distance += self.gap(row[left], row[left + 1]);
            if fixed[left] {
                low = self.items[row[left]].x + distance;
                break;
            }
        }
        distance = 0.0;
        for right in place + 1..row.len() {
            distance += self.gap(row[right - 1], row[right]);
            if fixed[right] {
                high = self.items[row[right]].x - distance;
                break;
            }
        }
        // There may be no room at all between two fixed items: then the distance to the left one is kept.
        let x = wanted.min(high).max(low);
        self.items[row[place]].x = x;
        for left in (0..place).rev() {
            let limit = self.items[row[left + 1]].x - self.gap(row[left], row[left + 1]);
            if self.items[row[left]].x <= limit {
                break;
            }
            self.items[row[left]].x = limit;
        }
        for right in place + 1..row.len() {
            let limit = self.items[row[right - 1]].x + self.gap(row[right - 1], row[right]);
            if self.items[row[right]].x >= limit {
                break;
            }
            self.items[row[right]].x = limit;
        }
    }

    fn finish(self, count: usize, depth: &[usize]) -> Layout {
        let left = self.items.iter().map(|item| item.x).fold(f32::INFINITY, f32::min);
        let right = self.items.iter().map(|item| item.x).fold(f32::NEG_INFINITY, f32::max);
        let mut depths: Vec<usize> = depth.to_vec();
        depths.resize(self.items.len(), 0);
        for (layer, items) in self.layers.iter().enumerate() {
            for &item in items {
                depths[item] = layer;
            }
        }
        let at = |item: usize| (self.items[item].x - left, depths[item]);
        Layout {
            nodes: (0..count).map(at).collect(),
            edges: self.ways.iter().map(|way| way.iter().map(|&item| at(item)).collect()).collect(),
            width: if count == 0 { 0.0 } else { right - left },
            layers: self.layers.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_a_straight_line() {
        let edges: Vec<(usize, usize)> = (0..99).map(|i| (i, i + 1)).collect();
        let layout = layout(100, &edges);
        assert_eq!((layout.layers, layout.width), (100, 0.0));
        assert!(layout.nodes.iter().enumerate().all(|(i, &(x, y))| x == 0.0 && y == i));
    }

    #[test]
    fn a_residual_goes_round_the_straight_line() {
        // 0 -> 1 -> 2 -> 3 (adds 0) -> 4
        let layout = layout(5, &[(0, 1), (1, 2), (2, 3), (0, 3), (3, 4)]);
        let columns: Vec<f32> = layout.nodes.iter().map(|node| node.0).collect();
        assert!(columns.iter().all(|x| (x - columns[0]).abs() < 0.1), "{columns:?}");
        let way = &layout.edges[3];
        assert_eq!(way.iter().map(|place| place.1).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!((way[1].0 - columns[1]).abs() > 0.5, "{way:?}");
    }

    #[test]
    fn the_longest_way_stays_straight_beside_branches() {
        // Blocks of 4 nodes: in -> a -> b -> sum, with c beside a.
        let mut edges = Vec::new();
        for block in 0..10 {
            let first = block * 4;
            edges.extend([(0, 1), (0, 3), (1, 2), (2, 4), (3, 4)].map(|(a, b)| (first + a, first + b)));
        }
        let layout = layout(41, &edges);
        assert!(layout.width < 1.5, "{layout:?}");
        let column = layout.nodes[0].0;
        assert!(
            (0..41).filter(|node| node % 4 != 3).all(|node| layout.nodes[node].0 == column),
            "{layout:?}"
        );
    }

    #[test]
    fn nodes_never_cover_one_another() {
        // Four branches of different depth that meet again, twice.
        let mut edges = vec![(0, 1), (0, 2), (0, 3), (0, 4), (2, 5), (3, 6), (6, 7)];
        edges.extend([(1, 8), (5, 8), (7, 8), (4, 8), (8, 9), (8, 10), (9, 11), (10, 11), (0, 11)]);
        let layout = layout(12, &edges);
        for (a, &(x, layer)) in layout.nodes.iter().enumerate() {
            assert!(x >= 0.0 && x <= layout.width, "{layout:?}");
            for &(other, below) in &layout.nodes[a + 1..] {
                assert!(layer != below || (x - other).abs() > 1.0, "{layout:?}");
            }
        }
        assert_eq!(layout.edges.len(), edges.len());
    }

    #[test]
    fn nothing_and_nonsense_are_laid_out() {
        assert_eq!(layout(0, &[]).nodes.len(), 0);
        assert_eq!(layout(2, &[(1, 0), (0, 7)]).edges.len(), 0);
        // A network in which every node reads every other has more long edges than `LANES`.
        let edges: Vec<(usize, usize)> = (0..80).flat_map(|a| (a + 1..80).map(move |b| (a, b))).collect();
        assert_eq!(layout(80, &edges).edges.len(), edges.len());
    }
}
