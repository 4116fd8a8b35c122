//! Graphs out of HDF5 files.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use super::{Array, Convolution, Graph, Kind, Meta, Node, Numbers, Padding, Pooling};
use crate::FormatError;
use crate::format_error::read_bytes;
use crate::hdf5::{self, Group, Hdf5, Object};

/// Graphs lie inside of graphs at most so deep.
const MAX_DEPTH: usize = 16;

/// Nodes of a graph, and edges, at most.
const MAX_NODES: usize = 20_000;

/// Reads a graph, and checks its nodes and edges.
///
/// # Errors
/// When the file cannot be read, is no HDF5 file, lacks a field, has a node of an unknown type or one whose
/// fields do not fit together, or an edge from or to a node that is not there; each with its path in the file.
///
/// # Examples
/// ```
/// use spark_io::nir::{Graph, Kind, read, write};
///
/// let mut graph = Graph::default();
/// graph.nodes.insert("input".into(), Kind::Input { shape: vec![2] }.into());
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("net.nir");
/// write(&path, &graph)?;
/// assert_eq!(read(&path)?, graph);
/// assert!(read("/nowhere/net.nir".as_ref()).unwrap_err().to_string().contains("/nowhere/net.nir"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: &Path) -> Result<Graph, FormatError> {
    parse(&read_bytes(path)?).map_err(FormatError::content(path))
}

/// The graph in the bytes of a file; see [`read`].
///
/// # Errors
/// A sentence with the path inside of the file.
pub fn parse(bytes: &[u8]) -> Result<Graph, String> {
    let root = Hdf5::parse(bytes)?.root()?;
    let budget = Budget { bytes: Cell::new(bytes.len()), nodes: Cell::new(MAX_NODES) };
    let fields = Fields::new(root.group("node")?, &budget);
    let Kind::Graph(graph) = fields.kind(0)? else {
        return Err("`/node`: found a single node, expected a NIRGraph".to_owned());
    };
    let graph = Graph { metadata: fields.metadata()?, ..graph };
    graph.check()?;
    Ok(graph)
}

/// What may still be read: a file whose links lead to the same array again and again could fill any memory.
struct Budget {
    bytes: Cell<usize>,
    nodes: Cell<usize>,
}

impl Budget {
    fn take(&self, of: &Cell<usize>, count: usize) -> Result<(), String> {
        of.set(of.get().checked_sub(count).ok_or("found more nodes and numbers than the file has room for")?);
        Ok(())
    }
}

/// The fields of a node.
struct Fields<'a> {
    group: Group<'a>,
    budget: &'a Budget,
    path: String,
}

impl<'a> Fields<'a> {
    fn new(group: Group<'a>, budget: &'a Budget) -> Self {
        Self { path: group.path().to_owned(), group, budget }
    }

    fn read(&self, name: &str) -> Result<hdf5::Array<'a>, String> {
        let dataset = self.group.dataset(name)?;
        self.budget.take(&self.budget.bytes, dataset.stored_bytes()?)?;
        dataset.read()
    }

    fn at<T>(&self, name: &str, result: Result<T, String>) -> Result<T, String> {
        result.map_err(|message| format!("`{}/{name}`: {message}", self.path))
    }

    fn array(&self, name: &str) -> Result<Array, String> {
        let array = self.read(name)?;
        self.at(name, numbers(&array))
    }

    /// A field that may be missing.
    fn array_or(&self, name: &str, otherwise: impl FnOnce() -> Array) -> Result<Array, String> {
        if self.group.contains(name) { self.array(name) } else { Ok(otherwise()) }
    }

    fn integers(&self, name: &str) -> Result<Vec<i64>, String> {
        let array = self.read(name)?;
        let few =
            if array.len() > 32 { Err(format!("found {} numbers", array.len())) } else { array.integers() };
        self.at(name, few)
    }

    fn integer(&self, name: &str) -> Result<i64, String> {
        match *self.integers(name)? {
            [number] => Ok(number),
            ref numbers => self.at(name, Err(format!("found {numbers:?}, expected one number"))),
        }
    }

    fn sizes(&self, name: &str) -> Result<Vec<usize>, String> {
        let found = self.integers(name)?;
        // Products of extents are taken later on.
        let sizes = found.iter().map(|&number| usize::try_from(number).ok().filter(|&size| size < 1 << 31));
        let sizes: Option<Vec<usize>> = sizes.collect();
        let small = |sizes: &Vec<usize>| {
            sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size)).is_some_and(|all| all < 1 << 40)
        };
        sizes.filter(small).ok_or_else(|| format!("`{}/{name}`: found {found:?}, expected sizes", self.path))
    }

    fn optional_sizes(&self, name: &str) -> Result<Option<Vec<usize>>, String> {
        if self.group.contains(name) { self.sizes(name).map(Some) } else { Ok(None) }
    }

    /// One size for each axis; a single one stands for all.
    fn per_axis(&self, name: &str, axes: usize) -> Result<Vec<usize>, String> {
        let sizes = self.sizes(name)?;
        Ok(if sizes.len() == 1 { vec![sizes[0]; axes] } else { sizes })
    }

    fn pair(&self, name: &str) -> Result<[usize; 2], String> {
        let sizes = self.per_axis(name, 2)?;
        let found = format!("found {sizes:?}, expected one number or two");
        self.at(name, sizes.try_into().map_err(|_| found))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        let texts = self.read(name)?;
        let mut texts = self.at(name, texts.strings())?;
        let found = texts.len();
        texts
            .pop()
            .filter(|_| found == 1)
            .ok_or_else(|| format!("`{}/{name}`: found {found} texts", self.path))
    }

    /// Fields that a node of this type does not have are an error: they would change what it computes.
    fn known(&self, names: &[&str]) -> Result<(), String> {
        let unknown = |name: &&str| !names.contains(name) && !["type", "metadata"].contains(name);
        match self.group.names().find(unknown) {
            None => Ok(()),
            Some(name) => Err(format!("`{}`: found the field `{name}`, expected {names:?}", self.path)),
        }
    }

    fn node(&self, depth: usize) -> Result<Node, String> {
        self.budget.take(&self.budget.nodes, 1)?;
        Ok(Node { kind: self.kind(depth)?, metadata: self.metadata()? })
    }

    fn kind(&self, depth: usize) -> Result<Kind, String> {
        let kind = self.text("type")?;
        let array = |name: &str| self.array(name);
        let reset = |like: &Array| self.array_or("v_reset", || zeros(like));
        let kind = match kind.as_str() {
            "Input" => Kind::Input { shape: self.sizes("shape")? },
            "Output" => Kind::Output { shape: self.sizes("shape")? },
            "Affine" => Kind::Affine { weight: array("weight")?, bias: array("bias")? },
            "Linear" => Kind::Linear { weight: array("weight")? },
            "Scale" => Kind::Scale { scale: array("scale")? },
            "Conv1d" => Kind::Conv1d(self.convolution(1)?),
            "Conv2d" => Kind::Conv2d(self.convolution(2)?),
            "SumPool2d" => Kind::SumPool2d(self.pooling()?),
            "AvgPool2d" => Kind::AvgPool2d(self.pooling()?),
            "Flatten" => Kind::Flatten {
                input_shape: self.optional_sizes("input_type")?,
                start_dim: self.integer("start_dim")?,
                end_dim: self.integer("end_dim")?,
            },
            "Delay" => Kind::Delay { delay: array("delay")? },
            "Threshold" => Kind::Threshold { threshold: array("threshold")? },
            "I" => Kind::I { r: array("r")? },
            "IF" => {
                let v_threshold = array("v_threshold")?;
                Kind::If { r: array("r")?, v_reset: reset(&v_threshold)?, v_threshold }
            }
            "LI" => Kind::Li { tau: array("tau")?, r: array("r")?, v_leak: array("v_leak")? },
            "LIF" => {
                let v_threshold = array("v_threshold")?;
                let (tau, r, v_leak) = (array("tau")?, array("r")?, array("v_leak")?);
                Kind::Lif { tau, r, v_leak, v_reset: reset(&v_threshold)?, v_threshold }
            }
            "CubaLI" => Kind::CubaLi {
                tau_syn: array("tau_syn")?,
                tau_mem: array("tau_mem")?,
                r: array("r")?,
                v_leak: array("v_leak")?,
                w_in: self.array_or("w_in", one)?,
            },
            "CubaLIF" => {
                let v_threshold = array("v_threshold")?;
                Kind::CubaLif {
                    tau_syn: array("tau_syn")?,
                    tau_mem: array("tau_mem")?,
                    r: array("r")?,
                    v_leak: array("v_leak")?,
                    w_in: self.array_or("w_in", one)?,
                    v_reset: reset(&v_threshold)?,
                    v_threshold,
                }
            }
            "NIRGraph" => Kind::Graph(self.graph(depth)?),
            other => return Err(format!("`{}`: found a node of the unknown type `{other}`", self.path)),
        };
        self.known(&field_names(&kind))?;
        Ok(kind)
    }

    fn convolution(&self, axes: usize) -> Result<Convolution, String> {
        let padding = self.read("padding")?;
        let padding = match padding.is_text() {
            true => match self.at("padding", padding.strings())?.first().map(String::as_str) {
                Some("same") => Padding::Same,
                Some("valid") => Padding::Valid,
                other => {
                    let message = format!("found {other:?}, expected `same`, `valid` or numbers");
                    return self.at("padding", Err(message));
                }
            },
            false => Padding::Zeros(self.per_axis("padding", axes)?),
        };
        let weight = self.array("weight")?;
        let channels = weight.shape.first().copied().unwrap_or(0);
        Ok(Convolution {
            input_shape: self.optional_sizes("input_shape")?,
            stride: self.per_axis("stride", axes)?,
            padding,
            dilation: self.per_axis("dilation", axes)?,
            groups: self.sizes("groups")?.first().copied().unwrap_or(1),
            bias: self.array_or("bias", || Array::floats(vec![channels], vec![0.0; channels]))?,
            weight,
        })
    }

    fn pooling(&self) -> Result<Pooling, String> {
        Ok(Pooling {
            kernel_size: self.pair("kernel_size")?,
            stride: self.pair("stride")?,
            padding: self.pair("padding")?,
        })
    }

    fn graph(&self, depth: usize) -> Result<Graph, String> {
        if depth == MAX_DEPTH {
            return Err(format!(
                "`{}`: found graphs inside of graphs, expected at most {MAX_DEPTH}",
                self.path
            ));
        }
        let group = self.group.group("nodes")?;
        let mut nodes = BTreeMap::new();
        for name in group.names() {
            let fields = Fields::new(group.group(name)?, self.budget);
            nodes.insert(name.to_owned(), fields.node(depth + 1)?);
        }
        Ok(Graph { nodes, edges: self.edges()?, metadata: BTreeMap::new() })
    }

    fn edges(&self) -> Result<Vec<(String, String)>, String> {
        let array = self.read("edges")?;
        if array.is_empty() {
            return Ok(Vec::new());
        }
        if !matches!(*array.shape(), [count, 2] if count <= MAX_NODES) {
            let shape = array.shape();
            return self.at("edges", Err(format!("found the shape {shape:?}, expected [edges, 2]")));
        }
        let mut names = self.at("edges", array.strings())?.into_iter();
        Ok(std::iter::from_fn(|| names.next().zip(names.next())).collect())
    }

    fn metadata(&self) -> Result<BTreeMap<String, Meta>, String> {
        if !self.group.contains("metadata") {
            return Ok(BTreeMap::new());
        }
        self.entries(&self.group.group("metadata")?, 0)
    }

    fn entries(&self, group: &Group<'a>, depth: usize) -> Result<BTreeMap<String, Meta>, String> {
        if depth == MAX_DEPTH {
            return Err(format!("`{}`: found groups inside of groups", group.path()));
        }
        let mut entries = BTreeMap::new();
        for name in group.names() {
            self.budget.take(&self.budget.nodes, 1)?;
            let entry = match group.get(name)? {
                Some(Object::Group(inside)) => Meta::Group(self.entries(&inside, depth + 1)?),
                Some(Object::Dataset(_)) => {
                    let fields = Fields::new(group.clone(), self.budget);
                    let array = fields.read(name)?;
                    if array.is_text() {
                        Meta::Text(fields.text(name)?)
                    } else {
                        Meta::Numbers(fields.array(name)?)
                    }
                }
                None => continue,
            };
            entries.insert(name.to_owned(), entry);
        }
        Ok(entries)
    }
}

fn numbers(array: &hdf5::Array<'_>) -> Result<Array, String> {
    let numbers = match array.is_float(4) || array.is_float(2) {
        true => Numbers::F32(array.floats()?),
        false => Numbers::F64(array.doubles()?),
    };
    Ok(Array { shape: array.shape().to_vec(), numbers })
}

fn zeros(like: &Array) -> Array {
    Array::doubles(like.shape.clone(), vec![0.0; like.len()])
}

fn one() -> Array {
    Array::doubles(Vec::new(), vec![1.0])
}

fn field_names(kind: &Kind) -> Vec<&'static str> {
    let others: &[&str] = match kind {
        Kind::Input { .. } | Kind::Output { .. } => &["shape"],
        Kind::Conv1d(_) | Kind::Conv2d(_) => &["input_shape", "stride", "padding", "dilation", "groups"],
        Kind::SumPool2d(_) | Kind::AvgPool2d(_) => &["kernel_size", "stride", "padding"],
        Kind::Flatten { .. } => &["input_type", "start_dim", "end_dim"],
        Kind::Graph(_) => &["nodes", "edges"],
        _ => &[],
    };
    kind.arrays().into_iter().map(|(name, _)| name).chain(others.iter().copied()).collect()
}
