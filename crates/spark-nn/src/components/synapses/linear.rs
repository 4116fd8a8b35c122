//! Synapses that pass on what arrives.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::host::{HostStep, HostWiring, Signal};
use spark_core::payload::{Currents, Payload, PayloadKind, Shape};
use spark_core::ports::{InputShapes, PortError, PropertySpec};
use spark_core::{Parameter, Problems};

use super::kernel::{self, KERNEL, KernelOnHost};
use super::{Ends, SynapseInputs, SynapseOutputs};
use crate::config::{check_units, config};

config! {
    /// Synapses that pass on what arrives.
    pub struct LinearSynapsesConfig {
        /// Shape of the postsynaptic units.
        #[schemars(extend("range" = "positive"))]
        units: Vec<usize> = Vec::new(),
        /// Strengths of the synapses, by postsynaptic and presynaptic axes.
        #[schemars(extend("unit" = "pA"))]
        kernel: Parameter = kernel::default_kernel(),
    }
}

/// Synapses whose current lasts as long as the spike:
///
/// ```text
/// I_i = Σ_j W_ij·s_j        s: 1, or −1 for a spike of an inhibitory unit
/// ```
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::synapses::{LinearSynapsesConfig, SynapseInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[2]));
/// let config: LinearSynapsesConfig =
///     serde_json::from_str(r#"{"units": [3], "kernel": [[1, 2], [3, 4], [5, 6]]}"#)?;
/// let mut synapses = config.run(&wired, 1, &Context::new("synapses", &device))?;
/// let inhibitory = Tensor::from_floats([0.0, 1.0], &device);
/// let spikes = Spikes::new(Tensor::ones([1, 2], &device)).with_inhibitory(Some(inhibitory));
/// let currents = synapses.advance(SynapseInputs { spikes }).currents.0;
/// assert_eq!(currents.into_data().try_to_vec::<f32>().unwrap(), [-1.0, -1.0, -1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct LinearSynapses {
    /// Strengths in pA, `[pre, post]`.
    pub kernel: Param<Tensor<2>>,
    #[module(skip)]
    ends: Ends,
}

impl Component for LinearSynapses {
    type Inputs = SynapseInputs;
    type Outputs = SynapseOutputs;
    type State = ();
    type Plan = ();

    const PROPERTIES: &'static [PropertySpec] = &[KERNEL];

    fn plan(&self) {}

    fn initial_state(&self, _: &Self::Plan, _: usize) {}

    fn step(&self, (): &(), inputs: SynapseInputs, (): ()) -> (SynapseOutputs, ()) {
        let currents = kernel::currents(self.kernel.val(), &inputs.spikes);
        (SynapseOutputs { currents: Currents(currents) }, ())
    }

    fn on_host(&self, (): &(), (): &(), wiring: &mut HostWiring) -> Option<Box<dyn HostStep<Self>>> {
        Some(Box::new(KernelOnHost::new(&self.kernel, wiring)?))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Currents, &self.ends.post)]
    }

    fn property(&self, (): &(), name: &str) -> Option<Payload> {
        kernel::property(&self.kernel, name)
    }

    fn property_shape(&self, _: &str) -> Option<Shape> {
        Some(self.ends.kernel())
    }

    fn set_property(&mut self, (): &mut (), _: &str, value: Payload) -> Result<(), PortError> {
        kernel::write(&mut self.kernel, value, &self.ends)
    }

    fn take_property(&mut self, (): &mut (), _: &str) -> Option<Payload> {
        Some(kernel::take(&mut self.kernel))
    }
}

impl HostStep<LinearSynapses> for KernelOnHost {
    fn step(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        self.currents(inputs, |currents| outputs[0].write(currents));
    }

    fn settle(&self, component: &mut LinearSynapses, (): &mut ()) {
        self.write(&mut component.kernel);
    }
}

impl ComponentConfig for LinearSynapsesConfig {
    const NAME: &'static str = "LinearSynapses";
    const FAMILY: Family = Family::Synapse;
    const SUMMARY: &'static str = "Synapses that pass on what arrives";
    const EQUATION: &'static str = "I_i = Σ_j W_ij·s_j";

    type Component = LinearSynapses;

    fn check(&self, path: &str, problems: &mut Problems) {
        check_units(&self.units, path, problems);
    }

    fn infer(&self, _: &InputShapes) -> Option<Vec<Shape>> {
        kernel::currents_onto(&self.units)
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<LinearSynapses, Defect> {
        let ends = Ends::new(&self.units, inputs)?;
        let builder = Builder { context, seed: self.seed };
        Ok(LinearSynapses { kernel: kernel::build(&builder, &self.kernel, &ends)?, ends })
    }
}

spark_core::register!(LinearSynapsesConfig);
