//! Units whose gradients stay with them, for learning rules that are local in time and space.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::recurrent::each_recurrent;
use super::units::{Conventions, Scanned, run_by};
use super::{Layer, Recurrent, RecurrentUnits, Temporal};

/// How far back a gradient reaches from the spike of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the inputs of all steps so far: along membrane, synaptic current and adaptation of the unit.
    Membrane,
    /// To the input of the same step.
    Step,
}

/// What [`Layer::run_locally`] gives, `[time, batch, units]` each.
#[derive(Clone, Debug)]
pub struct LocalRun {
    /// Spikes, or the membrane of units that never spike.
    pub output: Tensor<3>,
    /// Membrane potential before the reset of its own step.
    pub potential: Tensor<3>,
}

impl Conventions {
    fn within(self, reach: Reach) -> Self {
        let window = match reach {
            Reach::Membrane => None,
            Reach::Step => Some(1),
        };
        Self { reset_gradient: false, window, ..self }
    }
}

macro_rules! each_scanned {
    ($layer:expr, $units:ident => $result:expr, $recurrent:ident => $looped:expr, else $other:expr) => {
        match $layer {
            Layer::Leaky($units) => $result,
            Layer::Lapicque($units) => $result,
            Layer::IntegrateAndFire($units) => $result,
            Layer::Parametric($units) => $result,
            Layer::Synaptic($units) => $result,
            Layer::Adaptive($units) => $result,
            Layer::LeakyIntegrator($units) => $result,
            Layer::Recurrent($recurrent) => $looped,
            _ => $other,
        }
    };
}

impl Layer {
    /// Whether [`run_locally`](Self::run_locally) takes this layer: units that a scan runs.
    ///
    /// Resets that follow snnTorch where it departs from the equations of a layer have no scan.
    pub fn runs_locally(&self) -> bool {
        each_scanned!(
            self,
            units => units.conventions().has_scan(),
            recurrent => each_recurrent!(&recurrent.units, units => units.conventions().has_scan()),
            else false
        )
    }

    /// A sequence `[time, batch, inputs]` from the initial state, whose gradients stay within each unit.
    ///
    /// Outputs are those of [`sequence`](Temporal::sequence). A gradient passes from a spike through the
    /// surrogate to the potential and from there back as far as `reach` says: never through a reset, and
    /// never through the spikes that recurrent units hear, which count as given. What reaches a recurrent
    /// weight is therefore the eligibility of the presynaptic spikes before. Recurrent units run twice: in a
    /// loop without gradients for their spikes, and as one product and one scan of all steps.
    ///
    /// # Panics
    /// If the layer is another one; [`runs_locally`](Self::runs_locally) tells.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_nn::layers::{Layer, LeakyConfig, Reach};
    ///
    /// let device = Device::flex().autodiff();
    /// let config = LeakyConfig { decay: 0.5, threshold: 10.0, ..Default::default() };
    /// let units = Layer::Leaky(config.init(1, &device));
    /// let gradient = |reach| {
    ///     let input = Tensor::ones([3, 1, 1], &device).require_grad();
    ///     let last = units.run_locally(input.clone(), reach).potential.slice_dim(0, 2..3);
    ///     input.grad(&last.sum().backward()).unwrap().into_data().try_to_vec::<f32>().unwrap()
    /// };
    /// assert_eq!(gradient(Reach::Membrane), [0.25, 0.5, 1.0]);
    /// assert_eq!(gradient(Reach::Step), [0.0, 0.0, 1.0]);
    /// ```
    pub fn run_locally(&self, input: Tensor<3>, reach: Reach) -> LocalRun {
        each_scanned!(
            self,
            units => scan(units, input, reach),
            recurrent => {
                let drive = recurrent.drive(input.clone(), recurrent.heard(input));
                each_recurrent!(&recurrent.units, units => scan(units, drive, reach))
            },
            else panic!("{} is not run by a scan", self.name())
        )
    }
}

fn scan<L: Scanned + Temporal<State = <L as Scanned>::State>>(
    layer: &L,
    input: Tensor<3>,
    reach: Reach,
) -> LocalRun {
    let state = layer.initial_state(input.dims()[1], &input.device());
    let ran = run_by(layer, layer.conventions().within(reach), input, state, true);
    LocalRun { output: ran.output, potential: ran.potential.expect("a potential that was asked for") }
}

impl Recurrent {
    /// The spikes that the units hear in each step, `[time, batch, units]`, without their history.
    fn heard(&self, input: Tensor<3>) -> Tensor<3> {
        let device: Device = input.device();
        let tracked = device.is_autodiff();
        let (layer, input) = if tracked { (self.valid(), input.inner()) } else { (self.clone(), input) };
        let [time, batch, _] = input.dims();
        let state = layer.initial_state(batch, &input.device());
        let before = state.spikes.clone().unsqueeze();
        let (spikes, _) = layer.sequence(input, state);
        let heard = Tensor::cat(vec![before, spikes.slice_dim(0, 0..time - 1)], 0);
        if tracked { Tensor::from_inner(heard) } else { heard }
    }
}
