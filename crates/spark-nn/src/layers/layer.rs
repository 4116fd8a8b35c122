//! Layers of any kind.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::member::{Asked, Member, Ran};
use super::{
    Adaptive, Alpha, AvgPool2d, BatchNorm, Conv1d, Conv2d, DelayLine, DelayedDense, Dense, Dropout, Flatten,
    Graph, Inputs, IntegrateAndFire, Lapicque, LayerState, Leaky, LeakyIntegrator, MaxPool2d, Membrane,
    Neurons, Parallel, Parametric, Physical, Recurrent, Residual, Scale, Sequential, SpikingLstm, SumPool2d,
    Synaptic, Temporal,
};

macro_rules! layers {
    ($($(#[$doc:meta])* $layer:ident,)*) => {
        /// A layer of a network.
        ///
        /// # Examples
        /// ```
        /// use burn::tensor::{Device, Tensor};
        /// use spark_nn::layers::{Layer, LeakyConfig, Temporal};
        ///
        /// let device = Device::flex();
        /// let layer = Layer::Leaky(LeakyConfig::default().init(3, &device));
        /// let (spikes, _) = layer.step(Tensor::ones([2, 3], &device), layer.initial_state(2, &device));
        /// assert_eq!(spikes.dims(), [2, 3]);
        /// ```
        // Only ever a handful of layers per network, so the spread of sizes does not matter.
        #[allow(clippy::large_enum_variant)]
        #[derive(Module, Debug)]
        pub enum Layer {
            $($(#[$doc])* $layer($layer),)*
        }

        impl Layer {
            /// The name of the kind of layer, such as `Leaky`.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$layer(_) => stringify!($layer),)*
                }
            }
        }

        impl Member for Layer {
            fn begin(&self, batch: usize, device: &Device) -> LayerState {
                match self {
                    $(Self::$layer(layer) => layer.begin(batch, device),)*
                }
            }

            fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran {
                match self {
                    $(Self::$layer(layer) => layer.run(input, state, asked),)*
                }
            }

            fn run_held(&self, input: Inputs, state: LayerState, asked: Asked) -> Ran {
                match self {
                    $(Self::$layer(layer) => layer.run_held(input, state, asked),)*
                }
            }

            fn forgets(&self) -> bool {
                match self {
                    $(Self::$layer(layer) => layer.forgets(),)*
                }
            }

            fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
                match self {
                    $(Self::$layer(layer) => layer.advance(input, state),)*
                }
            }

            fn bounded(self) -> Self {
                match self {
                    $(Self::$layer(layer) => Self::$layer(layer.bounded()),)*
                }
            }
        }
    };
}

layers! {
    /// Fully connected synapses.
    Dense,
    /// Fully connected synapses with learned delays.
    DelayedDense,
    /// One-dimensional convolutional synapses.
    Conv1d,
    /// Two-dimensional convolutional synapses.
    Conv2d,
    /// Maximum pooling.
    MaxPool2d,
    /// Average pooling.
    AvgPool2d,
    /// Sum pooling.
    SumPool2d,
    /// Factors on what passes.
    Scale,
    /// One axis instead of several.
    Flatten,
    /// Fixed delays.
    DelayLine,
    /// Batch normalisation through time.
    BatchNorm,
    /// Dropout that lasts for a sequence.
    Dropout,
    /// Leaky integrate-and-fire units.
    Leaky,
    /// Leaky units as a resistor and a capacitor.
    Lapicque,
    /// Units without leak.
    IntegrateAndFire,
    /// Leaky units that learn their time constant.
    Parametric,
    /// Leaky units whose synaptic current decays too.
    Synaptic,
    /// Leaky units with an adaptive threshold.
    Adaptive,
    /// Units whose membrane is a difference of exponentials.
    Alpha,
    /// Units without reset that sum their recent inputs.
    Parallel,
    /// Units with every constant of their membrane.
    Membrane,
    /// Leaky integrators that never spike.
    LeakyIntegrator,
    /// Units that hear their own spikes.
    Recurrent,
    /// Long short-term memory that spikes.
    SpikingLstm,
    /// A soma or synapse with physical units.
    Physical,
    /// Synapses and a soma that hear each other.
    Neurons,
    /// Layers one after another.
    Sequential,
    /// Layers with a way around them.
    Residual,
    /// Layers with names, connected in any way.
    Graph,
}

/// Layers in order; in the place of a container those inside it.
pub(super) fn leaves(layers: &[Layer]) -> Vec<&Layer> {
    let mut all = Vec::new();
    for layer in layers {
        match layer {
            Layer::Sequential(inner) => all.extend(leaves(&inner.layers)),
            Layer::Residual(inner) => all.extend([leaves(&inner.body), leaves(&inner.shortcut)].concat()),
            Layer::Graph(graph) => {
                all.extend(graph.nodes.iter().flat_map(|node| leaves(std::slice::from_ref(&node.layer))));
            }
            layer => all.push(layer),
        }
    }
    all
}

impl Layer {
    /// The layer with learned parameters moved back to where they make sense. For use after an optimizer step.
    #[must_use]
    pub fn constrained(self) -> Self {
        self.bounded()
    }
}

impl Temporal for Layer {
    type State = LayerState;

    fn initial_state(&self, batch: usize, device: &Device) -> LayerState {
        self.begin(batch, device)
    }

    fn step(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
        self.advance(input, state)
    }

    fn sequence(&self, input: Tensor<3>, state: LayerState) -> (Tensor<3>, LayerState) {
        let ran = self.run(input, state, Asked::default());
        (ran.output, ran.state)
    }
}
