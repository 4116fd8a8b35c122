//! Connections back in time, as a reader of the graph will have them.

use spark_io::nir::{Array, Graph, Kind};
use std::collections::HashSet;

use super::flow::flow;

/// Connections from node to node.
type Connections = HashSet<(String, String)>;

/// Makes sure that a reader lets those connections take a step that do so in the network, which are `heard`;
/// outside of loops such a connection becomes a delay.
///
/// # Errors
/// A sentence that names a connection of a loop of which a reader would let another one take the step.
pub(super) fn settle(graph: &mut Graph, heard: Connections, dt: f64) -> Result<(), String> {
    let mut heard: Vec<_> = heard.into_iter().collect();
    heard.sort_unstable();
    let mut expected = Connections::new();
    for (from, to) in heard {
        if leads(graph, &to, &from) {
            expected.insert(from_units(graph, from, to)?);
        } else {
            delay(graph, &from, &to, dt);
        }
    }
    let flow = flow(graph, "input")?;
    let found: Connections = flow.cuts.iter().map(|&(from, to)| (from.to_owned(), to.to_owned())).collect();
    match found.symmetric_difference(&expected).next() {
        None => Ok(()),
        Some((from, to)) => Err(format!(
            "found a loop through `{from}` → `{to}`: NIR does not say which connection of it takes a step, and \
             readers would take another one than this network has"
        )),
    }
}

/// Whether there is a way from one node to another.
fn leads(graph: &Graph, from: &str, to: &str) -> bool {
    let (mut seen, mut ready) = (HashSet::from([from]), vec![from]);
    while let Some(name) = ready.pop() {
        if name == to {
            return true;
        }
        let next = graph.edges.iter().filter(|(before, _)| before == name).map(|(_, next)| next.as_str());
        ready.extend(next.filter(|next| seen.insert(next)));
    }
    false
}

/// Puts a delay of one step between two nodes.
fn delay(graph: &mut Graph, from: &str, to: &str, dt: f64) {
    let shapes = graph.shapes().unwrap_or_default();
    let shape = shapes.get(from).map(|(_, output)| output.clone()).unwrap_or_default();
    let count = shape.iter().product();
    let delay = Array::doubles(shape, vec![dt; count]);
    let name = format!("{to}_late_{from}");
    // What is heard of the same step comes first.
    if let Some(place) = graph.edges.iter().rposition(|(a, b)| a == from && b == to) {
        graph.edges.remove(place);
    }
    graph.nodes.insert(name.clone(), Kind::Delay { delay }.into());
    graph.connect(from, name.as_str());
    graph.connect(name, to);
}

/// The connection that a reader lets take the step instead of one behind a node that is none of units.
fn from_units(graph: &Graph, from: String, to: String) -> Result<(String, String), String> {
    let kind = &graph.nodes[&from].kind;
    if kind.is_unit() {
        return Ok((from, to));
    }
    let zero = |bias: &Array| bias.to_floats().iter().all(|&number| number == 0.0);
    let passes = match kind {
        Kind::Affine { bias, .. } => zero(bias),
        Kind::Conv1d(conv) | Kind::Conv2d(conv) => zero(&conv.bias),
        _ => true,
    };
    let mut before = graph.edges.iter().filter(|(_, next)| *next == from).map(|(before, _)| before);
    match (before.next(), before.next()) {
        (Some(before), None) if passes => from_units(graph, before.clone(), from),
        _ => Err(format!(
            "found `{from}` → `{to}` to take a step behind a node with a bias or several inputs, which acts a step \
             earlier in NIR; expected it to come from units"
        )),
    }
}
