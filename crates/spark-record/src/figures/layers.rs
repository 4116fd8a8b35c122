//! Where the boxes of a graph stand: in layers from left to right, as Sugiyama, Tagawa & Toda, *Methods for visual
//! understanding of hierarchical system structures*, 1981, lay graphs out.

/// Space between boxes of a layer, and between a line and its neighbours, in pixels.
const APART: (f64, f64) = (34.0, 16.0);

/// A graph laid out. The first places are those of the nodes, the others those where long edges pass a layer.
pub(super) struct Layout {
    /// Layer of each place, from 0.
    pub layer: Vec<usize>,
    /// Height of the middle of each place, in pixels from the top of the graph.
    pub middle: Vec<f64>,
    /// The places that each edge passes, from the lower layer to the higher one; empty for an edge from a node to
    /// itself.
    pub ways: Vec<Vec<usize>>,
    /// Which edges go back against the direction of the layers.
    pub back: Vec<bool>,
    /// Height of the whole, in pixels.
    pub height: f64,
}

/// Lays out `nodes` boxes of a height.
///
/// * `edges`: from which node to which.
pub(super) fn layout(nodes: usize, edges: &[(usize, usize)], height: f64) -> Layout {
    let back = back_edges(nodes, edges);
    let forward = |edge: usize| if back[edge] { (edges[edge].1, edges[edge].0) } else { edges[edge] };
    let mut layer = layers(nodes, (0..edges.len()).filter(|e| edges[*e].0 != edges[*e].1).map(forward));
    let mut ways = Vec::with_capacity(edges.len());
    for (edge, ends) in edges.iter().enumerate() {
        let (from, to) = forward(edge);
        if ends.0 == ends.1 {
            ways.push(Vec::new());
            continue;
        }
        let passed = layer[from] + 1..layer[to];
        let first = layer.len();
        layer.extend(passed.clone());
        ways.push([from].into_iter().chain(first..first + passed.len()).chain([to]).collect());
    }
    let mut neighbours = vec![[Vec::new(), Vec::new()]; layer.len()];
    for pair in ways.iter().flat_map(|way| way.windows(2)) {
        neighbours[pair[1]][0].push(pair[0]);
        neighbours[pair[0]][1].push(pair[1]);
    }
    let mut columns = vec![Vec::new(); layer.iter().max().map_or(0, |most| most + 1)];
    for (place, layer) in layer.iter().enumerate() {
        columns[*layer].push(place);
    }
    order(&mut columns, &neighbours, layer.len());
    let high = |place: usize| if place < nodes { height } else { 0.0 };
    let apart = |above: usize, below: usize| {
        let space = if above < nodes && below < nodes { APART.0 } else { APART.1 };
        (high(above) + high(below)) / 2.0 + space
    };
    let mut middle = heights(&columns, &neighbours, layer.len(), apart);
    let top = middle.iter().enumerate().map(|(place, y)| y - high(place) / 2.0).fold(f64::INFINITY, f64::min);
    let top = if top.is_finite() { top } else { 0.0 };
    middle.iter_mut().for_each(|y| *y -= top);
    let bottom = middle.iter().enumerate().map(|(place, y)| y + high(place) / 2.0).fold(0.0, f64::max);
    Layout { layer, middle, ways, back, height: bottom }
}

/// The edges that close a cycle when the graph is walked from its sources, in the order of the nodes.
fn back_edges(nodes: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    let mut leaving = vec![Vec::new(); nodes];
    let mut entered = vec![false; nodes];
    for (edge, (from, to)) in edges.iter().enumerate() {
        leaving[*from].push(edge);
        entered[*to] |= from != to;
    }
    let mut back = vec![false; edges.len()];
    // 0: not seen, 1: on the way, 2: done.
    let mut state = vec![0_u8; nodes];
    let sources = (0..nodes).filter(|node| !entered[*node]).chain(0..nodes);
    for source in sources.collect::<Vec<_>>() {
        if state[source] != 0 {
            continue;
        }
        state[source] = 1;
        let mut way = vec![(source, 0)];
        while let Some((node, next)) = way.pop() {
            let Some(edge) = leaving[node].get(next) else {
                state[node] = 2;
                continue;
            };
            way.push((node, next + 1));
            let to = edges[*edge].1;
            match state[to] {
                0 => {
                    state[to] = 1;
                    way.push((to, 0));
                }
                1 => back[*edge] = to != node,
                _ => {}
            }
        }
    }
    back
}

/// The layer of each node: one after the last of those that feed it.
fn layers(nodes: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let edges: Vec<_> = edges.collect();
    let mut layer = vec![0; nodes];
    // Without cycles no way is longer than the number of nodes.
    for _ in 0..nodes {
        let mut moved = false;
        for (from, to) in &edges {
            if layer[*to] <= layer[*from] {
                layer[*to] = layer[*from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    layer
}

/// Orders each layer by the mean place of the neighbours, forth and back, so that few lines cross.
fn order(columns: &mut [Vec<usize>], neighbours: &[[Vec<usize>; 2]], places: usize) {
    let mut rank = vec![0.0; places];
    let settle = |column: &[usize], rank: &mut Vec<f64>| {
        for (place, one) in column.iter().enumerate() {
            rank[*one] = place as f64 - (column.len() as f64 - 1.0) / 2.0;
        }
    };
    columns.iter().for_each(|column| settle(column, &mut rank));
    for sweep in 0..8 {
        let side = sweep % 2;
        let count = columns.len();
        for at in 0..count {
            let column = &mut columns[if side == 0 { at } else { count - 1 - at }];
            let wish = |place: &usize| {
                mean(neighbours[*place][side].iter().map(|n| rank[*n])).unwrap_or(rank[*place])
            };
            let mut wishes: Vec<(f64, usize)> = column.iter().map(|place| (wish(place), *place)).collect();
            wishes.sort_by(|a, b| a.0.total_cmp(&b.0));
            *column = wishes.into_iter().map(|(_, place)| place).collect();
            settle(column, &mut rank);
        }
    }
}

/// Puts each place at the height of its neighbours as far as the order and the space between boxes let it.
fn heights(
    columns: &[Vec<usize>],
    neighbours: &[[Vec<usize>; 2]],
    places: usize,
    apart: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let mut middle = vec![0.0; places];
    for sweep in 0..12 {
        for column in columns {
            let wish = |place: &usize| {
                let both = neighbours[*place].iter().flatten();
                if sweep == 0 { Some(0.0) } else { mean(both.map(|n| middle[*n])) }.unwrap_or(middle[*place])
            };
            let wishes: Vec<f64> = column.iter().map(wish).collect();
            // Pushed down from the top and up from the bottom: the mean of both keeps the space as well.
            let (mut down, mut up) = (wishes.clone(), wishes);
            for at in 1..column.len() {
                down[at] = down[at].max(down[at - 1] + apart(column[at - 1], column[at]));
                let low = column.len() - 1 - at;
                up[low] = up[low].min(up[low + 1] - apart(column[low], column[low + 1]));
            }
            for (at, place) in column.iter().enumerate() {
                middle[*place] = (down[at] + up[at]) / 2.0;
            }
        }
    }
    middle
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chain_with_a_way_back_stands_in_a_row() {
        let laid = layout(3, &[(0, 1), (1, 2), (2, 0), (1, 1), (0, 2)], 40.0);
        assert_eq!(laid.layer[..3], [0, 1, 2]);
        assert_eq!(laid.back, [false, false, true, false, false]);
        assert_eq!(laid.ways.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 3, 0, 3]);
        assert_eq!((laid.ways[2][0], laid.ways[2][2]), (0, 2));
    }

    proptest! {
        #[test]
        fn boxes_of_a_layer_do_not_touch(
            nodes in 1..12_usize, edges in prop::collection::vec((0..12_usize, 0..12_usize), 0..30),
        ) {
            let edges: Vec<_> = edges.into_iter().map(|(from, to)| (from % nodes, to % nodes)).collect();
            let laid = layout(nodes, &edges, 40.0);
            for one in 0..nodes {
                for other in 0..one {
                    if laid.layer[one] == laid.layer[other] {
                        prop_assert!((laid.middle[one] - laid.middle[other]).abs() >= 40.0 + APART.1);
                    }
                }
                prop_assert!(laid.middle[one] >= 19.9 && laid.middle[one] <= laid.height - 19.9);
            }
            for way in &laid.ways {
                prop_assert!(way.windows(2).all(|pair| laid.layer[pair[0]] + 1 == laid.layer[pair[1]]));
            }
        }
    }
}
