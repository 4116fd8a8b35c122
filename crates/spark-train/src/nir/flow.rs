//! In which order the nodes of a graph run, and which connections take a step.

use spark_io::nir::{Graph, Kind};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The order of a flat graph.
#[derive(Debug, PartialEq)]
pub(super) struct Flow<'g> {
    /// All nodes in the order in which they run.
    pub order: Vec<&'g str>,
    /// Connections that carry what the step before gave, one in each loop.
    pub cuts: HashSet<(&'g str, &'g str)>,
}

/// Finds an order that starts with the node `input`.
///
/// # Errors
/// A sentence that names the nodes of a loop without memory, or one that no input reaches.
pub(super) fn flow<'g>(graph: &'g Graph, input: &'g str) -> Result<Flow<'g>, String> {
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in &graph.edges {
        after.entry(from).or_default().push(to);
    }
    let reached = reachable(&after, input);
    if let Some(name) = graph.nodes.keys().find(|name| !reached.contains(name.as_str())) {
        return Err(format!("node `{name}`: found no way from the input to it"));
    }
    let mut cuts = HashSet::new();
    while let Some(path) = find_loop(&after, &cuts, input) {
        cuts.insert(cut(graph, &path)?);
    }
    Ok(Flow { order: order(graph, &cuts), cuts })
}

fn reachable<'g>(after: &BTreeMap<&'g str, Vec<&'g str>>, input: &'g str) -> HashSet<&'g str> {
    let (mut reached, mut ready) = (HashSet::from([input]), vec![input]);
    while let Some(name) = ready.pop() {
        ready.extend(after.get(name).into_iter().flatten().filter(|next| reached.insert(next)));
    }
    reached
}

/// The nodes of a loop in order: goes down from the input, depth first, until it comes to a node that it is below
/// of.
fn find_loop<'g>(
    after: &BTreeMap<&'g str, Vec<&'g str>>,
    cuts: &HashSet<(&'g str, &'g str)>,
    input: &'g str,
) -> Option<Vec<&'g str>> {
    let mut seen = HashSet::from([input]);
    let mut above = HashSet::from([input]);
    let mut path: Vec<(&str, usize)> = vec![(input, 0)];
    // What is behind a cut runs too, and may be part of other loops.
    let mut later: Vec<&str> = cuts.iter().map(|&(_, to)| to).collect();
    later.sort_unstable();
    loop {
        let Some((name, next)) = path.last_mut() else {
            let root = later.pop()?;
            if seen.insert(root) {
                above.insert(root);
                path.push((root, 0));
            }
            continue;
        };
        let name = *name;
        let Some(&target) = after.get(name).and_then(|targets| targets.get(*next)) else {
            above.remove(name);
            path.pop();
            continue;
        };
        *next += 1;
        if cuts.contains(&(name, target)) {
            continue;
        }
        if above.contains(target) {
            let start = path.iter().position(|&(name, _)| name == target).unwrap_or(0);
            return Some(path[start..].iter().map(|&(name, _)| name).collect());
        }
        if seen.insert(target) {
            above.insert(target);
            path.push((target, 0));
        }
    }
}

/// The connection of a loop that takes a step: behind the last of its units.
fn cut<'g>(graph: &Graph, path: &[&'g str]) -> Result<(&'g str, &'g str), String> {
    let last = path.iter().rposition(|name| graph.nodes[*name].kind.is_unit());
    let last = last.ok_or_else(|| format!("nodes {path:?}: found a loop without units"))?;
    Ok((path[last], path[(last + 1) % path.len()]))
}

/// Nodes behind all that they hear; those that hear nothing but the step before as late as possible.
fn order<'g>(graph: &'g Graph, cuts: &HashSet<(&'g str, &'g str)>) -> Vec<&'g str> {
    let mut waits: BTreeMap<&str, usize> = graph.nodes.keys().map(|name| (name.as_str(), 0)).collect();
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in &graph.edges {
        if !cuts.contains(&(from.as_str(), to.as_str())) {
            *waits.entry(to).or_default() += 1;
            after.entry(from).or_default().push(to);
        }
    }
    let late = |name: &str| !matches!(graph.nodes[name].kind, Kind::Input { .. });
    let ready = waits.iter().filter(|&(_, &count)| count == 0).map(|(&name, _)| (late(name), name));
    let mut ready: BTreeSet<(bool, &str)> = ready.collect();
    let mut order = Vec::with_capacity(graph.nodes.len());
    while let Some((_, name)) = ready.pop_first() {
        order.push(name);
        for &next in after.get(name).into_iter().flatten() {
            if let Some(count) = waits.get_mut(next) {
                *count -= 1;
                if *count == 0 {
                    ready.insert((false, next));
                }
            }
        }
    }
    order
}
