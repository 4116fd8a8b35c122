//! Graphs into HDF5 files.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Array, Graph, Kind, Meta, Node, Numbers, Padding};
use crate::hdf5::{Contents, Tree};
use crate::{FormatError, write_atomically};

/// The version of the format.
const VERSION: &str = "1.0.8";

/// Writes a graph, so that `nir.read` and [`read`](super::read) read it.
///
/// The file is written under a temporary name and renamed.
///
/// # Errors
/// When the graph is not one (see [`Graph::check`]), has a name with a slash, or the file cannot be written.
pub fn write(path: &Path, graph: &Graph) -> Result<(), FormatError> {
    let bytes = to_bytes(graph).map_err(FormatError::content(path))?;
    write_atomically(path, &bytes).map_err(|source| FormatError::Write { path: path.to_owned(), source })
}

/// The bytes of the file that [`write`](fn@write) writes.
///
/// # Errors
/// A sentence, when the graph is not one or has a name with a slash.
pub fn to_bytes(graph: &Graph) -> Result<Vec<u8>, String> {
    graph.check()?;
    let mut tree = Tree::default();
    tree.insert("version", Contents::text(VERSION))?;
    let node = Node { kind: Kind::Graph(graph.clone()), metadata: graph.metadata.clone() };
    add(tree.group("node")?, &node)?;
    tree.to_bytes()
}

fn add(tree: &mut Tree, node: &Node) -> Result<(), String> {
    tree.insert("type", Contents::text(node.kind.name()))?;
    for (name, array) in node.kind.arrays() {
        tree.insert(name, contents(array)?)?;
    }
    match &node.kind {
        Kind::Input { shape } | Kind::Output { shape } => tree.insert("shape", sizes(shape)?)?,
        Kind::Conv1d(conv) | Kind::Conv2d(conv) => {
            // Along one axis fields are numbers, along two they are pairs.
            let axes = |found: &[usize]| match *found {
                [one] => number(one as i64),
                _ => sizes(found),
            };
            if let Some(shape) = &conv.input_shape {
                tree.insert("input_shape", axes(shape)?)?;
            }
            tree.insert("stride", axes(&conv.stride)?)?;
            tree.insert("dilation", axes(&conv.dilation)?)?;
            tree.insert("groups", number(conv.groups as i64)?)?;
            let padding = match &conv.padding {
                Padding::Zeros(zeros) => axes(zeros)?,
                Padding::Same => Contents::text("same"),
                Padding::Valid => Contents::text("valid"),
            };
            tree.insert("padding", padding)?;
        }
        Kind::SumPool2d(pool) | Kind::AvgPool2d(pool) => {
            tree.insert("kernel_size", sizes(&pool.kernel_size)?)?;
            tree.insert("stride", sizes(&pool.stride)?)?;
            tree.insert("padding", sizes(&pool.padding)?)?;
        }
        Kind::Flatten { input_shape, start_dim, end_dim } => {
            if let Some(shape) = input_shape {
                tree.insert("input_type", sizes(shape)?)?;
            }
            tree.insert("start_dim", number(*start_dim)?)?;
            tree.insert("end_dim", number(*end_dim)?)?;
        }
        Kind::Graph(graph) => {
            let ends = graph.edges.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]);
            tree.insert("edges", Contents::texts(&[graph.edges.len(), 2], &ends.collect::<Vec<_>>())?)?;
            let nodes = tree.group("nodes")?;
            for (name, node) in &graph.nodes {
                add(nodes.group(name)?, node)?;
            }
        }
        _ => {}
    }
    if node.metadata.is_empty() { Ok(()) } else { metadata(tree.group("metadata")?, &node.metadata) }
}

fn metadata(tree: &mut Tree, entries: &BTreeMap<String, Meta>) -> Result<(), String> {
    for (name, entry) in entries {
        match entry {
            Meta::Text(text) => tree.insert(name, Contents::text(text))?,
            Meta::Numbers(array) => tree.insert(name, contents(array)?)?,
            Meta::Group(inside) => metadata(tree.group(name)?, inside)?,
        }
    }
    Ok(())
}

fn contents(array: &Array) -> Result<Contents, String> {
    match &array.numbers {
        Numbers::F32(numbers) => Contents::floats(&array.shape, numbers),
        Numbers::F64(numbers) => Contents::doubles(&array.shape, numbers),
    }
}

fn sizes(sizes: &[usize]) -> Result<Contents, String> {
    let sizes: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
    Contents::integers(&[sizes.len()], &sizes)
}

fn number(number: i64) -> Result<Contents, String> {
    Contents::integers(&[], &[number])
}
