//! Which shape comes to a node, and which leaves it.

use std::collections::BTreeMap;

use super::{Convolution, Graph, Kind, Padding, Pooling};

/// The shapes that enter and leave a node.
pub type InputAndOutput = (Vec<usize>, Vec<usize>);

impl Graph {
    /// The shape that comes to each node and the one that leaves it, for a graph without graphs inside, as
    /// [`flat`](Self::flat) makes it.
    ///
    /// Shapes go from node to node, so that those that do not say theirs (pooling, a convolution without
    /// `input_shape`) get it. Nodes that no input reaches are left out.
    ///
    /// # Errors
    /// A sentence that names the node, its kind and both shapes where they do not fit.
    ///
    /// # Examples
    /// ```
    /// use spark_io::nir::{Graph, Kind, Pooling};
    ///
    /// let mut graph = Graph::default();
    /// graph.nodes.insert("input".into(), Kind::Input { shape: vec![2, 4, 4] }.into());
    /// let pooling = Pooling { kernel_size: [2, 2], stride: [2, 2], padding: [0, 0] };
    /// graph.nodes.insert("pool".into(), Kind::SumPool2d(pooling).into());
    /// graph.connect("input", "pool");
    /// assert_eq!(graph.shapes()?["pool"], (vec![2, 4, 4], vec![2, 2, 2]));
    /// # Ok::<(), String>(())
    /// ```
    pub fn shapes(&self) -> Result<BTreeMap<&str, InputAndOutput>, String> {
        let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, to) in &self.edges {
            after.entry(from).or_default().push(to);
        }
        let mut shapes = BTreeMap::new();
        let mut ready = Vec::new();
        for (name, node) in &self.nodes {
            if let Kind::Input { shape } = &node.kind {
                shapes.insert(name.as_str(), (shape.clone(), shape.clone()));
                ready.push(name.as_str());
            }
        }
        while let Some(name) = ready.pop() {
            let left = shapes[name].1.clone();
            for &next in after.get(name).into_iter().flatten() {
                let kind = &self.nodes[next].kind;
                let at = |message| format!("node `{next}` ({}), behind `{name}`: {message}", kind.name());
                match shapes.get(next) {
                    Some((input, _)) if *input == left => {}
                    Some((input, _)) => {
                        return Err(at(format!("found an input of shape {left:?}, expected {input:?}")));
                    }
                    None => {
                        let output = kind.output_shape(&left).map_err(at)?;
                        shapes.insert(next, (left.clone(), output));
                        ready.push(next);
                    }
                }
            }
        }
        Ok(shapes)
    }
}

impl Kind {
    /// The shape that leaves for the one that comes.
    ///
    /// # Errors
    /// A sentence with both shapes, when the node cannot take such an input.
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let expected = |shape: &[usize]| match input == shape {
            true => Ok(input.to_vec()),
            false => Err(format!("found an input of shape {input:?}, expected {shape:?}")),
        };
        match self {
            Self::Input { shape } | Self::Output { shape } => expected(shape),
            Self::Affine { weight, .. } | Self::Linear { weight } => {
                expected(&weight.shape[1..]).map(|_| weight.shape[..1].to_vec())
            }
            Self::Conv1d(conv) => conv.output_shape(input, 1),
            Self::Conv2d(conv) => conv.output_shape(input, 2),
            Self::SumPool2d(pool) | Self::AvgPool2d(pool) => pool.output_shape(input),
            Self::Flatten { input_shape, start_dim, end_dim } => {
                if let Some(shape) = input_shape {
                    expected(shape)?;
                }
                flattened(input, *start_dim, *end_dim)
            }
            Self::Graph(_) => Err("found a graph inside, expected a flat one".to_owned()),
            _ => {
                let entries = self.entries();
                if entries.iter().product::<usize>() == 1 { Ok(input.to_vec()) } else { expected(&entries) }
            }
        }
    }
}

fn flattened(input: &[usize], start: i64, end: i64) -> Result<Vec<usize>, String> {
    let axis = |axis: i64| {
        let from_start = if axis < 0 { axis.checked_add(input.len() as i64) } else { Some(axis) };
        from_start.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < input.len())
    };
    match (axis(start), axis(end)) {
        (Some(start), Some(end)) if start <= end => {
            let middle = input[start..=end].iter().product();
            Ok([&input[..start], &[middle], &input[end + 1..]].concat())
        }
        _ => Err(format!("found axes {start} to {end} of an input of shape {input:?}")),
    }
}

/// The extent that leaves an axis; `None` when the kernel does not fit.
fn extent(input: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> Option<usize> {
    let covered = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
    let free = padding.checked_mul(2)?.checked_add(input)?.checked_sub(covered)?;
    Some(free.checked_div(stride)? + 1)
}

impl Convolution {
    /// The zeros on each side of each axis.
    ///
    /// # Errors
    /// A sentence, when `same` would take more of them on one side than on the other, or strides.
    pub fn zeros(&self) -> Result<Vec<usize>, String> {
        match &self.padding {
            Padding::Zeros(zeros) => Ok(zeros.clone()),
            Padding::Valid => Ok(vec![0; self.stride.len()]),
            Padding::Same => {
                let kernel = self.weight.shape[2..].iter().zip(&self.dilation);
                let both = kernel.map(|(&kernel, &dilation)| (kernel - 1).saturating_mul(dilation));
                let both: Vec<usize> = both.collect();
                if both.iter().any(|both| both % 2 != 0) || self.stride.iter().any(|&stride| stride != 1) {
                    return Err(
                        "padding: found `same` with a stride or an even kernel, expected numbers".into()
                    );
                }
                Ok(both.into_iter().map(|both| both / 2).collect())
            }
        }
    }

    fn output_shape(&self, input: &[usize], axes: usize) -> Result<Vec<usize>, String> {
        let found = || format!("found an input of shape {input:?}");
        let channels = self.weight.shape[1].checked_mul(self.groups).ok_or_else(found)?;
        if input.len() != axes + 1 || input[0] != channels {
            return Err(format!("{}, expected {channels} channels and {axes} more axes", found()));
        }
        if let Some(shape) = &self.input_shape
            && input[1..] != *shape
        {
            return Err(format!("{}, expected {shape:?} behind the channels", found()));
        }
        let zeros = self.zeros()?;
        let extents = (0..axes).map(|i| {
            extent(input[i + 1], self.weight.shape[i + 2], self.stride[i], zeros[i], self.dilation[i])
        });
        let extents: Option<Vec<usize>> = extents.collect();
        let extents = extents.ok_or_else(|| format!("{}, expected one as large as the kernel", found()))?;
        Ok([&self.weight.shape[..1], &extents].concat())
    }
}

impl Pooling {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [channels, height, width] = *input else {
            return Err(format!("found an input of shape {input:?}, expected [channels, height, width]"));
        };
        let of = |i: usize, size| extent(size, self.kernel_size[i], self.stride[i], self.padding[i], 1);
        let (height, width) = of(0, height).zip(of(1, width)).ok_or_else(|| {
            format!("found an input of shape {input:?}, expected one as large as {:?}", self.kernel_size)
        })?;
        Ok(vec![channels, height, width])
    }
}
