//! Layers as parts of containers.

use burn::tensor::{Device, Tensor};

use super::state::own;
use super::units::{Scanned, run};
use super::{
    Adaptive, Alpha, AvgPool2d, BatchNorm, Conv1d, Conv2d, DelayedDense, Dense, Dropout, Flatten, Inputs,
    IntegrateAndFire, Lapicque, LayerState, Leaky, LeakyIntegrator, MaxPool2d, Parallel, Parametric, Scale,
    SpikingLstm, SumPool2d, Synaptic, Temporal,
};

/// What a container wants besides the output.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// The potential of the last units.
    pub potential: bool,
    /// What the gradient of the synapses behind needs to know of the units, where their surrogate makes it
    /// sparse.
    pub crossings: bool,
}

/// What a layer gives for a sequence.
pub(super) struct Ran {
    /// `[time, batch, units]`.
    pub output: Tensor<3>,
    /// Potential before the reset, `[time, batch, units]`.
    pub potential: Option<Tensor<3>>,
    /// Threshold and half width of the surrogate, beside the potential.
    pub support: Option<(Tensor<1>, f32)>,
    /// Spikes of the spiking layers inside in order.
    pub spikes: Vec<Tensor<3>>,
    pub state: LayerState,
}

impl Ran {
    /// Of a layer without units.
    pub fn plain(output: Tensor<3>, state: LayerState) -> Self {
        Self { output, potential: None, support: None, spikes: Vec::new(), state }
    }

    /// Of units that spiked.
    pub fn spiked(spikes: Tensor<3>, potential: Option<Tensor<3>>, state: LayerState) -> Self {
        Self { spikes: vec![spikes.clone()], output: spikes, potential, support: None, state }
    }
}

/// A layer in a container.
pub(super) trait Member: Sized {
    /// The state before the first step of `batch` samples.
    fn begin(&self, _batch: usize, _device: &Device) -> LayerState {
        LayerState::None
    }

    /// A sequence `[time, batch, inputs]`.
    fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran;

    /// The same of inputs that may stay for some steps.
    fn run_held(&self, input: Inputs, state: LayerState, asked: Asked) -> Ran {
        self.run(input.expanded(), state, asked)
    }

    /// Whether equal steps give equal outputs: each output follows from its own step and from what does not change
    /// in a sequence, or from the mean over all steps.
    fn forgets(&self) -> bool {
        false
    }

    /// A step `[batch, inputs]`.
    fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState);

    /// The layer with learned parameters moved back to where they make sense.
    fn bounded(self) -> Self {
        self
    }
}

macro_rules! without_memory {
    ($($layer:ident),*) => {$(
        impl Member for $layer {
            fn run(&self, input: Tensor<3>, state: LayerState, _: Asked) -> Ran {
                Ran::plain(self.forward(input), state)
            }

            fn forgets(&self) -> bool {
                true
            }

            fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
                (self.forward(input), state)
            }
        }
    )*};
}

without_memory!(Dense, Conv1d, Conv2d, MaxPool2d, AvgPool2d, SumPool2d, Scale, Flatten, BatchNorm);

macro_rules! with_state {
    () => {
        fn begin(&self, batch: usize, device: &Device) -> LayerState {
            self.initial_state(batch, device).into()
        }

        fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
            let (output, state) = self.step(input, own(state));
            (output, state.into())
        }
    };
}

macro_rules! scanned {
    ($($layer:ident),*) => {$(
        impl Member for $layer {
            with_state!();

            fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran {
                run_units(self, input, own(state), asked)
            }

            fn bounded(self) -> Self {
                self.constrained()
            }
        }
    )*};
}

scanned!(Leaky, Lapicque, IntegrateAndFire, Parametric, Synaptic, Adaptive, LeakyIntegrator);

macro_rules! looped {
    ($($layer:ident),*) => {$(
        impl Member for $layer {
            with_state!();

            fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran {
                let (spikes, potential, state) = self.scan(input, own(state));
                Ran::spiked(spikes, asked.potential.then_some(potential), state.into())
            }

            looped!(@bounded $layer);
        }
    )*};
    (@bounded Parallel) => {};
    (@bounded $layer:ident) => {
        fn bounded(self) -> Self {
            self.constrained()
        }
    };
}

looped!(Alpha, SpikingLstm, Parallel);

impl Member for Dropout {
    with_state!();

    // The mask stays for the sequence.
    fn forgets(&self) -> bool {
        true
    }

    fn run(&self, input: Tensor<3>, state: LayerState, _: Asked) -> Ran {
        let (output, state) = self.sequence(input, own(state));
        Ran::plain(output, state.into())
    }
}

impl Member for DelayedDense {
    with_state!();

    fn run(&self, input: Tensor<3>, state: LayerState, _: Asked) -> Ran {
        let (output, state) = self.sequence(input, own(state));
        Ran::plain(output, state.into())
    }

    fn bounded(self) -> Self {
        self.constrained()
    }
}

fn run_units<L>(layer: &L, input: Tensor<3>, state: L::State, asked: Asked) -> Ran
where
    L: Scanned,
    LayerState: From<L::State>,
{
    let conventions = layer.conventions();
    let unit = layer.unit();
    let tracked = input.device().is_autodiff() && unit.adaptation.is_none();
    let support = conventions.surrogate.support().filter(|_| asked.crossings && tracked);
    let support = support.zip(unit.threshold.clone()).map(|(half_width, threshold)| {
        (conventions.compared(threshold) + conventions.reset_value, half_width)
    });
    let spikes = unit.threshold.is_some();
    let ran = run(layer, input, state, asked.potential || support.is_some());
    Ran {
        spikes: spikes.then(|| ran.output.clone()).into_iter().collect(),
        output: ran.output,
        potential: ran.potential,
        support,
        state: LayerState::from(ran.state),
    }
}
