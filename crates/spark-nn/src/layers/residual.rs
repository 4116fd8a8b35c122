//! Layers with a way around them.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_core::schema::join;

use super::config::Place;
use super::member::{Asked, Member, Ran};
use super::sequential::{self, SequentialConfig};
use super::{Inputs, Layer, LayerConfig, LayerState, NetworkState};

/// Configuration of [`Residual`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResidualConfig {
    /// The layers in order.
    pub body: Vec<LayerConfig>,
    /// The layers of the way around; without any the input itself goes there.
    #[serde(default)]
    pub shortcut: Vec<LayerConfig>,
}

/// A residual block: `y = body(x) + shortcut(x)`.
///
/// Where both end in spiking units, this is the block that adds spikes; where units follow the block, it is the
/// one that adds currents.
///
/// Source: Fang et al., *Deep residual learning in spiking neural networks* (2021), with the function ADD.
///
/// # Examples
/// ```
/// use spark_nn::layers::{DenseConfig, LayerConfig, LeakyConfig, ResidualConfig};
///
/// let layer = LayerConfig::Residual(ResidualConfig {
///     body: vec![
///         LayerConfig::Dense(DenseConfig::new(8)),
///         LayerConfig::Leaky(LeakyConfig::default()),
///     ],
///     shortcut: vec![],
/// });
/// assert_eq!(layer.output_shape(&[8]), Some(vec![8]));
/// assert_eq!(layer.output_shape(&[7]), None);
/// ```
#[derive(Module, Debug)]
pub struct Residual {
    /// The layers in order.
    pub body: Vec<Layer>,
    /// The layers of the way around.
    pub shortcut: Vec<Layer>,
}

impl ResidualConfig {
    pub(super) fn check(&self, input: &[usize], path: &str, problems: &mut Problems) -> Option<Vec<usize>> {
        let mut end = |layers: &[LayerConfig], field: &str| {
            let part = SequentialConfig { layers: layers.to_vec() };
            part.check(input, &join(path, field), problems)
        };
        let (body, shortcut) = (end(&self.body, "body")?, end(&self.shortcut, "shortcut")?);
        if body != shortcut {
            let found = format!("{body:?} from the body and {shortcut:?} from the shortcut");
            problems.push(path, found, "the same shape");
            return None;
        }
        Some(body)
    }

    pub(super) fn init(&self, input: &[usize], name: &str, place: Place<'_>) -> Result<Residual, Problems> {
        Ok(Residual {
            body: sequential::init(&self.body, input, &join(name, "body"), place)?,
            shortcut: sequential::init(&self.shortcut, input, &join(name, "shortcut"), place)?,
        })
    }
}

impl Member for Residual {
    fn begin(&self, batch: usize, device: &Device) -> LayerState {
        let begin = |layers: &[Layer]| sequential::begin(layers, batch, device);
        LayerState::Residual(Box::new([begin(&self.body), begin(&self.shortcut)]))
    }

    fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran {
        self.run_held(input.into(), state, asked)
    }

    fn forgets(&self) -> bool {
        self.body.iter().chain(&self.shortcut).all(Member::forgets)
    }

    fn run_held(&self, input: Inputs, state: LayerState, _: Asked) -> Ran {
        let [body, shortcut] = own(state);
        let (ran, body) = sequential::run(&self.body, input.clone(), body, Asked::default());
        let (around, shortcut) = sequential::run(&self.shortcut, input, shortcut, Asked::default());
        Ran {
            spikes: [ran.spikes, around.spikes].concat(),
            ..Ran::plain(ran.output + around.output, LayerState::Residual(Box::new([body, shortcut])))
        }
    }

    fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
        let [body, shortcut] = own(state);
        let (output, body) = sequential::advance(&self.body, input.clone(), body);
        let (around, shortcut) = sequential::advance(&self.shortcut, input, shortcut);
        (output + around, LayerState::Residual(Box::new([body, shortcut])))
    }

    fn bounded(self) -> Self {
        Self { body: sequential::bounded(self.body), shortcut: sequential::bounded(self.shortcut) }
    }
}

fn own(state: LayerState) -> [NetworkState; 2] {
    match state {
        LayerState::Residual(state) => *state,
        other => panic!("a state of another layer: {other:?}"),
    }
}
