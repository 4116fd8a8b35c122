//! Graphs of the Neuromorphic Intermediate Representation, `.nir`.
//!
//! A graph says what a network computes in continuous time, in physical units, and leaves open how it is cut into
//! steps; frameworks for software and for neuromorphic chips exchange networks so. All nodes of version 1.0 are
//! read and written: [`Node`] lists them with their equations. A field keeps the precision of the file.
//!
//! What exporters are known to do wrong, and what becomes of it here: a missing `v_reset` is 0, as the format has
//! it; parameters of a single number, as snnTorch writes them for layers that do not know their size, stand for
//! all units ([`Graph::shapes`] says which shape comes to a node); a missing `input_shape` of a convolution is
//! inferred; numbers stand for pairs in pooling. What no reader can know is what snnTorch leaves out: it writes
//! `v_reset = 0` for units that reset by subtraction, or a step late, too.
//!
//! Source: Pedersen et al., *Neuromorphic intermediate representation: a unified instruction set for interoperable
//! brain-inspired computing*, Nature Communications 15 (2024).

mod flat;
mod node;
mod read;
mod shapes;
mod write;

pub use node::{Array, Convolution, Kind, Meta, Node, Numbers, Padding, Pooling};
pub use read::{parse, read};
pub use shapes::InputAndOutput;
pub use write::{to_bytes, write};

use std::collections::BTreeMap;

/// Nodes, and which of them hear which.
///
/// # Examples
/// ```
/// use spark_io::nir::{Array, Graph, Kind, Node};
///
/// let mut graph = Graph::default();
/// graph.nodes.insert("input".into(), Kind::Input { shape: vec![2] }.into());
/// graph.nodes.insert("scale".into(), Kind::Scale { scale: Array::doubles(vec![2], vec![0.5, 2.0]) }.into());
/// graph.nodes.insert("output".into(), Kind::Output { shape: vec![2] }.into());
/// graph.connect("input", "scale");
/// graph.connect("scale", "output");
/// graph.check()?;
/// let bytes = spark_io::nir::to_bytes(&graph)?;
/// assert_eq!(spark_io::nir::parse(&bytes)?, graph);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// The nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// From which node to which.
    pub edges: Vec<(String, String)>,
    /// What is said about it besides.
    pub metadata: BTreeMap<String, Meta>,
}

impl Graph {
    /// Adds an edge.
    pub fn connect(&mut self, from: impl Into<String>, to: impl Into<String>) {
        self.edges.push((from.into(), to.into()));
    }

    /// Checks that edges connect nodes that there are, once each, here and in all graphs inside.
    ///
    /// # Errors
    /// A sentence that names the edge.
    pub fn check(&self) -> Result<(), String> {
        let mut seen = std::collections::HashSet::with_capacity(self.edges.len());
        for edge @ (from, to) in &self.edges {
            for end in [from, to] {
                if !self.nodes.contains_key(end) {
                    let names: Vec<_> = self.nodes.keys().take(20).collect();
                    return Err(format!("edge `{from}` → `{to}`: found no node `{end}` among {names:?}"));
                }
            }
            if !seen.insert(edge) {
                return Err(format!("edge `{from}` → `{to}`: found it twice"));
            }
        }
        for (name, node) in &self.nodes {
            node.kind
                .check()
                .map_err(|message| format!("node `{name}` ({}): {message}", node.kind.name()))?;
            if let Kind::Graph(inside) = &node.kind {
                inside.check().map_err(|message| format!("graph `{name}`: {message}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
