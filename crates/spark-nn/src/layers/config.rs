//! Configurations of layers of any kind.

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_core::schema::join;

use super::{
    AdaptiveConfig, AlphaConfig, AvgPool2dConfig, BatchNormConfig, Conv1dConfig, Conv2dConfig,
    DelayLineConfig, DelayedDenseConfig, DenseConfig, DropoutConfig, FlattenConfig, GraphConfig,
    IntegrateAndFireConfig, LapicqueConfig, Layer, LeakyConfig, LeakyIntegratorConfig, MaxPool2dConfig,
    MembraneConfig, NeuronsConfig, ParallelConfig, ParametricConfig, PhysicalConfig, RecurrentConfig,
    ResidualConfig, ScaleConfig, SequentialConfig, SpikingLstmConfig, SumPool2dConfig, SynapticConfig,
};

/// Configuration of one layer of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LayerConfig {
    /// Fully connected synapses.
    Dense(DenseConfig),
    /// Fully connected synapses with learned delays.
    DelayedDense(DelayedDenseConfig),
    /// One-dimensional convolutional synapses.
    #[serde(rename = "conv1d")]
    Conv1d(Conv1dConfig),
    /// Two-dimensional convolutional synapses.
    #[serde(rename = "conv2d")]
    Conv2d(Conv2dConfig),
    /// Maximum pooling.
    #[serde(rename = "max_pool2d")]
    MaxPool2d(MaxPool2dConfig),
    /// Average pooling.
    #[serde(rename = "avg_pool2d")]
    AvgPool2d(AvgPool2dConfig),
    /// Sum pooling.
    #[serde(rename = "sum_pool2d")]
    SumPool2d(SumPool2dConfig),
    /// Factors on what passes.
    Scale(ScaleConfig),
    /// One axis instead of several.
    Flatten(FlattenConfig),
    /// Fixed delays.
    DelayLine(DelayLineConfig),
    /// Batch normalisation through time.
    BatchNorm(BatchNormConfig),
    /// Dropout that lasts for a sequence.
    Dropout(DropoutConfig),
    /// Leaky integrate-and-fire units, as many as the layer before has outputs.
    Leaky(LeakyConfig),
    /// Leaky units as a resistor and a capacitor.
    Lapicque(LapicqueConfig),
    /// Units without leak.
    IntegrateAndFire(IntegrateAndFireConfig),
    /// Leaky units that learn their time constant.
    Parametric(ParametricConfig),
    /// Leaky units whose synaptic current decays too.
    Synaptic(SynapticConfig),
    /// Leaky units with an adaptive threshold.
    Adaptive(AdaptiveConfig),
    /// Units whose membrane is a difference of exponentials.
    Alpha(AlphaConfig),
    /// Units without reset that sum their recent inputs.
    Parallel(ParallelConfig),
    /// Units with every constant of their membrane.
    Membrane(MembraneConfig),
    /// Leaky integrators that never spike.
    LeakyIntegrator(LeakyIntegratorConfig),
    /// Units that hear their own spikes.
    Recurrent(RecurrentConfig),
    /// Long short-term memory that spikes, with synapses of its own.
    SpikingLstm(SpikingLstmConfig),
    /// A soma or synapse with physical units.
    Physical(PhysicalConfig),
    /// Synapses and a soma that hear each other.
    Neurons(NeuronsConfig),
    /// Layers one after another.
    Sequential(SequentialConfig),
    /// Layers with a way around them.
    Residual(ResidualConfig),
    /// Layers with names, connected in any way.
    Graph(GraphConfig),
}

/// Where a layer is made.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub seed: u64,
    pub device: &'a Device,
}

/// Channels, height and width of an image, or of a row of one.
fn image(shape: &[usize]) -> Option<[usize; 3]> {
    match *shape {
        [channels, length] => Some([channels, 1, length]),
        [channels, height, width] => Some([channels, height, width]),
        _ => None,
    }
}

/// The shape of an image that was pooled, with as many axes as `like` has.
fn pooled(output: Option<[usize; 3]>, like: &[usize]) -> Option<Vec<usize>> {
    let [channels, height, width] = output?;
    Some(if like.len() == 2 { vec![channels, width] } else { vec![channels, height, width] })
}

impl LayerConfig {
    /// The shape of the output for that of the input; `None` when the layer cannot take it.
    ///
    /// # Examples
    /// ```
    /// use spark_nn::layers::{Conv2dConfig, LayerConfig};
    ///
    /// let layer = LayerConfig::Conv2d(Conv2dConfig::new(12, [5, 5]));
    /// assert_eq!(layer.output_shape(&[1, 28, 28]), Some(vec![12, 24, 24]));
    /// assert_eq!(layer.output_shape(&[784]), None);
    /// ```
    pub fn output_shape(&self, input: &[usize]) -> Option<Vec<usize>> {
        self.check(input, "", &mut Problems::default())
    }

    /// Checks all fields and what the input, of this shape, makes of them; gives the shape of the output where
    /// there is one.
    pub(super) fn check(&self, input: &[usize], path: &str, problems: &mut Problems) -> Option<Vec<usize>> {
        self.validate(path, problems);
        let same = || Some(input.to_vec());
        let shape = match self {
            Self::Dense(config) => Some(vec![config.units]),
            Self::DelayedDense(config) => Some(vec![config.units]),
            Self::SpikingLstm(config) => Some(vec![config.units]),
            Self::Conv1d(config) => {
                input.try_into().ok().and_then(|input| config.output_shape(input)).map(Vec::from)
            }
            Self::Conv2d(config) => {
                input.try_into().ok().and_then(|input| config.output_shape(input)).map(Vec::from)
            }
            Self::MaxPool2d(config) => {
                pooled(image(input).and_then(|image| config.output_shape(image)), input)
            }
            Self::AvgPool2d(config) => {
                pooled(image(input).and_then(|image| config.output_shape(image)), input)
            }
            Self::SumPool2d(config) => {
                pooled(image(input).and_then(|image| config.output_shape(image)), input)
            }
            Self::Flatten(_) => Some(vec![input.iter().product()]),
            Self::DelayLine(config) => config.fits(input.iter().product()).then(|| input.to_vec()),
            // These report what is wrong themselves.
            Self::Physical(config) => {
                if config.hears_potential() {
                    let expected = "a component that hears no potential; this one belongs into `neurons`";
                    problems.push(join(path, "component"), &config.component, expected);
                }
                return config.check(input, path, problems);
            }
            Self::Neurons(config) => return config.check(input, path, problems),
            Self::Sequential(config) => return config.check(input, path, problems),
            Self::Residual(config) => return config.check(input, path, problems),
            Self::Graph(config) => return config.check(input, path, problems),
            _ => same(),
        };
        if shape.is_none() {
            problems.push(path, format!("an input of shape {input:?}"), self.expected_input());
        }
        shape
    }

    fn expected_input(&self) -> &'static str {
        match self {
            Self::DelayLine(_) => "as many units as there are delays",
            Self::Conv1d(_) => "an input of [channels, length] at least as large as the kernel",
            _ => "an input of [channels, height, width] at least as large as the kernel",
        }
    }

    fn validate(&self, path: &str, problems: &mut Problems) {
        match self {
            Self::Dense(config) => config.validate(path, problems),
            Self::DelayedDense(config) => config.validate(path, problems),
            Self::Conv1d(config) => config.validate(path, problems),
            Self::Conv2d(config) => config.validate(path, problems),
            Self::MaxPool2d(config) => config.validate(path, problems),
            Self::AvgPool2d(config) => config.validate(path, problems),
            Self::SumPool2d(config) => config.validate(path, problems),
            Self::Scale(config) => config.validate(path, problems),
            Self::BatchNorm(config) => config.validate(path, problems),
            Self::Dropout(config) => config.validate(path, problems),
            Self::Leaky(config) => config.validate(path, problems),
            Self::Lapicque(config) => config.validate(path, problems),
            Self::IntegrateAndFire(config) => config.validate(path, problems),
            Self::Parametric(config) => config.validate(path, problems),
            Self::Synaptic(config) => config.validate(path, problems),
            Self::Adaptive(config) => config.validate(path, problems),
            Self::Alpha(config) => config.validate(path, problems),
            Self::Parallel(config) => config.validate(path, problems),
            Self::DelayLine(config) => config.validate(path, problems),
            Self::Membrane(config) => config.validate(path, problems),
            Self::LeakyIntegrator(config) => config.validate(path, problems),
            Self::Recurrent(config) => config.validate(path, problems),
            Self::SpikingLstm(config) => config.validate(path, problems),
            Self::Flatten(_)
            | Self::Physical(_)
            | Self::Neurons(_)
            | Self::Sequential(_)
            | Self::Residual(_)
            | Self::Graph(_) => {}
        }
    }

    /// Whether what leaves are spikes, or the membrane of units that never spike.
    pub(super) fn gives_units(&self) -> bool {
        match self {
            Self::Leaky(_)
            | Self::Lapicque(_)
            | Self::IntegrateAndFire(_)
            | Self::Parametric(_)
            | Self::Synaptic(_)
            | Self::Adaptive(_)
            | Self::Alpha(_)
            | Self::Parallel(_)
            | Self::Membrane(_)
            | Self::LeakyIntegrator(_)
            | Self::Recurrent(_)
            | Self::SpikingLstm(_)
            | Self::Neurons(_) => true,
            Self::Physical(config) => config.spikes(),
            Self::Sequential(config) => super::sequential::ends_in_units(&config.layers),
            Self::Graph(config) => config.output_layer().is_some_and(Self::gives_units),
            _ => false,
        }
    }

    /// The layer behind one of shape `input`, which [`check`](Self::check) accepted; `name` picks the random
    /// stream.
    pub(super) fn init(&self, input: &[usize], name: &str, place: Place<'_>) -> Result<Layer, Problems> {
        let units = input.iter().product();
        let Place { seed, device } = place;
        let image = || image(input).expect("a shape that was accepted");
        Ok(match self {
            Self::Dense(config) => Layer::Dense(config.init(units, seed, name, device)),
            Self::DelayedDense(config) => Layer::DelayedDense(config.init(units, seed, name, device)),
            Self::Conv1d(config) => Layer::Conv1d(config.init([input[0], input[1]], seed, name, device)),
            Self::Conv2d(config) => Layer::Conv2d(config.init(image(), seed, name, device)),
            Self::MaxPool2d(config) => Layer::MaxPool2d(config.init(image())),
            Self::AvgPool2d(config) => Layer::AvgPool2d(config.init(image())),
            Self::SumPool2d(config) => Layer::SumPool2d(config.init(image())),
            Self::Scale(config) => Layer::Scale(config.init(units, device)),
            Self::Flatten(config) => Layer::Flatten(config.init(input)),
            Self::DelayLine(config) => Layer::DelayLine(config.init(units)),
            Self::BatchNorm(config) => Layer::BatchNorm(config.init(input, device)),
            Self::Dropout(config) => Layer::Dropout(config.init(units, seed, name)),
            Self::Leaky(config) => Layer::Leaky(config.init(units, device)),
            Self::Lapicque(config) => Layer::Lapicque(config.init(units, device)),
            Self::IntegrateAndFire(config) => Layer::IntegrateAndFire(config.init(units, device)),
            Self::Parametric(config) => Layer::Parametric(config.init(units, device)),
            Self::Synaptic(config) => Layer::Synaptic(config.init(units, device)),
            Self::Adaptive(config) => Layer::Adaptive(config.init(units, device)),
            Self::Alpha(config) => Layer::Alpha(config.init(units, device)),
            Self::Parallel(config) => Layer::Parallel(config.init(units, device)),
            Self::Membrane(config) => Layer::Membrane(config.init(units, device)),
            Self::LeakyIntegrator(config) => Layer::LeakyIntegrator(config.init(units, device)),
            Self::Recurrent(config) => Layer::Recurrent(config.init(units, seed, name, device)),
            Self::SpikingLstm(config) => Layer::SpikingLstm(config.init(units, seed, name, device)),
            Self::Physical(config) => Layer::Physical(config.init(input, seed, name, device)?),
            Self::Neurons(config) => Layer::Neurons(config.init(input, seed, name, device)?),
            Self::Sequential(config) => Layer::Sequential(config.init(input, name, place)?),
            Self::Residual(config) => Layer::Residual(config.init(input, name, place)?),
            Self::Graph(config) => Layer::Graph(config.init(input, name, place)?),
        })
    }
}
