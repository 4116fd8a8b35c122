//! What the nodes of graphs are.

use std::collections::BTreeMap;

use super::Graph;

/// Numbers of a node, as precise as in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The extents of its axes; none for a single number.
    pub shape: Vec<usize>,
    /// Row-major.
    pub numbers: Numbers,
}

/// Numbers of one of two precisions; whole numbers count as the longer one.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // Each is named after its precision.
pub enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Array {
    /// Of numbers of 32 bits.
    pub fn floats(shape: Vec<usize>, numbers: Vec<f32>) -> Self {
        Self { shape, numbers: Numbers::F32(numbers) }
    }

    /// Of numbers of 64 bits.
    pub fn doubles(shape: Vec<usize>, numbers: Vec<f64>) -> Self {
        Self { shape, numbers: Numbers::F64(numbers) }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        match &self.numbers {
            Numbers::F32(numbers) => numbers.len(),
            Numbers::F64(numbers) => numbers.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry at a place, row-major; the only one where there is one.
    pub fn at(&self, place: usize) -> f64 {
        let place = if self.len() == 1 { 0 } else { place };
        match &self.numbers {
            Numbers::F32(numbers) => numbers[place].into(),
            Numbers::F64(numbers) => numbers[place],
        }
    }

    /// The entries as numbers of 32 bits.
    pub fn to_floats(&self) -> Vec<f32> {
        match &self.numbers {
            Numbers::F32(numbers) => numbers.clone(),
            Numbers::F64(numbers) => numbers.iter().map(|&number| number as f32).collect(),
        }
    }

    fn is_finite(&self) -> bool {
        match &self.numbers {
            Numbers::F32(numbers) => numbers.iter().all(|number| number.is_finite()),
            Numbers::F64(numbers) => numbers.iter().all(|number| number.is_finite()),
        }
    }
}

/// What is said about a node besides its fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Meta {
    /// A text.
    Text(String),
    /// Numbers.
    Numbers(Array),
    /// More of it, by name.
    Group(BTreeMap<String, Meta>),
}

/// A node of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it does.
    pub kind: Kind,
    /// What is said about it besides.
    pub metadata: BTreeMap<String, Meta>,
}

impl From<Kind> for Node {
    fn from(kind: Kind) -> Self {
        Self { kind, metadata: BTreeMap::new() }
    }
}

/// What a convolution is padded with on each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Padding {
    /// So many zeros along each axis.
    Zeros(Vec<usize>),
    /// As many as keep the extents.
    Same,
    /// None.
    Valid,
}

/// A convolution along one axis or two.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Extents of its input without channels; `None` where that is left to the graph.
    pub input_shape: Option<Vec<usize>>,
    /// `[output channels, input channels / groups, kernel…]`.
    pub weight: Array,
    /// Distance between applications along each axis.
    pub stride: Vec<usize>,
    /// Zeros on each side.
    pub padding: Padding,
    /// Distance between the entries of the kernel along each axis.
    pub dilation: Vec<usize>,
    /// Into so many parts are the channels split.
    pub groups: usize,
    /// `[output channels]`.
    pub bias: Array,
}

/// A pooling of images; height and width each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// Extents of the window.
    pub kernel_size: [usize; 2],
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Zeros on each side.
    pub padding: [usize; 2],
}

/// What a node does with its input `x`, the sum of all that it hears.
///
/// Units have a membrane `v`, 0 at first. A spike `z` is 1 where `v > v_threshold`, and takes the membrane to
/// `v_reset`. Times are in seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Where data comes in.
    Input {
        /// Shape of a sample at one time.
        shape: Vec<usize>,
    },
    /// Where data leaves.
    Output {
        /// Shape of a sample at one time.
        shape: Vec<usize>,
    },
    /// `W·x + b`.
    Affine {
        /// `[post, pre]`.
        weight: Array,
        /// `[post]`.
        bias: Array,
    },
    /// `W·x`.
    Linear {
        /// `[post, pre]`.
        weight: Array,
    },
    /// `s·x`, entry by entry.
    Scale {
        /// A factor for each entry.
        scale: Array,
    },
    /// A convolution of `[channels, length]`.
    Conv1d(Convolution),
    /// A convolution of `[channels, height, width]`.
    Conv2d(Convolution),
    /// The sum over windows of `[channels, height, width]`.
    SumPool2d(Pooling),
    /// The mean over windows of `[channels, height, width]`.
    AvgPool2d(Pooling),
    /// Several axes as one.
    Flatten {
        /// Shape of the input; `None` where that is left to the graph.
        input_shape: Option<Vec<usize>>,
        /// The first axis of those.
        start_dim: i64,
        /// The last axis of those; −1 for the last there is.
        end_dim: i64,
    },
    /// `x(t − τ)`.
    Delay {
        /// τ of each entry.
        delay: Array,
    },
    /// 1 where `x > θ`, else 0.
    Threshold {
        /// θ of each entry.
        threshold: Array,
    },
    /// `dv/dt = R·x`; gives `v`.
    I {
        /// R of each unit.
        r: Array,
    },
    /// `dv/dt = R·x`; spikes.
    If {
        /// R of each unit.
        r: Array,
        /// Threshold of each unit.
        v_threshold: Array,
        /// Reset of each unit.
        v_reset: Array,
    },
    /// `τ·dv/dt = (v_leak − v) + R·x`; gives `v`.
    Li {
        /// τ of each unit.
        tau: Array,
        /// R of each unit.
        r: Array,
        /// Where the membrane leaks to.
        v_leak: Array,
    },
    /// `τ·dv/dt = (v_leak − v) + R·x`; spikes.
    Lif {
        /// τ of each unit.
        tau: Array,
        /// R of each unit.
        r: Array,
        /// Where the membrane leaks to.
        v_leak: Array,
        /// Threshold of each unit.
        v_threshold: Array,
        /// Reset of each unit.
        v_reset: Array,
    },
    /// `τ_syn·di/dt = −i + w_in·x`, `τ_mem·dv/dt = (v_leak − v) + R·i`; gives `v`.
    CubaLi {
        /// τ of each current.
        tau_syn: Array,
        /// τ of each membrane.
        tau_mem: Array,
        /// R of each unit.
        r: Array,
        /// Where the membrane leaks to.
        v_leak: Array,
        /// Weight of the input of each unit.
        w_in: Array,
    },
    /// As `CubaLi`; spikes.
    CubaLif {
        /// τ of each current.
        tau_syn: Array,
        /// τ of each membrane.
        tau_mem: Array,
        /// R of each unit.
        r: Array,
        /// Where the membrane leaks to.
        v_leak: Array,
        /// Weight of the input of each unit.
        w_in: Array,
        /// Threshold of each unit.
        v_threshold: Array,
        /// Reset of each unit.
        v_reset: Array,
    },
    /// A graph inside, with one input and one output.
    Graph(Graph),
}

impl Kind {
    /// Its name in files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input { .. } => "Input",
            Self::Output { .. } => "Output",
            Self::Affine { .. } => "Affine",
            Self::Linear { .. } => "Linear",
            Self::Scale { .. } => "Scale",
            Self::Conv1d(_) => "Conv1d",
            Self::Conv2d(_) => "Conv2d",
            Self::SumPool2d(_) => "SumPool2d",
            Self::AvgPool2d(_) => "AvgPool2d",
            Self::Flatten { .. } => "Flatten",
            Self::Delay { .. } => "Delay",
            Self::Threshold { .. } => "Threshold",
            Self::I { .. } => "I",
            Self::If { .. } => "IF",
            Self::Li { .. } => "LI",
            Self::Lif { .. } => "LIF",
            Self::CubaLi { .. } => "CubaLI",
            Self::CubaLif { .. } => "CubaLIF",
            Self::Graph(_) => "NIRGraph",
        }
    }

    /// Its arrays by the names of their fields, those of one shape for all units first.
    pub fn arrays(&self) -> Vec<(&'static str, &Array)> {
        match self {
            Self::Affine { weight, bias } => vec![("weight", weight), ("bias", bias)],
            Self::Linear { weight } => vec![("weight", weight)],
            Self::Scale { scale } => vec![("scale", scale)],
            Self::Conv1d(conv) | Self::Conv2d(conv) => vec![("weight", &conv.weight), ("bias", &conv.bias)],
            Self::Delay { delay } => vec![("delay", delay)],
            Self::Threshold { threshold } => vec![("threshold", threshold)],
            Self::I { r } => vec![("r", r)],
            Self::If { r, v_threshold, v_reset } => {
                vec![("r", r), ("v_threshold", v_threshold), ("v_reset", v_reset)]
            }
            Self::Li { tau, r, v_leak } => vec![("tau", tau), ("r", r), ("v_leak", v_leak)],
            Self::Lif { tau, r, v_leak, v_threshold, v_reset } => vec![
                ("tau", tau),
                ("r", r),
                ("v_leak", v_leak),
                ("v_threshold", v_threshold),
                ("v_reset", v_reset),
            ],
            Self::CubaLi { tau_syn, tau_mem, r, v_leak, w_in } => {
                vec![("tau_syn", tau_syn), ("tau_mem", tau_mem), ("r", r), ("v_leak", v_leak), ("w_in", w_in)]
            }
            Self::CubaLif { tau_syn, tau_mem, r, v_leak, w_in, v_threshold, v_reset } => vec![
                ("tau_syn", tau_syn),
                ("tau_mem", tau_mem),
                ("r", r),
                ("v_leak", v_leak),
                ("w_in", w_in),
                ("v_threshold", v_threshold),
                ("v_reset", v_reset),
            ],
            Self::Input { .. }
            | Self::Output { .. }
            | Self::SumPool2d(_)
            | Self::AvgPool2d(_)
            | Self::Flatten { .. }
            | Self::Graph(_) => Vec::new(),
        }
    }

    /// Whether it has a number for each entry of its input, or one for all.
    pub fn is_per_entry(&self) -> bool {
        !matches!(self, Self::Affine { .. } | Self::Linear { .. } | Self::Conv1d(_) | Self::Conv2d(_))
            && !self.arrays().is_empty()
    }

    /// Whether it has a membrane, a threshold or a delay: a connection of a loop that takes a step comes from one
    /// of these.
    pub fn is_unit(&self) -> bool {
        matches!(
            self,
            Self::Delay { .. }
                | Self::Threshold { .. }
                | Self::I { .. }
                | Self::If { .. }
                | Self::Li { .. }
                | Self::Lif { .. }
                | Self::CubaLi { .. }
                | Self::CubaLif { .. }
        )
    }

    /// The largest shape of its parameters; all have that or are single numbers.
    pub(super) fn entries(&self) -> Vec<usize> {
        let arrays = self.arrays();
        let shapes = arrays.iter().map(|(_, array)| &array.shape);
        shapes.max_by_key(|shape| (shape.iter().product::<usize>(), shape.len())).cloned().unwrap_or_default()
    }

    /// Checks the fields against each other.
    pub(super) fn check(&self) -> Result<(), String> {
        for (field, array) in self.arrays() {
            if array.shape.iter().product::<usize>() != array.len() {
                return Err(format!(
                    "{field}: found {} numbers for the shape {:?}",
                    array.len(),
                    array.shape
                ));
            }
            if !array.is_finite() {
                return Err(format!("{field}: found numbers that are not finite"));
            }
        }
        let rank = |weight: &Array, expected: usize| {
            let found = &weight.shape;
            let fits = found.len() == expected && !found.contains(&0);
            fits.then_some(found[0])
                .ok_or_else(|| format!("weight: found the shape {found:?}, expected {expected} axes"))
        };
        let bias = |bias: &Array, post: usize| match bias.shape == [post] {
            true => Ok(()),
            false => Err(format!("bias: found the shape {:?}, expected [{post}]", bias.shape)),
        };
        match self {
            Self::Affine { weight, bias: b } => bias(b, rank(weight, 2)?),
            Self::Linear { weight } => rank(weight, 2).map(|_| ()),
            Self::Conv1d(conv) => {
                rank(&conv.weight, 3).and_then(|post| conv.check(1, bias(&conv.bias, post)))
            }
            Self::Conv2d(conv) => {
                rank(&conv.weight, 4).and_then(|post| conv.check(2, bias(&conv.bias, post)))
            }
            Self::SumPool2d(pool) | Self::AvgPool2d(pool) => pool.check(),
            kind if kind.is_per_entry() => kind.check_entries(),
            _ => Ok(()),
        }
    }

    fn check_entries(&self) -> Result<(), String> {
        let entries = self.entries();
        for (field, array) in self.arrays() {
            if array.shape != entries && array.len() != 1 {
                return Err(format!("{field}: found the shape {:?}, expected {entries:?}", array.shape));
            }
            let time = ["tau", "tau_syn", "tau_mem"].contains(&field);
            let least = if time { f64::MIN_POSITIVE } else { 0.0 };
            if (time || field == "delay")
                && let Some(place) = (0..array.len()).find(|&place| array.at(place) < least)
            {
                let expected = if time { "a time above 0" } else { "a time of at least 0" };
                return Err(format!("{field}: found {}, expected {expected}", array.at(place)));
            }
        }
        Ok(())
    }
}

impl Convolution {
    fn check(&self, axes: usize, bias: Result<(), String>) -> Result<(), String> {
        bias?;
        let mut fields = vec![("stride", &self.stride, 1), ("dilation", &self.dilation, 1)];
        if let Padding::Zeros(padding) = &self.padding {
            fields.push(("padding", padding, 0));
        }
        fields.extend(self.input_shape.as_ref().map(|shape| ("input_shape", shape, 1)));
        for (field, found, least) in fields {
            if found.len() != axes || found.iter().any(|&number| number < least) {
                return Err(format!("{field}: found {found:?}, expected {axes} of at least {least}"));
            }
        }
        if self.groups == 0 || !self.weight.shape[0].is_multiple_of(self.groups) {
            return Err(format!("groups: found {} for {} channels", self.groups, self.weight.shape[0]));
        }
        Ok(())
    }
}

impl Pooling {
    fn check(&self) -> Result<(), String> {
        for (field, found) in [("kernel_size", self.kernel_size), ("stride", self.stride)] {
            if found.contains(&0) {
                return Err(format!("{field}: found {found:?}, expected numbers above 0"));
            }
        }
        Ok(())
    }
}
