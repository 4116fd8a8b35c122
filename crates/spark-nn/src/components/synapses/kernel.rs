//! The kernel of all-to-all synapses.

use burn::module::Param;
use burn::tensor::Tensor;
use spark_core::Parameter;
use spark_core::build::Builder;
use spark_core::component::Defect;
use spark_core::host::{HostWiring, Origin, Signal};
use spark_core::parameter::{Distribution, Draw};
use spark_core::payload::{Arrival, Kernel, Payload, PayloadKind, Shape, Spikes, signs};
use spark_core::ports::{InputShapes, PortError, PropertySpec, typed};
use spark_kernels::host::{HostSynapses, LateSpikes};
use spark_kernels::spike_matmul;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The property of all-to-all synapses.
pub(super) const KERNEL: PropertySpec = PropertySpec {
    name: "kernel",
    kind: PayloadKind::Kernel,
    writable: true,
    description: "Strengths of the synapses.",
};

/// A kernel where none is given.
pub(super) fn default_kernel() -> Parameter {
    Draw::new(Distribution::SparseUniform).into()
}

/// The units that synapses connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Shape of the postsynaptic units.
    pub post: Vec<usize>,
    /// Shape of the presynaptic units.
    pub pre: Vec<usize>,
}

impl Ends {
    /// Between `post` and what is wired to the port `spikes`.
    pub(super) fn new(post: &[usize], inputs: &InputShapes) -> Result<Self, PortError> {
        let shape = inputs.require("spikes", PayloadKind::Spikes)?;
        let pre = match shape.units.strip_prefix(post) {
            _ if !shape.pairs => &shape.units,
            Some(pre) if !pre.is_empty() => pre,
            _ => {
                let expected = format!("spikes by pair of units {post:?} and others");
                return Err(PortError::Mismatch {
                    port: "spikes".into(),
                    found: shape.to_string(),
                    expected,
                });
            }
        };
        Ok(Self { post: post.to_vec(), pre: pre.to_vec() })
    }

    /// Numbers of presynaptic and postsynaptic units.
    ///
    /// # Examples
    /// ```
    /// use spark_nn::components::synapses::Ends;
    ///
    /// assert_eq!(Ends { post: vec![2, 2], pre: vec![3] }.dims(), [3, 4]);
    /// ```
    pub fn dims(&self) -> [usize; 2] {
        [&self.pre, &self.post].map(|units| units.iter().product())
    }

    /// The shape of the kernel: postsynaptic axes, then presynaptic ones.
    pub(super) fn kernel(&self) -> Shape {
        Shape::new(PayloadKind::Kernel, &[&self.post[..], &self.pre].concat())
    }
}

/// The outputs of synapses onto these units, whatever is wired to them: synapses may stand in a loop.
pub(super) fn currents_onto(post: &[usize]) -> Option<Vec<Shape>> {
    (!post.is_empty()).then(|| vec![Shape::new(PayloadKind::Currents, post)])
}

/// A kernel `[pre, post]`, not trained unless somebody says so.
pub(super) fn build(
    builder: &Builder<'_>,
    kernel: &Parameter,
    ends: &Ends,
) -> Result<Param<Tensor<2>>, Defect> {
    let kernel = builder.synapses(KERNEL.name, kernel, &ends.post, &ends.pre)?;
    Ok(Param::from_tensor(kernel).set_require_grad(false))
}

/// The kernel as a property.
pub(super) fn property(kernel: &Param<Tensor<2>>, name: &str) -> Option<Payload> {
    (name == KERNEL.name).then(|| Kernel(kernel.val()).into())
}

/// Takes the kernel out, so that who receives it is the only one to hold it.
pub(super) fn take(kernel: &mut Param<Tensor<2>>) -> Payload {
    let nothing = Tensor::empty([0, 0], &kernel.val().device());
    Kernel(replace(kernel, nothing)).into()
}

/// Writes the kernel.
pub(super) fn write(kernel: &mut Param<Tensor<2>>, value: Payload, ends: &Ends) -> Result<(), PortError> {
    let Kernel(value) = typed(KERNEL.name, value)?;
    if value.dims() != ends.dims() {
        return Err(PortError::Mismatch {
            port: KERNEL.name.to_owned(),
            found: format!("shape {:?}", value.dims()),
            expected: format!("{:?}", ends.dims()),
        });
    }
    replace(kernel, value);
    Ok(())
}

/// Another value for the same parameter; returns the one it had.
fn replace(parameter: &mut Param<Tensor<2>>, value: Tensor<2>) -> Tensor<2> {
    let old = std::mem::replace(parameter, Param::initialized(parameter.id, value.clone()));
    let (id, old, mapper) = old.consume();
    *parameter = Param::from_mapped_value(id, value, mapper);
    old
}

/// Synapses on the host, shared with who changes them.
#[derive(Debug)]
pub(crate) struct SharedSynapses {
    synapses: Mutex<HostSynapses>,
    /// Where their spikes come from.
    pub sources: Vec<Origin>,
}

impl SharedSynapses {
    pub fn lock(&self) -> MutexGuard<'_, HostSynapses> {
        self.synapses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kernel at work on the host.
#[derive(Debug)]
pub(super) struct KernelOnHost {
    spikes: usize,
    shared: Arc<SharedSynapses>,
}

impl KernelOnHost {
    /// Shares itself as the property.
    pub fn new(kernel: &Param<Tensor<2>>, wiring: &mut HostWiring) -> Option<Self> {
        let (spikes, late) = (wiring.place("spikes")?, wiring.link::<Mutex<LateSpikes>>("spikes"));
        let synapses = Mutex::new(HostSynapses::new(&kernel.val(), late)?);
        let shared = Arc::new(SharedSynapses { synapses, sources: wiring.sources("spikes").to_vec() });
        wiring.share(KERNEL.name, shared.clone());
        Some(Self { spikes, shared })
    }

    /// Hands on the current into each postsynaptic unit.
    pub fn currents(&self, inputs: &[&Signal], take: impl FnOnce(&[f32])) {
        take(self.shared.lock().currents(inputs[self.spikes].spiking()));
    }

    /// Writes the kernel as it is now.
    pub fn write(&self, kernel: &mut Param<Tensor<2>>) {
        let device = kernel.val().device();
        replace(kernel, self.shared.lock().weight(&device));
    }
}

/// The current into each postsynaptic unit, `I_i = Σ_j W_ij·value_j`, `[batch, post]`.
pub(super) fn currents(kernel: Tensor<2>, spikes: &Spikes) -> Tensor<2> {
    match &spikes.arrival {
        Arrival::Units(units) => spike_matmul(spikes.value().unwrap_or_else(|| units.clone()), kernel),
        Arrival::Delayed(late) => late.signed.as_ref().unwrap_or(&late.spikes).currents(kernel, &late.delays),
        Arrival::Pairs(_) => by_pair(kernel, spikes).sum_dim(1).squeeze_dim(1),
    }
}

/// What arrives at each synapse, `W_ij·value`, `[batch, pre, post]`.
pub(super) fn by_pair(kernel: Tensor<2>, spikes: &Spikes) -> Tensor<3> {
    let value = match &spikes.arrival {
        Arrival::Units(units) => spikes.value().unwrap_or_else(|| units.clone()).unsqueeze_dim(2),
        Arrival::Delayed(late) => late.signed.as_ref().unwrap_or(&late.spikes).read_pairs(&late.delays),
        Arrival::Pairs(pairs) => match &spikes.inhibitory {
            Some(mask) => pairs.clone() * signs(mask).reshape([1, -1, 1]),
            None => pairs.clone(),
        },
    };
    value * kernel.unsqueeze()
}
